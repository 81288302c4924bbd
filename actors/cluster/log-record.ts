/**
 * A record of a shard's log, and what a copy does with the next one. Pure.
 *
 *   offset  bytes  field
 *   0       1      version of this layout, 1
 *   1       1      kind: 1 write set, 2 part of one that goes on in the next record, 3 beginning of an epoch
 *   2       4      epoch of the writer
 *   6       6      sequence of the record before, as the writer knows it
 *   12      6      writer: which life of which worker, drawn at its start
 *   18      6      number of the record among the writer's
 *   24      n      the write set, or a part of it
 *
 * The log orders, its readers judge. A record counts if it names the last one that counts as its predecessor; one that names an earlier one is *void*, and
 * everybody passes over it: its writer had not read what came between, the beginning of a newer epoch perhaps. Every reader sees the same records in the same order, so
 * all agree, and a writer knows that its record counts by its place: the one behind its predecessor's. Hence no answer of a server has to be
 * current, and no check of its has to be right, for what was acknowledged to stay.
 *
 * A record that names a later one than the reader knows, or another epoch, is of another log than the reader's copy: the servers lost an end of it, and the copy is made anew.
 */

import type { LogMark } from '../store/raw-tables.ts';
import type { LogEntry } from './contracts.ts';

const VERSION = 1;
const HEADER_BYTES = 24;
const KIND_BYTES = { writes: 1, part: 2, epoch: 3 } as const;

export type RecordKind = keyof typeof KIND_BYTES;

export interface RecordHeader {
  readonly kind: RecordKind;
  readonly epoch: number;
  readonly previous: number;
  readonly writer: number;
  readonly number: number;
}

/** A record with its body copied behind the header. */
export function encodeRecord({ kind, epoch, previous, writer, number }: RecordHeader, body?: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(HEADER_BYTES + (body?.length ?? 0));
  record[0] = VERSION;
  record[1] = KIND_BYTES[kind];
  record.writeUInt32BE(epoch, 2);
  record.writeUIntBE(previous, 6, 6);
  record.writeUIntBE(writer, 12, 6);
  record.writeUIntBE(number, 18, 6);
  if (body !== undefined) record.set(body, HEADER_BYTES);
  return record;
}

/** Throws on a version that this code does not know: a newer release writes the log, and this node must not follow it. */
export function headerOf(data: Buffer): RecordHeader {
  if (data[0] !== VERSION) throw new RangeError(`log record has version ${data[0]}, expected ${VERSION}`);
  const kind = data[1] === KIND_BYTES.writes ? 'writes' : data[1] === KIND_BYTES.part ? 'part' : 'epoch';
  return {
    kind,
    epoch: data.readUInt32BE(2),
    previous: data.readUIntBE(6, 6),
    writer: data.readUIntBE(12, 6),
    number: data.readUIntBE(18, 6),
  };
}

/** The write set of a record, or a part of it: a view. */
export function bodyOf(data: Buffer): Buffer {
  return data.subarray(HEADER_BYTES);
}

/** Whether two records are one that was appended twice. */
export function isSameRecord(left: RecordHeader, right: RecordHeader): boolean {
  return left.writer === right.writer && left.number === right.number;
}

/** What a copy has taken of a log: its mark on the disk, and the parts that wait for their end. */
export interface Reading {
  readonly mark: LogMark;
  /** Sequence of the last record that counts, at least that of the mark. */
  readonly at: number;
  /** Sequence of the last record read, which may be void. */
  readonly seen: number;
  readonly parts: readonly Buffer[];
}

export function startReading(mark: LogMark): Reading {
  return { mark, at: mark.sequence, seen: mark.sequence, parts: [] };
}

/** What the next entry is to a copy. */
export type Step =
  /** It was taken before. */
  | { readonly kind: 'known' }
  | { readonly kind: 'taken'; readonly reading: Reading; readonly writes: Buffer | undefined }
  /** It does not continue what the copy has. */
  | { readonly kind: 'foreign' };

/**
 * Takes the next entry of a log.
 *
 * @returns With `taken`: the reading after it, and the write set to apply with the new mark; none for a void record, for a part, and for the beginning of an
 *   epoch, whose mark has to be set all the same when it has moved.
 */
export function takeEntry(reading: Reading, { sequence, data }: LogEntry): Step {
  if (sequence <= reading.seen) return { kind: 'known' };
  const { kind, epoch, previous } = headerOf(data);
  // Something between the two is gone: the log was cut.
  if (sequence !== reading.seen + 1) return { kind: 'foreign' };
  if (previous < reading.at) return { kind: 'taken', reading: seen(reading, sequence), writes: undefined };
  const fitsEpoch = kind === 'epoch' ? epoch > reading.mark.epoch : epoch === reading.mark.epoch;
  if (previous !== reading.at || !fitsEpoch) return { kind: 'foreign' };
  if (kind === 'part') {
    const parts = [...reading.parts, bodyOf(data)];
    return { kind: 'taken', reading: { mark: reading.mark, at: sequence, seen: sequence, parts }, writes: undefined };
  }
  // The beginning of an epoch ends a write set of the former one that never became whole: nobody was told of it.
  const writes = kind === 'epoch' ? undefined : joined(reading.parts, bodyOf(data));
  return { kind: 'taken', reading: startReading({ epoch, sequence }), writes };
}

function seen({ mark, at, parts }: Reading, sequence: number): Reading {
  return { mark, at, seen: sequence, parts };
}

function joined(parts: readonly Buffer[], last: Buffer): Buffer {
  return parts.length === 0 ? last : Buffer.concat([...parts, last]);
}
