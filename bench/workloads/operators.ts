/**
 * What does it cost a node, and those who chat, that operators look at it?
 *
 *   quiet      all connections open and silent; `top`, the page and a scraper look, each between          …_cores, …_look_ms
 *              two turns of nobody
 *   questions  each is asked many times                                                               …_answer_ms_max
 *   traffic    open loop; in turns without and with a scrape each second                              scrape_added_p99_ms
 *
 * In turns, since a machine is another one half a minute later: what is compared was measured side by side. A cost is the CPU time
 * of all threads of the server while somebody looks, less that while nobody did just before and after; the median over the rounds, with
 * its interval beside it. A turn lasts whole seconds, and so has as many looks. That of the first turn is noted as well: what a look runs is
 * compiled after some of them only. Turns with traffic are short and many, so that bad seconds fall on either sort, in an order that is
 * drawn; their latencies are pooled (`../harness/pooled.ts`). The store lies in memory where the system has room for that: a scrape touches
 * no file, and the slow flushes of a disk would be all that a 99th percentile shows.
 */

import { join } from 'node:path';
import type { ConsoleAddress } from '../../actors/console/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import type { Random } from '../../runtime/index.ts';
import { createSeededRandom } from '../../runtime/testing/index.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import type { LoadProcesses } from '../harness/load-process.ts';
import { memoryDirectory } from '../harness/memory-directory.ts';
import { medianOf } from '../harness/median.ts';
import { describeDifference, medianDifference } from '../harness/paired.ts';
import { pooledDifference, type TurnPair } from '../harness/pooled.ts';
import { pairsOfPhones } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { untilQuiet } from '../harness/quiet.ts';
import { readThreadTimes, threadTimeBetween } from '../harness/resources.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { BYTES_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { LIMITS } from '../limits.ts';
import { consoleLooker, EVERY_MS, scrapeLooker, topLooker, wait, type Looker } from '../operators/lookers.ts';

type OptionName =
  'connections' | 'rate' | 'samples' | 'window' | 'comparisons' | 'traffic' | 'generators' | 'bytes' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  connections: { default: 15_000, min: 2, max: 19_000, help: 'connections, in pairs that write to each other' },
  rate: { default: 1_000, min: 1, max: 100_000, help: 'messages a second over all pairs' },
  samples: { default: 30, quick: 16, min: 1, max: 1_000, help: 'times that everybody has a turn without traffic' },
  window: { default: 1_000, min: 1_000, max: 60_000, help: 'milliseconds of a turn without traffic' },
  comparisons: {
    default: 150,
    quick: 48,
    min: 1,
    max: 2_000,
    help: 'turns with traffic and scrapes, each beside one without',
  },
  traffic: { default: 1_000, min: 100, max: 60_000, help: 'milliseconds of a turn with traffic' },
  generators: { default: 2, min: 1, max: 16, help: 'generator processes' },
  bytes: BYTES_OPTION,
  workers: WORKERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** From the beginning of a look to its window: the first one compiles what it runs. */
const SETTLE_MS = 300;
const WARM_UP_MS = 300;
/** For a message of every pair, at one a second. */
const TOUCH_MS = 1_200;
/** Times that each one asks each of its questions. */
const ASK_COUNT = 20;
/** Of the order of turns and of what the interval draws: the same in every run. */
const SEED = 1;
const ASK_PAUSE_MS = 50;

/** What tests change. */
export interface OperatorsSettings {
  readonly serverFlags?: readonly string[];
}

export function createOperatorsWorkload(settings: OperatorsSettings = {}): Workload<OptionName> {
  return {
    name: 'operators',
    question: 'what it costs a node, and those who chat, that operators and scrapers look at it',
    options: OPTIONS,
    thresholds: [
      { metric: 'top_answer_ms_max', bound: 'at-most', value: 100 },
      { metric: 'console_answer_ms_max', bound: 'at-most', value: 100 },
      { metric: 'top_cores', bound: 'at-most', value: 0.02 },
      { metric: 'console_cores', bound: 'at-most', value: 0.02 },
      { metric: 'scrape_added_p99_ms', bound: 'at-most', value: 1 },
    ],
    run: (context) => run(context, settings),
  };
}

function run(context: Context, { serverFlags: flags }: OperatorsSettings): Promise<void> {
  const { generators, workers } = context.options;
  const parent = memoryDirectory();
  if (parent === undefined)
    context.recorder.note('the store was on a disk, whose slow flushes are within the latencies');
  return withServer(context, { generators, workers, flags, parent }, (server, load) => measure(context, server, load));
}

async function measure(context: Context, server: ServerProcess, load: LoadProcesses): Promise<void> {
  const { options, progress, recorder } = context;
  progress('starting the server');
  const url = await server.started();
  const pairs = pairsOfPhones(Math.floor(options.connections / 2));
  progress(`registering ${pairs.length * 2} clients`);
  await load.openPairs(url, pairs, options.bytes, false, LIMITS.stormOpeningParallelMax);
  recorder.metric('connections', pairs.length * 2, 'client');
  const admin = await AdminClient.connect(join(server.dataDirectory, 'admin.sock'), LIMITS.statisticsMsMax);
  try {
    const address = await admin.request<ConsoleAddress>('console', {}, LIMITS.statisticsMsMax);
    const scraper = scrapeLooker(metricsUrlOf(server));
    const lookers = [topLooker(admin), consoleLooker(address), scraper];
    await new Quiet(context, server, lookers).run();
    progress('asking');
    for (const looker of lookers) await ask(context, looker);
    await new Traffic(context, load, scraper).run();
  } finally {
    admin.close();
  }
}

function metricsUrlOf({ metricsUrl }: ServerProcess): string {
  if (metricsUrl === undefined) throw new BenchError('BENCH_SERVER', 'its event "node_started" has no "metrics"');
  return metricsUrl;
}

/** Runs `during` while `looker` looks. */
async function whileLooking<Result>(looker: Looker | undefined, during: () => Promise<Result>): Promise<Result> {
  const leaving = new AbortController();
  const looking = looker?.look(leaving.signal) ?? new Promise<void>(() => undefined);
  try {
    // A look that fails ends the run, and no look ends by itself.
    return await Promise.race([during(), looking.then(() => Promise.reject(endedItself(looker!)))]);
  } finally {
    leaving.abort();
    if (looker !== undefined) await looking.catch(() => undefined);
  }
}

function endedItself({ name }: Looker): BenchError {
  return new BenchError('BENCH_SERVER', `the view of ${name} ended while somebody looked`);
}

/** Nobody writes: what the server does is done for those who look. */
class Quiet {
  readonly #context: Context;
  readonly #server: ServerProcess;
  readonly #lookers: readonly Looker[];
  /** CPU in cores, of each turn of nobody. */
  readonly #nobody: number[] = [];
  /** More than nobody beside it, of each turn of a looker. */
  readonly #added: Map<string, number[]> = new Map();

  constructor(context: Context, server: ServerProcess, lookers: readonly Looker[]) {
    this.#context = context;
    this.#server = server;
    this.#lookers = lookers;
    for (const { name } of lookers) this.#added.set(name, []);
  }

  async run(): Promise<void> {
    const { options, progress } = this.#context;
    progress('waiting until the server is quiet');
    await untilQuiet(this.#server.pid, options.connections);
    for (let round = 1; round <= options.samples; round += 1) {
      progress(`looking, round ${round} of ${options.samples}`);
      let before = await this.#turn(undefined);
      for (const looker of this.#lookers) {
        const during = await this.#turn(looker);
        const after = await this.#turn(undefined);
        this.#added.get(looker.name)!.push(during - (before + after) / 2);
        before = after;
      }
    }
    this.#record();
  }

  async #turn(looker: Looker | undefined): Promise<number> {
    const cores = await whileLooking(looker, async () => {
      await wait(SETTLE_MS);
      return this.#coresOver(this.#context.options.window);
    });
    if (looker === undefined) this.#nobody.push(cores);
    return cores;
  }

  /** What the server uses of the cores in the next `ms`; NaN without /proc. */
  async #coresOver(ms: number): Promise<number> {
    const { pid } = this.#server;
    const [before, beganMs] = [readThreadTimes(pid), systemClock.nowMs()];
    await wait(ms);
    const now = readThreadTimes(pid);
    if (before === undefined || now === undefined) return Number.NaN;
    return threadTimeBetween(before, now) / (systemClock.nowMs() - beganMs);
  }

  #record(): void {
    const { recorder } = this.#context;
    recorder.metric('nobody_cores', medianOf(this.#nobody), 'cores');
    for (const { name } of this.#lookers) {
      const differences = this.#added.get(name)!;
      const added = medianDifference(differences);
      const mean = differences.reduce((sum, each) => sum + each, 0) / differences.length;
      recorder.metric(`${name}_cores`, added.median, 'cores');
      recorder.metric(`${name}_look_ms`, added.median * EVERY_MS, 'ms');
      const beside = `${mean.toFixed(4)} on average, ${differences[0]!.toFixed(4)} in its first turn`;
      recorder.note(`${name}_cores: ${describeDifference(added, 'cores', 4)}; ${beside}`);
    }
  }
}

/** Asks each question of a looker again and again, one after the other. */
async function ask({ recorder }: Context, { name, questions }: Looker): Promise<void> {
  const answers = new LatencyHistogram();
  for (let count = 0; count < ASK_COUNT; count += 1) {
    for (const question of questions) {
      const beganMs = systemClock.nowMs();
      await question();
      answers.record(systemClock.nowMs() - beganMs);
      await wait(ASK_PAUSE_MS);
    }
  }
  recorder.metric(`${name}_answer_p50_ms`, answers.percentileMs(50), 'ms');
  recorder.metric(`${name}_answer_ms_max`, answers.maxMs(), 'ms');
}

/** All write, and the node is scraped in one of every two turns. */
class Traffic {
  readonly #context: Context;
  readonly #load: LoadProcesses;
  readonly #scraper: Looker;

  constructor(context: Context, load: LoadProcesses, scraper: Looker) {
    this.#context = context;
    this.#load = load;
    this.#scraper = scraper;
  }

  async run(): Promise<void> {
    const { options, progress } = this.#context;
    const random = createSeededRandom(SEED);
    const pairs: TurnPair[] = [];
    // What the first message of a conversation makes, and what the first ones compile, belongs to neither.
    await this.#turn(Math.max(options.rate, options.connections / 2), TOUCH_MS);
    await this.#turn();
    for (let number = 1; number <= options.comparisons; number += 1) {
      progress(`traffic, comparison ${number} of ${options.comparisons}`);
      // Drawn, so that nothing that comes back every few seconds meets one sort of turns alone.
      const isScrapedFirst = random.integer(2) === 0;
      const first = await this.#turnOf(isScrapedFirst);
      const second = await this.#turnOf(!isScrapedFirst);
      pairs.push(isScrapedFirst ? { without: second, during: first } : { without: first, during: second });
    }
    this.#record(pairs, random);
  }

  #record(pairs: readonly TurnPair[], random: Random): void {
    const { recorder } = this.#context;
    const [calm, scraped] = [new LatencyHistogram(), new LatencyHistogram()];
    for (const { without, during } of pairs) {
      calm.add(without);
      scraped.add(during);
    }
    recorder.metric('p50_ms', calm.percentileMs(50), 'ms');
    recorder.metric('scraped_p50_ms', scraped.percentileMs(50), 'ms');
    recorder.metric('p99_ms', calm.percentileMs(99), 'ms');
    recorder.metric('scraped_p99_ms', scraped.percentileMs(99), 'ms');
    const added = pooledDifference(pairs, 99, random);
    recorder.metric('scrape_added_p99_ms', added.median, 'ms');
    const each = medianDifference(pairs.map(({ without, during }) => p99Of(during) - p99Of(without)));
    recorder.note(`scrape_added_p99_ms: ${describeDifference(added, 'ms', 2)}`);
    recorder.note(
      `median of the differences turn by turn: ${each.median.toFixed(2)}, ${describeDifference(each, 'ms', 2)}`,
    );
  }

  #turnOf(isScraped: boolean): Promise<LatencyHistogram> {
    return isScraped ? whileLooking(this.#scraper, () => this.#turn()) : this.#turn();
  }

  async #turn(
    ratePerSecond: number = this.#context.options.rate,
    windowMs: number = this.#context.options.traffic,
  ): Promise<LatencyHistogram> {
    const shape = { kind: 'open', ratePerSecond } as const;
    const plan = { shape, warmUpMs: WARM_UP_MS, windowMs, drainMsMax: LIMITS.drainMsMax };
    return (await this.#load.run(plan)).delivery;
  }
}

function p99Of(turn: LatencyHistogram): number {
  return turn.percentileMs(99)!;
}
