/**
 * How one kind of record is written and read, and the pieces that records of different layouts share.
 *
 * Each record starts with a version byte; a release that changes a layout goes on reading the earlier ones. Knows bytes and contents, and
 * no keys: those are in `layout.ts`, `history-layout.ts`, `group-layout.ts` and `transfer-layout.ts`.
 */

import { readOutgoing } from './content.ts';
import type { OutgoingContent } from './content.ts';
import type { ContentBody } from './content-body.ts';
import { ClientError } from './errors.ts';
import { RecordReader, RecordWriter } from './record.ts';

const VERSION = 1;

/** How to write and read one kind of record. `decode` throws CLI_STORE_CORRUPT: a disk's lie is no expected outcome. */
export interface RecordCodec<Value> {
  encode(value: Value): Uint8Array;
  decode(bytes: Uint8Array): Value;
}

/** @param version - What is written. @param read - Told which version it reads, from 1 to that. */
export function codec<Value>(
  write: (writer: RecordWriter, value: Value) => void,
  read: (reader: RecordReader, version: number) => Value,
  version: number = VERSION,
): RecordCodec<Value> {
  return Object.freeze({
    encode(value: Value): Uint8Array {
      const writer = new RecordWriter().byte(version);
      write(writer, value);
      return writer.finish();
    },
    decode(bytes: Uint8Array): Value {
      const reader = new RecordReader(bytes);
      const found = reader.byte();
      if (found < VERSION || found > version) throw new ClientError('CLI_STORE_CORRUPT');
      const value = read(reader, found);
      if (reader.failed || reader.remainingBytes > 0) throw new ClientError('CLI_STORE_CORRUPT');
      return value;
    },
  });
}

/** An unsigned integer. */
export const NUMBER: RecordCodec<number> = codec(
  (writer, value) => writer.uint(value),
  (reader) => reader.uint(),
);

/** A list of unsigned integers. */
export const NUMBERS: RecordCodec<readonly number[]> = codec(
  (writer, values) => values.reduce((list, value) => list.uint(value), writer.uint(values.length)),
  (reader) => Array.from({ length: reader.uint() }, () => reader.uint()),
);

/** A text. */
export const TEXT: RecordCodec<string> = codec(
  (writer, value) => writer.text(value),
  (reader) => reader.text(),
);

/** The key that authenticated what a device told, at the end of a record since its version 2. */
export function writeTeller(writer: RecordWriter, identityKey: Uint8Array | undefined): void {
  writer.bytes(identityKey ?? new Uint8Array(0));
}

/** Undefined where none was kept. */
export function readTeller(reader: RecordReader, version: number): Uint8Array | undefined {
  const identityKey = version === 1 ? undefined : reader.bytes();
  return identityKey?.length === 0 ? undefined : identityKey;
}

/** A content without a timer that may be viewed more than once. */
export function plainContent(body: ContentBody): OutgoingContent {
  return { body, timerSeconds: 0, isViewOnce: false };
}

/** A content that stands within a record. @throws {ClientError} CLI_STORE_CORRUPT. */
export function requireOutgoing(reader: RecordReader): OutgoingContent {
  const content = readOutgoing(reader);
  if (content === undefined) throw new ClientError('CLI_STORE_CORRUPT');
  return content;
}

/** Reads a counted list; stops at the first field that is not there, so a damaged count cannot run away. */
export function readMany<Value>(reader: RecordReader, read: () => Value): Value[] {
  const values: Value[] = [];
  for (let left = reader.uint(); left > 0 && !reader.failed; left -= 1) values.push(read());
  return values;
}
