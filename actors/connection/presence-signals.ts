/**
 * A connection's part in presence and typing: how much of it is heard, and where it goes.
 *
 * These are signals, not messages: beyond their rate, and where a presence actor has no room, they are lost without a word, as
 * an older one is by a newer. Read next: `../presence.ts`, which takes them; `state.ts`, which this works on.
 */

import type {
  AvailabilityMessage,
  GroupUnsubscribeMessage,
  OutgoingGroupTyping,
  OutgoingTyping,
  UnsubscribeMessage,
} from '../../protocol/wire/index.ts';
import type { Context, Pid } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { PresenceMessage } from '../messages.ts';
import { fullBucket, takeToken } from '../rate-limit.ts';
import type { RemoteName } from '../routes.ts';
import { noteTaken, ratesOf, SIGNAL_RULE } from './rates.ts';
import type { ConnectionState } from './state.ts';

type Signal = AvailabilityMessage | OutgoingTyping | UnsubscribeMessage | OutgoingGroupTyping | GroupUnsubscribeMessage;

/** Passes a signal of `user` on. @returns False when there were so many over the rate that the connection is to be closed. */
export function takeSignal(signal: Signal, user: string, state: ConnectionState, ctx: Context): boolean {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.signals ??= fullBucket(SIGNAL_RULE, now);
  if (takeToken(rates.signals, SIGNAL_RULE, now) > 0) return ++rates.refusals <= LIMITS.rateRefusalsMax;
  noteTaken(rates);
  if (signal.kind === 'unsubscribe' && !state.subscriptions?.delete(signal.to)) return true;
  if (signal.kind === 'group-unsubscribe' && !state.subscriptions?.delete(roomOf(signal.group))) return true;
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
    case 'group-typing':
      return [routes.presenceOf(user), { kind: 'group-typing', user, group: signal.group, state: signal.state }];
    case 'group-unsubscribe':
      return [routes.presenceOf(signal.group), { kind: 'unwatch-group', connection: ctx.self, group: signal.group }];
  }
}

/**
 * Takes back what `user` has said and asked on this connection. When it is greeted again what would take it back may be lost, and what holds is said and asked
 * once more behind the login.
 */
export function takeBackPresence(user: string, state: ConnectionState, ctx: Context): void {
  const { routes, subscriptions } = state;
  const connection = ctx.self;
  const absence: PresenceMessage = { kind: 'announce', connection, user, state: 'unavailable' };
  ctx.cast(routes.presenceOf(user), absence);
  if (subscriptions === undefined) return;
  state.subscriptions = undefined;
  for (const name of subscriptions) ctx.cast(routes.presenceOf(ownerOf(name)), unsubscribed(name, connection));
}

function unsubscribed(name: string, connection: Pid): PresenceMessage {
  const owner = ownerOf(name);
  return owner === name ? { kind: 'unwatch', connection, owner } : { kind: 'unwatch-group', connection, group: owner };
}

const ROOM_MARK = 'group ';

/** Under which name a group stands among the subscriptions of a connection: its id may be that of a user as well. */
export function roomOf(group: string): string {
  return ROOM_MARK + group;
}

/** The user or the group that stands under a name. */
function ownerOf(name: string): string {
  return name.startsWith(ROOM_MARK) ? name.slice(ROOM_MARK.length) : name;
}

/** Notes a subscription to `owner`, unless the connection has as many as it may. @returns Whether it is refused. */
export function refuseSubscription(owner: string, state: ConnectionState): boolean {
  const subscriptions = (state.subscriptions ??= new Set());
  if (!subscriptions.has(owner) && subscriptions.size >= LIMITS.presenceSubscriptionsMax) return true;
  subscriptions.add(owner);
  return false;
}
