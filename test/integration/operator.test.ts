import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const LAUNCHER = join(ROOT, 'bin', 'blindbeam.js');

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

function blindbeam(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [LAUNCHER, ...args], (error, out, errors) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, errors });
    });
  });
}

t.test('an operator looks at a running node from another process', async (t) => {
  const directory = temporaryDirectory(t);
  const none = await blindbeam('status', '--data', directory);
  t.match(none, { status: 1, out: '', errors: /^NO_NODE: no node answers on .*admin\.sock: start one/ });

  const server = await ServerProcess.start(t, directory, ['--workers', '2']);
  const seen = await blindbeam('status', '--data', directory);
  t.match(seen, { status: 0, errors: '' });
  t.match(seen.out, `process ${server.pid}`);
  t.match(seen.out, server.url);
  const json = await blindbeam('status', '--json', '--socket', join(directory, 'admin.sock'));
  t.match(JSON.parse(json.out), {
    pid: server.pid,
    url: server.url,
    workers: [
      { worker: 1, ok: { connections: 0, actors: Number, heapBytes: Number } },
      { worker: 2, ok: { connections: 0 } },
    ],
  });

  t.match(await blindbeam('status', '--help'), { status: 0, out: /Usage: blindbeam status/ });
  t.match(await blindbeam('status', '--rows', '3'), { status: 2, errors: /--help tells more/ });
  t.match(await blindbeam('status', '--timeout', 'soon'), { status: 2, errors: /"timeout" expected/ });

  t.equal(await server.stop(), 0);
  t.notOk(existsSync(join(directory, 'admin.sock')));
});
