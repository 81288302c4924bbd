/**
 * The end of a worker as the actors of another one see it, on one thread with turns taken by hand: what was sent before
 * still arrives, then everybody concerned is told, and nothing remains.
 */

import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import { isDown, isExit } from './envelope.ts';
import type { Pid } from './pid.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';
import { Mesh } from './worker/mesh.ts';
import { RingTransport } from './worker/transport.ts';

const RING_BYTES = 4_096;

/** Keeps what it is told; a cast or call runs with its context. */
const recorder: Behavior<unknown[], unknown[], (ctx: Context) => void, (ctx: Context) => unknown, unknown> = {
  name: 'recorder',
  init(seen, ctx) {
    ctx.trapExit(true);
    return seen;
  },
  handleCast: (run, _seen, ctx) => run(ctx),
  handleInfo: (info, seen) => void seen.push(info),
  handleCall: () => new Promise(() => {}),
};

interface Member extends TestNode {
  readonly transport: RingTransport;
}

/** Threads of one node; any of them may end and come back. */
class Net {
  readonly mesh: Mesh;
  readonly members: Member[] = [];
  #seed: number = 0;

  constructor(count: number) {
    this.mesh = new Mesh(count, RING_BYTES);
    for (let worker = 0; worker < count; worker += 1) this.mesh.add(worker);
    for (let worker = 0; worker < count; worker += 1) this.#join(worker);
  }

  /** The thread stops as it is: no goodbye, and what was not published is lost. */
  end(worker: number): void {
    this.mesh.remove(worker);
    for (const other of this.#others(worker)) other.transport.disconnect(worker);
  }

  comeBack(worker: number): void {
    this.mesh.add(worker);
    this.#join(worker);
    for (const other of this.#others(worker)) {
      other.transport.connect(worker, this.mesh.pair(other.node.worker, worker)!);
    }
  }

  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      for (const { loop } of this.members) {
        if (loop.deferredCount > 0) quiet = 0;
        await loop.settle();
      }
    }
  }

  #join(worker: number): void {
    this.#seed += 1;
    const test = createTestNode({ name: 'net', worker, seed: this.#seed });
    this.members[worker] = { ...test, transport: new RingTransport(test.node.kernel, this.mesh.membership(worker)) };
  }

  #others(worker: number): Member[] {
    return this.members.filter(({ node }) => node.worker !== worker);
  }
}

interface Recorder {
  readonly pid: Pid;
  readonly seen: unknown[];
}

function spawnRecorder({ node }: Member): Recorder {
  const seen: unknown[] = [];
  return { pid: node.spawn(recorder, seen), seen };
}

t.test('the last messages of a worker come before the news of its end', async (t) => {
  const net = new Net(2);
  const [near, far] = net.members as [Member, Member];
  const watcher = spawnRecorder(near);
  const watched = spawnRecorder(far);
  near.node.cast(watcher.pid, (ctx: Context) => void ctx.monitor(watched.pid));
  await net.settle();
  for (const number of [1, 2, 3]) far.node.send(watcher.pid, number);
  far.loop.run();
  far.node.send(watcher.pid, 'never published');
  net.end(1);
  await near.settle();
  t.match(watcher.seen, [1, 2, 3, { type: 'DOWN', reason: 'noconnection' }]);
});

t.test('what was for the earlier life does not reach the next one', async (t) => {
  const net = new Net(2);
  const [near, far] = net.members as [Member, Member];
  const old = spawnRecorder(far);
  await net.settle();
  near.node.send(old.pid, 'in the outbox');
  net.end(1);
  net.comeBack(1);
  const reborn = spawnRecorder(net.members[1]!);
  await net.settle();
  t.equal(old.pid.slot, reborn.pid.slot, 'the same slot');
  t.equal(near.node.send(old.pid, 'to the dead'), 'ok', 'and nobody can know before');
  near.node.send(reborn.pid, 'hello');
  await net.settle();
  t.strictSame(reborn.seen, ['hello']);
});

t.test('a monitor by name tells of the worker that is gone', async (t) => {
  const net = new Net(2);
  const [near, far] = net.members as [Member, Member];
  far.node.spawn(recorder, [], { name: 'there' });
  await net.settle();
  const failed = near.node.call({ name: 'there', worker: 1 }, 'x', 1_000);
  await net.settle();
  net.end(1);
  await t.rejects(failed, { code: 'RT_CALL_EXITED', reason: 'noconnection' });
});

t.test('a worker that is not there may be lost again', async (t) => {
  const net = new Net(2);
  const [near] = net.members as [Member];
  net.end(1);
  near.transport.disconnect(1);
  t.equal(near.node.send({ name: 'x', worker: 1 }, 1), 'noconnection');
});

t.test('whoever is linked to or monitors an actor there is told once, nobody else, and nothing remains', async (t) => {
  const WORKERS = 3;
  const ACTORS = 3;
  const actor = fc.record({ worker: fc.nat(WORKERS - 1), index: fc.nat(ACTORS - 1) });
  const relation = fc.record({ type: fc.constantFrom('link', 'monitor'), by: actor, to: actor });
  const told = fc.asyncProperty(
    fc.array(relation, { maxLength: 25 }),
    fc.integer({ min: 0, max: WORKERS - 1 }),
    async (relations, lost) => {
      const net = new Net(WORKERS);
      const actors = net.members.map((member) => Array.from({ length: ACTORS }, () => spawnRecorder(member)));
      await net.settle();
      const expected = actors.map((each) => each.map(() => ({ downs: 0, exits: new Set<string>() })));
      for (const { type, by, to } of relations) {
        const source = actors[by.worker]![by.index]!;
        const target = actors[to.worker]![to.index]!;
        net.members[by.worker]!.node.cast(source.pid, (ctx: Context) =>
          type === 'link' ? ctx.link(target.pid) : void ctx.monitor(target.pid),
        );
        if (by.worker === to.worker) continue;
        if (to.worker === lost && type === 'monitor') expected[by.worker]![by.index]!.downs += 1;
        if (to.worker === lost && type === 'link') expected[by.worker]![by.index]!.exits.add(`${target.pid}`);
        if (by.worker === lost && type === 'link') expected[to.worker]![to.index]!.exits.add(`${source.pid}`);
      }
      await net.settle();
      net.end(lost);
      await net.settle();
      for (const [worker, each] of actors.entries()) {
        if (worker === lost) continue;
        for (const [index, { seen }] of each.entries()) {
          const { downs, exits } = expected[worker]![index]!;
          const heard = seen.filter((info) => isDown(info) || isExit(info));
          if (!heard.every(({ reason }) => reason === 'noconnection')) return false;
          if (heard.filter(isDown).length !== downs) return false;
          const from = heard.filter(isExit).map(({ pid }) => `${pid}`);
          if (from.length !== exits.size || !from.every((pid) => exits.has(pid))) return false;
        }
        const { kernel } = net.members[worker]!.node;
        if (kernel.expected.all().some((made) => made.abroad?.worker === lost)) return false;
        if ([...kernel.foreign.values()].some((made) => made.watcherPid.worker === lost)) return false;
      }
      return true;
    },
  );
  await fc.assert(told, { numRuns: 60 });
  t.pass();
});
