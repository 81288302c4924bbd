/**
 * A trace of one actor: what it handles, told to whoever asked, until a number of events or a time is reached.
 *
 * It turns itself off: nobody has to remember it, and a busy actor cannot drown its tracer. Contents are told only if
 * asked for, cut to bounds, to the tracer and to no log. Read next: `sys.ts`, which starts one.
 */

import { Alarm, attentionOf } from './attention.ts';
import { type CallEnvelope, KIND, type Kind, type Target } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';
import { route } from './routing.ts';
import { snapshot, type SnapshotLimits } from './snapshot.ts';
import { Timer } from './timers.ts';

/** What is asked of a trace. */
export interface TraceOptions {
  /** Events after which it ends: 1 to LIMITS.traceEventCountMax. */
  readonly eventsMax: number;
  /** Milliseconds after which it ends: 1 to LIMITS.traceMsMax. */
  readonly forMs: number;
  /** Gets the events by `send`. */
  readonly to: Target;
  /** Whether, and how much of, the messages are told. Default: not at all. */
  readonly contents?: SnapshotLimits | false;
}

/** One event of a trace. `end` is the last one, and says why. */
export interface TraceEvent {
  readonly type: 'TRACE';
  readonly pid: Pid;
  /** 1, 2, 3 … */
  readonly number: number;
  /** Monotonic time of the actor's worker. */
  readonly atMs: number;
  readonly event: 'info' | 'cast' | 'call' | 'down' | 'continue' | 'end';
  /** Milliseconds that the handler took up to its return; a promise that it returned is not waited for. */
  readonly tookMs?: number;
  readonly content?: unknown;
  readonly why?: 'cap' | 'deadline' | 'stopped';
}

export interface Trace {
  readonly options: TraceOptions;
  readonly timer: Timer;
  eventCount: number;
}

/** By `KIND`. */
const EVENTS: readonly TraceEvent['event'][] = ['info', 'info', 'cast', 'call', 'info', 'down', 'continue'];

/** Whether an info message is a `TraceEvent`. */
export function isTraceEvent(info: unknown): info is TraceEvent {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'TRACE';
}

/** Begins a trace; the one that runs already, if any, is ended. */
export function startTrace(kernel: Kernel, process: Process, options: TraceOptions): Trace {
  if (process.annex?.attention?.trace != null) endTrace(kernel, process, 'stopped');
  const { timers, refs } = kernel;
  const timer = new Timer(refs, timers.dueTick(options.forMs), process, process, DEADLINE, null);
  timers.add(timer);
  return { options, timer, eventCount: 0 };
}

/** Tells that a message was handled. Ends the trace if that was its last event. */
export function traceHandled(kernel: Kernel, process: Process, kind: Kind, payload: unknown, startMs: number): void {
  const trace = process.annex?.attention?.trace ?? null;
  if (trace === null) return;
  const nowMs = kernel.clock.monotonicMs();
  const { contents = false } = trace.options;
  const content = contents === false ? {} : { content: snapshot(contentOf(kind, payload), contents) };
  tell(kernel, process, trace, { event: EVENTS[kind]!, atMs: startMs, tookMs: nowMs - startMs, ...content });
  if (trace.eventCount >= trace.options.eventsMax) endTrace(kernel, process, 'cap');
  else if (nowMs >= trace.timer.dueTick + kernel.timers.originMs) endTrace(kernel, process, 'deadline');
}

export function endTrace(kernel: Kernel, process: Process, why: TraceEvent['why']): void {
  const attention = attentionOf(process);
  const trace = attention.trace!;
  attention.trace = null;
  kernel.timers.cancel(trace.timer);
  tell(kernel, process, trace, { event: 'end', atMs: kernel.clock.monotonicMs(), why });
}

const DEADLINE: Alarm = new Alarm((kernel, process) => endTrace(kernel, process, 'deadline'));

function tell(kernel: Kernel, process: Process, trace: Trace, told: Omit<TraceEvent, 'type' | 'pid' | 'number'>): void {
  trace.eventCount += 1;
  const event: TraceEvent = { type: 'TRACE', pid: process, number: trace.eventCount, ...told };
  // A tracer that is full or gone misses it: tracing must not harm the traced.
  route(kernel, trace.options.to, KIND.info, event);
}

function contentOf(kind: Kind, payload: unknown): unknown {
  return kind === KIND.call ? (payload as CallEnvelope).request : payload;
}
