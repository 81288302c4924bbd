import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context } from '../behavior.ts';
import { type Down, type Exit, isDown, isExit } from '../envelope.ts';
import { linkKeys } from '../links.ts';
import type { RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { FLAG, type Process } from '../process.ts';
import type { Ref } from '../ref.ts';
import { describe, graphs, predict } from '../relations.test-kit.ts';
import { createSeededRandom } from './seeded-random.ts';
import { explore, formatResult, simulate, type Simulation } from './simulation.ts';

const SEEDS = Number(process.env.SIM_SEEDS ?? 150);

type Step = (ctx: Context) => void | Promise<void>;
interface Handle {
  readonly pid: Pid<Step>;
  readonly infos: unknown[];
}
const actor: Behavior<{ infos: unknown[] }, { trap: boolean; infos: unknown[] }, Step> = {
  name: 'actor',
  init({ trap, infos }, ctx) {
    ctx.trapExit(trap);
    return { infos };
  },
  handleCast: (step, _state, ctx) => step(ctx),
  handleInfo: (info, { infos }) => void infos.push(info),
};

function spawnActor(node: RuntimeNode, trap: boolean = false): Handle {
  const infos: unknown[] = [];
  return { pid: node.spawn(actor, { trap, infos }), infos };
}

/** Actors that pass a number on to a neighbour until it is 0. */
function chatter(sim: Simulation): void {
  const behavior: Behavior<null, void, { left: number; peers: Pid[] }> = {
    name: 'chatter',
    init: () => null,
    handleCast: ({ left, peers }, _state, ctx) => {
      if (left > 0) ctx.cast(peers[ctx.random.integer(peers.length)]!, { left: left - 1, peers });
    },
  };
  const peers = [0, 1, 2, 3].map(() => sim.node.spawn(behavior, undefined));
  for (const pid of peers) sim.node.cast(pid, { left: 20, peers });
}

t.test('a seed is one run, and another seed another one', async (t) => {
  const runs = await Promise.all([7, 7, 8].map((seed) => simulate({ seed, program: chatter })));
  t.strictSame(runs[0], runs[1]);
  t.not(runs[0]!.fingerprint, runs[2]!.fingerprint, 'in another order');
  t.equal(runs[0]!.failure, null);
});

t.test('what does not hold is told with its name, wherever it is found', async (t) => {
  const failureOf = async (program: (sim: Simulation) => void): Promise<unknown> =>
    (await simulate({ seed: 1, program })).failure;
  t.match(await failureOf((sim) => (chatter(sim), sim.always('never', () => false))), { message: 'never' });
  t.match(await failureOf((sim) => sim.atEnd('last', () => 'because')), { message: 'last: because' });
  t.match(await failureOf((sim) => sim.atEnd('late', async () => Promise.reject(new RangeError('x')))), {
    name: 'RangeError',
  });
  t.match(
    await failureOf(() => {
      throw new TypeError('wrong');
    }),
    { name: 'TypeError', message: 'wrong' },
  );
});

t.test('a program that does not come to rest fails, and one that waits for ever ends with its time', async (t) => {
  const busy = await simulate({
    seed: 1,
    stepsMax: 500,
    traceMax: 10,
    program(sim) {
      const { pid } = spawnActor(sim.node);
      const again: Step = (ctx) => void ctx.cast(ctx.self, again);
      sim.node.cast(pid, again);
    },
  });
  t.match(busy, { failure: { message: 'no rest after 500 turns' }, steps: 500, trace: { length: 10 } });
  t.match(formatResult(busy), /^seed 1: CheckFailed: no rest[^]*actor 0\.1 {2}cast/);
  let ticks = 0;
  const waiting = await simulate({
    seed: 1,
    forMs: 1_000,
    program(sim) {
      const { pid } = spawnActor(sim.node);
      const tick: Step = (ctx) => {
        ticks += 1;
        ctx.sendAfter(100, 'x');
      };
      for (let at = 0; at < 20; at += 1) sim.clock.setTimer(at * 100, () => void sim.node.cast(pid, tick));
    },
  });
  t.match(waiting, { failure: null, virtualMs: 1_000 });
  t.equal(ticks, 11);
});

t.test('checks at the end may call actors', async (t) => {
  const server: Behavior<null, void, void, number, number> = {
    name: 'server',
    init: () => null,
    handleCall: (request) => request * 2,
  };
  const { failure } = await simulate({
    seed: 1,
    program(sim) {
      sim.node.spawn(server, undefined, { name: 'server' });
      sim.atEnd('answers', async () => (await sim.node.call<number>('server', 21, 100)) === 42);
    },
  });
  t.equal(failure, null);
});

t.test('exit signals reach exactly the linked and the monitoring, in whatever order actors run', async (t) => {
  const matches = fc.asyncProperty(graphs, fc.nat(), async (drawn, seed) => {
    const { failure } = await simulate({
      seed,
      program(sim) {
        const handles = drawn.traps.map((trap) => spawnActor(sim.node, trap));
        for (const [a, b] of drawn.links) sim.node.cast(handles[a]!.pid, (ctx) => ctx.link(handles[b]!.pid));
        for (const [a, b] of drawn.monitors) sim.node.cast(handles[a]!.pid, (ctx) => void ctx.monitor(handles[b]!.pid));
        sim.clock.setTimer(10, () => sim.node.exit(handles[drawn.victim]!.pid, drawn.reason));
        const nameOf = (pid: Pid): string => {
          const found = handles.findIndex((handle) => handle.pid === pid);
          return found === -1 ? 'node' : String(found);
        };
        const tell = ({ pid, reason }: Exit | Down): string => `${nameOf(pid)} ${describe(reason)}`;
        const expected = predict(drawn);
        sim.atEnd('as the model says', () => {
          for (const [at, { pid, infos }] of handles.entries()) {
            if ((sim.node.processInfo(pid) !== undefined) !== expected.alive[at]) return `${at} lives or not`;
            if (!expected.alive[at]) continue;
            const exits = infos.filter(isExit).map(tell).sort().join();
            const downs = infos.filter(isDown).map(tell).sort().join();
            if (exits !== expected.exits[at]!.sort().join()) return `${at} heard exits ${exits}`;
            if (downs !== expected.downs[at]!.sort().join()) return `${at} heard downs ${downs}`;
          }
          return true;
        });
      },
    });
    return failure === null;
  });
  await fc.assert(matches, { numRuns: 150 });
  t.pass();
});

t.test('messages of one pair keep their order, on one worker and across, under any seed', async (t) => {
  const { failure, steps } = await explore({
    seeds: { from: 1, count: 60 },
    workerCount: 3,
    program(sim) {
      const handles = sim.nodes.flatMap((node) => [spawnActor(node), spawnActor(node)]);
      for (let number = 0; number < 200; number += 1) {
        const from = handles[sim.random.integer(handles.length)]!.pid;
        const to = handles[sim.random.integer(handles.length)]!.pid;
        const { node } = sim;
        // Between workers a function does not travel: each sender is told on its own worker.
        const own = sim.nodes[from.worker]!;
        own.cast(from, (ctx) => void ctx.send(to, [String(from), number]));
        if (number % 50 === 0) node.cast(handles[0]!.pid, () => {});
      }
      sim.atEnd('in order', () => {
        let count = 0;
        for (const { infos } of handles) {
          const last = new Map<string, number>();
          for (const [from, number] of infos as [string, number][]) {
            if ((last.get(from) ?? -1) >= number) return `${number} from ${from} came late`;
            last.set(from, number);
            count += 1;
          }
        }
        return count === 200 || `${count} of 200 arrived`;
      });
    },
  });
  t.equal(failure, null, failure === null ? '' : formatResult(failure));
  t.ok(steps > 60 * 50, `${steps} turns`);
});

/** What one actor does, drawn; all that makes something which must not outlive it. */
function randomStep(sim: Simulation, handles: Handle[]): Step {
  const { random } = sim;
  const other = (): Pid => handles[random.integer(handles.length)]!.pid;
  const [target, kind, delayMs] = [other(), random.integer(12), random.integer(50)];
  const refs: Ref[] = [];
  return (ctx) => {
    if (kind === 0) ctx.link(target);
    else if (kind === 1) ctx.unlink(target);
    else if (kind <= 3) refs.push(ctx.monitor(target));
    else if (kind === 4) refs.forEach((ref) => ctx.demonitor(ref));
    else if (kind === 5) ctx.sendAfter(delayMs, 'tick', target);
    else if (kind === 6) ctx.receiveTimeout(delayMs + 1);
    else if (kind === 7) ctx.sendRequest(target, 'x', delayMs + 1);
    else if (kind === 8) ctx.exit(target, delayMs % 2 === 0 ? 'shutdown' : 'kill');
    else if (kind === 9) ctx.stop(delayMs % 2 === 0 ? 'normal' : { error: { name: 'E', message: 'm' } });
    else if (kind === 10) ctx.continue('x');
    else ctx.spawn(actor, { trap: delayMs % 2 === 0, infos: [] }, { link: true, monitor: true });
  };
}

function* listed<T>(first: T | null, next: (item: T) => T | null): Generator<T> {
  for (let item = first; item !== null; item = next(item)) yield item;
}

/** What is wrong with the relations of the living: a link or monitor that only one side knows, or to the dead. */
function strays(nodes: readonly RuntimeNode[]): string | true {
  const living = new Map<string, Process>();
  for (const { kernel } of nodes) for (const process of kernel.processes.all()) living.set(String(process), process);
  for (const [name, process] of living) {
    for (const key of linkKeys(process.links)) {
      const peer = living.get(String(key));
      if (peer === undefined) return `${name} is linked to the dead ${String(key)}`;
      if (![...linkKeys(peer.links)].map(String).includes(name))
        return `${String(key)} does not know its link to ${name}`;
    }
    for (const made of listed(process.watching, (each) => each.nextWatched)) {
      if (made.target !== null && made.target.has(FLAG.dead)) return `${name} monitors the dead ${made.target}`;
    }
    for (const made of listed(process.watchers, (each) => each.nextWatcher)) {
      if (made.watcher !== null && made.watcher.has(FLAG.dead)) return `the dead ${made.watcher} monitors ${name}`;
      if (!living.has(String(made.watcherPid))) return `the dead ${made.watcherPid} monitors ${name} from afar`;
    }
  }
  for (const { kernel } of nodes) {
    let owned = 0;
    for (const process of kernel.processes.all()) owned += [...listed(process.timers, (each) => each.nextOwned)].length;
    if (kernel.timers.count !== owned) return `${kernel.timers.count} timers, ${owned} of them of the living`;
  }
  return true;
}

t.test('no timer, monitor or link outlives its actor, under random programs, workers and seeds', async (t) => {
  const { failure, steps } = await explore({
    seeds: { from: 1, count: SEEDS },
    workerCount: 2,
    program(sim) {
      const handles = sim.nodes.flatMap((node) => Array.from({ length: 5 }, (_, index) => spawnActor(node, index < 2)));
      for (let count = 0; count < 60; count += 1) {
        const { pid } = handles[sim.random.integer(handles.length)]!;
        const step = randomStep(sim, handles);
        sim.clock.setTimer(sim.random.integer(40), () => void sim.nodes[pid.worker]!.cast(pid, step));
      }
      sim.inject({ killOneIn: 80, untilMs: 30 });
      sim.atEnd('no strays', () => strays(sim.nodes));
    },
  });
  t.equal(failure, null, failure === null ? '' : formatResult(failure));
  t.ok(steps > 5_000, `${steps} turns`);
});

t.test('the check for strays sees one that is planted', async (t) => {
  const { failure } = await simulate({
    seed: 1,
    program(sim) {
      const [a, b] = [spawnActor(sim.node), spawnActor(sim.node)];
      sim.node.cast(a.pid, (ctx) => ctx.link(b.pid));
      sim.atEnd('no strays', () => {
        sim.node.kernel.processes.get(b.pid)!.links = null;
        return strays(sim.nodes);
      });
    },
  });
  t.match(failure, { message: /does not know its link/ });
});

t.test('a seeded random of the program is not that of the schedule', async (t) => {
  const drawn: number[] = [];
  await simulate({ seed: 3, program: (sim) => void drawn.push(sim.random.integer(1_000), sim.random.integer(1_000)) });
  const own = createSeededRandom(3);
  t.strictSame(drawn, [own.integer(1_000), own.integer(1_000)]);
});
