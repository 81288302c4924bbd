/**
 * A generator against a server that keeps or breaks its promises, over real sockets. The positive control of the benchmark:
 * every way of breaking a promise must void the run, whichever generator looks: the one in TypeScript, or the one in C where there is a compiler.
 */

import t, { type Test } from 'tap';
import type { BenchCode } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { mergeHistograms } from '../harness/histogram.ts';
import { StandInServer, type Fault, type StandInOptions } from '../testing/stand-in-server.ts';
import type { GeneratorEvent } from './control.ts';
import { Generator } from './generator.ts';
import type { RunPlan, RunResult } from './measured-run.ts';
import { buildNative } from './native-program.ts';

const CLOSED: RunPlan = { shape: { kind: 'closed', inFlight: 5 }, warmUpMs: 20, windowMs: 100, drainMsMax: 5_000 };

/** A generator with two pairs logged in on a stand-in; both end with the test. */
async function openPairs(
  t: Test,
  native: boolean,
  options: Omit<StandInOptions, 'log'> = {},
): Promise<(plan: RunPlan) => Promise<GeneratorEvent>> {
  const events: GeneratorEvent[] = [];
  let wake = (): void => undefined;
  const generator = new Generator(systemClock, (event) => {
    events.push(event);
    wake();
  });
  const log = (_event: string, { phone, code }: Readonly<Record<string, unknown>>): void =>
    generator.take({ kind: 'code', phone: String(phone), code: String(code) });
  const server = new StandInServer({ ...options, log });
  t.teardown(async () => {
    generator.close();
    await server.close();
  });
  /** The next event that ends a command. */
  const outcome = async (): Promise<GeneratorEvent> => {
    for (;;) {
      const event = events.shift();
      if (event === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (!['window-begun', 'window-ended', 'second'].includes(event.kind)) return event;
    }
  };
  const phones = (pair: number): { sender: string; recipient: string } => ({
    sender: `+4915100000${pair}1`,
    recipient: `+4915100000${pair}2`,
  });
  generator.take({
    kind: 'open-pairs',
    url: await server.listen(),
    pairs: Array.from({ length: PAIRS }, (_, pair) => phones(pair)),
    ciphertextBytes: 100,
    native,
  });
  t.match(await outcome(), {
    kind: 'opened',
    ...(native && buildNative('pairs') !== undefined ? { nativePid: Number } : {}),
  });
  return (plan) => {
    generator.take({ kind: 'run', plan });
    return outcome();
  };
}

function resultOf(event: GeneratorEvent): RunResult {
  if (event.kind !== 'result') throw new Error(`expected a result, got ${JSON.stringify(event)}`);
  return event.result;
}

/**
 * Runs `plan`, with a longer window as long as `isSeen` says that a window had nothing to show: others may have the processors for the
 * whole of a short one, and this process is the server too.
 */
async function runUntil(
  run: (plan: RunPlan) => Promise<GeneratorEvent>,
  plan: RunPlan,
  isSeen: (event: GeneratorEvent) => boolean,
): Promise<GeneratorEvent> {
  for (let windowMs = plan.windowMs; ; windowMs *= 2) {
    const event = await run({ ...plan, windowMs });
    if (isSeen(event) || windowMs >= WINDOW_MS_MAX) return event;
  }
}

const WINDOW_MS_MAX = 12_000;

async function runUntilCompleted(run: (plan: RunPlan) => Promise<GeneratorEvent>, plan: RunPlan): Promise<RunResult> {
  return resultOf(await runUntil(run, plan, (event) => event.kind !== 'result' || event.result.completed > 0));
}

/** As long as too few messages went by for the fault, which no window can miss that has more. */
function runUntilFailed(run: (plan: RunPlan) => Promise<GeneratorEvent>, plan: RunPlan): Promise<GeneratorEvent> {
  return runUntil(run, plan, (event) => event.kind !== 'result' || event.result.completed >= FAULTS_AT * PAIRS);
}

/** Who breaks a promise breaks it at each message of a conversation with a multiple of this for its number. */
const FAULTS_AT = 7;
const PAIRS = 2;

const faults: [Fault, BenchCode][] = [
  ['lose', 'BENCH_GAP'],
  ['duplicate', 'BENCH_DUPLICATE'],
  ['swap', 'BENCH_GAP'],
  ['corrupt', 'BENCH_CORRUPT'],
  ['false-ack', 'BENCH_FALSE_RECEIPT'],
  ['early-receipt', 'BENCH_FALSE_RECEIPT'],
  ['refuse', 'BENCH_REFUSED'],
  ['no-receipt', 'BENCH_LOST'],
];

for (const native of [false, true]) {
  const name = native ? 'C' : 'TypeScript';

  t.test(`${name}: a closed loop counts full cycles and leaves nothing in flight`, async (t) => {
    const run = await openPairs(t, native);
    const first = await runUntilCompleted(run, CLOSED);
    t.ok(first.completed > 0);
    t.ok(mergeHistograms([first.delivery]).count > 0);
    const second = await runUntilCompleted(run, { ...CLOSED, shape: { kind: 'closed', inFlight: 1 } });
    t.ok(second.completed > 0, 'the next phase goes on with the same conversations');
  });

  t.test(`${name}: an open loop sends what was intended, no more and no less`, async (t) => {
    const run = await openPairs(t, native);
    const shape = { kind: 'open', ratePerSecond: 1000, index: 0, count: 1 } as const;
    const result = resultOf(await run({ ...CLOSED, shape, windowMs: 200 }));
    const delivered = mergeHistograms([result.delivery]).count;
    // The window is as long as it turned out to be; the messages intended within it are as many as the rate says.
    t.ok(Math.abs(delivered - result.windowMs) <= 1, `${delivered} delivered in a window of ${result.windowMs} ms`);
    t.equal(mergeHistograms([result.receipt]).count, delivered, 'each of them came back as a receipt');
  });

  t.test(`${name}: a slow server shows in the latency and not only in the rate`, async (t) => {
    const run = await openPairs(t, native, { delayMs: 60 });
    const shape = { kind: 'open', ratePerSecond: 500, index: 0, count: 1 } as const;
    const result = await runUntilCompleted(run, { ...CLOSED, shape });
    const [delivery, receipt] = [mergeHistograms([result.delivery]), mergeHistograms([result.receipt])];
    t.ok(delivery.percentileMs(1)! >= 59, `the fastest took ${delivery.percentileMs(1)} ms`);
    t.ok(receipt.percentileMs(99)! >= delivery.percentileMs(50)!, 'a receipt is later than its delivery');
  });

  for (const [fault, code] of faults) {
    t.test(`${name}: a server that does "${fault}" voids the run with ${code}`, async (t) => {
      const run = await openPairs(t, native, { fault, at: FAULTS_AT });
      // It ends when the fault is seen. One that only the drain sees, or the count of refusals, is waited for.
      const windowMs = code === 'BENCH_LOST' || code === 'BENCH_REFUSED' ? 500 : 2_000;
      // What is only late must not count as lost.
      const drainMsMax = code === 'BENCH_LOST' ? 100 : CLOSED.drainMsMax;
      t.match(await runUntilFailed(run, { ...CLOSED, windowMs, drainMsMax }), { kind: 'failed', code });
    });
  }

  t.test(`${name}: the last message lost is noticed by the drain`, async (t) => {
    // With one message in flight nothing follows the lost one, so no gap shows it.
    const run = await openPairs(t, native, { fault: 'lose', at: 3 });
    const plan = { ...CLOSED, shape: { kind: 'closed', inFlight: 1 }, windowMs: 1_000, drainMsMax: 100 } as const;
    t.match(await runUntilFailed(run, plan), {
      kind: 'failed',
      code: 'BENCH_LOST',
      detail: /2 acknowledged and not delivered/,
    });
  });

  t.test(`${name}: a refusal is counted by its code`, async (t) => {
    const run = await openPairs(t, native, { fault: 'refuse', at: 2 });
    t.match(await runUntilFailed(run, { ...CLOSED, windowMs: 500 }), {
      kind: 'failed',
      detail: /APP_OVERLOADED \d+ times/,
    });
  });
}

t.test('a server that goes away fails the run', async (t) => {
  const events: GeneratorEvent[] = [];
  const failed = new Promise<void>((resolve) => {
    const generator = new Generator(systemClock, (event) => {
      events.push(event);
      resolve();
    });
    const pairs = [{ sender: '+4915100000001', recipient: '+4915100000002' }];
    generator.take({ kind: 'open-pairs', url: 'ws://127.0.0.1:1/ws', pairs, ciphertextBytes: 100, native: true });
  });
  await failed;
  t.match(events, [{ kind: 'failed', code: 'BENCH_CONNECT' }]);
});
