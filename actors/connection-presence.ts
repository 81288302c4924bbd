/**
 * A connection's part in presence and typing: how much of it is heard, and where it goes.
 *
 * These are signals, not messages: beyond their rate, and where a presence actor has no room, they are lost without a word, as
 * an older one is by a newer. Read next: `presence.ts`, which takes them; `connection.ts`, whose state this works on.
 */

import type { AvailabilityMessage, OutgoingTyping, UnsubscribeMessage } from '../protocol/wire/index.ts';
import type { Context } from '../runtime/index.ts';
import { ratesOf } from './connection-rates.ts';
import type { ConnectionState } from './connection.ts';
import { LIMITS } from './limits.ts';
import { liveRule } from './live-limits.ts';
import type { PresenceMessage } from './messages.ts';
import { fullBucket, takeToken } from './rate-limit.ts';
import type { RemoteName } from './routes.ts';

type Signal = AvailabilityMessage | OutgoingTyping | UnsubscribeMessage;

const SIGNAL_RULE = liveRule('presenceSignalsPerSecondMax', 'presenceSignalsBurstMax');

/** Passes a signal of `user` on. @returns False when there were so many over the rate that the connection is to be closed. */
export function takeSignal(signal: Signal, user: string, state: ConnectionState, ctx: Context): boolean {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.signals ??= fullBucket(SIGNAL_RULE, now);
  if (takeToken(rates.signals, SIGNAL_RULE, now) > 0) return ++rates.refusals <= LIMITS.rateRefusalsMax;
  rates.refusals = 0;
  if (signal.kind === 'unsubscribe' && !state.subscriptions?.delete(signal.to)) return true;
  const [target, message] = routeSignal(signal, user, state, ctx);
  ctx.cast(target, message);
  return true;
}

function routeSignal(
  signal: Signal,
  user: string,
  { routes }: ConnectionState,
  ctx: Context,
): [RemoteName, PresenceMessage] {
  switch (signal.kind) {
    case 'availability':
      return [routes.presenceOf(user), { kind: 'announce', connection: ctx.self, user, state: signal.state }];
    case 'typing':
      return [routes.presenceOf(user), { kind: 'typing', user, to: signal.to, state: signal.state }];
    case 'unsubscribe':
      return [routes.presenceOf(signal.to), { kind: 'unwatch', connection: ctx.self, owner: signal.to }];
  }
}

/** Notes a subscription to `owner`, unless the connection has as many as it may. @returns Whether it is refused. */
export function refuseSubscription(owner: string, state: ConnectionState): boolean {
  const subscriptions = (state.subscriptions ??= new Set());
  if (!subscriptions.has(owner) && subscriptions.size >= LIMITS.presenceSubscriptionsMax) return true;
  subscriptions.add(owner);
  return false;
}
