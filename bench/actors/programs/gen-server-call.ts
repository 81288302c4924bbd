/** One caller, one server, one call at a time, each with OTP's default time-out. */

import type { Behavior, Context, Pid } from '../../../runtime/index.ts';
import { perform } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

/** As in gen_server:call/2. */
const CALL_MS = 5_000;

const server: Behavior<{ count: number }, void, unknown, 'next', number> = {
  name: 'server',
  init: () => ({ count: 0 }),
  handleCall(_next, _from, state) {
    state.count += 1;
    return state.count;
  },
};

interface Caller {
  readonly server: Pid;
  readonly calls: number;
}

const caller: Behavior<Caller, number, never, 'start', number> = {
  name: 'caller',
  init: (calls, ctx) => ({ server: ctx.spawn(server, undefined, { link: true }), calls }),
  handleCall: (_request, _from, state, ctx) => callInTurn(state, ctx),
};

/** Returns how many answers were the ones expected. */
async function callInTurn(state: Caller, ctx: Context): Promise<number> {
  let count = 0;
  while (count < state.calls) {
    const answer = await ctx.call<number>(state.server, 'next', CALL_MS);
    if (answer !== count + 1) return count;
    count = answer;
  }
  return count;
}

export const genServerCall: Program<'calls'> = {
  name: 'gen_server_call',
  question: 'how many calls a second does one caller get answered, one at a time?',
  metrics: { call_per_s: 'call/s' },
  sizes: { calls: { full: 2_000_000, quick: 200_000, warmUp: 100_000, tiny: 200, nactMax: 20_000 } },
  peers: ['beam', 'nact'],
  rounds: ROUNDS,
  async run(node, { calls }) {
    const { reply, elapsedMs } = await perform(node, caller, calls);
    verify('answers in order', reply, calls);
    return [['call_per_s', perSecond(calls, elapsedMs)]];
  },
};
