/**
 * Whether anything passes the line between two data centres: each says numbers to the other, over connections of its own to the servers, and hears what the other one says.
 *
 * A cut is what a test believes of its relay. Servers know other ways: one that is told the address of its hub goes there as soon as the relay is silent, around it, and
 * what arrives then is no fault of the nodes. Seen once as a message for the cut centre that had its check mark, on a machine so busy that the cut lasted longer than the servers wait.
 */

import type { Test } from 'tap';
import { openNatsBus, type NatsBus } from '../../runtime/cluster/index.ts';
import { createMemoryLog } from '../../runtime/testing/index.ts';
import type { NatsServers } from '../../runtime/testing/nats-servers.ts';
import { pause } from './people.ts';

const EACH_MS = 20;

export class LineProbe {
  #next = 1;
  /** What was said last before the cut; infinite without one. */
  #cutAt = Infinity;
  #heard = 0;
  #leaked = 0;
  #isStopped = false;

  static async start(t: Test, centres: readonly [NatsServers, NatsServers]): Promise<LineProbe> {
    const open = ({ urls }: NatsServers): Promise<NatsBus> =>
      openNatsBus({ servers: urls }, 'line-probe', createMemoryLog([]));
    const buses = await Promise.all(centres.map(open));
    const probe = new LineProbe();
    const done = probe.#speak(buses);
    t.teardown(async () => {
      probe.#isStopped = true;
      await done;
      await Promise.all(buses.map((bus) => bus.close()));
    });
    return probe;
  }

  async #speak(buses: readonly NatsBus[]): Promise<void> {
    for (const [to, bus] of buses.entries())
      bus.subscribe(`line-probe.${to}`, (bytes) => this.#hear(Buffer.from(bytes).readDoubleLE()));
    while (!this.#isStopped) {
      const number = Buffer.alloc(8);
      number.writeDoubleLE(this.#next++);
      for (const [from, bus] of buses.entries()) bus.publish(`line-probe.${1 - from}`, number);
      await pause(EACH_MS);
    }
  }

  #hear(number: number): void {
    this.#heard += 1;
    if (number > this.#cutAt) this.#leaked += 1;
  }

  /** How many numbers have come to the other side, ever. */
  get heard(): number {
    return this.#heard;
  }

  /** How many of those that were said in a cut came before its end. */
  get leaked(): number {
    return this.#leaked;
  }

  /** What is said from now on must not arrive. */
  cut(): void {
    this.#cutAt = this.#next - 1;
  }

  /** It may again, also what waited. */
  heal(): void {
    this.#cutAt = Infinity;
  }
}
