/** Two devices through the public functions: beginning, refusing, changing identity, closing, starting at once. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { concat } from './bytes.ts';
import { decodePreKeyMessage, decodeRatchetMessage, encodePreKeyMessage, encodeRatchetBody } from './ciphertext.ts';
import { prepareSend } from './double-ratchet.ts';
import { isSignalError } from './errors.ts';
import { generateKeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import type { PreKeyBundle } from './pre-keys.ts';
import { primitives } from './primitives.ts';
import { deriveMessageKeys } from './ratchet-keys.ts';
import { encodeSessionRecord } from './record-codec.ts';
import { encrypt, initiateSession, readPreKeyHeader } from './session.ts';
import { closeSession, hasSession, remoteIdentityKey, remoteRegistrationId, SessionRecord } from './session-record.ts';
import { createConversation, Device, seededIntegers, type Envelope } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { fromHex, toHex, transcripts } from './testing/transcripts.ts';
import { xeddsaSign } from './xeddsa.ts';

const publicKeyOf = (device: Device): Uint8Array => device.local.identityKeyPair.publicKey;

for (const transcript of transcripts) {
  t.test(`our Alice and our Bob have the recorded conversation: ${transcript.name}`, async (t) => {
    const oneTime = transcript.bob.oneTimePreKeyId !== null;
    const alice = new Device('transcript alice', 0, { hybrid: false });
    const bob = new Device('transcript bob', 1, { hybrid: false });
    alice.initiate(bob.bundle(oneTime ? 100 : undefined));
    const inner = (type: string | undefined, bytes: Uint8Array) =>
      must(decodeRatchetMessage(type === 'prekey' ? must(decodePreKeyMessage(bytes)).message : bytes));

    /** The recorded texts of each of Alice's chains, by counter. */
    const texts = new Map<string, string[]>();
    const chains = transcript.steps.map(({ type, ciphertext, bob: action, plaintextUtf8 }) => {
      const { header } = inner(type, fromHex(ciphertext));
      const chain = toHex(header.ratchetKey);
      if (action === 'decrypt') (texts.get(chain) ?? texts.set(chain, []).get(chain)!)[header.counter] = plaintextUtf8;
      return { chain, header };
    });

    const underway: Envelope[] = []; // from Bob
    const sent = new Map<string, Envelope[]>(); // from Alice, by chain
    for (const [index, step] of transcript.steps.entries()) {
      const { chain, header } = chains[index]!;
      if (step.bob === 'encrypt') {
        const ours = bob.send(step.plaintextUtf8);
        t.equal(ours.ciphertext.length, step.ciphertext.length / 2, 'as long as the recorded one');
        t.equal(inner('message', ours.ciphertext).header.counter, header.counter);
        t.equal(inner('message', ours.ciphertext).header.previousCounter, header.previousCounter);
        underway.push(ours);
        continue;
      }
      if (!sent.has(chain)) {
        for (const envelope of underway.splice(0)) must(alice.receive(envelope));
        sent.set(
          chain,
          Array.from(texts.get(chain)!, (text) => alice.send(text ?? 'never delivered')),
        );
      }
      const envelope = sent.get(chain)![header.counter]!;
      t.equal(envelope.type, step.type === 'prekey' ? 'prekey' : 'ratchet');
      t.equal(inner(step.type, envelope.ciphertext).header.previousCounter, header.previousCounter);
      t.equal(bob.receive(envelope), step.plaintextUtf8);
    }
    for (const envelope of underway) must(alice.receive(envelope));
  });
}

t.test('a session begins with a one-time pre-key, and without one', async (t) => {
  for (const oneTimePreKeyId of [100, undefined]) {
    const [alice, bob] = [new Device('begin/alice'), new Device('begin/bob', 1)];
    alice.initiate(bob.bundle(oneTimePreKeyId));
    const first = alice.send('one');
    const second = alice.send('two');
    t.same([first.type, second.type], ['prekey', 'prekey'], 'until the peer has answered');
    const received = must(bob.tryReceive(first)) as { consumedOneTimePreKeyId?: number };
    t.equal(received.consumedOneTimePreKeyId, oneTimePreKeyId);
    t.equal(bob.receive(first), 'one');
    const again = must(bob.tryReceive(second)) as { consumedOneTimePreKeyId?: number };
    t.equal(again.consumedOneTimePreKeyId, undefined, 'consumed once');
    t.equal(bob.receive(second), 'two');
    const answer = bob.send('answer');
    t.equal(answer.type, 'ratchet');
    t.equal(alice.receive(answer), 'answer');
    t.equal(alice.send('three').type, 'ratchet', 'the answer showed that the offer arrived');
    t.same(remoteIdentityKey(alice.record!), publicKeyOf(bob));
    t.same(remoteIdentityKey(bob.record!), publicKeyOf(alice));
    t.equal(remoteRegistrationId(bob.record!), alice.local.registrationId);
    t.equal(remoteRegistrationId(alice.record!), bob.local.registrationId);
  }
});

t.test('a pre-key header names what is to be loaded', async (t) => {
  const [alice, bob] = [new Device('header/alice'), new Device('header/bob', 1)];
  alice.initiate(bob.bundle(100));
  t.same(must(readPreKeyHeader(alice.send('x').ciphertext)), {
    signedPreKeyId: 7,
    oneTimePreKeyId: 100,
    kemPreKeyId: 900,
    registrationId: alice.local.registrationId,
    identityKey: publicKeyOf(alice),
  });
  t.equal(codeOf(readPreKeyHeader(new Uint8Array(3))), 'SIG_UNSUPPORTED_VERSION');
});

t.test('a bundle that the server tampered with is refused', async (t) => {
  const [alice, bob, mallory] = [new Device('bundle/alice'), new Device('bundle/bob', 1), new Device('bundle/mallory')];
  const genuine = bob.bundle(100);
  const zero = new Uint8Array(33).with(0, 5);
  const { signedPreKey, kemPreKey } = genuine;
  const foreign = mallory.bundle().kemPreKey!;
  const retyped = kemPreKey!.publicKey.with(0, 5);
  const coefficients = new Uint8Array(1_569).fill(0xff).with(0, 6);
  const statement = concat(
    new TextEncoder().encode('blindbeam kem pre-key 1\0'),
    Uint8Array.of(2, 0, 0, 0, 77),
    coefficients,
  );
  const signature = xeddsaSign(bob.local.identityKeyPair.privateKey, statement, bob.random);
  const unreduced = { id: 77, publicKey: coefficients, signature, lastResort: true };
  const cases: readonly [string, Partial<PreKeyBundle>, string][] = [
    ['as it is', {}, 'ok'],
    ['another identity', { identityKey: publicKeyOf(mallory) }, 'SIG_BAD_SIGNATURE'],
    ['another pre-key', { signedPreKey: { ...signedPreKey, publicKey: publicKeyOf(mallory) } }, 'SIG_BAD_SIGNATURE'],
    ['another signature', { signedPreKey: mallory.bundle().signedPreKey }, 'SIG_BAD_SIGNATURE'],
    ['a cut signature', { signedPreKey: { ...signedPreKey, signature: new Uint8Array(63) } }, 'SIG_BAD_SIGNATURE'],
    ['a small-order identity', { identityKey: zero }, 'SIG_BAD_KEY'],
    ['a small-order pre-key', { signedPreKey: { ...signedPreKey, publicKey: zero } }, 'SIG_BAD_KEY'],
    ['a small-order one-time pre-key', { oneTimePreKey: { id: 1, publicKey: zero } }, 'SIG_BAD_KEY'],
    ['another KEM pre-key', { kemPreKey: { ...kemPreKey!, publicKey: foreign.publicKey } }, 'SIG_BAD_SIGNATURE'],
    ['a KEM pre-key of another identity', { kemPreKey: foreign }, 'SIG_BAD_SIGNATURE'],
    ['a KEM pre-key under another id', { kemPreKey: { ...kemPreKey!, id: 901 } }, 'SIG_BAD_SIGNATURE'],
    ['a last-resort key as a one-time one', { kemPreKey: { ...kemPreKey!, lastResort: false } }, 'SIG_BAD_SIGNATURE'],
    ['a cut KEM pre-key', { kemPreKey: { ...kemPreKey!, publicKey: new Uint8Array(1_568) } }, 'SIG_BAD_KEY'],
    ['a KEM pre-key of another type', { kemPreKey: { ...kemPreKey!, publicKey: retyped } }, 'SIG_BAD_KEY'],
    ['a KEM pre-key that is signed and none', { kemPreKey: unreduced }, 'SIG_BAD_KEY'],
    ['a KEM id that is none', { kemPreKey: { ...kemPreKey!, id: 0.5 } }, 'SIG_MALFORMED'],
    ['an id that is none', { signedPreKey: { ...signedPreKey, id: 2 ** 32 } }, 'SIG_MALFORMED'],
    ['a registration id that is none', { registrationId: -1 }, 'SIG_MALFORMED'],
  ];
  for (const [name, change, code] of cases) {
    t.equal(codeOf(initiateSession(alice.local, { ...genuine, ...change }, undefined, alice.random)), code, name);
  }
});

t.test('a bundle that is not bytes is a wrong call, by the name of its field', async (t) => {
  const [alice, bob] = [new Device('bundle/alice'), new Device('bundle/bob')];
  const wrong = { ...bob.bundle(), identityKey: '05' as never };
  t.throws(() => initiateSession(alice.local, wrong, undefined, alice.random), { message: /"bundle.identityKey"/ });
  const wrongKem = { ...bob.bundle(), kemPreKey: { ...bob.bundle().kemPreKey!, publicKey: '06' as never } };
  t.throws(() => initiateSession(alice.local, wrongKem, undefined, alice.random), { message: /kemPreKey.publicKey/ });
});

t.test('unknown pre-keys', async (t) => {
  const [alice, bob] = [new Device('unknown/alice'), new Device('unknown/bob', 1)];
  alice.initiate(bob.bundle(100));
  const first = alice.send('x');
  const key = bob.oneTimePreKeys.get(100)!;
  bob.oneTimePreKeys.delete(100);
  t.equal(codeOf(bob.receive(first)), 'SIG_UNKNOWN_PREKEY', 'a one-time pre-key used before');
  bob.oneTimePreKeys.set(100, key);
  const renamed = encodePreKeyMessage({ ...must(decodePreKeyMessage(first.ciphertext)), signedPreKeyId: 8 });
  t.equal(codeOf(bob.receive({ type: 'prekey', ciphertext: renamed })), 'SIG_UNKNOWN_PREKEY', 'a signed one');
  const kem = bob.kemPreKeys.get(900)!;
  bob.kemPreKeys.delete(900);
  t.equal(codeOf(bob.receive(first)), 'SIG_UNKNOWN_PREKEY', 'a KEM pre-key, on a device that publishes none');
  bob.kemPreKeys.set(901, kem);
  t.equal(codeOf(bob.receive(first)), 'SIG_UNKNOWN_PREKEY', 'and on one that publishes others');
  bob.kemPreKeys.set(900, kem);
  t.equal(bob.receive(first), 'x');
  t.notOk(bob.oneTimePreKeys.has(100));
  t.equal(codeOf(bob.receive(first)), 'SIG_DUPLICATE', 'a replay finds its session, not the pre-key');
});

t.test('a failed decryption changes nothing, and what was meant still arrives', async (t) => {
  const { alice, bob } = createConversation('failures');
  const inOrder = alice.send('in order');
  alice.send('lost');
  const ahead = alice.send('ahead');
  must(bob.receive(inOrder));
  const foreign = createConversation('strangers').alice.send('not for you');
  const turned = (must(alice.receive(bob.send('turn'))), alice.send('turned'));
  const flipped = ({ type, ciphertext }: Envelope, index: number): Envelope => ({
    type,
    ciphertext: ciphertext.with(index, ciphertext[index]! ^ 1),
  });
  const failures: readonly [string, Envelope, string][] = [
    ['a repeated message', inOrder, 'SIG_DUPLICATE'],
    ['a flipped bit in the MAC', flipped(ahead, ahead.ciphertext.length - 1), 'SIG_BAD_MAC'],
    ['a flipped bit in the body', flipped(ahead, ahead.ciphertext.length - 9), 'SIG_BAD_MAC'],
    ['a flipped bit in the counter', flipped(ahead, 37), 'SIG_BAD_MAC'],
    ['a flipped bit in the version', flipped(ahead, 0), 'SIG_BAD_MAC'],
    ['a flipped bit in a new ratchet key', flipped(turned, 10), 'SIG_BAD_MAC'],
    ['a flipped bit in a turn', flipped(turned, turned.ciphertext.length - 1), 'SIG_BAD_MAC'],
    ['a message of strangers', foreign, 'SIG_BAD_MAC'],
    ['a cut message', { type: 'ratchet', ciphertext: ahead.ciphertext.subarray(0, 40) }, 'SIG_MALFORMED'],
  ];
  const before = bob.record!;
  const bytesBefore = toHex(encodeSessionRecord(before));
  for (const [name, envelope, code] of failures) {
    t.equal(codeOf(bob.receive(envelope)), code, name);
    t.equal(bob.record, before);
    t.equal(toHex(encodeSessionRecord(before)), bytesBefore, 'byte for byte');
  }
  t.equal(bob.receive(ahead), 'ahead');
  t.equal(bob.receive(turned), 'turned');
  t.equal(toHex(encodeSessionRecord(before)), bytesBefore, 'success leaves the earlier record alone, too');
});

t.test('a failed pre-key message consumes nothing', async (t) => {
  const [alice, bob] = [new Device('waste/alice'), new Device('waste/bob', 1)];
  alice.initiate(bob.bundle(100));
  const { type, ciphertext } = alice.send('x');
  const message = must(decodePreKeyMessage(ciphertext));
  const inner = message.message.with(-1, message.message.at(-1)! ^ 1);
  t.equal(
    codeOf(bob.receive({ type, ciphertext: encodePreKeyMessage({ ...message, message: inner }) })),
    'SIG_BAD_MAC',
  );
  const forged = encodePreKeyMessage({ ...message, identityKey: publicKeyOf(new Device('waste/mallory')) });
  t.equal(codeOf(bob.receive({ type, ciphertext: forged })), 'SIG_BAD_MAC', 'an identity that did not send it');
  t.equal(bob.record, undefined);
  t.ok(bob.oneTimePreKeys.has(100));
  t.equal(bob.receive({ type, ciphertext }), 'x');
  t.equal(
    codeOf(bob.receive({ type, ciphertext: forged })),
    'SIG_UNKNOWN_PREKEY',
    'nor does it find the session by its base key',
  );
});

t.test('both start at once, and agree on one session', async (t) => {
  const [alice, bob] = [new Device('at once/alice', 1), new Device('at once/bob', 1)];
  alice.initiate(bob.bundle(100));
  bob.initiate(alice.bundle(100));
  const [fromAlice, fromBob] = [alice.send('from alice'), bob.send('from bob')];
  t.equal(bob.receive(fromAlice), 'from alice');
  t.equal(alice.receive(fromBob), 'from bob');
  t.equal(alice.record!.archived.length, 1);
  for (let round = 0; round < 4; round++) {
    t.equal(bob.receive(alice.send(`a${round}`)), `a${round}`);
    t.equal(alice.receive(bob.send(`b${round}`)), `b${round}`);
  }
  t.same(alice.record!.current!.baseKey, bob.record!.current!.baseKey, 'the same session is open at both ends');
  t.equal(alice.send('settled').type, 'ratchet');
  for (const { record } of [alice, bob]) {
    const keys = [record!.current!, ...record!.archived].map(({ baseKey }) => toHex(baseKey));
    t.equal(new Set(keys).size, 2, 'both sessions are there');
    t.equal(keys.length, 2, 'and each once');
  }
});

t.test('archived sessions: the bound is kept, one more drops the oldest', async (t) => {
  const { alice, bob } = createConversation('archive');
  const late = alice.send('of the first session');
  for (let count = 1; count <= LIMITS.archivedSessionCountMax; count++) bob.initiate(alice.bundle());
  t.equal(bob.record!.archived.length, LIMITS.archivedSessionCountMax);
  t.equal(must(bob.tryReceive(late)) && 'ok', 'ok', 'the oldest can still be read');
  bob.initiate(alice.bundle());
  t.equal(bob.record!.archived.length, LIMITS.archivedSessionCountMax);
  t.equal(codeOf(bob.receive(late)), 'SIG_BAD_MAC');
});

t.test('an archived session takes a smaller jump onto a chain that it has not seen', async (t) => {
  const { alice, bob } = createConversation('archived jump');
  const jump = LIMITS.archivedForwardJumpCountMax;
  const sent = Array.from({ length: jump + 2 }, (_, index) => alice.send(String(index)));
  bob.initiate(alice.bundle());
  t.equal(codeOf(bob.tryReceive(sent[jump + 1]!)), 'SIG_BAD_MAC', 'what the open session said');
  t.equal(bob.receive(sent[jump]!), String(jump));
  t.equal(bob.receive(sent[jump + 1]!), String(jump + 1));
});

t.test('a device installed anew is seen, and its former self cannot turn our sending back', async (t) => {
  const { alice, bob } = createConversation('reinstalled');
  const late = [alice.send('late 0'), alice.send('late 1')];
  must(bob.receive(late[0]!));
  const former = remoteIdentityKey(bob.record!)!;
  const anew = new Device('reinstalled/alice again');
  anew.initiate(bob.bundle());
  const hello = must(bob.tryReceive(anew.send('it is me')));
  t.same(hello.remoteIdentityKey, publicKeyOf(anew));
  t.notSame(hello.remoteIdentityKey, former, 'which is what the client compares');
  bob.record = hello.record;
  t.equal(remoteRegistrationId(bob.record), anew.local.registrationId);
  const received = must(bob.tryReceive(late[1]!));
  t.same(received.remoteIdentityKey, former, 'the late message says whose it is');
  t.same(remoteIdentityKey(received.record), publicKeyOf(anew), 'and the new identity stays the open one');
  bob.record = received.record;
  t.equal(codeOf(bob.receive(late[1]!)), 'SIG_DUPLICATE', 'its key was taken all the same');
  t.equal(anew.receive(bob.send('welcome')), 'welcome');
});

t.test('a closed record reads and does not send, until a new session', async (t) => {
  const { alice, bob } = createConversation('closed');
  must(bob.receive(alice.send('the chain is known from here')));
  const underway = alice.send('under way');
  bob.record = closeSession(bob.record!);
  t.notOk(hasSession(bob.record));
  t.same(remoteIdentityKey(bob.record), publicKeyOf(alice));
  t.equal(codeOf(encrypt(bob.record, bob.local, new Uint8Array(1))), 'SIG_NO_SESSION');
  t.equal(bob.receive(underway), 'under way');
  t.notOk(hasSession(bob.record), 'a late message does not open it');
  const other = createConversation('closed, then turned');
  other.bob.record = closeSession(other.bob.record!);
  t.equal(other.bob.receive(other.alice.send('a turn')), 'a turn');
  t.notOk(hasSession(other.bob.record), 'nor does one that turns the ratchet');
  bob.initiate(alice.bundle());
  t.equal(bob.receive(alice.send('still the old one')), 'still the old one');
  t.not(
    toHex(bob.record!.current!.baseKey),
    toHex(alice.record!.current!.baseKey),
    'nor is it opened without a fresh key',
  );
  t.equal(alice.receive(bob.send('the new one')), 'the new one');
  t.equal(bob.receive(alice.send('agreed')), 'agreed');
  t.same(bob.record!.current!.baseKey, alice.record!.current!.baseKey);
});

t.test('a restored backup, closed, encrypts nothing under a key used before', async (t) => {
  const { alice, bob } = createConversation('backup');
  const backup = alice.record!;
  const lost = alice.send('sent after the backup');
  alice.record = closeSession(backup);
  alice.initiate(bob.bundle());
  const fresh = alice.send('sent after it was restored');
  const ratchetKeys = [lost, fresh].map(({ type, ciphertext }) =>
    toHex(
      must(decodeRatchetMessage(type === 'prekey' ? must(decodePreKeyMessage(ciphertext)).message : ciphertext)).header
        .ratchetKey,
    ),
  );
  t.not(ratchetKeys[0], ratchetKeys[1]);
  t.equal(bob.receive(lost), 'sent after the backup');
  t.equal(bob.receive(fresh), 'sent after it was restored');
});

t.test('a record of another local identity is refused, both ways', async (t) => {
  const { alice, bob } = createConversation('other self');
  const other = { identityKeyPair: generateKeyPair(alice.random), registrationId: 1 };
  t.equal(codeOf(encrypt(alice.record!, other, new Uint8Array(1))), 'SIG_LOCAL_IDENTITY_CHANGED');
  const confused = Object.assign(new Device('confused'), { record: alice.record });
  t.equal(codeOf(confused.receive(bob.send('x'))), 'SIG_LOCAL_IDENTITY_CHANGED');
});

t.test('plaintext: empty, and the bound in the largest envelope; one more is refused', async (t) => {
  const [alice, bob] = [new Device('size/alice'), new Device('size/bob', 1)];
  alice.initiate(bob.bundle(100));
  t.equal(bob.receive(alice.send('')), '');
  const largest = 'x'.repeat(LIMITS.plaintextBytesMax);
  t.equal(bob.receive(alice.send(largest)), largest);
  t.equal(codeOf(encrypt(alice.record!, alice.local, new Uint8Array(LIMITS.plaintextBytesMax + 1))), 'SIG_TOO_LARGE');
  t.throws(() => encrypt(alice.record!, alice.local, 'text' as never), TypeError);
});

t.test('outputs are the caller’s own: changing them changes no record', async (t) => {
  const { alice, bob } = createConversation('ownership');
  const sent = alice.send('mine');
  const borrowed = new Uint8Array(sent.ciphertext);
  const received = must(bob.tryReceive({ type: 'ratchet', ciphertext: borrowed }));
  const before = toHex(encodeSessionRecord(received.record));
  for (const bytes of [borrowed, received.plaintext, received.remoteIdentityKey]) bytes.fill(0);
  t.equal(toHex(encodeSessionRecord(received.record)), before);
  t.equal(received.plaintext.constructor, Uint8Array, 'a plain array, not a Buffer');
  t.equal(sent.ciphertext.buffer.byteLength, sent.ciphertext.length, 'in a buffer of its own');
});

t.test('inputs are borrowed: changing them afterwards changes no record', async (t) => {
  const [alice, bob] = [new Device('borrowed/alice'), new Device('borrowed/bob', 1)];
  const { identityKey, signedPreKey, oneTimePreKey, ...rest } = bob.bundle(100);
  const copied = structuredClone({ identityKey, signedPreKey, oneTimePreKey });
  alice.initiate({ ...rest, ...copied });
  const begun = toHex(encodeSessionRecord(alice.record!));
  for (const bytes of [copied.identityKey, copied.signedPreKey.publicKey, copied.oneTimePreKey!.publicKey])
    bytes.fill(0);
  t.equal(toHex(encodeSessionRecord(alice.record!)), begun);

  const { type, ciphertext } = alice.send('x');
  const borrowed = new Uint8Array(ciphertext);
  const accepted = must(bob.tryReceive({ type, ciphertext: borrowed })).record;
  const stored = toHex(encodeSessionRecord(accepted));
  borrowed.fill(0);
  t.equal(toHex(encodeSessionRecord(accepted)), stored);
});

t.test('a record without any session has none to try', async (t) => {
  const { alice, bob } = createConversation('empty');
  bob.record = new SessionRecord(undefined, []);
  t.equal(codeOf(bob.receive(alice.send('x'))), 'SIG_NO_SESSION');
  t.equal(remoteIdentityKey(bob.record), undefined);
  t.equal(remoteRegistrationId(bob.record), undefined);
  t.notOk(hasSession(undefined));
  bob.record = closeSession(bob.record);
  t.equal(codeOf(encrypt(bob.record, bob.local, new Uint8Array(1))), 'SIG_NO_SESSION');
});

t.test('a genuine sender who pads wrongly is malformed, not forged', async (t) => {
  const { alice, bob } = createConversation('padding');
  const session = alice.record!.current!;
  const step = must(prepareSend(session.ratchet));
  const { cipherKey, macKey, iv } = deriveMessageKeys(step.seed);
  const padded = primitives.aesCbcEncrypt(cipherKey, iv, new Uint8Array(32));
  const body = encodeRatchetBody(0x44, step.header, padded.subarray(0, 32)); // the block of padding is cut off
  const whole = primitives.hmacSha256(macKey, publicKeyOf(alice), publicKeyOf(bob), body);
  const mac = whole.subarray(0, LIMITS.hybridMacBytes);
  const before = bob.record;
  t.equal(codeOf(bob.receive({ type: 'ratchet', ciphertext: concat(body, mac) })), 'SIG_MALFORMED');
  t.equal(bob.record, before);
});

t.test('mutated messages are refused or say the same; nothing throws and nothing is stored', async (t) => {
  const { alice, bob } = createConversation('fuzz');
  const stranger = new Device('fuzz/stranger');
  stranger.initiate(bob.bundle());
  must(bob.receive(alice.send('known chain')));
  const record = bob.record;
  const pick = seededIntegers('session fuzz');
  for (const envelope of [stranger.send('same'), alice.send('same')]) {
    const seen = new Set<string>();
    for (let round = 0; round < 1_200; round++) {
      const ciphertext = new Uint8Array(envelope.ciphertext);
      for (let changes = pick(2); changes >= 0; changes--) ciphertext[pick(ciphertext.length)]! ^= 1 << pick(8);
      const outcome = bob.tryReceive({ type: envelope.type, ciphertext });
      seen.add(codeOf(outcome));
      if (!isSignalError(outcome)) t.equal(new TextDecoder().decode(outcome.plaintext), 'same');
    }
    t.ok(seen.has('SIG_BAD_MAC') && seen.has('SIG_MALFORMED'), [...seen].join(' '));
    t.equal(bob.record, record);
    t.equal(bob.receive(envelope), 'same');
    bob.record = record;
  }
});

t.test('the example at the head of index.ts runs', async (t) => {
  const source = readFileSync(new URL('../../../protocol/signal/index.ts', import.meta.url), 'utf8');
  const example = /```ts\n([^`]*)```/.exec(source)![1]!.replaceAll(/^ \* ?/gm, '');
  const door = await import('./index.ts');
  const { local: alice, random } = new Device('example');
  const surroundings = { ...door, alice, random, text: new TextEncoder().encode('hello') };
  const run = new Function(...Object.keys(surroundings), `${example}; return received;`);
  t.equal(new TextDecoder().decode(run(...Object.values(surroundings)).plaintext), 'hello');
});
