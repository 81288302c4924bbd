/** ejabberd on the scripts of our workloads, small. Without an ejabberd the tests say so. */

import t from 'tap';
import { configurationOf, refuseEjabberd } from './ejabberd.ts';
import { measureEjabberdConnections, measureEjabberdMessages } from './ejabberd-script.ts';

/** Undefined where there is one. */
const refusal = refuseEjabberd();
const { signal } = new AbortController();
const WINDOW_MS_MAX = 4_800;

t.test('it listens on the loopback only, and nothing stands between a message and its recipient', async (t) => {
  const text = configurationOf(12_345);
  t.match(text, /ip: "127\.0\.0\.1", port: 12345/);
  t.match(text, /^modules: \{\}$/m);
  t.notMatch(text, /shaper|s2s|ejabberd_http/);
});

t.test('who has none is told how to get it', async (t) => {
  t.match(refusal ?? 'apt-get install ejabberd', /apt-get install ejabberd/);
});

t.test('it carries the messages of pairs, each once and in order', { skip: refusal ?? false }, async (t) => {
  const plan = { generators: 1, pairs: 3, inFlight: 4, messageBytes: 100, warmUpMs: 50 };
  const measure = (windowMs: number) => measureEjabberdMessages({ ...plan, windowMs }, signal);
  const isSeen = ({ saturated, single }: Awaited<ReturnType<typeof measure>>): boolean =>
    saturated.completedPerSecond > 100 && single.completedPerSecond > 0;
  let windowMs = 300;
  let found = await measure(windowMs);
  // Others may have the processors for the whole of a short window.
  for (; !isSeen(found) && windowMs < WINDOW_MS_MAX; found = await measure(windowMs)) windowMs *= 4;
  t.match(found.version, /^\d/);
  t.ok(found.saturated.completedPerSecond > 100);
  t.ok(found.half.delivery.percentileMs(99)! > 0);
  t.ok(found.single.completedPerSecond > 0);
});

t.test('it holds idle connections', { skip: refusal ?? false }, async (t) => {
  const settle = async (): Promise<void> => undefined;
  const plan = { generators: 2, clients: 101, parallel: 16, sources: ['127.0.3.1', '127.0.3.2'], settle };
  const { bytesPerConnection, connectsPerSecond } = await measureEjabberdConnections(plan, signal);
  t.ok(connectsPerSecond > 0);
  // A hundred say nothing about memory: what the machine gives back after its start is more.
  t.ok(Number.isFinite(bytesPerConnection), `${bytesPerConnection}`);
});
