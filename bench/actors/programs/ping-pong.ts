/** Two linked actors that answer each other: the hot path, everything in the cache. */

import { type Behavior, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

interface Pinger {
  readonly ponger: Pid<'ping'>;
  readonly rounds: number;
  count: number;
  from: From | undefined;
}

const pinger: Behavior<Pinger, number, 'pong', 'start', number> = {
  name: 'pinger',
  init: (rounds, ctx) => ({ ponger: ctx.spawn(ponger, ctx.self, { link: true }), rounds, count: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    ctx.cast(state.ponger, 'ping');
    return NO_REPLY;
  },
  handleCast(_pong, state, ctx) {
    state.count += 1;
    if (state.count < state.rounds) ctx.cast(state.ponger, 'ping');
    else ctx.reply(state.from!, state.count);
  },
};

const ponger: Behavior<{ readonly pinger: Pid<'pong'> }, Pid<'pong'>, 'ping'> = {
  name: 'ponger',
  init: (pid) => ({ pinger: pid }),
  handleCast: (_ping, state, ctx) => void ctx.cast(state.pinger, 'pong'),
};

export const pingPong: Program<'messages'> = {
  name: 'ping_pong',
  question: 'how fast do two actors answer each other?',
  metrics: { ping_pong_msgs_per_s: 'msg/s' },
  sizes: { messages: { full: 10_000_000, quick: 1_000_000, warmUp: 500_000, tiny: 1_000, nactMax: 50_000 } },
  peers: ['beam', 'nact', 'bare_js'],
  rounds: ROUNDS,
  async run(node, { messages }) {
    const rounds = messages / 2;
    const { reply, elapsedMs } = await perform(node, pinger, rounds);
    verify('pongs', reply, rounds);
    return [['ping_pong_msgs_per_s', perSecond(messages, elapsedMs)]];
  },
};
