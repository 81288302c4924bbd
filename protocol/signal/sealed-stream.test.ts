/** Sealed streams: against the slow twin and the vectors, and every way to tamper with chunks. */
import t from 'tap';
import { concat, samePublicBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';
import { chunkNonce, openStream, sealedBytes, sealStream, type ByteStream } from './sealed-stream.ts';
import { seededIntegers, seededRandom } from './testing/device.ts';
import { codeOf } from './testing/outcome.ts';
import { collect, countingBytes, inPieces, sealSimply } from './testing/streams.ts';
import { fromHex, toHex } from './testing/transcripts.ts';
import vectors from './vectors/sealed-stream-v1.json' with { type: 'json' };

const random = seededRandom('sealed-stream');
const integer = seededIntegers('sealed-stream');
const EXPONENT = 12;
const CHUNK = 2 ** EXPONENT;
const SEALED_CHUNK = CHUNK + LIMITS.gcmTagBytes;
const streamKey = { key: random(32), label: 'test' };

async function seal(text: Uint8Array, key = streamKey, salt = random(16)): Promise<Uint8Array> {
  return (await collect(sealStream(key, salt, [text], EXPONENT))).bytes;
}

async function open(sealed: Uint8Array, key = streamKey): Promise<{ bytes: Uint8Array; code: string }> {
  const { bytes, outcome } = await collect(openStream(key, [sealed]));
  return { bytes, code: codeOf(outcome) };
}

/** Chunks of a stream, so that they can be put together in another way. */
function apart(sealed: Uint8Array): { header: Uint8Array; chunks: Uint8Array[] } {
  const header = sealed.subarray(0, LIMITS.streamHeaderBytes);
  return { header, chunks: [...inPieces(sealed.subarray(LIMITS.streamHeaderBytes), SEALED_CHUNK)] };
}

t.test('streams are what the vectors say, both ways', async (t) => {
  for (const { name, key, label, salt, chunkExponent, textBytes, header, sealedBytes, sha256 } of vectors.streams) {
    const text = countingBytes(textBytes);
    const streamKey = { key: fromHex(key), label };
    const { bytes } = await collect(sealStream(streamKey, fromHex(salt), [text], chunkExponent));
    t.equal(toHex(bytes.subarray(0, 50)), header, name);
    t.equal(bytes.length, sealedBytes);
    const { primitives } = await import('./primitives.ts');
    const hash = primitives.createSha256();
    hash.update(bytes);
    t.equal(toHex(hash.digest()), sha256);
    t.ok(samePublicBytes((await open(bytes, streamKey)).bytes, text));
  }
});

t.test('the stream is the twin’s, whatever the pieces, and opens again', async (t) => {
  const sizes = [
    0,
    1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK,
    3 * CHUNK + 7,
    ...Array.from({ length: 8 }, () => integer(20_000)),
  ];
  for (const size of sizes) {
    const [text, salt] = [random(size), random(16)];
    const pieces = inPieces(text, 1 + integer(9_000));
    const { bytes } = await collect(sealStream(streamKey, salt, pieces, EXPONENT));
    t.ok(samePublicBytes(bytes, sealSimply(streamKey, salt, text, EXPONENT)), `${size} bytes`);
    t.equal(bytes.length, sealedBytes(size, EXPONENT));
    const opened = await collect(openStream(streamKey, inPieces(bytes, 1 + integer(9_000))));
    t.ok(samePublicBytes(opened.bytes, text));
    t.equal(opened.outcome, undefined);
    t.ok(
      opened.pieces.every((piece) => piece.length <= CHUNK),
      'no piece is larger than a chunk',
    );
  }
});

t.test('one byte at a time', async (t) => {
  const text = random(CHUNK + 3);
  const { bytes } = await collect(sealStream(streamKey, random(16), inPieces(text, 1), EXPONENT));
  t.ok(samePublicBytes((await collect(openStream(streamKey, inPieces(bytes, 1)))).bytes, text));
});

t.test('chunks that were removed, repeated, exchanged, or taken from elsewhere are refused with a code', async (t) => {
  const text = random(4 * CHUNK + 100);
  const { header, chunks } = apart(await seal(text));
  const [a, b, c, d, last] = chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const other = apart(await seal(text)).chunks;
  const shorter = apart(await seal(text.subarray(0, 3 * CHUNK)));
  const cases: [string, Uint8Array[], string][] = [
    ['whole', [a, b, c, d, last], 'ok'],
    ['no last chunk', [a, b, c, d], 'SIG_STREAM_TRUNCATED'],
    ['only the header', [], 'SIG_STREAM_TRUNCATED'],
    ['cut within a tag', [a.subarray(0, 9)], 'SIG_STREAM_TRUNCATED'],
    ['cut within a chunk', [a, b.subarray(0, 99)], 'SIG_STREAM_DAMAGED'],
    ['a chunk left out', [a, c, d, last], 'SIG_STREAM_DAMAGED'],
    ['a chunk twice', [a, a, b, c, d, last], 'SIG_STREAM_DAMAGED'],
    ['two exchanged', [b, a, c, d, last], 'SIG_STREAM_DAMAGED'],
    ['one of another stream under the same key', [a, other[1]!, c, d, last], 'SIG_STREAM_DAMAGED'],
    ['the end of another stream', [a, b, shorter.chunks[2]!], 'SIG_STREAM_DAMAGED'],
    ['something behind the end', [a, b, c, d, last, Uint8Array.of(0)], 'SIG_STREAM_DAMAGED'],
    ['the last one twice', [a, b, c, d, last, last], 'SIG_STREAM_DAMAGED'],
  ];
  for (const [name, parts, code] of cases) {
    const opened = await open(concat(header, ...parts));
    t.equal(opened.code, code, name);
    t.ok(samePublicBytes(opened.bytes, text.subarray(0, opened.bytes.length)), 'what was given out before is genuine');
  }
});

t.test('an empty chunk behind a full one is refused: one text has one stream', async (t) => {
  const text = random(CHUNK);
  const whole = await seal(text);
  const salt = whole.slice(2, 18);
  const { deriveStreamKeys } = await import('./sealed-stream.ts');
  const { primitives } = await import('./primitives.ts');
  const { cipherKey } = deriveStreamKeys(streamKey, salt, EXPONENT);
  const first = primitives.aesGcmEncrypt(cipherKey, chunkNonce(0, false), text);
  const empty = primitives.aesGcmEncrypt(cipherKey, chunkNonce(1, true), new Uint8Array(0));
  t.equal((await open(concat(whole.subarray(0, 50), first, empty))).code, 'SIG_STREAM_DAMAGED');
  t.equal((await open(whole)).code, 'ok');
});

t.test('another key, another purpose, another version', async (t) => {
  const sealed = await seal(random(100));
  t.equal((await open(sealed, { ...streamKey, key: random(32) })).code, 'SIG_STREAM_WRONG_KEY');
  t.equal((await open(sealed, { ...streamKey, label: 'other' })).code, 'SIG_STREAM_WRONG_KEY');
  for (const [place, value] of [
    [0, 0],
    [0, 2],
    [1, 11],
    [1, 21],
    [1, 255],
  ] as const) {
    t.equal((await open(sealed.with(place, value))).code, 'SIG_STREAM_TOO_NEW', `byte ${place} is ${value}`);
  }
  t.equal(
    (await open(sealed.with(1, EXPONENT + 1))).code,
    'SIG_STREAM_WRONG_KEY',
    'the chunk size is bound to the key',
  );
  t.equal((await open(sealed.with(2, sealed[2]! ^ 1))).code, 'SIG_STREAM_WRONG_KEY', 'so is the salt');
});

t.test('each bit counts', async (t) => {
  const sealed = await seal(random(40));
  t.ok(sealed.length > 40, 'there is more than the text');
  const taken: string[] = [];
  for (let place = 0; place < sealed.length; place++) {
    const { code, bytes } = await open(sealed.with(place, sealed[place]! ^ (1 << (place % 8))));
    if (code === 'ok' || bytes.length > 0) taken.push(`byte ${place}: ${code}`);
  }
  t.same(taken, []);
});

t.test('nonces differ in number and end, also beyond 32 bits', async (t) => {
  t.equal(toHex(chunkNonce(0, false)), '000000000000000000000000');
  t.equal(toHex(chunkNonce(258, true)), '000000000000000000010201');
  t.equal(toHex(chunkNonce(2 ** 33 + 1, false)), '000000000000020000000100');
});

t.test('the reader holds one chunk, however long the stream', async (t) => {
  let fed = 0;
  let taken = 0;
  let gapMax = 0;
  async function* source(): ByteStream<void> {
    for (let count = 0; count < 200; count++) {
      fed += CHUNK;
      gapMax = Math.max(gapMax, fed - taken);
      yield countingBytes(CHUNK);
    }
  }
  const sealed = sealStream(streamKey, random(16), source(), EXPONENT);
  for await (const text of openStream(streamKey, sealed)) taken += text.length;
  t.equal(taken, 200 * CHUNK);
  t.ok(gapMax <= 4 * CHUNK, `${gapMax} bytes between writer and reader`);
});

t.test('a developer’s wrong arguments throw', async (t) => {
  await t.rejects(collect(sealStream(streamKey, random(15), [])), RangeError);
  await t.rejects(collect(sealStream(streamKey, random(16), [], 21)), RangeError);
  await t.rejects(collect(sealStream({ key: random(31), label: '' }, random(16), [])), RangeError);
});
