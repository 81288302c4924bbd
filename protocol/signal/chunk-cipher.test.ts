/** The ciphers of chunks against each other: Node's, WebCrypto's, and plain JavaScript. */
import t, { type Test } from 'tap';
import { chunkCipherOf, createChunkCipher, webChunkCipher, type ChunkCipher } from './chunk-cipher.ts';
import { nativePrimitives, noblePrimitives } from './primitives.ts';
import { seededRandom } from './testing/device.ts';
import { toHex } from './testing/transcripts.ts';

const random = seededRandom('chunk-cipher');
const key = random(32);

/** Both against plain JavaScript, on texts of all kinds of lengths. */
async function compare(t: Test, cipher: ChunkCipher): Promise<void> {
  const noble = chunkCipherOf(noblePrimitives, key);
  for (const size of [0, 1, 15, 16, 17, 1_000, 5_000]) {
    const [nonce, text] = [random(12), random(size)];
    const sealed = await cipher.seal(nonce, text);
    t.equal(toHex(sealed), toHex(await noble.seal(nonce, text)), `${size} bytes`);
    t.same(await cipher.open(nonce, sealed), text);
    t.equal(await cipher.open(nonce, sealed.with(size, sealed[size]! ^ 1)), undefined, 'a changed tag');
    t.equal(await cipher.open(random(12), sealed), undefined, 'another nonce');
    t.equal(await cipher.open(nonce, sealed.subarray(0, 15)), undefined, 'less than a tag');
  }
}

t.test('the cipher of WebCrypto agrees with plain JavaScript, and refuses what was changed', async (t) => {
  const web = await webChunkCipher(key);
  t.equal(web?.name, 'web', 'this platform has WebCrypto');
  await compare(t, web!);
});

t.test('native: so does the cipher of Node', async (t) => compare(t, chunkCipherOf(nativePrimitives!, key)));

t.test('the fastest one is taken', async (t) => {
  t.equal((await createChunkCipher(key)).name, nativePrimitives === undefined ? 'web' : 'native');
});
