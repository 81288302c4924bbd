/**
 * How the scopes of process groups on the workers of a node come to agree: discover, sync, counted updates, and the beat that shows
 * what was lost. `process-groups.ts` has the picture.
 *
 * A scope only ever tells of its own worker's members, so nothing that two of them say can contradict.
 */

import type { Context } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { type Pid, samePid } from './pid.ts';
import {
  addMember,
  difference,
  type Members,
  type Member,
  notify,
  type Peer,
  pidsOf,
  removeMember,
  type Scope,
  type Told,
} from './group-scope.ts';

/** Asks the scopes that this one has not met. */
export function discoverUnknown(state: Scope, ctx: Context): void {
  for (let worker = 0; worker <= state.workerCount; worker += 1) {
    if (worker !== ctx.worker && !state.peers.has(worker)) ask(state, ctx, worker);
  }
}

/** Asks a worker's scope for everything, once a beat. If nobody hears it, that scope will ask us when it starts. */
export function ask(state: Scope, ctx: Context, worker: number): void {
  if (state.asked.has(worker)) return;
  state.asked.add(worker);
  ctx.cast<Told>({ name: state.name, worker }, { type: 'discover', from: ctx.self });
}

/** Another scope asks for everything. */
export function receiveDiscover(state: Scope, ctx: Context, from: Pid): void {
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

/** The scope that `from` is, if it is the one that was met. */
export function peerOf(state: Scope, from: Pid): Peer | undefined {
  const peer = state.peers.get(from.worker);
  return peer !== undefined && samePid(peer.pid, from) ? peer : undefined;
}

/** What was refused there shows as a gap. */
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

/** A part of everything that another scope has. */
export function receiveSync(state: Scope, ctx: Context, told: Extract<Told, { type: 'sync' }>): void {
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

/** A change at another scope. */
export function receiveUpdate(state: Scope, ctx: Context, told: Extract<Told, { type: 'update' }>): void {
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
export function replaceWorker(
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
