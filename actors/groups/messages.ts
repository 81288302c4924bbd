/**
 * What is said about groups between the server's actors. Plain data, as all of `../messages.ts`.
 *
 *   connection ──GroupsMessage──▶ groups (owner of the group) ──FanOut──▶ inbox of each member's shard ──deliver──▶ connection
 *   connection ◀─────group-sent── groups                      ◀─fanned-out, marks── inbox
 */

import type { GroupMark } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { Committed } from '../committer.ts';
import type { Refusal } from '../errors.ts';
import type { GroupBody } from '../store/group-store.ts';
import type { SenderAddress } from '../store/inbox-store.ts';

/** A message to a group. `connection` is told the outcome. */
export interface GroupSubmit {
  readonly kind: 'group-submit';
  readonly connection: Pid;
  readonly sender: SenderAddress;
  /** `user.device.creation` of the sender. */
  readonly senderKey: string;
  readonly group: string;
  readonly id: number;
  /** As in `Submit`. */
  readonly after?: number;
  readonly epoch: number;
  readonly ciphertext: Uint8Array;
}

interface GroupRequest {
  readonly connection: Pid;
  readonly iq: number;
  /** Who asks. */
  readonly self: SenderAddress;
  readonly group: string;
}

export interface GroupChangeSubmit extends GroupRequest {
  readonly kind: 'group-change';
  readonly change: Uint8Array;
}

/** Its roster, or its changes after an epoch. */
export interface GroupQuery extends GroupRequest {
  readonly kind: 'group-query';
  readonly after: number | undefined;
  /** What lets somebody look who is no member yet. */
  readonly gate: Uint8Array | undefined;
}

/** How far have its members received it? */
export interface GroupMarksQuery extends GroupRequest {
  readonly kind: 'group-marks-query';
  readonly after: string | undefined;
}

/** An inbox has a message or change on disk for all members of its shard. */
export interface FannedOut {
  readonly kind: 'fanned-out';
  readonly group: string;
  readonly order: number;
  /** Name of the inbox. */
  readonly inbox: string;
}

/** Members have received or read a group up to some place. */
export interface MarksReached {
  readonly kind: 'marks-reached';
  readonly type: 'delivered' | 'read';
  readonly group: string;
  readonly marks: readonly GroupMark[];
}

/** The answer of an inbox to `FindMarks`. */
export interface MarksFound {
  readonly kind: 'marks-found';
  readonly ticket: number;
  readonly marks: readonly GroupMark[];
}

export type GroupsMessage =
  GroupSubmit | GroupChangeSubmit | GroupQuery | GroupMarksQuery | FannedOut | MarksReached | MarksFound | Committed;

/** A message or change for all members of a shard: one message between actors, one stored body, however many they are. */
export interface FanOut {
  readonly kind: 'fan-out';
  readonly body: GroupBody;
  /** User ids. */
  readonly recipients: readonly string[];
  /**
   * The place before it that this shard is to have and has not confirmed; 0 where it has confirmed all. A shard that lost that one
   * must not take this one: what it takes later under a smaller place, it would hold for a repetition.
   */
  readonly after: number;
  /** Name of the inbox that it is for, told again in the confirmation. */
  readonly inbox: string;
}

/** How far have these members received the group? */
export interface FindMarks {
  readonly kind: 'find-marks';
  readonly ticket: number;
  readonly group: string;
  readonly members: readonly string[];
}

/** What a connection is told of groups. */
export type GroupConnectionMessage =
  /** Who answers for a group: should it end, so does the connection, and the client comes again. */
  | { readonly kind: 'group-owner'; readonly owner: Pid }
  | {
      readonly kind: 'group-sent';
      readonly group: string;
      readonly id: number;
      readonly order: number;
      readonly ts: number;
    }
  | { readonly kind: 'group-refused'; readonly group: string; readonly id: number; readonly refusal: Refusal }
  | {
      readonly kind: 'group-receipts';
      readonly type: 'delivered' | 'read';
      readonly group: string;
      readonly ts: number;
      readonly marks: readonly GroupMark[];
    };
