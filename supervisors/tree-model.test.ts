import fc from 'fast-check';
import t from 'tap';

import type { Pid } from '../runtime/index.ts';
import type { AutoShutdown, Restart } from './child-spec.ts';
import {
  type ChildSpec,
  deleteChild,
  restartChild,
  startSupervisor,
  type SupervisorOptions,
  supervisorSpec,
  terminateChild,
  whichChildren,
} from './index.ts';
import { newWorld, plantTree, spec, startTree, type Tree, type World } from './test-kit.ts';
import { type SupervisorNode, TreeModel, type TreeNode, type Way } from './tree-model.fixture.ts';

// Random programs for each property; SUPERVISOR_RUNS=5000 for the long form.
const RUNS = Number(process.env['SUPERVISOR_RUNS'] ?? 150);
const PERIOD_MS = 10_000;

// --- random trees ----------------------------------------------------------------------------------------------------

/** A tree without names. */
type Shape =
  | { kind: 'worker'; restart: Restart; significant: boolean }
  | {
      kind: 'supervisor';
      restart: Restart;
      significant: boolean;
      strategy: SupervisorNode['strategy'];
      intensity: number;
      autoShutdown: AutoShutdown;
      children: Shape[];
    };

const life = {
  restart: fc.constantFrom<Restart>('permanent', 'permanent', 'transient', 'temporary'),
  significant: fc.boolean(),
};
const family = {
  strategy: fc.constantFrom<SupervisorNode['strategy']>('one_for_one', 'one_for_all', 'rest_for_one'),
  intensity: fc.nat(3),
  autoShutdown: fc.constantFrom<AutoShutdown>('never', 'never', 'any_significant', 'all_significant'),
};
const { tree: shapes } = fc.letrec<{ tree: Shape; node: Shape }>((tie) => ({
  tree: fc.record({
    kind: fc.constant('supervisor' as const),
    ...life,
    ...family,
    children: fc.array(tie('node'), { minLength: 1, maxLength: 4 }),
  }),
  node: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('worker' as const), ...life }) },
    { weight: 1, arbitrary: tie('tree') },
  ),
}));

/** Gives names (`root`, `root.0`, …), and takes significance from those that cannot have it. */
function named(shape: Shape, id: string, heeded: boolean): TreeNode {
  const significant = shape.significant && heeded && shape.restart !== 'permanent';
  if (shape.kind === 'worker') return { ...shape, id, significant };
  const heeds = shape.autoShutdown !== 'never';
  const children = shape.children.map((child, index) => named(child, `${id}.${index}`, heeds));
  return { ...shape, id, significant, children };
}

function optionsOf(world: World, node: SupervisorNode): SupervisorOptions {
  const { id: name, strategy, intensity, autoShutdown, children } = node;
  const specs = children.map((child): ChildSpec => {
    const { id, restart, significant } = child;
    if (child.kind === 'worker') return spec(world, id, { restart, significant });
    return supervisorSpec(optionsOf(world, child), { restart, significant });
  });
  return { name, strategy, intensity, autoShutdown, periodMs: PERIOD_MS, children: specs };
}

// --- random programs -------------------------------------------------------------------------------------------------

/** One step; `pick` chooses among what is there at that moment. */
type Step =
  | { type: 'end'; pick: number; way: Way; failures: number }
  | { type: 'kill siblings'; pick: number }
  | { type: 'terminate' | 'restart' | 'delete'; pick: number; child: number }
  | { type: 'wait' };

const pick = fc.nat(1_000);
const steps = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('end' as const),
      pick,
      way: fc.constantFrom<Way>('normal', 'an error thrown', 'kill'),
      failures: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('kill siblings' as const), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('terminate', 'restart', 'delete'), pick, child: pick }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const) }) },
) as fc.Arbitrary<Step>;

async function runStep(step: Step, tree: Tree, model: TreeModel): Promise<void> {
  if (step.type === 'wait') {
    model.nowMs += 2 * PERIOD_MS;
    return tree.advance(2 * PERIOD_MS);
  }
  const workers = model.workers();
  if (step.type === 'end' && workers.length > 0) {
    const id = workers[step.pick % workers.length]!;
    for (const world of [model, tree.world]) world.failing.set(id, step.failures);
    model.end([id], step.way);
    await tree.end(id, step.way);
  }
  if (step.type === 'kill siblings' && workers.length > 0) {
    const first = workers[step.pick % workers.length]!;
    const siblings = workers.filter((id) => parentOf(id) === parentOf(first)).slice(0, 2);
    model.end(siblings, 'kill');
    for (const pid of siblings.map((id) => tree.pidOf(id)!)) tree.node.exit(pid, 'kill');
  }
  if ('child' in step) await administer(step, tree, model);
  // Room for restarts that fail and are tried again, far below the period.
  await tree.advance(12, 1);
}

async function administer(
  { type, pick, child }: Extract<Step, { child: number }>,
  tree: Tree,
  model: TreeModel,
): Promise<void> {
  const supervisors = model.supervisors();
  const supervisor = supervisors[pick % supervisors.length];
  const children = supervisor === undefined ? [] : model.children(supervisor)!;
  if (supervisor === undefined || children.length === 0) return;
  const [id, state] = children[child % children.length]!;
  const request = { terminate: terminateChild, restart: restartChild, delete: deleteChild }[type];
  const asked = tree.ask<unknown>(request(tree.node, supervisor, id)) as Promise<{ error?: string }>;
  const should = type !== 'terminate' && state === 'up' ? 'SUP_RUNNING' : modelAnswer(model, type, supervisor, id);
  const { error } = await asked;
  if (error !== should) throw new Error(`${type} ${id} was answered ${error}, and not ${should}`);
}

function modelAnswer(
  model: TreeModel,
  type: 'terminate' | 'restart' | 'delete',
  supervisor: string,
  id: string,
): string | undefined {
  const done = model[type](supervisor, id);
  return done === false ? 'SUP_START_FAILED' : undefined;
}

function parentOf(id: string): string {
  return id.slice(0, id.lastIndexOf('.'));
}

/** What can be seen of a running tree, in the words of the model. */
async function seen(tree: Tree, model: TreeModel): Promise<unknown> {
  const children = [];
  for (const id of model.supervisors()) {
    const infos = await tree.ask(whichChildren(tree.node, id));
    children.push([id, infos.map((info) => [info.id, info.pid === undefined ? 'down' : 'up'])]);
  }
  const alive = tree.node.processes().map((pid) => tree.node.processInfo(pid)!.name!);
  const reports = tree.logged
    .filter(({ event }) => event === 'supervisor_report')
    .map(({ fields }) => [fields['supervisor'], fields['errorContext'], (fields['offender'] as { id: string }).id]);
  return {
    events: tree.world.events,
    alive: alive.sort(),
    reports: reports.map((words) => words.join(' ')),
    children,
  };
}

function expected(model: TreeModel): unknown {
  const children = model.supervisors().map((id) => [id, model.children(id)]);
  return { events: model.events, alive: model.alive(), reports: model.reports, children };
}

async function follows(shape: Shape, program: readonly Step[], sabotage?: (tree: Tree) => void): Promise<string> {
  const node = named(shape, 'root', false) as SupervisorNode;
  const model = new TreeModel(node, PERIOD_MS);
  const world = newWorld();
  const tree = await plantTree(world, (test) => startSupervisor(test.node, optionsOf(world, node)));
  for (const [index, step] of program.entries()) {
    await runStep(step, tree, model);
    sabotage?.(tree);
    const [is, should] = [JSON.stringify(await seen(tree, model)), JSON.stringify(expected(model))];
    if (is !== should) return `after step ${index}, ${JSON.stringify(step)}:\n  is     ${is}\n  should ${should}`;
  }
  return 'as the model says';
}

t.test('random trees do what the model does: who runs, in which order, what is reported', async (t) => {
  const covered = { events: 0 };
  const agrees = fc.asyncProperty(shapes, fc.array(steps, { minLength: 1, maxLength: 12 }), async (shape, program) => {
    const verdict = await follows(shape, program, (tree) => void (covered.events += tree.world.events.length));
    if (verdict !== 'as the model says') throw new Error(verdict);
  });
  await fc.assert(agrees, { numRuns: RUNS });
  t.ok(covered.events > RUNS, `${covered.events} starts and stops were compared`);
});

t.test('a tree that is tampered with is found out', async (t) => {
  const shape: Shape = {
    ...{ kind: 'supervisor', restart: 'permanent', significant: false, strategy: 'one_for_all', intensity: 3 },
    autoShutdown: 'never',
    children: [0, 1].map(() => ({ kind: 'worker', restart: 'permanent', significant: false })),
  };
  const program: Step[] = [{ type: 'end', pick: 0, way: 'an error thrown', failures: 0 }];
  t.equal(await follows(shape, program), 'as the model says');
  t.match(await follows(shape, program, (tree) => tree.world.events.reverse()), /is .*should/s);
  t.match(await follows(shape, program, (tree) => tree.logged.splice(0)), /is .*should/s);
  t.match(await follows(shape, program, (tree) => tree.node.unregister('root.1')), /is .*should/s);
});

// --- bounds ----------------------------------------------------------------------------------------------------------

t.test('never more than `intensity` restarts within `period`, and nobody is left when it gives up', async (t) => {
  const ends = { gaveUp: 0, wentOn: 0 };
  const bounded = fc.asyncProperty(
    fc.constantFrom<SupervisorNode['strategy']>('one_for_one', 'one_for_all', 'rest_for_one'),
    fc.nat(4),
    fc.integer({ min: 1, max: 400 }),
    fc.array(fc.nat(200), { maxLength: 25 }),
    async (strategy, intensity, periodMs, gapsMs) => {
      const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')], { strategy, intensity, periodMs });
      const restartsMs: number[] = [];
      for (const gapMs of gapsMs) {
        await tree.advance(gapMs);
        if (tree.pidOf('a') === undefined) break;
        tree.happened();
        await tree.end('a');
        if (tree.happened().includes('start a')) restartsMs.push(tree.clock.monotonicMs());
      }
      for (const fromMs of restartsMs) {
        const within = restartsMs.filter((atMs) => atMs >= fromMs && atMs <= fromMs + periodMs);
        if (within.length > intensity) throw new Error(`${within.join()} ms: more than ${intensity}`);
      }
      const gaveUp = tree.node.processInfo(tree.root) === undefined;
      ends[gaveUp ? 'gaveUp' : 'wentOn'] += 1;
      if (gaveUp && tree.node.info().processCount > 0) throw new Error('somebody is left');
    },
  );
  await fc.assert(bounded, { numRuns: RUNS });
  t.ok(ends.gaveUp > 0 && ends.wentOn > 0, JSON.stringify(ends));
});

t.test('no child is alive after its supervisor ended, however it ended', async (t) => {
  const buried = fc.asyncProperty(shapes, pick, fc.constantFrom('kill', 'shutdown'), async (shape, choice, reason) => {
    const node = named({ ...shape, restart: 'permanent' }, 'root', false) as SupervisorNode;
    const model = new TreeModel(node, PERIOD_MS);
    const world = newWorld();
    const tree = await plantTree(world, (test) => startSupervisor(test.node, optionsOf(world, node)));
    const names = model.supervisors();
    const name = names[choice % names.length]!;
    const below = model.alive().filter((other) => other.startsWith(`${name}.`));
    const pids = [name, ...below].map((each) => tree.pidOf(each)!);
    tree.node.exit(pids[0]!, reason as 'kill');
    // A supervisor that is not the root traps what comes from strangers, and stays.
    await tree.advance(12, 1);
    const alive = pids.filter((pid: Pid) => tree.node.processInfo(pid) !== undefined);
    if (tree.node.processInfo(pids[0]!) === undefined && alive.length > 0) throw new Error(`${alive.join()} live`);
  });
  await fc.assert(buried, { numRuns: RUNS });
  t.pass();
});
