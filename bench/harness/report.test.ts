import t from 'tap';
import { ratioTo, Recorder, type Report } from './report.ts';
import { formatReport, formatValue } from './table.ts';

function reportOf(recorder: Recorder): Report {
  const machine = { cpu: 'Test CPU', cores: 2, memoryBytes: 2 ** 34, kernel: 'Linux 6', node: 'v20.0.0' };
  const head = { workload: 'test', commit: 'abc', date: '2026-11-21T00:00:00.000Z', machine, params: { pairs: 2 } };
  return { ...head, metrics: recorder.metrics };
}

t.test('the JSON has the shape that every workload writes', async (t) => {
  const recorder = new Recorder();
  recorder.metric('delivered_per_s', 50_000, 'msg/s');
  recorder.peer('delivered_per_s', 'bare_echo', 200_000);
  t.same(JSON.parse(JSON.stringify(reportOf(recorder))), {
    workload: 'test',
    commit: 'abc',
    date: '2026-11-21T00:00:00.000Z',
    machine: { cpu: 'Test CPU', cores: 2, memoryBytes: 17179869184, kernel: 'Linux 6', node: 'v20.0.0' },
    params: { pairs: 2 },
    metrics: {
      delivered_per_s: { value: 50000, unit: 'msg/s', peers: { bare_echo: { value: 200000, ratio: 0.25 } } },
    },
  });
});

t.test('a ratio above 1 is ahead, whatever the unit', async (t) => {
  t.equal(ratioTo(200, 100, 'msg/s'), 2);
  t.equal(ratioTo(5, 10, 'ms'), 2);
  t.equal(ratioTo(1000, 500, 'bytes'), 0.5);
  t.throws(() => ratioTo(1, 1, 'msg'), RangeError);
});

t.test('what was not measured is left out and not reported as zero', async (t) => {
  const recorder = new Recorder();
  recorder.metric('missing', undefined, 'ms');
  recorder.metric('infinite', 1 / 0, 'ms');
  recorder.metric('rate', 10, 'msg/s');
  recorder.peer('rate', 'absent', undefined);
  recorder.peer('missing', 'absent', 3);
  t.same(recorder.metrics, { rate: { value: 10, unit: 'msg/s', peers: {} } });
});

t.test('a metric has one value', async (t) => {
  const recorder = new Recorder();
  recorder.metric('rate', 1, 'msg/s');
  t.throws(() => recorder.metric('rate', 2, 'msg/s'), RangeError);
});

t.test('a threshold is met at its bound, missed beyond it and missed when nothing was measured', async (t) => {
  const recorder = new Recorder();
  recorder.metric('rate', 40_000, 'msg/s');
  recorder.metric('p99_ms', 20, 'ms');
  const outcomes = recorder.check([
    { metric: 'rate', bound: 'at-least', value: 40_000 },
    { metric: 'p99_ms', bound: 'below', value: 20 },
    { metric: 'p99_ms', bound: 'below', value: 20.1 },
    { metric: 'absent', bound: 'at-least', value: 0 },
  ]);
  t.same(
    outcomes.map(({ isMet }) => isMet),
    [true, false, true, false],
  );
});

t.test('the table shows figures, peers, thresholds and doubts', async (t) => {
  const recorder = new Recorder();
  recorder.metric('delivered_per_s', 50_000, 'msg/s');
  recorder.metric('p99_ms', 12.34, 'ms');
  recorder.peer('delivered_per_s', 'bare_echo', 200_000);
  recorder.note('the machine was busy');
  const table = formatReport(
    reportOf(recorder),
    recorder.check([{ metric: 'p99_ms', bound: 'below', value: 5 }]),
    recorder.notes,
  );
  t.match(table, /^delivered_per_s +50,000 +msg\/s +200,000 \(0\.25\)$/m);
  t.match(table, /^p99_ms +12\.3 +ms$/m);
  t.match(table, /^missed +p99_ms < 5$/m);
  t.match(table, /^note +the machine was busy$/m);
  t.equal(formatValue(3 * 2 ** 20, 'bytes'), '3.0 Mi');
});
