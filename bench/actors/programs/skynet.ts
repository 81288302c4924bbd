/**
 * A tree of linked actors, ten children each; the leaves send their numbers up and end, sums arrive at the root. Spawning,
 * sending and ending of 1.1 million actors, most of them alive at the same time.
 */

import { type Behavior, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { type Program, verify } from '../program.ts';

const FANOUT = 10;

interface Subtree {
  readonly parent: Pid<number>;
  /** The number of the first leaf, and how many there are. */
  readonly first: number;
  readonly leaves: number;
}

interface Sum {
  readonly parent: Pid<number>;
  awaited: number;
  sum: number;
}

const subtree: Behavior<Sum, Subtree, number> = {
  name: 'subtree',
  init({ parent, first, leaves }, ctx) {
    if (leaves === 1) {
      ctx.cast(parent, first);
      ctx.stop();
    } else {
      const each = leaves / FANOUT;
      for (let child = 0; child < FANOUT; child += 1) {
        ctx.spawn(subtree, { parent: ctx.self, first: first + child * each, leaves: each }, { link: true });
      }
    }
    return { parent, awaited: FANOUT, sum: 0 };
  },
  handleCast(number, state, ctx) {
    state.sum += number;
    state.awaited -= 1;
    if (state.awaited > 0) return;
    ctx.cast(state.parent, state.sum);
    ctx.stop();
  },
};

const root: Behavior<{ readonly leaves: number; from?: From }, number, number, 'start', number> = {
  name: 'skynet',
  init: (leaves) => ({ leaves }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    ctx.spawn(subtree, { parent: ctx.self, first: 0, leaves: state.leaves }, { link: true });
    return NO_REPLY;
  },
  handleCast: (sum, state, ctx) => void ctx.reply(state.from!, sum),
};

export const skynet: Program<'leaves'> = {
  name: 'skynet',
  question: 'how long does a tree with a million leaves take to grow, to add up its numbers and to end?',
  metrics: { skynet_1m_s: 's' },
  sizes: { leaves: { full: 1_000_000, quick: 1_000_000, warmUp: 100_000, tiny: 100 } },
  peers: ['beam'],
  rounds: { full: 3, quick: 1, isFresh: true },
  async run(node, { leaves }) {
    const { reply, elapsedMs } = await perform(node, root, leaves);
    verify('sum of the leaves', reply, (leaves * (leaves - 1)) / 2);
    return [['skynet_1m_s', elapsedMs / 1000]];
  },
};
