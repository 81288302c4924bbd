/**
 * The connection that an inbox pushes to, for as long as the device has it: what is kept of it, and what its end leaves behind.
 *
 * Tells nobody and queues nothing. Who comes and goes: `attach.ts`; who is sent away: `devices.ts`.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { Attach } from '../messages.ts';
import { givePlace } from './catch-up.ts';
import { dropAcknowledged, type Device, type Online } from './recipients.ts';
import type { InboxState } from './state.ts';

type Ctx = Context;

/** A device that got messages on several connections and acknowledged none gets them one at a time, in their turn. */
export function goOnline(device: Device, { user, connection, staged, groups = false }: Attach, ctx: Ctx): Online {
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
    held: undefined,
  };
  device.online = online;
  return online;
}

/** Ends it from here: the connection's own end is not awaited. */
export function dropOnline(device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  ctx.demonitor(online.monitor);
  releaseOnline(device, online, state);
}

/** It is over. What was pushed on it and is not acknowledged is pushed again on the next. */
export function releaseOnline(device: Device, online: Online, state: InboxState): void {
  noteFruit(device, online);
  dropAcknowledged(online, online.window.length);
  givePlace(state.catchUp, online);
  state.attached.delete(online.monitor.id);
  device.online = undefined;
  online.held = undefined;
}

/** Counts connections on which everything that was pushed stayed unacknowledged. */
function noteFruit(device: Device, { window, windowMax, progressed }: Online): void {
  const [first] = window;
  if (first === undefined || progressed) return;
  device.fruitless++;
  device.stuckSeq = windowMax === 1 ? first.seq : 0;
}
