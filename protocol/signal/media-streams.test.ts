/** Media through web streams: the same bytes, refusals as errors of the stream, and no more work than is asked for. */
import t from 'tap';
import { samePublicBytes } from './bytes.ts';
import { decryptMedia, MediaEncryption, type MediaReference } from './media.ts';
import {
  fromReadableStream,
  mediaDecryptionTransform,
  mediaEncryptionTransform,
  toReadableStream,
} from './media-streams.ts';
import type { ByteStream } from './sealed-stream.ts';
import { seededRandom } from './testing/device.ts';
import { must } from './testing/outcome.ts';
import { collect } from './testing/streams.ts';

const random = seededRandom('media-streams');

async function readAll(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return (await collect(fromReadableStream(readable))).bytes;
}

function blobStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}

async function encrypt(file: Uint8Array): Promise<{ sealed: Uint8Array; reference: MediaReference }> {
  const transform = mediaEncryptionTransform(MediaEncryption.begin(random));
  const sealed = await readAll(blobStream(file).pipeThrough(transform));
  return { sealed, reference: must(await transform.outcome) };
}

t.test('a blob goes through both transforms and is itself again', async (t) => {
  const file = random(300_000);
  const { sealed, reference } = await encrypt(file);
  t.ok(
    samePublicBytes((await collect(decryptMedia(reference, [sealed]))).bytes, file),
    'and the generator reads it as well',
  );
  t.ok(samePublicBytes(await readAll(blobStream(sealed).pipeThrough(mediaDecryptionTransform(reference))), file));
});

t.test('a refusal errors the stream, so that a part is not taken for the whole', async (t) => {
  const { sealed, reference } = await encrypt(random(300_000));
  const cut = sealed.subarray(0, 200_000);
  await t.rejects(readAll(blobStream(cut).pipeThrough(mediaDecryptionTransform(reference))));
  const { readable, outcome } = toReadableStream(decryptMedia(reference, [cut]));
  const reader = readable.getReader();
  await t.rejects(
    (async () => {
      while (!(await reader.read()).done);
    })(),
    { code: 'SIG_STREAM_TRUNCATED' },
  );
  t.match(await outcome, { code: 'SIG_STREAM_TRUNCATED' });
});

t.test('nothing is produced before it is asked for, and leaving stops the source', async (t) => {
  let produced = 0;
  let isLeft = false;
  async function* source(): ByteStream<void> {
    try {
      for (;;) {
        produced += 1;
        yield random(8);
      }
    } finally {
      isLeft = true;
    }
  }
  const { readable, outcome } = toReadableStream(source());
  t.equal(produced, 0);
  const reader = readable.getReader();
  await reader.read();
  t.equal(produced, 1);
  await reader.cancel('enough');
  t.ok(isLeft);
  await t.rejects(outcome);
});

t.test('a source that fails fails the stream and the outcome', async (t) => {
  const failing = (async function* (): ByteStream<void> {
    yield random(8);
    throw new Error('disk');
  })();
  const { readable, outcome } = toReadableStream(failing);
  await t.rejects(readAll(readable), { message: 'disk' });
  await t.rejects(outcome, { message: 'disk' });
});

t.test('a readable stream is a source, and is cancelled when left', async (t) => {
  let cancelled: unknown;
  const readable = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(random(4)),
    cancel: (reason) => void (cancelled = reason ?? 'left'),
  });
  for await (const piece of fromReadableStream(readable)) {
    t.equal(piece.length, 4);
    break;
  }
  t.equal(cancelled, 'left');
});
