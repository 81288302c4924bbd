/**
 * Connections that lost the owner of a shard: who waits for the next one, and when it is there.
 *
 * The owner may have handed the shard over, have died, or have been started again by its supervisor; the registry and what seats say of themselves tell which. Knows neither
 * sockets nor leases: the member says who serves what and whether this seat can tell at all, the worker's link tells the actors. Read next: `member.ts`, and
 * `../connection/watching.ts` for what a connection makes of it.
 */

import type { Logger, Pid } from '../../runtime/index.ts';
import { LIMITS } from './limits.ts';
import type { Seat } from './placement.ts';
import { sameSeat } from './shard-record.ts';

/** What became of a shard: somebody serves it; or this seat is cut off itself and would not hear of it, or it has taken too long. */
export type Found = 'shard-served' | 'shard-missing';

/** How things stand, as a member sees them. */
export interface Prospect {
  /** Whether this seat may believe what it knows of the others. */
  isLeased(): boolean;
  /** Who owns a shard and says that it serves it. */
  servedBy(shard: number): Seat | undefined;
}

interface Loss {
  readonly shard: number;
  /** Who had it. */
  readonly seat: Seat;
  /** When the first of them came; monotonic milliseconds. */
  readonly sinceMs: number;
  readonly pids: Pid[];
}

export class Orphans {
  readonly #prospect: Prospect;
  readonly #logger: Pick<Logger, 'info'>;
  readonly #tell: (pid: Pid, found: Found, shard: number) => void;
  /** By shard and former owner. */
  readonly #losses: Map<string, Loss> = new Map();

  /** @param tell - Called once for each `wait` that was granted. */
  constructor(prospect: Prospect, logger: Pick<Logger, 'info'>, tell: (pid: Pid, found: Found, shard: number) => void) {
    this.#prospect = prospect;
    this.#logger = logger;
    this.#tell = tell;
  }

  /** Lets `pid` wait for the next owner of a shard that `seat` had. */
  wait(shard: number, seat: Seat, pid: Pid, nowMs: number): void {
    const key = `${shard} ${seat.node} ${seat.worker}`;
    const loss = this.#losses.get(key) ?? { shard, seat, sinceMs: nowMs, pids: [] };
    this.#losses.set(key, loss);
    loss.pids.push(pid);
  }

  /** Looks who is served again. So many are told at a time that the next owner is not asked by all of them at once. */
  look(nowMs: number): void {
    let room: number = LIMITS.orphansToldMax;
    for (const [key, loss] of this.#losses) {
      const found = this.#find(loss, nowMs);
      if (found === undefined) continue;
      if (found === 'shard-missing') this.#logMissing(loss, nowMs);
      for (const pid of loss.pids.splice(0, room)) {
        room--;
        this.#tell(pid, found, loss.shard);
      }
      if (loss.pids.length === 0) this.#losses.delete(key);
      if (room === 0) return;
    }
  }

  /** Each time that some of them are told. */
  #logMissing({ shard, pids, sinceMs }: Loss, nowMs: number): void {
    const isLeased = this.#prospect.isLeased();
    const waitedMs = Math.round(nowMs - sinceMs);
    this.#logger.info('connections_let_go', { shard, count: pids.length, isLeased, waitedMs });
  }

  #find({ shard, seat, sinceMs }: Loss, nowMs: number): Found | undefined {
    const waitedMs = nowMs - sinceMs;
    if (!this.#prospect.isLeased() || waitedMs > LIMITS.orphanMs) return 'shard-missing';
    const owner = this.#prospect.servedBy(shard);
    if (owner === undefined) return undefined;
    // One that hands it over says so a moment later; one whose actors were started again goes on saying that it serves.
    return !sameSeat(owner, seat) || waitedMs > LIMITS.sameOwnerMs ? 'shard-served' : undefined;
  }
}
