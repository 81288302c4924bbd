/** The hybrid handshake alone: both ends agree, everything that was said counts, and our own vectors hold. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { concat } from './bytes.ts';
import type { PreKeyMessage } from './ciphertext.ts';
import type { ResponderKeys } from './handshake.ts';
import { decapsulate, encapsulate, generateKemKeyPair } from './kem-keys.ts';
import { agree, generateKeyPair } from './keys.ts';
import type { PreKeyBundle } from './pre-keys.ts';
import { pqxdh } from './pqxdh.ts';
import { seededRandom } from './testing/device.ts';
import { hybridVectors } from './testing/hybrid-vectors.ts';
import { codeOf, must } from './testing/outcome.ts';
import { toHex } from './testing/transcripts.ts';
import { x3dh } from './x3dh.ts';

const random = seededRandom('pqxdh');
const make = () => generateKeyPair(random);
const [alice, base, bob, signedPreKey, oneTimePreKey, stranger] = [make(), make(), make(), make(), make(), make()];
const kemPreKey = generateKemKeyPair(random);
const otherKem = generateKemKeyPair(random);
const local = { identityKeyPair: alice, registrationId: 4_711 };

const bundle: PreKeyBundle = {
  registrationId: 1,
  deviceId: 1,
  identityKey: bob.publicKey,
  signedPreKey: { id: 11, publicKey: signedPreKey.publicKey, signature: new Uint8Array(64) },
  oneTimePreKey: { id: 22, publicKey: oneTimePreKey.publicKey },
  kemPreKey: { id: 33, publicKey: kemPreKey.publicKey, signature: new Uint8Array(64), lastResort: false },
};
const { oneTimePreKey: _, ...shortBundle } = bundle;
const entropy = (length: number): Uint8Array => seededRandom('entropy')(length);

const begun = must(pqxdh.initiate(local, base, bundle, entropy));
const message = {
  version: 4,
  versionByte: 0x44,
  registrationId: 4_711,
  signedPreKeyId: 11,
  oneTimePreKeyId: 22,
  kem: { preKeyId: 33, ciphertext: begun.kemCiphertext! },
  baseKey: base.publicKey,
  identityKey: alice.publicKey,
  message: new Uint8Array(0),
} satisfies PreKeyMessage;
const keys: ResponderKeys = { identityKeyPair: bob, signedPreKey, oneTimePreKey, kemPreKey };
const accept = (ours: ResponderKeys, said: PreKeyMessage) => toHex(must(pqxdh.accept(ours, said)).rootKey);

t.equal(accept(keys, message), toHex(begun.rootKey), 'four agreements and the KEM');

t.test('without a one-time pre-key', async (t) => {
  const short = must(pqxdh.initiate(local, base, shortBundle, entropy));
  const said = { ...message, oneTimePreKeyId: undefined, kem: { preKeyId: 33, ciphertext: short.kemCiphertext! } };
  t.equal(accept({ ...keys, oneTimePreKey: undefined }, said), toHex(short.rootKey));
  t.not(toHex(short.rootKey), toHex(begun.rootKey), 'the fourth counts');
});

t.test('everything that was said takes part: exchanging any of it gives another secret', async (t) => {
  const { kem } = message;
  const exchanged: readonly [string, ResponderKeys, PreKeyMessage][] = [
    ['the responder’s identity', { ...keys, identityKeyPair: stranger }, message],
    ['the signed pre-key', { ...keys, signedPreKey: stranger }, message],
    ['the one-time pre-key', { ...keys, oneTimePreKey: stranger }, message],
    ['the KEM pre-key', { ...keys, kemPreKey: otherKem }, message],
    ['the initiator’s identity', keys, { ...message, identityKey: stranger.publicKey }],
    ['the base key', keys, { ...message, baseKey: stranger.publicKey }],
    [
      'the KEM ciphertext',
      keys,
      { ...message, kem: { ...kem, ciphertext: kem.ciphertext.with(7, kem.ciphertext[7]! ^ 1) } },
    ],
    ['the signed pre-key’s id', keys, { ...message, signedPreKeyId: 12 }],
    ['the one-time pre-key’s id', keys, { ...message, oneTimePreKeyId: 23 }],
    ['the KEM pre-key’s id', keys, { ...message, kem: { ...kem, preKeyId: 34 } }],
    ['the registration id', keys, { ...message, registrationId: 4_712 }],
    ['what the initiator knows', keys, { ...message, versionByte: 0x45 }],
  ];
  const secrets = exchanged.map(([, ours, said]) => accept(ours, said));
  for (const [index, [name]] of exchanged.entries()) t.not(secrets[index], toHex(begun.rootKey), name);
  t.equal(new Set(secrets).size, exchanged.length, 'each another one');
});

t.test('another KEM secret under the same public words gives another root key', async (t) => {
  const again = must(pqxdh.initiate(local, base, bundle, random));
  t.not(toHex(again.rootKey), toHex(begun.rootKey));
  const classic = must(x3dh.initiate(local, base, bundle, random));
  t.not(toHex(classic.rootKey), toHex(begun.rootKey), 'and so does leaving it out');
});

t.test('the derivation, written once more as RFC 5869 has it', async (t) => {
  const { secret, ciphertext } = encapsulate(kemPreKey.publicKey, entropy)!;
  t.same(decapsulate(kemPreKey, ciphertext), secret);
  const pairs = [
    [alice, signedPreKey],
    [base, bob],
    [base, signedPreKey],
    [base, oneTimePreKey],
  ] as const;
  const agreed = pairs.map(([ours, theirs]) => agree(ours.privateKey, theirs.publicKey)!);
  const numbers = (...values: number[]): Uint8Array =>
    new Uint8Array(Buffer.from(Uint32Array.from(values).buffer).swap32());
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
    new Uint8Array(
      createHmac('sha256', key)
        .update(concat(...parts))
        .digest(),
    );
  const derive = (input: Uint8Array, info: Uint8Array) => hmac(hmac(new Uint8Array(32), input), info, Uint8Array.of(1));
  const ascii = (text: string) => new TextEncoder().encode(text);
  const handshakeSecret = derive(
    concat(new Uint8Array(32).fill(0xff), ...agreed, secret),
    ascii('Blindbeam_CURVE25519_SHA-256_ML-KEM-1024'),
  );
  const said = concat(
    Uint8Array.of(0x44),
    alice.publicKey,
    bob.publicKey,
    base.publicKey,
    numbers(4_711, 11),
    signedPreKey.publicKey,
    Uint8Array.of(1),
    numbers(22),
    oneTimePreKey.publicKey,
    numbers(33),
    kemPreKey.publicKey,
    ciphertext,
  );
  t.equal(toHex(derive(handshakeSecret, concat(ascii('Blindbeam_PQXDH_transcript'), said))), toHex(begun.rootKey));
});

t.test('what is no key, and an all-zero agreement, end it', async (t) => {
  const zero = new Uint8Array(33).with(0, 5);
  const unreduced = { ...bundle.kemPreKey!, publicKey: new Uint8Array(1_569).fill(0xff).with(0, 6) };
  t.equal(codeOf(pqxdh.initiate(local, base, { ...bundle, kemPreKey: unreduced }, random)), 'SIG_BAD_KEY');
  t.equal(codeOf(pqxdh.initiate(local, base, { ...bundle, identityKey: zero }, random)), 'SIG_BAD_KEY');
  t.equal(codeOf(pqxdh.accept(keys, { ...message, baseKey: zero })), 'SIG_BAD_KEY');
  t.throws(() => pqxdh.initiate(local, base, { ...bundle, kemPreKey: undefined }, random), TypeError);
  t.throws(() => pqxdh.accept({ ...keys, kemPreKey: undefined }, message), TypeError);
});

t.test('our own vectors: a conversation of session version 4, byte for byte', async (t) => {
  const file = new URL('../../../protocol/signal/vectors/pqxdh-v4.json', import.meta.url);
  t.same(hybridVectors(), JSON.parse(readFileSync(file, 'utf8')));
});
