/**
 * What a server gains by taking the KEM pre-key out of a bundle, and where it is noticed.
 *
 * The table of `SECURITY.md`, "Downgrade", row by row: at the bundle, at the offer, at the first reply; and what is left
 * alone because no server need be involved.
 */
import t from 'tap';
import { concat } from './bytes.ts';
import {
  decodePreKeyMessage,
  decodeRatchetMessage,
  encodePreKeyMessage,
  encodeRatchetBody,
  type RatchetMessage,
} from './ciphertext.ts';
import { prepareSend } from './double-ratchet.ts';
import { LIMITS } from './limits.ts';
import { deriveMessageKeys } from './ratchet-keys.ts';
import { primitives } from './primitives.ts';
import { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
import { initiateSession } from './session.ts';
import { closeSession, knowsHybrid, needsRenewal } from './session-record.ts';
import { createConversation, Device, type Envelope } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';

const publicKeyOf = (device: Device): Uint8Array => device.local.identityKeyPair.publicKey;

/** A first message as a client of a release before version 4 would write it: low half 3, under the same keys. */
function asOldRelease(sender: Device, receiver: Device, text: string): Envelope {
  const session = sender.record!.current!;
  const { seed, header } = must(prepareSend(session.ratchet));
  const { cipherKey, macKey, iv } = deriveMessageKeys(seed);
  const body = encodeRatchetBody(0x33, header, primitives.aesCbcEncrypt(cipherKey, iv, new TextEncoder().encode(text)));
  const mac = primitives.hmacSha256(macKey, publicKeyOf(sender), publicKeyOf(receiver), body);
  const inner = concat(body, mac.subarray(0, LIMITS.macBytes));
  const { type, ciphertext } = sender.send(text);
  if (type === 'ratchet') return { type, ciphertext: inner };
  return { type, ciphertext: encodePreKeyMessage({ ...must(decodePreKeyMessage(ciphertext)), message: inner }) };
}

function innerOf({ type, ciphertext }: Envelope): RatchetMessage {
  return must(decodeRatchetMessage(type === 'prekey' ? must(decodePreKeyMessage(ciphertext)).message : ciphertext));
}

t.test('the hybrid handshake is the default, with and without one-time pre-keys of either kind', async (t) => {
  for (const [oneTime, kem] of [
    [100, 500],
    [100, undefined],
    [undefined, 500],
    [undefined, undefined],
  ] as const) {
    const alice = new Device('default/alice');
    const bob = new Device('default/bob', 1, { kemPreKeyCount: 1 });
    alice.initiate(bob.bundle(oneTime, kem));
    const first = alice.send('hello');
    t.equal(first.ciphertext[0], 0x44);
    t.match(must(bob.tryReceive(first)), { consumedOneTimePreKeyId: oneTime, consumedKemPreKeyId: kem });
    t.equal(bob.receive(first), 'hello');
    t.equal(bob.kemPreKeys.has(500), kem === undefined, 'a one-time key is gone');
    t.ok(bob.kemPreKeys.has(900), 'the last-resort key stays');
    const answer = bob.send('hello yourself');
    t.equal(answer.ciphertext[0], 0x44);
    t.equal(alice.receive(answer), 'hello yourself');
    t.notOk(needsRenewal(alice.record!) || needsRenewal(bob.record!));
  }
});

t.test('peers without KEM pre-keys: X3DH in both directions, and nobody complains', async (t) => {
  const modern = new Device('old peers/modern', 1);
  const old = new Device('old peers/old', 1, { hybrid: false });
  modern.initiate(old.bundle(100));
  const first = modern.send('to an old release');
  t.equal(first.ciphertext[0], 0x34);
  t.equal(old.receive(first), 'to an old release');
  t.equal(modern.receive(asOldRelease(old, modern, 'from one')), 'from one');
  t.notOk(needsRenewal(modern.record!), 'whoever says 3 knows no better');
  t.notOk(knowsHybrid(modern.record, publicKeyOf(old)));

  const [second, other] = [new Device('old peers/second', 1), new Device('old peers/other', 0, { hybrid: false })];
  other.initiate(second.strippedBundle(100));
  t.equal(second.receive(asOldRelease(other, second, 'begun by an old release')), 'begun by an old release');
  t.notOk(needsRenewal(second.record!));
});

t.test('a stripped bundle of a stranger: refused by the responder at the first message', async (t) => {
  const [alice, bob] = [new Device('stripped/alice', 1), new Device('stripped/bob', 1)];
  alice.initiate(bob.strippedBundle(100));
  const first = alice.send('secret for today');
  t.equal(codeOf(bob.receive(first)), 'SIG_DOWNGRADE');
  t.equal(bob.record, undefined, 'nothing has changed');
  t.ok(bob.oneTimePreKeys.has(100), 'and nothing was used up');

  bob.initiate(alice.bundle(100));
  t.equal(alice.receive(bob.send('your first message was downgraded')), 'your first message was downgraded');
  t.equal(alice.send('now').ciphertext[0], 0x44, 'the hybrid session is the open one');
  t.equal(codeOf(initiateSession(alice.local, bob.strippedBundle(), alice.record, alice.random)), 'SIG_DOWNGRADE');
});

t.test('the low half of the version byte cannot be lowered on the way', async (t) => {
  const [alice, bob] = [new Device('lowered/alice'), new Device('lowered/bob', 1)];
  alice.initiate(bob.strippedBundle(100));
  const { type, ciphertext } = alice.send('x');
  const message = must(decodePreKeyMessage(ciphertext));
  const lowered = { ...message, versionByte: 0x33, message: message.message.with(0, 0x33) };
  t.equal(codeOf(bob.receive({ type, ciphertext: encodePreKeyMessage(lowered) })), 'SIG_BAD_MAC');
  const outside = { ...message, versionByte: 0x33 };
  t.equal(
    codeOf(bob.receive({ type, ciphertext: encodePreKeyMessage(outside) })),
    'SIG_DOWNGRADE',
    'the inner one counts',
  );
});

t.test('a responder that cannot tell: noticed by the initiator at the first reply', async (t) => {
  // Bob published this signed pre-key before he had KEM pre-keys, so that a bundle without one may have been honest.
  const [alice, bob] = [new Device('late/alice'), new Device('late/bob', 1, { hybrid: false })];
  alice.initiate(bob.bundle(100));
  t.equal(bob.receive(alice.send('before the update')), 'before the update');
  t.ok(needsRenewal(bob.record!), 'Alice has said that she knows more');
  t.equal(alice.receive(bob.send('after it')), 'after it');
  t.ok(needsRenewal(alice.record!), 'and now Bob has');
  t.ok(knowsHybrid(alice.record, publicKeyOf(bob)));
  const reopened = must(decodeSessionRecord(encodeSessionRecord(closeSession(alice.record!))));
  t.equal(codeOf(initiateSession(alice.local, bob.bundle(), reopened, alice.random)), 'SIG_DOWNGRADE', 'remembered');
});

t.test('known from a bundle, a message or an offer: X3DH with that identity is over', async (t) => {
  const { alice, bob } = createConversation('known');
  t.equal(codeOf(initiateSession(alice.local, bob.strippedBundle(), alice.record, alice.random)), 'SIG_DOWNGRADE');
  t.equal(codeOf(initiateSession(bob.local, alice.strippedBundle(), bob.record, bob.random)), 'SIG_DOWNGRADE');

  const twin = Object.assign(new Device('known/alice'), { record: undefined });
  twin.initiate(bob.strippedBundle());
  const before = bob.record;
  t.equal(codeOf(bob.receive(asOldRelease(twin, bob, 'I forgot about version 4'))), 'SIG_DOWNGRADE');
  t.equal(bob.record, before);

  const reinstalled = new Device('known/bob, reinstalled', 0, { hybrid: false });
  t.equal(
    codeOf(initiateSession(alice.local, reinstalled.bundle(), alice.record, alice.random)),
    'ok',
    'another identity',
  );
});

t.test('a forger who names a known identity learns nothing from the code', async (t) => {
  const { alice, bob } = createConversation('named');
  const mallory = new Device('named/mallory');
  mallory.initiate(bob.strippedBundle());
  const { type, ciphertext } = mallory.send('x');
  const forged = encodePreKeyMessage({ ...must(decodePreKeyMessage(ciphertext)), identityKey: publicKeyOf(alice) });
  t.equal(codeOf(bob.receive({ type, ciphertext: forged })), 'SIG_BAD_MAC');
});

t.test('a session begun before the update is renewed, and late messages of it do not turn sending back', async (t) => {
  const { alice, bob } = createConversation('renewed', { hybrid: false });
  const late = bob.send('late');
  const [newAlice, newBob] = [new Device('renewed/alice'), new Device('renewed/bob')];
  for (const [device, updated] of [
    [alice, newAlice],
    [bob, newBob],
  ] as const)
    for (const [id, key] of updated.kemPreKeys) device.kemPreKeys.set(id, key);
  t.same(publicKeyOf(newBob), publicKeyOf(bob), 'the same identity, updated');
  t.ok(needsRenewal(alice.record!));
  alice.record = closeSession(alice.record!);
  alice.initiate(bob.bundle());
  t.equal(bob.receive(alice.send('renewed')), 'renewed');
  t.equal(alice.receive(bob.send('indeed')), 'indeed');
  t.equal(alice.receive(late), 'late');
  const next = alice.send('still hybrid');
  t.equal(next.ciphertext[0], 0x44);
  t.equal(bob.receive(next), 'still hybrid');
});

t.test('messages of one version are not tried with sessions of the other', async (t) => {
  const { alice, bob } = createConversation('versions apart');
  const classic = createConversation('versions apart', { hybrid: false });
  t.equal(codeOf(bob.receive(classic.alice.send('x'))), 'SIG_BAD_MAC');
  const hybrid = alice.send('y');
  t.equal(codeOf(classic.bob.receive(hybrid)), 'SIG_BAD_MAC');
  t.equal(innerOf(hybrid).version, 4);
  const offer = new Device('versions apart/other');
  offer.initiate(bob.bundle());
  const { type, ciphertext } = offer.send('z');
  const classicOffer = new Device('versions apart/classic');
  classicOffer.initiate(bob.strippedBundle());
  const mixed = encodePreKeyMessage({
    ...must(decodePreKeyMessage(ciphertext)),
    message: must(decodePreKeyMessage(classicOffer.send('w').ciphertext)).message,
  });
  t.equal(codeOf(bob.receive({ type, ciphertext: mixed })), 'SIG_MALFORMED', 'an inner message of another version');
});

t.test('a replayed offer: a duplicate while its session is known, an unknown pre-key after that', async (t) => {
  const alice = new Device('replayed/alice');
  const bob = new Device('replayed/bob', 1, { kemPreKeyCount: 1 });
  alice.initiate(bob.bundle(undefined, 500));
  const first = alice.send('once');
  t.equal(bob.receive(first), 'once');
  t.equal(codeOf(bob.receive(first)), 'SIG_DUPLICATE');
  bob.record = undefined;
  t.equal(codeOf(bob.receive(first)), 'SIG_UNKNOWN_PREKEY', 'the one-time KEM pre-key is gone');
});
