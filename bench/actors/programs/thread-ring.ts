/**
 * A token goes round a ring of linked actors. The token is the number of hops that are left; who gets 0 tells the
 * starter, and says where in the ring it stands.
 */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type Token = number;

interface Hop {
  readonly starter: Pid<number>;
  readonly index: number;
  next: Pid<Token>;
}

const hop: Behavior<Hop, Hop, Token | { readonly next: Pid<Token> }> = {
  name: 'hop',
  init: (args) => ({ ...args }),
  handleCast(message, state, ctx) {
    if (typeof message !== 'number') state.next = message.next;
    else if (message === 0) ctx.cast(state.starter, state.index);
    else ctx.cast(state.next, message - 1);
  },
};

interface Starter {
  readonly first: Pid<Token>;
  readonly hops: number;
  from: From | undefined;
}

const starter: Behavior<Starter, { readonly actors: number; readonly hops: number }, number, 'start', number> = {
  name: 'ring_starter',
  init: ({ actors, hops }, ctx) => ({ first: createRing(actors, ctx), hops, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    ctx.cast(state.first, state.hops - 1);
    return NO_REPLY;
  },
  handleCast: (index, state, ctx) => void ctx.reply(state.from!, index),
};

/** From the last to the first, so that each knows its neighbour; only the first is told afterwards. */
function createRing(actors: number, ctx: Context): Pid<Token> {
  const spawnHop = (index: number, next: Pid<Token>): Pid<Token | { readonly next: Pid<Token> }> =>
    ctx.spawn(hop, { starter: ctx.self, index, next }, { link: true });
  const first = spawnHop(0, ctx.self);
  let next: Pid<Token> = first;
  for (let index = actors - 1; index >= 1; index -= 1) next = spawnHop(index, next);
  ctx.cast(first, { next });
  return first;
}

export const threadRing: Program<'actors' | 'hops'> = {
  name: 'thread_ring',
  question: 'how fast does a token go round a ring of 1,000 actors, of which only one is ever ready?',
  metrics: { ring_hops_per_s: 'hop/s' },
  sizes: {
    actors: { full: 1_000, quick: 1_000, tiny: 10 },
    hops: { full: 10_000_000, quick: 1_000_000, warmUp: 500_000, tiny: 1_000 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { actors, hops }) {
    const { reply, elapsedMs } = await perform(node, starter, { actors, hops });
    verify('place of the token', reply, (hops - 1) % actors);
    return [['ring_hops_per_s', perSecond(hops, elapsedMs)]];
  },
};
