import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import * as pg from './process-groups.ts';
import { createTestWorkers, type TestWorkers } from './testing/test-workers.ts';

type Step = (ctx: Context) => void | Promise<void>;
const actor: Behavior<{ infos: unknown[] }, unknown[], Step> = {
  name: 'actor',
  init: (infos) => ({ infos }),
  handleCast: (step, _state, ctx) => step(ctx),
  handleInfo: (info, { infos }) => void infos.push(info),
};

interface Cluster extends TestWorkers {
  spawn(worker: number, infos?: unknown[], mailboxMax?: number): Pid<Step>;
  during<T>(request: Promise<T>): Promise<T>;
  /** Members of a group as text, sorted, as `worker` sees them. */
  members(worker: number, group: string): Promise<string[]>;
}

async function setUp(count: number): Promise<Cluster> {
  const cluster = createTestWorkers(count);
  const { workers, settle } = cluster;
  for (const { node } of workers) node.start(pg.behavior, { workerCount: count - 1 });
  await settle();
  const during = async <T>(request: Promise<T>): Promise<T> => {
    await settle();
    return request;
  };
  return {
    ...cluster,
    during,
    spawn: (worker, infos = [], mailboxMax = 1_000) => workers[worker]!.node.spawn(actor, infos, { mailboxMax }),
    members: async (worker, group) => (await during(pg.getMembers(workers[worker]!.node, group))).map(String).sort(),
  };
}

const sorted = (pids: readonly Pid[]): string[] => pids.map(String).sort();

t.test('a member is seen on every worker, and gone when it left', async (t) => {
  const { workers, spawn, during, members } = await setUp(3);
  const [a, b] = [spawn(0), spawn(1)];
  t.equal(await during(pg.join(workers[0]!.node, 'room', a)), 'ok');
  t.equal(await during(pg.join(workers[1]!.node, 'room', [b])), 'ok');
  for (const worker of [0, 1, 2]) t.strictSame(await members(worker, 'room'), sorted([a, b]));
  t.strictSame(await during(pg.getLocalMembers(workers[1]!.node, 'room')), [b]);
  t.strictSame(await during(pg.whichGroups(workers[2]!.node)), ['room']);
  t.strictSame(await during(pg.whichLocalGroups(workers[2]!.node)), []);
  t.equal(await during(pg.leave(workers[0]!.node, 'room', a)), 'ok');
  t.equal(await during(pg.leave(workers[0]!.node, 'room', a)), 'not_joined');
  for (const worker of [0, 1, 2]) t.strictSame(await members(worker, 'room'), sorted([b]));
});

t.test('who joined twice is there twice, and leaves twice', async (t) => {
  const { workers, spawn, during, members } = await setUp(2);
  const a = spawn(0);
  await during(pg.join(workers[0]!.node, 'room', [a, a]));
  t.strictSame(await members(1, 'room'), sorted([a, a]));
  await during(pg.leave(workers[0]!.node, 'room', a));
  t.strictSame(await members(1, 'room'), sorted([a]));
  await during(pg.leave(workers[0]!.node, 'room', a));
  t.strictSame(await during(pg.whichGroups(workers[1]!.node)), []);
});

t.test('a member leaves all its groups when it ends, and nothing is kept of it', async (t) => {
  const { workers, spawn, during, members, settle } = await setUp(2);
  const [a, b] = [spawn(0), spawn(0)];
  await during(pg.join(workers[0]!.node, 'room', [a, b, a]));
  await during(pg.join(workers[0]!.node, 'other', a));
  workers[0]!.node.exit(a, 'kill');
  await settle();
  t.strictSame(await members(1, 'room'), sorted([b]));
  t.strictSame(await members(1, 'other'), []);
  await during(pg.leave(workers[0]!.node, 'room', b));
  const scope = (worker: number): pg.Scope =>
    workers[worker]!.node.kernel.processes.get(workers[worker]!.node.whereis('pg')!)!.state as pg.Scope;
  for (const worker of [0, 1]) {
    t.match(scope(worker), { membershipCount: 0 });
    t.equal(scope(worker).local.size + scope(worker).remote.size + scope(worker).joined.size, 0);
  }
  t.match(workers[0]!.node.processInfo(b), { monitoredByCount: 0 });
});

t.test('an actor joins on its own worker, under a name that can be one', async (t) => {
  const { workers, spawn } = await setUp(2);
  t.throws(() => pg.join(workers[0]!.node, 'room', spawn(1)), RangeError);
  t.throws(() => pg.join(workers[0]!.node, 'x'.repeat(LIMITS.nameCharsMax + 1), spawn(0)), RangeError);
});

t.test('a subscriber gets the members and then each change, until it ends the subscription', async (t) => {
  const { workers, spawn, during, settle } = await setUp(2);
  const infos: unknown[] = [];
  const [subscriber, a, b] = [spawn(0, infos), spawn(0), spawn(1)];
  await during(pg.join(workers[0]!.node, 'room', a));
  const seen: { ref?: Parameters<typeof pg.demonitor>[1]; pids?: readonly Pid[] } = {};
  workers[0]!.node.cast(subscriber, async (ctx) => void Object.assign(seen, await pg.monitor(ctx, 'room')));
  await settle();
  t.strictSame(seen.pids, [a]);
  await during(pg.join(workers[1]!.node, 'room', b));
  await during(pg.join(workers[1]!.node, 'other', b));
  workers[1]!.node.exit(b, 'kill');
  await settle();
  t.ok(infos.every(pg.isGroupEvent));
  t.match(infos, [
    { event: 'join', group: 'room', ref: seen.ref },
    { event: 'leave', group: 'room' },
  ]);
  t.strictSame(sorted((infos[0] as pg.GroupEvent).pids), sorted([b]));
  t.equal(await during(pg.demonitor(workers[0]!.node, seen.ref!)), true);
  await during(pg.leave(workers[0]!.node, 'room', a));
  t.equal(infos.length, 2);
  t.match(workers[0]!.node.processInfo(subscriber), { monitoredByCount: 0 });
});

t.test('a subscriber to all groups hears of all', async (t) => {
  const { workers, spawn, during, settle } = await setUp(2);
  const infos: unknown[] = [];
  const [subscriber, a] = [spawn(0, infos), spawn(1)];
  await during(pg.join(workers[1]!.node, 'before', a));
  let groups: ReadonlyMap<string, readonly Pid[]> = new Map();
  workers[0]!.node.cast(subscriber, async (ctx) => void ({ groups } = await pg.monitorScope(ctx)));
  await settle();
  t.strictSame([...groups.keys()], ['before']);
  await during(pg.join(workers[1]!.node, 'after', a));
  t.match(infos, [{ event: 'join', group: 'after' }]);
});

t.test('a subscriber that was full is given the whole group later', async (t) => {
  const { workers, spawn, during, settle, advance } = await setUp(1);
  const infos: pg.GroupEvent[] = [];
  const subscriber = spawn(0, infos, 1);
  const members = [spawn(0), spawn(0), spawn(0)];
  let open = (): void => {};
  workers[0]!.node.cast(subscriber, async (ctx) => {
    await pg.monitor(ctx, 'room');
    await new Promise<void>((resolve) => (open = resolve));
  });
  await settle();
  for (const pid of members) await during(pg.join(workers[0]!.node, 'room', pid));
  open();
  await settle();
  t.match(infos, [{ event: 'join' }], 'the others were refused');
  await advance(LIMITS.groupBeatMs);
  t.match(infos.at(-1), { event: 'reset', pids: { length: 3 } });
});

t.test('the members of a worker go with its scope, and come back with the next one', async (t) => {
  const { workers, spawn, during, members, settle } = await setUp(2);
  const [a, b] = [spawn(0), spawn(1)];
  await during(pg.join(workers[0]!.node, 'room', a));
  await during(pg.join(workers[1]!.node, 'room', b));
  workers[1]!.node.exit(workers[1]!.node.whereis('pg')!, 'kill');
  await settle();
  t.strictSame(await members(0, 'room'), sorted([a]));
  workers[1]!.node.start(pg.behavior, { workerCount: 1 });
  await settle();
  t.strictSame(await members(1, 'room'), sorted([a]), 'the new scope learns what there is');
  await during(pg.join(workers[1]!.node, 'room', b));
  for (const worker of [0, 1]) t.strictSame(await members(worker, 'room'), sorted([a, b]));
});

t.test('the members of a worker that died go', async (t) => {
  const { workers, network, spawn, during, members, settle } = await setUp(3);
  const [a, b] = [spawn(0), spawn(1)];
  await during(pg.join(workers[0]!.node, 'room', a));
  await during(pg.join(workers[1]!.node, 'room', b));
  network.lose(1);
  await settle();
  for (const worker of [0, 2]) t.strictSame(await members(worker, 'room'), sorted([a]));
});

t.test('more than fits into one packet is synchronised in parts', async (t) => {
  const cluster = createTestWorkers(2);
  const { workers, settle } = cluster;
  workers[0]!.node.start(pg.behavior, { workerCount: 1 });
  const pid = workers[0]!.node.spawn(actor, []);
  await settle();
  let largest = 0;
  cluster.network.fateOf = (_from, _to, packet) => {
    largest = Math.max(largest, JSON.stringify(packet).length);
    return 'delivered';
  };
  const joins = Array.from({ length: 3_000 }, (_, index) =>
    pg.join(workers[0]!.node, `${index} ${'x'.repeat(200)}`, pid),
  );
  await settle();
  await Promise.all(joins);
  workers[1]!.node.start(pg.behavior, { workerCount: 1 });
  await settle();
  const groups = pg.whichGroups(workers[1]!.node);
  await settle();
  t.equal((await groups).length, 3_000);
  t.ok(largest <= LIMITS.workerPacketBytesMax, `the largest packet has ${largest} characters`);
});

t.test('whatever is lost between workers, all views agree after some beats', async (t) => {
  const operation = fc.record({
    type: fc.constantFrom('join', 'leave', 'kill', 'beat'),
    worker: fc.nat(2),
    actor: fc.nat(2),
    group: fc.constantFrom('x', 'y'),
  });
  const fates = fc.array(fc.constantFrom('delivered', 'lost', 'full'), { minLength: 1, maxLength: 20 });
  const agrees = fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fates, async (operations, drawn) => {
    const cluster = await setUp(3);
    const { workers, network, spawn, settle, advance, members } = cluster;
    let asked = 0;
    network.fateOf = () => drawn[(asked += 1) % drawn.length]! as 'delivered';
    const pids = [0, 1, 2].map((worker) => [0, 1, 2].map(() => spawn(worker)));
    const model = new Map<string, number>();
    for (const { type, worker, actor: index, group } of operations) {
      const pid = pids[worker]![index]!;
      const { node } = workers[worker]!;
      const key = `${group} ${pid}`;
      if (type === 'kill') {
        node.exit(pid, 'kill');
        for (const each of ['x', 'y']) model.delete(`${each} ${pid}`);
      } else if (type === 'beat') await advance(LIMITS.groupBeatMs);
      else if (node.processInfo(pid) !== undefined) {
        void (type === 'join' ? pg.join(node, group, pid) : pg.leave(node, group, pid));
        const count = (model.get(key) ?? 0) + (type === 'join' ? 1 : -1);
        if (count > 0) model.set(key, count);
        else model.delete(key);
      }
      await settle();
    }
    network.fateOf = () => 'delivered';
    for (let beat = 0; beat < 3; beat += 1) await advance(LIMITS.groupBeatMs);
    for (const group of ['x', 'y']) {
      const expected = [...model]
        .filter(([key]) => key.startsWith(`${group} `))
        .flatMap(([key, count]) => new Array<string>(count).fill(key.slice(2)))
        .sort();
      for (const worker of [0, 1, 2]) {
        if ((await members(worker, group)).join() !== expected.join()) return false;
      }
    }
    return true;
  });
  await fc.assert(agrees, { numRuns: 40 });
  t.pass();
});
