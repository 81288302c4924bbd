import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import t from 'tap';
import {
  clientStanza,
  encodedLength,
  FEATURES,
  LIMITS as WIRE_LIMITS,
  streamStanza,
  type ClientMessage,
  type Stanza,
} from '../protocol/wire/index.ts';
import type { Context } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { loginBytes } from './auth.ts';
import type { Admission, AdmissionBounds } from './admission.ts';
import { connection } from './connection.ts';
import { LIMITS } from './limits.ts';
import type { GroupsMessage } from './groups/messages.ts';
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
  readonly toGroups: GroupsMessage[];
  readonly toAccounts: AccountsMessage[];
  readonly admission: Admission;
  readonly toPresence: PresenceMessage[];
  /** Where the inbox of Alice's shard is. */
  readonly inbox: { name: string; worker: number; node?: string; shard?: number };
  readonly accounts: { name: string; worker: number; node?: string; shard?: number };
  /** Where that of Bob's is. */
  readonly inboxOfBob: { name: string; worker: number; node?: string; shard?: number };
  /** What Alice's inbox says to a connection that it takes. */
  attached: { readonly detours?: readonly string[]; readonly isDoubted?: boolean };
  say(...messages: ClientMessage[]): Promise<void>;
  /** Whether the inbox takes connections that ask it to. */
  attaches: boolean;
  /** Shards whose next owner it waits for. */
  readonly waitedFor: number[];
  tell(message: ConnectionMessage): Promise<void>;
  /** Logs in by signature. */
  login(features?: number): Promise<void>;
}

/** A connection whose neighbours only listen. @param of - The worker's, when others were there before. */
async function start(bounds: Partial<AdmissionBounds> = {}, of?: Admission): Promise<Fixture> {
  const test = createTestNode();
  const admission = of ?? openAdmission(test, bounds);
  const socket = new FakeSocket();
  const toInbox: InboxMessage[] = [];
  const toGroups: GroupsMessage[] = [];
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
      const attached: ConnectionMessage = { kind: 'attached', inbox: ctx.self, ...fixture.attached };
      if (isTaken) ctx.cast(message.connection, attached);
    },
  };
  test.node.spawn(takesConnections, undefined, { name: 'inbox' });
  test.node.spawn(takesConnections, undefined, { name: 'inbox-of-bob' });
  test.node.spawn(spy('test/groups', toGroups), undefined, { name: 'groups' });
  test.node.spawn(spy('test/accounts', toAccounts), undefined, { name: 'accounts' });
  test.node.spawn(spy('test/presence', toPresence), undefined, { name: 'presence' });
  const inbox: Fixture['inbox'] = { name: 'inbox', worker: 0 };
  const accounts: Fixture['accounts'] = { name: 'accounts', worker: 0 };
  const inboxOfBob: Fixture['inboxOfBob'] = { name: 'inbox-of-bob', worker: 0 };
  const groups = { name: 'groups', worker: 0 };
  const media = { name: 'media', worker: 0 };
  const presence = { name: 'presence', worker: 0 };
  const quotas = { name: 'quotas', worker: 0 };
  const relations = { name: 'relations', worker: 0 };
  const routes = {
    inboxOf: (user: string) => (user === BOB ? inboxOfBob : inbox),
    groupsOf: () => groups,
    accountsOf: () => accounts,
    accountsOfPhone: () => accounts,
    mediaOf: () => media,
    presenceOf: () => presence,
    quotasOf: () => quotas,
    relationsOf: () => relations,
    linksOf: () => ({ name: 'links', worker: 0 }),
    wakeupsOf: () => relations,
    get isClustered() {
      return inbox.node !== undefined;
    },
    waitForOwner: (shard: number) => void fixture.waitedFor.push(shard),
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
    toGroups,
    toAccounts,
    admission,
    toPresence,
    inbox,
    accounts,
    inboxOfBob,
    attached: {},
    attaches: true,
    waitedFor: [],
    async tell(message) {
      test.node.cast(socket.pid!, message);
      await test.settle();
    },
    async say(...messages) {
      const stanzas = messages.map(clientStanza);
      const { frameHeaderBytes } = WIRE_LIMITS;
      const bytes = stanzas.reduce((sum, stanza) => sum + encodedLength(stanza) + frameHeaderBytes, 0);
      test.node.cast(socket.pid!, { kind: 'frames', stanzas, bytes });
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
  'who says more bytes than the bucket holds is refused in every form, and goes on when it has filled',
  async (t) => {
    const fixture = await start();
    await fixture.login();
    const { socket, test, toInbox } = fixture;
    const flood = async (): Promise<void> => {
      const stanzas = [clientStanza(MESSAGE), clientStanza({ kind: 'inbox-ack', seq: 9 })];
      await fixture.tell({ kind: 'frames', stanzas, bytes: LIMITS.messageBytesMax });
    };
    const fits = LIMITS.inboundBytesBurstMax / LIMITS.messageBytesMax;
    for (let count = 0; count < fits; count++) await flood();
    t.equal(socket.last('error'), undefined, 'the whole bucket may be used');
    const taken = toInbox.length;
    await flood();
    t.match(socket.last('error'), { to: BOB, id: 1, code: 'APP_RATE_LIMITED', retryAfter: 1 });
    await fixture.say(
      { kind: 'iq-get', id: 5, request: { kind: 'limits' } },
      { kind: 'group-message', group: BOB, id: 3, epoch: 1, ciphertext: new Uint8Array(9) },
      { kind: 'availability', state: 'available' },
    );
    t.match(socket.last('iq-error'), { id: 5, code: 'APP_RATE_LIMITED', retryAfter: 1 });
    t.match(socket.last('group-error'), { id: 3, code: 'APP_RATE_LIMITED' });
    t.equal(fixture.toPresence.length, 0, 'a signal is lost without a word');
    t.equal(toInbox.length, taken, 'nothing went on');
    await test.advance(1_000);
    await flood();
    t.ok(toInbox.length > taken, 'a second later there is room for four megabytes');
    t.equal(socket.closed, undefined);
    for (let count = 0; count < 2 * LIMITS.rateRefusalsMax && socket.closed === undefined; count++) {
      await fixture.tell({ kind: 'frames', stanzas: [clientStanza({ kind: 'inbox-ack', seq: 9 })], bytes: 10_000_000 });
    }
    t.same(socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' }, 'who never stops is closed');
  },
);

/** What went to Bob's inbox, by id. */
function submitted({ toInbox }: Fixture): number[] {
  return toInbox.flatMap((message) => (message.kind === 'submit' ? [message.id] : []));
}

t.test(
  'what follows a message that the bucket of bytes refused does not open the conversation in its place',
  async (t) => {
    const fixture = await start();
    await fixture.login();
    const { socket, test } = fixture;
    const stanzas = (...ids: number[]): Stanza[] => ids.map((id) => clientStanza({ ...MESSAGE, id }));
    // All but a thousand bytes are taken.
    await fixture.tell({ kind: 'frames', stanzas: [], bytes: LIMITS.inboundBytesBurstMax - 1_000 });
    await fixture.tell({ kind: 'frames', stanzas: stanzas(1, 2, 3), bytes: LIMITS.messageBytesMax });
    await fixture.tell({ kind: 'frames', stanzas: stanzas(4, 5), bytes: 900 });
    t.strictSame(submitted(fixture), [], 'the shorter frame fits and goes no further');
    t.strictSame(
      socket.written.flatMap((message) => (message.kind === 'error' ? [`${message.id} ${message.code}`] : [])),
      ['1 APP_RATE_LIMITED', '2 APP_RATE_LIMITED', '3 APP_RATE_LIMITED', '4 APP_OUT_OF_ORDER', '5 APP_OUT_OF_ORDER'],
    );
    await test.advance(1_000);
    await fixture.tell({ kind: 'frames', stanzas: stanzas(1, 2), bytes: 900 });
    t.strictSame(submitted(fixture), [1, 2], 'it has come again');
  },
);

t.test('what follows a message that the bucket of messages refused waits for it; so in a group', async (t) => {
  const fixture = await start();
  await fixture.login();
  const { socket, test } = fixture;
  const others = Array.from({ length: LIMITS.messagesBurstMax }, (): ClientMessage => ({
    ...MESSAGE,
    to: ALICE,
    id: 1,
  }));
  await fixture.say(...others);
  const before = submitted(fixture).length;
  await fixture.say({ ...MESSAGE, id: 41 });
  t.match(socket.last('error'), { id: 41, code: 'APP_RATE_LIMITED' });
  await test.advance(100);
  await fixture.say({ ...MESSAGE, id: 42 });
  t.match(socket.last('error'), { id: 42, code: 'APP_OUT_OF_ORDER', expected: undefined });
  t.equal(submitted(fixture).length, before);
  await fixture.tell({ kind: 'sent', to: BOB, id: 40, ts: 1 });
  await fixture.say({ ...MESSAGE, id: 42 });
  t.equal(submitted(fixture).at(-1), 42, 'there is a record: the inbox keeps the order');
  const known: ConnectionMessage[] = [
    { kind: 'receipt', type: 'delivered', from: BOB, id: 43, ts: 1 },
    { kind: 'answer', iq: 1, answer: { kind: 'receipts', to: BOB, sent: 43, delivered: 0 } },
  ];
  for (const message of known) {
    await fixture.tell({ kind: 'frames', stanzas: [], bytes: LIMITS.inboundBytesBurstMax - 1_000 });
    await fixture.tell({ kind: 'frames', stanzas: [clientStanza({ ...MESSAGE, id: 43 })], bytes: 1_001 });
    t.match(socket.last('error'), { id: 43, code: 'APP_RATE_LIMITED' });
    await fixture.tell(message);
    await test.advance(10_000);
    await fixture.say({ ...MESSAGE, id: 44 });
    t.equal(submitted(fixture).at(-1), 44, `a ${message.kind} tells of one too`);
  }
  const inGroup = (id: number): ClientMessage => ({
    ...({ kind: 'group-message', group: BOB, id, epoch: 1 } as const),
    ciphertext: new Uint8Array(9),
  });
  await fixture.say(...Array.from({ length: LIMITS.groupMessagesBurstMax + 1 }, () => inGroup(7)));
  t.match(socket.last('group-error'), { id: 7, code: 'APP_RATE_LIMITED' });
  await test.advance(1_000);
  await fixture.say(inGroup(8));
  t.match(socket.last('group-error'), { id: 8, code: 'APP_OUT_OF_ORDER' });
  socket.written.length = 0;
  await fixture.say(inGroup(7), inGroup(8));
  t.equal(socket.last('group-error'), undefined);
});

t.test('a connection that has refused messages to more people than it can note ends', async (t) => {
  const fixture = await start();
  await fixture.login();
  const { socket, test } = fixture;
  for (let count = 0; count <= LIMITS.awaitedCountMax && socket.closed === undefined; count++) {
    if (count % 500 === 0) {
      // It may go on for a while: something is taken in between.
      await test.advance(10_000);
      await fixture.say(MESSAGE);
      await fixture.tell({ kind: 'frames', stanzas: [], bytes: LIMITS.inboundBytesBurstMax - 1_000 });
    }
    const stanzas = [clientStanza({ ...MESSAGE, to: String(600_000_000_000_000 + count) })];
    await fixture.tell({ kind: 'frames', stanzas, bytes: LIMITS.messageBytesMax });
  }
  t.same(socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

t.test('who floods a group is ended, and comes back to what is left and not to another burst', async (t) => {
  const inGroup = (id: number): ClientMessage => ({
    ...({ kind: 'group-message', group: BOB, id, epoch: 1 } as const),
    ciphertext: new Uint8Array(9),
  });
  const first = await start();
  await first.login();
  await first.say(
    ...Array.from({ length: LIMITS.groupMessagesBurstMax + LIMITS.rateRefusalsMax + 1 }, () => inGroup(7)),
  );
  t.same(first.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
  const second = await start({}, first.admission);
  await second.login();
  await second.say(inGroup(8));
  t.match(second.socket.last('group-error'), { id: 8, code: 'APP_RATE_LIMITED' });
  await second.test.advance(1_000);
  second.socket.written.length = 0;
  await second.say(inGroup(8));
  t.equal(second.socket.last('group-error'), undefined, 'a second fills it as it fills any');
  const other = await start();
  await other.login();
  await other.say(inGroup(8));
  t.equal(other.socket.last('group-error'), undefined, 'a worker that has not seen the flood begins with a full one');
});

t.test(
  'of a flood a little is always taken, and it ends all the same; who is refused less than is taken of it stays',
  async (t) => {
    const rounds = async (refused: number): Promise<{ closed: unknown; count: number }> => {
      const fixture = await start();
      await fixture.login();
      const say = (bytes: number): Promise<void> =>
        fixture.tell({ kind: 'frames', stanzas: [clientStanza(MESSAGE)], bytes });
      let count = 0;
      while (fixture.socket.closed === undefined && ++count <= 1_500) {
        await say(100);
        for (let index = 0; index < refused; index++) await say(2 * LIMITS.inboundBytesBurstMax);
      }
      return { closed: fixture.socket.closed, count };
    };
    const flood = await rounds(9);
    t.same(flood.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
    t.ok(
      flood.count >= LIMITS.rateRefusalsMax / 9 && flood.count < LIMITS.rateRefusalsMax / 7,
      `${flood.count} rounds`,
    );
    t.equal((await rounds(1)).closed, undefined);
  },
);

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

/** Alice, logged in on a node of a cluster; her inbox and that of Bob are the one of shard 5, which others may own next. */
async function startInCluster(features: number = FEATURES.secondGreeting): Promise<Fixture> {
  const fixture = await start();
  const node = fixture.test.node.name;
  for (const name of ['inbox', 'accounts'] as const)
    Object.assign(fixture[name], { name: `${name}.5`, node, shard: 5 });
  startInbox(fixture);
  fixture.test.node.spawn({ name: 'test/accounts', init: () => null, handleCast: () => undefined }, undefined, {
    name: 'accounts.5',
  });
  await fixture.login(features);
  return fixture;
}

/** The owner of shard 5, or its successor. */
function startInbox({ test, toInbox }: Fixture): void {
  const taking = {
    name: 'test/owner',
    init: () => null,
    handleCast: (message: InboxMessage, _state: null, ctx: Context) => {
      toInbox.push(message);
      if (message.kind !== 'attach') return;
      ctx.cast(message.connection, { kind: 'attached', inbox: ctx.self } satisfies ConnectionMessage);
    },
  };
  test.node.spawn(taking, undefined, { name: 'inbox.5' });
}

async function endInbox({ test }: Fixture): Promise<void> {
  test.node.exit(test.node.whereis('inbox.5')!, 'kill');
  await test.settle();
}

function greetings({ socket }: Fixture): number {
  return socket.written.filter(({ kind }) => kind === 'stream').length;
}

/** The answer to a second greeting, by signature. */
function answerTo({ socket }: Fixture, user: string = ALICE): ClientMessage {
  const { nonce } = socket.last('stream')!;
  const signature = new Uint8Array(sign(null, loginBytes(nonce, user, 1), privateKey));
  return { kind: 'auth', user, device: 1, signature, features: FEATURES.secondGreeting };
}

async function loginAgain(fixture: Fixture, user: string = ALICE): Promise<void> {
  const { test, socket, say, tell } = fixture;
  await say(answerTo(fixture, user));
  if (socket.closed === undefined) await tell({ kind: 'device-found', record: RECORD, preKeys: 41, kemPreKeys: 7 });
  await test.settle();
}

t.test('a client whose shard has moved is greeted again, when the next owner is there', async (t) => {
  const fixture = await startInCluster();
  const { socket, toInbox } = fixture;
  await fixture.tell({ kind: 'deliver', push: 1, entries: [] });
  await endInbox(fixture);
  t.strictSame(fixture.waitedFor, [5]);
  t.strictSame([socket.closed, greetings(fixture)], [undefined, 1], 'nobody serves it yet');
  startInbox(fixture);
  await fixture.tell({ kind: 'shard-served', shard: 5 });
  t.equal(greetings(fixture), 2);
  t.equal(fixture.admission.statistics().live, 0);
  await loginAgain(fixture);
  t.match(socket.last('success'), { user: ALICE, device: 1, preKeys: 41 });
  t.equal(toInbox.filter(({ kind }) => kind === 'attach').length, 2);
  t.equal(fixture.admission.statistics().live, 1);
  await fixture.tell({ kind: 'deliver', push: 1, entries: [] });
  await fixture.tell({ kind: 'drained', push: 2 });
  t.match(socket.written.at(-1), { kind: 'offline' }, 'pushes are counted from the beginning');
  t.equal(socket.closed, undefined);
});

t.test('once for all shards that it lost', async (t) => {
  const fixture = await startInCluster();
  const node = fixture.test.node.name;
  const { inbox } = fixture;
  Object.assign(inbox, { name: 'inbox.7', node, shard: 7 });
  fixture.test.node.spawn({ name: 'test/7', init: () => null, handleCast: () => undefined }, undefined, {
    name: 'inbox.7',
  });
  await fixture.say({ kind: 'iq-get', id: 1, request: { kind: 'receipts', to: '100000000000003' } });
  Object.assign(inbox, { name: 'inbox.5', shard: 5 });
  await endInbox(fixture);
  fixture.test.node.exit(fixture.test.node.whereis('inbox.7')!, 'kill');
  await fixture.test.settle();
  t.strictSame(fixture.waitedFor, [5, 7]);
  startInbox(fixture);
  await fixture.tell({ kind: 'shard-served', shard: 5 });
  t.equal(greetings(fixture), 1);
  const to = '100000000000003';
  const before = fixture.toInbox.length;
  await fixture.say({ ...MESSAGE, to, id: 2 });
  t.equal(fixture.toInbox.length, before, 'before the greeting nothing goes to one that is served again either');
  await fixture.tell({ kind: 'shard-served', shard: 7 });
  t.equal(greetings(fixture), 2);
  await loginAgain(fixture);
  await fixture.say({ ...MESSAGE, to });
  t.match(fixture.toInbox.at(-1), { kind: 'submit', to, id: 1 });
});

t.test('until then nothing goes to a shard that is lost: its next owner would begin with it', async (t) => {
  const fixture = await startInCluster();
  const to = '100000000000003';
  await fixture.say({ ...MESSAGE, to });
  await endInbox(fixture);
  startInbox(fixture);
  const before = fixture.toInbox.length;
  await fixture.say({ ...MESSAGE, to, id: 2 }, { kind: 'iq-get', id: 1, request: { kind: 'receipts', to } });
  t.equal(fixture.toInbox.length, before);
  t.strictSame(
    [fixture.socket.last('error'), fixture.socket.last('iq-error')],
    [undefined, undefined],
    'nor is it refused',
  );
  await fixture.say(MESSAGE);
  t.match(fixture.toInbox.at(-1), { kind: 'submit', to: BOB }, 'other shards go on');
  await fixture.tell({ kind: 'shard-served', shard: 5 });
  await loginAgain(fixture);
  await fixture.say({ ...MESSAGE, to });
  t.match(fixture.toInbox.at(-1), { kind: 'submit', to, id: 1 });
});

t.test('what a client said before it read the second greeting is passed by, and so is what was pushed', async (t) => {
  const fixture = await startInCluster();
  await endInbox(fixture);
  startInbox(fixture);
  await fixture.say({ kind: 'inbox-ack', seq: 3 });
  await fixture.tell({ kind: 'shard-served', shard: 5 });
  const before = fixture.toInbox.length;
  await fixture.say(MESSAGE, { kind: 'inbox-ack', seq: 4 }, { kind: 'availability', state: 'available' });
  await fixture.tell({ kind: 'deliver', push: 9, entries: [] });
  await fixture.test.advance(2 * LOOK_MS);
  t.equal(fixture.toInbox.length, before, 'an acknowledgement from before would cover what is pushed behind it');
  t.equal(fixture.socket.closed, undefined);
  await loginAgain(fixture);
  t.equal(fixture.socket.last('success')?.user, ALICE);
  for (let look = 0; look < 3; look++) await fixture.test.advance(LOOK_MS);
  t.equal(fixture.socket.closed, undefined, 'nothing from before is waited for');
});

t.test('what is sent behind a second greeting is waited for as ever', async (t) => {
  const fixture = await startInCluster();
  await fixture.say(MESSAGE);
  await endInbox(fixture);
  startInbox(fixture);
  await fixture.tell({ kind: 'shard-served', shard: 5 });
  await loginAgain(fixture);
  await fixture.say(MESSAGE);
  await fixture.test.advance(LOOK_MS);
  t.equal(fixture.socket.closed, undefined);
  await fixture.test.advance(LOOK_MS);
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

/** The shard has another owner, and the client has not answered the second greeting yet. */
async function greetAgain(fixture: Fixture): Promise<void> {
  await endInbox(fixture);
  startInbox(fixture);
  await fixture.tell({ kind: 'shard-served', shard: 5 });
}

async function startGreeted(): Promise<Fixture> {
  const fixture = await startInCluster();
  await greetAgain(fixture);
  return fixture;
}

t.test('with the second greeting ends what the client has said and asked of presence', async (t) => {
  const fixture = await startInCluster();
  await fixture.say(
    { kind: 'availability', state: 'available' },
    { kind: 'iq-set', id: 1, request: { kind: 'subscribe', to: BOB } },
    { kind: 'iq-set', id: 2, request: { kind: 'group-subscribe', group: BOB } },
  );
  fixture.toPresence.length = 0;
  await greetAgain(fixture);
  const connection = fixture.socket.pid!;
  t.strictSame(fixture.toPresence, [
    { kind: 'announce', connection, user: ALICE, state: 'unavailable' },
    { kind: 'unwatch', connection, owner: BOB },
    { kind: 'unwatch-group', connection, group: BOB },
  ]);
  await fixture.say({ kind: 'availability', state: 'unavailable' }, { kind: 'unsubscribe', to: BOB });
  t.equal(fixture.toPresence.length, 3, 'what takes it back may come too late to be heard');
  await loginAgain(fixture);
  for (let index = 0; index < LIMITS.presenceSubscriptionsMax; index++) {
    const to = String(200_000_000_000_000 + index);
    await fixture.say({ kind: 'iq-set', id: index + 1, request: { kind: 'subscribe', to } });
  }
  t.equal(fixture.socket.last('iq-error'), undefined, 'all of its subscriptions are free again');
});

t.test(
  'a connection that logs in again at an inbox of an earlier version is not told that it was replaced',
  async (t) => {
    const fixture = await startGreeted();
    fixture.attaches = false;
    // This one takes nobody until it is told to.
    fixture.inbox.name = 'inbox';
    await loginAgain(fixture);
    await fixture.tell({ kind: 'replaced' });
    t.equal(fixture.socket.closed, undefined);
    await fixture.tell({ kind: 'attached', inbox: fixture.test.node.whereis('inbox')! });
    t.match(fixture.socket.last('success'), { preKeys: 41 });
    await fixture.tell({ kind: 'replaced' });
    t.same(fixture.socket.closed, { code: 4409, reason: 'APP_REPLACED' }, 'from then on it means another one');
  },
);

t.test('what is passed by has the byte rate of all else, and does not stand in the way of the login', async (t) => {
  const bytes = LIMITS.inboundBytesBurstMax;
  const passedBy = async (count: number): Promise<Fixture> => {
    const fixture = await startGreeted();
    await fixture.tell({ kind: 'frames', stanzas: [clientStanza(MESSAGE)], bytes });
    const messages = Array.from({ length: count }, () => MESSAGE);
    await fixture.tell({ kind: 'frames', stanzas: messages.map(clientStanza), bytes });
    return fixture;
  };
  const flood = await passedBy(LIMITS.rateRefusalsMax + 1);
  t.same(flood.socket.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
  const client = await passedBy(LIMITS.rateRefusalsMax);
  await client.tell({ kind: 'frames', stanzas: [clientStanza(answerTo(client))], bytes });
  await client.tell({ kind: 'device-found', record: RECORD, preKeys: 41, kemPreKeys: 7 });
  t.match(client.socket.last('success'), { preKeys: 41 });
});

t.test('who goes while greeted again comes back to what is left for groups', async (t) => {
  const first = await startInCluster();
  const inGroup = {
    ...({ kind: 'group-message', group: BOB, id: 7, epoch: 1 } as const),
    ciphertext: new Uint8Array(9),
  };
  await first.say(...Array.from({ length: LIMITS.groupMessagesBurstMax }, () => inGroup));
  await greetAgain(first);
  await first.tell({ kind: 'socket-closed' });
  const second = await start({}, first.admission);
  await second.login();
  await second.say(inGroup);
  t.match(second.socket.last('group-error'), { id: 7, code: 'APP_RATE_LIMITED' });
});

t.test('nobody else may answer a second greeting, and who does not is let go', async (t) => {
  const other = await startGreeted();
  await loginAgain(other, BOB);
  t.same(other.socket.closed, { code: 4400, reason: 'APP_PROTOCOL' });
  const silent = await startGreeted();
  await silent.test.advance(LIMITS.nonceAgeMsMax);
  t.same(silent.socket.closed, { code: 4401, reason: 'APP_LOGIN_TIMEOUT' });
});

t.test('a client that cannot be greeted again comes again, and so does one whose shard nobody serves', async (t) => {
  const plain = await startInCluster(0);
  await endInbox(plain);
  t.equal(plain.socket.closed, undefined, 'not before there is somebody to come to');
  await plain.tell({ kind: 'shard-served', shard: 5 });
  t.same(plain.socket.closed, { code: 4503, reason: 'APP_RESTARTING' });
  const missing = await startInCluster();
  await endInbox(missing);
  await missing.tell({ kind: 'shard-missing', shard: 5 });
  t.same(missing.socket.closed, { code: 4503, reason: 'APP_RESTARTING' });
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
    t.match(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
    t.equal(fixture.socket.last('failure')!.code, 'APP_OVERLOADED');
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

/** A connection of a node in a cluster: what it says to Bob goes to his shard, or to the outbox of hers. */
async function startInReach(attached: Fixture['attached'] = {}): Promise<Fixture> {
  const fixture = await start();
  fixture.attached = attached;
  fixture.inboxOfBob.node = 'test';
  await fixture.login();
  fixture.toInbox.length = 0;
  return fixture;
}

/** Whether Bob's shard is in reach of the connection. */
function reach(fixture: Fixture, isThere: boolean): void {
  fixture.inboxOfBob.node = isThere ? 'test' : '-';
}

/** What went where since the last call: to a shard, or by a detour and behind which. */
function ways({ toInbox }: Fixture): string[] {
  return toInbox
    .splice(0)
    .flatMap((message) =>
      message.kind === 'submit' || message.kind === 'detour'
        ? [`${message.kind === 'submit' ? 'straight' : 'detour'} ${message.id} after ${message.after}`]
        : [],
    );
}

function refusedIds({ socket }: Fixture): string[] {
  return socket.written.flatMap((message) => (message.kind === 'error' ? [`${message.code} ${message.id}`] : []));
}

t.test(
  'a shard that is out of reach: messages take the detour, behind each other, until nothing waits there',
  async (t) => {
    const fixture = await startInReach();
    reach(fixture, false);
    for (const id of [1, 2]) await fixture.say({ ...MESSAGE, id });
    t.strictSame(ways(fixture), ['detour 1 after 0', 'detour 2 after 1']);
    await fixture.tell({ kind: 'sent', to: BOB, id: 2, ts: 1 });
    t.match(fixture.socket.last('ack'), { to: BOB, id: 2 });
    reach(fixture, true);
    await fixture.say({ ...MESSAGE, id: 3 });
    t.strictSame(ways(fixture), ['detour 3 after 0'], 'what came later would come first');
    await fixture.tell({ kind: 'detour-ended', to: BOB });
    await fixture.say({ ...MESSAGE, id: 4 });
    t.strictSame(ways(fixture), ['detour 4 after 3'], 'one is on its way');
    await fixture.tell({ kind: 'sent', to: BOB, id: 4, ts: 1 });
    await fixture.tell({ kind: 'detour-ended', to: BOB });
    await fixture.say({ ...MESSAGE, id: 5 });
    t.strictSame(ways(fixture), ['straight 5 after 0']);
    t.strictSame(refusedIds(fixture), []);
  },
);

t.test(
  'what follows something that a shard has not answered takes no detour: its acknowledgement would cover both',
  async (t) => {
    const fixture = await startInReach();
    await fixture.say({ ...MESSAGE, id: 7 });
    reach(fixture, false);
    await fixture.say({ ...MESSAGE, id: 8 });
    t.strictSame(ways(fixture), ['straight 7 after 0']);
    t.strictSame(refusedIds(fixture), ['APP_OVERLOADED 8']);
    await fixture.tell({ kind: 'sent', to: BOB, id: 7, ts: 1 });
    await fixture.say({ ...MESSAGE, id: 9 });
    t.strictSame(ways(fixture), [], 'nor does what follows that');
    await fixture.say({ ...MESSAGE, id: 8 });
    t.strictSame(ways(fixture), ['detour 8 after 0']);
  },
);

t.test('what follows something that a shard has refused takes no detour before that comes again', async (t) => {
  const fixture = await startInReach();
  for (const id of [1, 2]) await fixture.say({ ...MESSAGE, id });
  await fixture.tell({ kind: 'refused', to: BOB, id: 1, refusal: { code: 'APP_DEVICES_CHANGED', devices: [1] } });
  await fixture.tell({ kind: 'refused', to: BOB, id: 2, refusal: { code: 'APP_OUT_OF_ORDER', expected: 1 } });
  ways(fixture);
  reach(fixture, false);
  await fixture.say({ ...MESSAGE, id: 3 });
  t.strictSame(ways(fixture), []);
  for (const id of [1, 2, 3]) await fixture.say({ ...MESSAGE, id });
  t.strictSame(ways(fixture), ['detour 1 after 0', 'detour 2 after 1', 'detour 3 after 2']);
});

t.test(
  'a shard is told behind what a message comes: behind what has no answer, and what was refused and has not come again',
  async (t) => {
    const fixture = await startInReach();
    for (const id of [4, 5, 6]) await fixture.say({ ...MESSAGE, id });
    t.strictSame(ways(fixture), ['straight 4 after 0', 'straight 5 after 4', 'straight 6 after 5']);
    await fixture.tell({ kind: 'refused', to: BOB, id: 4, refusal: { code: 'APP_STORE_FULL' } });
    await fixture.say({ ...MESSAGE, id: 4 });
    // Late, of what was said before.
    for (const id of [5, 6])
      await fixture.tell({ kind: 'refused', to: BOB, id, refusal: { code: 'APP_OUT_OF_ORDER' } });
    await fixture.say({ ...MESSAGE, id: 5 });
    await fixture.tell({ kind: 'sent', to: BOB, id: 5, ts: 1 });
    await fixture.say({ ...MESSAGE, id: 6 });
    t.strictSame(ways(fixture), ['straight 4 after 0', 'straight 5 after 4', 'straight 6 after 0']);
    await fixture.tell({ kind: 'refused', to: BOB, id: 6, refusal: { code: 'APP_STORE_FULL' } });
    await fixture.say({ ...MESSAGE, id: 7 });
    t.strictSame(ways(fixture), ['straight 7 after 6']);
  },
);

t.test('in a cluster the owner of a group is told as well, and of what was refused', async (t) => {
  for (const isClustered of [true, false]) {
    const fixture = await start();
    if (isClustered) fixture.inbox.node = 'test';
    await fixture.login();
    const say = (id: number): Promise<void> =>
      fixture.say({ kind: 'group-message', group: BOB, id, epoch: 1, ciphertext: new Uint8Array(3) });
    const refuse = (id: number): Promise<void> =>
      fixture.tell({ kind: 'group-refused', group: BOB, id, refusal: { code: 'APP_STORE_FULL' } });
    const told = (): string[] =>
      fixture.toGroups.splice(0).map((each) => (each.kind === 'group-submit' ? `${each.id} after ${each.after}` : ''));
    for (const id of [4, 5]) await say(id);
    t.strictSame(told(), ['4 after 0', '5 after 4']);
    for (const id of [4, 5]) await refuse(id);
    await say(6);
    t.strictSame(told(), [`6 after ${isClustered ? 4 : 0}`], 'whose owner may be another by now');
    await refuse(6);
    for (const id of [4, 5]) await say(id);
    await fixture.tell({ kind: 'group-sent', group: BOB, id: 5, order: 1, ts: 1 });
    await say(6);
    t.strictSame(told(), ['4 after 0', '5 after 4', '6 after 0']);
  }
});

t.test('who is refused by more groups than a connection notes is ended', async (t) => {
  const fixture = await start();
  fixture.inbox.node = 'test';
  await fixture.login();
  await fixture.say({ kind: 'group-message', group: BOB, id: 1, epoch: 1, ciphertext: new Uint8Array(3) });
  for (let number = 0; number <= LIMITS.awaitedCountMax; number++) {
    t.equal(fixture.socket.closed, undefined);
    const group = String(700_000_000_000_000 + number);
    await fixture.tell({ kind: 'group-refused', group, id: 1, refusal: { code: 'APP_UNKNOWN_GROUP' } });
  }
  t.same(fixture.socket.closed, { code: 4503, reason: 'APP_OVERLOADED' });
});

t.test('an acknowledgement of the outbox lets nothing past what was refused', async (t) => {
  const fixture = await startInReach();
  reach(fixture, false);
  for (const id of [1, 2]) await fixture.say({ ...MESSAGE, id });
  await fixture.tell({ kind: 'refused', to: BOB, id: 2, refusal: { code: 'APP_STORE_FULL' } });
  await fixture.tell({ kind: 'sent', to: BOB, id: 1, ts: 1 });
  await fixture.say({ ...MESSAGE, id: 3 });
  t.strictSame(ways(fixture), ['detour 1 after 0', 'detour 2 after 1']);
  t.strictSame(refusedIds(fixture).at(-1), 'APP_OUT_OF_ORDER 3');
});

t.test('a connection that begins goes on behind what waits of its device', async (t) => {
  const fixture = await startInReach({ detours: [BOB] });
  await fixture.say({ ...MESSAGE, id: 4 });
  t.strictSame(ways(fixture), ['detour 4 after 0'], 'with the shard in reach');
});

t.test(
  'a shard whose log does not answer is not asked again: the message takes the detour when it comes again',
  async (t) => {
    const fixture = await startInReach();
    await fixture.say({ ...MESSAGE, id: 1 });
    await fixture.tell({ kind: 'refused', to: BOB, id: 1, refusal: { code: 'APP_UNAVAILABLE', retryAfter: 1 } });
    await fixture.say({ ...MESSAGE, id: 1 });
    t.strictSame(ways(fixture), ['straight 1 after 0', 'detour 1 after 0']);
  },
);

t.test('a refusal says nothing of what was handed over before: that is unanswered still', async (t) => {
  const fixture = await startInReach();
  const unavailable = { code: 'APP_UNAVAILABLE', retryAfter: 1 } as const;
  for (const id of [2, 3]) await fixture.say({ ...MESSAGE, id });
  await fixture.tell({ kind: 'refused', to: BOB, id: 3, refusal: unavailable });
  await fixture.say({ ...MESSAGE, id: 3 });
  t.strictSame(
    ways(fixture),
    ['straight 2 after 0', 'straight 3 after 2', 'straight 3 after 2'],
    'the check mark of 3 would cover 2',
  );
  await fixture.tell({ kind: 'sent', to: BOB, id: 2, ts: 1 });
  await fixture.tell({ kind: 'refused', to: BOB, id: 3, refusal: unavailable });
  await fixture.say({ ...MESSAGE, id: 3 });
  t.strictSame(ways(fixture), ['detour 3 after 0']);
});

t.test('one that the outbox refused comes again behind what is on its way there', async (t) => {
  const fixture = await startInReach();
  reach(fixture, false);
  for (const id of [5, 6]) await fixture.say({ ...MESSAGE, id });
  await fixture.tell({ kind: 'refused', to: BOB, id: 6, refusal: { code: 'APP_MESSAGE_TOO_LARGE' } });
  await fixture.say({ ...MESSAGE, id: 6 });
  t.strictSame(ways(fixture), ['detour 5 after 0', 'detour 6 after 5', 'detour 6 after 5']);
});

t.test('what the outbox refused after a doubt takes the detour when it comes again', async (t) => {
  const fixture = await startInReach({ isDoubted: true });
  await fixture.say({ ...MESSAGE, id: 4 });
  await fixture.tell({ kind: 'refused', to: BOB, id: 4, refusal: { code: 'APP_STORE_FULL', retryAfter: 1 } });
  await fixture.tell({ kind: 'detour-ended', to: BOB });
  await fixture.say({ ...MESSAGE, id: 4 });
  t.strictSame(ways(fixture), ['detour 4 after 0', 'detour 4 after 0']);
});

t.test('where an outbox may be lost, the first message to anybody takes the detour, and no other', async (t) => {
  const fixture = await startInReach({ isDoubted: true });
  await fixture.say({ ...MESSAGE, id: 4 });
  await fixture.tell({ kind: 'sent', to: BOB, id: 4, ts: 1 });
  await fixture.tell({ kind: 'detour-ended', to: BOB });
  await fixture.say({ ...MESSAGE, id: 5 });
  t.strictSame(ways(fixture), ['detour 4 after 0', 'straight 5 after 0']);
});

t.test('an inbox of the sender that is out of reach as well: refused, as without an outbox', async (t) => {
  const fixture = await startInReach();
  reach(fixture, false);
  fixture.inbox.node = '-';
  await fixture.say({ ...MESSAGE, id: 1 });
  t.strictSame(ways(fixture), []);
  t.strictSame(refusedIds(fixture), ['APP_OVERLOADED 1']);
});
