/**
 * How many clients a second does one node take back, by ticket, when all of them lose their connection at one moment?
 *
 * The clients are registered and logged in first. Then, several times over: all connections are reset at once, and each
 * client comes back as the SDK does, after a random delay of up to half a second; who is told to come later, does.
 *
 *   reconnects_per_s    95 % of the clients, over the time from the cut until so many were back
 *   p99_login_ms        from dialling to <success>, of the admitted
 *   told_to_wait        refusals that said when to come back
 *   dropped             connections that ended without such a word: should be none
 *
 * Ceiling: the same storms against bare uWebSockets.js, where an upgrade and one message there and back are all.
 *
 * The median of the storms is reported. A client that is not back at the end voids the run.
 */

import { measureBareStorms } from '../ceilings/ceilings.ts';
import { BenchError } from '../errors.ts';
import type { StormResult } from '../generator/storm-load.ts';
import { pause, systemClock } from '../harness/clock.ts';
import { chartArrivals } from '../harness/course.ts';
import { mergeHistograms, type LatencyHistogram } from '../harness/histogram.ts';
import type { LoadProcesses } from '../harness/load-process.ts';
import { medianOf } from '../harness/median.ts';
import { phonesFrom, sourcesOf } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Recorder } from '../harness/report.ts';
import { readMachineCpuMs } from '../harness/resources.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { WORKERS_OPTION } from '../harness/shared-options.ts';
import { LIMITS } from '../limits.ts';

type OptionName = 'clients' | 'storms' | 'generators' | 'sources' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  clients: { default: 15_000, min: 1, max: 19_000, help: 'clients; the server has a descriptor for each' },
  storms: { default: 5, quick: 3, min: 1, max: 100, help: 'storms, one after the other; the median is reported' },
  generators: { default: 2, min: 1, max: 16, help: 'generator processes' },
  sources: { default: 8, min: 1, max: 250, help: 'loopback addresses that clients connect from' },
  workers: WORKERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** The share of clients whose return is waited for: the last ones are those that were told to wait. */
const BACK_PERCENT = 95;
/** The ceiling varies less. */
const BARE_STORMS = 3;

/** What tests change. */
export interface StormSettings {
  readonly serverScript?: string;
  readonly serverFlags?: readonly string[];
  readonly stormMsMax?: number;
  readonly withCeiling?: boolean;
}

/** One storm, of all generators together. */
interface Storm {
  readonly back: LatencyHistogram;
  readonly reconnectsPerSecond: number;
  readonly loginP50Ms: number;
  readonly loginP99Ms: number;
  readonly allBackMs: number;
  readonly toldToWait: number;
  readonly dropped: number;
  readonly lastDrop: string | undefined;
  readonly serverCores: number;
  readonly generatorCores: number;
  readonly otherCores: number;
}

/** Makes the workload; the settings are for tests. */
export function createStormWorkload(settings: StormSettings = {}): Workload<OptionName> {
  return {
    name: 'storm',
    question: 'clients that lose their connections at one moment and return by ticket: reconnects per second',
    options: OPTIONS,
    thresholds: [
      { metric: 'reconnects_per_s', bound: 'at-least', value: 5_000 },
      { metric: 'p99_login_ms', bound: 'below', value: 2_000 },
    ],
    run: (context) => new StormRun(context, settings).run(),
  };
}

class StormRun {
  readonly #context: Context;
  readonly #settings: StormSettings;

  constructor(context: Context, settings: StormSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  async run(): Promise<void> {
    await this.#measureServer();
    if (this.#settings.withCeiling !== false) await this.#measureCeiling();
  }

  /** The same storms with nothing but sockets and upgrades at the other end. */
  async #measureCeiling(): Promise<void> {
    const { options, progress, recorder, signal } = this.#context;
    progress('ceiling: bare uWebSockets.js');
    const plan = { ...options, sources: sourcesOf(options.sources) };
    const rates = await measureBareStorms(plan, signal, async (load) => {
      const storms: number[] = [];
      for (let index = 0; index < BARE_STORMS; index += 1) {
        await pause(LIMITS.stormPauseMs);
        const results = await load.storm({ stormMsMax: LIMITS.stormMsMax });
        storms.push(reconnectsPerSecond(mergeHistograms(results.map(({ back }) => back))));
      }
      return storms;
    });
    recorder.metric('bare_reconnects_per_s', medianOf(rates), 'op/s');
    recorder.peer('reconnects_per_s', 'bare_upgrade', medianOf(rates));
  }

  #measureServer(): Promise<void> {
    const { generators, workers } = this.#context.options;
    const { serverScript: script, serverFlags: flags } = this.#settings;
    const plan = { generators, workers, flags, script, hasCourse: true };
    return withServer(this.#context, plan, (server, load) => this.#measure(server, load));
  }

  async #measure(server: ServerProcess, load: LoadProcesses): Promise<void> {
    const { options, progress, recorder } = this.#context;
    const { clients, storms: count } = options;
    progress('starting the server');
    const url = await server.started();
    progress(`registering ${clients} clients`);
    await load.openClients(url, phonesFrom(0, clients), sourcesOf(options.sources));
    const before = server.use();
    recorder.metric('server_rss_bytes_before', before?.rssBytes, 'bytes');
    const storms: Storm[] = [];
    for (let index = 0; index < count; index += 1) {
      await pause(LIMITS.stormPauseMs);
      progress(`storm ${index + 1} of ${count}`);
      storms.push(await this.#storm(server, load));
      chartArrivals(recorder, 'Clients that are back', `storm ${index + 1}`, storms[index]!.back);
    }
    record(recorder, storms);
    recorder.metric('server_rss_bytes_max', server.use()?.rssBytesMax, 'bytes');
  }

  async #storm(server: ServerProcess, load: LoadProcesses): Promise<Storm> {
    const { stormMsMax = LIMITS.stormMsMax } = this.#settings;
    const [serverBefore, machineBefore, beganMs] = [server.use(), readMachineCpuMs(), systemClock.nowMs()];
    const results = await load.storm({ stormMsMax });
    const elapsedMs = systemClock.nowMs() - beganMs;
    const cores = (after: number | undefined, since: number | undefined): number =>
      ((after ?? Number.NaN) - (since ?? Number.NaN)) / elapsedMs;
    const serverCores = cores(server.use()?.cpuMs, serverBefore?.cpuMs);
    return sumUp(results, serverCores, cores(readMachineCpuMs(), machineBefore), elapsedMs);
  }
}

function sumUp(results: readonly StormResult[], serverCores: number, machineCores: number, elapsedMs: number): Storm {
  const sum = (part: (result: StormResult) => number): number => results.reduce((total, each) => total + part(each), 0);
  const login = mergeHistograms(results.map((result) => result.login));
  const back = mergeHistograms(results.map((result) => result.back));
  const clients = sum((result) => result.clients);
  if (login.count !== clients) throw new BenchError('BENCH_LOST', `${login.count} logins of ${clients} clients`);
  const generatorCores = sum((result) => result.cpuMs) / elapsedMs;
  const [loginP50Ms, loginP99Ms] = [login.percentileMs(50)!, login.percentileMs(99)!];
  return {
    back,
    reconnectsPerSecond: reconnectsPerSecond(back),
    ...{ loginP50Ms, loginP99Ms, allBackMs: back.maxMs()! },
    toldToWait: sum((result) => result.toldToWait),
    dropped: sum((result) => result.dropped),
    lastDrop: results.find((result) => result.lastDrop !== undefined)?.lastDrop,
    ...{ serverCores, generatorCores, otherCores: machineCores - serverCores - generatorCores },
  };
}

function reconnectsPerSecond(back: LatencyHistogram): number {
  return (back.count * (BACK_PERCENT / 100) * 1000) / back.percentileMs(BACK_PERCENT)!;
}

function record(recorder: Recorder, storms: readonly Storm[]): void {
  const median = (part: (storm: Storm) => number): number => medianOf(storms.map(part));
  recorder.metric(
    'reconnects_per_s',
    median((storm) => storm.reconnectsPerSecond),
    'login/s',
  );
  recorder.metric(
    'p50_login_ms',
    median((storm) => storm.loginP50Ms),
    'ms',
  );
  recorder.metric(
    'p99_login_ms',
    median((storm) => storm.loginP99Ms),
    'ms',
  );
  recorder.metric(
    'all_back_ms',
    median((storm) => storm.allBackMs),
    'ms',
  );
  recorder.metric(
    'told_to_wait',
    median((storm) => storm.toldToWait),
    'client',
  );
  recorder.metric('dropped', Math.max(...storms.map((storm) => storm.dropped)), 'client');
  recorder.metric(
    'server_cores',
    median((storm) => storm.serverCores),
    'cores',
  );
  recorder.metric(
    'generator_cores',
    median((storm) => storm.generatorCores),
    'cores',
  );
  const drop = storms.find((storm) => storm.lastDrop !== undefined);
  if (drop !== undefined) recorder.note(`a connection was dropped: ${drop.lastDrop}`);
  const others = median((storm) => storm.otherCores);
  if (others > LIMITS.otherCoresMax) {
    recorder.note(
      `other processes used ${others.toFixed(1)} cores; run again on a machine that has nothing else to do`,
    );
  }
}
