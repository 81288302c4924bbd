/**
 * Which devices of a shard are silent: something waits for them, and they acknowledge nothing. The inbox's half of `../wakeups.ts`.
 *
 * A device that is away is silent with its first message. One that is connected and says nothing (a half-open socket, an app that was
 * frozen) is found by looking: a few devices each second, each again within a round, and silent when the same message has stood at
 * the head of its window for a minute. So no message needs a timer or a note, and a device that acknowledges costs nothing. Where the
 * node wakes nobody, nothing is looked at.
 */

import type { Context } from '../../runtime/index.ts';
import type { InboxState } from './state.ts';
import { LIMITS } from '../limits.ts';
import type { WakeupsMessage } from '../messages.ts';
import { findDevice, NOT_SILENT, type Device, type Recipient } from './recipients.ts';

/** A note of the inbox to itself: time to look at the next devices. */
export const LOOK_FOR_SILENCE = 'look-for-silence';

/** The device is away and has something waiting. @param sinceMs - Monotonic. */
export function noteSilent(
  recipient: Recipient,
  device: Device,
  sinceMs: number,
  state: InboxState,
  ctx: Context,
): void {
  if (state.args.wakeups === undefined) return;
  const now = ctx.clock.monotonicMs();
  if (device.silentAtMs !== NOT_SILENT && now - device.silentAtMs < LIMITS.wakeAgainMs) return;
  device.silentAtMs = now;
  tell({ kind: 'silent', user: recipient.user, device: device.id, sinceMs }, state, ctx);
}

/** The device is there, or has acknowledged something. */
export function noteAwake(recipient: Recipient, device: Device, state: InboxState, ctx: Context): void {
  if (state.args.wakeups === undefined) return;
  device.silentAtMs = NOT_SILENT;
  tell({ kind: 'awake', user: recipient.user, device: device.id }, state, ctx);
}

/** Lost where the other is overloaded or restarts: then a device is woken by its next silence. */
function tell(message: WakeupsMessage, { args }: InboxState, ctx: Context): void {
  if (args.wakeups !== undefined) ctx.cast(args.wakeups, message);
}

/** Looks at the next connected devices, and sets the next look. */
export function lookForSilence(state: InboxState, ctx: Context): void {
  const now = ctx.clock.monotonicMs();
  state.silenceRound ??= state.attached.values();
  for (let looked = 0; looked < LIMITS.silenceLookCountMax; looked++) {
    const { value, done } = state.silenceRound.next();
    if (done === true) {
      state.silenceRound = undefined;
      break;
    }
    const recipient = state.recipients.get(value.user);
    const device = recipient && findDevice(recipient, value.device);
    if (recipient !== undefined && device !== undefined) look(recipient, device, now, state, ctx);
  }
  ctx.sendAfter(LIMITS.silenceLookMs, LOOK_FOR_SILENCE);
}

function look(recipient: Recipient, device: Device, now: number, state: InboxState, ctx: Context): void {
  const { online } = device;
  const head = online?.window[0];
  if (online === undefined || head === undefined || device.silentAtMs !== NOT_SILENT) return;
  if (online.headSeq !== head.seq) {
    online.headSeq = head.seq;
    online.headSinceMs = now;
  } else if (now - online.headSinceMs >= LIMITS.wakeAfterMs) {
    noteSilent(recipient, device, online.headSinceMs, state, ctx);
  }
}
