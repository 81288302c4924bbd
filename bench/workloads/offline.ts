/**
 * How fast do a thousand devices that come back at once get what waited for them?
 *
 * Everything goes over real sockets: senders fill the inboxes of devices that are registered and away, until the server has
 * acknowledged each message as flushed; then all the devices connect, log in, take their messages, and acknowledge them. The rate
 * counts from before the first connection to the last message, with logins, pages from the disk, acknowledgements, removals and
 * receipts going on. Every message is checked for exactly once, in order and unharmed, and at the end nothing may be left on the
 * disk; one violation voids the run.
 */

import { BenchError, isBenchError } from '../errors.ts';
import { systemClock, within } from '../harness/clock.ts';
import { LoadProcesses, type DrainedLoad } from '../harness/load-process.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Recorder } from '../harness/report.ts';
import { ServerProcess } from '../harness/server-process.ts';
import { ServerWatch, type ServerWindow } from '../harness/server-watch.ts';
import { noteBusyGenerator, noteOthers } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';

type OptionName = 'devices' | 'messages' | 'conversations' | 'senders' | 'bytes' | 'generators' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  devices: { default: 1_000, min: 1, max: 10_000, help: 'devices that are away and come back' },
  messages: { default: 1_000, min: 1, max: 100_000, help: 'messages that wait for each' },
  conversations: { default: 4, min: 1, max: 64, help: 'conversations that they belong to, the same number of each' },
  senders: { default: 100, min: 1, max: 1_000, help: 'connections that fill the inboxes' },
  bytes: { default: 100, min: 4, max: 15_360, help: 'bytes of a ciphertext' },
  generators: { default: 1, min: 1, max: 16, help: 'generator processes' },
  workers: { default: 0, min: 0, max: 64, help: 'worker threads of the server; 0 leaves it to the server' },
};

type Context = WorkloadContext<OptionName>;

const PHONE_PREFIX = '+49152';
const PHONE_DIGITS = 8;

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
    const { options, signal, recorder, keepData } = this.#context;
    const load = new LoadProcesses(options.generators, signal);
    const flags = [...this.#workerFlags(), ...(this.#settings.serverFlags ?? [])];
    const server = new ServerProcess({ flags, keepData, signal, onCode: (...code) => load.takeCode(...code) });
    try {
      await Promise.race([this.#measure(server, load), server.gone]);
    } catch (error) {
      if (isBenchError(error, 'BENCH_CONNECT')) await within(server.gone, LIMITS.lastWordsMsMax, () => error, signal);
      throw error;
    } finally {
      await load.stop();
      const endedItself = await server.stop();
      if (!endedItself) recorder.note(`the server did not stop within ${LIMITS.serverStopMsMax} ms and was killed`);
      if (server.loggedErrors.length > 0)
        recorder.note(`the server logged errors, the last: ${server.loggedErrors.at(-1)}`);
      if (keepData) recorder.note(`the store is kept in ${server.dataDirectory}`);
    }
  }

  #workerFlags(): string[] {
    const { workers } = this.#context.options;
    return workers === 0 ? [] : ['--workers', String(workers)];
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
      await new Promise<void>((resolve) => systemClock.after(EMPTY_POLL_MS, resolve));
    }
  }
}

const EMPTY_POLL_MS = 50;

/** Phone numbers, none twice. */
export function phonesOf(devices: number, senders: number): { devices: string[]; senders: string[] } {
  const phone = (index: number): string => PHONE_PREFIX + String(index).padStart(PHONE_DIGITS, '0');
  return {
    devices: Array.from({ length: devices }, (_, index) => phone(index)),
    senders: Array.from({ length: senders }, (_, index) => phone(devices + index)),
  };
}

function record(recorder: Recorder, drained: DrainedLoad, window: ServerWindow): void {
  recorder.metric('drain_msgs_per_s', drained.messages / (drained.drainMs / 1000), 'msg/s');
  recorder.metric('first_message_p50_ms', drained.first.percentileMs(50), 'ms');
  recorder.metric('first_message_p99_ms', drained.first.percentileMs(99), 'ms');
  recorder.metric('drained_p50_ms', drained.last.percentileMs(50), 'ms');
  recorder.metric('drained_p99_ms', drained.last.percentileMs(99), 'ms');
  recorder.metric('receipts_after_ms', drained.receiptsMs, 'ms');
  recorder.metric('server_cores', window.cpuCores, 'cores');
  recorder.metric('server_rss_bytes_max', window.rssBytesMax, 'bytes');
  recorder.metric('generator_cores', drained.cpuCores, 'cores');
  noteBusyGenerator(recorder, 'all come back', drained.cpuCoresMax);
  noteOthers(recorder, 'all come back', window.machineCores - window.cpuCores - drained.cpuCores);
}
