/** The ceilings run for a moment, with their real libraries: what is tested is that they measure, not how much. */

import { readdirSync } from 'node:fs';
import t from 'tap';
import { Tally } from '../generator/measured-run.ts';
import { EchoLoad } from '../generator/echo-load.ts';
import type { Line } from '../generator/pair-load.ts';
import { ClientFrameWriter } from '../generator/websocket.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { ownTemporaryDirectory } from '../testing/temporary-directory.ts';
import { measureEcho, measureLmdb, measureLog, measureRelay } from './ceilings.ts';

const never = new AbortController().signal;
const MOMENT = { warmUpMs: 20, windowMs: 100 };
const WINDOW_MS_MAX = 12_800;

/** Measures for a moment, or for longer as long as nothing happened in it: others may have the processors for all of a short one. */
async function measureUntil<Result>(
  measure: (moment: typeof MOMENT) => Promise<Result>,
  isSeen: (result: Result) => boolean,
): Promise<Result> {
  for (let { windowMs } = MOMENT; ; windowMs *= 4) {
    const result = await measure({ ...MOMENT, windowMs });
    if (isSeen(result) || windowMs >= WINDOW_MS_MAX) return result;
  }
}

t.test('bare uWebSockets.js echoes through the generator', async (t) => {
  const plan = { generators: 1, connections: 4, inFlight: 5, messageBytes: 100 };
  const { messagesPerSecond, generatorCoresMax } = await measureUntil(
    (moment) => measureEcho({ ...plan, ...moment }, never),
    (result) => result.messagesPerSecond > 0,
  );
  t.ok(messagesPerSecond > 0);
  t.ok(generatorCoresMax > 0);
});

t.test('a bare relay carries full cycles at the rate that is asked', async (t) => {
  const plan = { generators: 2, pairs: 5, messageBytes: 100, native: true, ratePerSecond: 2_000, ...MOMENT };
  const { p50Ms, p99Ms } = await measureRelay(plan, never);
  t.ok(p50Ms! > 0 && p50Ms! <= p99Ms!, `${p50Ms} ms, ${p99Ms} ms`);
});

t.test('bare LMDB puts, flushes and removes', async (t) => {
  const plan = { batchCount: 10, valueBytes: 127, recipients: 3 };
  const { putsPerSecond } = await measureUntil(
    (moment) => measureLmdb({ ...plan, ...moment }, never),
    (result) => result.putsPerSecond > 0,
  );
  t.ok(putsPerSecond > 0);
});

t.test('a bare log', hasNatsServer() ? {} : { skip: 'nats-server is not installed' }, async (t) => {
  const nats = await startNatsServers(1);
  t.teardown(() => nats.stop());
  const size = { streams: 2, replicas: 1, ratePerSecond: 2_000, messageBytes: 100 };
  const intended = (size.ratePerSecond * MOMENT.windowMs) / 1_000;
  for (const way of ['each', 'gathered'] as const) {
    const plan = Object.assign({ servers: nats.urls, way }, size, MOMENT);
    const { p50Ms, p99Ms, publishesPerSecond, acknowledged, unanswered } = await measureLog(plan, never);
    t.ok(p50Ms! > 0 && p50Ms! <= p99Ms!, `${way}: ${p50Ms} ms, ${p99Ms} ms`);
    t.equal(unanswered, 0);
    t.ok(Math.abs(acknowledged - intended) <= 1, `${acknowledged} of ${intended} messages of the window`);
    const publishes = (publishesPerSecond * MOMENT.windowMs) / 1_000;
    if (way === 'each') t.equal(Math.round(publishes), acknowledged);
    else t.ok(publishes > 0 && publishes <= acknowledged);
  }
});

t.test('an interrupted ceiling ends and leaves nothing behind', async (t) => {
  const directory = ownTemporaryDirectory(t);
  const plan = { batchCount: 1, valueBytes: 1, recipients: 1, ...MOMENT };
  await t.rejects(measureLmdb(plan, AbortSignal.abort()), { code: 'BENCH_INTERRUPTED' });
  t.same(readdirSync(directory), []);
});

t.test('an echo that is not what was sent does not count', async (t) => {
  const line = { wake: () => undefined } as unknown as Line;
  const load = new EchoLoad([line], new Uint8Array(100));
  t.ok(load.tally instanceof Tally);
  load.begin({ kind: 'closed', inFlight: 1 });
  line.speaker.speak(new ClientFrameWriter());
  t.notOk(load.isIdle());
  t.throws(() => line.speaker.hear(new Uint8Array(99), 0, 99), { code: 'BENCH_CORRUPT' });
  line.speaker.hear(new Uint8Array(100), 0, 100);
  t.equal(load.tally.completed, 1);
  t.throws(
    () => line.speaker.hear(new Uint8Array(100), 0, 100),
    { code: 'BENCH_CORRUPT' },
    'one echo more than messages',
  );
  t.throws(() => load.begin({ kind: 'open', ratePerSecond: 1, index: 0, count: 1 }), RangeError);
});
