/**
 * The outbox in the LMDB environment of a shard: one database of it, written within the shard's commits.
 *
 * It is lent its table and the two ways to write by `lmdb.ts`, which alone imports lmdb.
 */

import type { SenderAddress } from './inbox-store.ts';
import { decodeOutboxEntry, decodeOutboxHead, encodeOutboxEntry, outboxKey } from './outbox-layout.ts';
import { outboxBytes } from './outbox-store.ts';
import type { OutboxBatch, OutboxEntry, OutboxHead, OutboxPlace, OutboxStore } from './outbox-store.ts';

/** The part of an lmdb database that is used here. */
export interface OutboxTable {
  getRange(range: {
    readonly start?: Buffer | undefined;
    readonly end?: Buffer;
    readonly limit?: number;
    readonly snapshot: false;
  }): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
}

/** Writes into the batch that is open. */
export interface OutboxWriter<Table extends OutboxTable> {
  put(table: Table, key: Buffer, value: Buffer): void;
  remove(table: Table, key: Buffer): void;
}

export class OutboxTables<Table extends OutboxTable> implements OutboxStore {
  readonly #table: Table;
  readonly doubtedMs: () => number;
  /** The part of a `StoreBatch` that concerns the outbox. */
  readonly batch: OutboxBatch;

  /** @param doubtedMs - Reads when the store was put in doubt, which stands in another table. */
  constructor(table: Table, { put, remove }: OutboxWriter<Table>, doubtedMs: () => number) {
    this.#table = table;
    this.doubtedMs = doubtedMs;
    this.batch = {
      put: (entry) => put(table, outboxKey(entry.sender, entry.to, entry.id), encodeOutboxEntry(entry)),
      remove: (sender, to, id) => remove(table, outboxKey(sender, to, id)),
    };
  }

  heads(after: OutboxPlace | undefined, countMax: number): OutboxHead[] {
    const range = { start: after && placeBehind(after), limit: countMax, snapshot: false } as const;
    return Array.from(this.#table.getRange(range), ({ key, value }) => decodeOutboxHead(key, value));
  }

  entries(
    sender: SenderAddress,
    to: string,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): OutboxEntry[] {
    const entries: OutboxEntry[] = [];
    const start = outboxKey(sender, to, after + 1);
    const end = placeBehind({ sender, to, id: through });
    let bytes = 0;
    for (const { key, value } of this.#table.getRange({ start, end, limit: countMax, snapshot: false })) {
      const entry = decodeOutboxEntry(key, value);
      bytes += outboxBytes(entry.envelopes);
      if (bytes > bytesMax && entries.length > 0) break;
      entries.push(entry);
    }
    return entries;
  }
}

/** Just behind an entry, whose id may be the largest that a key holds. */
function placeBehind({ sender, to, id }: OutboxPlace): Buffer {
  return Buffer.concat([outboxKey(sender, to, id), Buffer.of(0)]);
}
