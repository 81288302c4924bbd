/**
 * Disappearing messages: forgotten by each device on its own, a fixed time after it stored them.
 *
 * The time is counted from storing, at either end, whether or not the message was looked at: a device that was away for
 * long shows what it missed before it forgets it, and nobody has to report having looked. An index in the store, in order
 * of time, says what is due; one timer waits for its head. A device that was off forgets at its next start. What a
 * recipient copied, photographed or ran on a changed client stays: a timer is an agreement, no enforcement.
 */

import type { Clock } from './environment.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal } from './journal.ts';
import { KEYS, numberOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { Locks } from './locks.ts';
import type { StoreEntry } from './store.ts';

/** What forgetting needs of its client. */
export interface ExpiryServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly clock: Clock;
  readonly changed: (changes: readonly ChangedMessage[]) => void;
  /** The store cannot be read or written. */
  readonly fail: (error: unknown) => void;
}

/** When a message that was stored at `storedAt` is forgotten; undefined: never. Milliseconds, wall time. */
export function expiryOf(storedAt: number, timerSeconds: number): number | undefined {
  return timerSeconds === 0 ? undefined : storedAt + timerSeconds * 1_000;
}

/** Forgets what is due. */
export class Expiry {
  readonly #services: ExpiryServices;
  #timer: unknown;
  #isSweeping = false;
  #isClosed = false;
  /** A message came meanwhile that may be due before those that the sweep has seen. */
  #isStale = false;

  constructor(services: ExpiryServices) {
    this.#services = services;
  }

  /** Forgets what is due now, and waits for the next one. Call it at the start, and when a message with a timer was stored. */
  schedule(): void {
    this.#isStale = true;
    if (this.#isSweeping || this.#isClosed) return;
    this.#isSweeping = true;
    void this.#run();
  }

  close(): void {
    this.#isClosed = true;
    this.#services.clock.clearTimer(this.#timer);
  }

  async #run(): Promise<void> {
    const { clock, fail } = this.#services;
    try {
      let next: number | undefined;
      while (this.#isStale && !this.#isClosed) {
        this.#isStale = false;
        next = await this.#sweep();
      }
      if (next !== undefined && !this.#isClosed) this.#wait(next - clock.nowMs());
    } catch (error) {
      if (!this.#isClosed) fail(error);
    }
    this.#isSweeping = false;
  }

  #wait(delayMs: number): void {
    const { clock } = this.#services;
    clock.clearTimer(this.#timer);
    const stepMs = Math.min(Math.max(0, delayMs), LIMITS.expiryStepMsMax);
    this.#timer = clock.setTimer(stepMs, () => this.schedule());
  }

  /** @returns When the next message is due. */
  async #sweep(): Promise<number | undefined> {
    const { journal, clock } = this.#services;
    for (;;) {
      const page = await journal.list({ prefix: KEYS.expiries, limit: LIMITS.scanCountMax });
      const due = page.filter(({ key }) => dueTime(key) <= clock.nowMs());
      if (due.length > 0) await this.#forget(due);
      if (due.length < page.length) return dueTime(page[due.length]!.key);
      if (page.length < LIMITS.scanCountMax) return undefined;
    }
  }

  async #forget(due: readonly StoreEntry[]): Promise<void> {
    const { journal, locks, history, changed } = this.#services;
    const users = due.map(({ key }) => key.split('/')[2]!);
    const changes: ChangedMessage[] = [];
    await locks.run(users, async () => {
      const transaction = journal.begin();
      for (const [index, { key }] of due.entries()) {
        const [user, ordinal] = [users[index]!, numberOfKey(key)];
        const record = await history.get(user, ordinal);
        transaction.delete(key);
        if (record !== undefined) await history.remove(transaction, user, ordinal, record);
        changes.push({ user, ordinal, record: undefined });
      }
      await journal.commit(transaction);
    });
    changed(changes);
  }
}

function dueTime(key: string): number {
  return Number(key.split('/')[1]);
}
