/**
 * What a chat shows of the other side, and the loop that an application reads it by.
 *
 * A feed keeps the newest value only: presence is what holds now, and a slow reader has no use for what held before. Who fills
 * it: `presence.ts`.
 */

import type { ClientError } from './errors.ts';

/** What is known of somebody at this moment. */
export interface PeerPresence {
  /** User id. */
  readonly user: string;
  /** `unknown`: never there, or not to be seen by us, or we have no connection; the server does not say which. */
  readonly state: 'online' | 'away' | 'unknown';
  /** While `away`: when they were last there, in milliseconds of the server's time, to the minute. */
  readonly lastSeenAt: number | undefined;
  /** What they do in the chat with us. */
  readonly typing: 'composing' | 'recording' | undefined;
}

interface Reader {
  readonly resolve: (result: IteratorResult<PeerPresence>) => void;
  readonly reject: (error: ClientError) => void;
}

/** One reader's view of one person. Ends when it is left, and when the client closes. */
export class PresenceFeed implements AsyncIterableIterator<PeerPresence> {
  readonly #onLeave: () => void;
  #unread: PeerPresence | undefined;
  #readers: Reader[] = [];
  #error: ClientError | undefined;
  #isOver = false;

  /** @param onLeave - Called once, when the reader goes. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  push(presence: PeerPresence): void {
    if (this.#isOver) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#unread = presence;
    else reader.resolve({ done: false, value: presence });
  }

  /** Ends the loop; with an error the next reader, or the one that waits, gets it. */
  end(error?: ClientError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unread = undefined;
    const [first, ...rest] = this.#readers.splice(0);
    if (error !== undefined && first !== undefined) first.reject(error);
    else {
      this.#error = error;
      first?.resolve({ done: true, value: undefined });
    }
    for (const reader of rest) reader.resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<PeerPresence>> {
    const [value, error] = [this.#unread, this.#error];
    this.#unread = this.#error = undefined;
    if (error !== undefined) return Promise.reject(error);
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<PeerPresence>> {
    if (!this.#isOver) {
      this.end();
      this.#onLeave();
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<PeerPresence> {
    return this;
  }
}
