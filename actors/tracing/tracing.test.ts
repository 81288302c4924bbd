import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { systemClock, systemRandom, type Clock } from '../../runtime/index.ts';
import { VirtualClock } from '../../runtime/testing/index.ts';
import { placeOf } from '../metrics/layout.ts';
import { METER_BYTES, useMeterMemory } from '../metrics/meter.ts';
import { TraceExporter } from './exporter.ts';
import { postTo } from './http-post.ts';
import { LIMITS } from './limits.ts';
import {
  noteReceived,
  noteRefused,
  noteStage,
  noteStored,
  STAGES,
  traceAside,
  tracing,
  useTraceMemory,
} from './message-trace.ts';
import { readEndpoint, readHeaders, tracingOf, tracingProblems } from './settings.ts';
import { encodeTraces, traceOf, type MessageTrace } from './spans.ts';
import { TRACE_BYTES, TraceTable } from './trace-table.ts';

const ALICE = { user: '100000000000001', device: 1, creation: 1_700_000_000_123 };
const BOB = '200000000000002';

/** A table in use by this thread, at a clock that a test moves; every message is traced unless told otherwise. */
function traced(t: Test, oneIn = 1): { readonly table: TraceTable; at(us: number): void; missed(): number } {
  const memory = new SharedArrayBuffer(TRACE_BYTES);
  const meter = new Float64Array(new SharedArrayBuffer(METER_BYTES));
  const table = new TraceTable(memory);
  table.setSample(oneIn);
  table.setSeeds(0x1234_5678, 0x9abc_def0);
  let nowUs = 1;
  useMeterMemory(meter.buffer as SharedArrayBuffer);
  useTraceMemory(memory, () => nowUs);
  t.teardown(() => useMeterMemory(new ArrayBuffer(METER_BYTES)));
  return { table, at: (us) => (nowUs = us), missed: () => meter[placeOf('blindbeam_traces_missed_total')]! };
}

function note(stage: keyof typeof STAGES, id: number): void {
  noteStage(STAGES[stage], ALICE.user, ALICE.device, ALICE.creation, BOB, id);
}

t.test('a message is followed from stage to stage, each noted once, and collected when it has ended', async (t) => {
  const { table, at } = traced(t);
  noteReceived(ALICE, BOB, 1);
  for (const [us, stage] of [
    [20, 'began'],
    [30, 'flushed'],
    [50, 'written'],
    [60, 'written'],
  ] as const) {
    at(us);
    note(stage, 1);
  }
  at(40);
  noteStored(ALICE, BOB, 1);
  t.strictSame(table.collect(0), [], 'it has not ended');
  at(70);
  note('acknowledged', 1);
  t.strictSame(table.collect(0), [{ stamps: [1, 20, 30, 40, 50, 70, 0], outcome: 'stored' }]);
  t.strictSame(table.collect(0), [], 'once');
});

t.test('an answer is for everything up to its id, of its conversation alone; a refusal for its own id', async (t) => {
  const { table, at } = traced(t);
  for (const id of [1, 2, 3, 4]) noteReceived(ALICE, BOB, id);
  noteReceived({ ...ALICE, device: 2 }, BOB, 1);
  noteReceived(ALICE, ALICE.user, 1);
  at(10);
  noteStored(ALICE, BOB, 2);
  at(11);
  noteRefused(ALICE, BOB, 4);
  at(12);
  const outcomes = table.collect(Infinity).map(({ stamps, outcome }) => `${outcome} ${stamps[STAGES.answered]}`);
  t.strictSame(outcomes.sort(), [
    'refused 11',
    'stored 10',
    'stored 10',
    'unanswered 0',
    'unanswered 0',
    'unanswered 0',
  ]);
});

t.test('what is not acknowledged is told after its time; a place rests before another takes it', async (t) => {
  const { table, at } = traced(t);
  noteReceived(ALICE, BOB, 1);
  t.strictSame(table.collect(1), [], 'not yet');
  t.equal(table.collect(2).length, 1);
  note('flushed', 1);
  at(5);
  noteReceived(ALICE, BOB, 1);
  t.strictSame(
    table.collect(Infinity).map(({ stamps }) => stamps),
    [[5, 0, 0, 0, 0, 0, 0]],
    'a late stamp is not of the next',
  );
});

t.test('so many are followed at a time and no more; what finds no place is counted', async (t) => {
  const { table, at, missed } = traced(t);
  const count = LIMITS.unansweredMax + 10;
  for (let id = 1; id <= count; id++) noteReceived(ALICE, BOB, id);
  t.equal(missed(), 10);
  for (let id = 1; id <= count; id++) noteReceived(ALICE, BOB, id);
  t.equal(missed(), 20, 'what is sent again is followed from its first time');
  t.equal(table.collect(Infinity).length, LIMITS.unansweredMax);
  noteReceived(ALICE, BOB, count + 1);
  t.equal(missed(), 21, 'nothing is looked for again before the collector has been there');
  at(1 + LIMITS.collectMs * 1_000);
  noteReceived(ALICE, BOB, count + 1);
  t.equal(missed(), 21, 'those that were collected make room');
});

t.test('an answer does not look at what waits in other conversations', async (t) => {
  traced(t);
  /** The shortest of some rounds of answers in a conversation of which nothing is traced; of more, as long as each was held up. */
  const cost = (expectedMs = Infinity): number => {
    let shortest = Infinity;
    for (let round = 0; round < 100 || (shortest >= expectedMs && round < 2_000); round++) {
      const start = performance.now();
      for (let id = 1; id <= 2_000; id++) noteStored(ALICE, ALICE.user, id);
      shortest = Math.min(shortest, performance.now() - start);
    }
    return shortest;
  };
  noteReceived(ALICE, BOB, 1);
  // Compiled first, so that the loop alone is compared.
  cost();
  const one = cost();
  for (let id = 2; id <= LIMITS.unansweredMax; id++) noteReceived({ ...ALICE, creation: id }, BOB, id);
  const thousand = cost(5 * one);
  t.ok(thousand < 5 * one, `${thousand} ms with a thousand that wait, ${one} ms with one`);
});

t.test('a share is traced, the same messages at every stage, of a single conversation as well', async (t) => {
  const { table } = traced(t, 50);
  for (let id = 1; id <= 20_000; id++) {
    noteReceived(ALICE, BOB, id);
    note('flushed', id);
    noteStored(ALICE, BOB, id);
  }
  const collected = table.collect(Infinity);
  t.ok(collected.length > 320 && collected.length < 480, `${collected.length} of 20,000 at one in 50`);
  t.ok(collected.every(({ stamps }) => stamps[STAGES.flushed]! > 0));
  table.setSample(1_000_000_000);
  for (let id = 1; id <= 1_000; id++) noteReceived(ALICE, BOB, id);
  t.ok(table.collect(Infinity).length <= 1, 'another share is taken at once');
});

t.test('nothing is noted of what is only tried', async (t) => {
  const { table } = traced(t);
  t.ok(tracing.isOn);
  t.equal(
    traceAside(() => tracing.isOn),
    false,
  );
  const throwing = (): never => {
    throw new Error('planted');
  };
  t.throws(() => traceAside(throwing), /planted/);
  t.ok(tracing.isOn, 'also when it throws');
  t.strictSame(table.collect(Infinity), []);
});

t.test('spans are the stages that were reached, in the JSON of OTLP, and say nothing of anybody', async (t) => {
  const whole = traceOf({ stamps: [1_000, 1_200, 3_000, 3_100, 3_400, 9_000, 0], outcome: 'stored' });
  t.match(whole, { outcome: 'acknowledged', whole: { startUs: 1_000, endUs: 9_000 } });
  t.strictSame(
    whole.stages.map(({ name, startUs, endUs }) => [name, startUs, endUs]),
    [
      ['accept', 1_000, 1_200],
      ['commit', 1_200, 3_000],
      ['answer', 3_000, 3_100],
      ['push', 3_000, 3_400],
      ['acknowledge', 3_400, 9_000],
    ],
  );
  const waiting = traceOf({ stamps: [1_000, 1_200, 3_000, 3_100, 0, 0, 0], outcome: 'stored' });
  t.strictSame([waiting.outcome, waiting.stages.map(({ name }) => name)], ['stored', ['accept', 'commit', 'answer']]);
  const fanned = traceOf({ stamps: [1_000, 1_200, 3_000, 3_100, 3_900, 9_000, 3_400], outcome: 'stored' });
  t.strictSame(
    fanned.stages.slice(3).map(({ name, startUs, endUs }) => [name, startUs, endUs]),
    [
      ['fan-out', 3_000, 3_400],
      ['push', 3_400, 3_900],
      ['acknowledge', 3_900, 9_000],
    ],
    'of a group',
  );
  const refused = traceOf({ stamps: [1_000, 0, 0, 1_100, 0, 0, 0], outcome: 'refused' });
  t.strictSame([refused.outcome, refused.stages], ['refused', []]);

  let drawn = 0;
  const random = { bytes: (length: number) => new Uint8Array(length).fill(++drawn) };
  const source = { node: 'a', release: '0.1.0', wallOffsetUs: 1_790_000_000_000_000 };
  const { resourceSpans } = JSON.parse(encodeTraces([waiting], source, random));
  t.strictSame(resourceSpans[0].resource.attributes[2], { key: 'service.instance.id', value: { stringValue: 'a' } });
  const { spans } = resourceSpans[0].scopeSpans[0];
  t.strictSame(spans.slice(0, 2), [
    {
      traceId: '01'.repeat(16),
      spanId: '02'.repeat(8),
      name: 'message',
      kind: 2,
      startTimeUnixNano: '1790000000001000000',
      endTimeUnixNano: '1790000000003100000',
      attributes: [{ key: 'blindbeam.outcome', value: { stringValue: 'stored' } }],
      status: {},
    },
    {
      traceId: '01'.repeat(16),
      spanId: '03'.repeat(8),
      parentSpanId: '02'.repeat(8),
      name: 'accept',
      kind: 1,
      startTimeUnixNano: '1790000000001000000',
      endTimeUnixNano: '1790000000001200000',
    },
  ]);
});

// --- a collector ----------------------------------------------------------------------------------------------------

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A real one on the loopback, which answers in turn what is planted, then 200. */
async function collector(
  t: Test,
  answers: Answer[],
): Promise<{ url: string; bodies: string[]; heads: IncomingHttpHeaders[] }> {
  const bodies: string[] = [];
  const heads: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      heads.push(request.headers);
      const { status, headers, body: answer } = answers.shift() ?? { status: 200 };
      response.writeHead(status, headers).end(answer ?? '{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(
    () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, bodies, heads };
}

const TRACE: MessageTrace = traceOf({ stamps: [1, 2, 3, 4, 5, 6, 0], outcome: 'stored' });

function exporterTo(
  t: Test,
  url: string,
  clock: Clock = systemClock,
): { exporter: TraceExporter; logged: string[]; count(outcome: string): number } {
  const meter = new Float64Array(new SharedArrayBuffer(METER_BYTES));
  useMeterMemory(meter.buffer as SharedArrayBuffer);
  const logged: string[] = [];
  let encoded = 0;
  const warn = (event: string, fields?: object): void => void logged.push(`${event} ${JSON.stringify(fields)}`);
  const log = { debug: () => undefined, info: () => undefined, warn, error: warn };
  const exporter = new TraceExporter({
    post: postTo(url, { authorization: 'Bearer planted' }),
    encode: (traces) => `${++encoded} ${traces.length}`,
    clock,
    random: systemRandom,
    log,
  });
  t.teardown(() => exporter.close());
  const count = (outcome: string): number => meter[placeOf('blindbeam_trace_spans_total', { outcome })]!;
  return { exporter, logged, count };
}

async function untilEmpty(exporter: TraceExporter): Promise<void> {
  while (exporter.queuedCount > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('traces go out in batches; a busy collector is asked again when it says, with the same', async (t) => {
  const { url, bodies, heads } = await collector(t, [{ status: 503, headers: { 'retry-after': '0' } }]);
  const { exporter, count, logged } = exporterTo(t, url);
  exporter.offer(Array.from({ length: LIMITS.batchCountMax + 1 }, () => TRACE));
  await untilEmpty(exporter);
  const full = `1 ${LIMITS.batchCountMax}`;
  t.strictSame(bodies, [full, full, '2 1'], 'encoded once, so with the ids that it had');
  t.match(heads[0], { 'content-type': 'application/json', authorization: 'Bearer planted' });
  t.equal(count('exported'), (LIMITS.batchCountMax + 1) * 6);
  t.match(logged, [/traces_not_taken .*status 503/]);
});

t.test('what a collector refuses is not sent again, nor the part that it refuses', async (t) => {
  const partial = JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } });
  const { url, bodies } = await collector(t, [
    { status: 400, body: 'x'.repeat(100_000) },
    { status: 200, body: partial },
  ]);
  const { exporter, count } = exporterTo(t, url);
  exporter.offer([TRACE]);
  await untilEmpty(exporter);
  t.strictSame([count('refused'), count('exported')], [6, 0]);
  exporter.offer([TRACE]);
  await untilEmpty(exporter);
  t.strictSame([count('refused'), count('exported'), bodies.length], [8, 4, 2]);
});

t.test('a collector that is away costs a queue, and what is over that is counted', async (t) => {
  // No pause ever ends on this clock.
  const { exporter, count, logged } = exporterTo(t, 'http://127.0.0.1:9/v1/traces', new VirtualClock());
  for (let round = 0; round < 3; round++) {
    exporter.offer(Array.from({ length: LIMITS.queueCountMax / 2 }, () => TRACE));
    while (logged.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.equal(exporter.queuedCount, LIMITS.queueCountMax);
  t.equal(count('dropped'), (LIMITS.queueCountMax / 2) * 6);
  t.equal(logged.length, 1, 'it is asked again after a pause, and not for each trace');
  await exporter.close();
});

t.test(
  'endpoints and headers are as OpenTelemetry writes them, and what is wrong does not repeat a secret',
  async (t) => {
    t.equal(readEndpoint('http://127.0.0.1:4318'), 'http://127.0.0.1:4318/v1/traces');
    t.equal(readEndpoint('https://otlp.example/tenant/traces'), 'https://otlp.example/tenant/traces');
    t.match(readEndpoint('grpc://127.0.0.1:4317'), { problem: /collector/ });
    t.match(readEndpoint('http://me:hush@127.0.0.1'), { problem: /^((?!hush).)*$/ });
    t.strictSame(readHeaders('Authorization=Bearer%20abc, x-tenant = chat'), {
      authorization: 'Bearer abc',
      'x-tenant': 'chat',
    });
    t.strictSame(readHeaders(''), {});
    for (const wrong of ['hush', 'a b=c', 'a=%0d%0ax:y', 'a=%zz']) t.equal(readHeaders(wrong), undefined, wrong);
    const values = { 'trace-endpoint': '', 'trace-headers': '', 'trace-sample': 10 };
    t.equal(tracingOf(values), undefined, 'off by default');
    t.strictSame(
      tracingProblems({ ...values, 'trace-endpoint': 'nowhere', 'trace-headers': 'hush' }).map(({ name }) => name),
      ['trace-endpoint', 'trace-headers'],
    );
  },
);
