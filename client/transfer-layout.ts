/**
 * What the store holds of a history on its way between two own devices.
 *
 *   key                     record                                             written
 *   transfer-floor          the local number that the next message from before   at linking; with each piece
 *                           the linking gets, counting down
 *   transfer-in             what this device has asked for, how far it has come   with each step
 *   transfer-out/<device>   what that device has asked of this one                with each step; gone at the end
 *   transfer-told/<ordinal> what another own device has said about it             with its intake; gone when it is done
 *
 * Read next: `transfer.ts`.
 */

import { writeOutgoing } from './content.ts';
import type {
  ContentBody,
  TransferChunkBody,
  TransferEndBody,
  TransferPullBody,
  TransferRequestBody,
} from './content-body.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { digits } from './layout.ts';
import { codec, plainContent, readTeller, requireOutgoing, writeTeller } from './record-codec.ts';
import type { RecordCodec } from './record-codec.ts';
import type { RecordReader, RecordWriter } from './record.ts';

/** The keys. */
export const TRANSFER_KEYS = {
  all: 'transfer-',
  floor: 'transfer-floor',
  incoming: 'transfer-in',
  outgoing: (device: number): string => `transfer-out/${device}`,
  outgoings: 'transfer-out/',
  told: (ordinal: number): string => `transfer-told/${digits(ordinal)}`,
  tolds: 'transfer-told/',
} as const;

/** Contents about a transfer. */
export type TransferBody = TransferRequestBody | TransferChunkBody | TransferPullBody | TransferEndBody;

/** Whether a content is about a transfer between own devices. */
export function isTransferBody(body: ContentBody): body is TransferBody {
  return body.kind.startsWith('transfer-');
}

/** Where a transfer stands. `asked`: the other side has not consented yet. */
export type TransferState = 'asked' | 'running' | 'done' | 'failed';

/** A transfer as the application sees it. */
export interface TransferInfo {
  /** The other device of the account. */
  readonly device: number;
  /** `in`: to this device. */
  readonly direction: 'in' | 'out';
  readonly state: TransferState;
  /** Messages dealt with, newest first, out of `total`; those among them that do not travel are counted as well. */
  readonly transferred: number;
  /** 0 while unknown. */
  readonly total: number;
  /** Why it failed; undefined otherwise. */
  readonly code: ErrorCode | undefined;
}

/** What this device has asked for. */
export interface IncomingTransfer {
  /** 16 bytes. */
  readonly transfer: Uint8Array;
  /** The device that was asked. */
  readonly device: number;
  readonly state: TransferState;
  readonly code: ErrorCode | undefined;
  /** Wall time of the last step. */
  readonly movedAt: number;
  /** The last piece that is stored, and the cursor for the next one. */
  readonly number: number;
  readonly cursor: number;
  readonly transferred: number;
  readonly total: number;
  /** Bytes of pieces that were stored, and how many may be. */
  readonly bytes: number;
  readonly bytesMax: number;
  /** How often the next piece was gone or damaged. */
  readonly lossCount: number;
  /** The next piece, where it has been announced. */
  readonly chunk: TransferChunkBody | undefined;
}

/** What another device has asked of this one. */
export interface OutgoingTransfer {
  readonly transfer: Uint8Array;
  readonly isGranted: boolean;
  readonly askedAt: number;
  readonly transferred: number;
  readonly total: number;
  /** The piece that it waits for; number 0: none. */
  readonly pull: { readonly number: number; readonly cursor: number };
}

/** What another own device has said. */
export interface ToldRecord {
  readonly device: number;
  /** What authenticated it, 33 bytes; undefined in records of a release that did not keep it. */
  readonly identityKey: Uint8Array | undefined;
  readonly body: TransferBody;
}

const STATES: readonly TransferState[] = ['asked', 'running', 'done', 'failed'];

export const INCOMING: RecordCodec<IncomingTransfer> = codec(writeIncoming, readIncoming);

function writeIncoming(writer: RecordWriter, record: IncomingTransfer): void {
  const { transfer, device, state, code, movedAt, number, cursor, transferred, total, chunk } = record;
  writer.bytes(transfer).byte(device).byte(STATES.indexOf(state));
  writer.text(code ?? '').uint(movedAt);
  writer.uint(number).uint(cursor).uint(transferred).uint(total);
  writer.uint(record.bytes).uint(record.bytesMax).uint(record.lossCount);
  writer.byte(chunk === undefined ? 0 : 1);
  if (chunk !== undefined) writeOutgoing(writer, plainContent(chunk));
}

function readIncoming(reader: RecordReader): IncomingTransfer {
  const head = { transfer: reader.bytes(), device: reader.byte(), state: requireState(reader.byte()) };
  const code = reader.text();
  const counts = {
    movedAt: reader.uint(),
    ...{ number: reader.uint(), cursor: reader.uint(), transferred: reader.uint(), total: reader.uint() },
    ...{ bytes: reader.uint(), bytesMax: reader.uint(), lossCount: reader.uint() },
  };
  const chunk = reader.byte() === 1 ? (requireTransfer(requireOutgoing(reader).body) as TransferChunkBody) : undefined;
  return { ...head, code: code === '' ? undefined : (code as ErrorCode), ...counts, chunk };
}

function requireState(index: number): TransferState {
  const state = STATES[index];
  if (state === undefined) throw new ClientError('CLI_STORE_CORRUPT');
  return state;
}

export const OUTGOING: RecordCodec<OutgoingTransfer> = codec(
  (writer, { transfer, isGranted, askedAt, transferred, total, pull }) => {
    writer.bytes(transfer).byte(isGranted ? 1 : 0);
    writer.uint(askedAt).uint(transferred).uint(total).uint(pull.number).uint(pull.cursor);
  },
  (reader) => ({
    ...{ transfer: reader.bytes(), isGranted: reader.byte() === 1, askedAt: reader.uint() },
    ...{ transferred: reader.uint(), total: reader.uint() },
    pull: { number: reader.uint(), cursor: reader.uint() },
  }),
);

/** Version 1 ended with the body. */
export const TOLD: RecordCodec<ToldRecord> = codec(
  (writer, { device, identityKey, body }) => {
    writeOutgoing(writer.byte(device), plainContent(body));
    writeTeller(writer, identityKey);
  },
  (reader, version) => ({
    ...{ device: reader.byte(), body: requireTransfer(requireOutgoing(reader).body) },
    identityKey: readTeller(reader, version),
  }),
  2,
);

function requireTransfer(body: ContentBody): TransferBody {
  if (!isTransferBody(body)) throw new ClientError('CLI_STORE_CORRUPT');
  return body;
}
