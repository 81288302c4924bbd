/**
 * Messages of this shard's people to somebody whose shard is out of reach, on their way to the outbox beside this inbox; and what a login learns of them.
 *
 * They pass through the inbox because it knows which connection of a device is the present one. What a former connection has said and nobody has answered, its
 * client says again on the next one: taken from both, an id could come to mean two messages.
 */

import { samePid, type Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { Attach, ConnectionMessage } from '../messages.ts';
import { detoursOf, noteGone, noteWaiting } from '../outbox/load.ts';
import type { Detour } from '../outbox/messages.ts';
import { findDevice, senderKeyOf } from './recipients.ts';
import type { InboxState } from './state.ts';
import { tell } from './tell.ts';

/** Hands a message to the outbox, if it is of the connection that the device has now. */
export function passOn(message: Detour, { args, recipients }: InboxState, ctx: Context): void {
  const { connection, sender, senderKey, to, id } = message;
  const recipient = recipients.get(sender.user);
  const online = recipient && findDevice(recipient, sender.device)?.online;
  if (online === undefined || !samePid(online.connection, connection)) return;
  const { outbox, load } = args;
  noteWaiting(load.outbox, senderKey, to);
  if (outbox !== undefined && ctx.cast(outbox, message) === 'ok') return;
  noteGone(load.outbox, senderKey, to, 1);
  tell(connection, { kind: 'refused', to, id, refusal: { code: 'APP_OVERLOADED', retryAfter: 1 } }, ctx);
}

/** That a connection is attached, and what it has to know of the outbox. */
export function attachedTo({ args: { load } }: InboxState, sender: Attach, ctx: Context): ConnectionMessage {
  // A state of before a reload of the code may know no outbox.
  const waiting = load.outbox as typeof load.outbox | undefined;
  const isDoubted = waiting !== undefined && waiting.doubtedMs > ctx.clock.nowMs() - LIMITS.messageAgeMsMax;
  const detours = waiting && waiting.waiting.size > 0 ? detoursOf(waiting, senderKeyOf(sender)) : undefined;
  if (detours === undefined && !isDoubted) return { kind: 'attached', inbox: ctx.self };
  return { kind: 'attached', inbox: ctx.self, detours: detours ?? [], isDoubted };
}
