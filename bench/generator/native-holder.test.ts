/** The lean generator: what it reports is read as it is written; that it logs in and sends is shown in connections/crowd.test.ts. */
import t from 'tap';
import { LatencyHistogram } from '../harness/histogram.ts';
import { addLatencies, HolderLines, type HistogramName } from './native-holder.ts';

t.test('a report is whole at its last line', async (t) => {
  const lines = new HolderLines();
  t.equal(lines.take('S 2 1 0 10 9 8 7 6 5 4 3 2 1 0 1234'), undefined);
  t.equal(lines.take('C 4503 4'), undefined);
  t.equal(lines.take('H D 200:3 256:1'), undefined);
  const report = lines.take('T');
  if (report === undefined || typeof report === 'string') throw new Error('expected a report');
  t.match(report.counts, { live: 2, dialling: 1, sent: 10, delivered: 8, unexpected: 2, gaps: 0, cpuUs: 1234 });
  t.strictSame([...report.closes], [[4503, 4]]);
  t.strictSame(report.latencies.get('delivery')?.[0], [200, 3]);
  t.equal(lines.take('E live'), 'live');
});

t.test('a bucket stands for its middle, within half a step of 1/128', async (t) => {
  const lines = new HolderLines();
  const buckets = [256, 256 + 127, 256 + 128, 256 + 128 * 9 + 5];
  lines.take(`H R ${buckets.map((bucket) => `${bucket}:1`).join(' ')}`);
  const report = lines.take('T');
  if (report === undefined || typeof report === 'string') throw new Error('expected a report');
  const middles = report.latencies.get('raw')!.map(([us]) => us);
  // 2 · 128.5, 2 · 255.5, 4 · 128.5, 2^10 · 133.5
  t.strictSame(middles, [257, 511, 514, 136_704]);
});

t.test('what several report is one histogram', async (t) => {
  const names: HistogramName[] = ['login', 'delivery', 'raw', 'sending', 'heartbeat'];
  const histograms = Object.fromEntries(names.map((name) => [name, new LatencyHistogram()])) as Record<
    HistogramName,
    LatencyHistogram
  >;
  for (const line of ['H D 100:99', 'H D 3000:1']) {
    const lines = new HolderLines();
    lines.take(line);
    const report = lines.take('T');
    if (report === undefined || typeof report === 'string') throw new Error('expected a report');
    addLatencies(report, histograms);
  }
  t.equal(histograms.delivery.count, 100);
  t.equal(histograms.delivery.percentileMs(50), 0.1);
  t.equal(histograms.delivery.maxMs(), 60_000, 'a minute is the most that is told apart');
  t.equal(histograms.raw.count, 0);
});
