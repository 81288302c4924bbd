/**
 * What one connection does in a second, as token buckets. Each is made with the first thing that it bounds, and all of them with the
 * first thing at all: a connection that only listens, as nearly all do nearly all the time, has none.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { liveRule } from '../live-limits.ts';
import { add, gauge, type Gauge } from '../metrics/meter.ts';
import { fullAfter, waitForTokens, type BucketRule, type TokenBucket } from '../rate-limit.ts';

export const MESSAGE_RULE: BucketRule = liveRule('messagesPerSecondMax', 'messagesBurstMax');
export const GROUP_MESSAGE_RULE: BucketRule = liveRule('groupMessagesPerSecondMax', 'groupMessagesBurstMax');
export const BYTES_RULE: BucketRule = liveRule('inboundBytesPerSecondMax', 'inboundBytesBurstMax');
export const REQUEST_RULE: BucketRule = liveRule('requestsPerSecondMax', 'requestsBurstMax');
export const PING_RULE: BucketRule = { perSecond: LIMITS.pingsPerSecondMax, burst: LIMITS.pingsBurstMax };
export const MARK_RULE: BucketRule = { perSecond: LIMITS.marksPerSecondMax, burst: LIMITS.marksBurstMax };
export const SIGNAL_RULE: BucketRule = liveRule('presenceSignalsPerSecondMax', 'presenceSignalsBurstMax');

/** How often each was exceeded. */
export const LIMITED: Readonly<Record<'message' | 'bytes' | 'groupMessage' | 'request' | 'ping', Gauge>> = {
  message: gauge('blindbeam_limited_total', { limiter: 'message' }),
  bytes: gauge('blindbeam_limited_total', { limiter: 'bytes' }),
  groupMessage: gauge('blindbeam_limited_total', { limiter: 'group-message' }),
  request: gauge('blindbeam_limited_total', { limiter: 'request' }),
  ping: gauge('blindbeam_limited_total', { limiter: 'ping' }),
};

export interface Rates {
  messages: TokenBucket | undefined;
  /** Messages to groups. */
  groupMessages: TokenBucket | undefined;
  requests: TokenBucket | undefined;
  pings: TokenBucket | undefined;
  /** Acknowledgements and read marks. */
  marks: TokenBucket | undefined;
  /** Presence and typing. */
  signals: TokenBucket | undefined;
  /** When the bucket of bytes is full again; see `fullAfter`. */
  bytesFullAtMs: number;
  /** Refusals for which nothing that was taken has made up. */
  refusals: number;
  /** Pings in a row that went unanswered. */
  pingRefusals: number;
}

/** Those of a connection; made when there are none. */
export function ratesOf(state: { rates: Rates | undefined }): Rates {
  return (state.rates ??= noRates());
}

/**
 * Something was taken, which makes up for one refusal. Not for all: of a flood a little is always taken, and whoever is refused more than is
 * taken of it would never be closed.
 */
export function noteTaken(rates: Rates): void {
  if (rates.refusals > 0) rates.refusals -= 1;
}

/**
 * Takes a message's bytes from the bucket of its connection. Before the login there is none: what is allowed then is little, and counted by
 * address. So whoever only listens has none either.
 *
 * @returns 0 when they were there; otherwise the milliseconds until they are.
 */
export function takeBytes(bytes: number, state: { rates: Rates | undefined }, ctx: Context): number {
  const nowMs = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  const fullAtMs = fullAfter(rates.bytesFullAtMs, bytes, BYTES_RULE, nowMs);
  const waitMs = waitForTokens(fullAtMs, BYTES_RULE, nowMs);
  if (waitMs === 0) rates.bytesFullAtMs = fullAtMs;
  else add(LIMITED.bytes);
  return waitMs;
}

function noRates(): Rates {
  return {
    messages: undefined,
    groupMessages: undefined,
    requests: undefined,
    pings: undefined,
    marks: undefined,
    signals: undefined,
    bytesFullAtMs: 0,
    refusals: 0,
    pingRefusals: 0,
  };
}
