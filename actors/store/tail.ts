/**
 * The tail of a shard: what its owner has committed to this disk and the shard's log does not have yet.
 *
 *   log    ── 1 ── 2 ── 3 ── 4                     mark: 4
 *   disk   ── 1 ── 2 ── 3 ── 4 ── t5 ── t6 ── t7   tail: t5 to t7, applied to the tables and kept as write sets
 *
 * It grows only while the log does not answer, on a node whose durability is `local`, and is appended to the log before anything else. An entry is
 * applied and noted in one transaction, and forgotten in the one that moves the mark behind it; so whatever ends the process when, what is here is what
 * the log may lack. May: a process that ended between the append and the second transaction appends it once more. Operations are absolute, so the log says the same with
 * the beginning of a tail twice in it. Who decides when it grows: `../cluster/commit-log.ts`.
 */

import type { CommitResult } from './inbox-store.ts';
import type { LogMark, RawTable, RawWriter } from './raw-tables.ts';
import { applyWrites, type WriteTarget } from './write-set.ts';

/** What is used of a tail by who writes the log. */
export interface ShardTail {
  /** Write sets in it. */
  readonly count: number;
  readonly bytes: number;
  /**
   * Applies a write set and notes it as the last, in one transaction; resolves when it is flushed, or to `full` if nothing was written. One at a time.
   *
   * @param writes - Must not change until then.
   */
  add(writes: Buffer): Promise<CommitResult>;
  /** The first write sets joined, up to `bytesMax` and at least one; `undefined` when there is none. Owned by the caller. */
  first(bytesMax: number): TailPart | undefined;
  /** The log has everything up to entry `through`: forgets that and sets the mark, in one transaction. */
  settle(through: number, mark: LogMark): Promise<CommitResult>;
  /** Applies all of it once more: the log may have brought its beginning back. */
  replay(): Promise<CommitResult>;
}

export interface TailPart {
  readonly writes: Buffer;
  /** Number of its last entry. */
  readonly through: number;
}

/** Bytes of a transaction of `replay`. */
const REPLAY_BYTES = 4_194_304;

export class Tail<Table extends RawTable = RawTable> implements ShardTail {
  readonly #table: Table;
  readonly #writer: RawWriter<Table>;
  readonly #target: WriteTarget;
  readonly #putMark: (mark: LogMark) => void;
  /** Length of each entry, by its number; in order. */
  readonly #lengths = new Map<number, number>();
  #last = 0;
  #bytes = 0;

  constructor(table: Table, writer: RawWriter<Table>, target: WriteTarget, putMark: (mark: LogMark) => void) {
    this.#table = table;
    this.#writer = writer;
    this.#target = target;
    this.#putMark = putMark;
    for (const { key, value } of table.getRange({ snapshot: false })) this.#note(key.readUIntBE(0, 6), value.length);
  }

  #note(number: number, length: number): void {
    this.#lengths.set(number, length);
    this.#last = number;
    this.#bytes += length;
  }

  get count(): number {
    return this.#lengths.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async add(writes: Buffer): Promise<CommitResult> {
    const number = this.#last + 1;
    const result = await this.#writer.commit(() => {
      applyWrites(writes, this.#target);
      this.#writer.put(this.#table, keyOf(number), writes);
    });
    if (result === 'ok') this.#note(number, writes.length);
    return result;
  }

  first(bytesMax: number): TailPart | undefined {
    return this.#from(0, bytesMax);
  }

  #from(number: number, bytesMax: number): TailPart | undefined {
    const parts: Buffer[] = [];
    let through = 0;
    let bytes = 0;
    for (const { key, value } of this.#table.getRange({ start: keyOf(number), snapshot: false })) {
      bytes += value.length;
      // An entry that is being added is noted when it is flushed.
      const next = key.readUIntBE(0, 6);
      if ((bytes > bytesMax && parts.length > 0) || !this.#lengths.has(next)) break;
      parts.push(Buffer.from(value));
      through = next;
    }
    if (parts.length === 0) return undefined;
    return { writes: parts.length === 1 ? parts[0]! : Buffer.concat(parts), through };
  }

  async settle(through: number, mark: LogMark): Promise<CommitResult> {
    const settled = this.#numbersUpTo(through);
    const result = await this.#writer.commit(() => {
      for (const number of settled) this.#writer.remove(this.#table, keyOf(number));
      this.#putMark(mark);
    });
    if (result === 'ok') for (const number of settled) this.#forget(number);
    return result;
  }

  #numbersUpTo(through: number): number[] {
    const numbers: number[] = [];
    for (const number of this.#lengths.keys()) {
      if (number > through) break;
      numbers.push(number);
    }
    return numbers;
  }

  #forget(number: number): void {
    this.#bytes -= this.#lengths.get(number)!;
    this.#lengths.delete(number);
  }

  async replay(): Promise<CommitResult> {
    for (
      let part = this.#from(0, REPLAY_BYTES);
      part !== undefined;
      part = this.#from(part.through + 1, REPLAY_BYTES)
    ) {
      const { writes } = part;
      const result = await this.#writer.commit(() => applyWrites(writes, this.#target));
      if (result !== 'ok') return result;
    }
    return 'ok';
  }

  /** Forgets all of it; what it wrote to the tables goes with them. */
  async clear(): Promise<void> {
    await this.#table.clearAsync();
    this.#lengths.clear();
    this.#bytes = 0;
  }
}

function keyOf(number: number): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(number, 0, 6);
  return key;
}
