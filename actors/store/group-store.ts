/**
 * What a shard keeps of groups, as a contract: part of `inbox-store.ts`, with the same promises.
 *
 * Two sides that may stand on different shards. The *owner*, the shard of the group's id: the group itself, its last changes, how
 * far each sender's device has come, and what was accepted and is not yet in the inboxes of every shard (*outgoing*). And
 * each *member's shard*: one body for each message or change, however many inboxes of the shard refer to it, and the count
 * of those that still do. An inbox entry of a group names its body by group and place, and holds nothing else.
 *
 * Bytes on disk: `group-layout.ts`. Implementations: `group-tables.ts` for lmdb, `memory-groups.ts`.
 */

import type { SenderAddress } from './inbox-store.ts';

/** A group as its owner keeps it. */
export interface GroupRecord {
  readonly group: string;
  /** 32 bytes: names the newest change. */
  readonly head: Uint8Array;
  /** As `encodeRoster` of protocol/wire writes it. */
  readonly roster: Uint8Array;
}

/** One message or change of a group: what all its members get. */
export interface GroupBody {
  readonly kind: 'message' | 'change';
  readonly group: string;
  /** Place in the group: 1, 2, 3 … over messages and changes. */
  readonly order: number;
  /** Whose device sent it. */
  readonly sender: string;
  readonly senderDevice: number;
  readonly senderCreation: number;
  /** Among the messages of that device to the group; 0 for a change. */
  readonly id: number;
  /** Server time of acceptance, milliseconds. */
  readonly ts: number;
  /** Ciphertext, or the signed change. */
  readonly bytes: Uint8Array;
}

/** How far the messages of one device to one group have come. */
export interface GroupSenderRecord {
  /** Highest accepted message id. */
  readonly accepted: number;
  /** Its place in the group. */
  readonly order: number;
  /** Whether the store came back without what was accepted last: then the device goes on at any id. See `doubt.ts`. Missing where it did not. */
  readonly isDoubted?: boolean;
}

/** A change that is kept for members who missed it. */
export interface KeptChange {
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

/** Writes of one commit. Bytes must not change until it has resolved. */
export interface GroupBatch {
  putGroup(record: GroupRecord): void;
  /** Place of the last message or change. */
  putOrder(group: string, order: number): void;
  putSender(group: string, sender: SenderAddress, record: GroupSenderRecord): void;
  /** Forgets how far the devices of `user` had come. */
  removeSenders(group: string, user: string): void;
  putChange(group: string, change: KeptChange): void;
  removeChange(group: string, epoch: number): void;
  putOutgoing(body: GroupBody): void;
  removeOutgoing(group: string, order: number): void;
  /** Stores a body that `count` inbox entries of this shard refer to. */
  putBody(body: GroupBody, count: number): void;
  /** Replaces the count of a body. */
  putBodyCount(group: string, order: number, count: number): void;
  /** Removes a body with its count. */
  removeBody(group: string, order: number): void;
}

/** Reads. What they return is owned by the caller. */
export interface GroupStore {
  group(group: string): GroupRecord | undefined;
  /** Last place given out. Where nothing was accepted: 0, or, in a store that came back from a loss, a place beyond those that were given out before it. */
  order(group: string): number;
  sender(group: string, sender: SenderAddress): GroupSenderRecord | undefined;
  /** Kept changes with a greater epoch, ascending, until `bytesMax` is reached; at least one if there is one. */
  changes(group: string, after: number, bytesMax: number): KeptChange[];
  /** Everything outgoing, by group and place. */
  outgoing(): GroupBody[];
  body(group: string, order: number): GroupBody | undefined;
  /** Inbox entries of this shard that refer to a body; 0 where there is none. */
  bodyCount(group: string, order: number): number;
  /** Bodies of a group on this shard, counted up to `countMax`. */
  countBodies(group: string, countMax: number): number;
  /** The oldest body of each of the groups after the one given, by group; each costs one look. */
  bodyHeads(after: string | undefined, countMax: number): GroupBody[];
}

/** What a body takes on the disk beside its bytes. Used for the store's bound. */
export const BODY_OVERHEAD_BYTES = 96;
