import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import t from 'tap';
import { clientStanza, FEATURES, streamStanza, type ClientMessage } from '../protocol/wire/index.ts';
import type { Context } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { loginBytes } from './auth.ts';
import type { Admission, AdmissionBounds } from './admission.ts';
import { connection } from './connection.ts';
import { LIMITS } from './limits.ts';
import type { AccountsMessage, ConnectionMessage, InboxMessage, PresenceMessage } from './messages.ts';
import { resumeProof, ResumeTickets } from './resume-ticket.ts';
import type { DeviceRecord } from './store/inbox-store.ts';
import { ALICE, BOB, FakeSocket, openAdmission } from './test-kit.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const RECORD: DeviceRecord = {
  creation: 4,
  registration: 1,
  loginKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
  identityKey: new Uint8Array(33),
  signedPreKey: { id: 1, key: new Uint8Array(33), signature: new Uint8Array(64) },
};

interface Fixture {
  readonly test: TestNode;
  readonly socket: FakeSocket;
  readonly toInbox: InboxMessage[];
  readonly toAccounts: AccountsMessage[];
  readonly admission: Admission;
  readonly toPresence: PresenceMessage[];
  /** Where the inbox of Alice's shard is. */
  readonly inbox: { name: string; worker: number; node?: string };
  readonly accounts: { name: string; worker: number; node?: string };
  say(...messages: ClientMessage[]): Promise<void>;
  /** Whether the inbox takes connections that ask it to. */
  attaches: boolean;
  tell(message: ConnectionMessage): Promise<void>;
  /** Logs in by signature. */
  login(features?: number): Promise<void>;
}

/** A connection whose neighbours only listen. */
async function start(bounds: Partial<AdmissionBounds> = {}): Promise<Fixture> {
  const test = createTestNode();
  const admission = openAdmission(test, bounds);
  const socket = new FakeSocket();
  const toInbox: InboxMessage[] = [];
  const toAccounts: AccountsMessage[] = [];
  const toPresence: PresenceMessage[] = [];
  const spy = <M>(name: string, seen: M[]) => ({
    name,
    init: () => null,
    handleCast: (message: M) => void seen.push(message),
  });
  const takesConnections = {
    name: 'test/inbox',
    init: () => null,
    handleCast: (message: InboxMessage, _state: null, ctx: Context) => {
      toInbox.push(message);
      const isTaken = message.kind === 'attach' && fixture.attaches;
      if (isTaken) ctx.cast(message.connection, { kind: 'attached', inbox: ctx.self } satisfies ConnectionMessage);
    },
  };
  test.node.spawn(takesConnections, undefined, { name: 'inbox' });
  test.node.spawn(takesConnections, undefined, { name: 'inbox-of-bob' });
  test.node.spawn(spy('test/groups', []), undefined, { name: 'groups' });
  test.node.spawn(spy('test/accounts', toAccounts), undefined, { name: 'accounts' });
  test.node.spawn(spy('test/presence', toPresence), undefined, { name: 'presence' });
  const inbox: Fixture['inbox'] = { name: 'inbox', worker: 0 };
  const accounts: Fixture['accounts'] = { name: 'accounts', worker: 0 };
  const groups = { name: 'groups', worker: 0 };
  const media = { name: 'media', worker: 0 };
  const presence = { name: 'presence', worker: 0 };
  const quotas = { name: 'quotas', worker: 0 };
  const relations = { name: 'relations', worker: 0 };
  const routes = {
    inboxOf: (user: string) => (user === BOB ? { name: 'inbox-of-bob', worker: 0 } : inbox),
    groupsOf: () => groups,
    accountsOf: () => accounts,
    accountsOfPhone: () => accounts,
    mediaOf: () => media,
    presenceOf: () => presence,
    quotasOf: () => quotas,
    relationsOf: () => relations,
    linksOf: () => ({ name: 'links', worker: 0 }),
    wakeupsOf: () => relations,
  };
  const challenge = { nonce: new Uint8Array(randomBytes(32)), issuedAtMs: test.clock.monotonicMs() };
  socket.write(streamStanza({ ts: 1, nonce: challenge.nonce }));
  const tickets = new ResumeTickets('11'.repeat(32));
  test.node.spawn(connection, { socket, challenge, routes, tickets, admission });
  await test.settle();
  const fixture: Fixture = {
    test,
    socket,
    toInbox,
    toAccounts,
    admission,
    toPresence,
    inbox,
    accounts,
    attaches: true,
    async tell(message) {
      test.node.cast(socket.pid!, message);
      await test.settle();
    },
    async say(...messages) {
      test.node.cast(socket.pid!, { kind: 'frames', stanzas: messages.map(clientStanza) });
      await test.settle();
    },
    async login(features = 0) {
      const { nonce } = socket.last('stream')!;
      const signature = new Uint8Array(sign(null, loginBytes(nonce, ALICE, 1), privateKey));
      await fixture.say({ kind: 'auth', user: ALICE, device: 1, signature, features });
      test.node.cast(socket.pid!, { kind: 'device-found', record: RECORD, preKeys: 42, kemPreKeys: 7 });
      await test.settle();
    },
  };
  return fixture;
}

function resumeWith({ token, secret }: { token: string; secret: Uint8Array }, nonce: Uint8Array): ClientMessage {
  return { kind: 'resume', user: ALICE, device: 1, ticket: token, proof: resumeProof(secret, nonce) };
}

const MESSAGE = {
  kind: 'message',
  to: BOB,
  id: 1,
  envelopes: [{ device: 1, type: 'ratchet', ciphertext: new Uint8Array(9) }],
} as const;

/** Within this a look that is due has been made. */
const LOOK_MS = LIMITS.answerLookMs + LIMITS.answerLookStepMs;

t.test('a login attaches the device to its inbox and says what is left of its pre-keys', async (t) => {
  const fixture = await start();
  await fixture.login();
  t.match(fixture.socket.last('success'), { user: ALICE, device: 1, preKeys: 42, kemPreKeys: 7 });
  t.match(fixture.toInbox, [{ kind: 'attach', user: ALICE, device: 1 }]);
  await fixture.say(MESSAGE);
  t.match(fixture.toInbox[1], { kind: 'submit', to: BOB, id: 1, sender: { user: ALICE, device: 1, creation: 4 } });
});

t.test('an expired nonce is refused even with a right signature, with a code that allows another try', async (t) => {
  const fixture = await start();
  await fixture.test.advance(LIMITS.nonceAgeMsMax + 1);
  await fixture.login();
  t.match(fixture.socket.last('failure'), { code: 'APP_NONCE_EXPIRED' });
  t.same(fixture.socket.closed, { code: 4401, reason: 'APP_NONCE_EXPIRED' });
  t.strictSame(fixture.toInbox, []);
});

t.test('a ticket logs in without a look at the accounts, and only what it says is claimed', async (t) => {
  const first = await start();
  await first.login();
  t.equal(first.socket.last('success')!.ticket, undefined, 'who does not ask gets none');
  const second = await start();
  await second.login(FEATURES.resumeTickets);
  const ticket = second.socket.last('success')!.ticket!;
  t.equal(ticket.expires, LIMITS.resumeTicketAgeMs / 1000);
  const third = await start();
  await third.say(resumeWith(ticket, third.socket.last('stream')!.nonce));
  t.strictSame(third.toAccounts, []);
  t.match(third.toInbox, [{ kind: 'attach', user: ALICE, device: 1, creation: 4 }]);
  const { preKeys, ticket: renewed } = third.socket.last('success')!;
  t.strictSame([preKeys, renewed], [undefined, undefined], 'the ticket is young enough to be kept');
});

t.test('a ticket in the last half of its life is renewed', async (t) => {
  const fixture = await start();
  const nowMs = fixture.test.clock.nowMs() - LIMITS.resumeTicketRenewMs;
  const ticket = new ResumeTickets('11'.repeat(32)).seal({ user: ALICE, device: 1, creation: 4 }, nowMs);
  await fixture.say(resumeWith(ticket, fixture.socket.last('stream')!.nonce));
  t.ok(fixture.socket.last('success')!.ticket);
});

t.test('a refused ticket leaves the connection to the signature, once', async (t) => {
  const stranger = new ResumeTickets('22'.repeat(32)).seal({ user: ALICE, device: 1, creation: 4 }, 0);
  const fixture = await start();
  const { nonce } = fixture.socket.last('stream')!;
  await fixture.say(resumeWith(stranger, nonce));
  t.match(fixture.socket.last('failure'), { code: 'APP_BAD_TICKET' });
  t.equal(fixture.socket.closed, undefined);
  await fixture.login(FEATURES.resumeTickets);
  t.ok(fixture.socket.last('success'));
  const again = await start();
  await again.say(resumeWith(stranger, again.socket.last('stream')!.nonce));
  await again.say(resumeWith(stranger, again.socket.last('stream')!.nonce));
  t.same(again.socket.closed, { code: 4400, reason: 'APP_PROTOCOL' });
});

t.test('a ticket over an expired nonce closes, as a signature would', async (t) => {
  const fixture = await start();
  const ticket = new ResumeTickets('11'.repeat(32)).seal({ user: ALICE, device: 1, creation: 4 }, 0);
  const { nonce } = fixture.socket.last('stream')!;
  await fixture.test.advance(LIMITS.nonceAgeMsMax + 1);
  await fixture.say(resumeWith(ticket, nonce));
  t.same(fixture.socket.closed, { code: 4401, reason: 'APP_NONCE_EXPIRED' });
});

t.test('a connection that does not log in is closed in time', async (t) => {
  const fixture = await start();
  await fixture.test.advance(LIMITS.loginMsMax + 1, 10_000);
  t.same(fixture.socket.closed, { code: 4401, reason: 'APP_LOGIN_TIMEOUT' });
  const other = await start();
  await other.login();
  await other.test.advance(LIMITS.loginMsMax + 1, 10_000);
  t.equal(other.socket.closed, undefined, 'one that did stays');
});

t.test('stanzas out of place close with 4400', async (t) => {
  const early = await start();
  await early.say(MESSAGE);
  t.same(early.socket.closed, { code: 4400, reason: 'APP_PROTOCOL' });
  const late = await start();
  await late.login();
  await late.say({ kind: 'auth', user: ALICE, device: 1, signature: new Uint8Array(64) });
  t.same(late.socket.closed, { code: 4400, reason: 'APP_PROTOCOL' });
});

t.test('what follows a refusal in the same frame is not acted upon', async (t) => {
  const fixture = await start();
  await fixture.say(MESSAGE, { kind: 'ping', id: 1 });
  t.equal(fixture.socket.last('pong'), undefined);
});

t.test('messages over the rate are refused one by one, then the connection is closed', async (t) => {
  const fixture = await start();
  await fixture.login();
  const burst = (count: number): ClientMessage[] =>
    Array.from({ length: count }, (_, at) => ({ ...MESSAGE, id: at + 1 }));
  await fixture.say(...burst(LIMITS.messagesBurstMax + 1));
  t.match(fixture.socket.last('error'), { code: 'APP_RATE_LIMITED', id: LIMITS.messagesBurstMax + 1, retryAfter: 1 });
  t.equal(fixture.socket.closed, undefined);
  await fixture.say(...burst(LIMITS.rateRefusalsMax));
  t.same(fixture.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
});

t.test(
  'a receipt travels with the acknowledgement that the client waits for, and alone if it waits for none',
  async (t) => {
    const fixture = await start();
    await fixture.login();
    const { tell } = fixture;
    const receipt = (id: number) => ({ kind: 'receipt', type: 'delivered', from: BOB, id, ts: 1 }) as const;
    await tell(receipt(1));
    t.match(fixture.socket.last('receipt'), { id: 1 }, 'at once');
    await fixture.say({ ...MESSAGE, id: 7 }, { ...MESSAGE, id: 8 });
    await tell(receipt(5));
    await tell(receipt(6));
    t.match(fixture.socket.last('receipt'), { id: 1 }, 'held');
    await tell({ kind: 'sent', to: BOB, id: 7, ts: 1 });
    t.match(
      fixture.socket.written.slice(-2),
      [
        { kind: 'ack', id: 7 },
        { kind: 'receipt', id: 6 },
      ],
      'the later one only',
    );
    await tell(receipt(7));
    t.match(fixture.socket.last('receipt'), { id: 6 }, 'one message is not answered yet');
    await tell({ kind: 'refused', to: BOB, id: 8, refusal: { code: 'APP_STORE_FULL' } });
    t.match(fixture.socket.last('receipt'), { id: 7 });
    await tell(receipt(8));
    t.match(fixture.socket.last('receipt'), { id: 8 });
  },
);

t.test('presence and typing go to the shard of the user, and what comes of them to the socket', async (t) => {
  const fixture = await start();
  await fixture.login();
  await fixture.say({ kind: 'availability', state: 'available' }, { kind: 'typing', to: BOB, state: 'composing' });
  await fixture.say({ kind: 'iq-set', id: 3, request: { kind: 'subscribe', to: BOB } });
  await fixture.say({ kind: 'unsubscribe', to: BOB }, { kind: 'unsubscribe', to: BOB });
  t.match(fixture.toPresence, [
    { kind: 'announce', user: ALICE, state: 'available' },
    { kind: 'typing', user: ALICE, to: BOB, state: 'composing' },
    { kind: 'look-up', iq: 3, viewer: ALICE, owner: BOB, keep: true },
    { kind: 'unwatch', owner: BOB },
  ]);
  t.equal(fixture.toPresence.length, 4, 'the second end of a subscription says nothing');
  fixture.test.node.cast(fixture.socket.pid!, { kind: 'presence', from: BOB, state: 'available' });
  fixture.test.node.cast(fixture.socket.pid!, { kind: 'typing', from: BOB, state: 'paused' });
  await fixture.test.settle();
  t.match(fixture.socket.last('presence'), { from: BOB, state: 'available' });
  t.match(fixture.socket.last('typing'), { from: BOB, state: 'paused' });
});

t.test('signals beyond their rate are lost without a word; a flood of them ends the connection', async (t) => {
  const fixture = await start();
  await fixture.login();
  const typing = { kind: 'typing', to: BOB, state: 'composing' } as const;
  const signals = (count: number): ClientMessage[] => Array.from({ length: count }, () => typing);
  await fixture.say(...signals(LIMITS.presenceSignalsBurstMax + 10));
  t.equal(fixture.toPresence.length, LIMITS.presenceSignalsBurstMax);
  t.equal(fixture.socket.closed, undefined);
  await fixture.test.advance(1_000);
  await fixture.say(...signals(10));
  t.equal(fixture.toPresence.length, LIMITS.presenceSignalsBurstMax + LIMITS.presenceSignalsPerSecondMax);
  await fixture.say(MESSAGE);
  t.match(fixture.toInbox.at(-1), { kind: 'submit' }, 'messages have a rate of their own');
  await fixture.say(...signals(LIMITS.rateRefusalsMax + 1));
  t.same(fixture.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
});

t.test('a connection subscribes to as many people as its bound allows', async (t) => {
  const fixture = await start();
  await fixture.login();
  const subscribe = async (index: number): Promise<void> => {
    const to = String(200_000_000_000_000 + index);
    await fixture.say({ kind: 'iq-set', id: index + 1, request: { kind: 'subscribe', to } });
  };
  for (let index = 0; index <= LIMITS.presenceSubscriptionsMax; index++) await subscribe(index);
  t.match(fixture.socket.last('iq-error'), {
    code: 'APP_TOO_MANY_SUBSCRIPTIONS',
    id: LIMITS.presenceSubscriptionsMax + 1,
  });
  t.equal(fixture.toPresence.length, LIMITS.presenceSubscriptionsMax);
  await subscribe(0);
  t.equal(fixture.toPresence.length, LIMITS.presenceSubscriptionsMax + 1, 'a repetition is none more');
  await fixture.say({ kind: 'unsubscribe', to: '200000000000000' });
  await subscribe(LIMITS.presenceSubscriptionsMax);
  t.match(fixture.toPresence.at(-1), {
    kind: 'look-up',
    owner: String(200_000_000_000_000 + LIMITS.presenceSubscriptionsMax),
  });
});

t.test('the end of the inbox that pushes here asks the client to come again', async (t) => {
  const fixture = await start();
  await fixture.login();
  fixture.test.node.exit(fixture.test.node.whereis('inbox')!, 'kill');
  await fixture.test.settle();
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_RESTARTING' });
});

t.test('an actor whose socket has closed ends and leaves nothing', async (t) => {
  const fixture = await start();
  const before = fixture.test.node.info().processCount;
  fixture.test.node.cast(fixture.socket.pid!, { kind: 'socket-closed' });
  await fixture.test.settle();
  t.equal(fixture.test.node.info().processCount, before - 1);
  t.equal(fixture.test.node.info().timerCount, 0);
});

t.test('nobody is logged in before the inbox has taken the connection', async (t) => {
  const fixture = await start();
  fixture.attaches = false;
  await fixture.login();
  t.equal(fixture.socket.last('success'), undefined);
  const inbox = fixture.test.node.whereis('inbox')!;
  await fixture.say({ kind: 'ping', id: 1 });
  t.equal(fixture.socket.closed, undefined);
  await fixture.tell({ kind: 'attached', inbox });
  t.match(fixture.socket.last('success'), { user: ALICE, device: 1, preKeys: 42, kemPreKeys: 7 });
  await fixture.say(MESSAGE);
  t.match(fixture.toInbox.at(-1), { kind: 'submit', to: BOB, id: 1 });
});

t.test('a removed device with a ticket that still fits gets nothing through, however early it speaks', async (t) => {
  const fixture = await start();
  const owner = { user: ALICE, device: 1, creation: 3 };
  const ticket = new ResumeTickets('11'.repeat(32)).seal(owner, fixture.test.clock.nowMs());
  fixture.attaches = false;
  await fixture.say(resumeWith(ticket, fixture.socket.last('stream')!.nonce), MESSAGE);
  t.same(fixture.socket.closed, { code: 4400, reason: 'APP_PROTOCOL' });
  t.match(fixture.toInbox, [{ kind: 'attach', creation: 3 }]);
  t.equal(fixture.toInbox.length, 1);
  const patient = await start();
  patient.attaches = false;
  await patient.say(resumeWith(ticket, patient.socket.last('stream')!.nonce));
  await patient.tell({ kind: 'unregistered' });
  t.same(patient.socket.closed, { code: 4410, reason: 'APP_UNREGISTERED' });
  t.equal(patient.socket.last('success'), undefined);
});

t.test('a connection that its inbox does not take ends', async (t) => {
  const fixture = await start();
  fixture.attaches = false;
  await fixture.login();
  await fixture.test.advance(LOOK_MS);
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

t.test('a push that is missing ends the connection, so that no acknowledgement covers it', async (t) => {
  const entry = { sender: BOB, senderDevice: 1, senderCreation: 1, id: 1, ts: 1, type: 'ratchet' } as const;
  const push = (number: number): ConnectionMessage => ({
    kind: 'deliver',
    push: number,
    entries: [{ ...entry, seq: number, ciphertext: new Uint8Array(3) }],
  });
  const fixture = await start();
  await fixture.login();
  await fixture.tell(push(1));
  await fixture.tell(push(2));
  t.match(fixture.socket.last('message'), { seq: 2 });
  await fixture.tell(push(4));
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
  t.match(fixture.socket.last('message'), { seq: 2 }, 'what came after it is not written');
  const other = await start();
  await other.login();
  await other.tell(push(1));
  await other.tell({ kind: 'drained', push: 3 });
  t.same(other.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' }, 'the end of the queue is a push as well');
});

t.test('a message that is not answered from one look to the next ends the connection; answers keep it', async (t) => {
  const fixture = await start();
  await fixture.login();
  await fixture.say(MESSAGE);
  await fixture.test.advance(LOOK_MS);
  await fixture.tell({ kind: 'sent', to: BOB, id: 1, ts: 1 });
  await fixture.say({ ...MESSAGE, id: 2 });
  await fixture.test.advance(LOOK_MS);
  t.equal(fixture.socket.closed, undefined, 'the one of the look before was answered');
  await fixture.test.advance(LOOK_MS);
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
  const member = await start();
  await member.login();
  const group = '700000000000001';
  await member.say({ kind: 'group-message', group, id: 1, epoch: 1, ciphertext: new Uint8Array(3) });
  await member.test.advance(LOOK_MS);
  await member.tell({ kind: 'group-sent', group, id: 1, order: 1, ts: 1 });
  await member.test.advance(3 * LOOK_MS, LOOK_MS);
  t.equal(member.socket.closed, undefined);
  await member.say({ kind: 'group-message', group, id: 2, epoch: 1, ciphertext: new Uint8Array(3) });
  await member.test.advance(3 * LOOK_MS, LOOK_MS / 2);
  t.same(member.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

t.test('an acknowledgement is said twice, the second time at the look, and then no more', async (t) => {
  const fixture = await start();
  await fixture.login();
  await fixture.say({ kind: 'inbox-ack', seq: 4 }, { kind: 'inbox-ack', seq: 7 });
  const acknowledged = (): number[] =>
    fixture.toInbox.flatMap((message) => (message.kind === 'acknowledge' ? [message.seq] : []));
  t.strictSame(acknowledged(), [4, 7]);
  await fixture.test.advance(3 * LOOK_MS, LOOK_MS);
  t.strictSame(acknowledged(), [4, 7, 7]);
  t.equal(fixture.socket.closed, undefined);
});

t.test('acknowledgements and read marks beyond their rate wait or are lost; a flood ends the connection', async (t) => {
  const fixture = await start();
  await fixture.login();
  const read: ClientMessage = { kind: 'receipt', type: 'read', to: BOB, device: 1, id: 1 };
  const marks = (count: number): ClientMessage[] => Array.from({ length: count }, () => read);
  await fixture.say(...marks(LIMITS.marksBurstMax), { kind: 'inbox-ack', seq: 9 });
  t.match(fixture.toInbox.at(-1), { kind: 'mark-read' }, 'the acknowledgement waits');
  await fixture.test.advance(LOOK_MS);
  t.match(fixture.toInbox.at(-1), { kind: 'acknowledge', seq: 9 });
  t.equal(fixture.socket.closed, undefined);
  const { length } = fixture.toInbox;
  await fixture.say(...marks(LIMITS.marksBurstMax + LIMITS.rateRefusalsMax + 1));
  t.same(fixture.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
  t.equal(fixture.toInbox.length - length, LIMITS.marksBurstMax);
});

t.test('a connection whose mailbox had no room ends, whatever was lost', async (t) => {
  const fixture = await start();
  await fixture.login();
  for (let notice = 0; notice <= 10_000; notice++) {
    fixture.test.node.cast(fixture.socket.pid!, { kind: 'typing', from: BOB, state: 'paused' });
  }
  await fixture.test.settle();
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

t.test('while a shard is overloaded, its messages and requests are refused with a pause', async (t) => {
  const fixture = await start();
  await fixture.login();
  fixture.test.node.exit(fixture.test.node.whereis('inbox-of-bob')!, 'kill');
  fixture.test.node.exit(fixture.test.node.whereis('accounts')!, 'kill');
  await fixture.test.settle();
  await fixture.say(MESSAGE, { kind: 'iq-get', id: 8, request: { kind: 'prekey-count' } });
  t.match(fixture.socket.last('error'), { code: 'APP_OVERLOADED', retryAfter: 1 });
  t.match(fixture.socket.last('iq-error'), { id: 8, code: 'APP_OVERLOADED' });
});

t.test('pings are answered at the rate of a client, then not, and at last the connection is closed', async (t) => {
  const fixture = await start();
  await fixture.login();
  const ping = (count: number): ClientMessage[] =>
    Array.from({ length: count }, (_, at) => ({ kind: 'ping', id: at + 1 }));
  await fixture.say(...ping(LIMITS.pingsBurstMax + LIMITS.pingRefusalsMax));
  const pongs = (): number => fixture.socket.written.filter(({ kind }) => kind === 'pong').length;
  t.equal(pongs(), LIMITS.pingsBurstMax);
  t.equal(fixture.socket.closed, undefined);
  await fixture.test.advance(2_000);
  await fixture.say(...ping(1));
  t.equal(pongs(), LIMITS.pingsBurstMax + 1, 'a pause is forgiven');
  await fixture.say(...ping(LIMITS.pingsBurstMax + LIMITS.pingRefusalsMax));
  t.same(fixture.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
});

t.test('a signature that is not admitted is not looked at, and its client told when to come back', async (t) => {
  const fixture = await start();
  while (fixture.admission.verify() === undefined);
  await fixture.login();
  t.match(fixture.socket.last('failure'), { code: 'APP_OVERLOADED', retryAfter: 1 });
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
  t.strictSame(fixture.toAccounts, []);
  const other = await start();
  const owner = { user: ALICE, device: 1, creation: 4 };
  const ticket = new ResumeTickets('11'.repeat(32)).seal(owner, other.test.clock.nowMs());
  while (other.admission.verify() === undefined);
  await other.say(resumeWith(ticket, other.socket.last('stream')!.nonce));
  t.ok(other.socket.last('success'), 'a ticket needs no more than the connection had');
});

t.test('requests before login are those of an address, and refused in words', async (t) => {
  const fixture = await start({ addressRegistrations: 1 });
  const register: ClientMessage = { kind: 'iq-set', id: 1, request: { kind: 'register', phone: '+4915100000001' } };
  for (let round = 0; round < 11; round++) await fixture.say(register);
  t.equal(fixture.toAccounts.length, 10);
  t.match(fixture.socket.last('iq-error'), { code: 'APP_RATE_LIMITED', retryAfter: 60 });
  t.equal(fixture.socket.closed, undefined);
});

t.test('a server that closes says when to come back, to each client another time', async (t) => {
  const times = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const fixture = await start();
    for (let before = 0; before < round; before++) fixture.admission.comeBack();
    await fixture.login();
    fixture.test.node.exit(fixture.socket.pid!, 'shutdown');
    await fixture.test.settle();
    t.equal(fixture.socket.closed?.code, 4503);
    times.add(fixture.socket.last('failure')!.retryAfter!);
  }
  t.strictSame([...times], [1, 2, 3, 4, 5]);
  t.equal(LIMITS.comeBackSecondsSpan, times.size);
});

t.test('a login waits while its shard is between two owners, and attaches to the next', async (t) => {
  const fixture = await start();
  const { inbox, test, socket, toInbox } = fixture;
  inbox.node = 'lost';
  await fixture.login();
  await test.advance(LIMITS.shardLookMs * 3);
  t.equal(socket.closed, undefined);
  // Named as the owner, and its actors not there yet.
  Object.assign(inbox, { node: test.node.name, name: 'inbox-to-come' });
  await test.advance(LIMITS.shardLookMs * 3);
  t.strictSame([socket.closed, toInbox], [undefined, []]);
  inbox.name = 'inbox';
  await test.advance(LIMITS.shardLookMs);
  t.match(toInbox, [{ kind: 'attach', user: ALICE, isLate: true }]);
  t.equal(toInbox.length, 1);
  t.ok(socket.last('success'));
});

t.test(
  'a login whose account was between two owners is late as well; one that waited for nothing is not',
  async (t) => {
    for (const isLate of [false, true]) {
      const fixture = await start();
      if (isLate) Object.assign(fixture.accounts, { node: fixture.test.node.name, name: 'accounts-to-come' });
      await fixture.login();
      t.match(fixture.toInbox, [{ kind: 'attach', isLate }]);
    }
  },
);

t.test('a login that was overtaken while it waited comes again', async (t) => {
  const fixture = await start();
  fixture.attaches = false;
  await fixture.login();
  await fixture.tell({ kind: 'overtaken' });
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_RESTARTING' });
  t.match(fixture.socket.last('failure'), { retryAfter: 0 });
});

t.test('a login that waits for its shard in vain is told to come back', async (t) => {
  const fixture = await start();
  fixture.inbox.node = 'lost';
  await fixture.login();
  for (let miss = 0; miss <= LIMITS.shardMissesMax; miss++) await fixture.test.advance(LIMITS.shardLookMs);
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_RESTARTING' });
  t.match(fixture.socket.last('failure'), { retryAfter: 0 }, 'of few clients each at once');
});
