import t from 'tap';
import { formatPage } from './page.ts';
import { Recorder, type Report } from './report.ts';

function report(): Report {
  const recorder = new Recorder();
  recorder.metric('p99_ms', 12.5, 'ms');
  recorder.peer('p99_ms', 'bare<uws>', 25);
  for (let second = 0; second < 5; second += 1) recorder.point('Memory', 'servers', 'bytes', second, second * 1e6);
  recorder.point('Memory', 'servers', 'bytes', 5, Number.NaN);
  const { metrics, series } = recorder;
  return {
    workload: 'test',
    commit: 'abc',
    date: '2026-11-22T00:00:00Z',
    machine: { cpu: 'a & b', cores: 2, memoryBytes: 2 ** 34, kernel: 'Linux', node: 'v20' },
    params: { clients: 7, failed: 'BENCH_MEMORY' },
    metrics,
    ...(series && { series }),
    environment: {
      command: 'bench test --clients 7',
      descriptors: 20_000,
      settings: {},
      nodeOptions: '',
      loadBefore: 0,
    },
    notes: ['a doubt'],
  };
}

t.test('a page holds the figures, the chart, the doubts and how to repeat it, and needs nothing else', async (t) => {
  const outcome = { metric: 'p99_ms', bound: 'at-most', value: 10, measured: 12.5, isMet: false } as const;
  const page = formatPage(report(), [outcome]);
  t.match(page, /<td>p99_ms<\/td><td>12.5<\/td><td>ms<\/td><td>25.0 \(2.00\)<\/td>/);
  t.match(page, /bare&#60;uws&#62;/);
  t.match(page, /<polyline [^>]*points="76.0,226.0 /, 'the chart begins at the origin');
  t.equal(/points="([^"]*)"/.exec(page)![1]!.split(' ').length, 5, 'what is no number is left out');
  t.match(page, /class="missed"/);
  t.match(page, /a doubt/);
  t.match(page, /The run ended early: BENCH_MEMORY/);
  t.match(page, /npx blindbeam bench test --clients 7/);
  t.notMatch(page, /<script|https?:\/\/|src=|url\(/);
});
