/**
 * What a shard keeps of its accounts' decisions: guards, relations, requests of strangers, reports, push registrations.
 *
 * A part of the contract of `inbox-store.ts`, with the same promises: its writes belong to a batch and are all or nothing with
 * the rest of it. Tables and bytes: `protection-layout.ts`.
 */

import type { PushTarget, StrangersPolicy } from '../../protocol/wire/index.ts';

/** What an account has said of strangers. An account without one has decided nothing: it has no relations either. */
export interface Guard {
  readonly policy: StrangersPolicy;
  /** Decisions that stand, for their bound. */
  readonly relations: number;
}

/** A decision about another account. One who is blocked may have been accepted before, and must not notice the difference. */
export interface Decision {
  readonly accepted: boolean;
  readonly blocked: boolean;
}

/** A stranger who wrote to an account that asks. */
export interface StrangerRequest {
  /** Messages accepted from the stranger. */
  readonly count: number;
  /** Server time of the first of them, milliseconds. */
  readonly ts: number;
}

/** One entry of the list of an account: a decision, a request, or both. */
export interface ListedRelation {
  readonly user: string;
  readonly decision: Decision | undefined;
  readonly request: StrangerRequest | undefined;
}

/** A message that its recipient reported. What it proves is said in docs/internals/abuse.md. */
export interface Report {
  /** Server time of the report, milliseconds. */
  readonly ts: number;
  readonly reporter: string;
  readonly sender: string;
  readonly senderDevice: number;
  readonly senderCreation: number;
  /** Message id within the conversation from that device to the reporter. */
  readonly id: number;
  /** Opaque; empty for metadata alone. */
  readonly evidence: Uint8Array;
}

/** Where a wake-up of a device goes. */
export type PushRegistration = Exclude<PushTarget, { platform: 'none' }>;

/** Writes of one commit. Valid only inside the callback of `commit`. */
export interface ProtectionBatch {
  putGuard(owner: string, guard: Guard): void;
  putRelation(owner: string, other: string, decision: Decision): void;
  removeRelation(owner: string, other: string): void;
  putRequest(owner: string, other: string, request: StrangerRequest): void;
  /** `place` orders reports and was never used in this store. */
  putReport(place: number, report: Report): void;
  removeReport(place: number): void;
  /** Replaces the registration of the device. */
  putPush(user: string, device: number, registration: PushRegistration): void;
  removePush(user: string, device: number): void;
}

/** A report with its place. */
export interface PlacedReport {
  readonly place: number;
  readonly report: Report;
}

/** Reads. Synchronous; what they return is owned by the caller. */
export interface ProtectionStore {
  guard(owner: string): Guard | undefined;
  relation(owner: string, other: string): Decision | undefined;
  request(owner: string, other: string): StrangerRequest | undefined;
  /** Decisions and requests after `after`, by ascending user id, at most `countMax`. */
  relations(owner: string, after: string, countMax: number): ListedRelation[];
  /** Reports from `place` on, in their order. */
  reports(place: number, countMax: number): PlacedReport[];
  /** Place of the last report; 0 in a store that has none. */
  lastReport(): number;
  push(user: string, device: number): PushRegistration | undefined;
}
