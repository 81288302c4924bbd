/**
 * The new device's half of a transfer: asks, fetches, stores, asks for the next piece.
 *
 * A piece is stored with the cursor for the next one and the count of what has come, in one batch; only then is the next one asked for. What
 * comes again is known by its number. Read next: `transfer-sink.ts`, `transfer-format.ts`.
 */

import type { TransferChunkBody, TransferEndBody } from './content-body.ts';
import { readDevices } from './devices.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { Journal, Transaction } from './journal.ts';
import { NUMBER } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { isSameKey } from './public-keys.ts';
import { decodeChunk, TRANSFER_VERSION } from './transfer-format.ts';
import type { TransferEntry } from './transfer-format.ts';
import { INCOMING, TRANSFER_KEYS } from './transfer-layout.ts';
import type { IncomingTransfer, TransferInfo } from './transfer-layout.ts';
import { codeOfWire, TRANSFER_LOCK } from './transfer-link.ts';
import type { Reply, TransferLink } from './transfer-link.ts';
import { namesIn, storeEntries } from './transfer-sink.ts';

/** How to ask for the history. */
export interface HistoryRequestOptions {
  /** Room for it, in bytes of text, about; what is beyond it fails the transfer with CLI_TRANSFER_SPACE. No bound if not given. */
  readonly bytesMax?: number;
}

/** What this device has asked for. */
export class IncomingHistory {
  readonly #link: TransferLink;
  readonly #signal: AbortSignal;
  #hasRepeated = false;

  /** @param signal - Ends fetching. */
  constructor(link: TransferLink, signal: AbortSignal) {
    this.#link = link;
    this.#signal = signal;
  }

  /** As `HistoryTransfer.request`. */
  async request({ bytesMax = Number.MAX_SAFE_INTEGER }: HistoryRequestOptions): Promise<void> {
    const { journal, self, random, clock, say } = this.#link;
    const primary = (await readDevices(journal, self.user))?.[0]?.id;
    const isLinked = primary !== undefined && primary !== self.device;
    if (!isLinked || (await journal.get(TRANSFER_KEYS.floor)) === undefined) {
      throw new ClientError('CLI_TRANSFER_UNSUITABLE');
    }
    const former = await this.#load();
    if (former !== undefined && isUnderWay(former)) return;
    const transfer = random.bytes(16);
    await this.#put({
      ...{ transfer, device: primary, state: 'asked', code: undefined, movedAt: clock.nowMs() },
      ...{ number: 0, cursor: 0, transferred: 0, total: 0, bytes: 0, bytesMax, lossCount: 0, chunk: undefined },
    });
    await say({ kind: 'transfer-request', transfer, to: primary, version: TRANSFER_VERSION });
  }

  /** Where the last request stands. */
  async info(): Promise<TransferInfo | undefined> {
    const record = await this.#load();
    return record && infoOf(record);
  }

  /** Takes note of a piece. */
  async takeChunk(transaction: Transaction, device: number, chunk: TransferChunkBody): Promise<Reply> {
    const record = await this.#load(transaction);
    if (record === undefined || !isOf(record, device, chunk.transfer) || !isUnderWay(record)) return undefined;
    if (record.chunk !== undefined || chunk.number !== record.number + 1) return undefined;
    const now = {
      ...record,
      state: 'running',
      chunk,
      total: chunk.total,
      movedAt: this.#link.clock.nowMs(),
    } as const;
    transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode(now));
    return record.state === 'asked' ? () => this.#link.tell(infoOf(now)) : undefined;
  }

  /** Takes note that it is over; a new device hears why, and never that it is complete. */
  async takeEnd(transaction: Transaction, device: number, { transfer, code }: TransferEndBody): Promise<Reply> {
    const record = await this.#load(transaction);
    if (record === undefined || !isOf(record, device, transfer) || !isUnderWay(record)) return undefined;
    const failed = { ...record, state: 'failed', code: codeOfWire(code), chunk: undefined } as const;
    transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode(failed));
    return () => this.#link.tell(infoOf(failed));
  }

  /** Fetches the piece that was announced, stores it, and asks for the next one. */
  async receive(): Promise<void> {
    const record = await this.#load();
    if (record?.chunk === undefined || record.state !== 'running') return;
    const { chunk } = record;
    if (record.bytes + chunk.bytes > record.bytesMax) return this.fail('CLI_TRANSFER_SPACE');
    const entries = await this.#fetch(chunk);
    if (typeof entries === 'string') return this.#lose(record, entries);
    const now = await this.#store(record, chunk, entries);
    if (now === undefined) return;
    this.#link.tell(infoOf(now));
    const { transfer, device: to } = record;
    if (chunk.isLast) await this.#link.say({ kind: 'transfer-end', transfer, to, code: '' });
    else await this.#link.say({ kind: 'transfer-pull', transfer, to, number: now.number + 1, cursor: now.cursor });
  }

  /** @returns What is in the piece, or why it is none; throws what passes. */
  async #fetch({ locator, key, digest, bytes }: TransferChunkBody): Promise<readonly TransferEntry[] | ErrorCode> {
    if (bytes > LIMITS.transferChunkBytesMax) return 'CLI_TRANSFER_DAMAGED';
    const nothing = {
      type: '',
      name: '',
      caption: '',
      width: 0,
      height: 0,
      durationMs: 0,
      thumbnail: new Uint8Array(0),
    };
    const file = { locator, key, digest, bytes, ...nothing };
    try {
      const stream = this.#link.media.download(file, { signal: this.#signal });
      return decodeChunk(await collect(stream, bytes));
    } catch (error) {
      const code = codeOf(error);
      if (code === 'APP_UNKNOWN_MEDIA') return 'CLI_TRANSFER_MEDIA_GONE';
      if (code.startsWith('SIG_') || code === 'CLI_MEDIA_FOREIGN') return 'CLI_TRANSFER_DAMAGED';
      throw error;
    }
  }

  /** Messages, cursor and counts become durable together. @returns Undefined where the transfer has ended while they were fetched. */
  async #store(
    record: IncomingTransfer,
    { number, next, count, bytes, isLast }: TransferChunkBody,
    entries: readonly TransferEntry[],
  ): Promise<IncomingTransfer | undefined> {
    const { journal, locks, clock } = this.#link;
    const transferred = record.transferred + count;
    const now: IncomingTransfer = {
      ...record,
      ...{ number, cursor: next, transferred, bytes: record.bytes + bytes, movedAt: clock.nowMs() },
      ...{ lossCount: 0, chunk: undefined, state: isLast ? 'done' : 'running' },
      total: isLast ? transferred : Math.max(record.total, transferred),
    };
    return locks.run([TRANSFER_LOCK, ...namesIn(entries)], async () => {
      const transaction = journal.begin();
      if (!(await this.#isStill(transaction, record))) return undefined;
      const floor = NUMBER.decode((await transaction.get(TRANSFER_KEYS.floor))!);
      const below = await storeEntries(this.#link, transaction, entries, floor);
      transaction.put(TRANSFER_KEYS.floor, NUMBER.encode(below));
      transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode(now));
      await journal.commit(transaction);
      return now;
    });
  }

  /** Whether a transfer is where it was: fetching takes its time, in which it may have been cancelled, and another one asked for. */
  async #isStill(transaction: Transaction, { device, transfer, number }: IncomingTransfer): Promise<boolean> {
    const present = await this.#load(transaction);
    return present !== undefined && isOf(present, device, transfer) && isUnderWay(present) && present.number === number;
  }

  /** A piece is gone or damaged: another one is asked for, a few times. */
  async #lose(record: IncomingTransfer, code: ErrorCode): Promise<void> {
    const lossCount = record.lossCount + 1;
    if (code === 'CLI_TRANSFER_VERSION' || lossCount > LIMITS.transferLossCountMax) return this.fail(code);
    const isNoted = await this.#link.locked(async (transaction) => {
      if (!(await this.#isStill(transaction, record))) return false;
      transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode({ ...record, lossCount, chunk: undefined }));
      return true;
    });
    if (!isNoted) return;
    const { transfer, device: to, number, cursor } = record;
    await this.#link.say({ kind: 'transfer-pull', transfer, to, number: number + 1, cursor });
  }

  /** What this device has said last may have ended with the run before it: once more, once in a run. */
  async repeat(): Promise<void> {
    if (this.#hasRepeated) return;
    this.#hasRepeated = true;
    const record = await this.#load();
    if (record === undefined || !isUnderWay(record) || record.chunk !== undefined) return;
    const { transfer, device: to, number, cursor } = record;
    if (record.state === 'asked')
      await this.#link.say({ kind: 'transfer-request', transfer, to, version: TRANSFER_VERSION });
    else await this.#link.say({ kind: 'transfer-pull', transfer, to, number: number + 1, cursor });
  }

  /** Nobody has answered for a day, or nothing has come for a week. */
  async expire(): Promise<void> {
    const record = await this.#load();
    if (record === undefined || !isUnderWay(record)) return;
    const allowedMs = record.state === 'asked' ? LIMITS.transferAskMsMax : LIMITS.transferStallMsMax;
    if (this.#link.clock.nowMs() - record.movedAt > allowedMs) await this.fail('CLI_TRANSFER_EXPIRED');
  }

  /** Ends what is under way, and tells both sides why. */
  async fail(code: ErrorCode): Promise<void> {
    const failed = await this.#link.locked(async (transaction) => {
      const record = await this.#load(transaction);
      if (record === undefined || !isUnderWay(record)) return undefined;
      const now = { ...record, state: 'failed', code, chunk: undefined } as const;
      transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode(now));
      return now;
    });
    if (failed === undefined) return;
    await this.#link.say({ kind: 'transfer-end', transfer: failed.transfer, to: failed.device, code });
    this.#link.tell(infoOf(failed));
  }

  async #load(source: Pick<Journal, 'get'> = this.#link.journal): Promise<IncomingTransfer | undefined> {
    const stored = await source.get(TRANSFER_KEYS.incoming);
    return stored && INCOMING.decode(stored);
  }

  #put(record: IncomingTransfer): Promise<void> {
    return this.#link.locked(async (transaction) => {
      transaction.put(TRANSFER_KEYS.incoming, INCOMING.encode(record));
    });
  }
}

function isUnderWay({ state }: IncomingTransfer): boolean {
  return state === 'asked' || state === 'running';
}

function isOf({ device, transfer }: IncomingTransfer, from: number, named: Uint8Array): boolean {
  return device === from && isSameKey(transfer, named);
}

function infoOf({ device, state, transferred, total, code }: IncomingTransfer): TransferInfo {
  return { device, direction: 'in', state, transferred, total, code };
}

/** The whole of a file whose size is known and small. */
async function collect(stream: ReadableStream<Uint8Array>, bytes: number): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  const reader = stream.getReader();
  let length = 0;
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    whole.set(step.value, length);
    length += step.value.length;
  }
  return whole.subarray(0, length);
}
