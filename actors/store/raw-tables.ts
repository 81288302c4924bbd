/**
 * The tables of a shard without their meaning: keys and values as bytes, for copies of the shard on other nodes.
 *
 * A copy follows the shard's log: it applies write sets and keeps its mark, the place in the log up to which it has applied, in the same
 * transaction. So a copy is always a beginning of the log, whatever ends its process when. It is lent its tables by
 * `lmdb.ts`, which alone imports lmdb. Who reads the log, and when: `../cluster/shard-host.ts`.
 */

import type { CommitResult } from './inbox-store.ts';
import { Tail } from './tail.ts';
import { applyWrites, WriteSet, type WriteTarget } from './write-set.ts';

/**
 * The tables of a shard in the order of their numbers in a write set. Append only: numbers stand in logs, which nodes of two
 * releases read during a rolling upgrade.
 */
export const TABLE_NAMES = [
  'inbox',
  'fresh',
  'acknowledged',
  'conversation',
  'account',
  'phone',
  'device',
  'prekey',
  'kem',
  'seen',
  'privacy',
  'meta',
  'group',
  'body',
  'guard',
  'relation',
  'request',
  'report',
  'push',
  'outbox',
] as const;

/** The number of a table. @throws {TypeError} a table that is not in `TABLE_NAMES`: it would be missing from every copy. */
export function tableNumber(name: string): number {
  const number = (TABLE_NAMES as readonly string[]).indexOf(name);
  if (number < 0) throw new TypeError(`table "${name}" expected one of TABLE_NAMES, which copies of a shard know`);
  return number;
}

const META = tableNumber('meta');
/** Records of `meta` that are of one copy and go to no other. */
const MARK_KEY: Buffer = Buffer.from('log-mark');
const LOCAL_KEYS: readonly Buffer[] = [MARK_KEY, Buffer.from('start')];

/** How far a copy has applied its shard's log. */
export interface LogMark {
  /** Epoch of the last record. */
  readonly epoch: number;
  /** Sequence number of the last record in its stream; 0 before the first. */
  readonly sequence: number;
}

/** Where a page of a copy begins: after this key of this table. */
export interface PageCursor {
  readonly table: number;
  readonly key: Buffer;
}

/** A part of a shard's content as a write set. */
export interface Page {
  readonly writes: Buffer;
  /** Where the next page begins; missing at the end. */
  readonly next: PageCursor | undefined;
}

/** The part of an lmdb database that is used here. */
export interface RawTable {
  get(key: Buffer): Buffer | undefined;
  getRange(range: {
    readonly start?: Buffer;
    readonly snapshot: false;
  }): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  clearAsync(): Promise<unknown>;
}

/** Writes of the one who owns the tables. */
export interface RawWriter<Table extends RawTable> {
  put(table: Table, key: Buffer, value: Buffer): void;
  remove(table: Table, key: Buffer): void;
  /** Commits what `write` does to the tables, in one transaction. */
  commit(write: () => void): Promise<CommitResult>;
  /** Whether little of the disk is free; one system call. */
  isShort(): boolean;
}

export class RawTables<Table extends RawTable = RawTable> {
  readonly #tables: readonly Table[];
  readonly #writer: RawWriter<Table>;
  readonly #target: WriteTarget;
  /** What the log of the shard does not have yet: of this disk alone. */
  readonly tail: Tail<Table>;

  /** @param tables - By number. @param tail - The table of the tail, which has no number: no copy has it. */
  constructor(tables: readonly Table[], writer: RawWriter<Table>, tail: Table) {
    this.#tables = tables;
    this.#writer = writer;
    this.#target = {
      put: (table, key, value) => writer.put(this.#table(table), key, value),
      remove: (table, key) => writer.remove(this.#table(table), key),
    };
    this.tail = new Tail(tail, writer, this.#target, (mark) => this.#putMark(mark));
  }

  /** Whether so little of the disk is free that what can wait should. One system call. */
  get isShort(): boolean {
    return this.#writer.isShort();
  }

  #putMark(mark: LogMark): void {
    this.#target.put(META, MARK_KEY, encodeMark(mark));
  }

  #table(number: number): Table {
    const table = this.#tables[number];
    if (table === undefined) throw new RangeError(`table ${number} is not known here: a newer release wrote the log`);
    return table;
  }

  /** How far this copy is; `undefined` where nothing was copied, or not all of it. */
  mark(): LogMark | undefined {
    const value = this.#tables[META]!.get(MARK_KEY);
    return value === undefined ? undefined : { epoch: value.readUInt32BE(0), sequence: value.readUIntBE(4, 6) };
  }

  /**
   * Applies write sets and sets the mark, in one transaction; resolves when it is flushed, or to `full` if nothing was written.
   *
   * @param writes - Must not change until then.
   * @param mark - Missing while a copy is not complete.
   */
  apply(writes: readonly Buffer[], mark: LogMark | undefined): Promise<CommitResult> {
    return this.#writer.commit(() => {
      for (const each of writes) applyWrites(each, this.#target);
      if (mark !== undefined) this.#putMark(mark);
    });
  }

  /**
   * What stands after `cursor`, until `bytesMax` is reached; at least one record if there is one. Pages are read at different
   * times, so together they are no state that ever was; followed by the log from a place that is no later than the first page they are.
   */
  page(cursor: PageCursor | undefined, bytesMax: number): Page {
    const writes = new WriteSet();
    let start = cursor === undefined ? undefined : Buffer.concat([cursor.key, Buffer.of(0)]);
    for (let table = cursor?.table ?? 0; table < this.#tables.length; table++) {
      for (const { key, value } of this.#tables[table]!.getRange(rangeFrom(start))) {
        if (table === META && LOCAL_KEYS.some((local) => local.equals(key))) continue;
        writes.put(table, key, value);
        if (writes.length >= bytesMax) return { writes: writes.bytes(), next: { table, key: Buffer.from(key) } };
      }
      start = undefined;
    }
    return { writes: writes.bytes(), next: undefined };
  }

  /** Removes everything, the mark first: what is half removed is no copy. */
  async clear(): Promise<void> {
    await this.#writer.commit(() => this.#target.remove(META, MARK_KEY));
    await this.tail.clear();
    for (const table of this.#tables) await table.clearAsync();
  }
}

function rangeFrom(start: Buffer | undefined): { readonly start?: Buffer; readonly snapshot: false } {
  return start === undefined ? { snapshot: false } : { start, snapshot: false };
}

function encodeMark({ epoch, sequence }: LogMark): Buffer {
  const value = Buffer.allocUnsafe(10);
  value.writeUInt32BE(epoch, 0);
  value.writeUIntBE(sequence, 4, 6);
  return value;
}
