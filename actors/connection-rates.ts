/**
 * What one connection does in a second, as token buckets. Each is made with the first thing that it bounds, and all of them with the
 * first thing at all: a connection that only listens, as nearly all do nearly all the time, has none.
 */

import type { TokenBucket } from './rate-limit.ts';

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
  /** Refusals since the last message that was accepted. */
  refusals: number;
  /** Pings in a row that went unanswered. */
  pingRefusals: number;
}

/** Those of a connection; made when there are none. */
export function ratesOf(state: { rates: Rates | undefined }): Rates {
  return (state.rates ??= noRates());
}

function noRates(): Rates {
  return {
    messages: undefined,
    groupMessages: undefined,
    requests: undefined,
    pings: undefined,
    marks: undefined,
    signals: undefined,
    refusals: 0,
    pingRefusals: 0,
  };
}
