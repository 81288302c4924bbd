/**
 * The actors that a connection monitors so as not to wait for an answer that will not come: owners of groups and, in a cluster, whoever
 * has been asked something, and the inbox that pushes to it.
 *
 * Without a cluster their end ends the connection, whose client then says all of it again. In a cluster most of them end because their shard moves, and the
 * socket may stay: when all that was lost is served again the client is greeted a second time (`login.ts`), and says all of it again here.
 */

import { formatPid, type Context, type Down, type Pid, type SendResult } from '../../runtime/index.ts';
import type { RemoteName } from '../routes.ts';
import { greetAgain } from './greeting.ts';
import { closeWith } from './refusals.ts';
import { understandsGreetings, type ConnectionState } from './state.ts';

/** What is known of a monitor. */
export interface Watch {
  /** Nobody is watched twice under one. */
  readonly key: string;
  /** `undefined` for the keeper of a worker. */
  readonly shard: number | undefined;
}

/** The owner of a group that the client watches. In a cluster its shard is watched already, by name, which says which one it is. */
export function watchOwner(owner: Pid, state: ConnectionState, ctx: Context): void {
  if (!state.routes.isClustered) watchOnce(formatPid(owner), undefined, owner, state, ctx);
}

/**
 * In a cluster a shard changes its node, and what was on its way to the former one is lost: whoever waits for an answer hears of its end.
 * On a node of its own nothing is asked: there an actor ends with its node, or its supervisor brings it back.
 */
export function watchShard(target: RemoteName, state: ConnectionState, ctx: Context): void {
  if (target.node === undefined) return;
  const key = `${target.name} ${target.node} ${target.worker}`;
  if (state.watched?.has(key) === true) return;
  // A copy: an address follows its shard, the monitor stays with the actor.
  watchOnce(key, target.shard, { ...target }, state, ctx);
}

/** The inbox that has taken the connection, in the place of one that had before. */
export function watchInbox(inbox: Pid, state: ConnectionState, ctx: Context): void {
  if (state.inboxWatch !== undefined) ctx.demonitor(state.inboxWatch);
  const ref = ctx.monitor(inbox);
  if (state.routes.isClustered) state.inboxWatch = ref;
}

function watchOnce(
  key: string,
  shard: number | undefined,
  target: Pid | RemoteName,
  state: ConnectionState,
  ctx: Context,
): void {
  state.watched ??= new Set();
  if (state.watched.has(key)) return;
  state.watched.add(key);
  const ref = ctx.monitor(target);
  if (state.routes.isClustered) (state.watches ??= new Map()).set(ref.id, { key, shard });
}

/** One of them has ended. A client that has been greeted again has nothing unanswered anywhere; any other waits for the next owner, or comes again. */
export function lose({ ref, pid }: Down, state: ConnectionState, ctx: Context): void {
  const watch = state.watches?.get(ref.id);
  state.watches?.delete(ref.id);
  if (watch !== undefined) state.watched?.delete(watch.key);
  if (state.former !== undefined) return;
  if (!waitsForOwner(watch?.shard, pid, state, ctx)) closeSoon(state, ctx);
}

/** Without a shard it is the client's inbox, or the keeper of a worker, which ends with it: then its shards, of which one may be the client's own, have other owners soon. */
function waitsForOwner(of: number | undefined, { node, worker }: Pid, state: ConnectionState, ctx: Context): boolean {
  const { phase, routes } = state;
  if (phase.name !== 'live' || !routes.isClustered) return false;
  const { shard } = of === undefined ? routes.inboxOf(phase.self.user) : { shard: of };
  if (shard === undefined) return false;
  (state.lost ??= new Set()).add(shard);
  const unserved = (state.unserved ??= new Set());
  // Several of its actors were watched.
  if (unserved.has(shard)) return true;
  unserved.add(shard);
  routes.waitForOwner(shard, { node, worker }, ctx.self);
  return true;
}

/** A shard that was lost is served again. With the last of them the client says again what was not answered. */
export function regain(shard: number, state: ConnectionState, ctx: Context): void {
  if (state.unserved?.delete(shard) !== true || state.unserved.size > 0 || state.phase.name !== 'live') return;
  if (understandsGreetings(state)) greetAgain(state, ctx);
  else closeSoon(state, ctx);
}

/** Nobody serves it: another node may know better. */
export function giveUp(shard: number, state: ConnectionState, ctx: Context): void {
  if (state.unserved?.has(shard) === true && state.phase.name === 'live') closeSoon(state, ctx);
}

function closeSoon(state: ConnectionState, ctx: Context): void {
  closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
}

/**
 * Whether what goes there waits for the next owner, and for the greeting. Nothing is sent then, and nothing refused: the client says it again when it is greeted, or on its next
 * connection. In between it must not pass: an owner begins a conversation that it does not know at any id, and its acknowledgement would cover what was
 * lost before it.
 */
export function isLost({ shard }: RemoteName, { lost }: ConnectionState): boolean {
  return lost !== undefined && shard !== undefined && lost.has(shard);
}

/** In a cluster: the shard's owner is gone, or its actors are not there yet. */
export function isBetweenOwners({ node }: RemoteName, result: SendResult): boolean {
  return node !== undefined && (result === 'noconnection' || result === 'noproc');
}
