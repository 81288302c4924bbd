/**
 * What something that is being started has taken so far: each thing is noted with how it is given back, and all of it goes back in
 * reverse order, when a later step fails or at the end. So the end needs no list of its own, which would forget what was added last.
 */

/** What was taken. */
export class Belongings {
  #returns: (() => Promise<void> | void)[] = [];

  /** @param giveBack - Runs once, before those that were added earlier. */
  add(giveBack: () => Promise<void> | void): void {
    this.#returns.push(giveBack);
  }

  /**
   * Gives everything back, the last first and one after the other. What fails keeps nothing else from being given back.
   *
   * @throws {unknown} (as rejection) what the first that failed threw, when all have been tried.
   */
  async giveBack(): Promise<void> {
    const failures: unknown[] = [];
    for (let last = this.#returns.pop(); last !== undefined; last = this.#returns.pop()) {
      try {
        await last();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
