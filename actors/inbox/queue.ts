/**
 * What waits for the next commit of an inbox, and what is turned away before it waits. Knows no order of conversations: `plan.ts`.
 */

import type { Context } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { noteTurnedAway } from './order.ts';
import type { InboxState, Queued } from './state.ts';
import { refuse, storeFull } from './tell.ts';
import { LIMITS } from '../limits.ts';
import type { Submit } from '../messages.ts';

type Ctx = Context;

export function enqueue(message: Queued, state: InboxState, ctx: Ctx): void {
  if (message.kind === 'submit') {
    const refusal = refuseEarly(message, state, ctx);
    if (refusal !== undefined) {
      noteTurnedAway([message], state);
      return refuse(message, refusal, ctx);
    }
  } else if (state.queue.length >= LIMITS.repeatedQueueMax && REPEATED.has(message.kind)) return;
  state.queue.push(message);
  ctx.requestTurnEnd();
}

/**
 * What comes again if it is lost here: a connection says its last acknowledgement twice, a read mark is covered by the next, and
 * the owner of a group repeats what is not confirmed. Everything else in the queue is bounded by what there is of devices.
 */
const REPEATED: ReadonlySet<Queued['kind']> = new Set(['acknowledge', 'mark-read', 'fan-out']);

/** Refusals that need no look at the order of the conversation. */
function refuseEarly(message: Submit, state: InboxState, ctx: Ctx): Refusal | undefined {
  if (state.queue.length >= LIMITS.commitQueueMax) return { code: 'APP_OVERLOADED', retryAfter: 1 };
  if (ctx.clock.monotonicMs() < state.fullUntilMs) return storeFull();
  if (state.args.committer.isCutOff()) return { code: 'APP_UNAVAILABLE', retryAfter: 1 };
  for (const { ciphertext } of message.envelopes) {
    if (ciphertext.length > LIMITS.ciphertextBytesMax) return { code: 'APP_MESSAGE_TOO_LARGE' };
  }
  return undefined;
}
