/**
 * Requests of a client (`<iq>`): bounded, then put as a question to the actor that answers. Which one it is stands in `route`; the answer
 * comes to the actor of the connection, which writes it.
 *
 * Read next: `device-requests.ts` and `protection-requests.ts`, which route theirs.
 */

import {
  iqResultStanza,
  preKeysLowStanza,
  type IqGetMessage,
  type IqSetMessage,
  type Limit,
  type NotifyRequest,
} from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import type { GroupsMessage } from '../groups/messages.ts';
import type {
  AccountsMessage,
  InboxMessage,
  LinksMessage,
  MediaMessage,
  PresenceMessage,
  QuotasMessage,
  RelationsMessage,
  WakeupsMessage,
} from '../messages.ts';
import { add } from '../metrics/meter.ts';
import type { AccountAction } from '../quotas.ts';
import { bucketFullAt, fullBucket, takeToken, viewBucket } from '../rate-limit.ts';
import type { RemoteName } from '../routes.ts';
import { isDeviceRequest, routeOfDevices } from './device-requests.ts';
import { keyOf } from './phase.ts';
import { refuseSubscription, roomOf } from './presence-signals.ts';
import { routeProtection } from './protection-requests.ts';
import { BYTES_RULE, LIMITED, MESSAGE_RULE, ratesOf, REQUEST_RULE } from './rates.ts';
import { refuseRequest } from './refusals.ts';
import { deviceOf, livePhase, liveSelf, understandsGaps, type ConnectionState, type LowWater } from './state.ts';
import { isLost, watchShard } from './watching.ts';

type AnyRequest = (IqGetMessage | IqSetMessage)['request'];

type RoutedRequest = Exclude<AnyRequest, NotifyRequest>;

type Question =
  | AccountsMessage
  | InboxMessage
  | LinksMessage
  | MediaMessage
  | PresenceMessage
  | QuotasMessage
  | RelationsMessage
  | GroupsMessage
  | WakeupsMessage;

/** Passes a request on, or refuses it at once. */
export function takeRequest(message: IqGetMessage | IqSetMessage, state: ConnectionState, ctx: Context): void {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.requests ??= fullBucket(REQUEST_RULE, now);
  const waitMs = takeToken(rates.requests, REQUEST_RULE, now);
  if (waitMs > 0) {
    add(LIMITED.request);
    return refuseRequest(message.id, { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) }, state);
  }
  const deferral = state.phase.name === 'live' ? undefined : state.admission.register(state.socket.address);
  if (deferral !== undefined) return refuseRequest(message.id, deferral, state);
  const { request } = message;
  const watched = watchedBy(request);
  if (watched !== undefined && refuseSubscription(watched, state)) {
    return refuseRequest(message.id, { code: 'APP_TOO_MANY_SUBSCRIPTIONS' }, state);
  }
  if (request.kind === 'notify') return noteLowWater(message.id, request, state);
  const [target, question] = route(message.id, request, state, ctx);
  if (isLost(target, state)) return;
  if (ctx.cast(target, question) === 'ok') return watchShard(target, state, ctx);
  refuseRequest(message.id, { code: 'APP_OVERLOADED', retryAfter: 1 }, state);
}

/** Who answers a request, and the question put to it. */
function route(id: number, request: RoutedRequest, state: ConnectionState, ctx: Context): [RemoteName, Question] {
  const { routes } = state;
  const origin = { connection: ctx.self, iq: id };
  if (isDeviceRequest(request)) {
    const self = state.phase.name === 'live' ? state.phase.self : undefined;
    return routeOfDevices(request, origin, self, routes, ctx);
  }
  switch (request.kind) {
    case 'register':
      return [routes.accountsOfPhone(request.phone), { kind: 'request-code', ...origin, phone: request.phone }];
    case 'confirm':
      return [routes.accountsOfPhone(request.phone), { kind: 'confirm', ...origin, request }];
    case 'contact': {
      const target = routes.accountsOfPhone(request.phone);
      return spend('contact', target, { kind: 'find-contact', ...origin, phone: request.phone }, state);
    }
    case 'bundle': {
      const { user, withList = false } = request;
      const self = liveSelf(state);
      const asker = { requester: self.user, except: user === self.user ? self.device : undefined };
      const question = { kind: 'take-bundle', ...origin, user, ...asker, withList } as const;
      return spend('bundle', routes.accountsOf(user), question, state);
    }
    case 'prekey-count':
      return [routes.accountsOf(liveSelf(state).user), { kind: 'count-prekeys', ...origin, ...deviceOf(state) }];
    case 'prekey-upload': {
      const upload = { kind: 'add-prekeys', ...origin, ...deviceOf(state), request } as const;
      return [routes.accountsOf(upload.user), upload];
    }
    case 'receipts': {
      const phase = livePhase(state);
      const sender = { sender: phase.self, senderKey: keyOf(phase) };
      const query = { kind: 'query-conversation', ...origin, ...sender, to: request.to } as const;
      return [routes.inboxOf(request.to), { ...query, withGaps: understandsGaps(state) }];
    }
    case 'group': {
      const { group, after, gate } = request;
      const { self } = livePhase(state);
      return [routes.groupsOf(group), { kind: 'group-query', ...origin, self, group, after, gate }];
    }
    case 'group-marks': {
      const { group, after } = request;
      return [
        routes.groupsOf(group),
        { kind: 'group-marks-query', ...origin, self: livePhase(state).self, group, after },
      ];
    }
    case 'group-change': {
      const { group, change } = request;
      return [routes.groupsOf(group), { kind: 'group-change', ...origin, self: livePhase(state).self, group, change }];
    }
    case 'media-ticket': {
      const { user } = liveSelf(state);
      return [routes.mediaOf(user), { kind: 'grant-ticket', ...origin, user, bytes: request.bytes }];
    }
    case 'presence':
    case 'subscribe': {
      const { user: viewer } = liveSelf(state);
      const [owner, keep] = request.kind === 'subscribe' ? [request.to, true] : [request.user, false];
      return [routes.presenceOf(viewer), { kind: 'look-up', ...origin, viewer, owner, keep }];
    }
    case 'group-subscribe': {
      const { user } = liveSelf(state);
      const { group } = request;
      return [routes.presenceOf(group), { kind: 'watch-group', ...origin, user, group }];
    }
    case 'privacy': {
      const { user } = liveSelf(state);
      return [routes.presenceOf(user), { kind: 'read-privacy', ...origin, user }];
    }
    case 'privacy-change': {
      const { user } = liveSelf(state);
      const { audience, shown, hidden } = request;
      const settings = { audience, shown, hidden };
      return [routes.presenceOf(user), { kind: 'change-privacy', ...origin, user, settings }];
    }
    default:
      return routeProtection(request, { ...origin, ...deviceOf(state) }, ownLimits(state, ctx), routes);
  }
}

/** Whose presence, or which group's typing, a request subscribes to. */
function watchedBy(request: AnyRequest): string | undefined {
  if (request.kind === 'subscribe') return request.to;
  return request.kind === 'group-subscribe' ? roomOf(request.group) : undefined;
}

/** By way of the account's quota, which sends the question on. */
function spend(
  action: AccountAction,
  target: RemoteName,
  question: AccountsMessage,
  state: ConnectionState,
): [RemoteName, Question] {
  const { user } = liveSelf(state);
  return [state.routes.quotasOf(user), { kind: 'spend', action, user, target, question }];
}

/** What this connection bounds by itself. */
function ownLimits(state: ConnectionState, ctx: Context): Limit[] {
  const { messages, bytesFullAtMs, requests } = ratesOf(state);
  const now = ctx.clock.monotonicMs();
  return [
    { action: 'message', ...viewBucket(messages ?? fullBucket(MESSAGE_RULE, now), MESSAGE_RULE, now) },
    { action: 'bytes', ...viewBucket(bucketFullAt(bytesFullAtMs, BYTES_RULE, now), BYTES_RULE, now) },
    { action: 'request', ...viewBucket(requests ?? fullBucket(REQUEST_RULE, now), REQUEST_RULE, now) },
  ];
}

function noteLowWater(id: number, { preKeys, kemPreKeys }: NotifyRequest, state: ConnectionState): void {
  state.lowWater = { preKeys, kemPreKeys };
  state.socket.write(iqResultStanza({ id, answer: { kind: 'notify', preKeys, kemPreKeys } }));
}

/** Only a client that asked: one that did not need not know this stanza. */
export function writePreKeysLow({ preKeys, kemPreKeys }: LowWater, { lowWater, socket }: ConnectionState): void {
  if (preKeys >= lowWater.preKeys && kemPreKeys >= lowWater.kemPreKeys) return;
  socket.write(preKeysLowStanza({ preKeys, kemPreKeys }));
}
