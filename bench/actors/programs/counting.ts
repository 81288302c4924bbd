/** One actor sends, another counts: one way, no answer before the end. */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { BATCH_MESSAGES } from '../limits.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type CounterMessage = 'increment' | { readonly replyTo: From };

const counter: Behavior<{ count: number }, void, CounterMessage> = {
  name: 'counter',
  init: () => ({ count: 0 }),
  handleCast(message, state, ctx) {
    if (message === 'increment') state.count += 1;
    else ctx.reply(message.replyTo, state.count);
  },
};

interface Producer {
  readonly counter: Pid<CounterMessage>;
  left: number;
  from: From | undefined;
}

const producer: Behavior<Producer, number, 'more', 'start', number> = {
  name: 'producer',
  init: (messages, ctx) => ({
    counter: ctx.spawn(counter, undefined, { link: true }),
    left: messages,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    produce(state, ctx);
    return NO_REPLY;
  },
  handleCast: (_more, state, ctx) => produce(state, ctx),
};

/** Sends a batch or until the counter's mailbox is full, then lets it run. */
function produce(state: Producer, ctx: Context): void {
  const last = Math.max(0, state.left - BATCH_MESSAGES);
  while (state.left > last && ctx.cast(state.counter, 'increment') === 'ok') state.left -= 1;
  if (state.left > 0 || ctx.cast(state.counter, { replyTo: state.from! }) === 'full') ctx.cast(ctx.self, 'more');
}

export const counting: Program<'messages'> = {
  name: 'counting',
  question: 'how fast does one actor take what another sends?',
  metrics: { counting_msgs_per_s: 'msg/s' },
  sizes: { messages: { full: 20_000_000, quick: 4_000_000, tiny: 5_000 } },
  peers: ['beam', 'nact', 'bare_js'],
  rounds: ROUNDS,
  async run(node, { messages }) {
    const { reply, elapsedMs } = await perform(node, producer, messages);
    verify('counted messages', reply, messages);
    return [['counting_msgs_per_s', perSecond(messages, elapsedMs)]];
  },
};
