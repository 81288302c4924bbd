/**
 * What the outbox of a shard is made of, as types: what it is given, what it keeps of each detour, what one commit changes, and its state.
 *
 * Plain data, which outlives a reload of the code. Read next: `../outbox.ts`, the actor; `plan.ts`, from queue to commit.
 */

import type { Pid } from '../../runtime/index.ts';
import type { Committer } from '../committer.ts';
import type { Refusal } from '../errors.ts';
import type { RemoteName } from '../routes.ts';
import type { InboxStore, SenderAddress } from '../store/inbox-store.ts';
import type { OutboxHead } from '../store/outbox-store.ts';
import type { OutboxLoad } from './load.ts';
import type { Detour } from './messages.ts';

/** What the shell gives the outbox of a shard. */
export interface OutboxArgs {
  readonly store: InboxStore;
  /** What the inbox of the shard knows of it. */
  readonly load: OutboxLoad;
  /** Bytes of undelivered messages that this shard may hold, those of its inboxes included. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

/** What is under way to the recipient's shard. */
export interface Flight {
  /** Its last id. */
  readonly through: number;
  readonly beganMs: number;
}

/** What waits of one device for one recipient, in the order of ids. */
export interface Row {
  readonly sender: SenderAddress;
  readonly senderKey: string;
  readonly to: string;
  /** Where it goes; follows its shard. */
  readonly inbox: RemoteName;
  /** Stored, or about to be with the commit under way. */
  readonly heads: OutboxHead[];
  /** Of all of them. */
  bytes: number;
  /** The last id that was taken, with the commit under way. */
  taken: number;
  /** The last id that is flushed: nothing above it leaves. */
  flushed: number;
  /** The recipient's shard has everything up to here. */
  arrived: number;
  flight: Flight | undefined;
  /** The recipient's shard has answered the last flight well: the next one may be more than one message. */
  isOpen: boolean;
  /** Nothing is sent before this time, monotonic. */
  pausedUntilMs: number;
  /** The recipient's shard is in reach and does not take this one for now: what comes meanwhile is refused with the same words. */
  refusal: { readonly id: number; readonly refusal: Refusal } | undefined;
  /** This one is refused for good: it goes once more, as given up. 0 for none. */
  refusedId: number;
  /** The connection that wrote last, which is told when nothing waits any more. */
  connection: Pid | undefined;
}

/** Everything that one commit changes. */
export interface OutboxCommit {
  readonly ts: number;
  /** Messages that it takes. */
  readonly taken: Detour[];
  /** Messages that were taken before and are answered with it. */
  readonly known: Detour[];
  /** By row, what was the last one taken before. */
  readonly before: Map<Row, number>;
  /** By row, how many entries at its front have arrived. */
  readonly arrived: Map<Row, number>;
  /** By row, its first entry, which is too old. */
  readonly expired: Map<Row, OutboxHead>;
  bytes: number;
}

export interface OutboxState {
  readonly args: OutboxArgs;
  /** By sender and recipient; see `rowKey`. */
  readonly rows: Map<string, Row>;
  queue: Detour[];
  /** Rows of which something has arrived that is still stored. */
  readonly done: Set<Row>;
  /** Rows whose first entry is too old. */
  readonly old: Set<Row>;
  commit: OutboxCommit | undefined;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  /** Bytes that wait for each shard, by the name of its inbox. */
  readonly bytesFor: Map<string, number>;
  /** A look at all rows is due, or under way. */
  isLookArmed: boolean;
  /** The one that is under way. A state from before a reload of the code may lack it. */
  look?: Look | undefined;
}

/** A round over all rows. */
export interface Look {
  /** Of the rows that there were when it began. */
  readonly keys: readonly string[];
  next: number;
  /** Of those that were looked at, when the oldest message was taken; 0 for none. */
  oldestMs: number;
  /** Shards that took nothing in this round, by the names of their inboxes. */
  readonly away: Set<string>;
}

/** An entry joins a row (1) or leaves it (-1): what is counted follows. */
export function count(head: OutboxHead, sign: 1 | -1, row: Row, { args: { load }, bytesFor }: OutboxState): void {
  const bytes = sign * head.bytes;
  row.bytes += bytes;
  load.count += sign;
  load.bytes += bytes;
  bytesFor.set(row.inbox.name, (bytesFor.get(row.inbox.name) ?? 0) + bytes);
}

export function rowKey(senderKey: string, to: string): string {
  return `${senderKey}>${to}`;
}

/** A row of which nothing was taken yet. */
export function newRow(sender: SenderAddress, senderKey: string, to: string, inbox: RemoteName): Row {
  return {
    sender,
    senderKey,
    to,
    inbox,
    heads: [],
    bytes: 0,
    taken: 0,
    flushed: 0,
    arrived: 0,
    flight: undefined,
    isOpen: false,
    pausedUntilMs: 0,
    refusal: undefined,
    refusedId: 0,
    connection: undefined,
  };
}
