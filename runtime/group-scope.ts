/**
 * What the scope of process groups knows on one worker: its own members, the copy of what other scopes told, who subscribes; and
 * telling these.
 *
 * Memberships are counted, since an actor may join a group several times. Who becomes a member, `process-groups.ts` decides; what
 * other workers say, `group-agreement.ts` takes in.
 */

import type { Context } from './behavior.ts';
import { formatPid, type Pid } from './pid.ts';
import type { Ref } from './ref.ts';

/** What a subscriber hears. `reset`: it missed something, and these are all members now. */
export interface GroupEvent {
  readonly type: 'pg';
  readonly event: 'join' | 'leave' | 'reset';
  readonly ref: Ref;
  readonly group: string;
  readonly pids: readonly Pid[];
}

/** A member, as often as it joined. */
export interface Member {
  readonly pid: Pid;
  count: number;
}

export type Members = Map<string, Member>;

/** An actor of this worker that is in some group. */
export interface Joined {
  readonly pid: Pid;
  readonly ref: Ref;
  readonly groups: Set<string>;
}

/** Another worker's scope. */
export interface Peer {
  readonly pid: Pid;
  readonly ref: Ref;
  /** The last update of it that is in our copy; -1 before the first sync. */
  seq: number;
  /** Parts of a sync that is arriving. */
  parts: [group: string, pids: Pid[]][];
  partCount: number;
}

interface Subscription {
  readonly ref: Ref;
  readonly pid: Pid;
  /** Null: all groups. */
  readonly group: string | null;
  /** Groups of which it missed an event. */
  readonly missed: Set<string>;
}

/** The state of a scope. */
export interface Scope {
  readonly name: string;
  readonly workerCount: number;
  /** Updates told so far. */
  seq: number;
  membershipCount: number;
  readonly local: Map<string, Members>;
  readonly remote: Map<string, Members>;
  readonly joined: Map<string, Joined>;
  readonly peers: Map<number, Peer>;
  /** Workers that were asked for everything since the last beat and have not answered. */
  readonly asked: Set<number>;
  readonly subscriptions: Map<number, Subscription>;
}

/** What scopes say to each other. */
export type Told =
  | { readonly type: 'discover'; readonly from: Pid }
  | {
      readonly type: 'sync';
      readonly from: Pid;
      readonly seq: number;
      readonly part: number;
      readonly last: boolean;
      readonly groups: [group: string, pids: Pid[]][];
    }
  | {
      readonly type: 'update';
      readonly from: Pid;
      readonly seq: number;
      readonly event: 'join' | 'leave';
      readonly group: string;
      readonly pids: readonly Pid[];
    }
  | { readonly type: 'beat'; readonly from: Pid; readonly seq: number };

/** A scope that knows nobody. */
export function emptyScope(name: string, workerCount: number): Scope {
  return {
    name,
    workerCount,
    seq: 0,
    membershipCount: 0,
    local: new Map(),
    remote: new Map(),
    joined: new Map(),
    peers: new Map(),
    asked: new Set(),
    subscriptions: new Map(),
  };
}

/** Tells subscribers a change, on whichever worker it was. */
export function notify(state: Scope, ctx: Context, event: 'join' | 'leave', group: string, pids: readonly Pid[]): void {
  if (pids.length === 0) return;
  for (const subscription of state.subscriptions.values()) {
    const { ref, pid, missed } = subscription;
    if ((subscription.group ?? group) !== group || missed.has(group)) continue;
    const told: GroupEvent = { type: 'pg', event, ref, group, pids };
    if (ctx.send(pid, told) === 'full') missed.add(group);
  }
}

/** Gives a subscriber that missed events the whole groups. */
export function mend(state: Scope, ctx: Context, { ref, pid, missed }: Subscription): void {
  for (const group of missed) {
    const told: GroupEvent = { type: 'pg', event: 'reset', ref, group, pids: allPids(state, group) };
    if (ctx.send(pid, told) === 'full') return;
    missed.delete(group);
  }
}

/** Pids by which `a` has more than `b`. */
export function difference(a: Members, b: Members | undefined): Pid[] {
  return [...a].flatMap(([key, { pid, count }]) =>
    new Array<Pid>(Math.max(0, count - (b?.get(key)?.count ?? 0))).fill(pid),
  );
}

/** Adds one membership. */
export function addMember(groups: Map<string, Members>, group: string, pid: Pid): void {
  const key = formatPid(pid);
  let members = groups.get(group);
  if (members === undefined) groups.set(group, (members = new Map()));
  const member = members.get(key);
  if (member === undefined) members.set(key, { pid, count: 1 });
  else member.count += 1;
}

/** Takes one membership away. Whether there was one. */
export function removeMember(groups: Map<string, Members>, group: string, pid: Pid): boolean {
  const key = formatPid(pid);
  const members = groups.get(group);
  const member = members?.get(key);
  if (members === undefined || member === undefined) return false;
  member.count -= 1;
  if (member.count === 0) members.delete(key);
  if (members.size === 0) groups.delete(group);
  return true;
}

/** Each member as often as it joined. */
export function pidsOf(members: Members | undefined): Pid[] {
  if (members === undefined) return [];
  return [...members.values()].flatMap(({ pid, count }) => (count === 1 ? [pid] : new Array<Pid>(count).fill(pid)));
}

/** The members on all workers. */
export function allPids(state: Scope, group: string): Pid[] {
  return [...pidsOf(state.local.get(group)), ...pidsOf(state.remote.get(group))];
}
