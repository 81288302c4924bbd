/**
 * Twenty philosophers and an arbitrator who hands out the forks. Who is hungry while a neighbour eats waits until the
 * arbitrator has both forks; Savina's philosopher asks again and again, which is work that depends on chance.
 */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type ArbitratorMessage =
  { readonly type: 'hungry' | 'done'; readonly seat: number } | { readonly type: 'left'; readonly meals: number };

interface Philosopher {
  readonly arbitrator: Pid<ArbitratorMessage>;
  readonly seat: number;
  readonly meals: number;
  eaten: number;
}

const philosopher: Behavior<Philosopher, Omit<Philosopher, 'eaten'>, 'eat'> = {
  name: 'philosopher',
  init(args, ctx) {
    ctx.cast(args.arbitrator, { type: 'hungry', seat: args.seat });
    return { ...args, eaten: 0 };
  },
  handleCast(_eat, state, ctx) {
    const { arbitrator, seat } = state;
    state.eaten += 1;
    ctx.cast(arbitrator, { type: 'done', seat });
    if (state.eaten < state.meals) ctx.cast(arbitrator, { type: 'hungry', seat });
    else ctx.cast(arbitrator, { type: 'left', meals: state.eaten });
  },
};

interface Arbitrator {
  readonly meals: number;
  readonly seats: number;
  readonly philosophers: Pid<'eat'>[];
  /** Sets of forks and of seats, a bit each. Seat n needs forks n and n + 1. */
  forksInUse: number;
  hungry: number;
  left: number;
  eaten: number;
  from: From | undefined;
}

type ArbitratorArgs = Pick<Arbitrator, 'meals' | 'seats'>;

const arbitrator: Behavior<Arbitrator, ArbitratorArgs, ArbitratorMessage, 'start', number> = {
  name: 'arbitrator',
  init: (args) => ({ ...args, philosophers: [], forksInUse: 0, hungry: 0, left: 0, eaten: 0, from: undefined }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    for (let seat = 0; seat < state.seats; seat += 1) {
      const args = { arbitrator: ctx.self, seat, meals: state.meals };
      state.philosophers.push(ctx.spawn(philosopher, args, { link: true }));
    }
    return NO_REPLY;
  },
  handleCast(message, state, ctx) {
    switch (message.type) {
      case 'hungry':
        return serve(message.seat, state, ctx);
      case 'done':
        return clear(message.seat, state, ctx);
      case 'left':
        state.left += 1;
        state.eaten += message.meals;
        if (state.left === state.seats) ctx.reply(state.from!, state.eaten);
    }
  },
};

function forksOf(seat: number, seats: number): number {
  return (1 << seat) | (1 << ((seat + 1) % seats));
}

function serve(seat: number, state: Arbitrator, ctx: Context): void {
  const forks = forksOf(seat, state.seats);
  if ((state.forksInUse & forks) !== 0) {
    state.hungry |= 1 << seat;
  } else {
    state.forksInUse |= forks;
    state.hungry &= ~(1 << seat);
    ctx.cast(state.philosophers[seat]!, 'eat');
  }
}

/** Takes the forks back and serves the neighbours who wait for them, the left one first. */
function clear(seat: number, state: Arbitrator, ctx: Context): void {
  const { seats } = state;
  state.forksInUse &= ~forksOf(seat, seats);
  const before = (seat + seats - 1) % seats;
  const after = (seat + 1) % seats;
  if ((state.hungry & (1 << before)) !== 0) serve(before, state, ctx);
  if ((state.hungry & (1 << after)) !== 0) serve(after, state, ctx);
}

export const philosophers: Program<'seats' | 'meals'> = {
  name: 'philosophers',
  question: 'how many meals a second do 20 philosophers eat with 20 forks?',
  metrics: { philosophers_meals_per_s: 'op/s' },
  sizes: {
    seats: { full: 20, quick: 20, tiny: 5 },
    meals: { full: 50_000, quick: 8_000, tiny: 50 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { seats, meals }) {
    const { reply, elapsedMs } = await perform(node, arbitrator, { seats, meals });
    verify('meals', reply, seats * meals);
    return [['philosophers_meals_per_s', perSecond(seats * meals, elapsedMs)]];
  },
};
