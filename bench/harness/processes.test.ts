/** Real processes: the stand-in in the server's place, real generators. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { isBenchError } from '../errors.ts';
import { systemClock, within } from './clock.ts';
import { LoadProcesses } from './load-process.ts';
import { readProcessUse } from './resources.ts';
import { messagesPerFlush } from './server-watch.ts';
import { ServerProcess, type ServerOptions } from './server-process.ts';

const SCRIPT: string = fileURLToPath(new URL('../testing/stand-in-main.js', import.meta.url));
const never = new AbortController().signal;
const WINDOW_MS_MAX = 12_000;

function startServer(options: Partial<ServerOptions> = {}): ServerProcess {
  return new ServerProcess({ script: SCRIPT, onCode: () => undefined, signal: never, ...options });
}

t.test('a server is started, asked for its statistics and stopped, and its data goes', async (t) => {
  const server = startServer();
  t.match(await server.started(), /^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
  t.same(await server.statistics(), { commits: 0, committedMessages: 0 });
  t.ok(existsSync(server.dataDirectory));
  t.ok(await server.stop(), 'it ended by itself');
  t.notOk(existsSync(server.dataDirectory));
});

t.test('a server that ends early is told with its last words', async (t) => {
  const server = startServer({ flags: ['--manner', 'crash'] });
  await t.rejects(server.started(), { code: 'BENCH_SERVER', message: /exit code 70[^]*told to crash/ });
  await server.stop();
});

t.test('what waits for a server ends when the run is interrupted', async (t) => {
  const abort = new AbortController();
  const server = startServer({ signal: abort.signal });
  abort.abort();
  await t.rejects(server.started(), { code: 'BENCH_INTERRUPTED' });
  await server.stop();
});

t.test('two generators register their accounts, share the load and end with their parent’s word', async (t) => {
  const load = new LoadProcesses(2, never);
  const server = startServer({ onCode: (phone, code) => load.takeCode(phone, code) });
  t.teardown(async () => {
    await load.stop();
    await server.stop();
  });
  const phone = (index: number): string => `+49151000000${10 + index}`;
  const pairs = [0, 1, 2].map((pair) => ({ sender: phone(2 * pair), recipient: phone(2 * pair + 1) }));
  await load.openPairs(await server.started(), pairs, 100, false);
  let edges = '';
  const watch = { begun: () => void (edges += 'begun '), ended: () => void (edges += 'ended') };
  const shape = { kind: 'open', ratePerSecond: 300 } as const;
  let windowMs = 300;
  let beganMs = systemClock.nowMs();
  let result = await load.run({ shape, warmUpMs: 50, windowMs, drainMsMax: 30_000 }, watch);
  // Others may have the processors for the whole of a window: what was sent within it is then completed after it.
  while (result.completedPerSecond === 0 && windowMs < WINDOW_MS_MAX) {
    edges = '';
    windowMs *= 2;
    beganMs = systemClock.nowMs();
    result = await load.run({ shape, warmUpMs: 50, windowMs, drainMsMax: 30_000 }, watch);
  }
  const elapsedMs = systemClock.nowMs() - beganMs;
  t.equal(edges, 'begun ended');
  t.ok(result.completedPerSecond > 0);
  t.ok(result.cpuCores > 0, 'generators tell what they used');
  // 300 a second: as many as the shortest window has, and no more than the whole run, of which the windows are a part.
  const { count } = result.delivery;
  t.ok(
    count >= (300 * windowMs) / 1_000 - 5 && count <= (300 * elapsedMs) / 1_000,
    `${count} messages in the windows of a run of ${elapsedMs} ms`,
  );
});

t.test('a failure in a generator process arrives with its code', async (t) => {
  const load = new LoadProcesses(1, never);
  t.teardown(() => load.stop());
  const pairs = [{ sender: '+4915100000001', recipient: '+4915100000002' }];
  await t.rejects(load.openPairs('ws://127.0.0.1:1/ws', pairs, 100, false), { code: 'BENCH_CONNECT' });
});

t.test('a wait ends at its time, at an abort and with its promise, whichever is first', async (t) => {
  const late = (): Error => new Error('late');
  const pending = new Promise<never>(() => undefined);
  await t.rejects(within(pending, 1, late), { message: 'late' });
  const aborted = AbortSignal.abort();
  await t.rejects(within(pending, 60_000, late, aborted), { code: 'BENCH_INTERRUPTED' });
  t.equal(await within(Promise.resolve(7), 60_000, late, never, systemClock), 7);
  t.notOk(isBenchError(new Error('BENCH_INTERRUPTED'), 'BENCH_INTERRUPTED'), 'a text makes no code');
});

t.test('messages per flush come from differences, and from none there is no figure', async (t) => {
  const before = { commits: 100, committedMessages: 1000 };
  t.equal(messagesPerFlush(before, { commits: 110, committedMessages: 1500 }), 50);
  t.equal(messagesPerFlush(before, before), undefined);
  t.ok(process.platform !== 'linux' || readProcessUse(process.pid) !== undefined);
});
