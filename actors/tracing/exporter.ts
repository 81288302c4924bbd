/**
 * Hands traces to a collector: a bounded queue, one request at a time, and a pause that grows when it does not take them.
 *
 * What cannot be told is dropped and counted, never kept for long and never waited for: a collector that is away costs the node its queue.
 *
 * Source: OpenTelemetry Protocol 1.x, "OTLP/HTTP Response" (which answers are tried again) and "OTLP/HTTP Throttling".
 */

import type { Clock, Logger, Random } from '../../runtime/index.ts';
import { add, gauge } from '../metrics/meter.ts';
import { LIMITS } from './limits.ts';
import type { MessageTrace } from './spans.ts';

/** What a collector said. */
export interface CollectorAnswer {
  readonly status: number;
  /** The header, as it came. */
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** Posts one body. Rejects when there is no answer. */
export type PostTraces = (body: string) => Promise<CollectorAnswer>;

export interface ExporterOptions {
  readonly post: PostTraces;
  /** Makes the body of a request. */
  readonly encode: (traces: readonly MessageTrace[]) => string;
  readonly clock: Clock;
  readonly random: Pick<Random, 'integer'>;
  readonly log: Logger;
}

const EXPORTED = gauge('blindbeam_trace_spans_total', { outcome: 'exported' });
const REFUSED = gauge('blindbeam_trace_spans_total', { outcome: 'refused' });
const DROPPED = gauge('blindbeam_trace_spans_total', { outcome: 'dropped' });

/** The answers after which the same request is sent again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Encoded once: what is sent again has the ids that it had. */
interface Request {
  readonly traceCount: number;
  readonly spanCount: number;
  readonly body: string;
}

export class TraceExporter {
  readonly #options: ExporterOptions;
  readonly #queue: MessageTrace[] = [];
  #sending: Promise<void> | undefined;
  #pause: unknown;
  /** The request under way, or to be sent again: it is of the front of the queue. */
  #request: Request | undefined;
  /** Requests in a row that have failed. */
  #failures = 0;
  #isClosed = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  /** Traces that wait. */
  get queuedCount(): number {
    return this.#queue.length;
  }

  offer(traces: readonly MessageTrace[]): void {
    const room = LIMITS.queueCountMax - this.#queue.length;
    this.#queue.push(...traces.slice(0, room));
    add(DROPPED, spansIn(traces.slice(room)));
    if (this.#pause === undefined) this.#begin();
  }

  /** Sends what is left once more, unless the collector does not take it, and waits a moment for that. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    if (this.#pause !== undefined) clock.clearTimer(this.#pause);
    else this.#begin();
    this.#isClosed = true;
    if (this.#sending === undefined) return;
    let patience: unknown;
    const enough = new Promise<void>((resolve) => (patience = clock.setTimer(LIMITS.closeMsMax, resolve)));
    await Promise.race([this.#sending, enough]);
    clock.clearTimer(patience);
  }

  #begin(): void {
    if (this.#sending !== undefined || this.#isClosed || this.#queue.length === 0) return;
    this.#sending = this.#send().finally(() => (this.#sending = undefined));
  }

  /** One request after the other, until nothing is left or one is to be sent again. */
  async #send(): Promise<void> {
    while (this.#queue.length > 0) {
      const request = (this.#request ??= this.#nextRequest());
      const answer = await this.#post(request);
      if ('pauseMs' in answer) return this.#pauseFor(answer.pauseMs);
      this.#failures = 0;
      this.#request = undefined;
      this.#queue.splice(0, request.traceCount);
    }
  }

  #nextRequest(): Request {
    const batch = this.#queue.slice(0, LIMITS.batchCountMax);
    return { traceCount: batch.length, spanCount: spansIn(batch), body: this.#options.encode(batch) };
  }

  async #post({ body, spanCount }: Request): Promise<{ readonly pauseMs: number } | { readonly done: true }> {
    try {
      const answer = await this.#options.post(body);
      if (RETRYABLE.has(answer.status)) return this.#fail(`status ${answer.status}`, secondsOf(answer.retryAfter));
      this.#settle(answer, spanCount);
      return { done: true };
    } catch (error) {
      return this.#fail(reasonOf(error), undefined);
    }
  }

  /** A collector may take a part; what it did not take is not sent again. */
  #settle({ status, body }: CollectorAnswer, spans: number): void {
    const refused = status >= 200 && status < 300 ? Math.min(spans, rejectedSpans(body)) : spans;
    add(EXPORTED, spans - refused);
    add(REFUSED, refused);
    if (refused > 0) this.#options.log.warn('traces_refused', { status, spans: refused });
  }

  #fail(reason: string, retrySeconds: number | undefined): { readonly pauseMs: number } {
    const { random, log } = this.#options;
    this.#failures += 1;
    const grownMs = Math.min(LIMITS.pauseMsMax, LIMITS.pauseMsMin * 2 ** Math.min(this.#failures - 1, 16));
    const drawnMs = grownMs / 2 + random.integer(grownMs / 2 + 1);
    const askedMs = Math.max(LIMITS.pauseMsMin, (retrySeconds ?? 0) * 1_000);
    const pauseMs = retrySeconds === undefined ? drawnMs : Math.min(LIMITS.pauseMsMax, askedMs);
    log.warn('traces_not_taken', { reason, waiting: this.#queue.length, pauseMs });
    return { pauseMs };
  }

  #pauseFor(ms: number): void {
    if (this.#isClosed) return;
    this.#pause = this.#options.clock.setTimer(ms, () => {
      this.#pause = undefined;
      this.#begin();
    });
  }
}

function spansIn(traces: readonly MessageTrace[]): number {
  return traces.reduce((sum, { stages }) => sum + 1 + stages.length, 0);
}

/** Seconds alone: collectors say no dates, and one that does is asked again after our own pause. */
function secondsOf(retryAfter: string | undefined): number | undefined {
  return retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
}

/** `partialSuccess.rejectedSpans`: a number, or digits as Protobuf's JSON has them. */
function rejectedSpans(body: string): number {
  try {
    const { partialSuccess } = JSON.parse(body) as { readonly partialSuccess?: { readonly rejectedSpans?: unknown } };
    return Math.max(0, Number(partialSuccess?.rejectedSpans ?? 0) || 0);
  } catch {
    return 0;
  }
}

/** `fetch` hides what happened in the cause. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as Error & { readonly cause?: NodeJS.ErrnoException };
  return cause?.code ?? name;
}
