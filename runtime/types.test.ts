/**
 * What the compiler refuses. Each `@ts-expect-error` fails the build if the line under it compiles.
 */

import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import * as genEvent from './gen-event.ts';
import * as genStatem from './gen-statem.ts';
import type { Pid } from './pid.ts';
import { createTestNode } from './testing/test-node.ts';

type Request = { type: 'read' } | { type: 'swap'; to: number };
const counter: Behavior<{ count: number }, number, 'add', Request, number> = {
  name: 'counter',
  init: (count) => ({ count }),
  handleCast: (_message, state) => void (state.count += 1),
  handleCall: (_request, _from, state) => state.count,
};

/** Compiled and never run: only its types matter. */
async function refused(ctx: Context, anybody: Pid): Promise<void> {
  const pid = ctx.spawn(counter, 1);
  // @ts-expect-error: the argument of init is a number
  ctx.spawn(counter, 'one');
  // @ts-expect-error: it has no cast 'sub'
  ctx.cast(pid, 'sub');
  // @ts-expect-error: it has no request 'write'
  await ctx.call(pid, { type: 'write' }, 100);
  // @ts-expect-error: it replies a number
  const text: string = await ctx.call(pid, { type: 'read' }, 100);
  // @ts-expect-error: an actor with other casts
  const other: Pid<'sub'> = pid;
  // @ts-expect-error: an actor with other requests
  const server: Pid<'add', 'write', number> = pid;
  const started = await ctx.startLink(counter, 1);
  // @ts-expect-error: a start says the same as a spawn
  if ('ok' in started) await ctx.call(started.ok, 'read', 100);
  // @ts-expect-error: events have their type
  genEvent.notify(ctx, ctx.spawn(genEvent.behavior<{ code: number }>(), undefined), { code: 'x' });
  genStatem.behavior<'on' | 'off', null>({
    name: 'switch',
    init: () => ({ state: 'on', data: null }),
    // @ts-expect-error: there is no function for 'off'
    states: { on: () => {} },
  });
  const wrong = (): genStatem.Transition<'on' | 'off', null> =>
    // @ts-expect-error: there is no state 'of'
    genStatem.nextState('of');
  // Untyped pids and names take anything, as before.
  const anything: string = await ctx.call<string>(anybody, 'read', 100);
  const named: number = await ctx.call<number>('counter', { type: 'whatever' }, 100);
  ctx.cast(anybody, 'whatever');
  void [text, other, server, wrong, anything, named];
}

t.test('what compiles is what runs', async (t) => {
  t.type(refused, 'function');
  const test = createTestNode();
  const pid = test.node.spawn(counter, 1);
  test.node.cast(pid, 'add');
  const reply = test.node.call(pid, { type: 'read' }, 100);
  await test.settle();
  const count: number = await reply;
  t.equal(count, 2);
});
