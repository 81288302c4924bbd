/**
 * The history on its way from the primary device to a new one: asked for there, granted here, piece by piece, newest first.
 *
 *   new device                                       primary device
 *   request ─────────────────────────────────────▶   asks the person: approve, decline
 *                                                    piece 1: read, sealed, uploaded like any file
 *   fetched, opened, stored  ◀── chunk: locator, key ──
 *   pull 2, cursor ──────────────────────────────▶   piece 2 …
 *   end ─────────────────────────────────────────▶
 *
 * The two speak in their session, as devices of one account do; the pieces lie at the server as ciphertext, each under a key of its own. The
 * new device pulls: a piece is stored, with the cursor for the next one and the count of what has come, in one batch, and only then is the
 * next one asked for. So either side may crash at any moment: what was pulled is made again from its cursor, what comes again is known by its
 * number, and no message is stored twice, whatever comes (`History.addFormer`). What the other side has said is stored with the inbox position
 * that it came with, and done afterwards. At most one piece is under way.
 *
 * Formats: TRANSFER.md. Why: docs/internals/history-transfer.md. Read next: `transfer-source.ts`, `transfer-sink.ts`.
 */

import { isTellerListed, readDevices } from './devices.ts';
import { ClientError } from './errors.ts';
import type { Transaction } from './journal.ts';
import { LIMITS } from './limits.ts';
import { scan } from './renewal.ts';
import { isPassing } from './requests.ts';
import { IncomingHistory } from './transfer-incoming.ts';
import type { HistoryRequestOptions } from './transfer-incoming.ts';
import { TOLD, TRANSFER_KEYS } from './transfer-layout.ts';
import type { ToldRecord, TransferInfo } from './transfer-layout.ts';
import { linkOf, TRANSFER_LOCK } from './transfer-link.ts';
import type { Reply, TransferLink, TransferServices } from './transfer-link.ts';
import { OutgoingHistory } from './transfer-outgoing.ts';

/** Transfers of one device, in both directions. */
export class HistoryTransfer {
  readonly #link: TransferLink;
  readonly #incoming: IncomingHistory;
  readonly #outgoing: OutgoingHistory;
  readonly #abort = new AbortController();
  #isOpen = false;
  #isWorking = false;
  #isStale = false;
  #timer: unknown;

  constructor(services: TransferServices) {
    this.#link = linkOf(services);
    this.#incoming = new IncomingHistory(this.#link, this.#abort.signal);
    this.#outgoing = new OutgoingHistory(this.#link, this.#abort.signal);
  }

  /**
   * Asks the primary device for the history; a request that is under way goes on.
   *
   * @throws {ClientError} CLI_TRANSFER_UNSUITABLE on a device that was not linked.
   */
  async request(options: HistoryRequestOptions): Promise<void> {
    await this.#incoming.request(options);
    this.#tend();
  }

  /** Grants a device what it has asked for. @throws {ClientError} CLI_TRANSFER_EXPIRED where it asks for nothing, or no longer. */
  async approve(device: number): Promise<void> {
    await this.#outgoing.approve(device);
    this.#tend();
  }

  /** Denies it. */
  decline(device: number): Promise<void> {
    return this.#outgoing.end(device, 'CLI_TRANSFER_DECLINED');
  }

  /** Breaks off every transfer under way, in both directions. What has come stays. */
  async cancel(): Promise<void> {
    await this.#incoming.fail('CLI_TRANSFER_CANCELLED');
    for (const device of await this.#outgoing.devices()) await this.#outgoing.end(device, 'CLI_TRANSFER_CANCELLED');
  }

  /** What is under way, and what became of the last request of this device. */
  list(): Promise<TransferInfo[]> {
    // In turn, so that what is said to have come can be listed.
    return this.#link.locks.run([TRANSFER_LOCK], async () => {
      const incoming = await this.#incoming.info();
      return [...(incoming === undefined ? [] : [incoming]), ...(await this.#outgoing.infos())];
    });
  }

  /** Logged in: goes on where it stopped. */
  opened(): void {
    this.#isOpen = true;
    this.#tend();
  }

  /** The connection is gone. */
  shut(): void {
    this.#isOpen = false;
  }

  /** Something was said about a transfer, and is stored. */
  told(): void {
    this.#tend();
  }

  close(): void {
    this.#isOpen = false;
    this.#abort.abort();
    this.#link.clock.clearTimer(this.#timer);
  }

  // Work, one thing after the other

  #tend(): void {
    this.#isStale = true;
    if (!this.#isWorking && this.#isOpen) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    try {
      while (this.#isStale && this.#isOpen) {
        this.#isStale = false;
        await this.#hear();
        await this.#incoming.expire();
        await this.#outgoing.expire();
        await this.#incoming.repeat();
        await this.#incoming.receive();
        for (const device of await this.#outgoing.devices()) await this.#outgoing.serve(device);
      }
    } catch (error) {
      this.#postpone(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** What failed in passing is tried again; the next login tries as well. */
  #postpone(error: unknown): void {
    const { clock, fail } = this.#link;
    if (ClientError.is(error, 'CLI_CLOSED') || ClientError.is(error, 'CLI_MEDIA_CANCELLED')) return;
    if (!isPassing(error) && !ClientError.is(error, 'CLI_UNREACHABLE')) fail(error);
    // The next login goes on by itself, and after the end there is none.
    if (!this.#isOpen) return;
    const delayMs = (error as Partial<ClientError>).retryAfterMs ?? LIMITS.transferRetryMs;
    clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(delayMs, () => this.#tend());
  }

  /** Does what other devices have said, in the order in which it came. */
  async #hear(): Promise<void> {
    const { journal, self, locked } = this.#link;
    const listed = await readDevices(journal, self.user);
    for await (const { key, value } of scan(journal, TRANSFER_KEYS.tolds)) {
      const told = TOLD.decode(value);
      // As with everything that own devices tell: the word of one that our list does not name waits until one does.
      if (!isTellerListed(listed, told)) continue;
      const reply = await locked(async (transaction) => {
        transaction.delete(key);
        return this.#take(transaction, told, listed![0]!.id === self.device);
      });
      await reply?.();
    }
  }

  async #take(transaction: Transaction, { device, body }: ToldRecord, isPrimary: boolean): Promise<Reply> {
    switch (body.kind) {
      case 'transfer-request':
        return this.#outgoing.takeRequest(transaction, device, body, isPrimary);
      case 'transfer-pull':
        return this.#outgoing.takePull(transaction, device, body);
      case 'transfer-chunk':
        return this.#incoming.takeChunk(transaction, device, body);
      case 'transfer-end':
        return (
          (await this.#outgoing.takeEnd(transaction, device, body)) ??
          (await this.#incoming.takeEnd(transaction, device, body))
        );
    }
  }
}
