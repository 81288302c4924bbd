/** XEdDSA against the recorded signatures, on both providers, and against damage of every byte. */
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { concat } from './bytes.ts';
import { coordinateOf, generateKeyPair } from './keys.ts';
import { nativePrimitives, noblePrimitives, primitives, type Primitives } from './primitives.ts';
import { fromHex } from './testing/transcripts.ts';
import { xeddsaSign, xeddsaVerify } from './xeddsa.ts';

interface Vector {
  readonly privateKey?: string;
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
}

const file = new URL('../../../protocol/signal/vectors/xeddsa.json', import.meta.url);
const vectors: readonly Vector[] = JSON.parse(readFileSync(file, 'utf8'));
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** The verification equation on a chosen provider, as `xeddsaVerify` asks for it. */
function verifyWith(provider: Primitives, { publicKey, message, signature }: Vector): boolean {
  const bytes = fromHex(signature);
  const negativeX = (bytes[63]! & 0x80) !== 0;
  bytes[63]! &= 0x7f;
  const point = provider.edwards.fromMontgomery(coordinateOf(fromHex(publicKey)), negativeX);
  return provider.verifyEd25519(point, fromHex(message), bytes);
}

t.test('every recorded signature verifies as recorded', async (t) => {
  t.equal(vectors.filter(({ valid }) => valid).length, 16);
  t.equal(vectors.filter(({ valid }) => !valid).length, 16);
  for (const [index, vector] of vectors.entries()) {
    const { publicKey, message, signature, valid } = vector;
    t.equal(xeddsaVerify(fromHex(publicKey), fromHex(message), fromHex(signature)), valid, `vector ${index}`);
    t.equal(verifyWith(noblePrimitives, vector), valid, `vector ${index}, noble`);
    t.equal(verifyWith(nativePrimitives!, vector), valid, `vector ${index}, native`);
  }
});

t.test('what we sign with a recorded private key verifies, in the published form', async (t) => {
  for (const { privateKey, publicKey, message } of vectors) {
    if (privateKey === undefined) continue;
    const signature = xeddsaSign(fromHex(privateKey), fromHex(message), random);
    t.ok(xeddsaVerify(fromHex(publicKey), fromHex(message), signature));
    t.equal(signature[63]! & 0x80, 0, 'the top bit is clear');
  }
});

t.test('keys of either sign occur among the recorded ones, so both branches of signing ran', async (t) => {
  const signs = vectors
    .filter(({ privateKey }) => privateKey !== undefined)
    .map(({ privateKey }) => primitives.edwards.multiplyBase(fromHex(privateKey!))[31]! >> 7);
  t.ok(signs.includes(0));
  t.ok(signs.includes(1));
});

t.test('a flipped bit in any byte of the signature, or in the message or key, is refused', async (t) => {
  const { privateKey, publicKey } = generateKeyPair(random);
  const message = random(40);
  const signature = xeddsaSign(privateKey, message, random);
  t.ok(xeddsaVerify(publicKey, message, signature));
  for (let index = 0; index < 64; index++) {
    const damaged = new Uint8Array(signature);
    damaged[index]! ^= 1 << (index % 8);
    t.notOk(xeddsaVerify(publicKey, message, damaged), `byte ${index}`);
  }
  t.notOk(xeddsaVerify(publicKey, concat(message, Uint8Array.of(0)), signature));
  t.notOk(xeddsaVerify(generateKeyPair(random).publicKey, message, signature));
});

t.test('signatures differ with their randomness', async (t) => {
  const { privateKey } = generateKeyPair(random);
  const message = random(3);
  const fixed = (byte: number) => (length: number) => new Uint8Array(length).fill(byte);
  const sign = (byte: number): Uint8Array => xeddsaSign(privateKey, message, fixed(byte));
  t.same(sign(1), sign(1), 'deterministic where the randomness is');
  t.not(Buffer.from(sign(1)).toString('hex'), Buffer.from(sign(2)).toString('hex'));
});

t.test('what is not a signature or a key is refused, not thrown at', async (t) => {
  const { publicKey, privateKey } = generateKeyPair(random);
  const message = random(10);
  const signature = xeddsaSign(privateKey, message, random);
  t.notOk(xeddsaVerify(publicKey, message, signature.subarray(0, 63)));
  t.notOk(xeddsaVerify(publicKey, message, concat(signature, Uint8Array.of(0))));
  t.notOk(xeddsaVerify(publicKey.subarray(0, 32), message, signature));
  t.notOk(xeddsaVerify(new Uint8Array(33), message, signature));
  t.notOk(xeddsaVerify(publicKey, message, new Uint8Array(64).fill(0xff)), 's above the group order');
});
