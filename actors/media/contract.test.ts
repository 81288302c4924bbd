/** What every store of media promises; one suite, run against each of them. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LIMITS } from '../limits.ts';
import { systemClock, systemRandom, type Logger } from '../../runtime/index.ts';
import { ACCESS_KEY, S3Double, SECRET_KEY } from '../../test/s3-double.ts';
import { readAddress, type S3Address } from './address.ts';
import { openDiskStore } from './disk-store.ts';
import { isRefused, type Appender, type BlobReader, type MediaStore } from './media-store.ts';
import { isFailure } from './s3-client.ts';
import { openS3Store, type S3Store } from './s3-store.ts';

const ALICE = '100000000000001';
const BOB = '100000000000002';
const NOW = 1_700_000_000_000;

interface Opened {
  readonly store: MediaStore;
  /** The same media through another worker of the node, or after a restart. */
  another(): Promise<MediaStore>;
  /** Sets the clock by which the age of blobs is told, where it is not the caller's. */
  setTime(nowMs: number): void;
}

interface Fixture {
  readonly name: string;
  open(test: Test): Promise<Opened>;
  /** A store whose disk has no room to spare. */
  openFull(test: Test): Promise<MediaStore>;
  /** For how long an expired blob is kept for those who are reading it. */
  readonly graceMs: number;
}

function temporary(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-media-'));
  test.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const FIXTURES: readonly Fixture[] = [
  {
    name: 'disk',
    async open(test) {
      const directory = temporary(test);
      const another = (): Promise<MediaStore> => openDiskStore({ directory, reserveBytes: 0 });
      return { store: await another(), another, setTime: () => undefined };
    },
    openFull: (test) => openDiskStore({ directory: temporary(test), reserveBytes: Number.MAX_SAFE_INTEGER }),
    graceMs: 0,
  },
  {
    name: 's3',
    async open(test) {
      const [double, directory] = [await S3Double.start((close) => test.teardown(close)), temporary(test)];
      let nowMs = NOW;
      double.nowMs = () => nowMs;
      const another = (): Promise<MediaStore> => openBucket(double, { directory, nowMs: () => nowMs });
      return { store: await another(), another, setTime: (time) => (nowMs = time) };
    },
    openFull: async (test) => {
      const double = await S3Double.start((close) => test.teardown(close));
      double.nowMs = () => NOW;
      const reserveBytes = Number.MAX_SAFE_INTEGER;
      return openBucket(double, { directory: temporary(test), nowMs: () => NOW, reserveBytes });
    },
    graceMs: LIMITS.mediaObjectGraceMs,
  },
];

const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface BucketOptions {
  readonly directory: string;
  readonly nowMs: () => number;
  readonly reserveBytes?: number;
}

async function openBucket(double: S3Double, { directory, nowMs, reserveBytes = 0 }: BucketOptions): Promise<S3Store> {
  const store = await openS3Store({
    ...{
      address: readAddress(double.address) as S3Address,
      directory,
      reserveBytes,
      random: systemRandom,
      log: SILENT,
    },
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY, sessionToken: undefined },
    clock: { ...systemClock, nowMs },
  });
  if (isFailure(store)) throw new Error(store.code);
  return store;
}

function idOf(number: number): string {
  return number.toString(16).padStart(32, '0');
}

function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 0xff);
}

async function appendTo(store: MediaStore, id: string, offset: number, owner = ALICE): Promise<Appender> {
  const appender = await store.append(id, owner, offset, NOW);
  if (isRefused(appender)) throw new Error(`refused: ${appender.refused}`);
  return appender;
}

async function upload({ store, setTime }: Opened, id: string, bytes: Uint8Array, nowMs = NOW): Promise<void> {
  setTime(nowMs);
  await store.create(id, ALICE, bytes.length, nowMs);
  const appender = await store.append(id, ALICE, 0, nowMs);
  if (isRefused(appender)) throw new Error(`refused: ${appender.refused}`);
  await appender.write([bytes]);
  await appender.close();
}

async function readAll(store: MediaStore, id: string): Promise<Uint8Array> {
  const blob = (await store.open(id)) as BlobReader;
  const bytes = await blob.read(0, blob.bytes);
  await blob.close();
  return bytes;
}

for (const fixture of FIXTURES) {
  t.test(`${fixture.name}: an upload in pieces, over several holders and workers, becomes one blob`, async (t) => {
    const { store, another } = await fixture.open(t);
    const bytes = pattern(100_000);
    t.strictSame(await store.create(idOf(1), ALICE, bytes.length, NOW), { bytes: 100_000, offset: 0 });
    const first = await appendTo(store, idOf(1), 0);
    t.equal(await first.write([bytes.subarray(0, 10), bytes.subarray(10, 50_000)]), 'ok');
    t.strictSame(await first.close(), { bytes: 100_000, offset: 50_000 });
    t.strictSame(await store.open(idOf(1)), { refused: 'unknown' }, 'nobody reads what is not whole');
    const other = await another();
    t.strictSame(await other.find(idOf(1), ALICE), { bytes: 100_000, offset: 50_000 });
    const second = await appendTo(other, idOf(1), 50_000);
    await second.write([bytes.subarray(50_000)]);
    t.strictSame(await second.close(), { bytes: 100_000, offset: 100_000 });
    t.strictSame(await readAll(store, idOf(1)), bytes);
    t.strictSame(await store.find(idOf(1), BOB), { bytes: 100_000, offset: 100_000 }, 'a blob belongs to nobody');
  });

  t.test(`${fixture.name}: creating again says how far it is; another size or account gets nothing`, async (t) => {
    const { store } = await fixture.open(t);
    await store.create(idOf(1), ALICE, 10, NOW);
    const appender = await appendTo(store, idOf(1), 0);
    await appender.write([pattern(4)]);
    await appender.close();
    t.strictSame(await store.create(idOf(1), ALICE, 10, NOW), { bytes: 10, offset: 4 });
    t.strictSame(await store.create(idOf(1), ALICE, 11, NOW), { refused: 'unknown' });
    t.strictSame(await store.find(idOf(1), BOB), { refused: 'unknown' });
    t.strictSame(await store.append(idOf(1), BOB, 4, NOW), { refused: 'unknown' });
    const rest = await appendTo(store, idOf(1), 4);
    await rest.write([pattern(6)]);
    await rest.close();
    t.strictSame(await store.create(idOf(1), ALICE, 10, NOW), { bytes: 10, offset: 10 }, 'also of the finished one');
  });

  t.test(`${fixture.name}: only the end may be appended to, and by one holder at a time`, async (t) => {
    const { store, another } = await fixture.open(t);
    await store.create(idOf(1), ALICE, 10, NOW);
    const appender = await appendTo(store, idOf(1), 0);
    t.strictSame(await (await another()).append(idOf(1), ALICE, 0, NOW), { refused: 'busy' });
    await appender.write([pattern(5)]);
    await appender.close();
    const wrong = { refused: 'offset', state: { bytes: 10, offset: 5 } };
    for (const offset of [0, 4, 6, 10])
      t.strictSame(await store.append(idOf(1), ALICE, offset, NOW), wrong, `${offset}`);
    const rest = await appendTo(store, idOf(1), 5);
    await t.rejects(rest.write([pattern(6)]), RangeError, 'more than was declared is a wrong call');
    await rest.write([pattern(5)]);
    await rest.close();
    const whole = { refused: 'offset', state: { bytes: 10, offset: 10 } };
    t.strictSame(await store.append(idOf(1), ALICE, 10, NOW), whole, 'a blob never changes');
    t.strictSame(await store.append(idOf(2), ALICE, 0, NOW), { refused: 'unknown' });
  });

  t.test(`${fixture.name}: unfinished uploads of an account are bounded; finishing one makes room`, async (t) => {
    const { store } = await fixture.open(t);
    for (let number = 1; number <= LIMITS.openUploadsMax; number++) await store.create(idOf(number), ALICE, 3, NOW);
    t.strictSame(await store.create(idOf(99), ALICE, 3, NOW), { refused: 'too-many' });
    t.strictSame(await store.create(idOf(98), BOB, 3, NOW), { bytes: 3, offset: 0 }, 'others are not concerned');
    const appender = await appendTo(store, idOf(1), 0);
    await appender.write([pattern(3)]);
    await appender.close();
    t.strictSame(await store.create(idOf(99), ALICE, 3, NOW), { bytes: 3, offset: 0 });
  });

  t.test(`${fixture.name}: any part of a blob can be read, and a reader outlives the sweep`, async (t) => {
    const opened = await fixture.open(t);
    const { store, setTime } = opened;
    const bytes = pattern(70_000);
    await upload(opened, idOf(1), bytes);
    const blob = (await store.open(idOf(1))) as BlobReader;
    t.equal(blob.bytes, 70_000);
    t.strictSame(await blob.read(65_530, 100), bytes.slice(65_530, 65_630));
    t.strictSame(await blob.read(69_999, 100), bytes.slice(69_999));
    t.equal((await blob.read(70_000, 100)).length, 0);
    setTime(NOW + LIMITS.mediaAgeMsMax);
    await sweepAll(store, NOW + LIMITS.mediaAgeMsMax);
    t.strictSame(await blob.read(0, 10), bytes.slice(0, 10));
    await blob.close();
    t.strictSame(await store.open(idOf(1)), { refused: 'unknown' });
  });

  t.test(`${fixture.name}: blobs go after thirty days, uploads without progress after one`, async (t) => {
    const opened = await fixture.open(t);
    const { store, setTime } = opened;
    const goneMs = LIMITS.mediaAgeMsMax + fixture.graceMs;
    await upload(opened, idOf(1), pattern(5));
    await upload(opened, idOf(0x999 * 16 ** 29), pattern(5), NOW + 1_000);
    await store.create(idOf(3), ALICE, 5, NOW);
    await store.create(idOf(4), BOB, 5, NOW + 1_000);
    t.equal(await sweepAll(store, NOW + LIMITS.uploadAgeMsMax - 1), 0);
    t.equal(await sweepAll(store, NOW + LIMITS.uploadAgeMsMax), 1);
    t.strictSame(await store.find(idOf(3), ALICE), { refused: 'unknown' });
    t.strictSame(await store.find(idOf(4), BOB), { bytes: 5, offset: 0 });
    setTime(NOW + LIMITS.mediaAgeMsMax);
    t.equal(await sweepAll(store, NOW + goneMs), 2, 'the other upload and the older blob');
    t.strictSame(await store.open(idOf(1)), { refused: 'unknown' });
    t.strictSame(await readAll(store, idOf(0x999 * 16 ** 29)), pattern(5));
    t.equal(await sweepAll(store, NOW + goneMs + 1_000), 1);
  });

  t.test(`${fixture.name}: an upload that is being appended to is not swept`, async (t) => {
    const { store } = await fixture.open(t);
    await store.create(idOf(1), ALICE, 5, NOW);
    const appender = await appendTo(store, idOf(1), 0);
    t.equal(await sweepAll(store, NOW + LIMITS.uploadAgeMsMax), 0);
    await appender.write([pattern(5)]);
    t.strictSame(await appender.close(), { bytes: 5, offset: 5 });
    t.strictSame(await readAll(store, idOf(1)), pattern(5));
  });

  t.test(`${fixture.name}: without room nothing is begun`, async (t) => {
    const store = await fixture.openFull(t);
    t.strictSame(await store.create(idOf(1), ALICE, 1, NOW), { refused: 'full' });
  });
}

async function sweepAll(store: MediaStore, nowMs: number): Promise<number> {
  let removed = 0;
  for (;;) {
    const report = await store.sweep(nowMs);
    removed += report.removed;
    if (report.done) return removed;
  }
}

t.test('disk: what a killed process left behind is mended, and nothing of it is lost', async (t) => {
  const directory = temporary(t);
  const before = await openDiskStore({ directory, reserveBytes: 0 });
  await before.create(idOf(1), ALICE, 10, NOW);
  const appender = await appendTo(before, idOf(1), 0);
  await appender.write([pattern(4)]);
  // The process is killed here: the lock stays, and nobody closes the appender.
  t.teardown(() => appender.close().catch(() => undefined));
  const after = await openDiskStore({ directory, reserveBytes: 0 });
  t.strictSame(await after.append(idOf(1), ALICE, 4, NOW), { refused: 'busy' });
  await after.clearLocks();
  const rest = await appendTo(after, idOf(1), 4);
  await rest.write([pattern(6)]);
  t.strictSame(await rest.close(), { bytes: 10, offset: 10 });
});

t.test('disk: an upload that runs out of room is kept, and an account leaves no directory behind', async (t) => {
  const directory = temporary(t);
  const roomy = await openDiskStore({ directory, reserveBytes: 0 });
  await roomy.create(idOf(1), ALICE, 10, NOW);
  const full = await openDiskStore({ directory, reserveBytes: Number.MAX_SAFE_INTEGER });
  const appender = await appendTo(full, idOf(1), 0);
  t.equal(await appender.write([pattern(4)]), 'full');
  t.strictSame(await appender.close(), { bytes: 10, offset: 0 });
  t.strictSame(readdirSync(join(directory, 'open')), [ALICE]);
  await sweepAll(roomy, NOW + LIMITS.uploadAgeMsMax);
  t.strictSame(readdirSync(join(directory, 'open')), []);
});
