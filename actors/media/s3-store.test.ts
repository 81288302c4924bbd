/**
 * The object store when things go wrong: what is said to the client, what is kept, and that nothing whole is lost. What every store
 * promises is in `contract.test.ts`.
 */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock, systemRandom } from '../../runtime/index.ts';
import { ACCESS_KEY, S3Double, SECRET_KEY, type Fault, type Operation } from '../../test/s3-double.ts';
import { LIMITS } from '../limits.ts';
import { readAddress, type S3Address } from './address.ts';
import { isRefused, type Appender, type BlobReader, type MediaRefusal, type UploadState } from './media-store.ts';
import { isFailure, type S3Failure } from './s3-client.ts';
import { openS3Store, type S3Store } from './s3-store.ts';

const ALICE = '100000000000001';
const ID = 'ab'.repeat(16);
const MIB = 1_048_576;
const PART = 5 * MIB;
/** Three parts, the last of them short. */
const SIZE = 2 * PART + 100_000;
const CONTENT = Buffer.from(systemRandom.bytes(SIZE));

interface Fixture {
  readonly double: S3Double;
  readonly store: S3Store;
  readonly logged: string[];
  readonly directory: string;
  /** Another process over the same bucket and disk. */
  reopen(): Promise<S3Store>;
}

interface Overrides {
  readonly secret?: string;
  readonly bucket?: string;
  readonly endpoint?: string;
  /** When a request counts as hanging; default: longer than any machine stands still, since a test counts requests. */
  readonly idleMs?: number;
}

async function openOver(double: S3Double, directory: string, logged: string[], overrides: Overrides = {}) {
  const note = (event: string, fields: object = {}): void => void logged.push(`${event} ${JSON.stringify(fields)}`);
  const { secret = SECRET_KEY, idleMs = 60_000, ...place } = overrides;
  return openS3Store({
    address: { ...(readAddress(double.address) as S3Address), ...place },
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: secret, sessionToken: undefined },
    ...{ directory, reserveBytes: 0, partBytes: PART, idleMs },
    // Pauses are as short as they are with a store that answers at once.
    clock: { ...systemClock, setTimer: (_ms, callback) => systemClock.setTimer(0, callback) },
    random: systemRandom,
    log: { debug: note, info: note, warn: note, error: note },
  });
}

async function start(t: Test, overrides: Overrides = {}): Promise<Fixture> {
  const double = await S3Double.start((close) => t.teardown(close));
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-s3-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const logged: string[] = [];
  const reopen = async (): Promise<S3Store> => must(await openOver(double, directory, logged, overrides));
  return { double, store: await reopen(), logged, directory, reopen };
}

function must<Outcome>(outcome: Outcome | S3Failure | MediaRefusal): Outcome {
  if (isFailure(outcome)) throw new Error(outcome.code);
  if (typeof outcome === 'object' && outcome !== null && isRefused(outcome)) throw new Error(outcome.refused);
  return outcome as Outcome;
}

/** Fails the first requests of that operation so. */
function failFirst(double: S3Double, operation: Operation, ...faults: Fault[]): void {
  double.fault = (each) => (each === operation ? faults.shift() : undefined);
}

/** Appends everything from `offset` on, in the slices of a client. */
async function appendRest(store: S3Store, offset: number): Promise<UploadState | MediaRefusal> {
  const appender = must<Appender>(await store.append(ID, ALICE, offset, systemClock.nowMs()));
  for (let at = offset; at < SIZE; at += MIB) {
    if ((await appender.write([CONTENT.subarray(at, Math.min(at + MIB, SIZE))])) !== 'ok') break;
  }
  return appender.close();
}

async function begin(store: S3Store, bytes = SIZE): Promise<void> {
  must(await store.create(ID, ALICE, bytes, systemClock.nowMs()));
}

async function readBack(store: S3Store): Promise<Buffer> {
  const blob = must<BlobReader>(await store.open(ID));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < blob.bytes; at += LIMITS.mediaReadBytes)
    pieces.push(await blob.read(at, LIMITS.mediaReadBytes));
  await blob.close();
  return Buffer.concat(pieces);
}

t.test('a medium goes up in parts of one size and comes down in one request', async (t) => {
  const { double, store, directory } = await start(t);
  await begin(store);
  t.strictSame(await appendRest(store, 0), { bytes: SIZE, offset: SIZE });
  const sent = double.requests.filter(({ operation }) => operation === 'UploadPart').map(({ bytes }) => bytes);
  t.strictSame(sent, [PART, PART, 100_000]);
  t.ok((await readBack(store)).equals(CONTENT));
  t.equal(double.count('GetObject'), 1);
  t.strictSame(readdirSync(join(directory, ALICE)), [], 'nothing stays on the disk');
  t.strictSame(double.refusals, []);
});

t.test('a small medium is one object and no parts', async (t) => {
  const { double, store } = await start(t);
  await begin(store, 1_000);
  const appender = must<Appender>(await store.append(ID, ALICE, 0, systemClock.nowMs()));
  await appender.write([CONTENT.subarray(0, 1_000)]);
  t.strictSame(await appender.close(), { bytes: 1_000, offset: 1_000 });
  t.ok((await readBack(store)).equals(CONTENT.subarray(0, 1_000)));
  t.equal(double.count('CreateUpload') + double.count('UploadPart'), 0);
});

t.test('after a restart the upload goes on with the parts that are there', async (t) => {
  const { double, store, directory, reopen } = await start(t);
  await begin(store);
  const appender = must<Appender>(await store.append(ID, ALICE, 0, systemClock.nowMs()));
  for (let at = 0; at < PART + 3 * MIB; at += MIB) await appender.write([CONTENT.subarray(at, at + MIB)]);
  // The process is killed here: nobody closes the appender, and its lock stays.
  const after = await reopen();
  t.strictSame(await after.find(ID, ALICE), { bytes: SIZE, offset: PART + 3 * MIB });
  t.strictSame(await after.append(ID, ALICE, PART + 3 * MIB, 0), { refused: 'busy' });
  await after.clearLocks();
  t.strictSame(await appendRest(after, PART + 3 * MIB), { bytes: SIZE, offset: SIZE });
  t.equal(double.count('UploadPart'), 3, 'no part twice');
  t.equal(double.count('CreateUpload'), 1);
  t.ok((await readBack(after)).equals(CONTENT));
  t.strictSame(readdirSync(join(directory, ALICE)), []);
  await appender.close().catch(() => undefined);
});

t.test('the disk holds one part of an upload and no more', async (t) => {
  const { store, directory } = await start(t);
  await begin(store);
  const appender = must<Appender>(await store.append(ID, ALICE, 0, systemClock.nowMs()));
  for (let at = 0; at < SIZE - MIB; at += MIB) {
    await appender.write([CONTENT.subarray(at, at + MIB)]);
    const staged = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = staged.map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).size);
    t.ok(bytes.reduce((sum, each) => sum + each, 0) <= PART + MIB, `${bytes}`);
  }
  await appender.close();
});

const PASSING: readonly Fault[] = [
  { status: 500, code: 'InternalError' },
  { status: 503, code: 'SlowDown' },
  'hang',
  'reset',
  'deaf',
];

for (const operation of ['CreateUpload', 'UploadPart', 'CompleteUpload'] as const) {
  t.test(
    `${operation} that fails once in any way that passes is tried again, and the client sees nothing of it`,
    async (t) => {
      for (const fault of operation === 'CompleteUpload' ? [...PASSING, 'late-error' as const] : PASSING) {
        const { double, store } = await start(t, { idleMs: 500 });
        failFirst(double, operation, fault);
        await begin(store);
        const name = JSON.stringify(fault);
        t.strictSame(await appendRest(store, 0), { bytes: SIZE, offset: SIZE }, name);
        t.ok((await readBack(store)).equals(CONTENT), name);
        double.stop();
      }
    },
  );
}

t.test('a store that stays down loses nothing: the client is told to come again, and then goes on', async (t) => {
  const { double, store, logged } = await start(t);
  await begin(store);
  double.fault = () => ({ status: 503, code: 'SlowDown' });
  const first = await appendRest(store, 0);
  t.strictSame(first, { bytes: SIZE, offset: PART }, 'the bytes of one part are on the disk');
  t.strictSame(await store.open(ID), { refused: 'unavailable' });
  t.strictSame(await store.create('cd'.repeat(16), ALICE, 5, 0), { refused: 'unavailable' });
  t.ok(double.count('CreateUpload') === LIMITS.objectStoreAttemptsMax, 'and the store is not asked for ever');
  t.match(logged.join('\n'), 'object_store_failed {"failed":"unavailable","code":"SlowDown"}');
  double.fault = () => undefined;
  t.strictSame(await appendRest(store, PART), { bytes: SIZE, offset: SIZE });
  t.ok((await readBack(store)).equals(CONTENT));
});

t.test(
  'while the last step fails the last byte does not count, so that nobody is told of a blob that is not there',
  async (t) => {
    const { double, store, reopen } = await start(t);
    await begin(store);
    double.fault = (operation) => (operation === 'CompleteUpload' ? { status: 500, code: 'InternalError' } : undefined);
    t.strictSame(await appendRest(store, 0), { refused: 'unavailable' });
    t.strictSame(await store.find(ID, ALICE), { bytes: SIZE, offset: SIZE - 1 });
    t.strictSame(await store.open(ID), { refused: 'unknown' });
    double.fault = () => undefined;
    t.strictSame(await appendRest(await reopen(), SIZE - 1), { bytes: SIZE, offset: SIZE });
    t.ok((await readBack(store)).equals(CONTENT));
  },
);

t.test('a part that the store has lost ends the upload: the client begins anew', async (t) => {
  const { double, store } = await start(t);
  await begin(store);
  double.fault = (operation) => {
    if (operation === 'CompleteUpload') for (const { parts } of double.uploads.values()) parts.delete(1);
    return undefined;
  };
  t.strictSame(await appendRest(store, 0), { refused: 'unknown' });
  t.strictSame(await store.find(ID, ALICE), { refused: 'unknown' });
  double.fault = () => undefined;
  await begin(store);
  t.strictSame(await appendRest(store, 0), { bytes: SIZE, offset: SIZE });
  t.ok((await readBack(store)).equals(CONTENT));
});

t.test('an upload that somebody has aborted in the store ends as well, at the next part', async (t) => {
  const { double, store } = await start(t);
  await begin(store);
  const appender = must<Appender>(await store.append(ID, ALICE, 0, systemClock.nowMs()));
  for (let at = 0; at < PART + MIB; at += MIB) await appender.write([CONTENT.subarray(at, at + MIB)]);
  t.equal(double.uploads.size, 1);
  double.uploads.clear();
  await appender.write([CONTENT.subarray(PART + MIB, 2 * PART)]);
  t.equal(await appender.write([CONTENT.subarray(2 * PART, SIZE)]), 'unknown');
  t.strictSame(await appender.close(), { refused: 'unknown' });
});

t.test('a download goes on where the store cut it, and ends where it fails for good', async (t) => {
  const { double, store } = await start(t, { idleMs: 2_000 });
  await begin(store);
  await appendRest(store, 0);
  failFirst(double, 'GetObject', 'reset', { status: 503, code: 'SlowDown' }, 'reset', 'hang');
  t.ok((await readBack(store)).equals(CONTENT));
  t.equal(double.count('GetObject'), 5);
  double.fault = (operation) => (operation === 'GetObject' ? { status: 500, code: 'InternalError' } : undefined);
  const blob = must<BlobReader>(await store.open(ID));
  await t.rejects(blob.read(0, 10), { code: 'InternalError' });
  await blob.close();
});

t.test('parts that nobody completed are given up after two days, also of a node whose disk is gone', async (t) => {
  const { double, store, directory } = await start(t);
  await begin(store);
  const appender = must<Appender>(await store.append(ID, ALICE, 0, systemClock.nowMs()));
  for (let at = 0; at < PART + MIB; at += MIB) await appender.write([CONTENT.subarray(at, at + MIB)]);
  await appender.close();
  rmSync(join(directory, ALICE), { recursive: true });
  const days = async (count: number): Promise<void> => {
    while (!(await store.sweep(systemClock.nowMs() + count * LIMITS.uploadAgeMsMax)).done);
  };
  await days(1.9);
  t.equal(double.uploads.size, 1);
  await days(2.1);
  t.equal(double.uploads.size, 0);
});

t.test('a store that cannot list parts is swept all the same', async (t) => {
  const { double, store } = await start(t);
  const old = systemClock.nowMs() - LIMITS.mediaAgeMsMax - LIMITS.mediaObjectGraceMs - 1;
  double.objects.set('blobs/1', { bytes: Buffer.alloc(1), modifiedMs: old });
  double.fault = (operation) => (operation === 'ListUploads' ? { status: 501, code: 'NotImplemented' } : undefined);
  while (!(await store.sweep(systemClock.nowMs())).done);
  t.equal(double.objects.size, 0);
  t.equal(double.count('ListUploads'), 1, 'and is not asked again and again');
});

t.test('a sweep goes through more objects than a page has, and one that fails begins anew', async (t) => {
  const { double, store } = await start(t);
  const old = systemClock.nowMs() - LIMITS.mediaAgeMsMax - LIMITS.mediaObjectGraceMs - 1;
  const count = 2 * LIMITS.mediaSweepKeysMax + 10;
  for (let number = 0; number < count; number++) {
    const key = `blobs/${number.toString(16).padStart(32, '0')}`;
    double.objects.set(key, { bytes: Buffer.alloc(1), modifiedMs: number % 2 === 0 ? old : systemClock.nowMs() });
  }
  double.objects.set('elsewhere/1', { bytes: Buffer.alloc(1), modifiedMs: old });
  double.fault = (operation) => (operation === 'ListObjects' ? { status: 403, code: 'AccessDenied' } : undefined);
  const sweepAll = async (): Promise<number> => {
    for (let removed = 0; ;) {
      const report = await store.sweep(systemClock.nowMs());
      removed += report.removed;
      if (report.done) return removed;
    }
  };
  await t.rejects(sweepAll(), { code: 'AccessDenied' });
  double.fault = () => undefined;
  t.equal(await sweepAll(), count / 2);
  t.equal(double.objects.size, count / 2 + 1, 'and what is not ours stays');
});

t.test('a store that does not take us says why, by its code, and no secret is in it', async (t) => {
  const { double, directory } = await start(t);
  const logged: string[] = [];
  const codeOf = async (overrides: Overrides): Promise<string> => {
    const opened = await openOver(double, directory, logged, overrides);
    return isFailure(opened) ? opened.code : 'opened';
  };
  t.equal(await codeOf({ bucket: 'no-such-bucket' }), 'NoSuchBucket');
  t.equal(await codeOf({ secret: 'a wrong secret' }), 'SignatureDoesNotMatch');
  t.equal(await codeOf({ endpoint: 'http://127.0.0.1:9' }), 'ECONNREFUSED');
  t.equal(await codeOf({}), 'opened');
  t.notMatch(logged.join('\n'), /secret/);
});
