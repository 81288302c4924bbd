/** The workload of reconnect storms, small: on a real server it measures, and each way of failing its clients voids the run. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createStormWorkload, type StormSettings } from './storm.ts';

/** Knows nothing of tickets. */
const STAND_IN: string = fileURLToPath(new URL('../testing/stand-in-main.js', import.meta.url));
const CLIENTS = 18;

async function runWorkload(settings: StormSettings = {}): Promise<Recorder> {
  const recorder = new Recorder();
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  const options = { clients: CLIENTS, storms: 1, generators: 2, sources: 2, workers: 2 };
  const { signal } = new AbortController();
  await createStormWorkload(settings).run({ ...context, options, recorder, signal });
  return recorder;
}

t.test('all come back by ticket, and the rate stands beside the bare library’s', async (t) => {
  const { metrics, notes } = await runWorkload();
  t.ok(metrics['reconnects_per_s']!.value > 0);
  t.ok(metrics['reconnects_per_s']!.peers['bare_upgrade']!.ratio > 0);
  t.ok(metrics['p99_login_ms']!.value > 0);
  t.equal(metrics['told_to_wait']!.value, 0);
  t.equal(metrics['dropped']!.value, 0);
  t.notOk(
    notes.some((note) => /logged errors/.test(note)),
    notes.join(),
  );
});

t.test('who is told to come later does, and is counted', async (t) => {
  // Ten seconds' worth at once for each address and worker: nine register from each, most of their returns are put off.
  const serverFlags = ['--workers', '1', '--address-connects', '1'];
  const { metrics } = await runWorkload({ serverFlags, withCeiling: false });
  t.ok(metrics['told_to_wait']!.value > 0);
  t.ok(metrics['all_back_ms']!.value > 1_000, 'they wait for a second or more');
  t.equal(metrics['dropped']!.value, 0);
});

t.test('a client that is not back in time voids the run', async (t) => {
  const serverFlags = ['--workers', '1', '--address-connects', '1'];
  await t.rejects(runWorkload({ serverFlags, stormMsMax: 900, withCeiling: false }), { code: 'BENCH_LOST' });
});

t.test('so does a server that gives out no tickets', async (t) => {
  await t.rejects(runWorkload({ serverScript: STAND_IN, withCeiling: false }), { code: 'BENCH_UNEXPECTED' });
});
