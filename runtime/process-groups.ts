/**
 * Process groups, OTP's `pg`: names for sets of actors on all workers of a node.
 *
 * Each worker runs one actor, the scope. It alone decides who of its own worker is a member, tells the other scopes, and
 * keeps a copy of what they told. So nobody waits for another thread, and views may differ for a moment. A member leaves
 * when it ends, and all members of a worker leave when that ends.
 *
 *   discover ─▶  "tell me everything"     from a scope that starts, or found a gap
 *   ◀─ sync      all my members, as of update n; in parts that fit into a ring
 *   ◀─ update    n + 1, n + 2, …: who joined or left
 *   ◀─ beat      "I am at update n", every so often
 *
 * Between workers a message may be refused or dropped, so updates are counted: whoever sees a gap asks again, and the beat
 * shows a gap behind the last update. That makes the copies agree in the end whatever was lost.
 *
 * ```ts
 * import { type Behavior, createNode, pg, systemClock, systemLoop, systemRandom } from 'blindbeam/runtime';
 *
 * const guest: Behavior<null, string, string> = {
 *   name: 'guest',
 *   init: () => null,
 *   handleCast: (text, _state, ctx) => console.log(`${ctx.self.slot} hears ${text}`),
 * };
 *
 * const node = createNode({ name: 'example', clock: systemClock, random: systemRandom, loop: systemLoop, log: console });
 * node.start(pg.behavior, { workerCount: 0 });
 * const [a, b] = [node.spawn(guest, 'a'), node.spawn(guest, 'b')];
 * await pg.join(node, 'room', [a, b]);
 * for (const pid of await pg.getMembers(node, 'room')) node.cast(pid, 'hello');
 * console.log(await pg.whichGroups(node));
 * node.exit(a, 'kill');
 * await node.awaitExit(a, 1_000);
 * console.log((await pg.getMembers(node, 'room')).length);
 * await node.stop();
 * ```
 *
 * It prints:
 *
 * ```text
 * 2 hears hello
 * 3 hears hello
 * [ 'room' ]
 * 1
 * ```
 *
 * Its parts: `group-scope.ts`, what a scope knows; `group-agreement.ts`, how scopes agree.
 *
 * Source: pg of kernel (OTP 23 and later). Differs: reading is a call, since there is no shared table (an actor that
 * reads often keeps its own copy with `monitor`); memberships of a worker are bounded; the network is the threads of a node.
 */

import type { Behavior, Context, StartResult } from './behavior.ts';
import { type From, isDown } from './envelope.ts';
import { LIMITS } from './limits.ts';
import { formatPid, type Pid, samePid } from './pid.ts';
import { Ref } from './ref.ts';
import { checkName } from './registry.ts';
import {
  ask,
  discoverUnknown,
  peerOf,
  receiveDiscover,
  receiveSync,
  receiveUpdate,
  replaceWorker,
} from './group-agreement.ts';
import {
  addMember,
  allPids,
  emptyScope,
  mend,
  notify,
  pidsOf,
  removeMember,
  type GroupEvent,
  type Joined,
  type Scope,
  type Told,
} from './group-scope.ts';

export type { GroupEvent, Scope } from './group-scope.ts';

/** What a scope is started with. */
export interface ScopeOptions {
  /** Worker threads of the node, not counting main. */
  readonly workerCount: number;
  /** The scope's registered name, the same on every worker. Default `'pg'`. */
  readonly scope?: string;
}

type Request =
  | { readonly type: 'join' | 'leave'; readonly group: string; readonly pids: readonly Pid[] }
  | { readonly type: 'get_members' | 'get_local_members'; readonly group: string }
  | { readonly type: 'which_groups' | 'which_local_groups' }
  | { readonly type: 'monitor'; readonly group: string | null }
  | { readonly type: 'demonitor'; readonly ref: Ref };

type Caller = Pick<Context, 'call'> & { readonly worker: number };
type Starter = Pick<Context, 'startLink'>;

const REQUEST_MS = 5_000;
const BEAT = 'pg_beat';

/** The behaviour of a scope, for a supervisor; start one on every worker, main included. */
export const behavior: Behavior<Scope, ScopeOptions, Told, Request> = Object.freeze({
  name: 'pg',
  init(options: ScopeOptions, ctx: Context): Scope {
    const { workerCount, scope = 'pg' } = options;
    if (!Number.isInteger(workerCount) || workerCount < 0 || workerCount > LIMITS.workerCountMax) {
      throw new RangeError(`"workerCount" expected 0 to ${LIMITS.workerCountMax}, got ${workerCount}`);
    }
    if (ctx.register(scope) !== 'ok') throw new RangeError(`"scope" expected a name that is free, got '${scope}'`);
    const state = emptyScope(scope, workerCount);
    discoverUnknown(state, ctx);
    ctx.sendAfter(LIMITS.groupBeatMs, BEAT);
    return state;
  },
  handleCall: answer,
  handleCast(told: Told, state: Scope, ctx: Context): void {
    if (told.type === 'discover') return void receiveDiscover(state, ctx, told.from);
    if (told.type === 'sync') return receiveSync(state, ctx, told);
    if (told.type === 'update') return receiveUpdate(state, ctx, told);
    if (peerOf(state, told.from)?.seq !== told.seq) ask(state, ctx, told.from.worker);
  },
  handleInfo(info: unknown, state: Scope, ctx: Context): void {
    if (info === BEAT) return beat(state, ctx);
    if (isDown(info)) forget(state, ctx, info.pid, info.ref);
  },
});

/** Starts the scope of this worker, linked to the starter. */
export function start(starter: Starter, options: ScopeOptions): StartResult<Told> | Promise<StartResult<Told>> {
  return starter.startLink(behavior, options);
}

/**
 * Makes actors of the caller's worker members of `group`. Each may join several times, and leaves as often.
 *
 * @returns `'full'`, and nobody joined, if the worker would have more than LIMITS.groupMembershipCountMax memberships.
 * @throws {RangeError} for an actor of another worker: it joins there.
 */
export function join(
  caller: Caller,
  group: string,
  pids: Pid | readonly Pid[],
  scope: string = 'pg',
): Promise<'ok' | 'full'> {
  return caller.call(scope, { type: 'join', group: checked(group), pids: ownPids(caller, pids) }, REQUEST_MS);
}

/** Ends one membership of each. `'not_joined'` if none of them was a member. */
export function leave(
  caller: Caller,
  group: string,
  pids: Pid | readonly Pid[],
  scope: string = 'pg',
): Promise<'ok' | 'not_joined'> {
  return caller.call(scope, { type: 'leave', group: checked(group), pids: ownPids(caller, pids) }, REQUEST_MS);
}

/** All members, on every worker, in no order; one that joined twice is there twice. A group without any is empty. */
export function getMembers(caller: Caller, group: string, scope: string = 'pg'): Promise<Pid[]> {
  return caller.call(scope, { type: 'get_members', group }, REQUEST_MS);
}

/** The members on the caller's worker. */
export function getLocalMembers(caller: Caller, group: string, scope: string = 'pg'): Promise<Pid[]> {
  return caller.call(scope, { type: 'get_local_members', group }, REQUEST_MS);
}

/** The groups that have members. */
export function whichGroups(caller: Caller, scope: string = 'pg'): Promise<string[]> {
  return caller.call(scope, { type: 'which_groups' }, REQUEST_MS);
}

/** The groups that have members on the caller's worker. */
export function whichLocalGroups(caller: Caller, scope: string = 'pg'): Promise<string[]> {
  return caller.call(scope, { type: 'which_local_groups' }, REQUEST_MS);
}

/**
 * Tells the members of `group` now, and from here on each change as a `GroupEvent`. With what is returned a subscriber
 * keeps a copy that is never older than what the scope knows. Ends with the subscriber.
 */
export function monitor(
  caller: Caller,
  group: string,
  scope: string = 'pg',
): Promise<{ readonly ref: Ref; readonly pids: readonly Pid[] }> {
  return caller.call(scope, { type: 'monitor', group: checked(group) }, REQUEST_MS);
}

/** As `monitor`, for all groups. */
export function monitorScope(
  caller: Caller,
  scope: string = 'pg',
): Promise<{ readonly ref: Ref; readonly groups: ReadonlyMap<string, readonly Pid[]> }> {
  return caller.call(scope, { type: 'monitor', group: null }, REQUEST_MS);
}

/** Ends a subscription. An event that is already on its way still comes. */
export function demonitor(caller: Caller, ref: Ref, scope: string = 'pg'): Promise<boolean> {
  return caller.call(scope, { type: 'demonitor', ref }, REQUEST_MS);
}

/** Whether an info message is a `GroupEvent`. */
export function isGroupEvent(info: unknown): info is GroupEvent {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'pg';
}

function checked(group: string): string {
  checkName(group);
  return group;
}

function ownPids({ worker }: Caller, pids: Pid | readonly Pid[]): readonly Pid[] {
  const list = Array.isArray(pids) ? (pids as readonly Pid[]) : [pids as Pid];
  const foreign = list.find((pid) => pid.worker !== worker);
  if (foreign !== undefined) throw new RangeError(`"pids" expected actors of worker ${worker}, got ${foreign}`);
  return list;
}

function answer(request: Request, from: From, state: Scope, ctx: Context): unknown {
  switch (request.type) {
    case 'join':
      return joinAll(state, ctx, request.group, request.pids);
    case 'leave':
      return leaveAll(state, ctx, request.group, request.pids);
    case 'get_members':
      return [...pidsOf(state.local.get(request.group)), ...pidsOf(state.remote.get(request.group))];
    case 'get_local_members':
      return pidsOf(state.local.get(request.group));
    case 'which_groups':
      return [...new Set([...state.local.keys(), ...state.remote.keys()])];
    case 'which_local_groups':
      return [...state.local.keys()];
    case 'monitor':
      return subscribe(state, ctx, from.pid, request.group);
    case 'demonitor':
      return unsubscribe(state, ctx, request.ref);
  }
}

function joinAll(state: Scope, ctx: Context, group: string, pids: readonly Pid[]): 'ok' | 'full' {
  if (state.membershipCount + pids.length > LIMITS.groupMembershipCountMax) return 'full';
  for (const pid of pids) {
    addMember(state.local, group, pid);
    joinedOf(state, ctx, pid).groups.add(group);
  }
  state.membershipCount += pids.length;
  tell(state, ctx, 'join', group, pids);
  return 'ok';
}

function joinedOf(state: Scope, ctx: Context, pid: Pid): Joined {
  const key = formatPid(pid);
  const known = state.joined.get(key);
  if (known !== undefined) return known;
  const made: Joined = { pid, ref: ctx.monitor(pid), groups: new Set() };
  state.joined.set(key, made);
  return made;
}

function leaveAll(state: Scope, ctx: Context, group: string, pids: readonly Pid[]): 'ok' | 'not_joined' {
  const left = pids.filter((pid) => removeMember(state.local, group, pid));
  if (left.length === 0) return 'not_joined';
  state.membershipCount -= left.length;
  for (const pid of left) {
    const key = formatPid(pid);
    const entry = state.joined.get(key);
    if (entry === undefined || state.local.get(group)?.has(key) === true) continue;
    entry.groups.delete(group);
    if (entry.groups.size === 0) {
      ctx.demonitor(entry.ref);
      state.joined.delete(key);
    }
  }
  tell(state, ctx, 'leave', group, left);
  return 'ok';
}

/** Tells a change on this worker to subscribers and to the other scopes. What is refused there shows as a gap. */
function tell(state: Scope, ctx: Context, event: 'join' | 'leave', group: string, pids: readonly Pid[]): void {
  notify(state, ctx, event, group, pids);
  state.seq += 1;
  const told: Told = { type: 'update', from: ctx.self, seq: state.seq, event, group, pids };
  for (const { pid } of state.peers.values()) ctx.cast(pid, told);
}

function subscribe(state: Scope, ctx: Context, pid: Pid, group: string | null): unknown {
  const made = ctx.monitor(pid);
  // A copy: the monitor itself stays ours.
  const ref = new Ref(made.node, made.worker, made.creation, made.id);
  if (state.subscriptions.size >= LIMITS.groupSubscriptionCountMax) {
    ctx.demonitor(made);
    throw new RangeError(`a scope has at most ${LIMITS.groupSubscriptionCountMax} subscriptions`);
  }
  state.subscriptions.set(ref.id, { ref: made, pid, group, missed: new Set() });
  if (group !== null) return { ref, pids: allPids(state, group) };
  const groups = new Set([...state.local.keys(), ...state.remote.keys()]);
  return { ref, groups: new Map(Array.from(groups, (each) => [each, allPids(state, each)])) };
}

function unsubscribe(state: Scope, ctx: Context, { id }: Ref): boolean {
  const subscription = state.subscriptions.get(id);
  if (subscription === undefined) return false;
  ctx.demonitor(subscription.ref);
  return state.subscriptions.delete(id);
}

/** A member, a subscriber or another scope has ended. */
function forget(state: Scope, ctx: Context, pid: Pid, ref: Ref): void {
  if (state.subscriptions.delete(ref.id)) return;
  const peer = state.peers.get(pid.worker);
  if (peer !== undefined && samePid(peer.pid, pid)) {
    state.peers.delete(pid.worker);
    return replaceWorker(state, ctx, pid.worker, []);
  }
  const key = formatPid(pid);
  const entry = state.joined.get(key);
  if (entry === undefined) return;
  state.joined.delete(key);
  for (const group of entry.groups) {
    const { count } = state.local.get(group)!.get(key)!;
    state.membershipCount -= count;
    for (let times = count; times > 0; times -= 1) removeMember(state.local, group, pid);
    tell(state, ctx, 'leave', group, new Array<Pid>(count).fill(pid));
  }
}

function beat(state: Scope, ctx: Context): void {
  ctx.sendAfter(LIMITS.groupBeatMs, BEAT);
  state.asked.clear();
  const told: Told = { type: 'beat', from: ctx.self, seq: state.seq };
  for (const { pid } of state.peers.values()) ctx.cast(pid, told);
  discoverUnknown(state, ctx);
  for (const subscription of state.subscriptions.values()) mend(state, ctx, subscription);
}
