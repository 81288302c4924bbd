/** Keys that only sign: what they sign is XEdDSA in the published form, on both providers. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { generateKeyPair, isValidPublicKey } from './keys.ts';
import { nativePrimitives, noblePrimitives } from './primitives.ts';
import { generateSigningKeyPair, SigningKeyPair, signWith } from './signing-key.ts';
import { seededRandom } from './testing/device.ts';
import { toHex } from './testing/transcripts.ts';
import { xeddsaVerify } from './xeddsa.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

t.test('a signature verifies as XEdDSA, with the top bit clear, and under no other key or message', async (t) => {
  for (let round = 0; round < 20; round++) {
    const pair = generateSigningKeyPair(random);
    const message = random(round * 7);
    const signature = signWith(pair, message);
    t.ok(isValidPublicKey(pair.publicKey));
    t.ok(xeddsaVerify(pair.publicKey, message, signature));
    t.equal(signature[63]! & 0x80, 0);
    t.notOk(xeddsaVerify(pair.publicKey, random(9), signature));
    t.notOk(xeddsaVerify(generateKeyPair(random).publicKey, message, signature));
  }
});

t.test('a remembered key verifies as it did the first time, beside more keys than are remembered', async (t) => {
  const pairs = Array.from({ length: 300 }, (_, index) => generateSigningKeyPair(seededRandom(`pair ${index}`)));
  const message = random(10);
  for (const round of [1, 2]) {
    const wrong = pairs.filter((pair) => !xeddsaVerify(pair.publicKey, message, signWith(pair, message)));
    t.equal(wrong.length, 0, `round ${round}`);
  }
});

t.test('both providers sign alike', async (t) => {
  const { seed } = generateSigningKeyPair(random);
  const message = random(50);
  t.same(nativePrimitives!.signEd25519(seed, message), noblePrimitives.signEd25519(seed, message));
});

t.test('seeds with an odd x are passed over', async (t) => {
  let draws = 0;
  const counted = seededRandom('parity');
  for (let made = 0; made < 40; made++) generateSigningKeyPair((length) => (draws++, counted(length)));
  t.ok(draws > 50 && draws < 150, `${draws} draws for 40 pairs`);
});

t.test('a pair can be put together from what was stored, and does not print its seed', async (t) => {
  const { publicKey, seed } = generateSigningKeyPair(random);
  const restored = new SigningKeyPair(publicKey, new Uint8Array(seed));
  t.ok(xeddsaVerify(publicKey, seed, signWith(restored, seed)));
  t.notMatch(JSON.stringify(restored) + String(restored), toHex(seed).slice(0, 8));
  t.throws(() => new SigningKeyPair(publicKey.subarray(1), seed), RangeError);
  t.throws(() => new SigningKeyPair(publicKey, seed.subarray(1)), RangeError);
  t.throws(() => generateSigningKeyPair(() => new Uint8Array(31)), RangeError);
});
