/**
 * Devices that come and go: which connection an inbox pushes to, when a device that comes back has its turn, what becomes of what
 * was pushed to one that has gone.
 *
 * What a connection has acknowledged counts while it has its place here. So one that ends, or is replaced, stands in the queue behind its
 * acknowledgements and loses its place once they are planned and written.
 */

import { samePid, type Context, type Ref } from '../runtime/index.ts';
import { givePlace, NEXT_PLACES, nextPlaces, takePlace } from './catch-up.ts';
import { reloadDevices } from './inbox-devices.ts';
import { pump } from './inbox-push.ts';
import { enqueue } from './inbox-queue.ts';
import type { Gone, InboxState } from './inbox-state.ts';
import { tell } from './inbox-tell.ts';
import { LIMITS } from './limits.ts';
import { setAside } from './losses.ts';
import type { Attach } from './messages.ts';
import {
  type Device,
  dropAcknowledged,
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
  if (device.online !== undefined) {
    // While this login waited for its shard, another one, of which nobody knows whether it is newer, has not.
    if (message.isLate === true) return tell(message.connection, { kind: 'overtaken' }, ctx);
    tell(device.online.connection, { kind: 'replaced' }, ctx);
    dropOnline(device, device.online, state, ctx);
  }
  const online = goOnline(device, message, ctx);
  noteAwake(recipient, device, state, ctx);
  state.attached.set(online.monitor.id, online);
  tell(message.connection, { kind: 'attached', inbox: ctx.self }, ctx);
  if (device.fruitless >= LIMITS.undeliverableCountMax) setAside(recipient, device, state, ctx);
  const isBehind = online.cursor < device.head;
  if (isBehind && !takePlace(state.catchUp, online, { recipient, device }, ctx.clock.monotonicMs())) {
    return ctx.requestTurnEnd();
  }
  pump(recipient, device, online, state, ctx);
}

/** A device that got messages on several connections and acknowledged none gets them one at a time, in their turn. */
function goOnline(device: Device, { user, connection, staged, groups = false }: Attach, ctx: Ctx): Online {
  const isStuck = device.fruitless >= LIMITS.fruitlessCountMax;
  const online: Online = {
    user,
    device: device.id,
    connection,
    monitor: ctx.monitor(connection),
    pushes: 0,
    cursor: device.acknowledged,
    window: [],
    windowBytes: 0,
    windowMax: isStuck ? 1 : LIMITS.windowCountMax,
    drained: false,
    staged,
    groups,
    ahead: staged && !isStuck ? 'due' : undefined,
    progressed: false,
    headSeq: 0,
    headSinceMs: 0,
  };
  device.online = online;
  return online;
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

export function dropOnline(device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  ctx.demonitor(online.monitor);
  releaseOnline(device, online, state);
}

function releaseOnline(device: Device, online: Online, state: InboxState): void {
  noteFruit(device, online);
  dropAcknowledged(online, online.window.length);
  givePlace(state.catchUp, online);
  state.attached.delete(online.monitor.id);
  device.online = undefined;
}

/** Counts connections on which everything that was pushed stayed unacknowledged. */
function noteFruit(device: Device, { window, windowMax, progressed }: Online): void {
  const [first] = window;
  if (first === undefined || progressed) return;
  device.fruitless++;
  device.stuckSeq = windowMax === 1 ? first.seq : 0;
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
