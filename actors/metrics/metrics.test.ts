import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { LIMITS } from '../limits.ts';
import { METRIC_NAMES, metricOf } from './catalogue.ts';
import { Exposition, type ThreadFigures } from './exposition.ts';
import { judgeLife, judgeReadiness, judgeStart, type NodeView } from './health.ts';
import { openMetrics } from './http.ts';
import { PLACE_COUNT, placeOf, seriesOf, widthOf } from './layout.ts';
import { lintMetrics, readSamples } from './lint.ts';
import { metricsPage } from './page.ts';
import { add, countAside, CounterByLabel, Distribution, gauge, METER_BYTES, set, useMeterMemory } from './meter.ts';

function thread(worker: number): ThreadFigures {
  return { worker, values: new Float64Array(new SharedArrayBuffer(METER_BYTES)) };
}

t.test('every number of a thread has one place, and none is left out', async (t) => {
  const taken = new Set<number>();
  for (const name of METRIC_NAMES) {
    for (const { place } of seriesOf(name)) {
      for (let offset = 0; offset < widthOf(metricOf(name)); offset += 1) taken.add(place + offset);
    }
  }
  t.equal(taken.size, PLACE_COUNT);
  t.equal(Math.max(...taken), PLACE_COUNT - 1);
  t.throws(() => placeOf('blindbeam_connections', { state: 'elsewhere' }), RangeError);
  t.throws(() => placeOf('blindbeam_connections'), RangeError, 'a label must be said');
});

t.test('what is counted is told: counters, gauges, codes, histograms', async (t) => {
  const own = thread(1);
  useMeterMemory(own.values.buffer as SharedArrayBuffer);
  t.teardown(() => useMeterMemory(new ArrayBuffer(METER_BYTES)));
  add(gauge('blindbeam_connections_accepted_total'), 3);
  set(gauge('blindbeam_heap_used_bytes'), 5);
  t.equal(
    countAside(() => (add(gauge('blindbeam_connections_accepted_total'), 100), 'made')),
    'made',
    'what is only tried does not count',
  );
  const refusals = new CounterByLabel('blindbeam_refusals_total');
  refusals.add('APP_OVERLOADED');
  refusals.add('WIRE_OF_LATER', 2);
  const commits = new Distribution('blindbeam_store_commit_messages');
  for (const count of [0, 1, 3, 4, 5, 10_000]) commits.note(count);
  const other = thread(2);
  other.values[placeOf('blindbeam_connections_accepted_total')] = 4;
  const text = await new Exposition([thread(0), own, other]).render();
  const value = (name: string, labels: object = {}): number | undefined =>
    readSamples(text).find((each) => each.name === name && JSON.stringify(each.labels) === JSON.stringify(labels))
      ?.value;
  t.equal(value('blindbeam_connections_accepted_total'), 7, 'workers are summed up');
  t.equal(value('blindbeam_heap_used_bytes', { worker: '1' }), 5, 'or stand for themselves');
  t.equal(value('blindbeam_heap_used_bytes', { worker: '0' }), undefined, 'the main thread is no worker');
  t.equal(value('blindbeam_refusals_total', { code: 'APP_OVERLOADED' }), 1);
  t.equal(value('blindbeam_refusals_total', { code: 'other' }), 2);
  t.equal(value('blindbeam_store_commit_messages_bucket', { le: '0' }), 1);
  t.equal(value('blindbeam_store_commit_messages_bucket', { le: '4' }), 4, 'a bound is within its bucket');
  t.equal(value('blindbeam_store_commit_messages_bucket', { le: '+Inf' }), 6);
  t.equal(value('blindbeam_store_commit_messages_sum'), 10_013);
  t.strictSame(lintMetrics(text), []);
});

t.test('each scrape tells the numbers of its moment, in the text of the one before', async (t) => {
  const threads = [thread(0), thread(1), thread(2)];
  const exposition = new Exposition(threads);
  const first = await exposition.render();
  for (const { worker, values } of threads) {
    values[placeOf('blindbeam_connections_accepted_total')] = 10 ** worker;
    values[placeOf('blindbeam_heap_used_bytes')] = 5 + worker;
    // The buckets of a histogram, one after the other: 0, 1, 2, …
    const place = placeOf('blindbeam_store_commit_messages');
    for (let bucket = 0; bucket < 5; bucket += 1) values[place + bucket] = bucket;
  }
  const second = await exposition.render();
  t.equal(second, await new Exposition(threads).render(), 'nothing is left of the scrape before');
  const numberless = (text: string): string => text.replaceAll(/ \S+$/gm, '');
  t.equal(numberless(second), numberless(first));
  t.match(second, /^blindbeam_connections_accepted_total 111$/m);
  t.match(second, /^blindbeam_heap_used_bytes\{worker="1"\} 6\nblindbeam_heap_used_bytes\{worker="2"\} 7$/m);
  const buckets = readSamples(second).filter(({ name }) => name === 'blindbeam_store_commit_messages_bucket');
  t.same(
    buckets.slice(0, 5).map(({ value }) => value),
    [0, 3, 9, 18, 30],
    'each has those below it as well, of all threads',
  );
  t.equal(buckets.at(-1)!.value, 30);
});

t.test('docs/metrics.md is what the catalogue says', async (t) => {
  const path = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));
  t.equal(readFileSync(path, 'utf8'), metricsPage(), 'npx blindbeam config metrics > docs/metrics.md');
});

t.test('a scrape keeps the rules, also of a node where nothing happened', async (t) => {
  const text = await new Exposition([thread(0), thread(1)]).render();
  t.strictSame(lintMetrics(text), []);
  t.equal(new Set(text.match(/^# TYPE \S+/gm)).size, METRIC_NAMES.length);
});

const PLANTED: Readonly<Record<string, string>> = {
  'counters, and nothing else, end in _total':
    '# HELP blindbeam_x Something counted.\n# TYPE blindbeam_x counter\nblindbeam_x 1\n',
  'label user is about one person':
    '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x gauge\nblindbeam_x{user="a"} 1\n',
  'not a sample': '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x gauge\nblindbeam_x{a="b} 1\n',
  'is not in a base unit': '# HELP blindbeam_x_ms Something measured.\n# TYPE blindbeam_x_ms gauge\nblindbeam_x_ms 1\n',
  'help is missing': '# TYPE blindbeam_x gauge\nblindbeam_x 1\n',
  'a series stands twice':
    '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x gauge\nblindbeam_x 1\nblindbeam_x 2\n',
  'type is summary': '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x summary\nblindbeam_x 1\n',
  'does not end at +Inf':
    '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x histogram\nblindbeam_x_bucket{le="1"} 1\nblindbeam_x_sum 1\nblindbeam_x_count 1\n',
  'counts fall':
    '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x histogram\nblindbeam_x_bucket{le="1"} 2\nblindbeam_x_bucket{le="+Inf"} 1\nblindbeam_x_sum 1\nblindbeam_x_count 1\n',
  'does not end with a line break': '# HELP blindbeam_x Something measured.\n# TYPE blindbeam_x gauge\nblindbeam_x 1',
};

t.test('a planted mistake is found', async (t) => {
  for (const [problem, text] of Object.entries(PLANTED)) t.match(lintMetrics(text).join('\n'), problem);
});

function view(change: (values: Float64Array) => void, rest: Partial<NodeView> = {}): NodeView {
  const worker = thread(1);
  worker.values[placeOf('blindbeam_worker_heartbeat_timestamp_seconds')] = 1_000;
  change(worker.values);
  return { phase: 'serving', nowMs: 1_000_000, threads: [thread(0), worker], ...rest };
}

t.test('a node lives while its workers turn, and is ready while it serves and has room', async (t) => {
  const well = view(() => undefined);
  t.ok(judgeLife(well).ok && judgeReadiness(well).ok && judgeStart(well).ok);
  const silent = view(() => undefined, { nowMs: 1_000_001 + LIMITS.heartbeatMsMax });
  t.notOk(judgeLife(silent).ok);
  t.match(judgeLife(silent).reasons[0], /worker 1 has not turned/);
  t.notOk(judgeReadiness(silent).ok);
  const readOnly = view((values) => (values[placeOf('blindbeam_store_read_only')] = 1));
  t.ok(judgeLife(readOnly).ok, 'a full disk is no reason to start anew');
  t.match(judgeReadiness(readOnly).reasons, [/disk is full/]);
  t.match(judgeReadiness(view((values) => (values[placeOf('blindbeam_overloaded')] = 1))).reasons, [/full/]);
  for (const phase of ['starting', 'draining', 'stopping'] as const) {
    t.match(judgeReadiness(view(() => undefined, { phase })).reasons, [`the node is ${phase}`]);
    t.equal(judgeStart(view(() => undefined, { phase })).ok, phase !== 'starting');
    t.ok(judgeLife(view(() => undefined, { phase })).ok);
  }
});

function fetchText(
  url: string,
  method = 'GET',
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    outgoing.once('error', reject).end();
  });
}

/** Resolves when an HTTP server of this process has begun to serve `count` requests. */
function requestsBegun(count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    const note = (): void => {
      seen += 1;
      if (seen < count) return;
      unsubscribe('http.server.request.start', note);
      // Once those who serve it have got it as well.
      setImmediate(resolve);
    };
    subscribe('http.server.request.start', note);
  });
}

t.test('the port answers scrapes and checks, and renders once for those who come together', async (t) => {
  let renderings = 0;
  const allCame = requestsBegun(3);
  const options = {
    host: '127.0.0.1',
    port: 0,
    isPortGiven: false,
    render: async () => {
      renderings += 1;
      await allCame;
      return 'rendered\n';
    },
    view: () => view(() => undefined, { phase: 'draining' }),
  };
  const server = await openMetrics(options);
  t.teardown(() => server.close());
  const scrapes = await Promise.all([1, 2, 3].map(() => fetchText(`${server.url}/metrics`)));
  t.strictSame(
    scrapes.map(({ text }) => text),
    ['rendered\n', 'rendered\n', 'rendered\n'],
  );
  t.equal(renderings, 1);
  t.strictSame(await fetchText(`${server.url}/livez`), { status: 200, text: 'ok\n' });
  t.strictSame(await fetchText(`${server.url}/readyz`), { status: 503, text: 'the node is draining\n' });
  t.equal((await fetchText(`${server.url}/startupz?x`)).status, 200);
  t.equal((await fetchText(`${server.url}/elsewhere`)).status, 404);
  t.equal((await fetchText(`${server.url}/metrics`, 'POST')).status, 405);
  const { port } = new URL(server.url);
  await t.rejects(openMetrics({ ...options, port: Number(port), isPortGiven: true }), { code: 'APP_PORT_BUSY' });
  const beside = await openMetrics({ ...options, port: Number(port) });
  t.not(beside.url, server.url, 'a port that nobody chose makes way');
  await beside.close();
});
