/**
 * Every bound of the runtime, with its unit in the name and its reason beside it.
 *
 * A bound that an author may want to change for one actor (the mailbox) is a default here and an option at spawn; the
 * rest are properties of the machine that the runtime is built for. Relations between bounds are asserted at load, so a
 * changed figure that contradicts another one stops the first test that imports it.
 */

import assert from 'node:assert/strict';

export const LIMITS: Readonly<{
  processCountMax: number;
  mailboxCountMax: number;
  nameCharsMax: number;
  turnMessagesMax: number;
  sliceMsMax: number;
  sliceCheckTurns: number;
  turnEndRoundsMax: number;
  callTimeoutMsMax: number;
  timerDelayMsMax: number;
  systemRequestCountMax: number;
  traceEventCountMax: number;
  traceMsMax: number;
  snapshotDepthMax: number;
  snapshotEntriesMax: number;
  snapshotCharsMax: number;
  snapshotItemsMax: number;
  surveyRowsMax: number;
  postponedCountMax: number;
  eventHandlerCountMax: number;
  groupMembershipCountMax: number;
  groupSubscriptionCountMax: number;
  groupSyncBytes: number;
  groupBeatMs: number;
  errorTextCharsMax: number;
  errorStackCharsMax: number;
  resumeHopsMax: number;
  runQueueFirstValues: number;
  runQueueKeptValues: number;
  backlogFirstValues: number;
  backlogSpareValuesMax: number;
  workerCountMax: number;
  workerRingBytes: number;
  workerYoungGenerationMb: number;
  workerOldGenerationMb: number;
  workerOverflowBytesMax: number;
  workerPacketBytesMax: number;
  workerStartMsMax: number;
  workerFlushBytes: number;
  workerStuckMs: number;
  workerStuckMsMin: number;
  packetDepthMax: number;
  shapeCountMax: number;
  shapeNodeCountMax: number;
  shapeKeyCountMax: number;
  shapeBytesMax: number;
}> = Object.freeze({
  /** Actors on one worker. V8 holds at most 2^24 entries in a Set, and a supervisor links to all its children. */
  processCountMax: 16_000_000,
  /** Messages waiting for one actor. Far above a healthy queue, far below what a stuck actor could eat of the heap. */
  mailboxCountMax: 10_000,
  /** UTF-16 units of a registered name. Names are written by developers, not by users; longer ones are a bug. */
  nameCharsMax: 255,
  /** Messages one actor may handle before the next actor runs. BEAM's 4,000 reductions buy roughly this many. */
  turnMessagesMax: 64,
  /** Milliseconds of actor work before sockets are read again. Adds at most this much to the latency of a frame. */
  sliceMsMax: 8,
  /** Actor turns between two looks at the clock, on average: a look costs 40 ns, an idle turn about as much. */
  sliceCheckTurns: 32,
  /**
   * Steps of the microtask queue to wait for what a settled call makes ready. It resumes its caller in one; if the
   * caller's handler then returns, its own promise takes two more until the runtime hears of it.
   */
  resumeHopsMax: 3,
  /** Rounds of turn-end handlers in one turn. A batch may cause one more batch (commit, push, flush), not an endless chain. */
  turnEndRoundsMax: 8,
  /** Milliseconds a call may wait: one hour. A caller that wants longer wants a cast and a message back. */
  callTimeoutMsMax: 3_600_000,
  /** Milliseconds a timer may be set ahead: 49 days, the span of an unsigned 32-bit millisecond count. */
  timerDelayMsMax: 2 ** 32 - 1,
  /** Requests of `sys` waiting for one actor. They come from people and tools, and each is answered in microseconds. */
  systemRequestCountMax: 64,
  /** Events after which a trace ends at the latest. A tracer reads them; more than this is a recording. */
  traceEventCountMax: 100_000,
  /** Milliseconds after which a trace ends at the latest: one hour. A forgotten one must not cost for ever. */
  traceMsMax: 3_600_000,
  /** Levels of nesting that a snapshot shows unless told otherwise. */
  snapshotDepthMax: 8,
  /** Entries that a snapshot shows of one collection unless told otherwise. */
  snapshotEntriesMax: 100,
  /** UTF-16 units that a snapshot shows of a text, and bytes of a buffer, unless told otherwise. */
  snapshotCharsMax: 1_000,
  /** Values in one snapshot, whatever was told: it is made between two messages, and the neighbours wait. */
  snapshotItemsMax: 100_000,
  /** Actors in one ranking of a survey: more is a list, and nobody reads it. */
  surveyRowsMax: 500,
  /** Events that a state machine may postpone. A state that waits for one event and is sent a thousand others is stuck. */
  postponedCountMax: 1_000,
  /** Handlers of one event manager. Each event is handed to all of them in one turn. */
  eventHandlerCountMax: 1_000,
  /** Memberships that one worker's actors may have in process groups; every worker keeps a copy of them all. */
  groupMembershipCountMax: 1_000_000,
  /** Subscriptions of one scope of process groups. Each change is compared with all of them. */
  groupSubscriptionCountMax: 10_000,
  /** Bytes in one part of a synchronisation of process groups. */
  groupSyncBytes: 32 * 1024,
  /** Milliseconds between two looks of a scope whether the others have missed something. */
  groupBeatMs: 5_000,
  /** UTF-16 units kept of a thrown error's message in an exit reason, which may travel to every linked actor. */
  errorTextCharsMax: 1_024,
  /** UTF-16 units kept of a stack: about 20 frames. */
  errorStackCharsMax: 4_096,
  /** Actors that the run queue holds before it first grows. One exists a scheduler, so it may be large. */
  runQueueFirstValues: 2_048,
  /** Actors that the run queue has room for while the worker sleeps: 0.5 MB. What a burst added is given back. */
  runQueueKeptValues: 65_536,
  /** Values of a backlog before it first grows; a message takes two. 16 are 128 bytes, for a queue of up to 9. */
  backlogFirstValues: 16,
  /** Values in all the emptied backlogs that one thread keeps for reuse: 1 MB, enough for four full mailboxes. */
  backlogSpareValuesMax: 131_072,
  /** Worker threads of one node. N + 1 threads share (N + 1) * N rings, so memory grows with the square. */
  workerCountMax: 64,
  /** Bytes of one ring between two threads. 256 KiB hold a turn's batch of about 2,000 messages of 100 bytes. */
  workerRingBytes: 256 * 1024,
  /**
   * Space for young objects in a worker's heap. A message lives for some milliseconds, until its commit is settled: in a
   * small space many are alive at each collection and are copied, in this one hardly any.
   */
  workerYoungGenerationMb: 96,
  /**
   * What a worker's heap may hold before its first full collection. V8 starts with a few megabytes and, on a heap as small as ours,
   * collects twice a second under load, 7 ms each; what was late then takes 200 ms to catch up.
   */
  workerOldGenerationMb: 192,
  /** Bytes that may wait on the sender's side for a ring with no room, before a send returns `full`. */
  workerOverflowBytesMax: 4 * 1024 * 1024,
  /** Bytes of one encoded message between threads. Client frames are 16 KiB; a ring must hold the largest packet. */
  workerPacketBytesMax: 128 * 1024,
  /** Bytes gathered for one worker that are sent before the turn ends, so that both threads work at the same time. */
  workerFlushBytes: 32 * 1024,
  /** Milliseconds for a worker to say that it is ready: compiling, opening a store, binding a port. */
  workerStartMsMax: 30_000,
  /**
   * Milliseconds without a turn after which a worker counts as stuck. Sixty times the slice and far above a pause of the
   * garbage collector; together with a restart it is less than a second.
   */
  workerStuckMs: 500,
  /** The least that may be asked for: a look takes place five times within it, and a slice is 8 ms. */
  workerStuckMsMin: 100,
  /** Objects and arrays one within the other in a message between threads. Deeper is a cycle or a list in disguise. */
  packetDepthMax: 512,
  /** Shapes of objects that one thread tells another. A program has some hundred; more are keys used as data. */
  shapeCountMax: 2_048,
  /** Places in the tree of those shapes: what one thread remembers for each other one. */
  shapeNodeCountMax: 16_384,
  /** Keys of an object that gets a shape. */
  shapeKeyCountMax: 64,
  /** Bytes of all its keys together. */
  shapeBytesMax: 2_048,
});

assert.ok(LIMITS.workerPacketBytesMax + 4 <= LIMITS.workerRingBytes, 'the largest packet must fit into an empty ring');
assert.ok(LIMITS.workerPacketBytesMax <= LIMITS.workerOverflowBytesMax, 'the overflow must hold the largest packet');
assert.ok(LIMITS.shapeCountMax < 2 ** 16, 'a shape is named in two bytes');
assert.ok(
  LIMITS.groupSyncBytes * 2 <= LIMITS.workerPacketBytesMax,
  'a part of a synchronisation must fit into a packet',
);
assert.ok(LIMITS.traceMsMax <= LIMITS.timerDelayMsMax, 'a trace ends by a timer');
assert.ok(LIMITS.callTimeoutMsMax <= LIMITS.timerDelayMsMax, 'a call waits on a timer');
assert.ok(LIMITS.processCountMax < 2 ** 24, 'a Set of V8 holds fewer than 2^24 entries');
