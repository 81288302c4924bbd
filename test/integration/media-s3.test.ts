/**
 * A node whose media lie in an object store: the SDK uploads and downloads through it, it is killed in the middle, and it says why it
 * does not start. The store is the strict double of `test/s3-double.ts`.
 */

import t, { type Test } from 'tap';
import { memoryStore } from '../../client/index.ts';
import { ACCESS_KEY, BUCKET, S3Double, SECRET_KEY } from '../s3-double.ts';
import { newPerson, until, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const MIB = 1_048_576;
const ALICE = '+4915100000001';
const BOB = '+4915100000002';

// Where a node takes them from: it is a child of this process.
process.env['AWS_ACCESS_KEY_ID'] = ACCESS_KEY;
process.env['AWS_SECRET_ACCESS_KEY'] = SECRET_KEY;

async function* pieces(file: Buffer, eachMs: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < file.length; at += MIB / 4) {
    if (eachMs > 0) await new Promise((resolve) => setTimeout(resolve, eachMs));
    yield file.subarray(at, at + MIB / 4);
  }
}

async function read(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function assertSecret(t: Test, server: ServerProcess): void {
  t.notMatch(`${JSON.stringify(server.lines)} ${server.errors}`, SECRET_KEY, 'the secret stands in no log');
}

t.test('a file survives the death of the node while it goes up, and lies in the bucket as ciphertext', async (t) => {
  const double = await S3Double.start((close) => t.teardown(close));
  const directory = temporaryDirectory(t);
  const flags = ['--media', double.address];
  const first = await ServerProcess.start(t, directory, flags);
  const port = new URL(first.url).port;
  const alice = await newPerson(t, first, ALICE, memoryStore(), 20_000);
  const bob = await newPerson(t, first, BOB);

  const file = Buffer.alloc(20 * MIB, 'the plan of the harbour, of which the store must not see a word. ');
  const upload = alice.client.uploadMedia({ bytes: file.length, pieces: pieces(file, 15) }, { name: 'plan.txt' });
  await until('the first part', PATIENCE_MS, () => double.count('UploadPart') >= 1);
  await first.kill();
  const second = await ServerProcess.start(t, directory, [...flags, '--port', port]);
  const attachment = await upload;
  t.equal(double.count('CreateUpload'), 1, 'it went on, and did not begin anew');
  t.equal(double.objects.size, 1);
  const object = double.objects.get(`blobs/${attachment.locator.slice('/media/'.length)}`);
  t.ok(object !== undefined && !object.bytes.includes('harbour'), 'under its id, and not in the clear');

  await alice.client.send(BOB, { kind: 'attachment', ...attachment });
  await until('the message', PATIENCE_MS, () => bob.received.length === 1);
  const [message] = bob.received;
  if (message?.kind !== 'attachment') return void t.fail(`expected an attachment, got ${message?.kind}`);
  let cuts = 2;
  double.fault = (operation) => (operation === 'GetObject' && cuts-- > 0 ? 'reset' : undefined);
  t.ok((await read(bob.client.downloadMedia(message.attachment))).equals(file));
  t.strictSame(double.refusals, [], 'each request was signed as it should be');
  assertSecret(t, first);
  assertSecret(t, second);
  t.equal(await second.stop(), 0);
});

t.test('a node that its object store does not take says so in one line with a code', async (t) => {
  const double = await S3Double.start((close) => t.teardown(close));
  const launch = (address: string) =>
    ServerProcess.launch(t, ['--data', temporaryDirectory(t), '--port', '0', '--media', address]);
  const missing = launch(double.address.replace(BUCKET, 'no-such-bucket'));
  t.equal(await missing.exited(), 1);
  t.match(missing.errors, /^APP_MEDIA_STORE: the bucket no-such-bucket at .* cannot be used: NoSuchBucket\n$/);
  const wrong = launch(double.address.replace('eu-test-1', 'eu-test-2'));
  t.equal(await wrong.exited(), 1);
  t.match(wrong.errors, /^APP_MEDIA_STORE: .* AuthorizationHeaderMalformed\n$/);
  const telling = launch('s3://key:hush@media');
  t.equal(await telling.exited(), 2);
  t.match(telling.errors, /^APP_CONFIG: "media" must hold no credentials/);
  t.notMatch(telling.errors, 'hush');
  for (const server of [missing, wrong, telling]) assertSecret(t, server);
});
