/**
 * Messages that the outbox of their sender's shard forwards: they were acknowledged there, so nobody can mend them any more.
 *
 * Their order is the one of every message. What differs: they are taken for those of the recipient's devices that they were encrypted for, for their client has
 * forgotten them. A device that is left out is told, and where none is left the message is lost, which both ends are told. Answers go to the outbox,
 * receipts to the sender as ever. Read next: `../outbox.ts`, which forwards.
 */

import type { Context } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import type { Forwarded, Submit } from '../messages.ts';
import type { ForwardAnswer } from '../outbox/messages.ts';
import { isInDoubt } from '../store/doubt.ts';
import type { LossCode } from '../store/loss.ts';
import { isOpen, missingBefore } from './order.ts';
import { planGivenUp, planMissedBy, settleDoubt } from './plan-losses.ts';
import type { Conversation, Device, Recipient } from './recipients.ts';
import type { Commit, InboxState } from './state.ts';
import { isBlocked } from './strangers.ts';

export function isForwarded(message: Submit): message is Forwarded {
  return message.forward !== undefined;
}

/** Its outbox is told after the flush how far the conversation has come. */
export function noteForwarded(message: Forwarded, conversation: Conversation, commit: Commit): void {
  (commit.forwarded ??= new Map()).set(conversation, message);
}

/** Whether it comes too early: only the next one may, or one that says that it opens the row. */
export function refuseForwardOrder({ id, forward }: Forwarded, conversation: Conversation): Refusal | undefined {
  if (forward.opens) return undefined;
  // In doubt as without a record any id would do, and what was sent before may have been lost on its way.
  if (isOpen(conversation)) return { code: 'APP_OUT_OF_ORDER' };
  const expected = missingBefore(id, conversation, false);
  return expected === undefined ? undefined : { code: 'APP_OUT_OF_ORDER', expected };
}

/** What is missing before it is lost: its outbox lacks it, and its client has forgotten it. */
export function settleBefore(
  { id }: Forwarded,
  conversation: Conversation,
  recipient: Recipient,
  commit: Commit,
  state: InboxState,
): void {
  const isMissing = conversation.known && id > conversation.accepted + 1;
  if (isMissing || isInDoubt(conversation)) settleDoubt(id, conversation, recipient, commit, state);
}

/**
 * Notes who does not get it, once it is accepted.
 *
 * @param devices - Of the recipient, all that should have got it.
 */
export function settleMissed(
  message: Forwarded,
  devices: readonly Device[],
  conversation: Conversation,
  recipient: Recipient,
  commit: Commit,
  state: InboxState,
): void {
  const { id, envelopes, forward } = message;
  if (isBlocked(conversation.standing)) return;
  const missed = devices.filter((device) => !envelopes.some((envelope) => envelope.device === device.id));
  const code: LossCode = forward.lost ?? 'APP_DEVICES_CHANGED';
  const gap = { since: id, until: id, code };
  const site = { conversation, recipient, commit, state };
  if (missed.length === devices.length) planGivenUp(gap, missed, site);
  else for (const device of missed) planMissedBy(device, gap, site);
}

/** What was committed is there: the outboxes may forget it. An answer that is lost is asked for by a resend. */
export function tellOutboxes({ forwarded }: Commit, ctx: Context): void {
  if (forwarded === undefined) return;
  for (const [{ accepted: id }, { connection, senderKey, to }] of forwarded) {
    ctx.cast(connection, { kind: 'forwarded', senderKey, to, id } satisfies ForwardAnswer);
  }
}
