/**
 * When the servers themselves are whole again after a fault: every stream has a leader that answers.
 *
 * Without one nobody can append to a log, whatever the nodes do. So what a message waited for beyond that is theirs, and what it waited for before is the servers'.
 *
 * A server that was killed leads nothing when it is back, so after a few faults one of them leads everything and the death of another is none. Hence it
 * says who leads: faults choose among those.
 */

import type { Test } from 'tap';
import { openNatsBus } from '../../runtime/cluster/index.ts';
import { createMemoryLog } from '../../runtime/testing/index.ts';
import type { NatsServers } from '../../runtime/testing/nats-servers.ts';
import { pause } from './people.ts';

const LOOK_MS = 200;
const ANSWER_MS = 1_000;

export class LeaderWatch {
  /** Streams that each server leads, in the order of the servers, as was heard last. */
  readonly #leads: number[];
  #missingMs: number = performance.now();
  #isStopped = false;

  /** Looks from now on, over a connection of its own, which no relay is in. */
  static async start(t: Test, { urls, servers }: NatsServers): Promise<LeaderWatch> {
    const bus = await openNatsBus({ servers: urls }, 'leader-watch', createMemoryLog([]));
    const manager = await bus.connection.jetstreamManager({ timeout: ANSWER_MS });
    const streams = (await manager.streams.list().next()).map(({ config: { name } }) => name);
    const watch = new LeaderWatch(servers.length);
    const leaderOf = (name: string): Promise<string | undefined> =>
      manager.streams.info(name).then(
        ({ cluster }) => cluster?.leader,
        () => undefined,
      );
    const done = watch.#look(() => Promise.all(streams.map(leaderOf)));
    t.teardown(async () => {
      watch.#isStopped = true;
      await done;
      await bus.close();
    });
    return watch;
  }

  private constructor(servers: number) {
    this.#leads = Array.from({ length: servers }, () => 0);
  }

  /** Servers that lead a stream, by their place; all of them while none is known to. */
  get leading(): readonly number[] {
    const leading = this.#leads.flatMap((count, place) => (count > 0 ? [place] : []));
    return leading.length > 0 ? leading : [...this.#leads.keys()];
  }

  /** When a stream was without a leader last, by `performance.now()`. */
  get missingMs(): number {
    return this.#missingMs;
  }

  async #look(ask: () => Promise<readonly (string | undefined)[]>): Promise<void> {
    while (!this.#isStopped) {
      const leaders = await ask();
      if (leaders.includes(undefined)) this.#missingMs = performance.now();
      // `startNatsServers` calls them n1, n2, …
      for (const place of this.#leads.keys())
        this.#leads[place] = leaders.filter((leader) => leader === `n${place + 1}`).length;
      await pause(LOOK_MS);
    }
  }
}
