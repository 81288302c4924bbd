/**
 * Whether owners that are silent have a connection still: a process that is gone has none, and need not be waited for.
 *
 * The kernel of a process that ended closes its connections, and servers know at once where nobody listens any more. What is cut off, paused or
 * starved keeps its connection for a while; nothing is said of that, and its silence decides. Read next: `liveness.ts`.
 */

import type { Clock } from '../../runtime/index.ts';
import type { ClusterNet } from './contracts.ts';
import { LIMITS } from './limits.ts';
import type { Liveness } from './liveness.ts';
import { pause } from '../pause.ts';
import type { Seat } from './placement.ts';
import { seatKey } from './shard-record.ts';

export class Suspicion {
  readonly #net: Pick<ClusterNet, 'isDeserted'>;
  readonly #liveness: Liveness;
  readonly #clock: Clock;
  /** Seats that are being asked for. */
  readonly #asked: Set<string> = new Set();

  constructor(net: Pick<ClusterNet, 'isDeserted'>, liveness: Liveness, clock: Clock) {
    this.#net = net;
    this.#liveness = liveness;
    this.#clock = clock;
  }

  /** Asks for a seat if it has been silent for a while. */
  look(seat: Seat, nowMs: number): void {
    if (this.#liveness.isSuspect(seat, nowMs) && !this.#asked.has(seatKey(seat))) void this.#ask(seat);
  }

  /** Twice: one that changes its server is without a connection for a moment. */
  async #ask(seat: Seat): Promise<void> {
    const heardMs = this.#liveness.heardMs(seat);
    this.#asked.add(seatKey(seat));
    let isDeserted = await this.#net.isDeserted(seat);
    if (isDeserted) {
      await pause(this.#clock, LIMITS.desertedMs);
      isDeserted = await this.#net.isDeserted(seat);
    }
    if (isDeserted && heardMs !== undefined) this.#liveness.noteDeserted(seat, heardMs);
    this.#asked.delete(seatKey(seat));
  }
}
