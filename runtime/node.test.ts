import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { createNode } from './node.ts';
import type { Pid } from './pid.ts';
import { createTestNode } from './testing/test-node.ts';

type Step = (ctx: Context) => void;
const actor: Behavior<unknown[], unknown[], Step> = {
  name: 'actor',
  init: (heard) => heard,
  handleCast: (step, _heard, ctx) => step(ctx),
  handleInfo: (info, heard) => void heard.push(info),
};

t.test('a send says what became of it', async (t) => {
  const { node, settle } = createTestNode();
  const pid = node.spawn(actor, [], { name: 'one', mailboxMax: 1 });
  t.equal(node.send('one', 1), 'ok');
  t.equal(node.send(pid, 2), 'full');
  await settle();
  t.equal(node.send({ name: 'one', worker: 0 }, 3), 'ok');
  t.equal(node.send('two', 4), 'noproc');
  t.equal(node.send({ name: 'two', worker: 0 }, 4), 'noproc');
  t.equal(node.send({ name: 'one', worker: 1 }, 4), 'noconnection');
  node.exit(pid, 'kill');
  await settle();
  t.equal(node.send(pid, 5), 'noproc');
  const { node: other } = createTestNode({ name: 'other' });
  t.equal(other.send(pid, 6), 'noconnection');
  for (const wrong of [null, undefined, {}, { name: 'one' }]) t.throws(() => node.send(wrong as never, 1), TypeError);
});

t.test('timers: to itself, to a name, cancelled, over a full mailbox', async (t) => {
  const { node, advance } = createTestNode();
  const heard: unknown[] = [];
  const named: unknown[] = [];
  const pid = node.spawn(actor, heard, { mailboxMax: 1 });
  node.spawn(actor, named, { name: 'named' });
  const cancelled: boolean[] = [];
  node.cast(pid, (ctx) => {
    ctx.sendAfter(10, 'ten');
    ctx.sendAfter(5, 'five');
    ctx.sendAfter(7, 'seven', 'named');
    const ref = ctx.sendAfter(6, 'never');
    cancelled.push(ctx.cancelTimer(ref), ctx.cancelTimer(ref));
    for (const delayMs of [-1, NaN, LIMITS.timerDelayMsMax + 1]) t.throws(() => ctx.sendAfter(delayMs, 1), RangeError);
  });
  await advance(9, 1);
  t.strictSame(heard, ['five']);
  t.strictSame(named, ['seven']);
  t.strictSame(cancelled, [true, false]);
  t.equal(node.processInfo(pid)?.timerCount, 1);
  node.send(pid, 'fills it');
  await advance(1);
  t.strictSame(heard, ['five', 'fills it', 'ten']);
  t.equal(node.info().timerCount, 0);
});

t.test('an actor registers itself and others, and the name goes with it', async (t) => {
  const { node, settle } = createTestNode();
  const [first, second] = [node.spawn(actor, []), node.spawn(actor, [])];
  const results: unknown[] = [];
  node.cast(first, (ctx) => {
    results.push(ctx.register('a'), ctx.register('b'), ctx.register('a', second), ctx.register('c', second));
    results.push(ctx.whereis('c') === second, ctx.unregister('c'), ctx.unregister('c'));
  });
  await settle();
  t.strictSame(results, ['ok', 'already_named', 'taken', 'ok', true, true, false]);
  node.exit(first, 'kill');
  await settle();
  t.equal(node.whereis('a'), undefined);
  t.equal(node.register('a', first), 'noproc');
  t.equal(node.register('a', second), 'ok');
});

t.test('stop ends what the node started in reverse order, in order, and kills the rest', async (t) => {
  const { node, settle, logged } = createTestNode();
  const order: string[] = [];
  const root: Behavior<string, string> = {
    name: 'root',
    init: (name, ctx) => (ctx.trapExit(true), name),
    terminate: (reason, name) => void order.push(`${name} ${String(reason)}`),
  };
  const early = node.start(root, 'early') as { ok: Pid };
  node.start(root, 'first');
  node.exit(early.ok, 'kill');
  await settle();
  node.start(root, 'second');
  node.spawn(actor, []);
  const stopping = node.stop(100);
  await settle();
  t.equal(await stopping, 1, 'one was nobody’s and had to be killed');
  t.strictSame(order, ['second shutdown', 'first shutdown']);
  t.match(node.info(), { processCount: 0, timerCount: 0 });
  t.strictSame(logged, []);
});

t.test('stop waits no longer than allowed', async (t) => {
  const { node, advance, logged } = createTestNode();
  const stuck: Behavior<null> = {
    name: 'stuck',
    init: (_args, ctx) => (ctx.trapExit(true), null),
    terminate: () => new Promise(() => {}),
  };
  node.start(stuck, undefined);
  let killed: number | undefined;
  void node.stop(100).then((count) => (killed = count));
  await advance(99);
  t.equal(killed, undefined);
  await advance(1);
  t.equal(killed, 1);
  t.match(logged, [{ event: 'stop_timed_out' }]);
});

t.test('turn-end callbacks run after the actors of the turn', async (t) => {
  const { node, settle } = createTestNode();
  const heard: unknown[] = [];
  const seenAtEnd: number[] = [];
  const pid = node.spawn(actor, heard);
  const remove = node.onTurnEnd(() => seenAtEnd.push(heard.length));
  for (const message of [1, 2, 3]) node.send(pid, message);
  await settle();
  t.strictSame(seenAtEnd, [3]);
  remove();
  node.send(pid, 4);
  await settle();
  t.strictSame(seenAtEnd, [3]);
});

t.test('the same seed gives the same pids, another one others', async (t) => {
  const pidWith = (seed: number): string => String(createTestNode({ seed }).node.spawn(actor, []));
  t.equal(pidWith(7), pidWith(7));
  t.not(pidWith(7), pidWith(8), 'so a pid of an earlier run names nobody');
});

t.test('processInfo tells what there is to tell', async (t) => {
  const { node, settle } = createTestNode();
  const pid: Pid<Step> = node.spawn(actor, [], { name: 'x' });
  t.equal(node.processInfo(pid)?.status, 'starting');
  await settle();
  node.cast(pid, (ctx) => void ctx.trapExit(true));
  t.equal(node.processInfo(pid)?.status, 'ready');
  await settle();
  t.strictSame(node.processInfo(pid), {
    pid,
    name: 'x',
    behavior: 'actor',
    version: 0,
    status: 'waiting',
    messageQueueLen: 0,
    messageQueueMax: LIMITS.mailboxCountMax,
    messageQueueAgeMs: 0,
    refusedCount: 0,
    droppedCount: 0,
    reductions: 1,
    runtimeMs: 0,
    linkCount: 0,
    monitorCount: 0,
    monitoredByCount: 0,
    timerCount: 0,
    trapsExits: true,
  });
  t.strictSame(node.processes(), [pid]);
});

t.test('a node needs a name and a worker number', async (t) => {
  const { node } = createTestNode();
  const { clock, random, log, scheduler } = node.kernel;
  const loop = { defer: () => void scheduler };
  t.throws(() => createNode({ name: '', clock, random, log, loop }), RangeError);
  t.throws(() => createNode({ name: 'x', worker: -1, clock, random, log, loop }), RangeError);
});
