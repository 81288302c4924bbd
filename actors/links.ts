/**
 * Devices that wait to be linked, of all connections whose link ids fall to this worker.
 *
 *   new device ──begin-link──▶ links                                 waits; its code shows the link id to a camera
 *   primary ──find-link──▶ links ──offer-device──▶ accounts ──▶ primary
 *   primary ──approve-link──▶ links ──link-device──▶ accounts        one commit: device, account, signed list
 *                             links ◀──link-settled── accounts
 *   new device ◀──linked── links                                     with the envelope that the primary sealed for it
 *
 * A link lives in memory, for as long as the new device's connection does and five minutes at most: whoever loses it begins
 * another. It is used once. Whether the one who approves may, `accounts.ts` decides; whether the new device is the one in
 * front of the person, the primary's client has checked against the code that the person scanned. Neither the code nor the
 * key in it is ever seen here, so the envelope can be opened by nobody but the device that showed the code.
 */

import type { DeviceKeys } from '../protocol/wire/index.ts';
import { formatPid, isDown, type Behavior, type Context, type Pid, type Ref } from '../runtime/index.ts';
import { answer, refuse, type Destination } from './answering.ts';
import { LIMITS } from './limits.ts';
import type { AccountsMessage, ConnectionMessage, LinksMessage } from './messages.ts';
import type { RemoteName } from './routes.ts';

export interface LinksArgs {
  readonly accountsOf: (user: string) => RemoteName;
}

interface PendingLink {
  readonly connection: Pid;
  readonly monitor: Ref;
  readonly keys: DeviceKeys;
  /** Monotonic milliseconds. */
  readonly beganAtMs: number;
  /** What the new device is told once its commit is flushed; there is none before somebody approves. */
  envelope: Uint8Array | undefined;
}

export interface LinksState {
  readonly args: LinksArgs;
  /** By link id, oldest first. */
  readonly pending: Map<string, PendingLink>;
  /** The link of each connection, by pid. */
  readonly ofConnection: Map<string, string>;
}

type Ctx = Context;
type Message<K extends LinksMessage['kind']> = Extract<LinksMessage, { kind: K }>;

export const links: Behavior<LinksState, LinksArgs, LinksMessage> = {
  name: 'actors/links',

  init(args) {
    return { args, pending: new Map(), ofConnection: new Map() };
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'begin-link':
        return begin(message, state, ctx);
      case 'find-link':
        return find(message, state, ctx);
      case 'approve-link':
        return approve(message, state, ctx);
      case 'link-settled':
        return settle(message, state, ctx);
    }
  },

  handleInfo(info, state, ctx) {
    if (!isDown(info)) return;
    const id = state.ofConnection.get(formatPid(info.pid));
    if (id !== undefined) drop(id, state, ctx);
  },
};

/** A second link of one connection takes the place of the first, as a person asks for another code. */
function begin(message: Message<'begin-link'>, state: LinksState, ctx: Ctx): void {
  const { connection, id, keys } = message;
  const name = formatPid(connection);
  const former = state.ofConnection.get(name);
  if (former !== undefined) drop(former, state, ctx);
  dropExpired(state, ctx);
  const isFull = state.pending.size >= LIMITS.pendingLinksMax || state.pending.has(id);
  if (isFull) return refuse(message, 'APP_OVERLOADED', ctx, LIMITS.linkRetrySeconds);
  const monitor = ctx.monitor(connection);
  state.pending.set(id, { connection, monitor, keys, beganAtMs: ctx.clock.monotonicMs(), envelope: undefined });
  state.ofConnection.set(name, id);
  answer(message, { kind: 'link-begun', id, expires: LIMITS.linkAgeMsMax / 1000 }, ctx);
}

function find(message: Message<'find-link'>, state: LinksState, ctx: Ctx): void {
  const { connection, iq, id, user, by } = message;
  const link = live(id, state, ctx);
  if (link === undefined) return refuse(message, 'APP_UNKNOWN_LINK', ctx);
  const { registration, identity } = link.keys;
  const offer = { kind: 'offer-device', connection, iq, user, by, link: { id, registration, identity } } as const;
  ask(message, user, offer, state, ctx);
}

/** Hands the keys over to be committed. Until that is settled nobody else can approve the same link. */
function approve(message: Message<'approve-link'>, state: LinksState, ctx: Ctx): void {
  const { connection, iq, id, user, by, device, list, envelope } = message;
  const link = live(id, state, ctx);
  if (link === undefined || link.envelope !== undefined) return refuse(message, 'APP_UNKNOWN_LINK', ctx);
  const { keys } = link;
  const change = { kind: 'link-device', connection, iq, user, by, id, device, keys, list } as const;
  if (ask(message, user, change, state, ctx)) link.envelope = envelope;
}

function settle({ id, user, device, linked }: Message<'link-settled'>, state: LinksState, ctx: Ctx): void {
  const link = state.pending.get(id);
  if (link?.envelope === undefined) return;
  if (!linked) return void (link.envelope = undefined);
  const news: ConnectionMessage = { kind: 'linked', user, device, envelope: link.envelope };
  ctx.cast(link.connection, news);
  drop(id, state, ctx);
}

function live(id: string, state: LinksState, ctx: Ctx): PendingLink | undefined {
  dropExpired(state, ctx);
  return state.pending.get(id);
}

/** Links stand in the order of their beginning, so the expired ones are at the front. One that is being committed stays. */
function dropExpired(state: LinksState, ctx: Ctx): void {
  const now = ctx.clock.monotonicMs();
  for (const [id, { beganAtMs, envelope }] of state.pending) {
    if (now - beganAtMs <= LIMITS.linkAgeMsMax) return;
    if (envelope === undefined) drop(id, state, ctx);
  }
}

function drop(id: string, state: LinksState, ctx: Ctx): void {
  const link = state.pending.get(id);
  if (link === undefined) return;
  ctx.demonitor(link.monitor);
  state.pending.delete(id);
  state.ofConnection.delete(formatPid(link.connection));
}

function ask(origin: Destination, user: string, question: AccountsMessage, state: LinksState, ctx: Ctx): boolean {
  if (ctx.cast(state.args.accountsOf(user), question) === 'ok') return true;
  refuse(origin, 'APP_OVERLOADED', ctx, 1);
  return false;
}
