/**
 * Links, monitors and order among actors of three real threads, under random programs whose interleaving is the
 * machine's: a plain model says what each survivor must have heard.
 *
 * `BLINDBEAM_LONG=1` runs a hundred times as many programs.
 */

import fc from 'fast-check';
import t from 'tap';

import { createNode, type RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { createMemoryLog } from '../testing/test-node.ts';
import { startWorkers } from './pool.ts';
import { agent, type Command, PAGE_LINES } from './relations.fixture.ts';

const THREADS = 3;
const AGENTS = 6;
const CALL_MS = 60_000;
const RUNS = process.env['BLINDBEAM_LONG'] === '1' ? 3_000 : 30;

type Step =
  | { readonly type: 'link' | 'monitor'; readonly by: number; readonly to: number }
  | { readonly type: 'send'; readonly by: number; readonly to: number; readonly count: number };

interface Program {
  readonly steps: readonly Step[];
  /** Who ends after the steps, and how. */
  readonly ends: readonly { readonly who: number; readonly how: 'stop' | 'crash' | 'kill' }[];
}

const REASONS = { stop: 'shutdown', crash: 'error', kill: 'killed' } as const;

const who = fc.nat(AGENTS - 1);
const program: fc.Arbitrary<Program> = fc.record({
  steps: fc.array(
    fc.oneof(
      fc.record({ type: fc.constantFrom('link' as const, 'monitor' as const), by: who, to: who }),
      fc.record({ type: fc.constant('send' as const), by: who, to: who, count: fc.integer({ min: 1, max: 300 }) }),
    ),
    { maxLength: 40 },
  ),
  ends: fc.uniqueArray(fc.record({ who, how: fc.constantFrom('stop' as const, 'crash' as const, 'kill' as const) }), {
    selector: ({ who }) => who,
    maxLength: AGENTS - 1,
  }),
});

/** What each agent must have heard of ends, sorted. */
function expectedNews({ steps, ends }: Program, pids: readonly Pid[]): string[][] {
  const news = pids.map((): string[] => []);
  for (const { who, how } of ends) {
    const linked = new Set<number>();
    for (const step of steps) {
      if (step.type === 'send' || step.by === step.to) continue;
      if (step.type === 'monitor' && step.to === who) news[step.by]!.push(`down ${pids[who]} ${REASONS[how]}`);
      if (step.type === 'link' && step.to === who) linked.add(step.by);
      if (step.type === 'link' && step.by === who) linked.add(step.to);
    }
    for (const peer of linked) news[peer]!.push(`exit ${pids[who]} ${REASONS[how]}`);
  }
  return news.map((each) => each.sort());
}

/** What each agent must have got, by sender and in order. */
function expectedNumbers({ steps }: Program, pids: readonly Pid[]): Map<string, number>[] {
  const numbers = pids.map(() => new Map<string, number>());
  for (const step of steps) {
    if (step.type !== 'send') continue;
    const from = `${pids[step.by]}`;
    numbers[step.to]!.set(from, (numbers[step.to]!.get(from) ?? 0) + step.count);
  }
  return numbers;
}

/** Visits everybody from everybody: what was under way between any two has arrived afterwards. */
async function settle(node: RuntimeNode, pids: readonly Pid[]): Promise<void> {
  await Promise.all(pids.map((pid) => node.call(pid, { visit: [] }, CALL_MS)));
  for (const pid of pids) await node.call(pid, { visit: pids }, CALL_MS);
}

async function readSeen(node: RuntimeNode, pid: Pid): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const page = await node.call<string[]>(pid, { seen: lines.length }, CALL_MS);
    lines.push(...page);
    if (page.length < PAGE_LINES) return lines;
  }
}

async function run(
  node: RuntimeNode,
  { steps, ends }: Program,
  pids: readonly Pid[],
  bystanders: readonly Pid[],
): Promise<Pid[]> {
  for (const { type, by, to, ...rest } of steps) {
    // A monitor on oneself would tell nobody.
    if (type !== 'send' && by === to) continue;
    node.cast(pids[by]!, { type, to: pids[to], ...rest } as Command);
  }
  await settle(node, pids);
  const exits = ends.map(({ who }) => node.awaitExit(pids[who]!, CALL_MS));
  for (const { who, how } of ends) {
    if (how === 'kill') node.exit(pids[who]!, 'kill');
    else node.cast(pids[who]!, { type: how } satisfies Command);
  }
  await Promise.all(exits);
  const survivors = pids.filter((_, index) => !ends.some(({ who }) => who === index));
  await settle(node, [...survivors, ...bystanders]);
  return survivors;
}

t.test('among actors of three threads, each end is told to exactly those it concerns, and order holds', async (t) => {
  const node = createNode({
    name: 'relations',
    clock: systemClock,
    random: systemRandom,
    loop: systemLoop,
    log: createMemoryLog([]),
  });
  // Small rings, so that some of it waits for room.
  const pool = await startWorkers({
    node,
    count: THREADS - 1,
    entry: new URL('./relations.fixture.js', import.meta.url),
    ringBytes: 4_096,
  });
  const start = (index: number): Pid | Promise<Pid> => {
    const worker = index % THREADS;
    return worker === 0 ? node.spawn(agent, undefined) : node.call<Pid>({ name: 'starter', worker }, 'start', CALL_MS);
  };
  // One on each thread whom no program ends: where all agents of a thread have ended, what they last sent is settled by it.
  const bystanders = await Promise.all(Array.from({ length: THREADS }, (_, index) => start(index)));
  let toldCount = 0;
  const holds = fc.asyncProperty(program, async (each) => {
    const pids = await Promise.all(Array.from({ length: AGENTS }, (_, index) => start(index)));
    const survivors = await run(node, each, pids, bystanders);
    const news = expectedNews(each, pids);
    const numbers = expectedNumbers(each, pids);
    const heard = await Promise.all(survivors.map((pid) => readSeen(node, pid)));
    for (const [at, pid] of survivors.entries()) {
      const index = pids.indexOf(pid);
      const seen = heard[at]!;
      const told = seen.filter((line) => /^(down|exit)/.test(line)).sort();
      toldCount += told.length;
      t.strictSame(told, news[index]);
      for (const [from, count] of numbers[index]!) {
        const got = seen.filter((line) => line.startsWith(`${from} `)).map((line) => Number(line.split(' ')[1]));
        t.strictSame(
          got,
          Array.from({ length: count }, (_, place) => place + 1),
        );
      }
      node.exit(pid, 'kill');
      await node.awaitExit(pid, CALL_MS);
    }
  });
  await fc.assert(holds, { numRuns: RUNS, endOnFailure: true });
  t.ok(toldCount > 0, `${toldCount} ends told`);
  t.equal(node.kernel.expected.size, 0);
  t.equal(node.kernel.foreign.size, 0, 'and nothing remains');
  await pool.stop(CALL_MS);
  await node.stop();
});
