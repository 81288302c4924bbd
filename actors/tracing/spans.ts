/**
 * From the stamps of a message to the spans of its trace, and from traces to the JSON that a collector takes. Pure.
 *
 *   message  ├──────────────────────────────────────────────┤
 *   accept   ├───────┤                                          read by the connection … its commit began
 *   commit           ├────────┤                                 … on the disk
 *   answer                    ├────┤                            … the sender's check mark is written
 *   fan-out                   ├─┤                              … of a group alone: on the disk of a shard with members
 *   push                      ├───────┤                         … written to a socket of the recipient; of a group, after the fan-out
 *   acknowledge                       ├─────────────────────┤   … acknowledged, and its removal on the disk
 *
 * A trace says how long, and what became of it. It says nothing of whom, and no figure of one.
 *
 * Source: OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"; opentelemetry/proto/trace/v1/trace.proto.
 */

import type { Random } from '../../runtime/index.ts';
import { STAGES, type CollectedTrace, type Stage } from './trace-table.ts';

export interface Span {
  readonly name: string;
  /** Microseconds of the table's clock. */
  readonly startUs: number;
  readonly endUs: number;
}

/** A message as it is told: the whole, and its stages. */
export interface MessageTrace {
  readonly whole: Span;
  readonly stages: readonly Span[];
  /** `acknowledged` by a device; `stored` and waiting; `refused`; `unanswered`, which is a fault of the node or of a connection that ended. */
  readonly outcome: 'acknowledged' | 'stored' | 'refused' | 'unanswered';
}

/** Each stage with where it begins and ends. */
const SPANS: readonly (readonly [name: string, from: Stage, to: Stage])[] = [
  ['accept', STAGES.received, STAGES.began],
  ['commit', STAGES.began, STAGES.flushed],
  ['answer', STAGES.flushed, STAGES.answered],
  ['fan-out', STAGES.flushed, STAGES.arrived],
  ['push', STAGES.flushed, STAGES.written],
  ['acknowledge', STAGES.written, STAGES.acknowledged],
];

/** The spans of the stages that were reached. */
export function traceOf({ stamps, outcome }: CollectedTrace): MessageTrace {
  const startUs = stamps[STAGES.received]!;
  const isOfGroup = stamps[STAGES.arrived]! > 0;
  const stages = SPANS.flatMap(([name, from, to]) => {
    const begin = isOfGroup && name === 'push' ? STAGES.arrived : from;
    const [fromUs, toUs] = [stamps[begin]!, stamps[to]!];
    return fromUs > 0 && toUs >= fromUs ? [{ name, startUs: fromUs, endUs: toUs }] : [];
  });
  const isAcknowledged = outcome !== 'refused' && stamps[STAGES.acknowledged]! > 0;
  return {
    whole: { name: 'message', startUs, endUs: Math.max(...stamps) },
    stages,
    outcome: isAcknowledged ? 'acknowledged' : outcome,
  };
}

/** What the spans of a node have in common. */
export interface TraceSource {
  /** `service.instance.id`. */
  readonly node: string;
  readonly release: string;
  /** What makes wall time of the table's clock, microseconds. */
  readonly wallOffsetUs: number;
}

const SPAN_KIND_INTERNAL = 1;
const SPAN_KIND_SERVER = 2;
const STATUS_CODE_ERROR = 2;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** The body of one `ExportTraceServiceRequest`. Ids are drawn here: nothing in them is of the message. */
export function encodeTraces(
  traces: readonly MessageTrace[],
  source: TraceSource,
  random: Pick<Random, 'bytes'>,
): string {
  const { node, release } = source;
  return JSON.stringify({
    resourceSpans: [
      {
        resource: {
          attributes: [
            attribute('service.name', 'blindbeam'),
            attribute('service.version', release),
            attribute('service.instance.id', node),
          ],
        },
        scopeSpans: [
          {
            scope: { name: 'blindbeam', version: release },
            spans: traces.flatMap((trace) => spansOf(trace, source, random)),
          },
        ],
      },
    ],
  });
}

function spansOf(
  { whole, stages, outcome }: MessageTrace,
  source: TraceSource,
  random: Pick<Random, 'bytes'>,
): object[] {
  const traceId = drawId(random, TRACE_ID_BYTES);
  const root = drawId(random, SPAN_ID_BYTES);
  const spans: object[] = [
    {
      traceId,
      spanId: root,
      name: whole.name,
      kind: SPAN_KIND_SERVER,
      startTimeUnixNano: wallNanos(whole.startUs, source),
      endTimeUnixNano: wallNanos(whole.endUs, source),
      attributes: [attribute('blindbeam.outcome', outcome)],
      status: outcome === 'unanswered' ? { code: STATUS_CODE_ERROR } : {},
    },
  ];
  for (const { name, startUs, endUs } of stages) {
    spans.push({
      traceId,
      spanId: drawId(random, SPAN_ID_BYTES),
      parentSpanId: root,
      name,
      kind: SPAN_KIND_INTERNAL,
      startTimeUnixNano: wallNanos(startUs, source),
      endTimeUnixNano: wallNanos(endUs, source),
    });
  }
  return spans;
}

function drawId(random: Pick<Random, 'bytes'>, length: number): string {
  return Buffer.from(random.bytes(length)).toString('hex');
}

/** 64 bits as decimal digits, as Protobuf's JSON has them. */
function wallNanos(us: number, { wallOffsetUs }: TraceSource): string {
  return `${Math.round(us + wallOffsetUs)}000`;
}

function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}
