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
 * A log is fenced by its server: an append names the record that it comes after, so whoever has not read the beginning of the newest epoch
 * cannot append any more. What is checked here is the other half: that a copy continues what it has. The two can
 * differ only when the servers lost a flushed part of the log, and then the copy is made anew.
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

/** Names a record for the servers of its log, which take each name once. */
export function recordName(shard: number, { writer, number }: RecordHeader): string {
  return `${shard}.${writer}.${number}`;
}

/** Whether two records are one that was appended twice. */
export function isSameRecord(left: RecordHeader, right: RecordHeader): boolean {
  return left.writer === right.writer && left.number === right.number;
}

/** What a copy has taken of a log: its mark on the disk, and the parts that wait for their end. */
export interface Reading {
  readonly mark: LogMark;
  /** Sequence of the last record taken, at least that of the mark. */
  readonly at: number;
  readonly parts: readonly Buffer[];
}

export function startReading(mark: LogMark): Reading {
  return { mark, at: mark.sequence, parts: [] };
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
 * @returns With `taken`: the reading after it, and the write set to apply with the new mark; none for a part and for the beginning of an epoch,
 *   whose mark has to be set all the same when it has moved.
 */
export function takeEntry(reading: Reading, { sequence, data }: LogEntry): Step {
  if (sequence <= reading.at) return { kind: 'known' };
  const { kind, epoch, previous } = headerOf(data);
  const fitsEpoch = kind === 'epoch' ? epoch > reading.mark.epoch : epoch === reading.mark.epoch;
  if (previous !== reading.at || !fitsEpoch) return { kind: 'foreign' };
  if (kind === 'part') {
    const parts = [...reading.parts, bodyOf(data)];
    return { kind: 'taken', reading: { mark: reading.mark, at: sequence, parts }, writes: undefined };
  }
  // The beginning of an epoch ends a write set of the former one that never became whole: nobody was told of it.
  const writes = kind === 'epoch' ? undefined : joined(reading.parts, bodyOf(data));
  return { kind: 'taken', reading: startReading({ epoch, sequence }), writes };
}

function joined(parts: readonly Buffer[], last: Buffer): Buffer {
  return parts.length === 0 ? last : Buffer.concat([...parts, last]);
}
