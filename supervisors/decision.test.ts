import t from 'tap';

import { type AnyBehavior, type ExitReason, Pid } from '../runtime/index.ts';
import { completeSpec, type ChildSpec } from './child-spec.ts';
import { type Child, decide, type Situation, type SupervisorAction } from './decision.ts';
import { addRestart, EMPTY_WINDOW } from './restart-window.ts';

const behavior: AnyBehavior = { name: 'b', init: () => null };
const ERROR: ExitReason = { error: { name: 'Error', message: 'm' } };
const SIGNIFICANT: Partial<ChildSpec> = { restart: 'transient', significant: true };

function child(id: string, rest: Partial<ChildSpec> = {}, state: Partial<Child> = {}): Child {
  const pid = new Pid('n', 0, id.charCodeAt(0), 1);
  return { spec: completeSpec({ id, start: { behavior }, ...rest }), pid, restarting: false, ...state };
}

function situation(children: Child[], rest: Partial<Situation> = {}): Situation {
  const significantCount = children.filter(({ spec, pid }) => spec.significant && pid !== undefined).length;
  const limits = { intensity: 1, periodMs: 1_000 };
  const fixed = { strategy: 'one_for_one', autoShutdown: 'never', window: EMPTY_WINDOW } as const;
  return { ...fixed, limits, children, significantCount, ...rest };
}

/** Actions as text: `report child_terminated b`, `stop c`. */
function brief(actions: readonly SupervisorAction[]): string[] {
  return actions.map((action) => {
    if (action.type === 'exit') return 'exit';
    if (action.type === 'report') return `report ${action.errorContext} ${action.child.spec.id}`;
    return `${action.type} ${action.child.spec.id}`;
  });
}

function afterExit(of: Situation, ended: Child, reason: ExitReason = ERROR, nowMs: number = 0): string[] {
  return brief(decide(of, { type: 'exited', child: ended, reason, nowMs }).actions);
}

t.test('one_for_one touches only who ended', async (t) => {
  const [a, b, c] = [child('a'), child('b'), child('c')];
  t.strictSame(afterExit(situation([a, b, c]), b), ['report child_terminated b', 'end b', 'start b']);
});

t.test('one_for_all stops from right to left and starts from left to right', async (t) => {
  const [a, b, c, d] = [child('a'), child('b'), child('c'), child('d')];
  const of = situation([a, b, c, d], { strategy: 'one_for_all' });
  const stops = ['stop d', 'stop c', 'stop a'];
  const starts = ['start a', 'start b', 'start c', 'start d'];
  t.strictSame(afterExit(of, b), ['report child_terminated b', 'end b', ...stops, ...starts]);
});

t.test('rest_for_one leaves alone whoever was started before', async (t) => {
  const [a, b, c, d] = [child('a'), child('b'), child('c'), child('d')];
  const of = situation([a, b, c, d], { strategy: 'rest_for_one' });
  t.strictSame(afterExit(of, b), [
    'report child_terminated b',
    ...['end b', 'stop d', 'stop c', 'start b', 'start c', 'start d'],
  ]);
});

t.test('a temporary sibling is stopped and not started; one that does not run is only started', async (t) => {
  const [a, b] = [child('a', { restart: 'temporary' }), child('b')];
  const c = child('c', { restart: 'transient' }, { pid: undefined });
  const of = situation([a, b, c], { strategy: 'one_for_all' });
  t.strictSame(afterExit(of, b).slice(1), ['end b', 'stop a', 'start b', 'start c']);
});

t.test('one restart too many is a report and the end', async (t) => {
  const a = child('a');
  const { window } = addRestart(EMPTY_WINDOW, 0, { intensity: 1, periodMs: 1_000 });
  t.strictSame(afterExit(situation([a], { window }), a, ERROR, 900), [
    'report child_terminated a',
    'report shutdown a',
    ...['end a', 'exit'],
  ]);
  t.strictSame(afterExit(situation([a], { window }), a, ERROR, 1_001).at(-1), 'start a', 'later it is not too many');
});

t.test('a start that fails is reported and tried again, which counts', async (t) => {
  const down = child('a', {}, { pid: undefined, restarting: true });
  const of = situation([down]);
  const failed = decide(of, { type: 'start_failed', child: down, reason: ERROR });
  t.strictSame(brief(failed.actions), ['report start_error a', 'try_again a']);
  t.equal(failed.window, of.window, 'not yet');
  const first = decide(of, { type: 'try_again', child: down, nowMs: 0 });
  t.strictSame(brief(first.actions), ['end a', 'start a']);
  const second = decide({ ...of, window: first.window }, { type: 'try_again', child: down, nowMs: 0 });
  t.strictSame(brief(second.actions), ['report shutdown a', 'end a', 'exit']);
});

t.test('one_for_all tries again with everybody, from where it failed', async (t) => {
  const [a, b] = [child('a'), child('b', {}, { pid: undefined, restarting: true })];
  const c = child('c', {}, { pid: undefined });
  const event = { type: 'try_again', child: b, nowMs: 0 } as const;
  const all = decide(situation([a, b, c], { strategy: 'one_for_all' }), event);
  t.strictSame(brief(all.actions), ['end b', 'stop a', 'start a', 'start b', 'start c']);
  const rest = decide(situation([a, b, c], { strategy: 'rest_for_one' }), event);
  t.strictSame(brief(rest.actions), ['end b', 'start b', 'start c']);
});

// Who is significant, who has ended and how: does the supervisor end?
const shutdowns: [string, Situation['autoShutdown'], Child[], ExitReason, boolean][] = [
  [
    'the first of two, and any counts',
    'any_significant',
    [child('a', SIGNIFICANT), child('b', SIGNIFICANT)],
    'normal',
    true,
  ],
  [
    'the first of two, and all count',
    'all_significant',
    [child('a', SIGNIFICANT), child('b', SIGNIFICANT)],
    'normal',
    false,
  ],
  [
    'the last of two',
    'all_significant',
    [child('a', SIGNIFICANT), child('b', SIGNIFICANT, { pid: undefined })],
    'normal',
    true,
  ],
  ['a transient one that crashed', 'any_significant', [child('a', SIGNIFICANT)], ERROR, false],
  [
    'a temporary one that crashed',
    'any_significant',
    [child('a', { ...SIGNIFICANT, restart: 'temporary' })],
    ERROR,
    true,
  ],
  [
    'one that is not significant',
    'any_significant',
    [child('a', { restart: 'transient' }), child('b', SIGNIFICANT)],
    'normal',
    false,
  ],
  ['the only one, and nobody heeds it', 'never', [child('a', { restart: 'transient' })], 'normal', false],
];
for (const [name, autoShutdown, children, reason, ends] of shutdowns) {
  t.test(`${name}: the supervisor ${ends ? 'ends' : 'goes on'}`, async (t) => {
    t.equal(afterExit(situation(children, { autoShutdown }), children[0]!, reason).includes('exit'), ends);
  });
}

t.test('a decision changes nothing that it was given', async (t) => {
  const children = Object.freeze([child('a'), child('b')].map(Object.freeze)) as Child[];
  const of = Object.freeze(situation(children, { strategy: 'one_for_all' }));
  const before = JSON.stringify(of);
  decide(of, { type: 'exited', child: children[0]!, reason: ERROR, nowMs: 0 });
  t.equal(JSON.stringify(of), before);
});
