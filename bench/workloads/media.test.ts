/** The workload of files: it measures a real server with real clients, and a run that cannot be is void. */
import t from 'tap';
import { Recorder } from '../harness/report.ts';
import { createMediaWorkload, type MediaSettings } from './media.ts';

async function runWorkload(settings?: MediaSettings): Promise<Recorder> {
  const recorder = new Recorder();
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  const options = { clients: 2, mib: 2, samples: 1, workers: 1 };
  await createMediaWorkload(settings).run({ ...context, options, recorder, signal: new AbortController().signal });
  return recorder;
}

t.test('files go round between clients, each rate beside the bare library', async (t) => {
  const { metrics, notes } = await runWorkload();
  for (const name of ['upload_mb_per_s', 'download_mb_per_s']) {
    t.ok(metrics[name]!.value > 0, name);
    t.ok(metrics[name]!.peers['bare_uws']!.ratio > 0, `${name}, beside its ceiling`);
  }
  t.strictSame(notes, [], 'the server logged no error');
});

t.test('a server that does not start has no figure', async (t) => {
  await t.rejects(runWorkload({ serverScript: '/no/such/script.js' }), { code: 'BENCH_SERVER' });
});
