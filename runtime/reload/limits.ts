/**
 * Every bound of a reload, with its unit in the name and its reason beside it. What an operator may choose for one reload
 * is a default here and an option of `ReloadOptions`.
 */

import assert from 'node:assert/strict';

export const RELOAD_LIMITS: Readonly<{
  bundleBytesMax: number;
  sliceMs: number;
  sweepLookCount: number;
  canaryShareDefault: number;
  canaryActorCountMin: number;
  observeMsDefault: number;
  observeMsMax: number;
  recordMsDefault: number;
  timeoutMsDefault: number;
  timeoutMsMax: number;
  pollMs: number;
  sampleCountMax: number;
  recordCountMax: number;
  recordOfKindMax: number;
  effectCountMax: number;
  initTryCountMax: number;
  copyNodeCountMax: number;
  copyEntryCountMax: number;
  walkNodeCountMax: number;
  shapeDepthMax: number;
  conversionMsMax: number;
  conversionSlowCount: number;
  conversionStallMs: number;
  turnStallMs: number;
  turnSlowUs: number;
  turnSlowRatio: number;
  turnSampleCountMin: number;
  tailUs: number;
  tailRatio: number;
  tailSampleCountMin: number;
  endsCountMin: number;
  endsRatio: number;
  errorTextCharsMax: number;
  differenceCountMax: number;
  historyCountMax: number;
  backCountMax: number;
}> = Object.freeze({
  /** Bytes of one bundle. The largest of ours has 120 KB; a module of data that strays into one is found by this. */
  bundleBytesMax: 4 * 1024 * 1024,
  /**
   * Milliseconds of one slice of a sweep or a check, after which sockets are read. On its way to the other end and back a message
   * comes by the loop some four times, and waits for a slice each time: slices of 2 added up to 8 ms to it.
   */
  sliceMs: 0.5,
  /** Actors between two looks at the clock within a slice. */
  sweepLookCount: 16,
  /** Share of the actors that try a version first. */
  canaryShareDefault: 0.05,
  /** Below so many actors on a worker there is no first share: one of three inboxes is no sample. */
  canaryActorCountMin: 8,
  /** Milliseconds for which each of the two stages, the share and then all, is watched. */
  observeMsDefault: 500,
  observeMsMax: 3_600_000,
  /** Milliseconds for which messages are recorded before they are replayed in a shadow. */
  recordMsDefault: 100,
  /** Milliseconds that an actor may hold on to the version before (by an open promise) until it is killed. */
  timeoutMsDefault: 5_000,
  timeoutMsMax: 3_600_000,
  /** Milliseconds between two looks at how the new version does: a fault is undone in much less than 2 s. */
  pollMs: 25,
  /** Living actors whose states a check converts. */
  sampleCountMax: 12,
  /** Messages that a check replays. */
  recordCountMax: 48,
  /** Of one kind, so that a flood of one does not hide the others. */
  recordOfKindMax: 6,
  /** Effects of one run in a shadow: one that waits in a loop for what never comes is ended by this. */
  effectCountMax: 2_000,
  /** Answers that are tried for what an `init` asks of its arguments. */
  initTryCountMax: 12,
  /** Values in the copy of one state. What is beyond is left out; both versions then see the same part. */
  copyNodeCountMax: 4_000,
  /** Entries copied of one collection. */
  copyEntryCountMax: 64,
  /** Values looked at in search of functions, in one state. */
  walkNodeCountMax: 4_000,
  /** Levels of a state whose fields are compared. */
  shapeDepthMax: 3,
  /** Milliseconds for one `codeChange`: a frame waits for all that fall into its turn. */
  conversionMsMax: 5,
  /** Slow ones that are too many; a single one may be a pause of the garbage collector. */
  conversionSlowCount: 3,
  /** Milliseconds of one `codeChange` that no pause explains. */
  conversionStallMs: 100,
  /** Milliseconds of one handler that no pause explains. */
  turnStallMs: 250,
  /** Microseconds below which handlers are quick, whatever they were before. */
  turnSlowUs: 2_000,
  /** How many times slower handlers may be than those of the version before; new code starts cold. */
  turnSlowRatio: 8,
  /** Handled messages before latencies are compared. */
  turnSampleCountMin: 64,
  /**
   * Microseconds below which the slowest handlers in a hundred are quick enough. A handler of 50 µs that loses its core for a
   * moment takes 4 ms; of a hundred, one does at worst.
   */
  tailUs: 8_000,
  /** How many times slower these may be than those of the version before. Buckets double, so this is three of them. */
  tailRatio: 8,
  /** Handled messages before these are compared: five in a hundredth part, so that no single pause decides. */
  tailSampleCountMin: 500,
  /** Actors that end themselves under the new version before that is compared. */
  endsCountMin: 5,
  /** How many times as often. */
  endsRatio: 5,
  /** UTF-16 units of an error in a report. Errors are written by developers, but may quote. */
  errorTextCharsMax: 300,
  /** Differences of effects, shapes or captures that a report names. */
  differenceCountMax: 5,
  /** Reloads that are remembered. */
  historyCountMax: 200,
  /** Versions of a behaviour whose texts are kept to be gone back to, one after the other; 70 KB each. */
  backCountMax: 10,
});

assert.ok(RELOAD_LIMITS.conversionMsMax < RELOAD_LIMITS.conversionStallMs, 'slow comes before stalled');
assert.ok(RELOAD_LIMITS.recordOfKindMax <= RELOAD_LIMITS.recordCountMax, 'one kind fits into the ring');
