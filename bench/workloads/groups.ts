/**
 * How many deliveries a second does one group of online members get through one node, and how long does its slowest member wait?
 *
 *   saturation   closed loop: each writer keeps some messages in flight     deliveries_per_s, messages_per_s
 *   calm         open loop, 5 messages a second                             p50_ms, p99_ms of the slowest member
 *
 * A delivery counts when the member acknowledges it. Every member's row of places is checked: once, in order, unharmed.
 */

import { LivePhases } from '../harness/live-phase.ts';
import type { LoadPlan, LoadProcesses, LoadResult } from '../harness/load-process.ts';
import { phonesFrom } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { ServerWatch, type ServerWindow } from '../harness/server-watch.ts';
import { BYTES_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { recordUse } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';

type OptionName = 'members' | 'writers' | 'in-flight' | 'bytes' | 'rate' | 'workers' | 'warm-up' | 'seconds';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  members: { default: 1_024, min: 2, max: 1_024, help: 'members of the group, each on a connection of its own' },
  writers: { default: 32, min: 1, max: 1_024, help: 'members who write' },
  'in-flight': { default: 1, min: 1, max: 20, help: 'messages in flight for each writer at saturation' },
  bytes: BYTES_OPTION,
  rate: { default: 5, min: 1, max: 1_000, help: 'messages a second of the calm phase' },
  workers: WORKERS_OPTION,
  'warm-up': { default: 5, quick: 2, min: 0, max: 60, help: 'seconds before each window that are left out' },
  seconds: { default: 20, quick: 6, min: 1, max: 600, help: 'seconds of a window' },
};

type Context = WorkloadContext<OptionName>;

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
    run: (context) =>
      withServer(context, { generators: 1, workers: context.options.workers }, (server, load) =>
        measure(context, settings, server, load),
      ),
  };
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
  const phones = phonesFrom(0, options.members);
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
  recordUse(recorder, 'saturation', window, full);
  const [calm] = await phase('calm', { shape: { kind: 'open', ratePerSecond: options.rate }, ...times });
  recorder.metric('p50_ms', calm.delivery.percentileMs(50), 'ms');
  recorder.metric('p99_ms', calm.delivery.percentileMs(99), 'ms');
  recorder.metric('max_ms', calm.delivery.maxMs(), 'ms');
}
