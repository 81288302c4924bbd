/**
 * Tracing on the main thread: collects what the workers noted and hands it on. Nothing of it runs where messages do.
 *
 *   workers ── stamps ──▶ trace-table.ts ── collect ──▶ spans.ts ──▶ exporter.ts ──▶ collector
 *
 * Off unless an endpoint is configured; then there is no memory, no timer, and no stamp.
 */

import type { Clock, Logger, Random } from '../../runtime/index.ts';
import { TraceExporter, type PostTraces } from './exporter.ts';
import { LIMITS } from './limits.ts';
import { encodeTraces, traceOf, type MessageTrace, type TraceSource } from './spans.ts';
import { TRACE_BYTES, TraceTable } from './trace-table.ts';

export interface TracerOptions {
  /** One message in so many. */
  readonly sample: number;
  readonly post: PostTraces;
  /** Name of the node and its release. */
  readonly node: string;
  readonly release: string;
  readonly clock: Clock;
  /** See `useTraceMemory`. */
  readonly nowUs: () => number;
  readonly random: Random;
  readonly log: Logger;
}

export class Tracer {
  /** For the workers. */
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(TRACE_BYTES);
  readonly #options: TracerOptions;
  readonly #table: TraceTable;
  readonly #exporter: TraceExporter;
  #timer: unknown;

  constructor(options: TracerOptions) {
    const { sample, post, clock, random, log } = options;
    this.#options = options;
    this.#table = new TraceTable(this.memory);
    this.#table.setSample(sample);
    this.#table.setSeeds(random.integer(2 ** 32), random.integer(2 ** 32));
    const encode = (traces: readonly MessageTrace[]): string => encodeTraces(traces, this.#source(), random);
    this.#exporter = new TraceExporter({ post, encode, clock, random, log });
    this.#wait();
  }

  /** Taken by a running node. */
  setSample(oneIn: number): void {
    this.#table.setSample(oneIn);
  }

  /** Collects a last time, and sends that. */
  async close(): Promise<void> {
    this.#options.clock.clearTimer(this.#timer);
    this.#collect(Infinity);
    await this.#exporter.close();
  }

  #wait(): void {
    const { clock, nowUs } = this.#options;
    this.#timer = clock.setTimer(LIMITS.collectMs, () => {
      this.#collect(nowUs() - LIMITS.traceMsMax * 1_000);
      this.#wait();
    });
  }

  #collect(overdueUs: number): void {
    this.#exporter.offer(this.#table.collect(overdueUs).map(traceOf));
  }

  #source(): TraceSource {
    const { node, release, clock, nowUs } = this.#options;
    return { node, release, wallOffsetUs: clock.nowMs() * 1_000 - nowUs() };
  }
}
