/** Groups in memory, for unit tests and simulation: the part of `memory.ts` that `group-store.ts` lays down. */

import { placesOfUnknown } from './doubt.ts';
import type { GroupBatch, GroupBody, GroupRecord, GroupSenderRecord, GroupStore, KeptChange } from './group-store.ts';
import type { SenderAddress } from './inbox-store.ts';

export class MemoryGroups implements GroupStore {
  readonly #records = new Map<string, GroupRecord>();
  readonly #orders = new Map<string, number>();
  readonly #senders = new Map<string, GroupSenderRecord>();
  readonly #changes = new Map<string, Map<number, KeptChange>>();
  readonly #outgoing = new Map<string, GroupBody>();
  readonly #bodies = new Map<string, { readonly body: GroupBody; count: number }>();
  #doubtedMs = 0;

  /** Collects the writes of one commit into `writes`, which run when it takes effect. */
  collect(writes: (() => void)[]): GroupBatch {
    const then = (write: () => void): void => void writes.push(write);
    return {
      putGroup: (record) => then(() => this.#records.set(record.group, record)),
      putOrder: (group, order) => then(() => this.#orders.set(group, order)),
      putSender: (group, sender, record) => then(() => this.#senders.set(senderName(group, sender), record)),
      removeSenders: (group, user) => {
        const prefix = `${group}<${user}.`;
        then(() => {
          for (const name of this.#senders.keys()) if (name.startsWith(prefix)) this.#senders.delete(name);
        });
      },
      putChange: (group, change) => {
        const copy = { ...change, bytes: change.bytes.slice() };
        then(() => this.#changesOf(group).set(change.epoch, copy));
      },
      removeChange: (group, epoch) => then(() => this.#changesOf(group).delete(epoch)),
      putOutgoing: (body) => {
        const copy = copyOf(body);
        then(() => this.#outgoing.set(placeName(body.group, body.order), copy));
      },
      removeOutgoing: (group, order) => then(() => this.#outgoing.delete(placeName(group, order))),
      putBody: (body, count) => {
        const copy = copyOf(body);
        then(() => this.#bodies.set(placeName(body.group, body.order), { body: copy, count }));
      },
      putBodyCount: (group, order, count) => {
        then(() => {
          const stored = this.#bodies.get(placeName(group, order));
          if (stored !== undefined) stored.count = count;
        });
      },
      removeBody: (group, order) => then(() => this.#bodies.delete(placeName(group, order))),
    };
  }

  /** As a store is that came back without this group. */
  lose(group: string, nowMs: number): void {
    for (const table of [this.#records, this.#orders, this.#changes]) table.delete(group);
    for (const name of this.#senders.keys()) if (name.startsWith(`${group}<`)) this.#senders.delete(name);
    this.#doubtedMs = nowMs;
  }

  #changesOf(group: string): Map<number, KeptChange> {
    let changes = this.#changes.get(group);
    if (changes === undefined) this.#changes.set(group, (changes = new Map()));
    return changes;
  }

  group(group: string): GroupRecord | undefined {
    return this.#records.get(group);
  }

  order(group: string): number {
    return this.#orders.get(group) ?? placesOfUnknown(this.#doubtedMs);
  }

  sender(group: string, sender: SenderAddress): GroupSenderRecord | undefined {
    return this.#senders.get(senderName(group, sender));
  }

  changes(group: string, after: number, bytesMax: number): KeptChange[] {
    const changes: KeptChange[] = [];
    let total = 0;
    for (const change of [...this.#changesOf(group).values()].sort((a, b) => a.epoch - b.epoch)) {
      if (change.epoch <= after) continue;
      total += change.bytes.length;
      if (total > bytesMax && changes.length > 0) break;
      changes.push(change);
    }
    return changes;
  }

  outgoing(): GroupBody[] {
    return [...this.#outgoing.values()].sort(byPlace);
  }

  body(group: string, order: number): GroupBody | undefined {
    return this.#bodies.get(placeName(group, order))?.body;
  }

  bodyCount(group: string, order: number): number {
    return this.#bodies.get(placeName(group, order))?.count ?? 0;
  }

  countBodies(group: string, countMax: number): number {
    let count = 0;
    for (const { body } of this.#bodies.values()) if (body.group === group) count++;
    return Math.min(count, countMax);
  }

  bodyHeads(after: string | undefined, countMax: number): GroupBody[] {
    const heads = new Map<string, GroupBody>();
    for (const { body } of [...this.#bodies.values()].sort((a, b) => byPlace(a.body, b.body))) {
      if (body.group > (after ?? '') && !heads.has(body.group)) heads.set(body.group, body);
    }
    return [...heads.values()].slice(0, countMax);
  }
}

function copyOf(body: GroupBody): GroupBody {
  return { ...body, bytes: body.bytes.slice() };
}

function byPlace(a: GroupBody, b: GroupBody): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  return a.order - b.order;
}

function senderName(group: string, { user, device, creation }: SenderAddress): string {
  return `${group}<${user}.${device}.${creation}`;
}

function placeName(group: string, order: number): string {
  return `${group}#${order}`;
}
