/**
 * How an actor answers what a client has asked: it tells the connection that brought the question, which finds its `<iq>` by the number.
 *
 * Travels with every behaviour that answers. A connection that is gone, or full, hears nothing: its client asks again.
 */

import type { Answer } from '../protocol/wire/index.ts';
import type { Context, Pid } from '../runtime/index.ts';
import type { AppCode } from './errors.ts';
import type { ConnectionMessage } from './messages.ts';

/** Who asked, and what the answer is found by. */
export interface Destination {
  readonly connection: Pid;
  readonly iq: number;
}

/** Gives the answer. */
export function answer(to: Destination, result: Answer, ctx: Pick<Context, 'cast'>): void {
  ctx.cast(to.connection, { kind: 'answer', iq: to.iq, answer: result } satisfies ConnectionMessage);
}

/** Says that there is none, and why. @param retryAfter - Seconds until a repetition makes sense. */
export function refuse(to: Destination, code: AppCode, ctx: Pick<Context, 'cast'>, retryAfter?: number): void {
  const refusal = retryAfter === undefined ? { code } : { code, retryAfter };
  ctx.cast(to.connection, { kind: 'answer-refused', iq: to.iq, refusal } satisfies ConnectionMessage);
}
