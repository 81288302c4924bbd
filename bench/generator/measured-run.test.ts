import t from 'tap';
import { mergeHistograms } from '../harness/histogram.ts';
import { SecondSum, type SecondReport } from '../harness/second-counts.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { measureRun, Tally, type LoadShape, type RunPlan, type Subject } from './measured-run.ts';

/** A load that completes a message every 10 ms, `latencyMs` after it was intended. */
class SteadyLoad implements Subject {
  readonly tally: Tally = new Tally();
  readonly failed: Promise<never> = new Promise<never>(() => undefined);
  readonly #clock: ManualClock;
  readonly #latencyMs: number;
  #cancel: () => void = () => undefined;
  waiting = 0;

  constructor(clock: ManualClock, latencyMs: number) {
    this.#clock = clock;
    this.#latencyMs = latencyMs;
  }

  begin(_shape: LoadShape): void {
    this.#cancel = this.#clock.every(10, () => {
      const intendedMs = this.#clock.nowMs();
      this.waiting += 1;
      this.#clock.after(this.#latencyMs, () => this.#complete(intendedMs));
    });
  }

  #complete(intendedMs: number): void {
    this.waiting -= 1;
    this.tally.completed += 1;
    this.tally.arrived(this.#clock.nowMs(), intendedMs);
  }

  stop(): void {
    this.#cancel();
  }

  isIdle(): boolean {
    return this.waiting === 0;
  }

  describe(): string {
    return `${this.waiting} wait`;
  }
}

const PLAN: RunPlan = { shape: { kind: 'closed', inFlight: 1 }, warmUpMs: 1000, windowMs: 2000, drainMsMax: 500 };

t.test('the warm-up is left out, and what was intended in the window is counted though it comes later', async (t) => {
  const clock = new ManualClock();
  const load = new SteadyLoad(clock, 105);
  const edges: [string, number][] = [];
  const run = measureRun(PLAN, load, clock, (edge) => edges.push([edge, clock.nowMs()]));
  await clock.pass(4000);
  const { completed, windowMs, delivery } = await run;
  t.same(edges, [
    ['window-begun', 1000],
    ['window-ended', 3000],
  ]);
  t.equal(windowMs, 2000);
  t.equal(completed, 200, 'the rate is that of the window');
  t.equal(mergeHistograms([delivery]).count, 200, 'the slow ones at the end are among the latencies');
  t.equal(mergeHistograms([delivery]).percentileMs(100)! >= 105, true);
});

t.test('what does not come through in the time allowed is lost', async (t) => {
  const clock = new ManualClock();
  const run = measureRun(PLAN, new SteadyLoad(clock, 1_000_000), clock, () => undefined);
  const outcome = t.rejects(run, { code: 'BENCH_LOST', detail: /wait/ });
  await clock.pass(4000);
  await outcome;
});

t.test('a load that fails ends the run at once', async (t) => {
  const clock = new ManualClock();
  const load: Subject = Object.assign(new SteadyLoad(clock, 1), { failed: Promise.reject(new Error('broken')) });
  await t.rejects(
    measureRun(PLAN, load, clock, () => undefined),
    { message: 'broken' },
  );
});

t.test('a second window begins at zero', async (t) => {
  const clock = new ManualClock();
  const load = new SteadyLoad(clock, 5);
  const counts: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const run = measureRun(PLAN, load, clock, () => undefined);
    await clock.pass(4000);
    counts.push((await run).completed);
  }
  t.same(counts, [200, 200]);
});

t.test('who looks on is told what each second was, from the warm-up on, until the window ends', async (t) => {
  const clock = new ManualClock();
  const load = new SteadyLoad(clock, 105);
  const seconds: SecondReport[] = [];
  const run = measureRun(
    PLAN,
    load,
    clock,
    () => undefined,
    (second) => seconds.push(second),
  );
  await clock.pass(5000);
  await run;
  t.strictSame(
    seconds.map(({ index }) => index),
    [0, 1, 2],
  );
  const sums = seconds.map((second) => {
    const sum = new SecondSum();
    sum.add(second);
    return sum;
  });
  t.ok(sums[0]!.arrived > 80 && sums[0]!.arrived < 100, `the first messages take a while: ${sums[0]!.arrived}`);
  for (const sum of sums.slice(1)) t.ok(sum.arrived >= 99 && sum.arrived <= 101, `${sum.arrived} a second`);
  const p50 = sums[1]!.percentileMs(50)!;
  t.ok(p50 >= 105 && p50 < 105 * 1.09, `p50 ${p50}`);
});
