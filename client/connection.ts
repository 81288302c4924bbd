/**
 * The life of the connection, decided: a pure function from state and event to state and actions.
 *
 *   offline ──start──▶ connecting ──<stream>──▶ authenticating ──<success>──▶ draining ──<offline/>──▶ live
 *      ▲                   ▲                                                                            │
 *      │                   │                                 ▲──────────────── <stream> ────────────────┤
 *      │                   └───────────── backoff timer ◀── waiting (shown as offline) ◀────────────────┤ close, silence
 *      └── stop ─▶ closed ◀──────────────────────── fatal close or refusal ◀────────────────────────────┘
 *
 * It knows no socket, no clock and no key: `connection-driver.ts` carries the actions out. Stanzas that are not about
 * the connection itself pass it by. Each dial has a number, `epoch`; events of an older epoch are stale and ignored, so
 * a late close of the last socket cannot end the present one.
 */

import { backoff } from './backoff.ts';
import type { DelayRange } from './backoff.ts';
import { judgeClose, judgeFailure } from './close-reason.ts';
import type { CloseVerdict, TransportClose } from './close-reason.ts';
import type { ErrorCode } from './errors.ts';
import type { HeldKeys } from './key-stock.ts';
import { LIMITS } from './limits.ts';

/** What an application sees of the connection. */
export type ConnectionState = 'offline' | 'connecting' | 'authenticating' | 'draining' | 'live' | 'closed';

/** The whole state of the machine. */
export interface ConnectionModel {
  readonly state: ConnectionState;
  /** Number of the present or last dial. */
  readonly epoch: number;
  /** Failures in a row: the exponent of the backoff. */
  readonly attempt: number;
  /** True while the application wants to be connected. */
  readonly wanted: boolean;
  /** Monotonic time of the login, for resetting the backoff. */
  readonly liveSinceMs: number | undefined;
  /** Monotonic time of the last message from the server. */
  readonly heardAtMs: number;
  /** True between our `<ping>` and the next byte from the server. */
  readonly probing: boolean;
  /** The server's nonce while a ticket may still be refused: then it is signed instead. */
  readonly nonce: Uint8Array | undefined;
}

/** The timers of the machine; setting one again replaces it. */
export type ConnectionTimer = 'redial' | 'handshake' | 'heartbeat';

export type ConnectionEvent =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'greeted'; readonly epoch: number; readonly nonce: Uint8Array }
  | { readonly type: 'admitted'; readonly epoch: number; readonly held: HeldKeys | undefined; readonly nowMs: number }
  | {
      readonly type: 'refused';
      readonly epoch: number;
      readonly code: ErrorCode;
      readonly retryAfterMs?: number | undefined;
      readonly nowMs: number;
    }
  | { readonly type: 'drained'; readonly epoch: number }
  /** Any message from the server. */
  | { readonly type: 'heard'; readonly epoch: number; readonly nowMs: number }
  | { readonly type: 'lost'; readonly epoch: number; readonly close: TransportClose; readonly nowMs: number }
  | { readonly type: 'elapsed'; readonly timer: ConnectionTimer; readonly nowMs: number }
  /** We ourselves find the connection unusable: the inbox is full, a stanza makes no sense. */
  | { readonly type: 'broken'; readonly code: ErrorCode; readonly fatal: boolean; readonly nowMs: number };

export type ConnectionAction =
  | { readonly type: 'dial'; readonly epoch: number }
  | { readonly type: 'hang-up' }
  /** By ticket if there is one and `signed` is false, otherwise by signature. */
  | { readonly type: 'login'; readonly nonce: Uint8Array; readonly signed: boolean }
  | { readonly type: 'ping' }
  | { readonly type: 'set-timer'; readonly timer: ConnectionTimer; readonly delay: DelayRange }
  | { readonly type: 'clear-timer'; readonly timer: ConnectionTimer }
  | { readonly type: 'state-changed'; readonly state: ConnectionState }
  /** Logged in: stanzas may be sent from now on. */
  | { readonly type: 'opened'; readonly held: HeldKeys | undefined }
  /** No stanza can be sent any more; open requests fail. */
  | { readonly type: 'shut' }
  | { readonly type: 'retrying'; readonly code: ErrorCode; readonly attempt: number }
  | { readonly type: 'gave-up'; readonly code: ErrorCode };

export interface ConnectionStep {
  readonly model: ConnectionModel;
  readonly actions: readonly ConnectionAction[];
}

/** The machine before its first event. */
export const CONNECTION_INITIAL: ConnectionModel = Object.freeze({
  state: 'offline',
  epoch: 0,
  attempt: 0,
  wanted: false,
  liveSinceMs: undefined,
  heardAtMs: 0,
  probing: false,
  nonce: undefined,
});

/** Whether stanzas beyond the handshake may be sent. */
export function isOpen(state: ConnectionState): boolean {
  return state === 'draining' || state === 'live';
}

/** Decides what an event leads to. Total: an event that does not fit the state changes nothing. */
export function stepConnection(model: ConnectionModel, event: ConnectionEvent): ConnectionStep {
  if ('epoch' in event && event.epoch !== model.epoch) return unchanged(model);
  switch (event.type) {
    case 'start':
      return start(model);
    case 'stop':
      return end(model, []);
    case 'greeted':
      return greet(model, event.nonce);
    case 'admitted':
      return model.state === 'authenticating' ? admit(model, event.held, event.nowMs) : unchanged(model);
    case 'refused':
      return refuse(model, event);
    case 'drained':
      return model.state === 'draining' ? enter(model, 'live', []) : unchanged(model);
    case 'heard':
      // No action: re-arming a timer for each message would cost more than the message. See `probe`.
      return unchanged({ ...model, heardAtMs: event.nowMs, probing: false });
    case 'lost':
      return follow(model, judgeClose(event.close), event.nowMs);
    case 'elapsed':
      return elapse(model, event.timer, event.nowMs);
    case 'broken':
      return event.fatal
        ? end(model, [{ type: 'gave-up', code: event.code }])
        : redial(model, event.code, 0, event.nowMs);
  }
}

function start(model: ConnectionModel): ConnectionStep {
  if (model.wanted) return unchanged(model);
  return dial({ ...model, wanted: true, attempt: 0 });
}

function dial(model: ConnectionModel): ConnectionStep {
  const dialled = { ...model, epoch: model.epoch + 1, liveSinceMs: undefined, probing: false };
  return enter(dialled, 'connecting', [
    { type: 'dial', epoch: dialled.epoch },
    setTimer('handshake', LIMITS.handshakeTimeoutMs),
  ]);
}

/** The first greeting, or another one on a connection that is open: then what was not answered on it is lost, and the next login says it again. */
function greet(model: ConnectionModel, nonce: Uint8Array): ConnectionStep {
  const login: ConnectionAction = { type: 'login', nonce, signed: false };
  if (model.state === 'connecting') return enter({ ...model, nonce }, 'authenticating', [login]);
  if (!isOpen(model.state)) return unchanged(model);
  return enter({ ...model, nonce, probing: false }, 'authenticating', [
    { type: 'clear-timer', timer: 'heartbeat' },
    { type: 'shut' },
    setTimer('handshake', LIMITS.handshakeTimeoutMs),
    login,
  ]);
}

/** A refused ticket is answered by a signature over the same nonce, once; everything else ends the connection. */
function refuse(model: ConnectionModel, event: ConnectionEvent & { readonly type: 'refused' }): ConnectionStep {
  const { nonce } = model;
  if (event.code === 'APP_BAD_TICKET' && model.state === 'authenticating' && nonce !== undefined) {
    return { model: { ...model, nonce: undefined }, actions: [{ type: 'login', nonce, signed: true }] };
  }
  return follow(model, judgeFailure(event.code, event.retryAfterMs), event.nowMs);
}

function admit(model: ConnectionModel, held: HeldKeys | undefined, nowMs: number): ConnectionStep {
  return enter({ ...model, liveSinceMs: nowMs, heardAtMs: nowMs, nonce: undefined }, 'draining', [
    { type: 'clear-timer', timer: 'handshake' },
    setTimer('heartbeat', LIMITS.heartbeatQuietMs),
    { type: 'opened', held },
  ]);
}

function follow(model: ConnectionModel, verdict: CloseVerdict, nowMs: number): ConnectionStep {
  if (!hasSocket(model)) return unchanged(model);
  if (verdict.type === 'fatal') return end(model, [{ type: 'gave-up', code: verdict.code }]);
  return redial(model, verdict.code, verdict.floorMs, nowMs);
}

function elapse(model: ConnectionModel, timer: ConnectionTimer, nowMs: number): ConnectionStep {
  if (timer === 'redial') return model.wanted && !hasSocket(model) ? dial(model) : unchanged(model);
  if (timer === 'handshake') {
    const greeting = model.state === 'connecting' || model.state === 'authenticating';
    return greeting ? redial(model, 'CLI_TIMEOUT', 0, nowMs) : unchanged(model);
  }
  return isOpen(model.state) ? probe(model, nowMs) : unchanged(model);
}

/** The heartbeat timer ran: still fresh, time to ask, or dead. */
function probe(model: ConnectionModel, nowMs: number): ConnectionStep {
  const quietMs = nowMs - model.heardAtMs;
  if (model.probing) return redial(model, 'CLI_TIMEOUT', 0, nowMs);
  if (quietMs < LIMITS.heartbeatQuietMs) {
    return { model, actions: [setTimer('heartbeat', LIMITS.heartbeatQuietMs - quietMs)] };
  }
  return {
    model: { ...model, probing: true },
    actions: [{ type: 'ping' }, setTimer('heartbeat', LIMITS.heartbeatAnswerMs)],
  };
}

/** Leaves the socket and comes back after a backoff; a connection that had held for long starts the backoff anew. */
function redial(model: ConnectionModel, code: ErrorCode, floorMs: number, nowMs: number): ConnectionStep {
  if (!hasSocket(model)) return unchanged(model);
  const held = model.liveSinceMs !== undefined && nowMs - model.liveSinceMs >= LIMITS.backoffResetMs;
  const attempt = held ? 0 : model.attempt;
  return enter({ ...model, attempt: attempt + 1, epoch: model.epoch + 1, probing: false }, 'offline', [
    ...teardown(model),
    { type: 'retrying', code, attempt: attempt + 1 },
    { type: 'set-timer', timer: 'redial', delay: backoff(attempt, floorMs) },
  ]);
}

/** Leaves the socket for good: by the application's wish, or because coming back would end the same way. */
function end(model: ConnectionModel, notices: readonly ConnectionAction[]): ConnectionStep {
  const ended = { ...model, wanted: false, epoch: model.epoch + 1, attempt: 0, probing: false };
  const actions: ConnectionAction[] = [...teardown(model), { type: 'clear-timer', timer: 'redial' }, ...notices];
  return model.state === 'closed' ? { model: ended, actions: notices } : enter(ended, 'closed', actions);
}

function teardown(model: ConnectionModel): ConnectionAction[] {
  if (!hasSocket(model)) return [];
  const timers: ConnectionAction[] = [
    { type: 'clear-timer', timer: 'handshake' },
    { type: 'clear-timer', timer: 'heartbeat' },
  ];
  return [{ type: 'hang-up' }, ...timers, ...(isOpen(model.state) ? [{ type: 'shut' } as const] : [])];
}

function hasSocket(model: ConnectionModel): boolean {
  return model.state !== 'offline' && model.state !== 'closed';
}

/** The state is announced before the actions that it makes possible, so a listener sees `draining` before messages. */
function enter(model: ConnectionModel, state: ConnectionState, actions: readonly ConnectionAction[]): ConnectionStep {
  const changed: ConnectionAction[] = state === model.state ? [] : [{ type: 'state-changed', state }];
  return { model: { ...model, state }, actions: [...changed, ...actions] };
}

function setTimer(timer: ConnectionTimer, delayMs: number): ConnectionAction {
  return { type: 'set-timer', timer, delay: { floorMs: delayMs, spanMs: 0 } };
}

function unchanged(model: ConnectionModel): ConnectionStep {
  return { model, actions: [] };
}
