/**
 * Spawns many linked actors that stay, then sends one message to each: in the order of their spawning, and in random
 * order. The random order is the honest figure of the two: hardly anything is where a cache would have it.
 */

import {
  type Behavior,
  type Context,
  type From,
  NO_REPLY,
  type Pid,
  type RuntimeNode,
} from '../../../runtime/index.ts';
import { BATCH_MESSAGES, BATCH_SPAWNS } from '../limits.ts';
import { endRoot, perform, request } from '../perform.ts';
import { type Figure, perSecond, type Program, verify } from '../program.ts';

type Visit = 'visit' | { readonly countFor: Pid<number> };
type Visited = Pid<Visit>;

const visited: Behavior<{ count: number }, Pid<'up'>, Visit> = {
  name: 'visited',
  init(parent, ctx) {
    ctx.cast(parent, 'up');
    return { count: 0 };
  },
  handleCast(message, state, ctx) {
    if (message === 'visit') state.count += 1;
    else ctx.cast(message.countFor, state.count);
  },
};

interface Parent {
  readonly actors: number;
  readonly pids: Visited[];
  /** Spawned and not heard of. */
  awaited: number;
  from: From | undefined;
}

const parent: Behavior<Parent, number, 'up', 'start', readonly Visited[]> = {
  name: 'parent',
  init: (actors) => ({ actors, pids: [], awaited: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    spawnBatch(state, ctx);
    return NO_REPLY;
  },
  handleCast(_up, state, ctx) {
    state.awaited -= 1;
    if (state.awaited > 0) return;
    if (state.pids.length < state.actors) spawnBatch(state, ctx);
    else ctx.reply(state.from!, state.pids);
  },
};

function spawnBatch(state: Parent, ctx: Context): void {
  state.awaited = Math.min(BATCH_SPAWNS, state.actors - state.pids.length);
  for (let index = 0; index < state.awaited; index += 1) {
    state.pids.push(ctx.spawn(visited, ctx.self, { link: true }));
  }
}

/** Is sent to last and therefore runs last: there is one run queue, first in, first out. */
const barrier: Behavior<null, void, { readonly reached: From }> = {
  name: 'barrier',
  init: () => null,
  handleCast: ({ reached }, _state, ctx) => void ctx.reply(reached, 'all visited'),
};

interface Visitor {
  readonly pids: readonly Visited[];
  readonly barrier: Pid<{ readonly reached: From }>;
  next: number;
  from: From | undefined;
}

const visitor: Behavior<Visitor, readonly Visited[], 'more', 'start', 'all visited'> = {
  name: 'visitor',
  init: (pids, ctx) => ({ pids, barrier: ctx.spawn(barrier, undefined, { link: true }), next: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    visitBatch(state, ctx);
    return NO_REPLY;
  },
  handleCast: (_more, state, ctx) => visitBatch(state, ctx),
};

function visitBatch(state: Visitor, ctx: Context): void {
  const { pids } = state;
  const end = Math.min(state.next + BATCH_MESSAGES, pids.length);
  for (; state.next < end; state.next += 1) ctx.cast(pids[state.next]!, 'visit');
  if (end < pids.length) ctx.cast(ctx.self, 'more');
  else ctx.cast(state.barrier, { reached: state.from! });
}

interface Census {
  readonly pids: readonly Visited[];
  next: number;
  awaited: number;
  visits: number;
  from: From | undefined;
}

/** Adds up how often each was visited. Not measured. */
const census: Behavior<Census, readonly Visited[], number, 'start', number> = {
  name: 'census',
  init: (pids) => ({ pids, next: 0, awaited: 0, visits: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    askBatch(state, ctx);
    return NO_REPLY;
  },
  handleCast(count, state, ctx) {
    state.visits += count;
    state.awaited -= 1;
    if (state.awaited > 0) return;
    if (state.next < state.pids.length) askBatch(state, ctx);
    else ctx.reply(state.from!, state.visits);
  },
};

function askBatch(state: Census, ctx: Context): void {
  const batch = state.pids.slice(state.next, state.next + BATCH_MESSAGES);
  for (const pid of batch) ctx.cast(pid, { countFor: ctx.self });
  state.next += batch.length;
  state.awaited = batch.length;
}

export const million: Program<'actors' | 'passes'> = {
  name: 'million',
  question: 'how fast are a million actors spawned, and sent a message each, in order and at random?',
  metrics: { spawn_per_s: 'actor/s', each_1m_msgs_per_s: 'msg/s', random_1m_msgs_per_s: 'msg/s' },
  sizes: {
    actors: { full: 1_000_000, quick: 1_000_000, warmUp: 50_000, tiny: 2_500, nactMax: 50_000 },
    passes: { full: 3, quick: 1, warmUp: 3, tiny: 1 },
  },
  peers: ['beam', 'nact', 'bare_js'],
  rounds: { full: 3, quick: 2, peerQuick: 1, isFresh: true },
  async run(node, { actors, passes }) {
    const before = node.info().processCount;
    const root = node.spawn(parent, actors);
    const { reply: pids, elapsedMs } = await request<readonly Visited[]>(node, root);
    verify('spawned actors', pids.length, actors);
    const figures: Figure[] = [['spawn_per_s', perSecond(actors, elapsedMs)]];
    const orders = { each_1m_msgs_per_s: pids, random_1m_msgs_per_s: inRandomOrder(pids) };
    for (const [metric, order] of Object.entries(orders))
      figures.push(...(await passOver(node, metric, order, passes)));
    verify('visits', (await perform(node, census, pids)).reply, 2 * actors * passes);
    await endRoot(node, root, before);
    return figures;
  },
};

async function passOver(
  node: RuntimeNode,
  metric: string,
  order: readonly Visited[],
  passes: number,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (let pass = 0; pass < passes; pass += 1) {
    const { elapsedMs } = await perform(node, visitor, order);
    figures.push([metric, perSecond(order.length, elapsedMs)]);
  }
  return figures;
}

/**
 * The order of a linear congruential generator of full period (modulus a power of two, multiplier 1 more than a multiple
 * of 4, odd increment), without the numbers that are too large: the same order on all sides, and no million keys to sort.
 */
export function inRandomOrder<T>(items: readonly T[]): T[] {
  const mask = 2 ** Math.ceil(Math.log2(items.length)) - 1;
  const order: T[] = [];
  for (let state = mask; order.length < items.length;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) & mask;
    if (state < items.length) order.push(items[state]!);
  }
  return order;
}
