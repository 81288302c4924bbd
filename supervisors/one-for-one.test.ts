import t from 'tap';

import { type AnyBehavior, type ExitReason, Pid } from '../runtime/index.ts';
import { completeSpec, type Restart } from './child-spec.ts';
import type { Child, SupervisorState } from './decision.ts';
import { oneForOne } from './one-for-one.ts';
import { EMPTY_WINDOW } from './restart-window.ts';

const behavior: AnyBehavior = { name: 'b', init: () => null };
const ERROR: ExitReason = { error: { name: 'Error', message: 'm' } };

function child(id: string, slot: number, restart: Restart = 'permanent'): Child {
  return { spec: completeSpec({ id, start: { behavior }, restart }), pid: new Pid('n', 0, slot, 1), restarting: false };
}

function stateOf(...children: Child[]): SupervisorState {
  return { children, window: EMPTY_WINDOW, limits: { intensity: 1, periodMs: 1_000 } };
}

// Restart type × way of exit: is it restarted, is it reported?
const table: [Restart, ExitReason, boolean, boolean][] = [
  ['permanent', 'normal', true, true],
  ['permanent', 'shutdown', true, true],
  ['permanent', { shutdown: 1 }, true, true],
  ['permanent', 'killed', true, true],
  ['permanent', 'noproc', true, true],
  ['permanent', ERROR, true, true],
  ['transient', 'normal', false, false],
  ['transient', 'shutdown', false, false],
  ['transient', { shutdown: 1 }, false, false],
  ['transient', 'killed', true, true],
  ['transient', 'noconnection', true, true],
  ['transient', ERROR, true, true],
  ['temporary', 'normal', false, false],
  ['temporary', 'shutdown', false, false],
  ['temporary', { shutdown: 1 }, false, false],
  ['temporary', 'killed', false, true],
  ['temporary', ERROR, false, true],
];
for (const [restart, reason, restarted, reported] of table) {
  const how = typeof reason === 'string' ? reason : Object.keys(reason)[0];
  const outcome = `${restarted ? '' : 'not '}restarted, ${reported ? '' : 'not '}reported`;
  t.test(`a ${restart} child that ends with ${how} is ${outcome}`, async (t) => {
    const [first, ended, last] = [child('first', 1), child('ended', 2, restart), child('last', 3)];
    const event = { type: 'exited', pid: ended.pid!, reason, nowMs: 0 } as const;
    const { state, actions } = oneForOne.decide(stateOf(first, ended, last), event);
    t.strictSame(
      actions.filter(({ type }) => type !== 'report'),
      restarted ? [{ type: 'restart', id: 'ended' }] : [],
    );
    t.equal(actions.filter(({ type }) => type === 'report').length, reported ? 1 : 0);
    t.equal(state.window.length, restarted ? 1 : 0, 'and only a restart counts against the intensity');
    const left = state.children.map(({ spec, pid }) => `${spec.id} ${pid === undefined ? 'down' : 'up'}`);
    const own = restart === 'temporary' ? [] : ['ended down'];
    t.strictSame(left, ['first up', ...own, 'last up'], 'and the others are left alone, in their order');
  });
}

t.test('one restart too many is a report and the end', async (t) => {
  const event = { type: 'exited', pid: new Pid('n', 0, 1, 1), reason: ERROR, nowMs: 900 } as const;
  const { actions } = oneForOne.decide({ ...stateOf(child('a', 1)), window: [0] }, event);
  t.strictSame(
    actions.map((action) => (action.type === 'report' ? action.context : action.type)),
    ['child_terminated', 'shutdown', 'give_up'],
  );
});

t.test('a restart that fails counts as one and is tried again', async (t) => {
  const down: Child = { ...child('a', 1), pid: undefined, restarting: true };
  const event = { type: 'restart_failed', id: 'a', reason: ERROR, nowMs: 0 } as const;
  const first = oneForOne.decide(stateOf(down), event);
  t.match(first.actions, [
    { type: 'report', context: 'start_error' },
    { type: 'restart', id: 'a' },
  ]);
  const second = oneForOne.decide(first.state, event);
  t.match(second.actions.at(-1), { type: 'give_up' });
});

t.test('the exit of a stranger changes nothing', async (t) => {
  const state = stateOf(child('a', 1));
  const event = { type: 'exited', pid: new Pid('n', 0, 1, 2), reason: ERROR, nowMs: 0 } as const;
  t.strictSame(oneForOne.decide(state, event), { state, actions: [] });
});
