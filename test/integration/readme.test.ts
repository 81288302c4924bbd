import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { until, PATIENCE_MS } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

/** The JavaScript example of the README. */
function example(): string {
  const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js\n([\s\S]*?)```/g)];
  if (blocks.length !== 1) throw new Error(`expected one example in the README, found ${blocks.length}`);
  return blocks[0]![1]!;
}

t.test('the example of the README runs as it stands, and prints what it says', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  // Inside the checkout, so that `blindbeam/node` means this package.
  const script = join(ROOT, 'dist', `readme-example-${process.pid}.mjs`);
  writeFileSync(script, example());
  t.teardown(() => rmSync(script));
  const child = spawn(process.execPath, [script], {
    cwd: temporaryDirectory(t),
    env: { ...process.env, BLINDBEAM_URL: server.url.replace('/ws', '') },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  for (const phone of ['+4915100000001', '+4915100000002']) {
    await until(`the question for ${phone}`, PATIENCE_MS, () => output.includes(`Code for ${phone}: `));
    child.stdin.write(`${await server.code(phone)}\n`);
  }
  const status = await new Promise((resolve) => child.once('exit', resolve));
  t.equal(status, 0);
  t.match(output, /✓ {3}flushed/);
  t.match(output, /bob reads: Meet me at the harbour \(from \+4915100000001\)/);
  t.match(output, /✓✓ {2}stored on Bob’s device\n✓✓ {2}read\n/);
});
