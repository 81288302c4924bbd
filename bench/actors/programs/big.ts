/** Many to many: each of 120 actors pings one of the others at random, and the next one when it was answered. */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type PeerMessage =
  | { readonly type: 'ping'; readonly from: Pid<PeerMessage> }
  | { readonly type: 'neighbours'; readonly pids: readonly Pid<PeerMessage>[] }
  | 'pong';

interface Peer {
  readonly sink: Pid<number>;
  readonly pings: number;
  neighbours: readonly Pid<PeerMessage>[];
  pongs: number;
  chance: number;
}

interface PeerArgs {
  readonly sink: Pid<number>;
  readonly index: number;
  readonly pings: number;
}

const peer: Behavior<Peer, PeerArgs, PeerMessage> = {
  name: 'peer',
  init: ({ sink, index, pings }) => ({ sink, pings, neighbours: [], pongs: 0, chance: index }),
  handleCast(message, state, ctx) {
    if (message === 'pong') {
      state.pongs += 1;
      if (state.pongs < state.pings) ping(state, ctx);
      else ctx.cast(state.sink, state.pongs);
    } else if (message.type === 'ping') {
      ctx.cast(message.from, 'pong');
    } else {
      state.neighbours = message.pids;
      ping(state, ctx);
    }
  },
};

/** By a small generator that the twin has as well, so that chance costs both the same. */
function ping(state: Peer, ctx: Context): void {
  state.chance = (state.chance * 75 + 74) % 65_537;
  ctx.cast(state.neighbours[state.chance % state.neighbours.length]!, { type: 'ping', from: ctx.self });
}

interface Sink {
  readonly peers: readonly Pid<PeerMessage>[];
  finished: number;
  pongs: number;
  from: From | undefined;
}

const sink: Behavior<Sink, { readonly actors: number; readonly pings: number }, number, 'start', number> = {
  name: 'sink',
  init: ({ actors, pings }, ctx) => ({
    peers: Array.from({ length: actors }, (_, index) =>
      ctx.spawn(peer, { sink: ctx.self, index, pings }, { link: true }),
    ),
    finished: 0,
    pongs: 0,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    for (const pid of state.peers) ctx.cast(pid, { type: 'neighbours', pids: state.peers });
    return NO_REPLY;
  },
  handleCast(pongs, state, ctx) {
    state.finished += 1;
    state.pongs += pongs;
    if (state.finished === state.peers.length) ctx.reply(state.from!, state.pongs);
  },
};

export const big: Program<'actors' | 'pings'> = {
  name: 'big',
  question: 'how many messages a second do 120 actors exchange, each with all?',
  metrics: { big_msgs_per_s: 'msg/s' },
  sizes: {
    actors: { full: 120, quick: 120, tiny: 12 },
    pings: { full: 20_000, quick: 3_000, tiny: 50 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { actors, pings }) {
    const { reply, elapsedMs } = await perform(node, sink, { actors, pings });
    verify('pongs', reply, actors * pings);
    return [['big_msgs_per_s', perSecond(2 * actors * pings, elapsedMs)]];
  },
};
