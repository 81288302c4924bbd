/**
 * The bytes of a backup: vectors, pieces of any size, and each refusal.
 */

import t from 'tap';
import { sealStream } from '../protocol/signal/index.ts';
import type { BackupSecret } from '../protocol/signal/index.ts';
import { deriveBackupKey } from '../protocol/signal/backup-key.ts';
import { primitives } from '../protocol/signal/primitives.ts';
import { readBackup, writeBackup } from './backup-format.ts';
import { codeOf } from './errors.ts';
import { RecordWriter } from './record.ts';
import type { StoreEntry } from './store.ts';
import { bytesOf } from './testing/contents.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import vectors from './testing/backup-vectors.json' with { type: 'json' };

const random = new SeededRandom(4);
const SECRET: BackupSecret = { kind: 'digits', digits: '7'.repeat(64) };
const MANIFEST = { layout: 1, madeAt: 1_700_000_000_000, phone: '+4915100000001' };
const COST = { costLog2: 14, blockSize: 1, parallelism: 1 };

async function* each(entries: readonly StoreEntry[]): AsyncGenerator<StoreEntry, void, undefined> {
  yield* entries;
}

async function write(
  entries: readonly StoreEntry[],
  secret: BackupSecret = SECRET,
  cost = COST,
  draw = (length: number): Uint8Array => random.bytes(length),
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of writeBackup(secret, cost, draw, MANIFEST, each(entries))) pieces.push(piece);
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

function* inPieces(bytes: Uint8Array, pieceBytes: number): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

async function read(
  bytes: Uint8Array,
  secret: BackupSecret = SECRET,
  pieceBytes: number = 10_000,
): Promise<{ entries: StoreEntry[]; end: unknown }> {
  const entries: StoreEntry[] = [];
  try {
    const records = readBackup(inPieces(bytes, pieceBytes), () => secret);
    let step = await records.next();
    for (; !step.done; step = await records.next()) entries.push(step.value);
    return { entries, end: step.value };
  } catch (error) {
    return { entries, end: codeOf(error) };
  }
}

function entriesOf(count: number, valueBytes: number): StoreEntry[] {
  return Array.from({ length: count }, (_, n) => ({ key: `history/1/${n}`, value: random.bytes(valueBytes) }));
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

t.test('backups are what the vectors say, both ways', async (t) => {
  for (const vector of vectors.backups) {
    const secret = vector.secret as BackupSecret;
    const entries = vector.entries.map(({ key, value }) => ({ key, value: bytesOf(value) }));
    const drawn = [bytesOf(vector.salt), bytesOf(vector.streamSalt)];
    const bytes = await write(entries, secret, vector.cost, () => drawn.shift()!);
    t.equal(hexOf(bytes.subarray(0, 29)), vector.header, vector.name);
    t.equal(bytes.length, vector.bytes);
    const hash = primitives.createSha256();
    hash.update(bytes);
    t.equal(hexOf(hash.digest()), vector.sha256);
    t.same(await read(bytes, secret), { entries, end: vector.manifest });
  }
});

t.test('records come back in order, whatever the pieces', async (t) => {
  for (const [count, valueBytes, pieceBytes] of [
    [0, 0, 1],
    [3, 5, 1],
    [500, 300, 4_096],
    [5, 65_536, 70_000],
  ] as const) {
    const entries = entriesOf(count, valueBytes);
    const { entries: found, end } = await read(await write(entries), SECRET, pieceBytes);
    t.same(end, MANIFEST);
    t.equal(JSON.stringify(found), JSON.stringify(entries), `${count} records of ${valueBytes} bytes`);
  }
});

t.test('each refusal has its code', async (t) => {
  const bytes = await write(entriesOf(400, 400));
  const flipped = (place: number): Uint8Array => bytes.with(place, bytes[place]! ^ 1);
  const withTail = new Uint8Array(bytes.length + 1);
  withTail.set(bytes);
  const cases: [string, Uint8Array, string][] = [
    ['nothing', new Uint8Array(0), 'CLI_BACKUP_NOT_ONE'],
    ['another file', random.bytes(5_000), 'CLI_BACKUP_NOT_ONE'],
    ['half a header', bytes.subarray(0, 20), 'CLI_BACKUP_TRUNCATED'],
    ['no stream', bytes.subarray(0, 29), 'CLI_BACKUP_TRUNCATED'],
    ['the end missing', bytes.subarray(0, 29 + 50 + 65_552), 'CLI_BACKUP_TRUNCATED'],
    ['a later version', bytes.with(8, 2), 'CLI_BACKUP_TOO_NEW'],
    ['a kind of secret that there is not yet', bytes.with(9, 3), 'CLI_BACKUP_TOO_NEW'],
    ['a cost with digits', bytes.with(10, 17), 'CLI_BACKUP_TOO_NEW'],
    ['a later stream', bytes.with(29, 2), 'CLI_BACKUP_TOO_NEW'],
    ['another salt', flipped(13), 'CLI_BACKUP_WRONG_KEY'],
    ['a changed stream header', flipped(40), 'CLI_BACKUP_WRONG_KEY'],
    ['a changed byte', flipped(5_000), 'CLI_BACKUP_DAMAGED'],
    ['a changed byte near the end', flipped(bytes.length - 1), 'CLI_BACKUP_DAMAGED'],
    ['bytes behind the end', withTail, 'CLI_BACKUP_DAMAGED'],
  ];
  for (const [name, wrong, code] of cases) t.equal((await read(wrong)).end, code, name);
  t.equal((await read(bytes, { kind: 'digits', digits: '8'.repeat(64) })).end, 'CLI_BACKUP_WRONG_KEY');
  t.equal((await read(bytes, { kind: 'passphrase', passphrase: 'x' })).end, 'CLI_BACKUP_WRONG_KEY', 'another kind');
});

t.test('a header cannot ask for more work than the bounds', async (t) => {
  const secret: BackupSecret = { kind: 'passphrase', passphrase: 'correct horse battery' };
  const bytes = await write([], secret);
  t.same((await read(bytes, secret)).end, MANIFEST);
  for (const [place, value] of [
    [10, 13],
    [10, 19],
    [10, 63],
    [11, 0],
    [11, 9],
    [12, 0],
    [12, 5],
    [12, 255],
  ] as const) {
    t.equal((await read(bytes.with(place, value), secret)).end, 'CLI_BACKUP_TOO_NEW');
  }
  t.equal((await read(bytes.with(11, 2), secret)).end, 'CLI_BACKUP_WRONG_KEY', 'a cheaper cost is another key');
});

/** A backup with any records, from somebody who has the key. */
async function forge(records: Uint8Array): Promise<Uint8Array> {
  const header = (await write([])).subarray(0, 29);
  const key = await deriveBackupKey(SECRET, COST, header.subarray(13), header);
  const pieces = [header];
  for await (const piece of sealStream({ key, label: 'Blindbeam backup v1' }, random.bytes(16), [records]))
    pieces.push(piece);
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

t.test('records that no correct writer writes are refused, also with the right key', async (t) => {
  const begin = (): RecordWriter => new RecordWriter().byte(1).uint(1).uint(5).text('+1');
  const entry = (writer: RecordWriter, key: string, bytes = 3): RecordWriter =>
    writer.byte(2).text(key).bytes(new Uint8Array(bytes));
  const damaged = 'CLI_BACKUP_DAMAGED';
  const cases: [string, RecordWriter, string][] = [
    ['no manifest', entry(new RecordWriter(), 'a').byte(0).uint(1), damaged],
    ['nothing but an end', new RecordWriter().byte(0).uint(0), damaged],
    ['no end', entry(begin(), 'a'), damaged],
    ['a wrong count', entry(begin(), 'a').byte(0).uint(2), damaged],
    ['two manifests', begin().byte(1).uint(1).uint(5).text('+1').byte(0).uint(0), damaged],
    ['bytes behind the end', begin().byte(0).uint(0).byte(1), damaged],
    ['a key that is not ASCII', entry(begin(), '\u00fc').byte(0).uint(1), damaged],
    ['a key that is empty', entry(begin(), '').byte(0).uint(1), damaged],
    ['a key that is too long', entry(begin(), 'x'.repeat(257)).byte(0).uint(1), damaged],
    ['a value that is too long', entry(begin(), 'a', 65_537).byte(0).uint(1), damaged],
    [
      'a value without an end',
      begin()
        .byte(2)
        .text('a')
        .uint(2 ** 40),
      damaged,
    ],
    ['a later layout', new RecordWriter().byte(1).uint(2).uint(5).text('+1').byte(0).uint(0), 'CLI_BACKUP_TOO_NEW'],
    ['a record of a later release', begin().byte(9).byte(0).uint(0), 'CLI_BACKUP_TOO_NEW'],
  ];
  for (const [name, writer, code] of cases) t.equal((await read(await forge(writer.finish()))).end, code, name);
  t.same((await read(await forge(entry(begin(), 'a').byte(0).uint(1).finish()))).end, {
    layout: 1,
    madeAt: 5,
    phone: '+1',
  });
});
