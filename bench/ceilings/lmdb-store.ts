/**
 * The bare store: puts, flushes and removals of records of our sizes, in batches of our size, with nothing else around
 * them. Entry point of a process of its own, started by `ceilings.ts`.
 *
 * Every batch puts its records and removes those of the batch before the last, as an inbox does whose recipients are
 * online, and counts when it is flushed. Two batches are under way, so that the write thread never waits for this one.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { opaqueBytes } from '../generator/account-keys.ts';
import { systemClock } from '../harness/clock.ts';
import type { LmdbCeilingPlan, LmdbCeilingResult } from './ceilings.ts';

const { open } = createRequire(import.meta.url)('lmdb') as typeof import('lmdb');

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;
/** Recipient, device and position: the key of an inbox entry. */
const KEY_BYTES = 15;
const BATCHES_IN_FLIGHT = 2;

type Table = Database<Buffer, Buffer>;

class BareStore {
  readonly #root: RootDatabase;
  readonly #table: Table;
  readonly #plan: LmdbCeilingPlan;
  readonly #value: Buffer;
  #next = 0;

  constructor(path: string, plan: LmdbCeilingPlan) {
    // As the server opens it: the promise of a commit resolves after the flush.
    this.#root = open({ path, maxDbs: 2, noSubdir: false, overlappingSync: false, ...BINARY });
    this.#table = this.#root.openDB<Buffer, Buffer>({ name: 'inbox', ...BINARY });
    this.#plan = plan;
    this.#value = Buffer.from(opaqueBytes(plan.valueBytes));
  }

  /** Puts and flushes until `untilMs`; returns how many records that were. */
  async run(untilMs: number): Promise<number> {
    let flushed = 0;
    const work = async (): Promise<void> => {
      while (systemClock.nowMs() < untilMs) {
        await this.#batch();
        flushed += this.#plan.batchCount;
      }
    };
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, work));
    return flushed;
  }

  #batch(): Promise<boolean> {
    const { batchCount } = this.#plan;
    const first = this.#next;
    this.#next += batchCount;
    return this.#root.batch(() => {
      for (let index = first; index < first + batchCount; index += 1) {
        void this.#table.put(this.#keyOf(index), this.#value);
        if (index >= BATCHES_IN_FLIGHT * batchCount)
          void this.#table.remove(this.#keyOf(index - BATCHES_IN_FLIGHT * batchCount));
      }
    });
  }

  /** Records are spread over the recipients in turn, so neighbours in time are not neighbours in the tree. */
  #keyOf(index: number): Buffer {
    const { recipients } = this.#plan;
    const key = Buffer.allocUnsafe(KEY_BYTES);
    key.writeUIntBE(0, 0, 2);
    key.writeUIntBE(index % recipients, 2, 6);
    key[8] = 1;
    key.writeUIntBE(Math.floor(index / recipients), 9, 6);
    return key;
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

async function measure(plan: LmdbCeilingPlan): Promise<LmdbCeilingResult> {
  const path = mkdtempSync(join(tmpdir(), 'blindbeam-bench-lmdb-'));
  const store = new BareStore(path, plan);
  try {
    await store.run(systemClock.nowMs() + plan.warmUpMs);
    const beganMs = systemClock.nowMs();
    const puts = await store.run(beganMs + plan.windowMs);
    return { putsPerSecond: (puts * 1000) / (systemClock.nowMs() - beganMs) };
  } finally {
    await store.close();
    rmSync(path, { recursive: true, force: true });
  }
}

if (process.send === undefined) throw new Error('the bare store is started by the benchmark, not by hand');

process.on('message', (plan: LmdbCeilingPlan) => {
  void measure(plan).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
