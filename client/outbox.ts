/**
 * The sending half of one conversation, decided: a pure function from lane and event to lane and actions.
 *
 * A lane is a row of message ids with watermarks moving over it from left to right:
 *
 *     1 … readId … deliveredId … sentId │ sentId+1 … cursor-1 │ cursor … preparedId │ preparedId+1 … nextId-1
 *         acknowledged by the server    │ in flight           │ encrypted, waiting  │ not yet encrypted
 *
 * The server takes ids without gaps, so a refusal of one message makes it refuse the rest of the flight as out of order.
 * Resending at the first of those echoes would start a storm of resends. So a refusal puts the lane on hold, `settling`,
 * until the last message of the flight has been answered; then its verdict is carried out once.
 *
 * A refusal acknowledges nothing of what came before: a refusal is told at once and an acknowledgement after the flush; and who refuses may be another than who
 * had the messages before it, as when a shard has a new owner. For the same reason only what was refused, or never left, is given up: what went before it
 * may be stored. Telling that as refused would be untrue, and its ids given out again would pass for resends and be lost.
 *
 * Where the server has no record of the conversation, any id opens it, and what is smaller counts as a resend from then on. If the first of a flight were
 * refused there and the second taken, the acknowledgement of the second would cover the first, which nobody has. So on each connection one message goes
 * ahead alone: its acknowledgement says that there is a record, and from then on the server lets no gap by. Hence an acknowledgement never covers
 * what was refused and not sent again.
 *
 * It knows no plaintext, key, socket or disk; `conversation.ts` carries the actions out. Read next: `conversation.ts`.
 */

import { backoff } from './backoff.ts';
import type { DelayRange } from './backoff.ts';
import type { ErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';

/** What follows when a refused flight has settled. */
export type Verdict =
  | { readonly type: 'resend' }
  | { readonly type: 'pause'; readonly delay: DelayRange }
  | { readonly type: 'renew'; readonly devices: readonly number[] }
  | { readonly type: 'fail'; readonly code: ErrorCode };

/** Why nothing is transmitted, if so. */
export type Hold =
  | { readonly type: 'none' }
  | { readonly type: 'offline' }
  /** A message was refused; the answers to the rest of the flight, through `lastId`, are awaited. */
  | { readonly type: 'settling'; readonly resumeId: number; readonly lastId: number; readonly verdict: Verdict }
  | { readonly type: 'paused' }
  /** The device list is wrong; everything unacknowledged is being encrypted anew. `preparedId` is before what was refused. */
  | { readonly type: 'renewing' }
  /** The two sides disagree on what was acknowledged. Nothing can leave any more. */
  | { readonly type: 'broken'; readonly code: ErrorCode };

/** The sending half of one conversation. Only the four durable watermarks outlive the process. */
export interface Lane {
  readonly nextId: number;
  readonly sentId: number;
  readonly deliveredId: number;
  readonly readId: number;
  /** All up to here are encrypted, and none beyond it can be at the server: it was refused or never sent. At least `sentId`. */
  readonly preparedId: number;
  /** The next id to transmit on this connection. */
  readonly cursor: number;
  /** The server has acknowledged something on this connection, so it has a record and takes no id but the next. Until then one message is in flight. */
  readonly confirmed: boolean;
  readonly hold: Hold;
  /** A `prepare` action is being carried out. */
  readonly preparing: boolean;
  /** Refusals since the last acknowledgement. */
  readonly strikes: number;
}

export type LaneEvent =
  | { readonly type: 'online' }
  | { readonly type: 'offline' }
  /** Messages were journalled: ids up to `lastId`, of which up to `preparedId` are encrypted. */
  | { readonly type: 'queued'; readonly lastId: number; readonly preparedId: number }
  | { readonly type: 'prepared'; readonly preparedId: number }
  | { readonly type: 'unprepared'; readonly code: ErrorCode; readonly retry: boolean }
  | { readonly type: 'acked'; readonly id: number }
  | { readonly type: 'receipt'; readonly kind: 'delivered' | 'read'; readonly id: number }
  | {
      readonly type: 'refused';
      readonly id: number;
      readonly code: ErrorCode;
      readonly retryAfterMs: number | undefined;
      readonly expectedId: number | undefined;
      readonly devices: readonly number[];
    }
  | { readonly type: 'elapsed' };

export type LaneAction =
  | { readonly type: 'transmit'; readonly firstId: number; readonly lastId: number }
  /** Encrypt what is not; with `devices`, first make them the peer's devices and begin with the first unacknowledged. */
  | { readonly type: 'prepare'; readonly devices: readonly number[] | undefined }
  /** One timer a lane; setting it replaces it. */
  | { readonly type: 'set-timer'; readonly delay: DelayRange }
  | { readonly type: 'clear-timer' }
  /** Ids up to here are durable at the server: their outbox entries may go. */
  | { readonly type: 'acknowledge'; readonly sentId: number }
  | { readonly type: 'announce'; readonly deliveredId: number; readonly readId: number }
  /** Everything from here on was not stored and will not be; the ids are free again. */
  | { readonly type: 'abandon'; readonly firstId: number; readonly code: ErrorCode };

export interface LaneStep {
  readonly lane: Lane;
  readonly actions: readonly LaneAction[];
}

/** Codes that pass by themselves, also when the server names no time. Any other refusal is final. */
const RETRYABLE: ReadonlySet<string> = new Set([
  'APP_RATE_LIMITED',
  'APP_OVERLOADED',
  'APP_RESTARTING',
  'APP_DRAINING',
  'APP_INBOX_FULL',
  'APP_REQUEST_PENDING',
  'APP_STORE_FULL',
  'APP_UNAVAILABLE',
]);

/** A lane as it comes out of the store: offline, and nothing in flight. */
export function openLane(
  marks: Pick<Lane, 'nextId' | 'sentId' | 'deliveredId' | 'readId'>,
  preparedId: number = marks.sentId,
): Lane {
  const { nextId, sentId, deliveredId, readId } = marks;
  const hold: Hold = { type: 'offline' };
  const still = { confirmed: false, hold, preparing: false, strikes: 0 };
  return { nextId, sentId, deliveredId, readId, preparedId, cursor: sentId + 1, ...still };
}

/** Decides what an event leads to. Total: an event that fits nothing changes nothing. */
export function stepLane(lane: Lane, event: LaneEvent): LaneStep {
  if (lane.hold.type === 'broken') return stepBroken(lane, lane.hold.code, event);
  switch (event.type) {
    case 'online':
      return advance({ ...lane, cursor: lane.sentId + 1, confirmed: false, hold: { type: 'none' }, strikes: 0 });
    case 'offline':
      // Whatever is being prepared belonged to the connection: the next one asks for it anew.
      return { lane: { ...lane, hold: { type: 'offline' }, preparing: false }, actions: [{ type: 'clear-timer' }] };
    case 'queued':
      return advance({ ...lane, nextId: event.lastId + 1, preparedId: Math.max(lane.preparedId, event.preparedId) });
    case 'prepared':
      return prepared(lane, event.preparedId);
    case 'unprepared':
      return unprepared(lane, event.code, event.retry);
    case 'acked':
      return acknowledge(lane, event.id);
    case 'receipt':
      return receive(lane, event.kind, event.id);
    case 'refused':
      return refuse(lane, event);
    case 'elapsed':
      return elapse(lane);
  }
}

/** Transmits what the window allows, and asks for encryption of what is missing. */
function advance(lane: Lane, before: readonly LaneAction[] = []): LaneStep {
  if (lane.hold.type !== 'none') return { lane, actions: before };
  const actions: LaneAction[] = [...before];
  const flightMax = lane.confirmed ? LIMITS.flightCountMax : 1;
  const lastId = Math.min(lane.preparedId, lane.sentId + flightMax);
  let next = lane;
  if (next.cursor <= lastId) {
    actions.push({ type: 'transmit', firstId: next.cursor, lastId });
    next = { ...next, cursor: lastId + 1 };
  }
  if (next.preparedId < next.nextId - 1 && !next.preparing) {
    actions.push({ type: 'prepare', devices: undefined });
    next = { ...next, preparing: true };
  }
  return { lane: next, actions };
}

function prepared(lane: Lane, preparedId: number): LaneStep {
  const hold: Hold = lane.hold.type === 'renewing' ? { type: 'none' } : lane.hold;
  return advance({ ...lane, preparedId, preparing: false, hold });
}

function unprepared(lane: Lane, code: ErrorCode, retry: boolean): LaneStep {
  const idle = { ...lane, preparing: false };
  const { type } = lane.hold;
  // A refused flight and a pause end by themselves, and whatever is missing then is asked for anew, as on the next connection.
  const isHeld = type === 'settling' || type === 'paused';
  if (type === 'offline' || (isHeld && retry)) return { lane: idle, actions: [] };
  if (retry) return pause({ ...idle, strikes: lane.strikes + 1 }, pauseRange(lane.strikes, undefined));
  return abandon(isHeld ? idle : { ...idle, hold: { type: 'none' } }, lane.preparedId + 1, code);
}

function acknowledge(lane: Lane, id: number): LaneStep {
  if (id <= lane.sentId) return { lane, actions: [] };
  if (id >= lane.nextId) return breakLane(lane, 'CLI_STORE_ROLLED_BACK');
  const [cursor, preparedId] = [Math.max(lane.cursor, id + 1), Math.max(lane.preparedId, id)];
  const moved = { ...lane, sentId: id, cursor, preparedId, confirmed: true, strikes: 0 };
  return advance(moved, [{ type: 'acknowledge', sentId: id }]);
}

/** A receipt covers all smaller ids, and read implies delivered implies sent. */
function receive(lane: Lane, kind: 'delivered' | 'read', id: number): LaneStep {
  const { lane: acked, actions } = acknowledge(lane, id);
  if (acked.hold.type === 'broken') return { lane: acked, actions };
  const deliveredId = Math.max(acked.deliveredId, id);
  const readId = kind === 'read' ? Math.max(acked.readId, id) : acked.readId;
  if (deliveredId === acked.deliveredId && readId === acked.readId) return { lane: acked, actions };
  return { lane: { ...acked, deliveredId, readId }, actions: [...actions, { type: 'announce', deliveredId, readId }] };
}

function refuse(lane: Lane, event: LaneEvent & { readonly type: 'refused' }): LaneStep {
  if (event.id <= lane.sentId || event.id >= lane.cursor) return { lane, actions: [] };
  if (lane.hold.type === 'settling')
    return event.id >= lane.hold.lastId ? settle(lane, lane.hold) : { lane, actions: [] };
  // A pause of what is to be encrypted is none of the flight in the air: nobody would send that again.
  if (lane.hold.type !== 'none' && lane.hold.type !== 'paused') return { lane, actions: [] };
  const outOfOrder = event.code === 'APP_OUT_OF_ORDER';
  const expectedId = outOfOrder ? (event.expectedId ?? lane.sentId + 1) : event.id;
  if (expectedId <= lane.sentId) return breakLane(lane, 'CLI_ORDER_LOST');
  if (expectedId > lane.nextId) return breakLane(lane, 'CLI_STORE_ROLLED_BACK');
  const verdict = judge(lane, event);
  // After a pause everything goes again that has no check mark: who answers then may not have what came before. What goes ahead alone is the first.
  const fromFirst = !lane.confirmed || (verdict.type === 'pause' && !outOfOrder);
  const resumeId = fromFirst ? lane.sentId + 1 : expectedId;
  const hold = { type: 'settling', resumeId, lastId: lane.cursor - 1, verdict } as const;
  const held = { ...lane, hold, strikes: lane.strikes + 1 };
  if (event.id >= hold.lastId) return settle(held, hold);
  return { lane: held, actions: [{ type: 'set-timer', delay: fixed(LIMITS.settleTimeoutMs) }] };
}

function judge(lane: Lane, event: LaneEvent & { readonly type: 'refused' }): Verdict {
  const again = lane.strikes > 0;
  if (event.code === 'APP_OUT_OF_ORDER') {
    return again ? { type: 'pause', delay: pauseRange(lane.strikes, undefined) } : { type: 'resend' };
  }
  if (event.code === 'APP_DEVICES_CHANGED') {
    if (lane.strikes >= LIMITS.renewalCountMax) return { type: 'fail', code: 'CLI_DEVICES_UNSETTLED' };
    return { type: 'renew', devices: event.devices };
  }
  // Of a group: its members are others than the message was encrypted for.
  if (event.code === 'APP_GROUP_EPOCH') {
    if (lane.strikes >= LIMITS.groupRenewalCountMax) return { type: 'fail', code: 'CLI_GROUP_BUSY' };
    return { type: 'renew', devices: event.devices };
  }
  if (event.retryAfterMs !== undefined || RETRYABLE.has(event.code)) {
    return { type: 'pause', delay: pauseRange(lane.strikes, event.retryAfterMs) };
  }
  return { type: 'fail', code: event.code };
}

/** The flight has been answered: carries the verdict out. */
function settle(lane: Lane, { resumeId, verdict }: Hold & { readonly type: 'settling' }): LaneStep {
  const rewound = { ...lane, cursor: Math.max(resumeId, lane.sentId + 1), hold: { type: 'none' } as const };
  const clear: LaneAction = { type: 'clear-timer' };
  switch (verdict.type) {
    case 'resend':
      return advance(rewound, [clear]);
    case 'pause':
      return pause(rewound, verdict.delay);
    case 'renew':
      return {
        lane: { ...rewound, hold: { type: 'renewing' }, preparing: true, preparedId: rewound.cursor - 1 },
        actions: [clear, { type: 'prepare', devices: verdict.devices }],
      };
    case 'fail':
      return prepend([clear], abandon(rewound, rewound.cursor, verdict.code));
  }
}

function elapse(lane: Lane): LaneStep {
  if (lane.hold.type === 'settling') return settle(lane, lane.hold);
  return lane.hold.type === 'paused' ? advance({ ...lane, hold: { type: 'none' } }) : { lane, actions: [] };
}

function pause(lane: Lane, delay: DelayRange): LaneStep {
  return { lane: { ...lane, hold: { type: 'paused' } }, actions: [{ type: 'set-timer', delay }] };
}

/** Gives up everything from `firstId` on. A hold stays: it is about what was sent before. */
function abandon(lane: Lane, firstId: number, code: ErrorCode): LaneStep {
  const freed = {
    ...lane,
    nextId: firstId,
    cursor: Math.min(lane.cursor, firstId),
    preparedId: Math.min(lane.preparedId, firstId - 1),
    strikes: 0,
  };
  return prepend([{ type: 'abandon', firstId, code }], advance(freed));
}

function breakLane(lane: Lane, code: ErrorCode): LaneStep {
  const firstId = lane.sentId + 1;
  const broken = { ...lane, nextId: firstId, cursor: firstId, preparedId: lane.sentId };
  return {
    lane: { ...broken, hold: { type: 'broken', code } },
    actions: [{ type: 'clear-timer' }, { type: 'abandon', firstId, code }],
  };
}

/** A broken lane abandons what is queued on it; a restart of the client tries once more. */
function stepBroken(lane: Lane, code: ErrorCode, event: LaneEvent): LaneStep {
  if (event.type !== 'queued') return { lane, actions: [] };
  return { lane, actions: [{ type: 'abandon', firstId: lane.nextId, code }] };
}

function pauseRange(strikes: number, retryAfterMs: number | undefined): DelayRange {
  if (retryAfterMs !== undefined) return { floorMs: retryAfterMs, spanMs: LIMITS.pauseMsMin };
  const { spanMs } = backoff(strikes);
  return { floorMs: LIMITS.pauseMsMin, spanMs: Math.min(spanMs, LIMITS.pauseMsMax - LIMITS.pauseMsMin) };
}

function prepend(actions: readonly LaneAction[], step: LaneStep): LaneStep {
  return { lane: step.lane, actions: [...actions, ...step.actions] };
}

function fixed(delayMs: number): DelayRange {
  return { floorMs: delayMs, spanMs: 0 };
}
