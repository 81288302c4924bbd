/** How children end that do not want to, and how long is waited for them. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Child, hurryChildren } from './child.ts';
import { Recorder } from './report.ts';
import { withServerUnder } from './server-under-load.ts';

const SCRIPT: string = fileURLToPath(new URL('../testing/stand-in-main.js', import.meta.url));

/** Longer than any test takes. */
const FOREVER_MS = 3_600_000;

/** A process that does not hear when it is asked to end. */
async function deafChild(t: Test): Promise<{ child: Child; ask: () => void }> {
  const code = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); process.send('up')";
  const process_ = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  t.teardown(() => process_.kill('SIGKILL'));
  await new Promise((resolve) => process_.once('message', resolve));
  return { child: new Child(process_, 'a child', 'BENCH_CHILD'), ask: () => void process_.kill('SIGTERM') };
}

t.test('a child that does not end is killed, soon where the run is interrupted', async (t) => {
  const before = await deafChild(t);
  const stopped = before.child.stop(before.ask, FOREVER_MS, 10);
  const calm = hurryChildren();
  t.notOk(await stopped, 'while it is asked');
  const after = await deafChild(t);
  t.notOk(await after.child.stop(after.ask, FOREVER_MS, 10), 'or from then on');
  calm();
  const unhurried = await deafChild(t);
  t.notOk(await unhurried.child.stop(unhurried.ask, 10, FOREVER_MS), 'in its time where it is not');
});

t.test(
  'a measurement that waits for ever is given up when the run is interrupted, and the server is stopped',
  async (t) => {
    const abort = new AbortController();
    const recorder = new Recorder();
    const load = { pids: [], takeCode: () => undefined, stop: async () => undefined };
    let pid = 0;
    const context = { signal: abort.signal, recorder, keepData: false };
    const run = withServerUnder(context, { workers: 0, script: SCRIPT }, load, async (server) => {
      await server.started();
      pid = server.pid;
      abort.abort();
      return new Promise<never>(() => undefined);
    });
    await t.rejects(run, { code: 'BENCH_INTERRUPTED' });
    t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  },
);
