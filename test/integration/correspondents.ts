/** People in processes of their own (`correspondent.fixture.ts`) who all keep writing to the next one, and what all of them saw. */

import type { Test } from 'tap';
import type { Counts, Operations } from './correspondent.fixture.ts';
import { findFaults } from './delivery-check.ts';
import { pause, PATIENCE_MS } from './people.ts';
import { RemoteProcess } from './remote-process.ts';
import type { ServerProcess } from './server-process.ts';

/** How often all are asked how far they are: an answer takes a fraction of a millisecond of each. */
const LOOK_MS = 50;

class Correspondent extends RemoteProcess<Operations> {
  readonly phone: string;

  constructor(t: Test, url: string, phone: string) {
    super(t, phone, new URL('./correspondent.fixture.js', import.meta.url), [url, phone]);
    this.phone = phone;
  }
}

export class Correspondents {
  readonly #t: Test;
  readonly #all: readonly Correspondent[];

  private constructor(t: Test, all: readonly Correspondent[]) {
    this.#t = t;
    this.#all = all;
  }

  /** Registers and connects them. */
  static async start(
    t: Test,
    door: Pick<ServerProcess, 'url' | 'code'>,
    phones: readonly string[],
  ): Promise<Correspondents> {
    const all = phones.map((phone) => new Correspondent(t, door.url, phone));
    const register = async (each: Correspondent): Promise<void> => {
      await each.do('requestCode');
      await each.do('confirmCode', await door.code(each.phone));
    };
    await Promise.all(all.map(register));
    return new Correspondents(t, all);
  }

  #nextOf(index: number): Correspondent {
    return this.#all[(index + 1) % this.#all.length]!;
  }

  /** Everybody begins to write to the next one. What was before is forgotten. */
  async begin(): Promise<void> {
    // All of them first: nobody may forget what somebody has written already.
    await Promise.all(this.#all.map((each) => each.do('forget')));
    await Promise.all(this.#all.map((each, index) => each.do('begin', this.#nextOf(index).phone)));
  }

  /** All stop writing; resolves when all of it has its check marks. */
  async finish(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.do('finish')));
  }

  /** Waits until everything written has arrived, as long as something does. @returns How many messages that are. */
  async untilComplete(): Promise<number> {
    let [least, sinceMs] = [Infinity, performance.now()];
    for (;;) {
      const counts = await this.#counts();
      const sum = (what: 'sent' | 'received'): number => counts.reduce((total, each) => total + each[what], 0);
      const missing = sum('sent') - sum('received');
      if (missing <= 0) return sum('sent');
      if (missing < least) [least, sinceMs] = [missing, performance.now()];
      if (performance.now() - sinceMs > PATIENCE_MS) {
        this.#describe(counts);
        throw new Error(`waited ${PATIENCE_MS} ms for another message to arrive`);
      }
      await pause(LOOK_MS);
    }
  }

  #counts(): Promise<Counts[]> {
    return Promise.all(this.#all.map((each) => each.do('counts')));
  }

  #describe(counts: readonly Counts[]): void {
    for (const [index, { phone }] of this.#all.entries())
      this.#t.comment(`${phone} to ${this.#nextOf(index).phone}: ${JSON.stringify(counts[index])}`);
  }

  /** Holds what everybody got against what was written: acknowledged, once and in order. */
  async check(t: Test, of: string): Promise<void> {
    const accounts = await Promise.all(this.#all.map((each) => each.do('account')));
    for (const [index, { sent, acknowledged }] of accounts.entries()) {
      const prefix = `${this.#all[index]!.phone}>`;
      const received = accounts[(index + 1) % accounts.length]!.received.filter((text) => text.startsWith(prefix));
      const faults = findFaults({ sent, acknowledged: new Set(acknowledged), received });
      t.strictSame(faults, [], `${sent.length} messages of ${of}`);
      t.equal(acknowledged.length, sent.length, 'all were acknowledged in the end');
    }
  }
}
