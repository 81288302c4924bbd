/**
 * Forty producers and forty consumers around one buffer with fifty places. The buffer asks a producer for an item only while
 * it has a place for it, and gives an item to a consumer that has consumed the one before.
 */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

const PLACES = 50;

/** A producer brings an item; a consumer is available and says which it consumed, 0 at first. Items are numbers from 1. */
type BufferMessage =
  | { readonly type: 'item'; readonly item: number; readonly producer: Pid<number> }
  | { readonly type: 'available'; readonly consumed: number; readonly consumer: Pid<number> };

interface AtBuffer {
  readonly buffer: Pid<BufferMessage>;
}

const producer: Behavior<AtBuffer, AtBuffer, number> = {
  name: 'buffer_producer',
  init: (args) => args,
  handleCast: (item, { buffer }, ctx) => void ctx.cast(buffer, { type: 'item', item, producer: ctx.self }),
};

const consumer: Behavior<AtBuffer, AtBuffer, number> = {
  name: 'buffer_consumer',
  init(args, ctx) {
    ctx.cast(args.buffer, { type: 'available', consumed: 0, consumer: ctx.self });
    return args;
  },
  handleCast: (item, { buffer }, ctx) =>
    void ctx.cast(buffer, { type: 'available', consumed: item, consumer: ctx.self }),
};

interface BufferArgs {
  readonly producers: number;
  readonly consumers: number;
  readonly items: number;
}

interface Buffer extends BufferArgs {
  readonly places: number[];
  readonly idleProducers: Pid<number>[];
  readonly idleConsumers: Pid<number>[];
  /** Items that were asked for, that have arrived, and that were consumed, with their sum. */
  asked: number;
  arrived: number;
  consumed: number;
  sum: number;
  from: From | undefined;
}

const buffer: Behavior<Buffer, BufferArgs, BufferMessage, 'start', number> = {
  name: 'buffer',
  init: (args, ctx) => ({
    ...args,
    places: [],
    idleProducers: spawnMany(producer, args.producers, ctx),
    idleConsumers: [],
    asked: 0,
    arrived: 0,
    consumed: 0,
    sum: 0,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    spawnMany(consumer, state.consumers, ctx);
    askProducers(state, ctx);
    return NO_REPLY;
  },
  handleCast(message, state, ctx) {
    if (message.type === 'item') takeItem(message.item, message.producer, state, ctx);
    else serveConsumer(message.consumed, message.consumer, state, ctx);
    askProducers(state, ctx);
  },
};

function spawnMany(behavior: Behavior<AtBuffer, AtBuffer, number>, count: number, ctx: Context): Pid<number>[] {
  return Array.from({ length: count }, () => ctx.spawn(behavior, { buffer: ctx.self }, { link: true }));
}

function takeItem(item: number, from: Pid<number>, state: Buffer, ctx: Context): void {
  state.arrived += 1;
  state.idleProducers.push(from);
  const idle = state.idleConsumers.shift();
  if (idle === undefined) state.places.push(item);
  else ctx.cast(idle, item);
}

function serveConsumer(consumed: number, idle: Pid<number>, state: Buffer, ctx: Context): void {
  if (consumed > 0) {
    state.consumed += 1;
    state.sum += consumed;
    if (state.consumed === state.items) ctx.reply(state.from!, state.sum);
  }
  const item = state.places.shift();
  if (item === undefined) state.idleConsumers.push(idle);
  else ctx.cast(idle, item);
}

/** Asks as long as there is a place for what was asked for before and for one more. */
function askProducers(state: Buffer, ctx: Context): void {
  while (state.asked < state.items && state.places.length + state.asked - state.arrived < PLACES) {
    const idle = state.idleProducers.shift();
    if (idle === undefined) return;
    state.asked += 1;
    ctx.cast(idle, state.asked);
  }
}

export const boundedBuffer: Program<'producers' | 'consumers' | 'items'> = {
  name: 'bounded_buffer',
  question: 'how many items a second pass a buffer of 50 places between 40 producers and 40 consumers?',
  metrics: { bounded_buffer_items_per_s: 'op/s' },
  sizes: {
    producers: { full: 40, quick: 40, tiny: 4 },
    consumers: { full: 40, quick: 40, tiny: 4 },
    items: { full: 1_000_000, quick: 150_000, tiny: 300 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { producers, consumers, items }) {
    const { reply, elapsedMs } = await perform(node, buffer, { producers, consumers, items });
    verify('sum of the items', reply, (items * (items + 1)) / 2);
    return [['bounded_buffer_items_per_s', perSecond(items, elapsedMs)]];
  },
};
