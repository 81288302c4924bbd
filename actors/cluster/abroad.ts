/**
 * What nodes of other data centres say of their shards, and what of it is believed. Pure: time comes in as monotonic milliseconds.
 *
 * Believed is a node that was let in and is of the centre as which it speaks, of a shard of that centre; NATS lets nobody speak as another centre
 * (deploy/nats/centre-accounts.conf). Of two that claim a shard the one with the higher epoch has it, as long as it goes on saying so: a centre that lost everything and
 * was founded anew begins with low epochs, and must be believed in the end.
 */

import type { MemberEvent } from '../../runtime/cluster/index.ts';
import { shardsOfCentre, type Centre } from './centres.ts';
import { LIMITS } from './limits.ts';
import { parseAnnouncement, type Announcement } from './shard-record.ts';

interface Claim {
  readonly epoch: number;
  readonly atMs: number;
}

export class Abroad {
  readonly #centres: readonly Centre[];
  readonly #shardCount: number;
  /** The centre of each node that was let in. */
  readonly #centreOf = new Map<string, string>();
  readonly #claims = new Map<number, Claim>();

  constructor(centres: readonly Centre[], shardCount: number) {
    this.#centres = centres;
    this.#shardCount = shardCount;
  }

  /** A node came, changed or is gone, as the main thread has heard. */
  noteMember(event: MemberEvent): void {
    if (event.type === 'down') return void this.#centreOf.delete(event.node);
    const { node, info } = event.member;
    const { centre } = info;
    if (typeof centre === 'string') this.#centreOf.set(node, centre);
    else this.#centreOf.delete(node);
  }

  /** @returns What is believed of an announcement that was made as one of `centre`. */
  note(text: string, centre: string, nowMs: number): Announcement {
    return (parseAnnouncement(text) ?? []).filter(([shard, { epoch, owner }]) => {
      if (this.#centreOf.get(owner.node) !== centre || !this.#isOf(shard, centre)) return false;
      const claim = this.#claims.get(shard);
      if (claim !== undefined && claim.epoch > epoch && nowMs - claim.atMs < LIMITS.claimMs) return false;
      this.#claims.set(shard, { epoch, atMs: nowMs });
      return true;
    });
  }

  #isOf(shard: number, centre: string): boolean {
    const index = this.#centres.findIndex(({ name }) => name === centre);
    const { first, count } = shardsOfCentre(index, this.#centres.length, this.#shardCount);
    return index >= 0 && shard >= first && shard < first + count;
  }
}
