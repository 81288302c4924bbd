/**
 * Turns by name: whoever works on a peer's ratchet holds the peer's lock, and nobody else does.
 *
 * A ratchet step reads a state, computes, and writes the next one; two of them interleaved would use one message key
 * twice. A group of incoming messages takes the locks of all its senders at once. Deadlock cannot happen because the
 * names of one call are queued on together, in one turn, before anybody waits.
 */

/** The one lock of all groups: what comes in a conversation of two may be about any of them, and shows it only when it is open. */
export const GROUPS_LOCK: 'groups' = 'groups';

/** Exclusive turns, first come first served, for each name apart. */
export class Locks {
  readonly #tails = new Map<string, Promise<void>>();

  /** Resolves when everything asked for by now has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }

  /**
   * Runs `task` when every earlier task that shares a name with it has ended.
   *
   * @param names - Users and groups, without duplicates being needed; an empty list runs at once. Every group means `GROUPS_LOCK`.
   * @returns What `task` returns; its rejection frees the names as well.
   */
  async run<Result>(names: readonly string[], task: () => Promise<Result>): Promise<Result> {
    const distinct = [...new Set(names.map((name) => (name.startsWith('g') ? GROUPS_LOCK : name)))];
    const before = distinct.map((name) => this.#tails.get(name));
    let release!: () => void;
    const turn = new Promise<void>((resolve) => (release = resolve));
    for (const name of distinct) this.#tails.set(name, turn);
    try {
      await Promise.all(before);
      return await task();
    } finally {
      release();
      for (const name of distinct) if (this.#tails.get(name) === turn) this.#tails.delete(name);
    }
  }
}
