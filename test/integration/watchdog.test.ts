/**
 * A server whose worker is stuck, or breaks outside of every actor: the process ends, and its log says why. The fault is
 * planted by a module that Node loads into each worker before ours; the product knows nothing of it.
 */

import t, { type Test } from 'tap';
import { openClient } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

/** Starts a node whose accounts actors run `fault` on their first message, and sends them one. */
async function startWithFault(t: Test, fault: string, flags: readonly string[] = []): Promise<ServerProcess> {
  const plant = `
    import { isMainThread } from 'node:worker_threads';
    if (!isMainThread) {
      const { accounts } = await import(${JSON.stringify(`file://${ROOT}/dist/actors/accounts.js`)});
      accounts.handleCast = () => { ${fault} };
    }`;
  const server = ServerProcess.launch(
    t,
    ['--data', temporaryDirectory(t), '--port', '0', '--workers', '2', ...flags],
    ['--import', `data:text/javascript,${encodeURIComponent(plant)}`],
  );
  server.url = String((await server.line((line) => line.event === 'node_started'))['url']);
  const client = await openClient(server.url);
  t.teardown(() => client.close());
  client.requestCode('+4915100000077').catch(() => undefined);
  return server;
}

t.test('an endless loop in an actor is named in the log, and the process ends', async (t) => {
  const server = await startWithFault(t, 'for (;;);', ['--stuck-ms', '500']);
  const report = await server.line((line) => line.event === 'worker_stuck');
  t.match(report, { behavior: 'actors/accounts', inTurn: true, pid: /^<blindbeam\.[12]\.\d+\.\d+>$/ });
  t.equal(await server.exited(), 'SIGKILL');
});

t.test('an error outside of every actor is named in the log, and the process ends', async (t) => {
  const server = await startWithFault(t, "setImmediate(() => { throw new Error('planted'); });");
  t.match(await server.line((line) => line.event === 'worker_crashed'), { reason: /planted/ });
  t.equal(await server.exited(), 'SIGKILL');
});
