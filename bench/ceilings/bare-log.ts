/**
 * The bare log: messages of our size, at our rate, into as many streams with as many replicas on the same servers, and nothing of ours around them:
 * no clients, no actors, no store. Entry point of a process of its own, started by `ceilings.ts`.
 *
 *   each       every message is a publish of its own, and waits for its acknowledgement
 *   gathered   a stream has one publish under way, and what comes meanwhile goes out together with the next: the log's part of our commits
 *
 * A latency runs from the intended time to the acknowledgement, which is as far as a message is then durable.
 */

import { opaqueBytes } from '../generator/account-keys.ts';
import { pause, systemClock } from '../harness/clock.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { Pace } from '../harness/pace.ts';
import { type NatsBus, openNatsBus } from '../../runtime/cluster/index.ts';
import type { Logger } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { LogCeilingPlan, LogCeilingResult } from './ceilings.ts';

const SILENT: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Whatever is published is a beginning of this. */
const RECORD: Uint8Array = opaqueBytes(LIMITS.bareLogBytesMax);

function ignore(): void {}

/** What all lanes note. */
class Tally {
  readonly latency: LatencyHistogram = new LatencyHistogram();
  /** Messages that were intended before do not count. */
  fromMs: number = Infinity;
  acknowledged = 0;
  publishes = 0;
  unanswered = 0;

  note(intendedMs: readonly number[]): void {
    const nowMs = systemClock.nowMs();
    for (const each of intendedMs) {
      if (each < this.fromMs) continue;
      this.acknowledged += 1;
      this.latency.record(nowMs - each);
    }
    if (intendedMs[0]! >= this.fromMs) this.publishes += 1;
  }
}

/** One stream, and what waits for it: the intended times of its messages. */
class Lane {
  readonly #jetstream: ReturnType<NatsBus['connection']['jetstream']>;
  readonly #subject: string;
  readonly #plan: LogCeilingPlan;
  readonly #tally: Tally;
  #waiting: number[] = [];
  #underWay = 0;

  constructor(bus: NatsBus, subject: string, plan: LogCeilingPlan, tally: Tally) {
    // What a late answer costs is measured, so none is given up before the end of the run.
    this.#jetstream = bus.connection.jetstream({ timeout: LIMITS.drainMsMax });
    this.#subject = subject;
    this.#plan = plan;
    this.#tally = tally;
  }

  get isIdle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0;
  }

  intend(intendedMs: number): void {
    this.#waiting.push(intendedMs);
  }

  /** Publishes what waits, as far as the way of doing it allows. */
  flush(): void {
    const { way, messageBytes } = this.#plan;
    const countMax = way === 'each' ? 1 : Math.floor(RECORD.length / messageBytes);
    while (this.#waiting.length > 0 && (way === 'each' || this.#underWay === 0)) {
      void this.#publish(this.#waiting.splice(0, countMax));
    }
  }

  async #publish(intendedMs: readonly number[]): Promise<void> {
    this.#underWay += 1;
    const record = RECORD.subarray(0, intendedMs.length * this.#plan.messageBytes);
    try {
      await this.#jetstream.publish(this.#subject, record);
      this.#tally.note(intendedMs);
    } catch {
      this.#tally.unanswered += intendedMs.length;
    }
    this.#underWay -= 1;
    this.flush();
  }
}

async function openLanes(plan: LogCeilingPlan, buses: readonly NatsBus[], tally: Tally): Promise<Lane[]> {
  const manager = await buses[0]!.connection.jetstreamManager();
  const lanes: Lane[] = [];
  for (let index = 0; index < plan.streams; index += 1) {
    const [name, subject] = [`bench-${plan.way}-${index}`, `bench.${plan.way}.${index}`];
    const options = { name, subjects: [subject], num_replicas: plan.replicas, storage: 'file', retention: 'limits' };
    await manager.streams.add(options as object);
    lanes.push(new Lane(buses[index % buses.length]!, subject, plan, tally));
  }
  return lanes;
}

/** Intends at the rate, stream by stream in turn, until the window is over; then waits for what is under way. */
async function drive(plan: LogCeilingPlan, lanes: readonly Lane[], tally: Tally): Promise<void> {
  const startMs = systemClock.nowMs();
  const pace = new Pace({ ratePerSecond: plan.ratePerSecond, startMs });
  const endMs = startMs + plan.warmUpMs + plan.windowMs;
  tally.fromMs = startMs + plan.warmUpMs;
  const keepPace = (): void => {
    const dueMs = Math.min(systemClock.nowMs(), endMs);
    for (let at = pace.take(dueMs); at !== undefined; at = pace.take(dueMs))
      lanes[pace.taken % lanes.length]!.intend(at);
    for (const lane of lanes) lane.flush();
  };
  const cancel = systemClock.every(LIMITS.paceTickMs, keepPace);
  await pause(plan.warmUpMs + plan.windowMs);
  cancel();
  keepPace();
  while (!lanes.every(({ isIdle }) => isIdle) && systemClock.nowMs() < endMs + LIMITS.drainMsMax) await pause(10);
}

async function measure(plan: LogCeilingPlan): Promise<LogCeilingResult> {
  const tally = new Tally();
  // One connection to each server, as the nodes have.
  const open = (url: string): Promise<NatsBus> => openNatsBus({ servers: [url] }, 'bare-log', SILENT);
  const buses = await Promise.all(plan.servers.map(open));
  await drive(plan, await openLanes(plan, buses, tally), tally);
  await Promise.all(buses.map((bus) => bus.close()));
  const { latency, acknowledged, publishes, unanswered } = tally;
  return {
    p50Ms: latency.percentileMs(50),
    p99Ms: latency.percentileMs(99),
    publishesPerSecond: (publishes * 1000) / plan.windowMs,
    acknowledged,
    unanswered,
  };
}

if (process.send === undefined) throw new Error('the bare log is started by the benchmark, not by hand');

process.on('message', (plan: LogCeilingPlan) => {
  void measure(plan).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
