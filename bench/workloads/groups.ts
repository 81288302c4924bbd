/**
 * How many deliveries a second does one group of online members get through one node, and how long does its slowest member wait?
 *
 *   saturation   closed loop: each writer keeps some messages in flight     deliveries_per_s, messages_per_s
 *   calm         open loop, 5 messages a second                             p50_ms, p99_ms of the slowest member
 *
 * A delivery counts when the member acknowledges it. Every member's row of places is checked: once, in order, unharmed.
 */

import { LivePhases } from '../harness/live-phase.ts';
import { LoadProcesses, type LoadPlan, type LoadResult } from '../harness/load-process.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { ServerProcess } from '../harness/server-process.ts';
import { ServerWatch, type ServerWindow } from '../harness/server-watch.ts';
import { LIMITS } from '../limits.ts';

type OptionName = 'members' | 'writers' | 'in-flight' | 'bytes' | 'rate' | 'workers' | 'warm-up' | 'seconds';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  members: { default: 1_024, min: 2, max: 1_024, help: 'members of the group, each on a connection of its own' },
  writers: { default: 32, min: 1, max: 1_024, help: 'members who write' },
  'in-flight': { default: 1, min: 1, max: 20, help: 'messages in flight for each writer at saturation' },
  bytes: { default: 100, min: 4, max: 15_360, help: 'bytes of a ciphertext' },
  rate: { default: 5, min: 1, max: 1_000, help: 'messages a second of the calm phase' },
  workers: { default: 0, min: 0, max: 64, help: 'worker threads of the server; 0 leaves it to the server' },
  'warm-up': { default: 5, quick: 2, min: 0, max: 60, help: 'seconds before each window that are left out' },
  seconds: { default: 20, quick: 6, min: 1, max: 600, help: 'seconds of a window' },
};

type Context = WorkloadContext<OptionName>;

/** A block of numbers; the data directory is new, so any number is free. */
const PHONE_PREFIX = '+4917';
const PHONE_DIGITS = 9;

/** What tests change. */
export interface GroupsSettings {
  readonly secondMs?: number;
}

export function createGroupsWorkload(settings: GroupsSettings = {}): Workload<OptionName> {
  return {
    name: 'groups',
    question:
      'a group whose members are all online: acknowledged deliveries per second, and the wait of the slowest member',
    options: OPTIONS,
    thresholds: [
      { metric: 'deliveries_per_s', bound: 'at-least', value: 60_000 },
      { metric: 'p99_ms', bound: 'below', value: 500 },
    ],
    run: (context) => run(context, settings),
  };
}

async function run(context: Context, settings: GroupsSettings): Promise<void> {
  const { options, signal, recorder, keepData } = context;
  const load = new LoadProcesses(1, signal);
  const flags = options.workers === 0 ? [] : ['--workers', String(options.workers)];
  const server = new ServerProcess({ flags, keepData, signal, onCode: (...code) => load.takeCode(...code) });
  try {
    await Promise.race([measure(context, settings, server, load), server.gone]);
  } finally {
    await load.stop();
    const endedItself = await server.stop();
    if (!endedItself) recorder.note(`the server did not stop within ${LIMITS.serverStopMsMax} ms and was killed`);
    if (server.loggedErrors.length > 0)
      recorder.note(`the server logged errors, the last: ${server.loggedErrors.at(-1)}`);
  }
}

async function measure(
  context: Context,
  { secondMs = 1_000 }: GroupsSettings,
  server: ServerProcess,
  load: LoadProcesses,
): Promise<void> {
  const { options, progress, recorder } = context;
  progress('starting the server');
  const url = await server.started();
  progress(`registering ${options.members} accounts`);
  const phones = Array.from(
    { length: options.members },
    (_, index) => PHONE_PREFIX + String(index).padStart(PHONE_DIGITS, '0'),
  );
  await load.openGroup(url, phones, options.writers, options.bytes);
  const times = {
    warmUpMs: options['warm-up'] * secondMs,
    windowMs: options.seconds * secondMs,
    drainMsMax: LIMITS.drainMsMax,
  };
  const live = new LivePhases(context);
  const phase = async (name: string, plan: LoadPlan): Promise<[LoadResult, ServerWindow]> => {
    const watch = new ServerWatch(server);
    const result = await load.run(plan, watch, live.phase(name, plan, [server.pid], load.pids));
    return [result, await watch.window()];
  };
  const [full, window] = await phase('saturation', {
    shape: { kind: 'closed', inFlight: options['in-flight'] },
    ...times,
  });
  recorder.metric('deliveries_per_s', full.completedPerSecond, 'msg/s');
  recorder.metric('messages_per_s', full.acceptedPerSecond, 'msg/s');
  recorder.metric('saturated_p50_ms', full.delivery.percentileMs(50), 'ms');
  recorder.metric('saturated_p99_ms', full.delivery.percentileMs(99), 'ms');
  recorder.metric('server_cores', window.cpuCores, 'cores');
  recorder.metric('server_rss_bytes_max', window.rssBytesMax, 'bytes');
  recorder.metric('generator_cores', full.cpuCores, 'cores');
  const [calm] = await phase('calm', { shape: { kind: 'open', ratePerSecond: options.rate }, ...times });
  recorder.metric('p50_ms', calm.delivery.percentileMs(50), 'ms');
  recorder.metric('p99_ms', calm.delivery.percentileMs(99), 'ms');
  recorder.metric('max_ms', calm.delivery.maxMs(), 'ms');
}
