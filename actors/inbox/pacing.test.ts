import t from 'tap';
import type { Context } from '../../runtime/index.ts';
import { hold, startSlices } from './pacing.ts';
import type { Online } from './recipients.ts';
import type { InboxState } from './state.ts';

t.test('the state of an inbox from before slices takes what is held, and hands it over', async (t) => {
  const state = {} as InboxState;
  const handed: unknown[] = [];
  const ctx = {
    cast: (...said: unknown[]) => (handed.push(said), 'ok'),
    sendAfter: (ms: number) => t.fail(`one slice is enough, and no second is due in ${ms} ms`),
  } as unknown as Context;
  const online = { held: undefined, pushes: 0 } as unknown as Online;
  hold(online, [], state);
  t.strictSame(state.pacing?.waiting, [online]);
  startSlices(state, ctx);
  t.equal(online.held, undefined);
  t.strictSame(state.pacing, { waiting: [], isArmed: false, sliceCount: 0 });
});
