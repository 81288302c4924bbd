/**
 * When a message takes the detour: its recipient's shard is out of reach, and it goes into the outbox of the sender's own shard, which acknowledges it.
 *
 * An acknowledgement covers all smaller ids, so the outbox may take a message only if everything before it is stored somewhere. The connection knows: a client begins
 * with the first message that has no check mark, so what comes here without anything unanswered or refused before it is the first without one.
 *
 *   nothing of the recipient is unanswered, nothing before it was refused    it may take the detour
 *   a shard has it and has not answered                                      it is refused, and goes again on the next connection
 *   something before it was refused, here or by a shard                      it is refused until that comes again
 *   something of the device to the recipient is in the outbox                it takes the detour, behind that, whatever is in reach
 *
 * The last row holds also for a connection that begins: it learns at login for whom something waits. Where the recipient's shard has no record, any id begins
 * it, so what waits would pass for a resend and be dropped if a later one came first.
 *
 * Only where a node is one of a cluster. Kept per connection, and only by those that need it. The outbox: `../outbox.ts`.
 */

import type { OutgoingMessage } from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { InboxMessage } from '../messages.ts';
import { keyOf } from './phase.ts';
import { forgetThrough, lastBefore } from './runs.ts';
import { livePhase, type ConnectionState } from './state.ts';
import { isLost } from './watching.ts';

export interface Detours {
  /** Recipients for whom something is in the outbox, or on its way there. */
  readonly open: Set<string>;
  /** By recipient, the first id that was refused, here or by a shard, and has not come again. */
  readonly refused: Map<string, number>;
  /** Those of them whose recipient's shard said that it cannot commit: when they come again they take the detour. */
  readonly cutOff: Set<string>;
  /**
   * The outbox may have lost what it had taken. Then the first message to anybody takes the detour, for behind it the recipient's shard takes what follows a hole; here are
   * those who had one. `undefined` where nothing was lost.
   */
  readonly met: Set<string> | undefined;
}

function noDetours(met: Set<string> | undefined = undefined): Detours {
  return { open: new Set(), refused: new Map(), cutOff: new Set(), met };
}

/** What the login has brought. */
export function beginDetours(
  { detours = [], isDoubted = false }: { readonly detours?: readonly string[]; readonly isDoubted?: boolean },
  state: ConnectionState,
): void {
  // A connection that is greeted a second time begins anew.
  if (state.detours !== undefined) state.detours = undefined;
  if (detours.length === 0 && !isDoubted) return;
  state.detours = noDetours(isDoubted ? new Set() : undefined);
  for (const to of detours) state.detours.open.add(to);
}

/**
 * Whether a message goes to the outbox without the recipient's shard being asked. Not because that shard has just lost its owner: the next one is there within
 * milliseconds or seconds, and an outbox that waits for a lost answer holds the message longer.
 */
export function takesDetour(to: string, id: number, state: ConnectionState): boolean {
  const { detours } = state;
  if (detours?.open.has(to) === true) return true;
  if (!mayTakeDetour(to, id, state)) return false;
  if (detours?.met?.has(to) === false) return true;
  return detours?.cutOff.has(to) === true && detours.refused.get(to) === id;
}

/** Whether a message waits with its client until a shard that was lost has another owner: the recipient's, or the sender's own where it takes the detour. */
export function isHeld(to: string, id: number, state: ConnectionState): boolean {
  const { routes } = state;
  const way = takesDetour(to, id, state) ? livePhase(state).self.user : to;
  if (!isLost(routes.inboxOf(way), state)) return false;
  // What follows must not pass it.
  noteRefusal(to, id, { code: 'APP_OVERLOADED' }, state);
  return true;
}

/** Whether everything before a message has its check mark, so that the outbox may take it. */
export function mayTakeDetour(to: string, id: number, state: ConnectionState): boolean {
  const { routes } = state;
  const target = routes.inboxOf(to);
  if (target.node === undefined || target === routes.inboxOf(livePhase(state).self.user)) return false;
  return state.pending?.runs?.has(to) !== true && !isBehindRefused(to, id, state);
}

function isBehindRefused(to: string, id: number, { detours }: ConnectionState): boolean {
  return detours !== undefined && id > (detours.refused.get(to) ?? id);
}

/**
 * The last message before `id` of which this connection does not know that it is stored: it has no answer, or was refused and has not come again. 0 for none. Who takes
 * `id` must have taken that one: it may have gone to another owner of the shard, with whom it was lost.
 */
export function lastUnstored(to: string, id: number, { pending, detours }: ConnectionState): number {
  const unanswered = lastBefore(pending?.runs, to, id);
  const refused = detours?.refused.get(to) ?? id;
  return refused < id ? Math.max(unanswered, refused) : unanswered;
}

/** Hands a message to the outbox. @returns Why not, if it did not take it. */
export function sendByDetour(
  { to, id, envelopes }: OutgoingMessage,
  state: ConnectionState,
  ctx: Context,
): Refusal | undefined {
  if (isBehindRefused(to, id, state)) return { code: 'APP_OUT_OF_ORDER' };
  const phase = livePhase(state);
  const { self } = phase;
  const after = lastBefore(state.pending?.runs, to, id);
  const message: InboxMessage = {
    kind: 'detour',
    connection: ctx.self,
    sender: self,
    senderKey: keyOf(phase),
    to,
    id,
    after,
    envelopes,
  };
  if (ctx.cast(state.routes.inboxOf(self.user), message) !== 'ok') return { code: 'APP_OVERLOADED', retryAfter: 1 };
  (state.detours ??= noDetours()).open.add(to);
  return undefined;
}

/** A message is on its way, to a shard or the outbox. */
export function noteSent(to: string, id: number, { detours }: ConnectionState): void {
  if (detours === undefined) return;
  if (detours.refused.get(to) === id) {
    detours.refused.delete(to);
    detours.cutOff.delete(to);
  }
  if (detours.met !== undefined && detours.met.size < LIMITS.awaitedCountMax) detours.met.add(to);
}

/** A message was refused, here or by a shard. @returns Whether there was room for the note. */
export function noteRefusal(to: string, id: number, { code }: Refusal, state: ConnectionState): boolean {
  if (state.routes.inboxOf(to).node === undefined) return true;
  const { open, refused, cutOff, met } = (state.detours ??= noDetours());
  // The outbox may not have taken it: whom it has not met since a doubt is met when that comes again.
  if (open.has(to)) met?.delete(to);
  if (id <= (refused.get(to) ?? id)) {
    refused.set(to, id);
    if (code === 'APP_UNAVAILABLE' && !open.has(to)) cutOff.add(to);
    else cutOff.delete(to);
  }
  return refused.size <= LIMITS.awaitedCountMax;
}

/** Everything up to `id` is stored: with the recipient's shard, or in the outbox. @returns Whether something of the recipient is in the outbox. */
export function noteAcknowledged(to: string, id: number, { detours }: ConnectionState): boolean {
  if (detours === undefined) return false;
  forgetThrough(detours.refused, to, id);
  if (!detours.refused.has(to)) detours.cutOff.delete(to);
  return detours.open.has(to);
}

/** Nothing is in the outbox any more, unless something is on its way there. */
export function endDetour(to: string, { detours, pending }: ConnectionState): void {
  if (pending?.runs?.has(to) !== true) detours?.open.delete(to);
}
