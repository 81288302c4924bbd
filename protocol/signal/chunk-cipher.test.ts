/** The ciphers of chunks against each other: Node's, WebCrypto's, and plain JavaScript. */
import t from 'tap';
import { chunkCipherOf, createChunkCipher, webChunkCipher, type ChunkCipher } from './chunk-cipher.ts';
import { nativePrimitives, noblePrimitives } from './primitives.ts';
import { seededRandom } from './testing/device.ts';
import { toHex } from './testing/transcripts.ts';

const random = seededRandom('chunk-cipher');
const key = random(32);

t.test('all ciphers of this platform agree, and refuse what was changed', async (t) => {
  const web = await webChunkCipher(key);
  t.equal(web?.name, 'web', 'this platform has WebCrypto');
  const native = nativePrimitives && chunkCipherOf(nativePrimitives, key);
  const noble = chunkCipherOf(noblePrimitives, key);
  for (const cipher of [web, native].filter((each): each is ChunkCipher => each !== undefined)) {
    for (const size of [0, 1, 15, 16, 17, 1_000, 5_000]) {
      const [nonce, text] = [random(12), random(size)];
      const sealed = await cipher.seal(nonce, text);
      t.equal(toHex(sealed), toHex(await noble.seal(nonce, text)), `${cipher.name}, ${size} bytes`);
      t.same(await cipher.open(nonce, sealed), text);
      t.equal(await cipher.open(nonce, sealed.with(size, sealed[size]! ^ 1)), undefined, 'a changed tag');
      t.equal(await cipher.open(random(12), sealed), undefined, 'another nonce');
      t.equal(await cipher.open(nonce, sealed.subarray(0, 15)), undefined, 'less than a tag');
    }
  }
});

t.test('the fastest one is taken', async (t) => {
  t.equal((await createChunkCipher(key)).name, nativePrimitives === undefined ? 'web' : 'native');
});
