import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import type { Actor } from './actor.ts';
import { type Down, type Exit, isDown, isExit } from './envelope.ts';
import { finishExit } from './exit.ts';
import { Pid } from './pid.ts';
import type { Ref } from './ref.ts';
import { describe, graphs, predict } from './relations.test-kit.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

interface Heard {
  messages: unknown[];
}
const actor: Behavior<Heard, { trap: boolean; messages: unknown[] }, (ctx: Context) => void | Promise<void>> = {
  name: 'actor',
  init({ trap, messages }, ctx) {
    ctx.trapExit(trap);
    return { messages };
  },
  handleCast: (step, _state, ctx) => step(ctx),
  handleInfo: (info, state) => void state.messages.push(info),
};

interface Handle {
  pid: Pid<(ctx: Context) => void | Promise<void>>;
  messages: unknown[];
}
function spawnActor(test: TestNode, trap: boolean = false): Handle {
  const messages: unknown[] = [];
  return { pid: test.node.spawn(actor, { trap, messages }), messages };
}

async function act(test: TestNode, { pid }: Handle, step: (ctx: Context) => void): Promise<void> {
  test.node.cast(pid, step);
  await test.settle();
}

const lives = (test: TestNode, { pid }: Handle): boolean => test.node.processInfo(pid) !== undefined;

t.test('a link is one, both ways, however often it is made', async (t) => {
  const test = createTestNode();
  const [a, b] = [spawnActor(test), spawnActor(test)];
  await act(test, a, (ctx) => ctx.link(b.pid));
  await act(test, b, (ctx) => ctx.link(a.pid));
  await act(test, b, (ctx) => ctx.link(new Pid(a.pid.node, a.pid.worker, a.pid.slot, a.pid.creation)));
  await act(test, a, (ctx) => ctx.link(a.pid));
  for (const { pid } of [a, b]) t.equal(test.node.processInfo(pid)?.linkCount, 1);
  await act(test, b, (ctx) => ctx.unlink(a.pid));
  for (const { pid } of [a, b]) t.equal(test.node.processInfo(pid)?.linkCount, 0);
});

t.test('after unlink no signal of the link acts, even one that was on its way', async (t) => {
  const test = createTestNode();
  const [a, b] = [spawnActor(test), spawnActor(test)];
  await act(test, a, (ctx) => ctx.link(b.pid));
  // By hand, turn for turn: b has ended, and a, before whom its exit signal lies, has not run.
  const copy = new Pid(b.pid.node, b.pid.worker, b.pid.slot, b.pid.creation);
  const process = test.node.kernel.processes.get(a.pid)!;
  finishExit(test.node.kernel, test.node.kernel.processes.get(b.pid)!, 'killed');
  t.equal(process.signals?.length, 1);
  (process as Actor).unlink(copy);
  await test.settle();
  t.ok(lives(test, a));
});

t.test('a link to the dead comes back as noproc', async (t) => {
  const test = createTestNode();
  const [trapping, plain, dead] = [spawnActor(test, true), spawnActor(test), spawnActor(test)];
  await test.settle();
  test.node.exit(dead.pid, 'kill');
  await test.settle();
  await act(test, trapping, (ctx) => ctx.link(dead.pid));
  t.match(trapping.messages, [{ type: 'EXIT', pid: dead.pid, reason: 'noproc' }]);
  await act(test, plain, (ctx) => ctx.link(dead.pid));
  t.notOk(lives(test, plain));
});

t.test('a monitor of the dead answers at once, of the living once', async (t) => {
  const test = createTestNode();
  const [watcher, target] = [spawnActor(test), spawnActor(test)];
  const refs: Ref[] = [];
  await act(test, watcher, (ctx) => void refs.push(ctx.monitor(target.pid), ctx.monitor(target.pid)));
  test.node.exit(target.pid, { shutdown: 'x' });
  await test.settle();
  await act(test, watcher, (ctx) => void refs.push(ctx.monitor(target.pid)));
  const downs = watcher.messages as Down[];
  t.strictSame(new Set(downs.map(({ ref }) => ref)), new Set(refs), 'one for each monitor');
  t.strictSame(
    downs.map(({ reason }) => reason),
    [{ shutdown: 'x' }, { shutdown: 'x' }, 'noproc'],
  );
});

t.test('demonitor takes back even the news that already waits', async (t) => {
  const test = createTestNode();
  const [watcher, target] = [spawnActor(test), spawnActor(test)];
  let waiting = 0;
  let open = (): void => {};
  // The handler is open while the target ends, so the Down waits in the mailbox when it goes on.
  test.node.cast(watcher.pid, async (ctx) => {
    const ref = ctx.monitor(target.pid);
    await new Promise<void>((resolve) => (open = resolve));
    waiting = ctx.mailboxCount();
    ctx.demonitor(ref);
  });
  await test.settle();
  test.node.exit(target.pid, 'kill');
  await test.settle();
  open();
  await test.settle();
  t.equal(waiting, 1);
  t.strictSame(watcher.messages, []);
});

t.test('an actor’s last message comes before the news of its end', async (t) => {
  const test = createTestNode();
  const [watcher, target] = [spawnActor(test, true), spawnActor(test)];
  await act(test, watcher, (ctx) => {
    ctx.monitor(target.pid);
    ctx.link(target.pid);
  });
  await act(test, target, (ctx) => {
    ctx.send(watcher.pid, 'last');
    ctx.stop();
  });
  t.equal(watcher.messages[0], 'last');
  t.equal(watcher.messages.length, 3);
});

t.test('exit to itself acts when the handler returns', async (t) => {
  const test = createTestNode();
  const a = spawnActor(test);
  const done: string[] = [];
  test.node.cast(a.pid, (ctx) => {
    ctx.exit(ctx.self, 'normal');
    done.push('the rest of the handler');
  });
  await act(test, a, () => void done.push('the next message'));
  t.strictSame(done, ['the rest of the handler']);
  t.notOk(lives(test, a));
});

t.test('news of a death are delivered to a full mailbox', async (t) => {
  const test = createTestNode();
  const messages: unknown[] = [];
  const pid = test.node.spawn(actor, { trap: true, messages }, { mailboxMax: 1 });
  const target = spawnActor(test);
  test.node.cast(pid, (ctx) => void ctx.monitor(target.pid));
  await test.settle();
  test.node.exit(target.pid, 'kill');
  t.equal(test.node.send(pid, 1), 'ok');
  t.equal(test.node.send(pid, 2), 'full');
  await test.settle();
  t.strictSame(
    messages.map((message) => (isDown(message) ? 'down' : message)),
    [1, 'down'],
  );
});

t.test('nothing of an actor outlives it', async (t) => {
  const test = createTestNode();
  const [a, b] = [spawnActor(test), spawnActor(test, true)];
  await act(test, a, (ctx) => {
    ctx.link(b.pid);
    ctx.monitor(b.pid);
    ctx.sendAfter(1_000, 'x');
    ctx.sendAfter(1_000, 'x', b.pid);
    ctx.register('a');
  });
  await act(test, b, (ctx) => void ctx.monitor(a.pid));
  test.node.exit(a.pid, 'kill');
  await test.advance(2_000);
  t.equal(test.node.whereis('a'), undefined);
  t.match(test.node.processInfo(b.pid), { linkCount: 0, monitorCount: 0, monitoredByCount: 0, messageQueueLen: 0 });
  t.equal(test.node.info().timerCount, 0);
  t.equal(b.messages.length, 2, 'the exit and the down, and no timer message');
});

t.test('exit signals end exactly the linked, and tell exactly those who trap or monitor', async (t) => {
  const matchesModel = fc.asyncProperty(graphs, async (drawn) => {
    const test = createTestNode();
    const handles = drawn.traps.map((trap) => spawnActor(test, trap));
    await act(test, handles[0]!, () => {});
    for (const [a, b] of drawn.links) await act(test, handles[a]!, (ctx) => ctx.link(handles[b]!.pid));
    for (const [by, of] of drawn.monitors) await act(test, handles[by]!, (ctx) => void ctx.monitor(handles[of]!.pid));
    test.node.exit(handles[drawn.victim]!.pid, drawn.reason);
    await test.settle();
    const nameOf = (pid: Pid): string => {
      const found = handles.findIndex((handle) => handle.pid === pid);
      return found === -1 ? 'node' : String(found);
    };
    const tell = ({ pid, reason }: Exit | Down): string => `${nameOf(pid)} ${describe(reason)}`;
    const expected = predict(drawn);
    for (const [at, handle] of handles.entries()) {
      if (lives(test, handle) !== expected.alive[at]) return false;
      if (!expected.alive[at]) continue;
      const exits = handle.messages.filter(isExit).map(tell);
      const downs = handle.messages.filter(isDown).map(tell);
      if (exits.sort().join() !== expected.exits[at]!.sort().join()) return false;
      if (downs.sort().join() !== expected.downs[at]!.sort().join()) return false;
      const left = test.node.processInfo(handle.pid)!;
      const linked = new Set(drawn.links.filter((pair) => pair.includes(at)).flat());
      linked.delete(at);
      if (left.linkCount !== [...linked].filter((peer) => expected.alive[peer]).length) return false;
    }
    return test.node.kernel.expected.size === 0;
  });
  await fc.assert(matchesModel, { numRuns: 150 });
  t.pass();
});

t.test('messages of one pair keep their order, whatever runs in between', async (t) => {
  const sends = fc.array(fc.tuple(fc.nat(2), fc.nat(2), fc.boolean()), { maxLength: 200 });
  const keepsOrder = fc.asyncProperty(sends, async (drawn) => {
    const test = createTestNode();
    const handles = [0, 1, 2].map(() => spawnActor(test));
    for (const [number, [by, to, pause]] of drawn.entries()) {
      const target = handles[to]!.pid;
      test.node.cast(handles[by]!.pid, (ctx) => void ctx.send(target, { by, number }));
      if (pause) test.loop.run();
    }
    await test.settle();
    return handles.every(({ messages }, to) =>
      [0, 1, 2].every((by) => {
        const got = (messages as { by: number; number: number }[]).filter((message) => message.by === by);
        const sent = drawn
          .map((send, number) => ({ send, number }))
          .filter(({ send }) => send[0] === by && send[1] === to);
        return got.map(({ number }) => number).join() === sent.map(({ number }) => number).join();
      }),
    );
  });
  await fc.assert(keepsOrder, { numRuns: 60 });
  t.pass();
});
