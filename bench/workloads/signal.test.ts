/** The workload of the Signal half: every operation does what it is measured by, and one that does not has no figure. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { measureTask, requireResult, type TaskRun } from '../signal/task.ts';
import { SIGNAL_TASKS } from '../signal/tasks.ts';
import { createSignalWorkload, type SignalSettings } from './signal.ts';

/** Work that takes `stepMs` each time, on a clock that moves with it. */
function clockedRun(stepsMs: readonly number[]): { run: TaskRun; clock: { nowMs: () => number }; log: string[] } {
  const log: string[] = [];
  let nowMs = 0;
  let step = 0;
  const run: TaskRun = {
    refill() {
      log.push('refill');
      nowMs += 1_000; // not part of the figure
    },
    work() {
      log.push('work');
      nowMs += stepsMs[Math.min(step++, stepsMs.length - 1)]!;
      return 50;
    },
  };
  return { run, clock: { nowMs: () => nowMs }, log };
}

t.test('a rate is units over working time, without refilling, and the median of the rounds', async (t) => {
  const { run, clock } = clockedRun([10, 10, 20, 40, 10]);
  const rate = await measureTask(run, { warmUpMs: 10, roundMs: 10, rounds: 3 }, clock);
  t.equal(rate, 2_500, 'rounds of 10, 20 and 40 ms for 50 units');
});

t.test('batches are refilled before each, and the last one is checked, too', async (t) => {
  const { run, clock, log } = clockedRun([5]);
  await measureTask(run, { warmUpMs: 0, roundMs: 10, rounds: 1 }, clock);
  t.same(log, ['refill', 'work', 'refill', 'work', 'refill']);
});

t.test('a wrong result voids the run', async (t) => {
  const { run, clock } = clockedRun([5]);
  const wrong = { ...run, refill: () => requireResult(false, 'it came back different') };
  await t.rejects(measureTask(wrong, { warmUpMs: 0, roundMs: 10, rounds: 1 }, clock), { code: 'BENCH_RESULT' });
});

for (const task of SIGNAL_TASKS) {
  t.test(`${task.name}: two batches, checked`, async (t) => {
    const run = await task.begin('noble'); // small batches; the provider is the process's
    for (const batch of [1, 2]) {
      await run.refill();
      t.ok((await run.work()) > 0, `batch ${batch}`);
    }
    await run.refill();
  });
}

async function runWorkload(part: string, settings?: SignalSettings): Promise<Recorder> {
  const recorder = new Recorder();
  await createSignalWorkload(settings).run({
    options: { samples: 1, 'round-ms': 1, 'warm-up-ms': 0 },
    isQuick: true,
    part,
    recorder,
    progress: () => undefined,
    signal: new AbortController().signal,
    keepData: false,
  });
  return recorder;
}

t.test('one operation in its own processes, on both providers', async (t) => {
  const { metrics, notes } = await runWorkload('group-encrypt');
  t.same(Object.keys(metrics), ['group_encrypt_per_s']);
  const { value, unit, peers } = metrics.group_encrypt_per_s!;
  t.ok(value > 0);
  t.equal(unit, 'msg/s');
  t.ok(peers.noble!.value > 0);
  t.same(notes, []);
});

t.test('a process that fails, or ends, or measures with another provider, gives no figure', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-signal-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const standIn = (name: string, body: string): string => {
    const entry = join(directory, `${name}.mjs`);
    writeFileSync(
      entry,
      `process.on('disconnect', () => process.exit(0));\nprocess.on('message', () => { ${body} });\n`,
    );
    return entry;
  };
  const failing = standIn('failing', "process.send({ kind: 'failed', code: 'BENCH_RESULT', detail: 'wrong' });");
  await t.rejects(runWorkload('encrypt', { entry: failing }), { code: 'BENCH_RESULT', detail: 'encrypt: wrong' });
  const ending = standIn('ending', 'process.exit(3);');
  await t.rejects(runWorkload('encrypt', { entry: ending }), { code: 'BENCH_CHILD' });
  const other = standIn('other', "process.send({ kind: 'figure', value: 9, rounds: [], provider: 'noble' });");
  const { metrics, notes } = await runWorkload('encrypt', { entry: other });
  t.same(metrics, {}, 'without a figure of ours there is none of the peer');
  t.match(notes, ['encrypt_per_s: this platform has no native provider']);
});
