/**
 * Every bound of tracing, with its reason. Units stand in the names.
 */

import assert from 'node:assert/strict';

export const LIMITS = {
  /** Messages that are followed at a time, 72 bytes each; a power of two, as a place is the end of a hash. */
  slotCount: 4_096,
  /** Places that are tried for a message: with a quarter of all taken, one message in 60,000 finds none of eight free. */
  probeCount: 8,
  /** Traced messages of one worker whose sender has no answer yet. */
  unansweredMax: 1_024,
  /** How often the main thread collects; a place that was collected rests for as long before it is given out again. */
  collectMs: 1_000,
  /** A message that is not acknowledged after so long is told as it is then: its recipient may be offline for weeks. */
  traceMsMax: 10_000,
  /** Traces that wait for the collector, 1 KiB each; what comes then is dropped and counted. */
  queueCountMax: 4_096,
  /** Traces in one request: about 500 KB, where OTLP advises to stay below 20 MiB. */
  batchCountMax: 256,
  /** A request without an answer for this long has failed. */
  requestMsMax: 10_000,
  /** Bytes read of an answer. */
  answerBytesMax: 65_536,
  /** Pause after a failed request; doubled each time, and drawn between half of it and all. */
  pauseMsMin: 1_000,
  pauseMsMax: 60_000,
  /** How long a node that stops waits for the last request. */
  closeMsMax: 2_000,
} as const;

assert.ok((LIMITS.slotCount & (LIMITS.slotCount - 1)) === 0, 'a place is the end of a hash');
assert.ok(LIMITS.probeCount < LIMITS.slotCount, 'a message does not try a place twice');
assert.ok(LIMITS.batchCountMax <= LIMITS.queueCountMax, 'a full queue fills a request');
