/** The workload in small, against the real server: what it reports, and that its checks are alive. */

import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createOfflineWorkload, phonesOf } from './offline.ts';

const SMALL = { devices: 6, messages: 200, conversations: 2, senders: 4, bytes: 100, generators: 2, workers: 1 };

t.test('a few devices come back and get everything; the figures are there', async (t) => {
  const recorder = new Recorder();
  const progress: string[] = [];
  await createOfflineWorkload().run({
    ...{ options: SMALL, isQuick: true, part: undefined, recorder, keepData: false },
    progress: (text) => void progress.push(text),
    signal: new AbortController().signal,
  });
  const { metrics } = recorder;
  for (const name of ['fill_msgs_per_s', 'drain_msgs_per_s', 'first_message_p99_ms', 'drained_p99_ms']) {
    t.ok(metrics[name]!.value > 0, name);
  }
  t.ok(metrics.first_message_p50_ms!.value <= metrics.drained_p99_ms!.value);
  t.equal(progress.at(-1), 'all come back');
});

t.test('an interrupted run says so and leaves nothing behind', async (t) => {
  const controller = new AbortController();
  const run = createOfflineWorkload().run({
    ...{ options: SMALL, isQuick: true, part: undefined, recorder: new Recorder(), keepData: false },
    progress: (text) => text.startsWith('registering') && controller.abort(),
    signal: controller.signal,
  });
  await t.rejects(run, { code: 'BENCH_INTERRUPTED' });
});

t.test('no number is given to two', async (t) => {
  const { devices, senders } = phonesOf(30, 7);
  t.equal(new Set([...devices, ...senders]).size, 37);
});
