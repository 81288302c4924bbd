/** The workload of offenders, small: on a real server each meets its bound and is told so, and a bound that does not hold is seen. */

import t from 'tap';
import { LIMITS } from '../../actors/limits.ts';
import { Recorder } from '../harness/report.ts';
import { OFFENDERS } from '../offenders/control.ts';
import { createOffendersWorkload } from './offenders.ts';

const OPTIONS = { pairs: 4, rate: 100, members: 8, inbox: 1_000, samples: 1, window: 500, bytes: 100, workers: 2 };
/** Of the longest turn. */
const WINDOW_MS_MAX = 8_000;
/** Those who are told of their bound by a code. */
const TOLD = ['prekey_hammer', 'group_flood', 'silent_device'];

/** With longer turns as long as one of them did not get to its bound: a machine with much else to do is not through with it in a short one. */
async function measureUntilTold(): Promise<Recorder> {
  for (let { window } = OPTIONS; ; window *= 4) {
    const recorder = await measure(undefined, window);
    const isTold = TOLD.every((name) => recorder.metrics[`${name}_refused`]!.value > 0);
    if (isTold || window >= WINDOW_MS_MAX) return recorder;
  }
}

async function measure(control?: string, window: number = OPTIONS.window): Promise<Recorder> {
  const recorder = new Recorder();
  const { signal } = new AbortController();
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  await createOffendersWorkload().run({ ...context, control, options: { ...OPTIONS, window }, recorder, signal });
  return recorder;
}

t.test('each offender meets its bound and hears of it, and the latency of the others stands beside it', async (t) => {
  const { metrics, notes } = await measureUntilTold();
  for (const name of OFFENDERS) {
    t.ok(metrics[`${name}_p99_ms`]!.value > 0, name);
    t.ok(Number.isFinite(metrics[`${name}_added_p99_ms`]!.value), name);
    t.ok(metrics[`${name}_attempts`]!.value > 0, name);
    t.ok(metrics[`${name}_of_bound`]!.value <= 1, name);
  }
  for (const name of TOLD) t.ok(metrics[`${name}_refused`]!.value > 0, name);
  const said = notes.join('\n');
  t.match(said, /prekey hammer: .*APP_RATE_LIMITED/);
  t.match(said, /group flood: .*APP_RATE_LIMITED/);
  t.match(said, /silent device: .*APP_INBOX_FULL/);
  const bundles = metrics['prekey_hammer_attempts']!.value - metrics['prekey_hammer_refused']!.value;
  t.ok(bundles >= LIMITS.bundlesOfOneTargetMax, `${bundles} were not refused`);
  t.notMatch(said, /logged errors/);
});

t.test('a bound that was lifted is seen', async (t) => {
  const { metrics, notes } = await measure('unbounded');
  t.ok(metrics['group_flood_of_bound']!.value > 1);
  t.match(notes.join('\n'), /the bound was lifted, and it was seen/);
});
