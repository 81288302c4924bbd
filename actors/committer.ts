/**
 * The way of one actor's commits into its store, from one life of that actor to the next.
 *
 *   life 1   commit ──▶ store … flushed ──▶ committed      ✝ ends while a commit is under way
 *   committer  ───────────────────────────────────────────── counts what is under way, whoever began it
 *   life 2                                  claim … ─────▶ reads the store: nothing moves in it any more
 *
 * A commit outlives the actor that began it. A successor that read the store before such a commit has settled would give the
 * positions that it gave once more, and could not know what it is to push. So a committer belongs to the shell, one for each actor
 * and opening of a store, and each life of the actor claims it before it reads anything. Of its own commits an actor hears
 * by a message, which one that has ended does not get: its successor finds in the store what became of them.
 *
 * Every write of a shard's actors starts here, and the promise of every commit settles here. Read next: `inbox/claim.ts`.
 */

import type { Context, Pid } from '../runtime/index.ts';
import { LIMITS } from './limits.ts';
import type { CommitResult, InboxStore, StoreBatch } from './store/inbox-store.ts';

/** What an actor hears of its commit. */
export interface Committed {
  readonly kind: 'committed';
  /** As given with the commit; 0 where the actor has one under way at a time. */
  readonly ticket: number;
  readonly result: CommitResult;
}

/** Collects the writes of a commit; runs once, at once. */
export type WriteSet = (batch: StoreBatch) => void;

/** Makes the first state of an actor once its committer is its own: at once, or when what a former life has under way has settled. */
export function onceClaimed<State>(committer: Committer, make: () => State | Promise<State>): State | Promise<State> {
  const claimed = committer.claim();
  return claimed === undefined ? make() : claimed.then(make);
}

export class Committer {
  readonly #store: Pick<InboxStore, 'commit'>;
  readonly #tell: (self: Pid, message: Committed) => void;
  #underWay = 0;
  #waiting: (() => void)[] = [];
  /** Whether commits cannot settle for now, because the log of the shard does not answer: what can be refused should be. */
  readonly isCutOff: () => boolean;
  #isPaused = false;

  /** @param tell - Casts to an actor; one that is gone gets nothing. */
  constructor(
    store: Pick<InboxStore, 'commit'>,
    tell: (self: Pid, message: Committed) => void,
    isCutOff: () => boolean = () => false,
  ) {
    this.#store = store;
    this.#tell = tell;
    this.isCutOff = isCutOff;
  }

  /** Commits that have not settled, of this life of the actor and of former ones. */
  get underWay(): number {
    return this.#underWay;
  }

  /**
   * Resolves once nothing is under way; `undefined` where nothing is. Whoever claims a committer is its only writer from then on: the
   * supervisor starts no successor before an actor has ended. Also once a commit has failed for good, which ends the process.
   */
  claim(): Promise<void> | undefined {
    if (this.#underWay === 0) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Whether the actor should plan nothing now, because the log of its shard does not answer: it may have another owner by now, and then what is
   * known here is old. If so, `note` comes back to the actor after a while, for another look.
   */
  holdsBack(ctx: Pick<Context, 'sendAfter'>, note: string): boolean {
    if (!this.isCutOff()) return (this.#isPaused = false);
    if (!this.#isPaused) ctx.sendAfter(LIMITS.cutOffPauseMs, note);
    this.#isPaused = true;
    return true;
  }

  /** The note has come back. */
  looksAgain(): void {
    this.#isPaused = false;
  }

  /** Starts a commit and casts its outcome to `self`. */
  commit(self: Pid, write: WriteSet, ticket = 0): void {
    this.run(write).then(
      (result) => this.#tell(self, { kind: 'committed', ticket, result }),
      // Reported by the store, which ends the process.
      () => undefined,
    );
  }

  /** Starts a commit for somebody who waits for it. Rejects when the disk cannot be trusted any more. */
  async run(write: WriteSet): Promise<CommitResult> {
    this.#underWay++;
    try {
      return await this.#store.commit(write);
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) for (const resume of this.#waiting.splice(0)) resume();
    }
  }
}
