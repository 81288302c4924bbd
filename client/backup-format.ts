/**
 * The bytes of a backup.
 *
 *   offset  bytes  field
 *   0       8      "BLINDBAK"
 *   8       1      version, 01
 *   9       1      secret: 01 64 digits, 02 passphrase
 *   10      1      scrypt: log2 of N; 0 with digits
 *   11      1      scrypt: r; 0 with digits
 *   12      1      scrypt: p; 0 with digits
 *   13      16     salt, random
 *   29      …      a sealed stream under the label "Blindbeam backup v1" (the Signal half's MEDIA.md)
 *
 *   in the stream  01 · layout, uint · made at, uint · phone, text        first
 *                  02 · key, text · value, bytes                          one record of the store, any number
 *                  00 · number of records, uint                           last
 *                  zeros                                                  up to the padded size of a media file
 *
 * Fields as in `record.ts`. It streams in both directions: one chunk and one record in memory. A reader gives out records
 * as they come, and they count only once the generator has ended without an error. Which records there are and what
 * restoring does to them: `backup.ts`.
 */

import {
  deriveBackupKey,
  isScryptCostAllowed,
  openStream,
  paddedMediaBytes,
  sealStream,
} from '../protocol/signal/index.ts';
import type { BackupSecret, ByteSource, ByteStream, ScryptCost, SignalError } from '../protocol/signal/index.ts';
import { ClientError } from './errors.ts';
import type { ClientCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import { RecordReader, RecordWriter } from './record.ts';
import type { StoreEntry } from './store.ts';

/** What a backup says of itself. */
export interface BackupManifest {
  /** Version of the records inside. */
  readonly layout: number;
  /** Wall time, milliseconds. */
  readonly madeAt: number;
  readonly phone: string;
}

const MAGIC = 'BLINDBAK';
const VERSION = 1;
/** Of the records in it. A release that adds records without which the others are wrong writes 2. */
export const BACKUP_LAYOUT = 1;
const HEADER_BYTES = 29;
const SALT_BYTES = 16;
const STREAM_LABEL = 'Blindbeam backup v1';
const NO_COST: ScryptCost = Object.freeze({ costLog2: 0, blockSize: 0, parallelism: 0 });
const SECRET_KINDS: readonly BackupSecret['kind'][] = ['digits', 'passphrase'];
/** Records are gathered to pieces of about this size. */
const PIECE_BYTES = 32_768;

const RECORD_END = 0;
const RECORD_MANIFEST = 1;
const RECORD_ENTRY = 2;

interface BackupHeader {
  readonly secretKind: BackupSecret['kind'];
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * Writes a backup.
 *
 * @param random - For the two salts.
 * @throws {ClientError} CLI_BACKUP_TOO_LARGE.
 */
export async function* writeBackup(
  secret: BackupSecret,
  cost: ScryptCost,
  random: (length: number) => Uint8Array,
  manifest: BackupManifest,
  entries: AsyncIterable<StoreEntry>,
): ByteStream<void> {
  const header = makeHeader(secret.kind, secret.kind === 'digits' ? NO_COST : cost, random(SALT_BYTES));
  const key = await deriveBackupKey(secret, header.cost, header.salt, header.bytes);
  yield header.bytes;
  yield* sealStream({ key, label: STREAM_LABEL }, random(SALT_BYTES), writeRecords(manifest, entries));
}

/**
 * Reads a backup.
 *
 * @param secretOf - Asked for the secret once the header has told its kind.
 * @returns The records, and at the end the manifest.
 * @throws {ClientError} CLI_BACKUP_NOT_ONE; CLI_BACKUP_TOO_NEW; CLI_BACKUP_WRONG_KEY; CLI_BACKUP_DAMAGED;
 * CLI_BACKUP_TRUNCATED; then nothing that was given out counts.
 */
export async function* readBackup(
  source: ByteSource,
  secretOf: (kind: BackupSecret['kind']) => BackupSecret | Promise<BackupSecret>,
): AsyncGenerator<StoreEntry, BackupManifest, undefined> {
  const pieces = takePieces(source);
  try {
    const [headerBytes, rest] = await takeHeader(pieces);
    const header = readHeader(headerBytes);
    const secret = await secretOf(header.secretKind);
    if (secret.kind !== header.secretKind) throw new ClientError('CLI_BACKUP_WRONG_KEY');
    const key = await deriveBackupKey(secret, header.cost, header.salt, header.bytes);
    return yield* readRecords(openStream({ key, label: STREAM_LABEL }, followedBy(rest, pieces)));
  } finally {
    await pieces.return(); // of a source that is not at its end
  }
}

function makeHeader(secretKind: BackupSecret['kind'], cost: ScryptCost, salt: Uint8Array): BackupHeader {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(new TextEncoder().encode(MAGIC));
  const { costLog2, blockSize, parallelism } = cost;
  bytes.set([VERSION, SECRET_KINDS.indexOf(secretKind) + 1, costLog2, blockSize, parallelism], MAGIC.length);
  bytes.set(salt, HEADER_BYTES - SALT_BYTES);
  return { secretKind, cost, salt, bytes };
}

function readHeader(bytes: Uint8Array): BackupHeader {
  const isOne = [...MAGIC].every((character, index) => bytes[index] === character.charCodeAt(0));
  if (!isOne) throw new ClientError('CLI_BACKUP_NOT_ONE');
  if (bytes.length < HEADER_BYTES) throw new ClientError('CLI_BACKUP_TRUNCATED');
  const [version, kind, costLog2, blockSize, parallelism] = [...bytes.subarray(MAGIC.length)] as [
    number,
    number,
    number,
    number,
    number,
  ];
  const secretKind = SECRET_KINDS[kind - 1];
  if (version !== VERSION || secretKind === undefined) throw new ClientError('CLI_BACKUP_TOO_NEW');
  const cost = { costLog2, blockSize, parallelism };
  const isAllowed = secretKind === 'passphrase' ? isScryptCostAllowed(cost) : costLog2 + blockSize + parallelism === 0;
  if (!isAllowed) throw new ClientError('CLI_BACKUP_TOO_NEW');
  return { secretKind, cost, salt: bytes.slice(HEADER_BYTES - SALT_BYTES, HEADER_BYTES), bytes };
}

async function* writeRecords(manifest: BackupManifest, entries: AsyncIterable<StoreEntry>): ByteStream<void> {
  let writer = new RecordWriter().byte(RECORD_MANIFEST);
  writer.uint(manifest.layout).uint(manifest.madeAt).text(manifest.phone);
  let count = 0;
  let bytes = 0;
  for await (const { key, value } of entries) {
    writer.byte(RECORD_ENTRY).text(key).bytes(value);
    count += 1;
    if (writer.length < PIECE_BYTES) continue;
    bytes += writer.length;
    if (bytes > LIMITS.backupBytesMax - 2 * LIMITS.backupValueBytesMax) throw new ClientError('CLI_BACKUP_TOO_LARGE');
    yield writer.finish();
    writer = new RecordWriter();
  }
  writer.byte(RECORD_END).uint(count);
  bytes += writer.length;
  yield writer.finish();
  for (let missing = paddedMediaBytes(bytes) - bytes; missing > 0; missing -= PIECE_BYTES) {
    yield new Uint8Array(Math.min(missing, PIECE_BYTES));
  }
}

async function* readRecords(
  texts: ByteStream<SignalError | undefined>,
): AsyncGenerator<StoreEntry, BackupManifest, undefined> {
  const parser = new RecordParser();
  let step = await texts.next();
  for (; !step.done; step = await texts.next()) yield* parser.take(step.value);
  if (step.value !== undefined) throw new ClientError(STREAM_CODES[step.value.code] ?? 'CLI_BACKUP_DAMAGED');
  return parser.finish();
}

const STREAM_CODES: Readonly<Record<string, ClientCode>> = {
  SIG_STREAM_TOO_NEW: 'CLI_BACKUP_TOO_NEW',
  SIG_STREAM_WRONG_KEY: 'CLI_BACKUP_WRONG_KEY',
  SIG_STREAM_TRUNCATED: 'CLI_BACKUP_TRUNCATED',
};

type ParsedRecord =
  | ({ readonly type: 'entry' } & StoreEntry)
  | { readonly type: 'manifest'; readonly manifest: BackupManifest }
  | { readonly type: 'end'; readonly count: number };

/** Records out of pieces that end anywhere. Holds one piece and the beginning of one record. */
class RecordParser {
  #held = new Uint8Array(0);
  #manifest: BackupManifest | undefined;
  #count = 0;
  #isEnded = false;

  /** @throws {ClientError} CLI_BACKUP_DAMAGED; CLI_BACKUP_TOO_NEW. */
  *take(piece: Uint8Array): Generator<StoreEntry, void, undefined> {
    const bytes = this.#held.length === 0 ? piece : joined(this.#held, piece);
    let offset = 0;
    while (!this.#isEnded) {
      const reader = new RecordReader(bytes.subarray(offset));
      const record = readRecord(reader);
      if (record === undefined) break;
      offset = bytes.length - reader.remainingBytes;
      if (record.type === 'entry') yield this.#admit(record);
      else if (record.type === 'manifest') this.#begin(record.manifest);
      else this.#end(record.count);
    }
    const rest = bytes.subarray(offset);
    if (this.#isEnded && rest.some((byte) => byte !== 0)) throw new ClientError('CLI_BACKUP_DAMAGED');
    if (!this.#isEnded && rest.length > RECORD_BYTES_MAX) throw new ClientError('CLI_BACKUP_DAMAGED');
    this.#held = this.#isEnded ? new Uint8Array(0) : rest.slice();
  }

  finish(): BackupManifest {
    if (!this.#isEnded || this.#manifest === undefined) throw new ClientError('CLI_BACKUP_DAMAGED');
    return this.#manifest;
  }

  #begin(manifest: BackupManifest): void {
    if (this.#manifest !== undefined) throw new ClientError('CLI_BACKUP_DAMAGED');
    if (manifest.layout !== BACKUP_LAYOUT) throw new ClientError('CLI_BACKUP_TOO_NEW');
    this.#manifest = manifest;
  }

  #admit({ key, value }: StoreEntry): StoreEntry {
    const isWithin = key.length <= LIMITS.backupKeyBytesMax && value.length <= LIMITS.backupValueBytesMax;
    if (this.#manifest === undefined || !isWithin || !/^[\x21-\x7e]+$/.test(key)) {
      throw new ClientError('CLI_BACKUP_DAMAGED');
    }
    this.#count += 1;
    return { key, value };
  }

  #end(count: number): void {
    if (count !== this.#count) throw new ClientError('CLI_BACKUP_DAMAGED');
    this.#isEnded = true;
  }
}

/** Type, two lengths, key and value. */
const RECORD_BYTES_MAX = 17 + LIMITS.backupKeyBytesMax + LIMITS.backupValueBytesMax;

/** The next record; undefined where it is not there as a whole. */
function readRecord(reader: RecordReader): ParsedRecord | undefined {
  if (reader.remainingBytes === 0) return undefined;
  const record = readFields(reader);
  return reader.failed ? undefined : record;
}

function readFields(reader: RecordReader): ParsedRecord {
  switch (reader.byte()) {
    case RECORD_ENTRY:
      return { type: 'entry', key: reader.text(), value: reader.bytes() };
    case RECORD_MANIFEST:
      return { type: 'manifest', manifest: { layout: reader.uint(), madeAt: reader.uint(), phone: reader.text() } };
    case RECORD_END:
      return { type: 'end', count: reader.uint() };
    default:
      throw new ClientError('CLI_BACKUP_TOO_NEW');
  }
}

async function* takePieces(source: ByteSource): ByteStream<void> {
  yield* source;
}

/** The first bytes of a file, at most as many as a header has, and what came with them. */
async function takeHeader(pieces: ByteStream<void>): Promise<[header: Uint8Array, rest: Uint8Array]> {
  let held: Uint8Array = new Uint8Array(0);
  while (held.length < HEADER_BYTES) {
    const step = await pieces.next();
    if (step.done === true) break;
    held = joined(held, step.value);
  }
  return [held.slice(0, HEADER_BYTES), held.subarray(HEADER_BYTES)];
}

async function* followedBy(first: Uint8Array, pieces: ByteStream<void>): ByteStream<void> {
  yield first;
  yield* pieces;
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}
