/**
 * What a worker that copies a shard asks its owner, and the answer. Pure.
 *
 *   request   JSON: shard, who asks, where its copy begins in the log, and after which key of which table to go on
 *   answer    length of the JSON 4 ‖ JSON: mark of the owner, next table and key ‖ write set; empty: not served here
 */

import type { LogMark, Page, PageCursor } from '../store/raw-tables.ts';
import type { Seat } from './placement.ts';

export interface PageRequest {
  readonly shard: number;
  readonly seat: Seat;
  /** Sequence from which the log is needed; missing in the first request. */
  readonly from: number | undefined;
  readonly cursor: PageCursor | undefined;
}

interface CursorText {
  readonly table: number;
  readonly key: string;
}

export function encodePageRequest({ shard, seat, from, cursor }: PageRequest): Buffer {
  return Buffer.from(JSON.stringify({ shard, seat, from, cursor: textOf(cursor) }));
}

export function decodePageRequest(bytes: Buffer): PageRequest {
  const { shard, seat, from, cursor } = JSON.parse(bytes.toString()) as PageRequest & { readonly cursor?: CursorText };
  return { shard, seat, from, cursor: cursorOf(cursor as CursorText | undefined) };
}

/** A page with the mark that its owner had when it was read. */
export function encodePage(mark: LogMark, { writes, next }: Page): Buffer {
  const head = Buffer.from(JSON.stringify({ epoch: mark.epoch, sequence: mark.sequence, next: textOf(next) }));
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, writes]);
}

/** `undefined` for an empty answer. The write set is a view of `bytes`. */
export function decodePage(bytes: Buffer): (Page & { readonly mark: LogMark }) | undefined {
  if (bytes.length === 0) return undefined;
  const headEnd = 4 + bytes.readUInt32BE(0);
  const { epoch, sequence, next } = JSON.parse(bytes.subarray(4, headEnd).toString()) as LogMark & {
    readonly next?: CursorText;
  };
  return { mark: { epoch, sequence }, writes: bytes.subarray(headEnd), next: cursorOf(next) };
}

function textOf(cursor: PageCursor | undefined): CursorText | undefined {
  return cursor === undefined ? undefined : { table: cursor.table, key: cursor.key.toString('base64') };
}

function cursorOf(text: CursorText | undefined): PageCursor | undefined {
  return text === undefined ? undefined : { table: text.table, key: Buffer.from(text.key, 'base64') };
}
