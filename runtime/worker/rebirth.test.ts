/**
 * Worker threads that end in each of the ways there are, and come back: who is told, what stays dead, what works again.
 */

import t from 'tap';

import type { Behavior, Context } from '../behavior.ts';
import { isDown, isExit } from '../envelope.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { createMemoryLog, type LogEntry } from '../testing/test-node.ts';
import type { WorkerEvent } from './control.ts';
import { startWorkers, type WorkerDeath, type WorkerPool, type WorkersOptions } from './pool.ts';

const ENTRY = new URL('./pool.fixture.js', import.meta.url);
const CALL_MS = 60_000;
// On a machine that does much else, a thread may take seconds to start.
const WAIT_MS = 60_000;

interface Setup {
  node: RuntimeNode;
  pool: WorkerPool;
  logged: LogEntry[];
  messages: unknown[];
  deaths: WorkerDeath[];
  events: WorkerEvent[];
}

/** Two workers; whoever dies is started again, `restartMax` times. */
async function startMesh(options: Partial<WorkersOptions> = {}, restartMax: number = 3): Promise<Setup> {
  const logged: LogEntry[] = [];
  const log = createMemoryLog(logged);
  const node = createNode({ name: 'mesh', clock: systemClock, random: systemRandom, loop: systemLoop, log });
  const messages: unknown[] = [];
  const deaths: WorkerDeath[] = [];
  const events: WorkerEvent[] = [];
  const pool = await startWorkers({
    node,
    count: 2,
    entry: ENTRY,
    onMessage: (_worker, message) => void messages.push(message),
    restart: (death) => deaths.push(death) <= restartMax,
    ...options,
  });
  pool.watch((event) => void events.push(event));
  return { node, pool, logged, messages, deaths, events };
}

/** Keeps what it is told; a call runs with its context. */
const observer: Behavior<{ seen: unknown[] }, void, unknown, (ctx: Context) => unknown, unknown> = {
  name: 'observer',
  init: (_args, ctx) => {
    ctx.trapExit(true);
    return { seen: [] };
  },
  handleInfo: (info, state) => void state.seen.push(info),
  handleCall: (request, _from, state, ctx) => request(ctx) ?? state.seen,
};

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const isBack =
  ({ events }: Setup, worker: number, times: number = 1) =>
  (): boolean =>
    events.filter((event) => event.type === 'up' && event.worker === worker).length >= times;

async function stop({ pool, node }: Setup): Promise<void> {
  await pool.stop(WAIT_MS);
  await node.stop();
}

t.test('the end of a worker is told to all who watch it, and it comes back', async (t) => {
  const setup = await startMesh();
  const { node, pool, messages, events } = setup;
  const watching = node.spawn(observer, undefined);
  const startRemote = (worker: number, linkTo?: Pid): Promise<Pid> =>
    node.call<Pid>({ name: 'starter', worker }, { linkTo }, CALL_MS);
  const monitored = await startRemote(1);
  const linked = await startRemote(1, watching);
  const elsewhere = await startRemote(2, watching);
  await node.call(linked, 'self', CALL_MS);
  await node.call(watching, (ctx: Context) => [ctx.monitor(monitored)], CALL_MS);
  const pendingCall = node.call({ name: 'echo', worker: 1 }, { wait: true }, 60_000);
  const pendingExit = node.awaitExit(monitored, 'infinity');
  const failed = t.rejects(pendingCall, { code: 'RT_CALL_EXITED', reason: 'noconnection' });

  pool.post(1, 'exit');
  await failed;
  await until(() => events.length > 0);

  await t.test('monitors, links and calls give noconnection', async (t) => {
    t.equal(await pendingExit, 'noconnection');
    const seen = await node.call<unknown[]>(watching, () => undefined, CALL_MS);
    t.match(seen.filter(isDown), [{ pid: monitored, reason: 'noconnection' }]);
    t.match(seen.filter(isExit), [{ pid: linked, reason: 'noconnection' }]);
    t.equal(node.processInfo(watching)?.linkCount, 1, 'the link to the other worker stays');
  });

  await t.test('until it is back, every way there is closed', async (t) => {
    t.equal(node.send(monitored, 'x'), 'noconnection');
    t.equal(node.cast({ name: 'echo', worker: 1 }, 'x'), 'noconnection');
    t.equal(await node.awaitExit(monitored, CALL_MS), 'noconnection');
    await t.rejects(node.call({ name: 'echo', worker: 1 }, 'x', CALL_MS), {
      code: 'RT_CALL_REFUSED',
      detail: 'noconnection',
    });
  });

  await until(isBack(setup, 1));

  await t.test('then names are reached again, and the pids of its earlier life stay dead', async (t) => {
    t.strictSame(await node.call({ name: 'echo', worker: 1 }, 'again', CALL_MS), { request: 'again', worker: 1 });
    t.equal(await node.awaitExit(monitored, CALL_MS), 'noproc');
    await t.rejects(node.call(linked, 'self', CALL_MS), { code: 'RT_CALL_NOPROC' });
  });

  await t.test('the other worker was told in between, and reaches the new life and is reached by it', async (t) => {
    await until(() => messages.some((message) => (message as { heard?: unknown }).heard === 'up'));
    t.strictSame(
      messages.filter((message) => typeof message === 'object'),
      [
        { heard: 'down', of: 1, at: 2 },
        { heard: 'up', of: 1, at: 2 },
      ],
    );
    for (const [from, to] of [
      [2, 1],
      [1, 2],
    ] as const) {
      node.send({ name: 'flooder', worker: from }, { worker: to, count: 100 });
      await until(async () => (await node.call({ name: 'recorder', worker: to }, 'count', CALL_MS)) === 100);
    }
    t.strictSame(await node.call(elsewhere, 'self', CALL_MS), elsewhere, 'and it was not hurt');
  });
  t.strictSame(events, [
    { type: 'down', worker: 1 },
    { type: 'up', worker: 1 },
  ]);
  await stop(setup);
  t.equal(node.kernel.expected.size, 0);
  t.equal(node.kernel.foreign.size, 0);
});

const ENDS: readonly { how: string; begin: (setup: Setup) => void; death: Partial<WorkerDeath> }[] = [
  {
    how: 'throws outside of every actor',
    begin: ({ pool }) => void pool.post(1, 'throw'),
    death: { cause: 'error', error: { name: 'Error', message: 'thrown outside of an actor' } },
  },
  {
    how: 'exits',
    begin: ({ pool }) => void pool.post(1, 'exit'),
    death: { cause: 'exit', status: 7 },
  },
  {
    how: 'loops in a handler',
    begin: ({ node }) => void node.cast({ name: 'looper', worker: 1 }, 'loop'),
    death: { cause: 'stuck', behavior: 'looper' },
  },
  {
    how: 'loops after an await',
    begin: ({ node }) => void node.cast({ name: 'looper', worker: 1 }, 'loop later'),
    death: { cause: 'stuck', behavior: 'looper' },
  },
  {
    how: 'loops outside of every actor',
    begin: ({ pool }) => void pool.post(1, 'loop'),
    death: { cause: 'stuck' },
  },
];
t.test('a worker that ends is named with its reason and comes back, whatever the way', async (t) => {
  const setup = await startMesh({}, ENDS.length);
  const { node, deaths } = setup;
  for (const [index, { how, begin, death }] of ENDS.entries()) {
    await t.test(`a worker that ${how}`, async (t) => {
      const beganMs = Date.now();
      begin(setup);
      await until(isBack(setup, 1, index + 1));
      t.comment(`back after ${Date.now() - beganMs} ms`);
      t.match(deaths[index], { worker: 1, ...death });
      t.match(await node.call({ name: 'echo', worker: 1 }, index, CALL_MS), { request: index, worker: 1 });
    });
  }
  const reports = setup.logged.filter(({ event }) => event === 'worker_stuck').map(({ fields }) => fields);
  t.match(reports[0], { worker: 1, behavior: 'looper', inTurn: true, pid: /^<mesh\.1\.\d+\.\d+>$/ });
  t.match(reports[1], { worker: 1, behavior: 'looper', inTurn: false });
  t.match(reports[2], { worker: 1, inTurn: false });
  await stop(setup);
});

t.test('a worker that loops in each of its lives is ended in each', async (t) => {
  const LIVES = 6;
  const setup = await startMesh({}, LIVES);
  for (let life = 1; life <= LIVES; life += 1) {
    // The same turns in each, and back before the next look: what was seen of one life must not count for the next.
    await setup.node.call({ name: 'echo', worker: 1 }, life, CALL_MS);
    setup.pool.post(1, 'loop');
    await until(isBack(setup, 1, life));
  }
  t.strictSame(
    setup.deaths.map(({ cause }) => cause),
    Array.from({ length: LIVES }, () => 'stuck'),
  );
  await stop(setup);
});

t.test('a worker whose heap is full is named and comes back', async (t) => {
  // A collector that fights for its last megabytes may look stuck, which is another case.
  const setup = await startMesh({ heapMbMax: 64, stuckMs: Infinity });
  setup.pool.post(2, 'fill');
  await until(isBack(setup, 2));
  t.match(setup.deaths, [{ worker: 2, cause: 'memory' }]);
  t.match(await setup.node.call({ name: 'echo', worker: 2 }, 1, CALL_MS), { worker: 2 });
  await stop(setup);
});

t.test('an idle worker, and one whose actor waits for a promise, are not stuck', async (t) => {
  // Longer than the machine holds up a thread; who waits is not stuck, however long.
  const stuckMs = 1_500;
  const setup = await startMesh({ stuckMs });
  setup.node.call({ name: 'echo', worker: 1 }, { wait: true }, 60_000).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 3 * stuckMs));
  t.strictSame(setup.deaths, []);
  await stop(setup);
});

t.test('what is to be done about a worker that does not answer can be decided elsewhere', async (t) => {
  const reports: unknown[] = [];
  const stuckMs = 1_500;
  const setup = await startMesh({ stuckMs, onUnresponsive: (report) => void reports.push(report) });
  setup.node.cast({ name: 'looper', worker: 2 }, 'loop');
  await until(() => reports.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 2 * stuckMs));
  t.match(reports, [{ worker: 2, cause: 'stuck', stuck: { behavior: 'looper', inTurn: true } }], 'told once');
  t.equal(setup.deaths.length, 0, 'and the thread was left alone');
  setup.pool.kill(2);
  await until(isBack(setup, 2));
  await stop(setup);
});

t.test('both workers die at once, again and again, and find each other afterwards', async (t) => {
  const setup = await startMesh({}, 6);
  const { node, pool, messages, events } = setup;
  let meetings = 0;
  for (let round = 1; round <= 2; round += 1) {
    pool.post(1, 'exit');
    pool.post(2, 'throw');
    await until(() => isBack(setup, 1, round)() && isBack(setup, 2, round)());
    // Who begins while the other is dead or not yet back has its rings from the start, and is told nothing.
    const atOnce = events.slice(-4, -2).every(({ type }) => type === 'down');
    meetings += atOnce ? 1 : 2;
    node.send({ name: 'flooder', worker: 1 }, { worker: 2, count: 50, restart: true });
    node.send({ name: 'flooder', worker: 2 }, { worker: 1, count: 50, restart: true });
    for (const worker of [1, 2]) {
      await until(async () => (await node.call({ name: 'recorder', worker }, 'count', CALL_MS)) === 50);
    }
  }
  t.equal(setup.deaths.length, 4);
  const heardUp = messages.filter((message) => (message as { heard?: unknown }).heard === 'up');
  t.equal(heardUp.length, meetings, 'none is told of one that it has met already');
  await stop(setup);
});

t.test('a worker that may not come back is the last word, and the others go on', async (t) => {
  let fatal: WorkerDeath | undefined;
  const setup = await startMesh({ onFatal: (death) => (fatal = death) }, 1);
  const { node, pool, deaths } = setup;
  pool.post(1, 'throw');
  await until(isBack(setup, 1));
  pool.post(1, 'throw');
  await until(() => fatal !== undefined);
  t.equal(deaths.length, 2);
  t.equal(pool.post(1, 'x'), 'noconnection');
  t.equal(node.cast({ name: 'echo', worker: 1 }, 'x'), 'noconnection');
  t.match(await node.call({ name: 'echo', worker: 2 }, 1, CALL_MS), { worker: 2 });
  await stop(setup);
});

t.test('a worker that does not stop in time is ended', async (t) => {
  // One alone: another might not be in time either, on a machine that is held up.
  const setup = await startMesh({ count: 1, stuckMs: Infinity });
  const { node, pool, logged, deaths } = setup;
  // The same port as the request to stop, and before it.
  pool.post(1, 'loop');
  await pool.stop(100);
  t.match(
    logged.filter(({ event }) => event === 'workers_terminated').map(({ fields }) => fields),
    [{ workers: [1] }],
  );
  t.strictSame(deaths, [], 'an end that was asked for is no death');
  await node.stop();
});

t.test('a time for the watchdog that is too short, or none, is refused', async (t) => {
  const log = createMemoryLog([]);
  const node = createNode({ name: 'mesh', clock: systemClock, random: systemRandom, loop: systemLoop, log });
  await t.rejects(startWorkers({ node, count: 1, entry: ENTRY, stuckMs: 99 }), RangeError);
  await t.rejects(startWorkers({ node, count: 1, entry: ENTRY, stuckMs: NaN }), RangeError);
});
