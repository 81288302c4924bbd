/** The handshake alone: both ends agree, each of the agreements counts, and one that fails is named. */
import t from 'tap';
import type { PreKeyMessage } from './ciphertext.ts';
import type { ResponderKeys } from './handshake.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import type { PreKeyBundle } from './pre-keys.ts';
import { seededRandom } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { toHex } from './testing/transcripts.ts';
import { x3dh } from './x3dh.ts';

const random = seededRandom('x3dh');
const make = () => generateKeyPair(random);
const [alice, base, bob, signedPreKey, oneTimePreKey, stranger] = [make(), make(), make(), make(), make(), make()];
const zero = new Uint8Array(33).with(0, 5);

const bundle: PreKeyBundle = {
  registrationId: 1,
  deviceId: 1,
  identityKey: bob.publicKey,
  signedPreKey: { id: 1, publicKey: signedPreKey.publicKey, signature: new Uint8Array(64) },
  oneTimePreKey: { id: 1, publicKey: oneTimePreKey.publicKey },
};
const { oneTimePreKey: _, ...shortBundle } = bundle;
const message = { baseKey: base.publicKey, identityKey: alice.publicKey } as PreKeyMessage;
const keys: ResponderKeys = { identityKeyPair: bob, signedPreKey, oneTimePreKey, kemPreKey: undefined };
const initiateAs = (identityKeyPair: KeyPair, base: KeyPair, bundle: PreKeyBundle) =>
  x3dh.initiate({ identityKeyPair, registrationId: 1 }, base, bundle, random);
const initiate = (...inputs: Parameters<typeof initiateAs>) => toHex(must(initiateAs(...inputs)).rootKey);
const accept = (...inputs: Parameters<typeof x3dh.accept>) => toHex(must(x3dh.accept(...inputs)).rootKey);

t.equal(initiate(alice, base, bundle), accept(keys, message), 'four agreements');
t.equal(initiate(alice, base, shortBundle), accept({ ...keys, oneTimePreKey: undefined }, message), 'three');
t.not(initiate(alice, base, bundle), initiate(alice, base, shortBundle), 'the fourth counts');

t.test('every key takes part: exchanging any one gives another secret', async (t) => {
  const expected = accept(keys, message);
  const exchanged = [
    initiate(stranger, base, bundle),
    initiate(alice, stranger, bundle),
    initiate(alice, base, { ...bundle, identityKey: stranger.publicKey }),
    initiate(alice, base, { ...bundle, signedPreKey: { ...bundle.signedPreKey, publicKey: stranger.publicKey } }),
    initiate(alice, base, { ...bundle, oneTimePreKey: { id: 1, publicKey: stranger.publicKey } }),
    accept({ ...keys, identityKeyPair: stranger }, message),
    accept({ ...keys, signedPreKey: stranger }, message),
    accept({ ...keys, oneTimePreKey: stranger }, message),
    accept(keys, { ...message, baseKey: stranger.publicKey }),
    accept(keys, { ...message, identityKey: stranger.publicKey }),
  ];
  t.notOk(exchanged.includes(expected));
});

t.test('an all-zero agreement ends it, at either end and in any place', async (t) => {
  t.equal(codeOf(initiateAs(alice, base, { ...bundle, identityKey: zero })), 'SIG_BAD_KEY');
  t.equal(codeOf(initiateAs(alice, base, { ...bundle, oneTimePreKey: { id: 1, publicKey: zero } })), 'SIG_BAD_KEY');
  t.equal(codeOf(x3dh.accept(keys, { ...message, baseKey: zero })), 'SIG_BAD_KEY');
  t.equal(codeOf(x3dh.accept(keys, { ...message, identityKey: zero })), 'SIG_BAD_KEY');
});
