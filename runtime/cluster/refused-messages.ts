/**
 * Messages that their reader threw at. The client of NATS calls a reader while it reads its connection: a throw would end that reading for all
 * subscriptions, with the socket open and nobody told. So each reader that hangs on a connection catches, and notes here what it passed over.
 */

import type { Logger } from '../contracts.ts';

export class RefusedMessages {
  readonly #log: Logger;
  #count: number = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Logged whenever their number has doubled: what is said again each second must not fill a disk. */
  note(subject: string, error: unknown): void {
    const count = ++this.#count;
    if ((count & (count - 1)) === 0) this.#log.error('message_refused', { subject, reason: String(error), count });
  }
}
