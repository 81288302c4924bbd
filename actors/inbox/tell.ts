/** How an inbox speaks to connections. */

import type { Context, Pid, SendResult } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import type { Told } from './state.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, Submit } from '../messages.ts';
import type { ForwardAnswer } from '../outbox/messages.ts';

type Ctx = Context;

/** That a message is refused, for the connection that it came on, or the outbox. */
export function refusalOf(
  { connection, to, id, senderKey, forward }: Submit,
  refusal: Refusal,
): Told<ConnectionMessage | ForwardAnswer> {
  if (forward !== undefined) return { connection, message: { kind: 'forward-refused', senderKey, to, id, refusal } };
  return { connection, message: { kind: 'refused', to, id, refusal } };
}

export function storeFull(): Refusal {
  return { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds };
}

export function refuse(message: Submit, refusal: Refusal, ctx: Ctx): void {
  tellAll([refusalOf(message, refusal)], ctx);
}

export function tellAll(told: readonly Told<ConnectionMessage | ForwardAnswer>[], ctx: Ctx): void {
  for (const { connection, message } of told) tell(connection, message, ctx);
}

/**
 * A connection that cannot be told something is ended, and its client finds everything in the inbox when it comes back.
 * Most likely its mailbox is full, and it does not keep up with its own acknowledgements. Going on without the message
 * would lose it: the next acknowledgement is cumulative. One that is gone already comes as a down.
 */
export function tell(connection: Pid, message: ConnectionMessage | ForwardAnswer, ctx: Ctx): void {
  const result = ctx.cast(connection, message);
  if (result === 'ok' || result === 'noproc' || result === 'noconnection') return;
  // An outbox that has no room for an answer sends again, and is answered again.
  if (message.kind === 'forward-refused' || message.kind === 'forwarded') return;
  endOverloaded(connection, message.kind, result, ctx);
}

/** Ends a connection that could not be told something. */
export function endOverloaded(connection: Pid, kind: ConnectionMessage['kind'], result: SendResult, ctx: Ctx): void {
  if (result !== 'full') ctx.log.error('push_failed', { kind, result });
  ctx.exit(connection, { shutdown: 'overload' });
}
