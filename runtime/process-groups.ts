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
 * Source: pg of kernel (OTP 23 and later). Differs: reading is a call, since there is no shared table (an actor that
 * reads often keeps its own copy with `monitor`); memberships of a worker are bounded; the network is the threads of a node.
 */

import type { Behavior, Context, StartResult } from './behavior.ts';
import { type From, isDown } from './envelope.ts';
import { LIMITS } from './limits.ts';
import { formatPid, type Pid, samePid } from './pid.ts';
import { Ref } from './ref.ts';
import { checkName } from './registry.ts';

export interface ScopeOptions {
  /** Worker threads of the node, not counting main. */
  readonly workerCount: number;
  /** The scope's registered name, the same on every worker. Default `'pg'`. */
  readonly scope?: string;
}

/** What a subscriber hears. `reset`: it missed something, and these are all members now. */
export interface GroupEvent {
  readonly type: 'pg';
  readonly event: 'join' | 'leave' | 'reset';
  readonly ref: Ref;
  readonly group: string;
  readonly pids: readonly Pid[];
}

/** A member, as often as it joined. */
interface Member {
  readonly pid: Pid;
  count: number;
}
type Members = Map<string, Member>;

/** An actor of this worker that is in some group. */
interface Joined {
  readonly pid: Pid;
  readonly ref: Ref;
  readonly groups: Set<string>;
}

/** Another worker's scope. */
interface Peer {
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

type Request =
  | { readonly type: 'join' | 'leave'; readonly group: string; readonly pids: readonly Pid[] }
  | { readonly type: 'get_members' | 'get_local_members'; readonly group: string }
  | { readonly type: 'which_groups' | 'which_local_groups' }
  | { readonly type: 'monitor'; readonly group: string | null }
  | { readonly type: 'demonitor'; readonly ref: Ref };

type Told =
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

function emptyScope(name: string, workerCount: number): Scope {
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

function notify(state: Scope, ctx: Context, event: 'join' | 'leave', group: string, pids: readonly Pid[]): void {
  if (pids.length === 0) return;
  for (const subscription of state.subscriptions.values()) {
    const { ref, pid, missed } = subscription;
    if ((subscription.group ?? group) !== group || missed.has(group)) continue;
    const told: GroupEvent = { type: 'pg', event, ref, group, pids };
    if (ctx.send(pid, told) === 'full') missed.add(group);
  }
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

/** Gives a subscriber that missed events the whole groups. */
function mend(state: Scope, ctx: Context, { ref, pid, missed }: Subscription): void {
  for (const group of missed) {
    const told: GroupEvent = { type: 'pg', event: 'reset', ref, group, pids: allPids(state, group) };
    if (ctx.send(pid, told) === 'full') return;
    missed.delete(group);
  }
}

function discoverUnknown(state: Scope, ctx: Context): void {
  for (let worker = 0; worker <= state.workerCount; worker += 1) {
    if (worker !== ctx.worker && !state.peers.has(worker)) ask(state, ctx, worker);
  }
}

/** Asks a worker's scope for everything, once a beat. If nobody hears it, that scope will ask us when it starts. */
function ask(state: Scope, ctx: Context, worker: number): void {
  if (state.asked.has(worker)) return;
  state.asked.add(worker);
  ctx.cast<Told>({ name: state.name, worker }, { type: 'discover', from: ctx.self });
}

function receiveDiscover(state: Scope, ctx: Context, from: Pid): void {
  meet(state, ctx, from);
  sendSync(state, ctx, from);
}

/** Takes note of another scope. One that is new to us knows nothing of ours, unless it has just asked. */
function meet(state: Scope, ctx: Context, pid: Pid): Peer {
  const known = state.peers.get(pid.worker);
  if (known !== undefined && samePid(known.pid, pid)) return known;
  if (known !== undefined) {
    ctx.demonitor(known.ref);
    replaceWorker(state, ctx, pid.worker, []);
  }
  const peer: Peer = { pid, ref: ctx.monitor(pid), seq: -1, parts: [], partCount: 0 };
  state.peers.set(pid.worker, peer);
  return peer;
}

function peerOf(state: Scope, from: Pid): Peer | undefined {
  const peer = state.peers.get(from.worker);
  return peer !== undefined && samePid(peer.pid, from) ? peer : undefined;
}

function sendSync(state: Scope, ctx: Context, to: Pid): void {
  const parts = partsOf(state, ctx.self.node.length);
  for (const [part, groups] of parts.entries()) {
    const told: Told = { type: 'sync', from: ctx.self, seq: state.seq, part, last: part === parts.length - 1, groups };
    if (ctx.cast(to, told) !== 'ok') return;
  }
}

/** The members on this worker in parts of bounded size; one empty part if there are none. */
function partsOf(state: Scope, nodeChars: number): [group: string, pids: Pid[]][][] {
  // Three bytes for a character at worst, and the numbers of a pid with their tags.
  const pidBytes = nodeChars * 3 + 32;
  const parts: [group: string, pids: Pid[]][][] = [[]];
  let leftBytes: number = LIMITS.groupSyncBytes;
  for (const [group, members] of state.local) {
    for (const pid of pidsOf(members)) {
      const current = parts.at(-1)!;
      const last = current.at(-1);
      const opens = last === undefined || last[0] !== group;
      leftBytes -= pidBytes + (opens ? group.length * 3 + 8 : 0);
      if (leftBytes < 0) {
        parts.push([[group, [pid]]]);
        leftBytes = LIMITS.groupSyncBytes - pidBytes - group.length * 3 - 8;
      } else if (opens) current.push([group, [pid]]);
      else last[1].push(pid);
    }
  }
  return parts;
}

function receiveSync(state: Scope, ctx: Context, told: Extract<Told, { type: 'sync' }>): void {
  const isNew = peerOf(state, told.from) === undefined;
  const peer = meet(state, ctx, told.from);
  if (isNew) sendSync(state, ctx, told.from);
  if (told.part === 0) Object.assign(peer, { parts: [], partCount: 0 });
  // A part is missing: the next beat will show that we are behind.
  if (told.part !== peer.partCount) return;
  peer.partCount += 1;
  peer.parts.push(...told.groups);
  if (!told.last) return;
  state.asked.delete(told.from.worker);
  const { parts } = peer;
  Object.assign(peer, { seq: told.seq, parts: [], partCount: 0 });
  replaceWorker(state, ctx, told.from.worker, parts);
}

function receiveUpdate(state: Scope, ctx: Context, told: Extract<Told, { type: 'update' }>): void {
  const peer = peerOf(state, told.from);
  if (peer === undefined || told.seq > peer.seq + 1) return ask(state, ctx, told.from.worker);
  // Already in the sync.
  if (told.seq <= peer.seq) return;
  peer.seq = told.seq;
  const { event, group, pids } = told;
  for (const pid of pids) {
    if (event === 'join') addMember(state.remote, group, pid);
    else removeMember(state.remote, group, pid);
  }
  notify(state, ctx, event, group, pids);
}

/** Makes `groups` the members on `worker`, and tells subscribers the difference. */
function replaceWorker(
  state: Scope,
  ctx: Context,
  worker: number,
  groups: readonly [group: string, pids: Pid[]][],
): void {
  const before = takeWorker(state, worker);
  const after = new Map<string, Members>();
  for (const [group, pids] of groups) {
    for (const pid of pids) {
      addMember(after, group, pid);
      addMember(state.remote, group, pid);
    }
  }
  for (const [group, members] of before) notify(state, ctx, 'leave', group, difference(members, after.get(group)));
  for (const [group, members] of after) notify(state, ctx, 'join', group, difference(members, before.get(group)));
}

/** Takes all members on `worker` out of the copy. */
function takeWorker(state: Scope, worker: number): Map<string, Members> {
  const taken = new Map<string, Members>();
  for (const [group, members] of state.remote) {
    for (const [key, member] of members) {
      if (member.pid.worker !== worker) continue;
      members.delete(key);
      taken.set(group, (taken.get(group) ?? new Map<string, Member>()).set(key, member));
    }
    if (members.size === 0) state.remote.delete(group);
  }
  return taken;
}

/** Pids by which `a` has more than `b`. */
function difference(a: Members, b: Members | undefined): Pid[] {
  return [...a].flatMap(([key, { pid, count }]) =>
    new Array<Pid>(Math.max(0, count - (b?.get(key)?.count ?? 0))).fill(pid),
  );
}

function addMember(groups: Map<string, Members>, group: string, pid: Pid): void {
  const key = formatPid(pid);
  let members = groups.get(group);
  if (members === undefined) groups.set(group, (members = new Map()));
  const member = members.get(key);
  if (member === undefined) members.set(key, { pid, count: 1 });
  else member.count += 1;
}

/** Takes one membership away. Whether there was one. */
function removeMember(groups: Map<string, Members>, group: string, pid: Pid): boolean {
  const key = formatPid(pid);
  const members = groups.get(group);
  const member = members?.get(key);
  if (members === undefined || member === undefined) return false;
  member.count -= 1;
  if (member.count === 0) members.delete(key);
  if (members.size === 0) groups.delete(group);
  return true;
}

function pidsOf(members: Members | undefined): Pid[] {
  if (members === undefined) return [];
  return [...members.values()].flatMap(({ pid, count }) => (count === 1 ? [pid] : new Array<Pid>(count).fill(pid)));
}

function allPids(state: Scope, group: string): Pid[] {
  return [...pidsOf(state.local.get(group)), ...pidsOf(state.remote.get(group))];
}
