/**
 * What a connection actor is made of: its arguments, its state, and what can be read off the state.
 *
 * Plain data and handles of the shell. Its shape outlives a reload of the code: who changes it gives the behaviour a `codeChange`.
 * Read next: `phase.ts`, the life of a connection; `../connection.ts`, the actor.
 */

import { FEATURES } from '../../protocol/wire/index.ts';
import type { Ref } from '../../runtime/index.ts';
import type { Admission } from '../admission.ts';
import type { Challenge } from '../auth.ts';
import type { SocketHandle } from '../listener.ts';
import type { ResumeTickets } from '../resume-ticket.ts';
import type { Routes } from '../routes.ts';
import type { SenderAddress } from '../store/inbox-store.ts';
import type { Awaited } from './awaited.ts';
import type { Detours } from './detours.ts';
import type { Pending } from './pending.ts';
import type { Phase } from './phase.ts';
import type { Rates } from './rates.ts';
import type { Watch } from './watching.ts';

export interface ConnectionArgs {
  readonly socket: SocketHandle;
  /** What the client has been greeted with. */
  readonly challenge: Challenge;
  readonly routes: Routes;
  readonly tickets: ResumeTickets;
  readonly admission: Admission;
}

export interface LowWater {
  readonly preKeys: number;
  readonly kemPreKeys: number;
}

export interface ConnectionState {
  readonly socket: SocketHandle;
  readonly routes: Routes;
  readonly tickets: ResumeTickets;
  readonly admission: Admission;
  phase: Phase;
  /** What it does in a second; made with the first. */
  rates: Rates | undefined;
  /** Ends a connection on which nobody logs in, or one that its inbox does not take. */
  loginTimer: Ref | undefined;
  /** Whose presence this connection hears of; made with the first. */
  subscriptions: Set<string> | undefined;
  /** What the client said at login that it understands: a sum of `FEATURES`. */
  features: number;
  /** Below which stock of pre-keys the client wants to be told of it; 0 and 0 until it asks. */
  lowWater: LowWater;
  /** Actors that it watches: owners of groups, and in a cluster all to which it has sent what it waits for. Made with the first. */
  watched: Set<string> | undefined;
  /** What is not answered yet; made with the first. */
  pending: Pending | undefined;
  /** What it has refused itself; made with the first. A state from before a reload of the code may lack it. */
  awaited?: Awaited | undefined;
  /** Pushes of the inbox that came so far. */
  pushes: number;
  // What only a cluster needs, and a state of an earlier version does not have, is set when it is needed.
  /** The monitor of the inbox that pushes to it. */
  inboxWatch?: Ref;
  /** The monitors of what else it watches, by the id of their reference. */
  watches?: Map<number, Watch>;
  /** Shards whose owner was lost since the client logged in: nothing goes there until it is greeted again. */
  lost?: Set<number> | undefined;
  /** Those of them that nobody serves yet. */
  unserved?: Set<number>;
  /** Who was logged in before the client was greeted again; nobody else may be now. Until it is. */
  former?: SenderAddress | undefined;
  /** For whom messages take the detour over the outbox; set with the first. */
  detours?: Detours | undefined;
}

export const NO_NOTICES: LowWater = { preKeys: 0, kemPreKeys: 0 };

export function understandsGaps(state: ConnectionState): boolean {
  return (state.features & FEATURES.stagedInbox) !== 0;
}

export function understandsGroups(state: ConnectionState): boolean {
  return (state.features & FEATURES.groups) !== 0;
}

/** Whether the client can be greeted a second time. */
export function understandsGreetings(state: ConnectionState): boolean {
  return (state.features & FEATURES.secondGreeting) !== 0;
}

/** The phase rules let these messages through only when the connection is live. */
export function livePhase(state: ConnectionState): Extract<Phase, { name: 'live' }> {
  if (state.phase.name !== 'live') throw new Error(`expected phase live, got ${state.phase.name}`);
  return state.phase;
}

export function liveSelf(state: ConnectionState): { readonly user: string; readonly device: number } {
  return livePhase(state).self;
}

export function deviceOf(state: ConnectionState): { user: string; device: number } {
  const self = liveSelf(state);
  return { user: self.user, device: self.device };
}
