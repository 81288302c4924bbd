/**
 * How fast do a thousand devices that come back at once get what waited for them?
 *
 * Everything goes over real sockets: senders fill the inboxes of devices that are registered and away, until the server has
 * acknowledged each message as flushed; then all the devices connect, log in, take their messages, and acknowledge them. The rate
 * counts from before the first connection to the last message, with logins, pages from the disk, acknowledgements, removals and
 * receipts going on. Every message is checked for exactly once, in order and unharmed, and at the end nothing may be left on the
 * disk; one violation voids the run.
 */

import { BenchError } from '../errors.ts';
import { pause, systemClock } from '../harness/clock.ts';
import { chartArrivals } from '../harness/course.ts';
import type { DrainedLoad, LoadProcesses } from '../harness/load-process.ts';
import { phonesFrom } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Recorder } from '../harness/report.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { ServerWatch, type ServerWindow } from '../harness/server-watch.ts';
import { BYTES_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { recordUse } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';

type OptionName = 'devices' | 'messages' | 'conversations' | 'senders' | 'bytes' | 'generators' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  devices: { default: 1_000, min: 1, max: 10_000, help: 'devices that are away and come back' },
  messages: { default: 1_000, min: 1, max: 100_000, help: 'messages that wait for each' },
  conversations: { default: 4, min: 1, max: 64, help: 'conversations that they belong to, the same number of each' },
  senders: { default: 100, min: 1, max: 1_000, help: 'connections that fill the inboxes' },
  bytes: BYTES_OPTION,
  generators: { default: 1, min: 1, max: 16, help: 'generator processes' },
  workers: WORKERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** What tests change. */
export interface OfflineSettings {
  readonly serverFlags?: readonly string[];
}

export function createOfflineWorkload(settings: OfflineSettings = {}): Workload<OptionName> {
  return {
    name: 'offline',
    question: 'devices that come back at once: how fast they get the messages that waited',
    options: OPTIONS,
    thresholds: [{ metric: 'drain_msgs_per_s', bound: 'at-least', value: 120_000 }],
    run: (context) => new OfflineRun(context, settings).run(),
  };
}

class OfflineRun {
  readonly #context: Context;
  readonly #settings: OfflineSettings;

  constructor(context: Context, settings: OfflineSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  async run(): Promise<void> {
    const { generators, workers } = this.#context.options;
    const plan = { generators, workers, flags: this.#settings.serverFlags, hasCourse: true };
    await withServer(this.#context, plan, (server, load) => this.#measure(server, load));
  }

  async #measure(server: ServerProcess, load: LoadProcesses): Promise<void> {
    const { options, progress, recorder } = this.#context;
    progress('starting the server');
    const url = await server.started();
    progress(`registering ${options.devices + options.senders} accounts`);
    await load.openBacklogs(url, phonesOf(options.devices, options.senders), {
      conversations: Math.min(options.conversations, options.senders),
      messages: Math.max(1, Math.floor(options.messages / Math.min(options.conversations, options.senders))),
      ciphertextBytes: options.bytes,
    });
    progress(`filling ${options.devices} inboxes with ${options.messages} messages each`);
    const filled = await load.fillBacklogs();
    recorder.metric('fill_msgs_per_s', filled.messages / (filled.fillMs / 1000), 'msg/s');
    progress('all come back');
    const watch = new ServerWatch(server);
    watch.begun();
    const drained = await load.drainBacklogs();
    watch.ended();
    record(recorder, drained, await watch.window());
    await this.#untilEmpty(server);
  }

  /** What was acknowledged last is removed with a commit that may still be under way. */
  async #untilEmpty(server: ServerProcess): Promise<void> {
    const deadlineMs = systemClock.nowMs() + LIMITS.drainMsMax;
    for (;;) {
      const { queuedBytes } = await server.statistics();
      if (queuedBytes === 0) return;
      if (systemClock.nowMs() > deadlineMs) {
        throw new BenchError('BENCH_LOST', `${queuedBytes} bytes are left in the inboxes`);
      }
      await pause(EMPTY_POLL_MS);
    }
  }
}

const EMPTY_POLL_MS = 50;

/** Phone numbers, none twice. */
export function phonesOf(devices: number, senders: number): { devices: string[]; senders: string[] } {
  return {
    devices: phonesFrom(0, devices),
    senders: phonesFrom(devices, senders),
  };
}

function record(recorder: Recorder, drained: DrainedLoad, window: ServerWindow): void {
  recorder.metric('drain_msgs_per_s', drained.messages / (drained.drainMs / 1000), 'msg/s');
  chartArrivals(recorder, 'Devices since they began to come back', 'have a message', drained.first);
  chartArrivals(recorder, 'Devices since they began to come back', 'have all', drained.last);
  recorder.metric('first_message_p50_ms', drained.first.percentileMs(50), 'ms');
  recorder.metric('first_message_p99_ms', drained.first.percentileMs(99), 'ms');
  recorder.metric('drained_p50_ms', drained.last.percentileMs(50), 'ms');
  recorder.metric('drained_p99_ms', drained.last.percentileMs(99), 'ms');
  recorder.metric('receipts_after_ms', drained.receiptsMs, 'ms');
  recordUse(recorder, 'all come back', window, drained);
}
