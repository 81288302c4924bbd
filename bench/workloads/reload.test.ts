/** The workload of reloads, small: on a real server every figure is there, nothing is lost, and old versions go. */

import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createReloadWorkload } from './reload.ts';

t.test('connections are reloaded under traffic, and the run says what that did', async (t) => {
  const recorder = new Recorder();
  const { signal } = new AbortController();
  const options = {
    connections: 20,
    rate: 100,
    reloads: 2,
    every: 400,
    more: 2,
    generators: 1,
    bytes: 100,
    workers: 2,
    calm: 100,
  };
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  await createReloadWorkload().run({ ...context, options, recorder, signal });
  const { metrics, notes } = recorder;
  t.equal(metrics['connections']!.value, 20);
  t.equal(metrics['dropped_connections']!.value, 0);
  t.equal(metrics['reloads']!.value, 4);
  t.equal(metrics['converted_states']!.value, 40, 'each state, each time');
  t.equal(metrics['versions_left']!.value, 1);
  t.ok(metrics['max_stall_ms']!.value > 0);
  t.ok(metrics['p99_ms']!.value > 0);
  t.strictSame(
    notes.filter((note) => /logged errors/.test(note)),
    [],
  );
});
