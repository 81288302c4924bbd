import { execFile } from 'node:child_process';

import t from 'tap';

import type { Behavior, Context } from '../behavior.ts';
import { isDown, isExit } from '../envelope.ts';
import { isRuntimeError } from '../errors.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { createMemoryLog, type LogEntry } from '../testing/test-node.ts';
import { startWorkers, type WorkerPool, type WorkersOptions } from './pool.ts';

const ENTRY = new URL('./pool.fixture.js', import.meta.url);
// On a machine that does much else, a thread may take seconds to start and to answer.
const CALL_MS = 60_000;

interface Setup {
  node: RuntimeNode;
  logged: LogEntry[];
  messages: unknown[];
}

function setUp(): Setup {
  const logged: LogEntry[] = [];
  const log = createMemoryLog(logged);
  const node = createNode({ name: 'mesh', clock: systemClock, random: systemRandom, loop: systemLoop, log });
  return { node, logged, messages: [] };
}

async function startMesh(options: Partial<WorkersOptions> = {}): Promise<Setup & { pool: WorkerPool }> {
  const setup = setUp();
  const onMessage = (_worker: number, message: unknown): void => void setup.messages.push(message);
  const pool = await startWorkers({ node: setup.node, count: 2, entry: ENTRY, onMessage, ...options });
  return { ...setup, pool };
}

/** An actor of the main thread that keeps what it is told and does what it is asked with its context. */
const observer: Behavior<{ seen: unknown[] }, void, unknown, (ctx: Context) => unknown, unknown> = {
  name: 'observer',
  init: (_args, ctx) => {
    ctx.trapExit(true);
    return { seen: [] };
  },
  handleInfo: (info, state) => void state.seen.push(info),
  handleCast: (message, state) => void state.seen.push(message),
  async handleCall(request, _from, state, ctx) {
    const result = await request(ctx);
    return result === 'seen' ? state.seen : result;
  },
};

async function until(condition: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + CALL_MS;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

t.test('with two workers joined', async (t) => {
  const { node, pool, logged, messages } = await startMesh();
  const watching = node.spawn(observer, undefined);
  const ask = <R>(request: (ctx: Context) => unknown): Promise<R> => node.call<R>(watching, request, CALL_MS);
  const seen = (): Promise<unknown[]> => ask(() => 'seen');
  const startRemote = (worker: number, linkTo?: Pid): Promise<Pid> =>
    node.call<Pid>({ name: 'starter', worker }, { linkTo }, CALL_MS);

  await t.test('a call by name is answered on the worker it names', async (t) => {
    for (const worker of [1, 2]) {
      const reply = await node.call({ name: 'echo', worker }, { deep: [1, new Map([['a', 1n]])] }, CALL_MS);
      t.strictSame(reply, { request: { deep: [1, new Map([['a', 1n]])] }, worker });
    }
  });

  await t.test('a reply that cannot travel fails the call, which does not wait for its deadline', async (t) => {
    const unencodable = node.call({ name: 'echo', worker: 1 }, { unencodable: true }, CALL_MS);
    await t.rejects(unencodable, { code: 'RT_CALL_REFUSED', detail: 'unencodable' });
    const tooLarge = node.call({ name: 'echo', worker: 1 }, { large: true }, CALL_MS);
    await t.rejects(tooLarge, { code: 'RT_CALL_REFUSED', detail: 'too_large' });
  });

  await t.test('a pid that came from another worker is called like a near one', async (t) => {
    const pid = await startRemote(2);
    t.equal(pid.worker, 2);
    t.strictSame(await node.call(pid, 'self', CALL_MS), pid);
  });

  await t.test('an actor of one worker reaches an actor of another', async (t) => {
    const flooderOfOne = { name: 'flooder', worker: 1 };
    pool.post(2, 'block');
    await until(async () => messages.includes('blocking'));
    node.send(flooderOfOne, { worker: 2, count: 20_000 });
    await until(async () => (await node.call({ name: 'recorder', worker: 2 }, 'count', CALL_MS)) === 20_000);
    const list = await node.call<unknown>({ name: 'recorder', worker: 2 }, 'count', CALL_MS);
    t.equal(list, 20_000, 'every one of 20 MB through a ring of 256 KiB');
    t.ok((await node.call<number>(flooderOfOne, 'fullCount', CALL_MS)) > 0, 'and the sender was told to wait');
  });

  await t.test('messages of one pair keep their order, casts and sends mixed', async (t) => {
    const target = { name: 'recorder', worker: 1 };
    for (let index = 0; index < 5_000; index += 1) {
      t.equal(index % 2 === 0 ? node.cast(target, index) : node.send(target, index), 'ok');
      if (index % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const taken = await node.call<number[]>(target, 'take', CALL_MS);
    t.strictSame(
      taken,
      Array.from({ length: 5_000 }, (_, index) => index),
    );
  });

  await t.test('a monitor reports the end of an actor elsewhere, after its last message', async (t) => {
    const pid = await startRemote(1);
    await ask((ctx) => void ctx.monitor(pid));
    node.cast(pid, 'crash');
    await until(async () => (await seen()).some(isDown));
    const down = (await seen()).find(isDown);
    t.strictSame(down?.pid, pid);
    t.match(down?.reason, { error: { message: 'asked to' } });
  });

  await t.test('a monitor on the dead elsewhere answers noproc', async (t) => {
    const pid = await startRemote(1);
    node.cast(pid, 'stop');
    t.equal(await node.awaitExit(pid, CALL_MS), 'normal');
    t.equal(await node.awaitExit(pid, CALL_MS), 'noproc');
  });

  await t.test('a link carries death from there to here', async (t) => {
    const pid = await startRemote(2, watching);
    await node.call(pid, 'self', CALL_MS);
    t.equal(node.processInfo(watching)?.linkCount, 1);
    node.exit(pid, 'kill');
    await until(async () => (await seen()).some(isExit));
    t.match((await seen()).find(isExit), { pid, reason: 'killed' });
    t.equal(node.processInfo(watching)?.linkCount, 0);
  });

  await t.test('a link carries death from here to there', async (t) => {
    const shortLived = node.spawn(observer, undefined);
    const pid = await startRemote(1, shortLived);
    await node.call(pid, 'self', CALL_MS);
    node.exit(shortLived, 'kill');
    t.equal(await node.awaitExit(pid, CALL_MS), 'killed');
  });

  await t.test('after unlink the death elsewhere is nobody’s business', async (t) => {
    const pid = await startRemote(1, watching);
    await node.call(pid, 'self', CALL_MS);
    const before = (await seen()).length;
    await ask((ctx) => ctx.unlink(pid));
    node.exit(pid, 'kill');
    t.equal(await node.awaitExit(pid, CALL_MS), 'killed');
    t.equal((await seen()).length, before);
  });

  await t.test('a link to the dead elsewhere comes back as noproc', async (t) => {
    const pid = await startRemote(1);
    node.exit(pid, 'kill');
    await node.awaitExit(pid, CALL_MS);
    const before = (await seen()).length;
    await ask((ctx) => ctx.link(pid));
    await until(async () => (await seen()).length > before);
    t.match((await seen()).at(-1), { type: 'EXIT', pid, reason: 'noproc' });
  });

  await t.test('a call fails as soon as the callee elsewhere ends', async (t) => {
    const pid = await startRemote(2);
    await t.rejects(node.call({ name: 'nobody', worker: 2 }, 'x', CALL_MS), { code: 'RT_CALL_NOPROC' });
    const waiting = node.call({ name: 'echo', worker: 2 }, { crash: true }, CALL_MS);
    await t.rejects(waiting, { code: 'RT_CALL_EXITED', reason: { error: { message: 'asked to' } } });
    t.strictSame(await node.call(pid, 'self', CALL_MS), pid, 'and nobody else is hurt');
  });

  await t.test('a call elsewhere times out', async (t) => {
    await t.rejects(node.call({ name: 'echo', worker: 1 }, { wait: true }, 20), { code: 'RT_CALL_TIMEOUT' });
    t.equal(node.kernel.expected.size, 0, 'and leaves nothing behind');
  });

  await t.test('what cannot be encoded is a result and not a crash', async (t) => {
    const target = { name: 'recorder', worker: 1 };
    t.equal(
      node.send(target, () => 1),
      'unencodable',
    );
    t.equal(node.send(target, new Uint8Array(200_000)), 'too_large');
    t.equal(node.send({ name: 'recorder', worker: 9 }, 1), 'noconnection');
    await t.rejects(node.call(target, Symbol('x'), CALL_MS), { code: 'RT_CALL_REFUSED', detail: 'unencodable' });
  });

  await t.test('a full mailbox elsewhere refuses a call and drops a cast', async (t) => {
    // Sent in one turn, so they arrive in one.
    const calls = Array.from({ length: 15 }, () => node.call({ name: 'small', worker: 1 }, 'count', CALL_MS));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    t.equal(refused.length, 5);
    t.ok(refused.every(({ reason }) => isRuntimeError(reason, 'RT_CALL_FULL')));
  });

  await t.test('nothing of all this remains on the main thread', async (t) => {
    node.exit(watching, 'kill');
    await node.awaitExit(watching, CALL_MS);
    t.match(node.info(), { processCount: 0, timerCount: 0 });
    t.equal(node.kernel.expected.size, 0);
    t.equal(node.kernel.foreign.size, 0);
  });

  await t.test('stop runs the callbacks of each worker and ends every thread', async (t) => {
    await pool.stop(CALL_MS);
    t.equal(messages.filter((message) => message === 'stopping').length, 2);
    t.strictSame(
      logged.filter(({ event }) => event.startsWith('worker')),
      [],
    );
  });
  await node.stop();
});

t.test('the last packets of a burst through a small ring never stay behind', async (t) => {
  const BURSTS = 150;
  const BURST_COUNT = 60;
  // 60 KB a burst through 4 KiB: each ends with a writer that waits for room while its thread goes to sleep.
  const { node, pool } = await startMesh({ ringBytes: 4_096 });
  const target = { name: 'recorder', worker: 2 };
  for (let burst = 1; burst <= BURSTS; burst += 1) {
    node.send({ name: 'flooder', worker: 1 }, { worker: 2, count: BURST_COUNT, restart: true });
    await until(async () => (await node.call(target, 'count', CALL_MS)) === burst * BURST_COUNT);
  }
  t.equal(await node.call(target, 'count', CALL_MS), BURSTS * BURST_COUNT);
  await pool.stop(CALL_MS);
  await node.stop();
});

t.test('a worker that throws outside of an actor is a dead worker, reported once', async (t) => {
  let dead: number | undefined;
  const { node, pool, logged } = await startMesh({ onFatal: ({ worker }) => (dead = worker) });
  pool.post(2, 'throw');
  await until(async () => dead !== undefined);
  t.equal(dead, 2);
  const reports = logged.filter(({ event }) => event === 'worker_died');
  t.equal(reports.length, 1);
  t.match(reports[0]?.fields, { cause: 'error', error: /thrown outside of an actor/ });
  await pool.stop(CALL_MS);
  await node.stop();
});

t.test('by default the process of a dead worker ends with status 1, after one report', async (t) => {
  const path = new URL('./death.fixture.js', import.meta.url).pathname;
  const { status, stdout } = await new Promise<{ status: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, [path], (error, stdout) => resolve({ status: error?.code, stdout }));
  });
  t.equal(status, 1);
  t.equal(stdout, 'worker_died\n');
});

t.test('a worker whose entry fails fails the start', async (t) => {
  const { node } = setUp();
  const starting = startWorkers({ node, count: 2, entry: ENTRY, data: 'fail' });
  await t.rejects(starting, { code: 'RT_WORKER_START', detail: { error: { message: 'failed on purpose' } } });
  await node.stop();
});

t.test('a count out of bounds is refused', async (t) => {
  const { node } = setUp();
  await t.rejects(startWorkers({ node, count: 0, entry: ENTRY }), RangeError);
  await t.rejects(startWorkers({ node, count: 65, entry: ENTRY }), RangeError);
});
