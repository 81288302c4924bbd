/** The workload of those who look, small: on a real server every figure is there, and one who sees nothing fails the run. */

import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { consoleLooker, scrapeLooker } from '../operators/lookers.ts';
import { createOperatorsWorkload } from './operators.ts';

t.test('a node is looked at by everybody, and the run says what that cost', async (t) => {
  const recorder = new Recorder();
  const { signal } = new AbortController();
  const options = {
    connections: 20,
    rate: 200,
    samples: 1,
    window: 200,
    comparisons: 2,
    traffic: 300,
    generators: 1,
    bytes: 100,
    workers: 2,
  };
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  await createOperatorsWorkload().run({ ...context, options, recorder, signal });
  const { metrics, notes } = recorder;
  for (const name of ['top', 'console', 'scrape']) {
    t.ok(metrics[`${name}_answer_ms_max`]!.value > 0, name);
    t.ok(Number.isFinite(metrics[`${name}_cores`]!.value), name);
  }
  for (const name of ['p99_ms', 'scraped_p99_ms', 'p50_ms']) t.ok(metrics[name]!.value > 0, name);
  const { p99_ms: calm, scraped_p99_ms: scraped, scrape_added_p99_ms: added } = metrics;
  // Both are read from the same latencies; a bucket of the histograms is a thousandth wide.
  const told = scraped!.value - calm!.value;
  t.ok(Math.abs(added!.value - told) <= (scraped!.value + calm!.value) / 500, `${added!.value}, ${told} told`);
  t.strictSame(
    notes.filter((note) => /logged errors/.test(note)),
    [],
  );
});

t.test('who gets no answer says so', async (t) => {
  // The discard port: nobody listens.
  const nobody = 'http://127.0.0.1:9';
  await t.rejects(scrapeLooker(`${nobody}/metrics`).questions[0]!());
  await t.rejects(scrapeLooker(`${nobody}/metrics`).look(new AbortController().signal));
  await t.rejects(consoleLooker({ url: nobody, token: '' }).look(new AbortController().signal));
});
