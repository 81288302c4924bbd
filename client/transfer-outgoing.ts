/**
 * The primary device's half of a transfer: asks the person, makes the pieces that are pulled.
 *
 * It remembers the request, the consent and the last pull, and nothing of the pieces: each is made from the cursor that the other device
 * names, again where it comes to that. Read next: `transfer-source.ts`.
 */

import type { TransferEndBody, TransferPullBody, TransferRequestBody } from './content-body.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { Journal, Transaction } from './journal.ts';
import { numberOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import { isSameKey } from './public-keys.ts';
import { scan } from './renewal.ts';
import { isPassing } from './requests.ts';
import { TRANSFER_VERSION } from './transfer-format.ts';
import { OUTGOING, TRANSFER_KEYS } from './transfer-layout.ts';
import type { OutgoingTransfer, TransferInfo } from './transfer-layout.ts';
import { codeOfWire } from './transfer-link.ts';
import type { Reply, TransferLink } from './transfer-link.ts';
import { countMessages, gatherChunk } from './transfer-source.ts';

const NO_PULL = Object.freeze({ number: 0, cursor: 0 });

/** What other devices have asked of this one. */
export class OutgoingHistory {
  readonly #link: TransferLink;
  readonly #signal: AbortSignal;

  /** @param signal - Ends uploading. */
  constructor(link: TransferLink, signal: AbortSignal) {
    this.#link = link;
    this.#signal = signal;
  }

  /** As `HistoryTransfer.approve`. */
  async approve(device: number): Promise<void> {
    const total = await countMessages(this.#link.journal);
    await this.#link.locked(async (transaction) => {
      const record = await this.#load(transaction, device);
      if (record === undefined || this.#isExpired(record)) throw new ClientError('CLI_TRANSFER_EXPIRED');
      if (record.isGranted) return;
      const granted = { ...record, isGranted: true, total, pull: { number: 1, cursor: 0 } };
      transaction.put(TRANSFER_KEYS.outgoing(device), OUTGOING.encode(granted));
    });
  }

  /** Devices with which something is under way. */
  async devices(): Promise<number[]> {
    const devices: number[] = [];
    for await (const { key } of scan(this.#link.journal, TRANSFER_KEYS.outgoings)) devices.push(numberOfKey(key));
    return devices;
  }

  async infos(): Promise<TransferInfo[]> {
    const infos: TransferInfo[] = [];
    for (const device of await this.devices()) {
      const record = await this.#load(this.#link.journal, device);
      if (record !== undefined) infos.push(infoOf(device, record));
    }
    return infos;
  }

  /** Takes note of a request. @param isPrimary - Whether this device is the one that may be asked. */
  async takeRequest(
    transaction: Transaction,
    device: number,
    { transfer, version }: TransferRequestBody,
    isPrimary: boolean,
  ): Promise<Reply> {
    const refusal = isPrimary ? undefined : 'CLI_TRANSFER_UNSUITABLE';
    const code = version < TRANSFER_VERSION ? 'CLI_TRANSFER_VERSION' : refusal;
    if (code !== undefined) return () => this.#link.say({ kind: 'transfer-end', transfer, to: device, code });
    const former = await this.#load(transaction, device);
    if (former !== undefined && isSameKey(former.transfer, transfer)) return undefined;
    const askedAt = this.#link.clock.nowMs();
    const record = { transfer, isGranted: false, askedAt, transferred: 0, total: 0, pull: NO_PULL };
    transaction.put(TRANSFER_KEYS.outgoing(device), OUTGOING.encode(record));
    return () => this.#link.tell(infoOf(device, record));
  }

  /** Takes note of what the other device waits for. */
  async takePull(
    transaction: Transaction,
    device: number,
    { transfer, number, cursor }: TransferPullBody,
  ): Promise<Reply> {
    const record = await this.#load(transaction, device);
    if (record === undefined || !isSameKey(record.transfer, transfer)) {
      const code = 'CLI_TRANSFER_CANCELLED';
      return () => this.#link.say({ kind: 'transfer-end', transfer, to: device, code });
    }
    if (!record.isGranted) return undefined;
    transaction.put(TRANSFER_KEYS.outgoing(device), OUTGOING.encode({ ...record, pull: { number, cursor } }));
    return undefined;
  }

  /** @returns Undefined where it is not about a transfer from here. */
  async takeEnd(transaction: Transaction, device: number, { transfer, code }: TransferEndBody): Promise<Reply> {
    const record = await this.#load(transaction, device);
    if (record === undefined || !isSameKey(record.transfer, transfer)) return undefined;
    transaction.delete(TRANSFER_KEYS.outgoing(device));
    const [state, why] = code === '' ? (['done', undefined] as const) : (['failed', codeOfWire(code)] as const);
    return () => this.#link.tell({ ...infoOf(device, record), state, code: why });
  }

  /** Makes the piece that was asked for. */
  async serve(device: number): Promise<void> {
    const { journal, self, media } = this.#link;
    const record = await this.#load(journal, device);
    if (record === undefined || !record.isGranted || record.pull.number === 0) return;
    const { transfer, total, pull } = record;
    const { bytes, next, isLast, count } = await gatherChunk(journal, self, pull.cursor);
    try {
      const source = { bytes: bytes.length, pieces: [bytes] };
      const { locator, key, digest } = await media.upload(source, { signal: this.#signal });
      const where = { locator, key, digest, bytes: bytes.length };
      const place = { number: pull.number, next, isLast, count, total };
      await this.#link.say({ kind: 'transfer-chunk', transfer, to: device, ...place, ...where });
    } catch (error) {
      const isFinal = ClientError.is(error) && error.code.startsWith('APP_') && error.retryAfterMs === undefined;
      if (isFinal && !isPassing(error)) return this.end(device, (error as ClientError).code);
      throw error;
    }
    await this.#noteServed(device, record, count);
  }

  async #noteServed(device: number, { transfer, pull }: OutgoingTransfer, count: number): Promise<void> {
    const now = await this.#link.locked(async (transaction) => {
      const record = await this.#load(transaction, device);
      // It may be over meanwhile, or have asked for another piece.
      if (record === undefined || !isSameKey(record.transfer, transfer)) return undefined;
      const isSame = record.pull.number === pull.number && record.pull.cursor === pull.cursor;
      const served = { ...record, transferred: record.transferred + count, pull: isSame ? NO_PULL : record.pull };
      transaction.put(TRANSFER_KEYS.outgoing(device), OUTGOING.encode(served));
      return served;
    });
    if (now !== undefined) this.#link.tell(infoOf(device, now));
  }

  /** Ends it, and tells both sides why. */
  async end(device: number, code: ErrorCode): Promise<void> {
    const ended = await this.#link.locked(async (transaction) => {
      const record = await this.#load(transaction, device);
      transaction.delete(TRANSFER_KEYS.outgoing(device));
      return record;
    });
    if (ended === undefined) return;
    await this.#link.say({ kind: 'transfer-end', transfer: ended.transfer, to: device, code });
    this.#link.tell({ ...infoOf(device, ended), state: 'failed', code });
  }

  /** Requests that nobody has looked at for a day, and devices that have stopped asking long ago. */
  async expire(): Promise<void> {
    for (const device of await this.devices()) {
      const record = await this.#load(this.#link.journal, device);
      if (record !== undefined && this.#isExpired(record)) await this.end(device, 'CLI_TRANSFER_EXPIRED');
    }
  }

  #isExpired({ isGranted, askedAt }: OutgoingTransfer): boolean {
    const allowedMs = isGranted ? LIMITS.transferGrantMsMax : LIMITS.transferAskMsMax;
    return this.#link.clock.nowMs() - askedAt > allowedMs;
  }

  async #load(source: Pick<Journal, 'get'>, device: number): Promise<OutgoingTransfer | undefined> {
    const stored = await source.get(TRANSFER_KEYS.outgoing(device));
    return stored && OUTGOING.decode(stored);
  }
}

function infoOf(device: number, { isGranted, transferred, total }: OutgoingTransfer): TransferInfo {
  const state = isGranted ? 'running' : 'asked';
  return { device, direction: 'out', state, transferred: Math.min(transferred, total), total, code: undefined };
}
