/** Actors that are spawned with a monitor, get one message, do it and end; their `Down`s are counted. A whole life each. */

import { type Behavior, type Context, type From, isDown, NO_REPLY } from '../../../runtime/index.ts';
import { BATCH_SPAWNS } from '../limits.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

const worker: Behavior<null, void, 'work'> = {
  name: 'worker',
  init: () => null,
  handleCast: (_work, _state, ctx) => ctx.stop(),
};

interface Forker {
  readonly actors: number;
  spawned: number;
  ended: number;
  from: From | undefined;
}

const forker: Behavior<Forker, number, never, 'start', number> = {
  name: 'forker',
  init: (actors) => ({ actors, spawned: 0, ended: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    forkBatch(state, ctx);
    return NO_REPLY;
  },
  handleInfo(info, state, ctx) {
    if (!isDown(info) || info.reason !== 'normal') return;
    state.ended += 1;
    if (state.ended < state.spawned) return;
    if (state.ended < state.actors) forkBatch(state, ctx);
    else ctx.reply(state.from!, state.ended);
  },
};

function forkBatch(state: Forker, ctx: Context): void {
  const last = Math.min(state.spawned + BATCH_SPAWNS, state.actors);
  for (; state.spawned < last; state.spawned += 1) {
    const pid = ctx.spawn(worker, undefined, { monitor: true });
    ctx.cast(pid, 'work');
  }
}

export const forkJoinCreate: Program<'actors'> = {
  name: 'fork_join_create',
  question: 'how many actors a second are spawned, monitored, sent one message, and end?',
  metrics: { fork_join_create_per_s: 'actor/s' },
  sizes: { actors: { full: 500_000, quick: 100_000, tiny: 1_500 } },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { actors }) {
    const { reply, elapsedMs } = await perform(node, forker, actors);
    verify('normal ends', reply, actors);
    return [['fork_join_create_per_s', perSecond(actors, elapsedMs)]];
  },
};
