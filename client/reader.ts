/**
 * The application's loop over received messages, read from the store, so that neither a slow loop nor a restart loses one.
 *
 * A message counts as consumed when the loop asks for the next one or is left. Until then it is on disk marked fresh. So a message
 * in hand when the process dies, or when the client is closed, comes again: at least once across a crash, exactly once
 * otherwise. Consumption is not flushed: losing the mark repeats a message, which is the same promise.
 */

import type { Journal } from './journal.ts';
import { KEYS, numberOfKey } from './layout.ts';
import { TEXT } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import type { ReceivedMessage } from './messages.ts';
import type { StoreEntry } from './store.ts';

/** Makes the application's view of a stored message. */
export type Dress = (user: string, ordinal: number) => Promise<ReceivedMessage>;

/** The source of `messages()` loops of one client; one loop at a time. */
export class Reader {
  readonly #journal: Journal;
  readonly #dress: Dress;
  #active: MessageLoop | undefined;
  #isClosed = false;

  constructor(journal: Journal, dress: Dress) {
    this.#journal = journal;
    this.#dress = dress;
  }

  /** @throws {TypeError} While another loop is being read: two would take messages from each other. */
  iterate(): AsyncIterableIterator<ReceivedMessage> {
    if (this.#active !== undefined) throw new TypeError('messages() is being read by another loop; leave it first');
    const loop = new MessageLoop(this.#journal, this.#dress, () => (this.#active = undefined));
    if (this.#isClosed) loop.close();
    this.#active = loop;
    return loop;
  }

  /** New messages are in the store. */
  wake(): void {
    this.#active?.wake();
  }

  /** Ends the loop after what it holds. */
  close(): void {
    this.#isClosed = true;
    this.#active?.close();
  }
}

class MessageLoop implements AsyncIterableIterator<ReceivedMessage> {
  readonly #journal: Journal;
  readonly #dress: Dress;
  readonly #onLeave: () => void;
  #page: StoreEntry[] = [];
  /** The key of the message in the application's hands. */
  #inHand: string | undefined;
  #after: string = KEYS.freshAll;
  #isClosed = false;
  #wakers: (() => void)[] = [];
  /** Calls of `next` take turns, as an async generator's would. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(journal: Journal, dress: Dress, onLeave: () => void) {
    this.#journal = journal;
    this.#dress = dress;
    this.#onLeave = onLeave;
  }

  next(): Promise<IteratorResult<ReceivedMessage>> {
    const result = this.#turn.then(() => this.#advance());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async return(): Promise<IteratorResult<ReceivedMessage>> {
    this.close();
    await this.#consume();
    this.#onLeave();
    return { done: true, value: undefined };
  }

  wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }

  close(): void {
    this.#isClosed = true;
    this.wake();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedMessage> {
    return this;
  }

  async #advance(): Promise<IteratorResult<ReceivedMessage>> {
    await this.#consume();
    try {
      const entry = await this.#nextEntry();
      if (entry === undefined) return this.#end();
      const value = await this.#dress(TEXT.decode(entry.value), numberOfKey(entry.key));
      this.#inHand = this.#after = entry.key;
      return { done: false, value };
    } catch (error) {
      // The store was closed under a look into it: that is the end, not an error.
      if (this.#isClosed) return this.#end();
      throw error;
    }
  }

  #end(): IteratorResult<ReceivedMessage> {
    this.#onLeave();
    return { done: true, value: undefined };
  }

  async #nextEntry(): Promise<StoreEntry | undefined> {
    while (!this.#isClosed) {
      const held = this.#page.shift();
      if (held !== undefined) return held;
      // The waker stands before the look, so that a message stored in between is not slept through.
      const woken = new Promise<void>((resolve) => this.#wakers.push(resolve));
      this.#page = await this.#journal.list({ prefix: KEYS.freshAll, after: this.#after, limit: LIMITS.scanCountMax });
      if (this.#page.length === 0) await woken;
    }
    return undefined;
  }

  /** Marks the message in hand as consumed; after closing it stays fresh, and comes again. */
  async #consume(): Promise<void> {
    const key = this.#inHand;
    this.#inHand = undefined;
    if (key === undefined) return;
    const transaction = this.#journal.begin();
    transaction.delete(key);
    await this.#journal.commit(transaction, 'eventual').catch(() => undefined);
  }
}
