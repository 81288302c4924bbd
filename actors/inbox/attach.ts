/**
 * Devices that come and go: which connection an inbox pushes to, when a device that comes back has its turn, what becomes of what
 * was pushed to one that has gone.
 *
 * What a connection has acknowledged counts while it has its place here. So one that ends, or is replaced, stands in the queue behind its
 * acknowledgements and loses its place once they are planned and written.
 */

import { samePid, type Context, type Ref } from '../../runtime/index.ts';
import { NEXT_PLACES, nextPlaces, takePlace } from './catch-up.ts';
import { attachedTo } from './detour.ts';
import { reloadDevices } from './devices.ts';
import { dropOnline, goOnline, releaseOnline } from './online.ts';
import { pump } from './push.ts';
import { enqueue } from './queue.ts';
import type { Gone, InboxState } from './state.ts';
import { tell } from './tell.ts';
import { LIMITS } from '../limits.ts';
import { setAside } from './losses.ts';
import type { Acknowledge, Attach } from '../messages.ts';
import {
  type Device,
  findDevice,
  findRecipient,
  isPresent,
  type Online,
  type Recipient,
  trimRecipients,
} from './recipients.ts';
import { noteAwake, noteSilent } from './silence.ts';

type Ctx = Context;

/**
 * Whether the connection that this login replaces has acknowledged something that is not planned yet: it keeps its place until then, or
 * the device would get once more what it has stored. Not where commits do not settle for now.
 */
export function isBehindAcknowledgement(
  { user, device: id }: Attach,
  { queue, recipients, args }: InboxState,
): boolean {
  if (queue.length === 0 || args.committer.isCutOff()) return false;
  const recipient = recipients.get(user);
  const online = recipient && findDevice(recipient, id)?.online;
  if (online === undefined) return false;
  return queue.some((item) => item.kind === 'acknowledge' && samePid(item.connection, online.connection));
}

/**
 * Whether this inbox has pushed to the connection that acknowledges. One from before its login here means what another inbox pushed, maybe in another order:
 * while it waited in the queue the connection would attach, and it would cover what its client has not got.
 */
export function isAttached({ user, device: id, connection }: Acknowledge, { recipients }: InboxState): boolean {
  const recipient = recipients.get(user);
  const online = recipient && findDevice(recipient, id)?.online;
  return online !== undefined && samePid(online.connection, connection);
}

/** The commit that takes along what was acknowledged before is under way. */
export function comeOrGo(passage: Attach | Gone, state: InboxState, ctx: Ctx): void {
  if (passage.kind === 'attach') attach(passage, state, ctx);
  else detach(passage.monitor, state, ctx);
}

export function attach(message: Attach, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.user);
  if (recipient !== undefined && findDevice(recipient, message.device) === undefined)
    reloadDevices(recipient, state, ctx);
  const device = recipient && findDevice(recipient, message.device);
  if (recipient === undefined || device === undefined) return tell(message.connection, { kind: 'unregistered' }, ctx);
  if (!isPresent(device, message.user, message.creation, state.args.store)) {
    return tell(message.connection, { kind: 'unregistered' }, ctx);
  }
  if (device.online !== undefined && samePid(device.online.connection, message.connection)) {
    takeAgain(device, device.online, state, ctx);
  } else if (device.online !== undefined) {
    // While this login waited for its shard, another one, of which nobody knows whether it is newer, has not.
    if (message.isLate === true) return tell(message.connection, { kind: 'overtaken' }, ctx);
    tell(device.online.connection, { kind: 'replaced' }, ctx);
    dropOnline(device, device.online, state, ctx);
  }
  const online = goOnline(device, message, ctx);
  noteAwake(recipient, device, state, ctx);
  state.attached.set(online.monitor.id, online);
  tell(message.connection, attachedTo(state, message, ctx), ctx);
  if (device.fruitless >= LIMITS.undeliverableCountMax) setAside(recipient, device, state, ctx);
  const isBehind = online.cursor < device.head;
  if (isBehind && !takePlace(state.catchUp, online, { recipient, device }, ctx.clock.monotonicMs())) {
    return ctx.requestTurnEnd();
  }
  pump(recipient, device, online, state, ctx);
}

/**
 * The connection that has the device already has logged in again, after a second greeting. Everything is pushed once more, maybe in another order, so an
 * acknowledgement from before would cover what its client has not got: one that is not planned yet is forgotten. It comes again with what it was for.
 */
function takeAgain(device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  const { connection } = online;
  // Where commits settle, a login waits behind them; see `isBehindAcknowledgement`.
  if (state.args.committer.isCutOff()) {
    state.queue = state.queue.filter((item) => item.kind !== 'acknowledge' || !samePid(item.connection, connection));
  }
  dropOnline(device, online, state, ctx);
}

/** Reads out those whose turn has come, and looks again later while others wait. */
export function startCatchingUp(state: InboxState, ctx: Ctx): void {
  for (const { recipient, device } of nextPlaces(state.catchUp, ctx.clock.monotonicMs())) {
    if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
  }
  if (state.catchUp.waiting.size === 0 || state.looksAgain) return;
  state.looksAgain = true;
  ctx.sendAfter(LIMITS.catchUpLookMs, NEXT_PLACES);
}

export function goOnCatchingUp(state: InboxState, ctx: Ctx): void {
  state.looksAgain = false;
  if (state.catchUp.waiting.size > 0) startCatchingUp(state, ctx);
}

export function detach(monitor: Ref, state: InboxState, ctx: Ctx): void {
  const online = state.attached.get(monitor.id);
  const recipient = online && state.recipients.get(online.user);
  const device = recipient && findDevice(recipient, online!.device);
  if (recipient === undefined || device === undefined || device.online !== online) return;
  releaseOnline(device, online!, state);
  if (device.count > 0) noteSilent(recipient, device, ctx.clock.monotonicMs(), state, ctx);
  moveLater(recipient, device, state, ctx);
  trimRecipients(state.recipients, recipient);
}

/** Asks for a move of what the device has in the fresh tier, if there is anything. */
export function moveLater(recipient: Recipient, device: Device, state: InboxState, ctx: Ctx): void {
  if (device.fresh.length > 0) enqueue({ kind: 'move-fresh', user: recipient.user, device: device.id }, state, ctx);
}
