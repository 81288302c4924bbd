/**
 * How fast do files go up and come down over the whole way, sealed and opened in the clients, and how much memory does that take?
 *
 * Each client is the SDK in a process of its own. All upload at once, then each downloads the file of the next. Phases:
 *
 *   warm-up    a small file of each, both ways                     not measured
 *   upload     rounds: sealed, sent in slices, flushed, a blob     upload_mb_per_s
 *   download   rounds: fetched, opened, digest checked             download_mb_per_s
 *   ceilings   the server is down: the same clients, plain bytes   bare_uws
 *
 * A megabyte is 1,000,000 bytes of the file. A rate is all the files over the time from the first request to the last answer; the
 * figure is the median of the rounds. A file that does not come back as it was sent voids the run: its digest is in the message.
 */

import { startStreamServer } from '../ceilings/ceilings.ts';
import { BenchError } from '../errors.ts';
import { Course } from '../harness/course.ts';
import { systemClock, within } from '../harness/clock.ts';
import { medianOf } from '../harness/median.ts';
import { MemoryWatch } from '../harness/memory-watch.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServerUnder, type Generators } from '../harness/server-under-load.ts';
import { WORKERS_OPTION } from '../harness/shared-options.ts';
import { LIMITS } from '../limits.ts';
import { MediaClient } from '../media/clients.ts';

type OptionName = 'clients' | 'mib' | 'samples' | 'workers';

const MIB = 1_048_576;
const MB = 1_000_000;
/** Code that is loaded at the first file, and what it compiles to, is not the memory of a transfer. */
const WARM_UP_ROUNDS = 2;
const WARM_UP_MIB = 8;

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  clients: { default: 4, min: 1, max: 64, help: 'clients at once, a process each' },
  // With the warm-up within the GiB that an account may upload in a day.
  mib: { default: 64, quick: 32, min: 1, max: 90, help: 'MiB of a file' },
  samples: { default: 5, quick: 3, min: 1, max: 10, help: 'rounds each way; the figure is their median' },
  workers: WORKERS_OPTION,
};

type Context = WorkloadContext<OptionName>;
type Direction = 'upload' | 'download';

/** What tests change: the server that is measured. */
export interface MediaSettings {
  /** The script to start in place of the command line. */
  readonly serverScript?: string;
}

/** Makes the workload; the settings are for tests. */
export function createMediaWorkload(settings: MediaSettings = {}): Workload<OptionName> {
  return {
    name: 'media',
    question:
      'files from client to client, sealed and opened there: MB per second each way, and the memory that it takes',
    options: OPTIONS,
    thresholds: [
      { metric: 'upload_mb_per_s', bound: 'at-least', value: 100 },
      { metric: 'download_mb_per_s', bound: 'at-least', value: 100 },
      { metric: 'server_extra_bytes', bound: 'below', value: 128 * MIB },
      { metric: 'client_extra_bytes_max', bound: 'below', value: 64 * MIB },
    ],
    run: (context) => new MediaRun(context, settings).run(),
  };
}

class MediaRun {
  readonly #context: Context;
  readonly #settings: MediaSettings;
  readonly #clients: readonly MediaClient[];

  constructor(context: Context, settings: MediaSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#clients = Array.from(
      { length: context.options.clients },
      (_, index) => new MediaClient(`+4915100${String(index).padStart(6, '0')}`, context.signal),
    );
  }

  async run(): Promise<void> {
    try {
      await this.#measureServer();
      await this.#measureCeiling();
    } finally {
      await Promise.all(this.#clients.map((client) => client.stop()));
    }
  }

  #measureServer(): Promise<void> {
    const { workers } = this.#context.options;
    const clients = this.#clients;
    const load: Generators = {
      get pids() {
        return clients.map(({ pid }) => pid);
      },
      takeCode: (phone, code) => clients.find((client) => client.phone === phone)?.tell({ kind: 'code', code }),
      // They go on to the ceiling.
      stop: () => Promise.resolve(),
    };
    const plan = { workers, script: this.#settings.serverScript };
    return withServerUnder(this.#context, plan, load, (server) => this.#measureCourse(server, load));
  }

  async #measureCourse(server: ServerProcess, load: Generators): Promise<void> {
    const usage = { servers: () => [server.pid], generators: () => load.pids };
    const course = new Course(this.#context.recorder, usage);
    try {
      await this.#measurePhases(server, course);
    } finally {
      course.stop();
    }
  }

  async #measurePhases(server: ServerProcess, course: Course): Promise<void> {
    const { options, progress, recorder } = this.#context;
    progress('starting the server');
    await this.#open(await server.started());
    for (let round = 0; round < WARM_UP_ROUNDS; round++) await this.#passOn(WARM_UP_MIB * MIB);
    const watches = {
      server: new MemoryWatch(server.pid),
      clients: this.#clients.map(({ pid }) => new MemoryWatch(pid)),
    };
    const before = { atMs: systemClock.nowMs(), use: server.use() };
    const rates: Record<Direction, number[]> = { upload: [], download: [] };
    for (let round = 1; round <= options.samples; round++) {
      progress(`round ${round} of ${options.samples}`);
      const { uploadMs, downloadMs } = await this.#passOn(options.mib * MIB);
      rates.upload.push(this.#rate(uploadMs));
      rates.download.push(this.#rate(downloadMs));
      for (const direction of ['upload', 'download'] as const)
        course.point('Rate of a round', direction, 'MB/s', rates[direction].at(-1));
    }
    recorder.metric('upload_mb_per_s', medianOf(rates.upload), 'MB/s');
    recorder.metric('download_mb_per_s', medianOf(rates.download), 'MB/s');
    const [after, atMs] = [server.use(), systemClock.nowMs()];
    const cpuMs = (after?.cpuMs ?? Number.NaN) - (before.use?.cpuMs ?? Number.NaN);
    recorder.metric('server_cores', cpuMs / (atMs - before.atMs), 'cores');
    recorder.metric('server_peak_bytes', watches.server.peakBytes(), 'bytes');
    recorder.metric('server_extra_bytes', watches.server.extraBytes(), 'bytes');
    const most = (of: (watch: MemoryWatch) => number | undefined): number =>
      Math.max(...watches.clients.map((watch) => of(watch) ?? Number.NaN));
    const [peakBytes, extraBytes] = [most((watch) => watch.peakBytes()), most((watch) => watch.extraBytes())];
    recorder.metric('client_peak_bytes_max', peakBytes, 'bytes');
    recorder.metric('client_extra_bytes_max', extraBytes, 'bytes');
  }

  async #open(url: string): Promise<void> {
    this.#context.progress(`registering ${this.#clients.length} accounts`);
    const opened = Promise.all(this.#clients.map((client) => client.open(url)));
    const late = (): Error =>
      new BenchError('BENCH_REGISTRATION', `not all clients logged in after ${LIMITS.openingMsMax} ms`);
    await within(opened, LIMITS.openingMsMax, late, this.#context.signal);
  }

  /** Every client uploads a file; then each downloads that of the next one. */
  async #passOn(bytes: number): Promise<{ readonly uploadMs: number; readonly downloadMs: number }> {
    const clients = this.#clients;
    const startMs = systemClock.nowMs();
    const files = await Promise.all(clients.map((client) => client.ask({ kind: 'upload', bytes }, 'uploaded')));
    const middleMs = systemClock.nowMs();
    const read = await Promise.all(
      clients.map((client, index) => {
        const { attachment } = files[(index + 1) % files.length]!;
        return client.ask({ kind: 'download', attachment }, 'downloaded');
      }),
    );
    requireBytes(read, bytes);
    return { uploadMs: middleMs - startMs, downloadMs: systemClock.nowMs() - middleMs };
  }

  /** MB per second of all files of a round. */
  #rate(ms: number): number {
    const { clients, mib } = this.#context.options;
    return (clients * mib * MIB) / MB / (ms / 1000);
  }

  async #measureCeiling(): Promise<void> {
    const { options, progress, recorder, signal } = this.#context;
    progress('ceiling: the bare library');
    const bytes = options.mib * MIB;
    const server = startStreamServer(signal);
    try {
      const url = await server.url;
      const rates: Record<Direction, number[]> = { upload: [], download: [] };
      for (let round = 0; round <= options.samples; round++) {
        const startMs = systemClock.nowMs();
        await Promise.all(this.#clients.map((client) => client.ask({ kind: 'bare-upload', url, bytes }, 'sent')));
        const middleMs = systemClock.nowMs();
        const read = this.#clients.map((client) => client.ask({ kind: 'bare-download', url, bytes }, 'downloaded'));
        requireBytes(await Promise.all(read), bytes);
        // The first round warms up.
        if (round === 0) continue;
        rates.upload.push(this.#rate(middleMs - startMs));
        rates.download.push(this.#rate(systemClock.nowMs() - middleMs));
      }
      recorder.peer('upload_mb_per_s', 'bare_uws', medianOf(rates.upload));
      recorder.peer('download_mb_per_s', 'bare_uws', medianOf(rates.download));
    } finally {
      await server.stop();
    }
  }
}

function requireBytes(read: readonly { readonly bytes: number }[], bytes: number): void {
  for (const each of read) {
    if (each.bytes !== bytes) throw new BenchError('BENCH_RESULT', `${each.bytes} of ${bytes} bytes came back`);
  }
}
