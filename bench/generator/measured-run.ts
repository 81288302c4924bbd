/**
 * One measured phase of a generator: start the load, leave out the warm-up, measure a window, stop, drain.
 *
 *   begin ── warm-up ──▶│◀──────── window ────────▶│── drain: everything in flight comes through ──▶ result
 *                     counters, CPU and lag are taken at both ends
 *
 * A rate counts what happened within the window. A latency belongs to the window in which its message was intended, so the
 * slow ones that arrive during the drain are not left out. Knows no socket; the load itself is a `Subject`.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { BenchError } from '../errors.ts';
import { pause, type Clock } from '../harness/clock.ts';
import { LatencyHistogram, type EncodedHistogram } from '../harness/histogram.ts';
import { SecondCounts, type SecondReport } from '../harness/second-counts.ts';

/** What a generator does in a phase. */
export type LoadShape =
  /** Each pair, or connection, keeps this many messages in flight. */
  | { readonly kind: 'closed'; readonly inFlight: number }
  /** Messages are intended at a fixed rate, whatever the server does. The rate is that of all generators together. */
  | { readonly kind: 'open'; readonly ratePerSecond: number; readonly index: number; readonly count: number };

export interface RunPlan {
  readonly shape: LoadShape;
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly drainMsMax: number;
}

/** What a phase measured in one generator. Plain data: it crosses processes. */
export interface RunResult {
  readonly windowMs: number;
  /** Messages flushed and acknowledged to the sender within the window. */
  readonly accepted: number;
  /** Full cycles completed within the window; for an echo, echoes. */
  readonly completed: number;
  /** From the intended time to the arrival at the recipient, of messages intended within the window. */
  readonly delivery: EncodedHistogram;
  /** The same from the write: what a measurement without intended times would have shown. */
  readonly raw: EncodedHistogram;
  /** From the intended time to the delivered receipt at the sender. */
  readonly receipt: EncodedHistogram;
  /** From the intended time to the write: the generator's own part in both. */
  readonly sending: EncodedHistogram;
  /** CPU time of this process within the window. */
  readonly cpuMs: number;
  /** 99th percentile of how late the event loop of this process was. */
  readonly loopLagMs: number;
}

/** What the window has counted so far. One for each load, reused from run to run. */
export class Tally {
  accepted = 0;
  completed = 0;
  readonly delivery: LatencyHistogram = new LatencyHistogram();
  readonly raw: LatencyHistogram = new LatencyHistogram();
  readonly receipt: LatencyHistogram = new LatencyHistogram();
  readonly sending: LatencyHistogram = new LatencyHistogram();
  /** Of the present second, for those who look on. */
  readonly second: SecondCounts = new SecondCounts();
  #fromMs: number = Number.POSITIVE_INFINITY;
  #toMs: number = Number.POSITIVE_INFINITY;

  /** Whether a message that was intended at this time belongs to the window. */
  includes(intendedMs: number): boolean {
    return intendedMs >= this.#fromMs && intendedMs < this.#toMs;
  }

  /**
   * A message has arrived.
   *
   * @param intendedMs - Whether it counts is up to its intended time; that it was seen is not.
   * @param sentMs - When it was written; missing where nobody knows.
   */
  arrived(nowMs: number, intendedMs: number, sentMs?: number): void {
    this.second.record(nowMs - intendedMs);
    if (!this.includes(intendedMs)) return;
    this.delivery.record(nowMs - intendedMs);
    if (sentMs !== undefined) this.raw.record(nowMs - sentMs);
  }

  /** Begins a window, with everything at zero. */
  open(nowMs: number): void {
    this.accepted = 0;
    this.completed = 0;
    for (const histogram of [this.delivery, this.raw, this.receipt, this.sending]) histogram.reset();
    this.#fromMs = nowMs;
    this.#toMs = Number.POSITIVE_INFINITY;
  }

  /** Ends the window: later intentions do not belong to it. */
  close(nowMs: number): void {
    this.#toMs = nowMs;
  }
}

/** A load that can be measured. */
export interface Subject {
  readonly tally: Tally;
  /** Starts to send in this shape. */
  begin(shape: LoadShape): void;
  /** Intends what is due until now and nothing more; what is in flight goes on. */
  stop(): void;
  /** Whether nothing is in flight. */
  isIdle(): boolean;
  /** Where messages are stuck, for a failure. */
  describe(): string;
  /** Rejects when the load has failed. */
  readonly failed: Promise<never>;
}

/** Those who look on while a phase runs. */
export interface LookOn {
  announce(edge: WindowEdge): void;
  /** What each second was, from the first one on. */
  look(second: SecondReport): void;
}

/** What a generator runs phases with, in this process or another. */
export interface Load {
  /** @throws {BenchError} BENCH_LOST when messages are stuck after `drainMsMax`; what the load fails with. */
  run(plan: RunPlan, looker: LookOn): Promise<RunResult>;
  /** Ends what it has started beside the connections. */
  close?(): Promise<void>;
}

/** A load in this process. */
export function loadOf(subject: Subject, clock: Clock): Load {
  return {
    run: (plan, looker) =>
      measureRun(
        plan,
        subject,
        clock,
        (edge) => looker.announce(edge),
        (second) => looker.look(second),
      ),
  };
}

/** Announced at the ends of the window, so that the parent reads the server's counters at the same moments. */
export type WindowEdge = 'window-begun' | 'window-ended';

const IDLE_POLL_MS = 5;
const SECOND_MS = 1_000;
/** How fine the event loop's lateness is looked at; a timer of this interval fires late by the lag. */
const LAG_RESOLUTION_MS = 5;

/**
 * Carries out one phase.
 *
 * @param look - Told what each second was, from the first one on.
 * @throws {BenchError} BENCH_LOST when messages are stuck after `drainMsMax`; what the load fails with.
 */
export function measureRun(
  plan: RunPlan,
  subject: Subject,
  clock: Clock,
  announce: (edge: WindowEdge) => void,
  look: (second: SecondReport) => void = ignore,
): Promise<RunResult> {
  const cancel = reportSeconds(subject, clock, look);
  return Promise.race([subject.failed, runPhases(plan, subject, clock, announce, cancel)]).finally(cancel);
}

function ignore(): void {}

/** Tells what each second was, until it is cancelled. */
function reportSeconds({ tally }: Subject, clock: Clock, look: (second: SecondReport) => void): () => void {
  let index = 0;
  tally.second.take();
  return clock.every(SECOND_MS, () => {
    look({ index, buckets: tally.second.take() });
    index += 1;
  });
}

async function runPhases(
  plan: RunPlan,
  subject: Subject,
  clock: Clock,
  announce: (edge: WindowEdge) => void,
  lookAway: () => void,
): Promise<RunResult> {
  const { tally } = subject;
  subject.begin(plan.shape);
  await pause(plan.warmUpMs, clock);
  const beganMs = clock.nowMs();
  tally.open(beganMs);
  const endUse = beginUse();
  announce('window-begun');
  await pause(plan.windowMs, clock);
  const endedMs = clock.nowMs();
  tally.close(endedMs);
  const { accepted, completed } = tally;
  const use = endUse();
  announce('window-ended');
  lookAway();
  subject.stop();
  await drain(plan, subject, clock);
  const [delivery, raw] = [tally.delivery.encode(), tally.raw.encode()];
  const [receipt, sending] = [tally.receipt.encode(), tally.sending.encode()];
  return { windowMs: endedMs - beganMs, ...use, accepted, completed, delivery, raw, receipt, sending };
}

async function drain({ drainMsMax }: RunPlan, subject: Subject, clock: Clock): Promise<void> {
  const deadlineMs = clock.nowMs() + drainMsMax;
  while (!subject.isIdle()) {
    if (clock.nowMs() >= deadlineMs) throw new BenchError('BENCH_LOST', subject.describe());
    await pause(IDLE_POLL_MS, clock);
  }
}

/** Begins to watch this process; the result of the call ends it. */
function beginUse(): () => Pick<RunResult, 'cpuMs' | 'loopLagMs'> {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    lag.disable();
    const loopLagMs = Math.max(0, lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS);
    return { cpuMs: (user + system) / 1000, loopLagMs };
  };
}
