/** The workload of groups, small, on a real server: it measures, and what it measured was checked. */
import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createGroupsWorkload } from './groups.ts';

t.test('every delivery of a small group is checked and counted', async (t) => {
  const recorder = new Recorder();
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  const options = {
    members: 12,
    writers: 8,
    'in-flight': 1,
    bytes: 100,
    rate: 20,
    workers: 2,
    'warm-up': 1,
    seconds: 2,
  };
  const { signal } = new AbortController();
  await createGroupsWorkload({ secondMs: 250 }).run({ ...context, options, recorder, signal });
  const { metrics, notes } = recorder;
  // Eleven for each message; what is under way when a window this short ends is missing.
  t.ok(metrics['deliveries_per_s']!.value > 5 * metrics['messages_per_s']!.value, 'one for each member');
  t.ok(metrics['p99_ms']!.value > 0);
  t.notOk(
    notes.some((note) => /logged errors/.test(note)),
    notes.join(),
  );
});
