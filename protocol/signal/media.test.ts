/** Media: vectors, seeking, resuming, and every refusal of a file that is not the one that was sent. */
import t from 'tap';
import { concat, samePublicBytes } from './bytes.ts';
import { isSignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { paddedMediaBytes } from './media-padding.ts';
import { decryptMedia, mediaCiphertextBytes, MediaEncryption, MediaReader, type MediaReference } from './media.ts';
import { sealStream, type ByteStream } from './sealed-stream.ts';
import { seededIntegers, seededRandom } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { collect, countingBytes, inPieces } from './testing/streams.ts';
import { fromHex, toHex } from './testing/transcripts.ts';
import vectors from './vectors/media-v1.json' with { type: 'json' };

const random = seededRandom('media');
const integer = seededIntegers('media');

async function encrypt(file: Uint8Array, draw = random): Promise<{ sealed: Uint8Array; reference: MediaReference }> {
  const { bytes, outcome } = await collect(MediaEncryption.begin(draw).encrypt(inPieces(file, 50_000)));
  return { sealed: bytes, reference: must(outcome) };
}

async function decrypt(reference: MediaReference, sealed: Uint8Array): Promise<{ bytes: Uint8Array; code: string }> {
  const { bytes, outcome } = await collect(decryptMedia(reference, inPieces(sealed, 40_000)));
  return { bytes, code: codeOf(outcome) };
}

t.test('files are what the vectors say, both ways', async (t) => {
  for (const { name, key, salt, bytes, sealedBytes, digest } of vectors.files) {
    const drawn = [fromHex(key), fromHex(salt)];
    const { sealed, reference } = await encrypt(countingBytes(bytes), () => drawn.shift()!);
    t.equal(sealed.length, sealedBytes, name);
    t.equal(toHex(reference.digest), digest, name);
    t.equal(sealed.length, mediaCiphertextBytes(bytes));
    t.ok(samePublicBytes((await decrypt(reference, sealed)).bytes, countingBytes(bytes)));
  }
});

t.test('a file comes back whole, and each has a key of its own', async (t) => {
  for (const size of [0, 1, 4_096, 65_536, 200_000 + integer(9_999)]) {
    const file = random(size);
    const first = await encrypt(file);
    const opened = await decrypt(first.reference, first.sealed);
    t.equal(opened.code, 'ok');
    t.ok(samePublicBytes(opened.bytes, file));
    const second = await encrypt(file);
    t.notSame(second.reference.key, first.reference.key);
    t.equal(second.sealed.length, first.sealed.length);
  }
});

t.test('files of one bucket are equally long', async (t) => {
  const lengths = await Promise.all([0, 7, 4_096].map(async (size) => (await encrypt(random(size))).sealed.length));
  t.same(new Set(lengths).size, 1);
});

t.test('each kind of tampering has its code', async (t) => {
  const file = random(300_000);
  const { sealed, reference } = await encrypt(file);
  const other = await encrypt(file);
  const middle = sealed.length >> 1;
  const cases: [string, string, MediaReference, Uint8Array][] = [
    ['nothing', 'SIG_STREAM_TRUNCATED', reference, new Uint8Array(0)],
    ['half a header', 'SIG_STREAM_TRUNCATED', reference, sealed.subarray(0, 25)],
    ['cut within a chunk', 'SIG_STREAM_TRUNCATED', reference, sealed.subarray(0, middle)],
    ['cut between chunks', 'SIG_STREAM_TRUNCATED', reference, sealed.subarray(0, 50 + 2 * 65_552)],
    ['one bit', 'SIG_STREAM_DAMAGED', reference, sealed.with(middle, sealed[middle]! ^ 1)],
    ['bytes behind the end', 'SIG_STREAM_DAMAGED', reference, concat(sealed, Uint8Array.of(0))],
    ['a later version', 'SIG_STREAM_TOO_NEW', reference, sealed.with(0, 9)],
    ['another file', 'SIG_STREAM_WRONG_KEY', reference, other.sealed],
    ['another digest', 'SIG_STREAM_WRONG_DIGEST', { ...reference, digest: other.reference.digest }, sealed],
    ['a size that is too small', 'SIG_STREAM_DAMAGED', { ...reference, bytes: 100_000 }, sealed],
    ['a size within the bucket, too small', 'SIG_STREAM_DAMAGED', { ...reference, bytes: file.length - 1 }, sealed],
    ['a size that is too large', 'SIG_STREAM_TRUNCATED', { ...reference, bytes: 400_000 }, sealed],
    ['an absurd size', 'SIG_MEDIA_TOO_LARGE', { ...reference, bytes: 2 ** 40 }, sealed],
    ['no size', 'SIG_MEDIA_TOO_LARGE', { ...reference, bytes: -1 }, sealed],
  ];
  for (const [name, code, wrongReference, wrongBytes] of cases) {
    const opened = await decrypt(wrongReference, wrongBytes);
    t.equal(opened.code, code, name);
    const genuine = file.subarray(0, opened.bytes.length);
    // Where the reference names too large a size, zeros of the padding pass for the file until the end refuses it.
    t.ok(samePublicBytes(opened.bytes.subarray(0, genuine.length), genuine), 'what was given out before is genuine');
  }
});

t.test('padding that is not zeros is refused', async (t) => {
  const [key, salt] = [random(32), random(16)];
  const text = new Uint8Array(4_096).fill(7, 0, 100);
  text[4_000] = 1;
  const { bytes } = await collect(sealStream({ key, label: 'Blindbeam media v1' }, salt, [text]));
  t.equal((await decrypt({ key, digest: random(32), bytes: 100 }, bytes)).code, 'SIG_STREAM_DAMAGED');
});

t.test('any range can be read alone', async (t) => {
  const file = random(500_000);
  const { sealed, reference } = await encrypt(file);
  const reader = must(await MediaReader.open(reference, sealed.subarray(0, LIMITS.streamHeaderBytes)));
  const ranges = Array.from({ length: 25 }, () => integer(file.length)).map((start) => ({
    start,
    end: start + 1 + integer(file.length - start),
  }));
  for (const range of [
    { start: 0, end: 1 },
    { start: 0, end: file.length },
    { start: 499_999, end: 500_000 },
    ...ranges,
  ]) {
    const { start, end } = reader.locate(range);
    const part = sealed.subarray(start, end);
    const { bytes, outcome } = await collect(reader.read(range, inPieces(part, 1 + integer(80_000))));
    t.equal(codeOf(outcome), 'ok', `${range.start} to ${range.end}`);
    t.ok(samePublicBytes(bytes, file.subarray(range.start, range.end)));
    t.ok(
      part.length <= range.end - range.start + 2 * 65_552 + 16 * 8 + 50_000,
      'little more than was asked for is fetched',
    );
  }
});

t.test('a range is refused where its chunks are not the right ones', async (t) => {
  const file = random(500_000);
  const { sealed, reference } = await encrypt(file);
  const header = sealed.subarray(0, LIMITS.streamHeaderBytes);
  const reader = must(await MediaReader.open(reference, header));
  const range = { start: 70_000, end: 200_000 };
  const { start, end } = reader.locate(range);
  const part = sealed.subarray(start, end);
  const code = async (source: Uint8Array): Promise<string> =>
    codeOf((await collect(reader.read(range, [source]))).outcome);
  t.equal(await code(part), 'ok');
  t.equal(await code(part.subarray(0, -1)), 'SIG_STREAM_TRUNCATED');
  t.equal(await code(concat(part, part)), 'SIG_STREAM_DAMAGED');
  t.equal(await code(part.with(70_000, part[70_000]! ^ 1)), 'SIG_STREAM_DAMAGED');
  t.equal(await code(sealed.subarray(start - 65_552, end - 65_552)), 'SIG_STREAM_DAMAGED', 'the chunks before');
  t.equal(codeOf(await MediaReader.open({ ...reference, key: random(32) }, header)), 'SIG_STREAM_WRONG_KEY');
  t.equal(codeOf(await MediaReader.open(reference, header.subarray(1))), 'SIG_STREAM_TRUNCATED');
  for (const [from, to] of [
    [0, 0],
    [5, 4],
    [-1, 4],
    [0, 500_001],
    [0.5, 2],
  ] as const) {
    t.throws(() => reader.locate({ start: from, end: to }), RangeError);
  }
});

/** Encrypts until `pieceCount` pieces were handed out, as if the upload then broke off. */
async function breakOff(
  file: Uint8Array,
  pieceCount: number,
): Promise<{ sent: Uint8Array; encryption: MediaEncryption }> {
  const encryption = MediaEncryption.begin(random);
  const stream = encryption.encrypt([file]);
  const pieces: Uint8Array[] = [];
  while (pieces.length < pieceCount) pieces.push((await stream.next()).value as Uint8Array);
  return { sent: concat(...pieces), encryption };
}

t.test('an encryption that was broken off goes on where the other side stands', async (t) => {
  const file = random(700_000);
  for (const missing of [0, 1, 65_552, 200_000]) {
    const { sent, encryption } = await breakOff(file, 6);
    const checkpoint = structuredClone(encryption.checkpoint());
    t.equal(checkpoint.sealedBytes, sent.length);
    const received = sent.subarray(0, sent.length - missing);
    const { bytes, outcome } = await collect(MediaEncryption.resume(checkpoint, received.length).encrypt([file]));
    const opened = await decrypt(must(outcome), concat(received, bytes));
    t.equal(opened.code, 'ok', `${missing} bytes were lost on the way`);
    t.ok(samePublicBytes(opened.bytes, file));
  }
});

t.test('nothing goes out where the file is not the one that was begun with', async (t) => {
  const file = random(700_000);
  const { sent, encryption } = await breakOff(file, 6);
  const checkpoint = encryption.checkpoint();
  const cases: [string, Uint8Array, number][] = [
    ['a byte before the checkpoint was changed', file.with(9, file[9]! ^ 1), sent.length],
    ['the same, with chunks to repeat', file.with(300_000, file[300_000]! ^ 1), sent.length - 100_000],
    ['the file was shortened', file.subarray(0, 100_000), sent.length],
    ['the file was emptied', new Uint8Array(0), sent.length],
    ['the other side has more than was sent', file, sent.length + 1],
    ['the other side has nothing sensible', file, -1],
  ];
  for (const [name, changed, received] of cases) {
    const { bytes, outcome } = await collect(MediaEncryption.resume(checkpoint, received).encrypt([changed]));
    t.equal(codeOf(outcome), 'SIG_STREAM_NOT_RESUMABLE', name);
    t.equal(bytes.length, 0, 'no byte under a nonce that was used');
  }
  const far = { ...checkpoint, sealedBytes: LIMITS.mediaResumeGapBytesMax + 1 };
  t.equal(codeOf((await collect(MediaEncryption.resume(far, 0).encrypt([file]))).outcome), 'SIG_STREAM_NOT_RESUMABLE');
});

t.test('a file beyond the bound is refused, without being held', async (t) => {
  const piece = new Uint8Array(2 ** 26);
  function* large(): Generator<Uint8Array, void, undefined> {
    for (let bytes = 0; bytes <= LIMITS.mediaBytesMax; bytes += piece.length) yield piece;
  }
  const encryption = MediaEncryption.begin(random);
  const stream = encryption.encrypt(large());
  // The cipher is not what is tested: only the first chunks are taken, the rest is counted by the bound itself.
  t.notOk((await stream.next()).done);
  await stream.return(undefined as never);
  async function* over(): ByteStream<void> {
    yield { length: LIMITS.mediaBytesMax + 1 } as Uint8Array;
  }
  const { bytes, outcome } = await collect(MediaEncryption.begin(random).encrypt(over()));
  t.equal(codeOf(outcome), 'SIG_MEDIA_TOO_LARGE');
  t.equal(bytes.length, LIMITS.streamHeaderBytes);
});

t.test('an encryption is used once, and does not show its key', async (t) => {
  const encryption = MediaEncryption.begin(random);
  const { outcome } = await collect(encryption.encrypt([random(9)]));
  t.notOk(isSignalError(outcome));
  await t.rejects(collect(encryption.encrypt([random(9)])), TypeError);
  t.equal(JSON.stringify(encryption), '"[MediaEncryption redacted]"');
  t.equal(paddedMediaBytes(9), 4_096);
});

async function takeOne(stream: ByteStream<unknown>): Promise<Uint8Array | undefined> {
  for await (const piece of stream) return piece;
  return undefined;
}

t.test('whoever stops reading, or finds damage, lets the source go', async (t) => {
  const { sealed, reference } = await encrypt(random(300_000));
  const bent = sealed.with(200_000, sealed[200_000]! ^ 1);
  const readers: [string, (source: ByteStream<void>) => Promise<unknown>][] = [
    ['left early', (source) => takeOne(decryptMedia(reference, source))],
    ['damaged', (source) => collect(decryptMedia(reference, source))],
  ];
  for (const [name, read] of readers) {
    let isLetGo = false;
    const source = async function* (): ByteStream<void> {
      try {
        yield* inPieces(bent, 40_000);
      } finally {
        isLetGo = true;
      }
    };
    await read(source());
    t.ok(isLetGo, name);
  }
});
