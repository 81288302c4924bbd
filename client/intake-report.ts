/**
 * What came of a transaction that receives: the messages that were stored or changed, and what others have to be told or asked.
 *
 * A draft is filled while the transaction is made, and is handed on as a report when it is durable. Knows nobody who fills or reads it:
 * `inbox.ts` and `group-intake.ts` fill it, `engine.ts` hands it round.
 */

import type { PrunedMessage } from '../protocol/wire/index.ts';
import type { GroupFindings } from './group-book.ts';
import type { PairwiseRead } from './group-pairwise.ts';
import type { RetryRequest } from './healer.ts';
import type { ChangedMessage } from './history.ts';
import type { IdentityNotice } from './identities.ts';
import type { HistoryRecord } from './history-layout.ts';

/** A message that was stored, before it is dressed for the application. */
export interface StoredMessage {
  readonly user: string;
  readonly ordinal: number;
  readonly record: HistoryRecord;
}

/** What came of one transaction. */
export interface IntakeReport {
  readonly stored: readonly StoredMessage[];
  /** Messages of other own devices that came by the way of a group. */
  readonly transcripts: readonly StoredMessage[];
  /** Earlier messages that were edited, deleted or reacted to. */
  readonly changed: readonly ChangedMessage[];
  readonly notices: readonly IdentityNotice[];
  /** One-time pre-keys of ours that were used up. */
  readonly consumedPreKeyCount: number;
  readonly consumedKemPreKeyCount: number;
  /** Devices whose sessions were kept from being hybrid. */
  readonly downgrades: readonly { readonly user: string; readonly device: number }[];
  /** Messages of ours that a peer could not read. */
  readonly retries: readonly RetryRequest[];
  /** Numbers that were claimed and are worth looking up. */
  readonly claims: readonly { readonly user: string; readonly phone: string }[];
  readonly groups: GroupNews;
  /** Messages to us that are lost. */
  readonly pruned: readonly PrunedMessage[];
  /** Other devices of the account have told something. */
  readonly isSynced: boolean;
  /** One of them has said something about a transfer of the history. */
  readonly isTransferTold: boolean;
}

/** A report under construction. */
export interface IntakeDraft {
  readonly stored: StoredMessage[];
  readonly transcripts: StoredMessage[];
  readonly changed: ChangedMessage[];
  readonly notices: IdentityNotice[];
  readonly claims: { readonly user: string; readonly phone: string }[];
  readonly downgrades: { readonly user: string; readonly device: number }[];
  readonly retries: RetryRequest[];
  readonly groups: GroupNews;
  readonly pruned: PrunedMessage[];
  consumedPreKeyCount: number;
  consumedKemPreKeyCount: number;
  isSynced: boolean;
  isTransferTold: boolean;
}

/** An empty report. */
export function beginIntake(): IntakeDraft {
  const lists = {
    stored: [],
    transcripts: [],
    changed: [],
    notices: [],
    claims: [],
    downgrades: [],
    retries: [],
    pruned: [],
  };
  const counts = { consumedPreKeyCount: 0, consumedKemPreKeyCount: 0 };
  return { ...lists, groups: noGroupNews(), ...counts, isSynced: false, isTransferTold: false };
}

/** A member's device could not read some messages of ours to a group; without a number it asks for an invitation. */
export interface GroupRetryRequest {
  readonly group: string;
  readonly user: string;
  readonly numbers: readonly number[];
}

/** Somebody who has a link asks to be let in. */
export interface GroupKnock {
  readonly group: string;
  readonly user: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** What came of groups in one transaction. */
export interface GroupNews extends GroupFindings {
  readonly retries: GroupRetryRequest[];
  /** Groups to which another device of ours has written. */
  readonly twins: Set<string>;
  /** Who has spoken to us as a member. */
  readonly speakers: { readonly group: string; readonly user: string }[];
  /** Messages of ours that somebody has read, where each member got them by itself. */
  readonly reads: PairwiseRead[];
}

/** Nothing so far. */
function noGroupNews(): GroupNews {
  return { events: [], due: new Set(), retries: [], twins: new Set(), reads: [], speakers: [] };
}
