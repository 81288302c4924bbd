/** `npm start` on a checkout that is built: a node, its addresses, and the web chat at one of them. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { ROOT, temporaryDirectory } from '../test/integration/server-process.ts';

t.test('one command starts a node, which prints where its web chat is, and ends in order', async (t) => {
  const args = [join(ROOT, 'bin', 'start.js'), '--port', '0', '--data', temporaryDirectory(t)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  let address: string | undefined;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    address = /Web chat: (\S+)/.exec(line)?.[1];
    if (address !== undefined) break;
  }
  lines.close();
  child.stdout.resume();
  t.match(address, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const page = await fetch(address!);
  t.equal(page.status, 200);
  t.match(await page.text(), /chat\.js/);
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
});
