/**
 * A barber, a waiting room, and more customers than seats. Who finds no seat goes back to the street and is sent in again
 * after somebody's haircut; Savina's customer comes back at once, which is work that depends on chance.
 */

import { type Behavior, type Context, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type Customer = Pid<'come_in' | 'full' | 'cut'>;
type RoomMessage = 'next' | { readonly enter: Customer };
type StreetMessage = { readonly type: 'returned' | 'served'; readonly customer: Customer };

interface Places {
  readonly room: Pid<RoomMessage>;
  readonly street: Pid<StreetMessage>;
}

const customer: Behavior<Places, Places, 'come_in' | 'full' | 'cut'> = {
  name: 'customer',
  init: (places) => places,
  handleCast(message, { room, street }, ctx) {
    switch (message) {
      case 'come_in':
        ctx.cast(room, { enter: ctx.self });
        return;
      case 'full':
        ctx.cast(street, { type: 'returned', customer: ctx.self });
        return;
      case 'cut':
        ctx.cast(street, { type: 'served', customer: ctx.self });
        ctx.stop();
    }
  },
};

const barber: Behavior<{ readonly room: Pid<RoomMessage> }, Pid<RoomMessage>, Customer> = {
  name: 'barber',
  init: (room) => ({ room }),
  handleCast(next, { room }, ctx) {
    ctx.cast(next, 'cut');
    ctx.cast(room, 'next');
  },
};

interface Room {
  readonly seats: number;
  readonly barber: Pid<Customer>;
  /** Who waits, in a ring of `seats`: `count` of them from `first` on. */
  readonly waiting: Customer[];
  first: number;
  count: number;
  isBarberAsleep: boolean;
}

const room: Behavior<Room, number, RoomMessage> = {
  name: 'waiting_room',
  init: (seats, ctx) => ({
    seats,
    barber: ctx.spawn(barber, ctx.self, { link: true }),
    waiting: [],
    first: 0,
    count: 0,
    isBarberAsleep: true,
  }),
  handleCast(message, state, ctx) {
    if (message === 'next') callNext(state, ctx);
    else if (state.isBarberAsleep) wakeBarber(message.enter, state, ctx);
    else sitDown(message.enter, state, ctx);
  },
};

function callNext(state: Room, ctx: Context): void {
  state.isBarberAsleep = state.count === 0;
  if (state.isBarberAsleep) return;
  ctx.cast(state.barber, state.waiting[state.first]!);
  state.first = (state.first + 1) % state.seats;
  state.count -= 1;
}

function wakeBarber(first: Customer, state: Room, ctx: Context): void {
  state.isBarberAsleep = false;
  ctx.cast(state.barber, first);
}

function sitDown(last: Customer, state: Room, ctx: Context): void {
  if (state.count === state.seats) return void ctx.cast(last, 'full');
  state.waiting[(state.first + state.count) % state.seats] = last;
  state.count += 1;
}

interface StreetArgs {
  readonly seats: number;
  /** How many come at once, and how often. */
  readonly customers: number;
  readonly crowds: number;
}

interface Street extends StreetArgs {
  readonly room: Pid<RoomMessage>;
  /** Who found no seat. */
  readonly returned: Customer[];
  crowdsLeft: number;
  /** Of this crowd. */
  served: number;
  haircuts: number;
  from: From | undefined;
}

const street: Behavior<Street, StreetArgs, StreetMessage, 'start', number> = {
  name: 'street',
  init: (args, ctx) => ({
    ...args,
    room: ctx.spawn(room, args.seats, { link: true }),
    returned: [],
    crowdsLeft: args.crowds,
    served: 0,
    haircuts: 0,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    sendCrowd(state, ctx);
    return NO_REPLY;
  },
  handleCast({ type, customer: who }, state, ctx) {
    if (type === 'returned') state.returned.push(who);
    else state.served += 1;
    if (state.served === state.customers) endCrowd(state, ctx);
    // With nobody left inside there will be no haircut to wait for.
    else if (type === 'served' || state.served + state.returned.length === state.customers) sendIn(state, ctx);
  },
};

function sendCrowd(state: Street, ctx: Context): void {
  state.crowdsLeft -= 1;
  state.served = 0;
  for (let index = 0; index < state.customers; index += 1) {
    const pid = ctx.spawn(customer, { room: state.room, street: ctx.self }, { link: true });
    ctx.cast(pid, 'come_in');
  }
}

function endCrowd(state: Street, ctx: Context): void {
  state.haircuts += state.served;
  if (state.crowdsLeft > 0) sendCrowd(state, ctx);
  else ctx.reply(state.from!, state.haircuts);
}

function sendIn(state: Street, ctx: Context): void {
  const next = state.returned.pop();
  if (next !== undefined) ctx.cast(next, 'come_in');
}

export const sleepingBarber: Program<'seats' | 'customers' | 'crowds'> = {
  name: 'sleeping_barber',
  question: 'how many haircuts a second does one barber give to crowds of 5,000 who find 1,000 seats?',
  metrics: { barber_haircuts_per_s: 'op/s' },
  sizes: {
    seats: { full: 1_000, quick: 1_000, tiny: 5 },
    customers: { full: 5_000, quick: 5_000, tiny: 50 },
    crowds: { full: 40, quick: 8, tiny: 2 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { seats, customers, crowds }) {
    const { reply, elapsedMs } = await perform(node, street, { seats, customers, crowds });
    verify('haircuts', reply, customers * crowds);
    return [['barber_haircuts_per_s', perSecond(reply, elapsedMs)]];
  },
};
