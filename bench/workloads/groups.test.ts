/** The workload of groups, small, on a real server: it measures, and what it measured was checked. */
import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createGroupsWorkload } from './groups.ts';

/** A second of this test. */
const SECOND_MS = 250;
/** Of the longest window. */
const SECONDS_MAX = 128;

t.test('every delivery of a small group is checked and counted', async (t) => {
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  const options = { members: 12, writers: 8, 'in-flight': 1, bytes: 100, rate: 20, workers: 2, 'warm-up': 1 };
  const { signal } = new AbortController();
  let recorder: Recorder;
  let whole: number;
  // Messages that came to all within the window: those that are under way at its end, one of each writer, may not have. A machine that is
  // held up sends no more than these in a short one.
  for (let seconds = 2; ; seconds *= 4) {
    recorder = new Recorder();
    const run = { ...context, options: { ...options, seconds }, recorder, signal };
    await createGroupsWorkload({ secondMs: SECOND_MS }).run(run);
    whole = recorder.metrics['messages_per_s']!.value - options.writers / ((seconds * SECOND_MS) / 1_000);
    if (whole > 0 || seconds >= SECONDS_MAX) break;
  }
  const { metrics, notes } = recorder;
  t.ok(whole > 0, `${whole.toFixed(1)} messages per second came to all`);
  t.ok(metrics['deliveries_per_s']!.value >= (options.members - 1) * whole, 'one for each member');
  t.ok(metrics['p99_ms']!.value > 0);
  t.notOk(
    notes.some((note) => /logged errors/.test(note)),
    notes.join(),
  );
});
