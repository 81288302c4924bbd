/** One actor sends to sixty in turn, each of which counts; the last has a word with the sender now and then. */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { BATCH_MESSAGES } from '../limits.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

/** 'pause' is answered with 'more'. */
type CounterMessage = 'increment' | 'pause' | 'finish';
type SenderMessage = 'more' | { readonly count: number };

interface Counter {
  readonly sender: Pid<SenderMessage>;
  count: number;
}

const counter: Behavior<Counter, Pid<SenderMessage>, CounterMessage> = {
  name: 'one_of_sixty',
  init: (sender) => ({ sender, count: 0 }),
  handleCast(message, state, ctx) {
    if (message === 'increment') state.count += 1;
    else ctx.cast(state.sender, message === 'pause' ? 'more' : { count: state.count });
  },
};

interface Sender {
  readonly counters: readonly Pid<CounterMessage>[];
  /** Messages that each counter still gets. */
  left: number;
  answers: number;
  sum: number;
  from: From | undefined;
}

interface SenderArgs {
  readonly actors: number;
  readonly each: number;
}

const sender: Behavior<Sender, SenderArgs, SenderMessage, 'start', number> = {
  name: 'sender',
  init: ({ actors, each }, ctx) => ({
    counters: Array.from({ length: actors }, () => ctx.spawn(counter, ctx.self, { link: true })),
    left: each,
    answers: 0,
    sum: 0,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    sendBatch(state, ctx);
    return NO_REPLY;
  },
  handleCast(message, state, ctx) {
    if (message === 'more') return sendBatch(state, ctx);
    state.sum += message.count;
    state.answers += 1;
    if (state.answers === state.counters.length) ctx.reply(state.from!, state.sum);
  },
};

/** Sends a batch, a share to each, and waits until the last of them has come to its end. */
function sendBatch(state: Sender, ctx: Context): void {
  const rounds = Math.min(state.left, Math.floor(BATCH_MESSAGES / state.counters.length));
  for (let round = 0; round < rounds; round += 1) {
    for (const pid of state.counters) ctx.cast(pid, 'increment');
  }
  state.left -= rounds;
  if (state.left > 0) ctx.cast(state.counters.at(-1)!, 'pause');
  else for (const pid of state.counters) ctx.cast(pid, 'finish');
}

export const forkJoinThroughput: Program<'actors' | 'each'> = {
  name: 'fork_join_throughput',
  question: 'how fast does one actor send to sixty in turn?',
  metrics: { fork_join_msgs_per_s: 'msg/s' },
  sizes: {
    actors: { full: 60, quick: 60, tiny: 6 },
    each: { full: 200_000, quick: 20_000, tiny: 500 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { actors, each }) {
    const { reply, elapsedMs } = await perform(node, sender, { actors, each });
    verify('counted messages', reply, actors * each);
    return [['fork_join_msgs_per_s', perSecond(actors * each, elapsedMs)]];
  },
};
