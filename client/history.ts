/**
 * The stored messages of a conversation, and the local numbers that name them.
 *
 * Numbers (ordinals) are given out from a range that was reserved on disk beforehand, so that no number is used twice
 * whatever crashes, and no message needs a counter in its own batch. Gaps mean nothing.
 *
 * The state of an outgoing message is not stored with it: it follows from the conversation's watermarks, so that a
 * receipt for a thousand messages is one small write.
 */

import { ClientError } from './errors.ts';
import type { Journal, Transaction } from './journal.ts';
import { HISTORY, KEYS, NUMBER, numberOfKey } from './layout.ts';
import type { HistoryRecord, MarksRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { HistoryItem, MessageBody, MessageState } from './messages.ts';

/** Ordinals reserved at a time: one flushed write in a million messages and at each start. 2^53 of them last. */
const RESERVED_COUNT = 1_000_000;

/** Which part of a history to read. */
export interface HistoryRange {
  /** Only messages stored before the one with this id. */
  readonly before?: string;
  /** 1 to `LIMITS.scanCountMax`; 50 if not given. */
  readonly limit?: number;
}

/** Numbers and reads the messages of one store. */
export class History {
  readonly #journal: Journal;
  #next = 0;
  #ceiling = 0;
  #reserving: Promise<void> | undefined;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Gives out `count` numbers, ascending: the first of them. */
  async takeOrdinals(count: number): Promise<number> {
    while (this.#next + count > this.#ceiling) await (this.#reserving ??= this.#reserve());
    this.#next += count;
    return this.#next - count;
  }

  /** Adds or replaces a message within a transaction. */
  put(transaction: Transaction, user: string, ordinal: number, record: HistoryRecord): void {
    transaction.put(KEYS.history(user, ordinal), HISTORY.encode(record));
  }

  /** Reads one message, if it is there. */
  async get(user: string, ordinal: number): Promise<HistoryRecord | undefined> {
    const bytes = await this.#journal.get(KEYS.history(user, ordinal));
    return bytes === undefined ? undefined : HISTORY.decode(bytes);
  }

  /** Messages with `user`, oldest first, the newest `limit` of those that the range allows. */
  async list(user: string, range: HistoryRange, marks: MarksRecord): Promise<HistoryItem[]> {
    const { limit = 50, before } = range;
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.scanCountMax) {
      throw new RangeError(`"limit" expected an integer from 1 to ${LIMITS.scanCountMax}`);
    }
    const entries = await this.#journal.list({
      prefix: KEYS.historyOf(user),
      limit,
      newestFirst: true,
      ...(before === undefined ? {} : { after: KEYS.history(user, ordinalOfId(before)) }),
    });
    return entries.reverse().map(({ key, value }) => toItem(user, numberOfKey(key), HISTORY.decode(value), marks));
  }

  async #reserve(): Promise<void> {
    const stored = await this.#journal.get(KEYS.ordinal);
    const first = stored === undefined ? 1 : NUMBER.decode(stored);
    const transaction = this.#journal.begin();
    transaction.put(KEYS.ordinal, NUMBER.encode(first + RESERVED_COUNT));
    await this.#journal.commit(transaction);
    this.#next = first;
    this.#ceiling = first + RESERVED_COUNT;
    this.#reserving = undefined;
  }
}

/** The application's name of a stored message. */
export function idOfOrdinal(ordinal: number): string {
  return String(ordinal);
}

/** The stored body as the application sees it. */
export function bodyOf(record: HistoryRecord): MessageBody {
  const { body } = record;
  if (body.kind === 'text') return body;
  if (body.kind === 'unsupported') return { kind: 'unsupported', text: '' };
  return { kind: 'undecryptable', text: '', code: body.code };
}

/** The state of outgoing message `number` under the watermarks of its conversation. */
export function stateUnder(number: number, marks: MarksRecord): MessageState {
  if (number <= marks.readId) return 'read';
  if (number <= marks.deliveredId) return 'delivered';
  return number <= marks.sentId ? 'sent' : 'queued';
}

function toItem(peer: string, ordinal: number, record: HistoryRecord, marks: MarksRecord): HistoryItem {
  const { direction, number, sentAt, failure } = record;
  const state = failure === undefined ? stateUnder(number, marks) : 'refused';
  return {
    id: idOfOrdinal(ordinal),
    number,
    sentAt,
    ...bodyOf(record),
    direction,
    peer,
    state: direction === 'out' ? state : undefined,
    failure,
  };
}

function ordinalOfId(id: string): number {
  const ordinal = Number(id);
  if (!Number.isSafeInteger(ordinal) || ordinal < 0) throw new TypeError('"before" expected the id of a message');
  return ordinal;
}

/** For readers of a record that must be there: a missing one is damage. */
export function requireRecord(record: HistoryRecord | undefined): HistoryRecord {
  if (record === undefined) throw new ClientError('CLI_STORE_CORRUPT');
  return record;
}
