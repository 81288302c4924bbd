import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { guard } from './guard.ts';
import { isAlive, untilGone } from './until-gone.ts';

const FIXTURE = fileURLToPath(new URL('guard.fixture.js', import.meta.url));

/** Starts a process that starts another, and resolves to the id of that one when the first has ended. */
async function endParent(ending: string, signal: NodeJS.Signals | undefined, isGuarded: boolean): Promise<number> {
  const args = [FIXTURE, ending, isGuarded ? 'guarded' : 'alone'];
  const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(parent, 'exit');
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  if (signal !== undefined) parent.kill(signal);
  await exited;
  return Number(line);
}

for (const [ending, signal] of [
  ['wait', 'SIGKILL'],
  ['wait', 'SIGTERM'],
  ['wait', 'SIGINT'],
  ['throw', undefined],
  ['end', undefined],
] as const) {
  t.test(`what is guarded ends with its parent: ${signal ?? ending}`, async (t) => {
    t.ok(await untilGone(await endParent(ending, signal, true)));
  });
}

t.test('what nobody guards goes on: the check can fail', async (t) => {
  const pid = await endParent('wait', 'SIGKILL', false);
  t.ok(isAlive(pid));
  process.kill(pid, 'SIGKILL');
  t.ok(await untilGone(pid));
});

t.test('who ends it in order may, and one that never started is nobody’s concern', async (t) => {
  const child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
  guard(child);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  t.strictSame(await exited, [null, 'SIGTERM']);
  const missing = spawn('/nonexistent/program', { stdio: 'ignore' });
  const failed = once(missing, 'error');
  guard(missing);
  t.match(await failed, [{ code: 'ENOENT' }]);
});
