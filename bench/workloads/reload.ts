/**
 * What do clients notice when the code of their connections is replaced under traffic, again and again?
 *
 *   calm       open loop over all connections, when what              calm_p99_ms, calm_stall_ms
 *              the logins left has been collected
 *   reloads    the same for as long, and a reload every second        p99_ms, added_p99_ms, max_stall_ms
 *   more       reloads one after the other, without traffic           heap_growth_bytes, versions_left
 *
 * Each version gives the state of a connection another shape, so every connection is converted each time: checked, tried on a
 * share, switched, swept, watched and kept, as an operator's reload is. Every message must come once, in order and
 * unharmed, and no connection may end: either voids the run, so the figures of a finished run are 0.
 */

import { join } from 'node:path';
import type { ReloadReport } from '../../actors/reload/report.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import type { NodeStatus } from '../../actors/admin/status.ts';
import type { ReloadMemory } from '../../runtime/reload/index.ts';
import { pause, systemClock } from '../harness/clock.ts';
import { LivePhases } from '../harness/live-phase.ts';
import type { LoadProcesses, LoadResult } from '../harness/load-process.ts';
import { medianOf } from '../harness/median.ts';
import { untilQuiet } from '../harness/quiet.ts';
import { pairsOfPhones } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { ServerWatch } from '../harness/server-watch.ts';
import { BYTES_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { judgeLateness } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';
import { reloadOnce, versionsOfBuild, type Versions } from './reload-versions.ts';

type OptionName = 'connections' | 'rate' | 'reloads' | 'every' | 'more' | 'generators' | 'bytes' | 'workers' | 'calm';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  connections: { default: 15_000, min: 2, max: 19_000, help: 'connections, in pairs that write to each other' },
  rate: { default: 1_000, min: 1, max: 100_000, help: 'messages a second over all pairs' },
  reloads: { default: 30, min: 1, max: 1_000, help: 'reloads under traffic' },
  every: { default: 1_000, quick: 500, min: 200, max: 60_000, help: 'milliseconds from one of them to the next' },
  more: { default: 70, min: 0, max: 1_000, help: 'reloads after the traffic, one after the other' },
  generators: { default: 2, min: 1, max: 16, help: 'generator processes' },
  bytes: BYTES_OPTION,
  workers: WORKERS_OPTION,
  calm: { default: 30_000, quick: 15_000, min: 100, max: 600_000, help: 'milliseconds of traffic without reloads' },
};

type Context = WorkloadContext<OptionName>;

/** Milliseconds that each stage of a reload is watched: a whole one fits into its second. */
const OBSERVE_MS = 80;
const RECORD_MS = 30;
const WARM_UP_MS = 1_000;
const STALL_MS_MAX = 60_000;
/** Between two looks at what versions are left, and how often there is one at most. */
const MEMORY_LOOK_MS = 200;
const MEMORY_LOOKS_MAX = 50;
/** At a message a second for each pair. */
const TOUCH_MS = 1_200;

/** What tests change. */
export interface ReloadSettings {
  readonly serverFlags?: readonly string[];
}

export function createReloadWorkload(settings: ReloadSettings = {}): Workload<OptionName> {
  return {
    name: 'reload',
    question:
      'connections whose code is replaced under traffic: what is dropped, lost, doubled, late, and left in memory',
    options: OPTIONS,
    thresholds: [
      { metric: 'dropped_connections', bound: 'at-most', value: 0 },
      { metric: 'max_stall_ms', bound: 'at-most', value: 20 },
      { metric: 'added_p99_ms', bound: 'at-most', value: 10 },
      { metric: 'heap_growth_bytes', bound: 'at-most', value: 2 * 1024 * 1024 },
      { metric: 'versions_left', bound: 'at-most', value: 1 },
    ],
    run: (context) => run(context, settings),
  };
}

async function run(context: Context, { serverFlags: flags }: ReloadSettings): Promise<void> {
  const { generators, workers } = context.options;
  const versions = versionsOfBuild();
  try {
    await withServer(context, { generators, workers, flags }, (server, load) =>
      new ReloadRun(context, server, load, versions).run(),
    );
  } finally {
    versions.remove();
  }
}

class ReloadRun {
  readonly #context: Context;
  readonly #server: ServerProcess;
  readonly #load: LoadProcesses;
  readonly #versions: Versions;
  readonly #reports: ReloadReport[] = [];
  readonly #live: LivePhases;
  #version: number = 0;

  constructor(context: Context, server: ServerProcess, load: LoadProcesses, versions: Versions) {
    this.#context = context;
    this.#server = server;
    this.#load = load;
    this.#versions = versions;
    this.#live = new LivePhases(context);
  }

  async run(): Promise<void> {
    const { options, progress, recorder } = this.#context;
    progress('starting the server');
    const url = await this.#server.started();
    const admin = await AdminClient.connect(join(this.#server.dataDirectory, 'admin.sock'), LIMITS.statisticsMsMax);
    try {
      const pairs = pairsOfPhones(Math.floor(options.connections / 2));
      progress(`registering ${pairs.length * 2} clients`);
      const beganMs = systemClock.nowMs();
      await this.#load.openPairs(url, pairs, options.bytes, false, LIMITS.stormOpeningParallelMax);
      recorder.metric('opening_s', (systemClock.nowMs() - beganMs) / 1_000, 's');
      const before = await connectionsOf(admin);
      progress('a message for every pair');
      await this.#touch(pairs.length);
      await untilQuiet(this.#server.pid, options.connections);
      const calmStall = stallOf(admin, options.calm);
      const calm = await this.#traffic('without reloads', options.calm);
      recorder.metric('calm_stall_ms', await calmStall, 'ms');
      const memoryBefore = await memoryOf(admin);
      const loaded = await this.#reloadUnderTraffic(admin);
      await this.#reloadMore(admin);
      const memory = await memoryOf(admin);
      recorder.metric('connections', before, 'client');
      recorder.metric('dropped_connections', before - (await connectionsOf(admin)), 'client');
      this.#record(calm, loaded);
      recorder.metric('reloads', this.#reports.length, 'op');
      recorder.metric('heap_growth_bytes', memory.heapBytes - memoryBefore.heapBytes, 'bytes');
      recorder.metric('versions_left', memory.loaded, 'version');
    } finally {
      admin.close();
    }
  }

  #traffic(name: string, windowMs: number): Promise<LoadResult> {
    const { options } = this.#context;
    const shape = { kind: 'open', ratePerSecond: options.rate } as const;
    const watch = new ServerWatch(this.#server);
    const plan = { shape, warmUpMs: WARM_UP_MS, windowMs, drainMsMax: LIMITS.drainMsMax };
    return this.#load.run(plan, watch, this.#live.phase(name, plan, [this.#server.pid], this.#load.pids));
  }

  /** What a connection makes at its first message is there before memory is looked at. */
  async #touch(pairs: number): Promise<void> {
    const shape = { kind: 'open', ratePerSecond: pairs } as const;
    await this.#load.run({ shape, warmUpMs: 0, windowMs: TOUCH_MS, drainMsMax: LIMITS.drainMsMax });
  }

  /** The window is as long as the reloads take. */
  async #reloadUnderTraffic(admin: AdminClient): Promise<LoadResult> {
    const { options, progress } = this.#context;
    const traffic = this.#traffic('under reloads', options.reloads * options.every);
    // Awaited in the end; what fails before is told by that.
    traffic.catch(() => undefined);
    await pause(WARM_UP_MS);
    const beganMs = systemClock.nowMs();
    for (let index = 0; index < options.reloads; index += 1) {
      progress(`reload ${index + 1} of ${options.reloads} under traffic`);
      const reload = this.#reload(admin, { canary: '5%', observe: OBSERVE_MS, record: RECORD_MS });
      // Traffic that fails ends the run at once; traffic that is over does not: on a slow machine the reloads take longer.
      await Promise.race([reload, traffic.then(() => reload)]);
      const dueMs = beganMs + (index + 1) * options.every;
      await pause(Math.max(0, dueMs - systemClock.nowMs()));
    }
    return traffic;
  }

  async #reloadMore(admin: AdminClient): Promise<void> {
    const { options, progress } = this.#context;
    for (let index = 0; index < options.more; index += 1) {
      if (index % 10 === 0) progress(`reload ${index + 1} of ${options.more} without traffic`);
      await this.#reload(admin, { canary: '0%', observe: 0, record: 0 });
    }
  }

  async #reload(admin: AdminClient, parameters: object): Promise<void> {
    this.#version += 1;
    this.#reports.push(await reloadOnce(admin, this.#versions.file(this.#version), parameters));
  }

  #record(calm: LoadResult, loaded: LoadResult): void {
    const { options, recorder } = this.#context;
    // The generators check each message; a loss or a second delivery has thrown.
    recorder.metric('lost_messages', 0, 'msg');
    recorder.metric('duplicated_messages', 0, 'msg');
    const under = this.#reports.slice(0, options.reloads);
    const longest = (part: (report: ReloadReport) => number): number => Math.max(...under.map(part));
    recorder.metric(
      'max_stall_ms',
      longest(({ stallMs }) => stallMs),
      'ms',
    );
    const slowest = under.reduce((worst, each) => (each.stallMs > worst.stallMs ? each : worst));
    recorder.note(`the longest stall was in the step "${slowest.stallDuring}", the first reload had ${first(under)}`);
    recorder.metric('median_stall_ms', medianOf(under.map(({ stallMs }) => stallMs)), 'ms');
    recorder.metric(
      'sweep_slice_ms_max',
      longest(({ sweep }) => sweep?.longestSliceMs ?? 0),
      'ms',
    );
    recorder.metric(
      'compile_ms_max',
      longest(({ compileMs }) => compileMs),
      'ms',
    );
    recorder.metric('reload_ms', medianOf(under.map(({ tookMs }) => tookMs)), 'ms');
    recorder.metric(
      'converted_states',
      under.reduce((sum, { counts }) => sum + (counts?.conversions.done ?? 0), 0),
      'op',
    );
    recorder.metric('messages_per_s', loaded.completedPerSecond, 'msg/s');
    const [calmP99, p99] = [calm.delivery.percentileMs(99) ?? 0, loaded.delivery.percentileMs(99) ?? 0];
    recorder.metric('calm_p99_ms', calmP99, 'ms');
    recorder.metric('p99_ms', p99, 'ms');
    recorder.metric('added_p99_ms', Math.max(0, p99 - calmP99), 'ms');
    recorder.metric('max_ms', loaded.delivery.maxMs(), 'ms');
    judgeLateness(recorder, 'reloads', loaded);
  }
}

/** What a first reload has that no later one has: the bundler's start, and code that was never run. */
function first([report]: readonly ReloadReport[]): string {
  const { stallMs, stallDuring, bundle } = report!;
  return `${stallMs.toFixed(1)} ms in "${stallDuring}" and took ${Math.round(bundle!.bundleMs)} ms to bundle`;
}

async function connectionsOf(admin: AdminClient): Promise<number> {
  const { workers } = await admin.request<NodeStatus>('status', {}, LIMITS.statisticsMsMax);
  return workers.reduce((sum, each) => sum + ('ok' in each ? each.ok.connections : 0), 0);
}

/** Looked at within the window, when its warm-up is over. */
async function stallOf(admin: AdminClient, windowMs: number): Promise<number> {
  await pause(WARM_UP_MS);
  const request = { for: Math.min(windowMs, STALL_MS_MAX) };
  const { stallMs } = await admin.request<{ readonly stallMs: readonly number[] }>(
    'reload.stall',
    request,
    windowMs + LIMITS.statisticsMsMax,
  );
  return Math.max(...stallMs);
}

/** After what the engine compiles beside has let go of versions that went, for which it waits a while. */
async function memoryOf(admin: AdminClient): Promise<ReloadMemory> {
  for (let look = 1; ; look += 1) {
    const memory = await lookAtMemory(admin);
    if (memory.loaded <= 1 || look === MEMORY_LOOKS_MAX) return memory;
    await pause(MEMORY_LOOK_MS);
  }
}

async function lookAtMemory(admin: AdminClient): Promise<ReloadMemory> {
  const { workers } = await admin.request<{ readonly workers: readonly ReloadMemory[] }>(
    'reload.memory',
    {},
    LIMITS.drainMsMax,
  );
  const sum = (part: (memory: ReloadMemory) => number): number =>
    workers.reduce((total, each) => total + part(each), 0);
  return { heapBytes: sum(({ heapBytes }) => heapBytes), loaded: sum(({ loaded }) => loaded) / workers.length };
}
