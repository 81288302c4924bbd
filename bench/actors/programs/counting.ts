/** One actor sends, another counts: one way, but for a word of the counter after every thousand. */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { BATCH_MESSAGES } from '../limits.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

/** 'pause' is answered with 'more'. */
type CounterMessage = 'increment' | 'pause' | 'finish';
type ProducerMessage = 'more' | { readonly count: number };

interface Counter {
  readonly producer: Pid<ProducerMessage>;
  count: number;
}

const counter: Behavior<Counter, Pid<ProducerMessage>, CounterMessage> = {
  name: 'counter',
  init: (producer) => ({ producer, count: 0 }),
  handleCast(message, state, ctx) {
    if (message === 'increment') state.count += 1;
    else ctx.cast(state.producer, message === 'pause' ? 'more' : { count: state.count });
  },
};

interface Producer {
  readonly counter: Pid<CounterMessage>;
  left: number;
  from: From | undefined;
}

const producer: Behavior<Producer, number, ProducerMessage, 'start', number> = {
  name: 'producer',
  init: (messages, ctx) => ({
    counter: ctx.spawn(counter, ctx.self, { link: true }),
    left: messages,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    produce(state, ctx);
    return NO_REPLY;
  },
  handleCast(message, state, ctx) {
    if (message === 'more') produce(state, ctx);
    else ctx.reply(state.from!, message.count);
  },
};

/** Sends a batch and waits until the counter has come to its end: its mailbox has a bound. */
function produce(state: Producer, ctx: Context): void {
  const batch = Math.min(BATCH_MESSAGES, state.left);
  for (let sent = 0; sent < batch; sent += 1) ctx.cast(state.counter, 'increment');
  state.left -= batch;
  ctx.cast(state.counter, state.left > 0 ? 'pause' : 'finish');
}

export const counting: Program<'messages'> = {
  name: 'counting',
  question: 'how fast does one actor take what another sends?',
  metrics: { counting_msgs_per_s: 'msg/s' },
  sizes: { messages: { full: 20_000_000, quick: 4_000_000, warmUp: 1_000_000, tiny: 5_000, nactMax: 50_000 } },
  peers: ['beam', 'nact', 'bare_js'],
  rounds: ROUNDS,
  async run(node, { messages }) {
    const { reply, elapsedMs } = await perform(node, producer, messages);
    verify('counted messages', reply, messages);
    return [['counting_msgs_per_s', perSecond(messages, elapsedMs)]];
  },
};
