/** The command line from outside: as a shell runs it, with readers that go and places that take nothing. */

import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const LAUNCHER: string = fileURLToPath(new URL('../../bin/blindbeam.js', import.meta.url));

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly errors: string;
}

function blindbeam(...argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [LAUNCHER, ...argv], (_, out, errors) => {
      resolve({ status: child.exitCode, out, errors });
    });
  });
}

t.test('a verb that is not there is told in two lines, with the one that was probably meant', async (t) => {
  t.strictSame(await blindbeam('strat'), {
    status: 2,
    out: '',
    errors: 'blindbeam: there is no verb "strat"; did you mean start.\nblindbeam --help tells what there is.\n',
  });
  t.match(await blindbeam('toString'), { status: 2, errors: /^blindbeam: there is no verb "toString"\.\n/ });
});

t.test('help is there for all, and for one verb in both ways to ask', async (t) => {
  t.match(await blindbeam('--help'), { status: 0, out: /^Usage: blindbeam <verb>/, errors: '' });
  t.match(await blindbeam(), { status: 2, out: '', errors: /^Usage: blindbeam <verb>/ });
  const asked = await blindbeam('help', 'config');
  t.match(asked, { status: 0, out: /^Usage: blindbeam config/ });
  t.strictSame(asked, await blindbeam('config', '--help'));
});

/** Runs with a reader that goes before a word is written, or with a file as its output. */
async function runInto(output: 'gone' | number, ...argv: readonly string[]): Promise<Omit<Ran, 'out'>> {
  const stdout = output === 'gone' ? 'pipe' : output;
  const child = spawn(process.execPath, [LAUNCHER, ...argv], { stdio: ['ignore', stdout, 'pipe'] });
  child.stdout?.destroy();
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const status = await new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  return { status, errors };
}

t.test('a reader who has gone ends a command without a word', async (t) => {
  for (const argv of [['config', 'doc'], ['bench', 'list'], ['--help']])
    t.strictSame(await runInto('gone', ...argv), { status: 0, errors: '' }, argv.join(' '));
});

const FULL = '/dev/full';

t.test(
  'output that no disk takes is told in one line, with status 1',
  existsSync(FULL) ? {} : { skip: `there is no ${FULL}` },
  async (t) => {
    const full = openSync(FULL, 'w');
    t.teardown(() => closeSync(full));
    const { status, errors } = await runInto(full, 'config', 'doc');
    t.equal(status, 1);
    t.match(errors, /^blindbeam: the output cannot be written: ENOSPC.*\.\n$/);
  },
);
