/**
 * What the owner of groups is made of, as types: what it is given, what one commit changes, and its state.
 *
 * Plain data. Read next: `../groups.ts`, the actor; `plan.ts`, from queue to commit. What is kept of each group: `roll.ts`.
 */

import type { GroupMark, GroupState, SignedGroupChange } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { Committer } from '../committer.ts';
import type { GroupChangeSubmit, GroupMarksQuery, GroupSubmit } from './messages.ts';
import type { Now, Told } from '../inbox/state.ts';
import type { Group, GroupRoll, GroupSender } from './roll.ts';
import type { TokenBucket } from '../rate-limit.ts';
import type { RemoteName } from '../routes.ts';
import type { GroupBody } from '../store/group-store.ts';
import type { InboxStore } from '../store/inbox-store.ts';

/** What the shell gives the groups of a shard. */
export interface GroupsArgs {
  readonly store: InboxStore;
  /** Bytes of undelivered messages that this shard may hold. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** The presence actor of the group's shard: it tells members who types. */
  readonly presenceOf: (group: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

/** A message that the commit under way accepts. */
interface AcceptedMessage {
  readonly kind: 'message';
  readonly group: Group;
  readonly item: GroupSubmit;
  readonly body: GroupBody;
  readonly sender: GroupSender;
  /** What the sender had before, for taking it back. */
  readonly before: Pick<GroupSender, 'accepted' | 'order' | 'known' | 'isDoubted'>;
}

/** A change that the commit under way accepts. */
export interface AcceptedChange {
  readonly kind: 'change';
  readonly group: Group;
  readonly item: GroupChangeSubmit;
  readonly body: GroupBody;
  readonly change: SignedGroupChange;
  readonly state: GroupState;
  readonly before: GroupState | undefined;
}

export type Accepted = AcceptedMessage | AcceptedChange;

export interface GroupsCommit {
  readonly now: Now;
  /** The owner itself, for connections that are new here. */
  readonly self: Pid;
  /** Server time of what it accepts. */
  readonly ts: number;
  /** Whom to tell what whatever becomes of the commit: refusals, and answers to what was accepted before. */
  readonly told: Told[];
  /** Bytes that the shard may still take. */
  room: number;
  /** Of what it accepts. */
  bytes: number;
  readonly accepted: Accepted[];
  /** What every shard has confirmed: it is outgoing no more. */
  readonly finished: readonly GroupBody[];
}

/** A request for marks that waits for the shards of the members. */
export interface MarksRequest {
  readonly query: GroupMarksQuery;
  readonly more: boolean;
  readonly marks: GroupMark[];
  waitingFor: number;
}

/** Who has left a group. */
export interface Leavers {
  readonly group: string;
  readonly users: readonly string[];
}

export interface GroupsState {
  readonly args: GroupsArgs;
  readonly roll: GroupRoll;
  queue: (GroupSubmit | GroupChangeSubmit)[];
  commit: GroupsCommit | undefined;
  finished: GroupBody[];
  /** Groups with something outgoing. */
  readonly busy: Set<Group>;
  /** What that takes in memory. A state from an earlier version has none. */
  outgoingBytes: number | undefined;
  /** Groups whose watchers are due. */
  readonly marked: Set<Group>;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  readonly requests: Map<number, MarksRequest>;
  /** Whom presence has not been told of yet, the oldest first. A state from an earlier version has none. */
  untold: Leavers[] | undefined;
  nextTicket: number;
  readonly creators: Map<string, TokenBucket>;
  lastTs: number;
  isRetryArmed: boolean;
  isReceiptArmed: boolean;
}
