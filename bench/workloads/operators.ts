/**
 * What does it cost a node, and those who chat, that operators look at it?
 *
 *   quiet      all connections open and silent; in turns nobody, `top`, the page and a scraper look       …_cores
 *              each is asked now and then                                                              …_answer_ms_max
 *   traffic    open loop; in turns without and with a scrape each second                              scrape_added_p99_ms
 *
 * In turns, since a machine is another one half a minute later: what is compared was measured side by side. A cost is the CPU time
 * of the whole process of the server while somebody looks, less that while nobody does.
 */

import { join } from 'node:path';
import type { ConsoleAddress } from '../../actors/console/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { LoadProcesses } from '../harness/load-process.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { ServerProcess } from '../harness/server-process.ts';
import { LIMITS } from '../limits.ts';
import { consoleLooker, scrapeLooker, topLooker, wait, type Looker } from '../operators/lookers.ts';
import { phonesOf } from './messages.ts';

type OptionName = 'connections' | 'rate' | 'rounds' | 'window' | 'traffic' | 'generators' | 'bytes' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  connections: { default: 15_000, min: 2, max: 19_000, help: 'connections, in pairs that write to each other' },
  rate: { default: 1_000, min: 1, max: 100_000, help: 'messages a second over all pairs' },
  rounds: { default: 5, quick: 2, min: 1, max: 100, help: 'times that everybody has a turn' },
  window: { default: 3_000, quick: 1_500, min: 100, max: 60_000, help: 'milliseconds of a turn without traffic' },
  traffic: { default: 5_000, quick: 2_000, min: 100, max: 60_000, help: 'milliseconds of a turn with traffic' },
  generators: { default: 2, min: 1, max: 16, help: 'generator processes' },
  bytes: { default: 100, min: 4, max: 15_360, help: 'bytes of a ciphertext' },
  workers: { default: 0, min: 0, max: 64, help: 'worker threads of the server; 0 leaves it to the server' },
};

type Context = WorkloadContext<OptionName>;

/** From the beginning of a look to its window: the first one compiles what it runs. */
const SETTLE_MS = 300;
const WARM_UP_MS = 300;
/** For a message of every pair, at one a second. */
const TOUCH_MS = 1_200;
/** Below so many cores in so long, the server is quiet. */
const QUIET_CORES = 0.015;
const QUIET_LOOK_MS = 1_000;
/** Questions that each one asks in a round. */
const ASK_COUNT = 4;
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

async function run(context: Context, { serverFlags = [] }: OperatorsSettings): Promise<void> {
  const { options, signal, recorder, keepData } = context;
  const load = new LoadProcesses(options.generators, signal);
  const workers = options.workers === 0 ? [] : ['--workers', String(options.workers)];
  const flags = [...workers, ...serverFlags];
  const server = new ServerProcess({ flags, keepData, signal, onCode: (...code) => load.takeCode(...code) });
  try {
    await Promise.race([measure(context, server, load), server.gone]);
  } finally {
    await load.stop();
    const endedItself = await server.stop();
    if (!endedItself) recorder.note(`the server did not stop within ${LIMITS.serverStopMsMax} ms and was killed`);
    if (server.loggedErrors.length > 0)
      recorder.note(`the server logged errors, the last: ${server.loggedErrors.at(-1)}`);
  }
}

async function measure(context: Context, server: ServerProcess, load: LoadProcesses): Promise<void> {
  const { options, progress, recorder } = context;
  progress('starting the server');
  const url = await server.started();
  const pairs = phonesOf(Math.floor(options.connections / 2));
  progress(`registering ${pairs.length * 2} clients`);
  await load.openPairs(url, pairs, options.bytes, LIMITS.stormOpeningParallelMax);
  recorder.metric('connections', pairs.length * 2, 'client');
  const admin = await AdminClient.connect(join(server.dataDirectory, 'admin.sock'), LIMITS.statisticsMsMax);
  try {
    const address = await admin.request<ConsoleAddress>('console', {}, LIMITS.statisticsMsMax);
    const scraper = scrapeLooker(metricsUrlOf(server));
    await new Quiet(context, server, [topLooker(admin), consoleLooker(address), scraper]).run();
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
  /** CPU in cores, of each turn. */
  readonly #cores: Map<string, number[]> = new Map();
  readonly #answers: Map<string, LatencyHistogram> = new Map();

  constructor(context: Context, server: ServerProcess, lookers: readonly Looker[]) {
    this.#context = context;
    this.#server = server;
    this.#lookers = lookers;
    for (const { name } of lookers) this.#answers.set(name, new LatencyHistogram());
  }

  async run(): Promise<void> {
    const { rounds } = this.#context.options;
    this.#context.progress('waiting until the server is quiet');
    await this.#settled();
    for (let round = 1; round <= rounds; round += 1) {
      this.#context.progress(`looking, round ${round} of ${rounds}`);
      await this.#turn('nobody', undefined);
      for (const looker of this.#lookers) {
        await this.#turn(looker.name, looker);
        await this.#ask(looker);
      }
    }
    this.#record();
  }

  /** After very many clients came, a worker that has become quiet collects its heap: that is nobody's look. */
  async #settled(): Promise<void> {
    const deadlineMs = systemClock.nowMs() + LIMITS.settlingMsMax;
    while ((await this.#coresOver(QUIET_LOOK_MS)) > QUIET_CORES && systemClock.nowMs() < deadlineMs);
  }

  async #turn(name: string, looker: Looker | undefined): Promise<void> {
    const cores = await whileLooking(looker, async () => {
      await wait(SETTLE_MS);
      return this.#coresOver(this.#context.options.window);
    });
    this.#cores.set(name, [...(this.#cores.get(name) ?? []), cores]);
  }

  /** What the server uses of the cores in the next `ms`; NaN without /proc. */
  async #coresOver(ms: number): Promise<number> {
    const [beforeMs, beganMs] = [this.#server.use()?.cpuMs ?? Number.NaN, systemClock.nowMs()];
    await wait(ms);
    return ((this.#server.use()?.cpuMs ?? Number.NaN) - beforeMs) / (systemClock.nowMs() - beganMs);
  }

  async #ask({ name, questions }: Looker): Promise<void> {
    for (let count = 0; count < ASK_COUNT; count += 1) {
      for (const question of questions) {
        const beganMs = systemClock.nowMs();
        await question();
        this.#answers.get(name)!.record(systemClock.nowMs() - beganMs);
        await wait(ASK_PAUSE_MS);
      }
    }
  }

  #record(): void {
    const { recorder } = this.#context;
    const nobody = medianOf(this.#cores.get('nobody')!);
    recorder.metric('nobody_cores', nobody, 'cores');
    for (const { name } of this.#lookers) {
      recorder.metric(`${name}_cores`, medianOf(this.#cores.get(name)!) - nobody, 'cores');
      recorder.metric(`${name}_answer_p50_ms`, this.#answers.get(name)!.percentileMs(50), 'ms');
      recorder.metric(`${name}_answer_ms_max`, this.#answers.get(name)!.maxMs(), 'ms');
    }
  }
}

/** All write, and the node is scraped in every other turn. */
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
    const { options, progress, recorder } = this.#context;
    const [calm, scraped] = [new LatencyHistogram(), new LatencyHistogram()];
    // What the first message of a conversation makes, and what the first ones compile, belongs to neither.
    await this.#turn(Math.max(options.rate, options.connections / 2), TOUCH_MS);
    await this.#turn();
    for (let round = 1; round <= options.rounds; round += 1) {
      progress(`traffic, round ${round} of ${options.rounds}`);
      // The other one first in the next round: what only time changes falls on both.
      const turns = [
        async () => calm.add(await this.#turn()),
        async () => scraped.add(await whileLooking(this.#scraper, () => this.#turn())),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
    }
    const [p99, scrapedP99] = [calm.percentileMs(99)!, scraped.percentileMs(99)!];
    recorder.metric('p50_ms', calm.percentileMs(50), 'ms');
    recorder.metric('scraped_p50_ms', scraped.percentileMs(50), 'ms');
    recorder.metric('p99_ms', p99, 'ms');
    recorder.metric('scraped_p99_ms', scrapedP99, 'ms');
    recorder.metric('scrape_added_p99_ms', scrapedP99 - p99, 'ms');
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

/** A single turn may have a collection of the whole heap in it, whoever looks. */
function medianOf(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[(values.length - 1) >> 1]!;
}
