/** The workload of reconnect storms, small: on a real server it measures, and each way of failing its clients voids the run. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { isBenchError, type BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { Recorder } from '../harness/report.ts';
import { createStormWorkload, type StormSettings } from './storm.ts';

/** Knows nothing of tickets. */
const STAND_IN: string = fileURLToPath(new URL('../testing/stand-in-main.js', import.meta.url));
const CLIENTS = 18;

async function runWorkload(
  settings: StormSettings = {},
  progress: (text: string) => void = () => undefined,
): Promise<Recorder> {
  const recorder = new Recorder();
  const context = { isQuick: true, part: undefined, progress, keepData: false };
  const options = { clients: CLIENTS, storms: 1, generators: 2, sources: 2, workers: 2 };
  const { signal } = new AbortController();
  await createStormWorkload(settings).run({ ...context, options, recorder, signal });
  return recorder;
}

/** Ten seconds' worth at once for each address and worker: nine register from each, and most of their returns are put off. */
const BOUNDED = ['--workers', '1', '--address-connects', '1'];
/** Well before this the buckets have not got back what the registrations took. */
const REFILLED_MS = 5_000;
const TRIES = 5;

/**
 * A storm under those bounds. A machine that takes so long to register that the buckets are full again has nothing to show: then it is
 * another storm's turn.
 */
async function runBounded(stormMsMax?: number): Promise<Recorder | BenchError> {
  for (let tries = 1; ; tries += 1) {
    let registersMs = 0;
    let stormsMs = 0;
    const settings = { serverFlags: BOUNDED, withCeiling: false, ...(stormMsMax !== undefined && { stormMsMax }) };
    const outcome = await runWorkload(settings, (text) => {
      if (text.startsWith('registering')) registersMs = systemClock.nowMs();
      if (text.startsWith('storm')) stormsMs = systemClock.nowMs();
    }).catch((error: unknown) => {
      if (isBenchError(error)) return error;
      throw error;
    });
    if (stormsMs - registersMs < REFILLED_MS || tries === TRIES) return outcome;
  }
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
  const outcome = await runBounded();
  if (isBenchError(outcome)) throw outcome;
  const { metrics } = outcome;
  t.ok(metrics['told_to_wait']!.value > 0);
  t.ok(metrics['all_back_ms']!.value > 1_000, 'they wait for a second or more');
  t.equal(metrics['dropped']!.value, 0);
});

t.test('a client that is not back in time voids the run', async (t) => {
  t.match(await runBounded(900), { code: 'BENCH_LOST' });
});

t.test('so does a server that gives out no tickets', async (t) => {
  await t.rejects(runWorkload({ serverScript: STAND_IN, withCeiling: false }), { code: 'BENCH_UNEXPECTED' });
});
