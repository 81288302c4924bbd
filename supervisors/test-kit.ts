/**
 * What the tests of this folder share: a worker that does as it is told and writes down its life, and trees of them on a
 * node with virtual time.
 */

import type { AnyBehavior, Behavior, ExitReason, Pid, StartResult } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { type ChildSpec, childSpec, startSupervisor, type SupervisorOptions } from './index.ts';

/** What the workers of a test have done, in order, and what is planned for them. */
export interface World {
  /** `start a`, `stop a`. */
  events: string[];
  /** How often the next starts of an id fail, or decline. */
  failing: Map<string, number>;
  declining: Set<string>;
}

export interface WorkerArgs {
  readonly id: string;
  readonly world: World;
  /** How it takes `shutdown`: at once, in its own time, or not at all. */
  readonly ends?: 'at once' | 'in order' | 'never';
  readonly slowStart?: boolean;
}

/** The ways in which a worker ends: what to cast at it, or to send it as an exit signal. */
export const WAYS: Readonly<Record<string, { readonly reason: ExitReason; end(tree: Tree, pid: Pid): void }>> = {
  normal: { reason: 'normal', end: (tree, pid) => void tree.node.cast(pid, 'normal') },
  shutdown: { reason: 'shutdown', end: (tree, pid) => void tree.node.cast(pid, 'shutdown') },
  '{shutdown, …}': { reason: { shutdown: 'done' }, end: (tree, pid) => void tree.node.cast(pid, { shutdown: 'done' }) },
  'an error thrown': {
    reason: { error: { name: 'Error', message: 'crash' } },
    end: (tree, pid) => void tree.node.cast(pid, 'crash'),
  },
  kill: { reason: 'killed', end: (tree, pid) => tree.node.exit(pid, 'kill') },
  'a link to nobody': { reason: 'noproc', end: (tree, pid) => void tree.node.cast(pid, 'noproc') },
  'a lost connection': { reason: 'noconnection', end: (tree, pid) => void tree.node.cast(pid, 'noconnection') },
};

export const worker: Behavior<WorkerArgs, WorkerArgs, ExitReason | 'crash' | 'unlink'> = {
  name: 'worker',
  init(args, ctx): WorkerArgs | Promise<WorkerArgs> {
    const { id, world, ends = 'at once', slowStart = false } = args;
    if (world.declining.has(id)) ctx.stop('normal');
    const failures = world.failing.get(id) ?? 0;
    if (failures > 0) {
      world.failing.set(id, failures - 1);
      world.events.push(`fail ${id}`);
      throw new Error(`${id} does not start`);
    }
    if (ends !== 'at once') ctx.trapExit(true);
    if (!world.declining.has(id)) world.events.push(`start ${id}`);
    return slowStart ? Promise.resolve(args) : args;
  },
  handleCast(message, _state, ctx) {
    if (message === 'crash') throw new Error('crash');
    if (message === 'unlink') return ctx.unlink(ctx.whereis('root')!);
    ctx.stop(message);
  },
  terminate(_reason, { id, world, ends }) {
    world.events.push(`stop ${id}`);
    return ends === 'never' ? new Promise(() => {}) : undefined;
  },
};

export function newWorld(): World {
  return { events: [], failing: new Map(), declining: new Set() };
}

/** The specification of a worker, registered under its id. */
export function spec(world: World, id: string, rest: Partial<WorkerArgs & ChildSpec> = {}): ChildSpec {
  const { ends = 'in order', slowStart = false, ...fields } = rest;
  return childSpec(id, worker as AnyBehavior, { id, world, ends, slowStart }, { ...fields, options: { name: id } });
}

export interface Tree extends TestNode {
  readonly world: World;
  readonly root: Pid;
  pidOf(id: string): Pid | undefined;
  /** Takes what has happened since this was last asked. */
  happened(): string[];
  /** Ends the worker of this id in one of `WAYS`, and settles. */
  end(id: string, way?: string): Promise<void>;
  /** The contexts and offenders of the reports so far. */
  reports(): string[];
  /** Settles until `request` is answered. */
  ask<T>(request: Promise<T>): Promise<T>;
}

/** Starts a tree whose root is a supervisor of this name. */
export async function startTree(
  children: (world: World) => ChildSpec[],
  options: Partial<SupervisorOptions> = {},
): Promise<Tree> {
  const world = newWorld();
  return plantTree(world, (test) =>
    startSupervisor(test.node, { name: 'root', intensity: 3, children: children(world), ...options }),
  );
}

/** Makes a tree of whatever `start` starts. */
export async function plantTree(
  world: World,
  start: (test: TestNode) => StartResult<never> | Promise<StartResult<never>>,
): Promise<Tree> {
  const test = createTestNode();
  const root = ((await settled(test, Promise.resolve(start(test)))) as { ok: Pid }).ok;
  const tree: Tree = {
    ...test,
    world,
    root,
    pidOf: (id) => test.node.whereis(id),
    happened: () => world.events.splice(0),
    reports: () => reportsOf(test),
    ask: (request) => settled(test, request),
    async end(id, way = 'an error thrown') {
      WAYS[way]!.end(tree, test.node.whereis(id)!);
      await test.settle();
    },
  };
  return tree;
}

function reportsOf({ logged }: TestNode): string[] {
  return logged
    .filter(({ event }) => event === 'supervisor_report')
    .map(({ fields }) => `${fields['errorContext']} ${(fields['offender'] as { id: string }).id}`);
}

async function settled<T>(test: TestNode, request: Promise<T>): Promise<T> {
  await test.settle();
  return request;
}
