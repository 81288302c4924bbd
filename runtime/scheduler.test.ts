import t from 'tap';

import { type AnyBehavior, behaviorSlotOf } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { Process } from './process.ts';
import { Scheduler } from './scheduler.ts';
import { createTestNode } from './testing/test-node.ts';
import { ManualLoop, VirtualClock } from './testing/virtual-clock.ts';

const behavior: AnyBehavior = { name: 'none', init: () => null };

interface Bench {
  clock: VirtualClock;
  loop: ManualLoop;
  scheduler: Scheduler;
  ran: string[];
  newProcess(): Process;
  onRun: (process: Process) => void;
  onTurnEnd: (process: Process) => void;
}

function createBench(): Bench {
  const clock = new VirtualClock();
  const loop = new ManualLoop();
  const ran: string[] = [];
  const { kernel } = createTestNode().node;
  const bench: Bench = {
    clock,
    loop,
    ran,
    scheduler: new Scheduler(loop, clock, {
      run(process) {
        ran.push(`run ${process.slot}`);
        bench.onRun(process);
      },
      runTurnEnd(process) {
        ran.push(`end ${process.slot}`);
        bench.onTurnEnd(process);
      },
    }),
    newProcess: () => new Process(kernel, kernel.processes.allocate(), behaviorSlotOf(behavior), null, 1, null),
    onRun: () => {},
    onTurnEnd: () => {},
  };
  return bench;
}

t.test('runs nothing until the loop comes round, and then each ready actor once, in order', async (t) => {
  const { scheduler, loop, ran, newProcess } = createBench();
  const [first, second] = [newProcess(), newProcess()];
  for (const process of [first, second, first]) scheduler.schedule(process);
  t.strictSame(ran, []);
  t.equal(loop.deferredCount, 1, 'one wake-up for all of them');
  loop.run();
  t.strictSame(ran, ['run 1', 'run 2']);
  t.equal(loop.deferredCount, 0);
});

t.test('work made by an actor runs in the same turn', async (t) => {
  const bench = createBench();
  const { scheduler, loop, ran } = bench;
  const [first, second] = [bench.newProcess(), bench.newProcess()];
  bench.onRun = (process) => process === first && ran.length < 3 && scheduler.schedule(second);
  scheduler.schedule(first);
  loop.run();
  t.strictSame(ran, ['run 1', 'run 2']);
});

t.test('turn ends come after all ready actors, once each, and the work they make before the hooks', async (t) => {
  const bench = createBench();
  const { scheduler, loop, ran } = bench;
  const [first, second] = [bench.newProcess(), bench.newProcess()];
  scheduler.onTurnStart(() => ran.push('start'));
  scheduler.onTurnEnd(() => ran.push('flush'));
  scheduler.onIdle(() => ran.push('idle'));
  bench.onRun = (process) => {
    if (process === first) scheduler.requestTurnEnd(first);
    if (process === first) scheduler.requestTurnEnd(first);
  };
  bench.onTurnEnd = () => scheduler.schedule(second);
  scheduler.schedule(first);
  scheduler.schedule(second);
  loop.run();
  t.strictSame(ran, ['start', 'run 1', 'run 2', 'end 1', 'run 2', 'flush', 'idle']);
});

t.test('a chain of turn ends is broken after its bound and goes on in the next turn', async (t) => {
  const bench = createBench();
  const { scheduler, loop, ran } = bench;
  const process = bench.newProcess();
  bench.onTurnEnd = () => scheduler.requestTurnEnd(process);
  scheduler.requestTurnEnd(process);
  loop.run();
  t.equal(ran.length, LIMITS.turnEndRoundsMax);
  t.equal(loop.deferredCount, 1);
});

t.test('a slice that is used up gives the loop back and loses nothing', async (t) => {
  const bench = createBench();
  const { scheduler, loop, ran, clock } = bench;
  let flushes = 0;
  scheduler.onTurnEnd(() => (flushes += 1));
  bench.onRun = () => clock.advance(1);
  for (let index = 0; index < 100; index += 1) scheduler.schedule(bench.newProcess());
  loop.run();
  t.equal(ran.length, LIMITS.sliceCheckTurns, 'looked at the clock after so many');
  t.equal(flushes, 1, 'what the slice did is flushed with it');
  t.equal(loop.deferredCount, 1);
  while (loop.run());
  t.equal(ran.length, 100);
});

t.test('an actor that makes itself ready again does not keep the others from running', async (t) => {
  const bench = createBench();
  const { scheduler, loop, ran, clock } = bench;
  const [busy, other] = [bench.newProcess(), bench.newProcess()];
  bench.onRun = (process) => {
    clock.advance(1);
    if (process === busy) scheduler.schedule(busy);
  };
  scheduler.schedule(busy);
  scheduler.schedule(other);
  loop.run();
  t.strictSame(ran.slice(0, 3), ['run 1', 'run 2', 'run 1']);
});

t.test('a turn that settled a promise is followed by one soon, within one slice', async (t) => {
  const bench = createBench();
  const soon: (() => void)[] = [];
  const withSoon = {
    defer: (callback: () => void) => bench.loop.defer(callback),
    soon: (callback: () => void) => void soon.push(callback),
  };
  let runs = 0;
  const scheduler: Scheduler = new Scheduler(withSoon, bench.clock, {
    run() {
      runs += 1;
      bench.clock.advance(3);
      scheduler.noteSettled();
    },
    runTurnEnd: () => {},
  });
  scheduler.schedule(bench.newProcess());
  bench.loop.run();
  for (let turn = 2; turn <= 4; turn += 1) {
    // What a settled promise does: it makes its actor ready.
    scheduler.schedule(bench.newProcess());
    soon.shift()?.();
  }
  t.equal(runs, 3, 'three times 3 ms are over the slice of 8');
  t.equal(soon.length, 0);
  t.equal(bench.loop.deferredCount, 1, 'so the fourth waits until sockets were read');
});

t.test('a removed hook is not called', async (t) => {
  const { scheduler, loop } = createBench();
  let calls = 0;
  const remove = scheduler.onTurnEnd(() => (calls += 1));
  scheduler.wake();
  loop.run();
  remove();
  scheduler.wake();
  loop.run();
  t.equal(calls, 1);
});

t.test('a hook that throws is the loop’s to hear of, and the scheduler goes on', async (t) => {
  const { scheduler, loop, ran, newProcess } = createBench();
  const off = scheduler.onTurnEnd(() => {
    throw new Error('thrown by a hook');
  });
  const [first, second] = [newProcess(), newProcess()];
  scheduler.schedule(first);
  t.throws(() => loop.run(), { message: 'thrown by a hook' });
  t.equal(scheduler.running, false);
  off();
  scheduler.schedule(second);
  loop.run();
  t.strictSame(ran, [`run ${first.slot}`, `run ${second.slot}`]);
});
