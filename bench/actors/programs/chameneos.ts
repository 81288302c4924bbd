/** A hundred creatures ask one mall for a partner; two who meet both take a new colour. All contend for one mailbox. */

import { type Behavior, type From, NO_REPLY, type Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

type Colour = 'blue' | 'red' | 'yellow';

const COLOURS: readonly Colour[] = ['blue', 'red', 'yellow'];

interface Meet {
  readonly type: 'meet';
  readonly colour: Colour;
  readonly creature: Pid<CreatureMessage>;
}
type CreatureMessage = Meet | { readonly type: 'change'; readonly colour: Colour } | { readonly type: 'stop' };
type MallMessage = Meet | { readonly type: 'count'; readonly meetings: number };

interface Creature {
  readonly mall: Pid<MallMessage>;
  colour: Colour;
  meetings: number;
}

const creature: Behavior<Creature, Pick<Creature, 'mall' | 'colour'>, CreatureMessage> = {
  name: 'creature',
  init({ mall, colour }, ctx) {
    ctx.cast(mall, { type: 'meet', colour, creature: ctx.self });
    return { mall, colour, meetings: 0 };
  },
  handleCast(message, state, ctx) {
    switch (message.type) {
      case 'meet':
        state.colour = complement(state.colour, message.colour);
        ctx.cast(message.creature, { type: 'change', colour: state.colour });
        break;
      case 'change':
        state.colour = message.colour;
        break;
      case 'stop':
        ctx.cast(state.mall, { type: 'count', meetings: state.meetings });
        return;
    }
    state.meetings += 1;
    ctx.cast(state.mall, { type: 'meet', colour: state.colour, creature: ctx.self });
  },
};

/** Two of one colour keep it; two of different colours take the third. */
function complement(one: Colour, other: Colour): Colour {
  if (one === other) return one;
  switch (one) {
    case 'blue':
      return other === 'red' ? 'yellow' : 'red';
    case 'red':
      return other === 'blue' ? 'yellow' : 'blue';
    case 'yellow':
      return other === 'blue' ? 'red' : 'blue';
  }
}

interface MallArgs {
  readonly creatures: number;
  readonly meetings: number;
}

interface Mall {
  readonly creatures: number;
  /** The creature that came and found nobody. */
  first: Meet | undefined;
  meetingsLeft: number;
  creaturesLeft: number;
  meetings: number;
  from: From | undefined;
}

const mall: Behavior<Mall, MallArgs, MallMessage, 'start', number> = {
  name: 'mall',
  init: ({ creatures, meetings }) => ({
    creatures,
    first: undefined,
    meetingsLeft: meetings,
    creaturesLeft: creatures,
    meetings: 0,
    from: undefined,
  }),
  handleCall(_request, from, state, ctx) {
    state.from = from;
    for (let index = 0; index < state.creatures; index += 1) {
      ctx.spawn(creature, { mall: ctx.self, colour: COLOURS[index % COLOURS.length]! }, { link: true });
    }
    return NO_REPLY;
  },
  handleCast(message, state, ctx) {
    if (message.type === 'count') {
      state.meetings += message.meetings;
      state.creaturesLeft -= 1;
      if (state.creaturesLeft === 0) ctx.reply(state.from!, state.meetings);
    } else if (state.meetingsLeft === 0) {
      ctx.cast(message.creature, { type: 'stop' });
    } else if (state.first === undefined) {
      state.first = message;
    } else {
      ctx.cast(state.first.creature, message);
      state.first = undefined;
      state.meetingsLeft -= 1;
    }
  },
};

export const chameneos: Program<'creatures' | 'meetings'> = {
  name: 'chameneos',
  question: 'how many meetings a second does one mall arrange between a hundred creatures?',
  metrics: { chameneos_meetings_per_s: 'op/s' },
  sizes: {
    creatures: { full: 100, quick: 100, tiny: 10 },
    meetings: { full: 1_000_000, quick: 150_000, tiny: 500 },
  },
  peers: ['beam'],
  rounds: ROUNDS,
  async run(node, { creatures, meetings }) {
    const { reply, elapsedMs } = await perform(node, mall, { creatures, meetings });
    verify('meetings, counted by both', reply, 2 * meetings);
    return [['chameneos_meetings_per_s', perSecond(meetings, elapsedMs)]];
  },
};
