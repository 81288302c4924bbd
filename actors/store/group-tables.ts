/**
 * Groups in the LMDB environment of a shard: two databases of it, written within the shard's commits.
 *
 * It is lent its tables and the two ways to write by `lmdb.ts`, which alone imports lmdb.
 */

import { LIMITS as WIRE_LIMITS } from '../../protocol/wire/index.ts';
import { LIMITS } from '../limits.ts';
import { beyondAll, placesOfUnknown } from './doubt.ts';
import * as layout from './group-layout.ts';
import { BODY, OWNER } from './group-layout.ts';
import type { GroupBatch, GroupBody, GroupRecord, GroupSenderRecord, GroupStore, KeptChange } from './group-store.ts';
import type { SenderAddress } from './inbox-store.ts';
import { decodeUint48, encodeUint48 } from './layout.ts';

interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly limit?: number;
  readonly snapshot: false;
}

/** The part of an lmdb database that is used here. */
export interface GroupTable {
  get(key: Buffer): Buffer | undefined;
  getRange(range: Range): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  getKeys(range: Range): Iterable<Buffer>;
}

/** Writes into the batch that is open. */
export interface GroupWriter<Table extends GroupTable> {
  put(table: Table, key: Buffer, value: Buffer): void;
  remove(table: Table, key: Buffer): void;
}

export class GroupTables<Table extends GroupTable> implements GroupStore {
  readonly #groups: Table;
  readonly #bodies: Table;
  readonly #writer: GroupWriter<Table>;
  readonly #doubtedMs: () => number;
  /** The part of a `StoreBatch` that concerns groups. */
  readonly batch: GroupBatch;

  /** @param doubtedMs - Reads when the store was put in doubt, which stands in another table. */
  constructor(groups: Table, bodies: Table, writer: GroupWriter<Table>, doubtedMs: () => number) {
    this.#groups = groups;
    this.#bodies = bodies;
    this.#writer = writer;
    this.#doubtedMs = doubtedMs;
    this.batch = this.#makeBatch(writer);
  }

  #makeBatch({ put, remove }: GroupWriter<Table>): GroupBatch {
    const groups = this.#groups;
    const bodies = this.#bodies;
    return {
      putGroup: (record) => put(groups, layout.groupKey(OWNER.record, record.group), layout.encodeRecord(record)),
      putOrder: (group, order) => put(groups, layout.groupKey(OWNER.order, group), encodeUint48(order)),
      putSender: (group, sender, record) => {
        put(groups, layout.senderKey(group, sender), layout.encodeSender(record));
      },
      removeSenders: (group, user) => {
        const start = layout.senderKey(group, { user, device: 0, creation: 0 });
        const end = layout.senderKey(group, { user, device: 0xff, creation: 0xffff_ffff });
        for (const key of keysIn(groups, start, end)) remove(groups, key);
      },
      putChange: (group, { epoch, bytes }) => put(groups, layout.changeKey(group, epoch), Buffer.from(bytes)),
      removeChange: (group, epoch) => remove(groups, layout.changeKey(group, epoch)),
      putOutgoing: (body) => {
        put(groups, layout.placeKey(OWNER.outgoing, body.group, body.order), layout.encodeBody(body));
      },
      removeOutgoing: (group, order) => remove(groups, layout.placeKey(OWNER.outgoing, group, order)),
      putBody: (body, count) => {
        put(bodies, layout.placeKey(BODY.body, body.group, body.order), layout.encodeBody(body));
        put(bodies, layout.placeKey(BODY.count, body.group, body.order), layout.encodeCount(count));
      },
      putBodyCount: (group, order, count) => {
        put(bodies, layout.placeKey(BODY.count, group, order), layout.encodeCount(count));
      },
      removeBody: (group, order) => {
        remove(bodies, layout.placeKey(BODY.body, group, order));
        remove(bodies, layout.placeKey(BODY.count, group, order));
      },
    };
  }

  /**
   * Makes the groups those of a store whose newest messages may be missing: places go on beyond all that were given out, and senders at any id.
   * Into the batch that is open.
   *
   * @param nowMs - Wall time.
   * @returns How many groups there are.
   */
  renew(nowMs: number): number {
    const groups = this.#groups;
    const { put } = this.#writer;
    const orders = entriesIn(groups, OWNER.order);
    for (const { key, value } of orders) put(groups, key, encodeUint48(beyondAll(decodeUint48(value), nowMs)));
    for (const { key, value } of entriesIn(groups, OWNER.sender)) {
      put(groups, key, layout.encodeSender({ ...layout.decodeSender(value), isDoubted: true }));
    }
    return orders.length;
  }

  group(group: string): GroupRecord | undefined {
    const value = this.#groups.get(layout.groupKey(OWNER.record, group));
    return value === undefined ? undefined : layout.decodeRecord(group, value);
  }

  order(group: string): number {
    const value = this.#groups.get(layout.groupKey(OWNER.order, group));
    return value === undefined ? placesOfUnknown(this.#doubtedMs()) : decodeUint48(value);
  }

  sender(group: string, sender: SenderAddress): GroupSenderRecord | undefined {
    const value = this.#groups.get(layout.senderKey(group, sender));
    return value === undefined ? undefined : layout.decodeSender(value);
  }

  changes(group: string, after: number, bytesMax: number): KeptChange[] {
    const changes: KeptChange[] = [];
    // A client says the number: behind the last epoch that there can be, there is no key.
    if (after >= WIRE_LIMITS.groupEpochMax) return changes;
    const range = { start: layout.changeKey(group, after + 1), end: layout.rangeOfGroup(OWNER.change, group).end };
    let total = 0;
    for (const { key, value } of this.#groups.getRange({ ...range, limit: LIMITS.groupChangesKept, snapshot: false })) {
      total += value.length;
      if (total > bytesMax && changes.length > 0) break;
      changes.push({ epoch: layout.epochOfKey(key), bytes: new Uint8Array(value) });
    }
    return changes;
  }

  outgoing(): GroupBody[] {
    const bodies: GroupBody[] = [];
    const range = { start: Buffer.of(OWNER.outgoing), end: Buffer.of(OWNER.outgoing + 1), snapshot: false } as const;
    for (const { key, value } of this.#groups.getRange(range)) {
      bodies.push(layout.decodeBody(layout.groupOfKey(key), layout.orderOfKey(key), value));
    }
    return bodies;
  }

  body(group: string, order: number): GroupBody | undefined {
    const value = this.#bodies.get(layout.placeKey(BODY.body, group, order));
    return value === undefined ? undefined : layout.decodeBody(group, order, value);
  }

  bodyCount(group: string, order: number): number {
    return this.#bodies.get(layout.placeKey(BODY.count, group, order))?.readUInt32BE(0) ?? 0;
  }

  countBodies(group: string, countMax: number): number {
    let count = 0;
    const range = { ...layout.rangeOfGroup(BODY.body, group), limit: countMax, snapshot: false } as const;
    for (const _key of this.#bodies.getKeys(range)) count++;
    return count;
  }

  bodyHeads(after: string | undefined, countMax: number): GroupBody[] {
    const heads: GroupBody[] = [];
    const end = Buffer.of(BODY.body + 1);
    let start = after === undefined ? Buffer.of(BODY.body) : layout.rangeOfGroup(BODY.body, after).end;
    while (heads.length < countMax) {
      const [first] = this.#bodies.getRange({ start, end, limit: 1, snapshot: false });
      if (first === undefined) break;
      const group = layout.groupOfKey(first.key);
      heads.push(layout.decodeBody(group, layout.orderOfKey(first.key), first.value));
      start = layout.rangeOfGroup(BODY.body, group).end;
    }
    return heads;
  }
}

/** Everything of one kind, copied: what follows changes the table. */
function entriesIn(table: GroupTable, kind: number): { readonly key: Buffer; readonly value: Buffer }[] {
  const range = { start: Buffer.of(kind), end: Buffer.of(kind + 1), snapshot: false } as const;
  return Array.from(table.getRange(range), ({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }));
}

/** Keys from `start` to `end`, copied: they are lent until the next look. */
function keysIn(table: GroupTable, start: Buffer, end: Buffer): Buffer[] {
  return Array.from(table.getKeys({ start, end, snapshot: false }), (key) => Buffer.from(key));
}
