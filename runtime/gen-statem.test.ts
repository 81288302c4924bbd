import fc from 'fast-check';
import t from 'tap';

import type { Context } from './behavior.ts';
import type { From } from './envelope.ts';
import * as genStatem from './gen-statem.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import * as sys from './sys.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

const { eventTimeout, keepState, namedTimeout, nextEvent, nextState, postpone, reply, stateTimeout, stop } = genStatem;

type State = 'a' | 'b';
type Event = genStatem.StateEvent<State, unknown, unknown>;
type Answer = genStatem.Transition<State, string[]> | void;
type Script = (event: Event, state: State, seen: string[], ctx: Context) => Answer | Promise<Answer>;

/** One line for an event: `a cast x`, or `b enter a`. */
function lineOf(event: Event, state: State): string {
  if (event.type === 'enter') return `${state} enter ${event.oldState}`;
  const name = event.type === 'named_timeout' ? ` ${event.name}` : '';
  return `${state} ${event.type}${name} ${String(event.content)}`;
}

interface Run {
  readonly test: TestNode;
  readonly pid: Pid;
  /** What the machine was called with, in order. */
  readonly seen: string[];
}

/** A machine that notes every event and then does what `script` says. */
async function run(script: Script, options: { stateEnter?: boolean; actions?: genStatem.Action[] } = {}): Promise<Run> {
  const seen: string[] = [];
  const machine = genStatem.behavior<State, string[], void, unknown, unknown>({
    name: 'machine',
    stateEnter: options.stateEnter,
    init: () => ({ state: 'a', data: seen, actions: options.actions }),
    handleEvent(event, state, data, ctx) {
      data.push(lineOf(event, state));
      return script(event, state, data, ctx);
    },
  });
  const test = createTestNode();
  const pid = test.node.spawn(machine, undefined);
  await test.settle();
  return { test, pid, seen };
}

/** Hands in casts at one go, then settles. */
async function cast({ test, pid }: Run, ...contents: unknown[]): Promise<void> {
  for (const content of contents) test.node.cast(pid, content);
  await test.settle();
}

const is = (event: Event, content: unknown): boolean => 'content' in event && event.content === content;

t.test('state functions: the same event means what its state makes of it', async (t) => {
  const lock = genStatem.behavior<'locked' | 'open', { code: string; tries: number }, string, string, 'state'>({
    name: 'lock',
    init: (code) => ({ state: 'locked', data: { code, tries: 0 } }),
    states: {
      locked(event, data) {
        if (event.type === 'call') return keepState(reply(event.from, `locked ${data.tries}`));
        if (event.type === 'cast') {
          data.tries += 1;
          if (event.content === data.code) return nextState('open', stateTimeout(5_000));
        }
        return keepState();
      },
      open(event) {
        if (event.type === 'state_timeout') return { ...nextState('locked'), data: { code: 'new', tries: 0 } };
        if (event.type === 'call') return keepState(reply(event.from, 'open'));
        return keepState();
      },
    },
  });
  const test = createTestNode();
  const pid = test.node.spawn(lock, '1234');
  const ask = async (): Promise<unknown> => {
    const answer = test.node.call(pid, 'state', 100);
    await test.settle();
    return answer;
  };
  test.node.cast(pid, '0000');
  t.equal(await ask(), 'locked 1');
  test.node.cast(pid, '1234');
  t.equal(await ask(), 'open');
  await test.advance(5_000);
  t.equal(await ask(), 'locked 0');
  test.node.cast(pid, '1234');
  t.equal(await ask(), 'locked 1', 'the data were replaced as a whole');
});

t.test('postponed events come back after the next change of state, oldest first, and before newer ones', async (t) => {
  const machine = await run((event, state) => {
    if (is(event, 'go')) return nextState('b');
    if (state === 'a') return keepState(postpone);
    return keepState();
  });
  await cast(machine, 1, 2, 'go', 3);
  t.strictSame(machine.seen, ['a cast 1', 'a cast 2', 'a cast go', 'b cast 1', 'b cast 2', 'b cast 3']);
});

t.test('without a change of state postponed events stay, also over repeat_state', async (t) => {
  const machine = await run((event) => {
    if (is(event, 'repeat')) return genStatem.repeatState();
    if (is(event, 'same')) return nextState('a');
    if (is(event, 1)) return keepState(postpone);
    return keepState();
  });
  await cast(machine, 1, 'same', 'repeat', 'other');
  t.strictSame(machine.seen, ['a cast 1', 'a cast same', 'a cast repeat', 'a cast other']);
});

t.test('an event may be postponed together with the change that releases it', async (t) => {
  const machine = await run((event, state) => {
    if (is(event, 1) && state === 'a') return nextState('b', postpone);
    return keepState();
  });
  await cast(machine, 1, 2);
  t.strictSame(machine.seen, ['a cast 1', 'b cast 1', 'b cast 2']);
});

t.test('inserted events come before released and waiting ones, in their order', async (t) => {
  const machine = await run((event, state) => {
    if (is(event, 'go')) {
      return nextState('b', nextEvent({ type: 'internal', content: 'i' }), nextEvent({ type: 'cast', content: 'j' }));
    }
    if (state === 'a') return keepState(postpone);
    return keepState();
  });
  await cast(machine, 1, 'go', 2);
  t.strictSame(machine.seen, ['a cast 1', 'a cast go', 'b internal i', 'b cast j', 'b cast 1', 'b cast 2']);
});

t.test('enter calls: at the start, on a change, on repeat, and not on keeping', async (t) => {
  const machine = await run(
    (event) => {
      if (is(event, 'go')) return nextState('b');
      if (is(event, 'repeat')) return genStatem.repeatState();
      return keepState();
    },
    { stateEnter: true },
  );
  await cast(machine, 'x', 'go', 'repeat');
  t.strictSame(machine.seen, ['a enter a', 'a cast x', 'a cast go', 'b enter a', 'b cast repeat', 'b enter b']);
});

t.test('an enter call may set timeouts and reply, and may not go elsewhere or touch events', async (t) => {
  const machine = await run((event) => (event.type === 'enter' ? keepState(stateTimeout(10, 'late')) : undefined), {
    stateEnter: true,
  });
  await machine.test.advance(10);
  t.strictSame(machine.seen, ['a enter a', 'a state_timeout late']);
  for (const answer of [nextState<State>('b'), keepState(postpone), genStatem.repeatState()]) {
    const wrong = await run((event) => (event.type === 'enter' ? answer : undefined), { stateEnter: true });
    t.equal(wrong.test.node.processInfo(wrong.pid), undefined, 'the machine ended');
    t.match(wrong.test.logged, [{ event: 'actor_crashed', fields: { reason: /from an enter call/ } }]);
  }
});

t.test('a state timeout goes with its state; setting it again replaces it', async (t) => {
  const machine = await run((event) => {
    if (is(event, 'set')) return keepState(stateTimeout(10, 'first'));
    if (is(event, 'again')) return keepState(stateTimeout(10, 'second'));
    if (is(event, 'go')) return nextState('b');
    if (is(event, 'cancel')) return keepState(stateTimeout('infinity'));
    return keepState();
  });
  await cast(machine, 'set', 'other');
  await machine.test.advance(10);
  t.equal(machine.seen.at(-1), 'a state_timeout first', 'other events do not disturb it');
  await cast(machine, 'set');
  await machine.test.advance(9);
  await cast(machine, 'again');
  await machine.test.advance(9);
  t.equal(machine.seen.at(-1), 'a cast again');
  await machine.test.advance(1);
  t.equal(machine.seen.at(-1), 'a state_timeout second');
  await cast(machine, 'set', 'cancel', 'set', 'go');
  await machine.test.advance(20);
  t.equal(machine.seen.at(-1), 'a cast go');
  t.equal(machine.test.node.info().timerCount, 0);
});

t.test('any event ends an event timeout; a named one is ended by nothing', async (t) => {
  const machine = await run((event) => {
    if (is(event, 'set')) return keepState(eventTimeout(10, 'e'), namedTimeout('n', 10, 'n'));
    if (is(event, 'go')) return nextState('b');
    return keepState();
  });
  await cast(machine, 'set');
  await machine.test.advance(10);
  t.strictSame(machine.seen.slice(1), ['a timeout e', 'a named_timeout n n']);
  await cast(machine, 'set', 'go');
  await machine.test.advance(10);
  t.strictSame(machine.seen.slice(4), ['a cast go', 'b named_timeout n n'].slice(0));
});

t.test('a timeout of 0 comes after the events at hand and before new ones', async (t) => {
  const machine = await run((event, state) => {
    if (is(event, 'go')) return nextState('b', stateTimeout(0, 'z'));
    if (state === 'a') return keepState(postpone);
    return keepState();
  });
  await cast(machine, 1, 'go', 2);
  t.strictSame(machine.seen.slice(2), ['b cast 1', 'b state_timeout z', 'b cast 2']);
});

t.test('a timeout that is on its way is cancelled all the same', async (t) => {
  const machine = await run((event) => {
    if (is(event, 'set')) return keepState(namedTimeout('n', 5));
    if (is(event, 'cancel')) return keepState(genStatem.cancelTimeout({ name: 'n' }));
    return keepState();
  });
  await cast(machine, 'set');
  machine.test.node.cast(machine.pid, 'cancel');
  machine.test.clock.advance(5);
  await machine.test.settle();
  t.strictSame(machine.seen, ['a cast set', 'a cast cancel'], 'its message waited behind the one that cancelled it');
});

t.test('an update changes the content of a timeout, and fires one that does not run', async (t) => {
  const machine = await run((event) => {
    if (is(event, 'set')) return keepState(namedTimeout('n', 10, 'old'));
    if (is(event, 'update')) return keepState(genStatem.updateTimeout({ name: 'n' }, 'new'));
    return keepState();
  });
  await cast(machine, 'set');
  await machine.test.advance(5);
  await cast(machine, 'update');
  await machine.test.advance(5);
  t.equal(machine.seen.at(-1), 'a named_timeout n new');
  await cast(machine, 'update');
  t.equal(machine.seen.at(-1), 'a named_timeout n new');
  t.equal(machine.seen.length, 5);
});

t.test('a call is answered from another state than the one that took it', async (t) => {
  const waiting: From[] = [];
  const machine = await run((event) => {
    if (event.type === 'call') waiting.push(event.from);
    if (is(event, 'go')) return nextState('b', ...waiting.map((from) => reply(from, 'done')));
    return keepState();
  });
  const answers = Promise.all([1, 2].map((request) => machine.test.node.call(machine.pid, request, 100)));
  await cast(machine, 'go');
  t.strictSame(await answers, ['done', 'done']);
});

t.test('stop sends its replies first, and leaves what is at hand alone', async (t) => {
  const machine = await run((event) => {
    if (event.type === 'call') return stop({ shutdown: 'asked' }, reply(event.from, 'bye'));
    if (is(event, 'insert')) return keepState(nextEvent({ type: 'internal', content: 1 }));
    if (event.type === 'internal') return stop();
    return keepState();
  });
  const end = machine.test.node.awaitExit(machine.pid, 100);
  const answer = machine.test.node.call(machine.pid, 'x', 100);
  await cast(machine, 'after');
  t.equal(await answer, 'bye');
  t.strictSame(await end, { shutdown: 'asked' });
  t.strictSame(machine.seen, ['a call x']);
});

t.test('actions of init run before any message, and init may be asynchronous', async (t) => {
  const machine = await run(() => {}, {
    actions: [nextEvent({ type: 'internal', content: 'first' }), stateTimeout(0, 'then'), eventTimeout(3, 'never')],
  });
  await cast(machine, 1);
  t.strictSame(machine.seen, ['a internal first', 'a state_timeout then', 'a cast 1']);
  const slow = genStatem.behavior<State, null>({
    name: 'slow',
    init: async () => ({ state: 'a', data: null }),
    handleEvent: () => {},
  });
  const test = createTestNode();
  const started = Promise.resolve(test.node.start(slow, undefined));
  await test.settle();
  t.match(await started, { ok: Object });
});

t.test('a state function that takes time holds the next event back', async (t) => {
  let open = (): void => {};
  const machine = await run((event) => {
    if (is(event, 'slow')) return new Promise((resolve) => (open = () => resolve(nextState('b'))));
    return keepState();
  });
  await cast(machine, 'slow', 'next');
  t.strictSame(machine.seen, ['a cast slow']);
  open();
  await machine.test.settle();
  t.strictSame(machine.seen, ['a cast slow', 'b cast next']);
});

t.test('a machine that feeds itself gives way to its neighbours', async (t) => {
  const machine = await run((event) => {
    const left = (event as { content: number }).content;
    return left === 0 ? keepState() : keepState(nextEvent({ type: 'cast', content: left - 1 }));
  });
  let heardAfter = -1;
  const { test, pid, seen } = machine;
  const other = test.node.spawn(
    { name: 'other', init: () => null, handleInfo: () => void (heardAfter = seen.length) },
    undefined,
  );
  test.node.cast(pid, LIMITS.turnMessagesMax * 5);
  test.node.send(other, 'x');
  await test.settle();
  t.equal(heardAfter, LIMITS.turnMessagesMax);
  t.equal(seen.length, LIMITS.turnMessagesMax * 5 + 1, 'and goes on afterwards');
});

t.test('one event too many to postpone ends the machine', async (t) => {
  const machine = await run(() => keepState(postpone));
  const end = machine.test.node.awaitExit(machine.pid, 100);
  await cast(machine, ...Array.from({ length: LIMITS.postponedCountMax }, (_, index) => index));
  t.ok(machine.test.node.processInfo(machine.pid));
  await cast(machine, 'one more');
  t.match(await end, { error: { code: 'RT_POSTPONED_FULL' } });
});

t.test('a wrong machine and a state that does not exist are refused', async (t) => {
  const init = (): { state: State; data: null } => ({ state: 'a', data: null });
  const states = { a: () => nextState<State>('c' as State), b: () => {} };
  t.throws(() => genStatem.behavior<State, null>({ name: 'none', init }), TypeError);
  t.throws(() => genStatem.behavior<State, null>({ name: 'both', init, states, handleEvent: () => {} }), TypeError);
  const test = createTestNode();
  const pid = test.node.spawn(genStatem.behavior<State, null>({ name: 'lost', init, states }), undefined);
  test.node.cast(pid, 'x');
  await test.settle();
  t.match(test.logged, [{ event: 'actor_crashed', fields: { reason: /has no such state/ } }]);
});

t.test('sys sees state and data, terminate and codeChange get them', async (t) => {
  const ends: unknown[] = [];
  const machine = genStatem.behavior<State, { n: number }>({
    name: 'seen',
    init: () => ({ state: 'a', data: { n: 1 } }),
    handleEvent: () => {},
    terminate: (reason, state, data) => void ends.push(reason, state, { ...data }),
    codeChange: ({ data }, from) => ({ state: 'b', data: { n: data.n + from } }),
    formatStatus: ({ state }) => `in ${state}`,
  });
  const test = createTestNode();
  const pid = test.node.spawn(machine, undefined);
  const during = async <T>(request: Promise<T>): Promise<T> => {
    await test.settle();
    return request;
  };
  t.strictSame(await during(sys.getState(test.node, pid)), { state: 'a', data: { n: 1 } });
  await during(sys.replaceState(test.node, pid, () => ({ state: 'b', data: { n: 5 } })));
  t.match(await during(sys.getStatus(test.node, pid)), { state: 'in b' });
  t.strictSame(machine.codeChange!({ ...machineState(test, pid) } as never, 7), {
    ...machineState(test, pid),
    data: { n: 12 },
  });
  await during(sys.terminate(test.node, pid, 'shutdown'));
  t.strictSame(ends, ['shutdown', 'b', { n: 5 }]);
});

const machineState = (test: TestNode, pid: Pid): object => test.node.kernel.processes.get(pid)!.state as object;

// The plainest model of postponing: a list that is walked again from its start after each change of state.
function model(events: readonly number[]): string[] {
  const seen: string[] = [];
  let state: State = 'a';
  const waiting: number[] = [];
  const queue = [...events];
  for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
    seen.push(`${state} cast ${event}`);
    if (event % 3 === 0) {
      state = state === 'a' ? 'b' : 'a';
      queue.unshift(...waiting.splice(0));
    } else if (event % 2 === (state === 'a' ? 0 : 1)) waiting.push(event);
  }
  return seen;
}

t.test('whatever is postponed, the order is that of the model', async (t) => {
  const property = fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 40 }), async (events) => {
    const machine = await run((event, state) => {
      if (event.type !== 'cast') return;
      const number = event.content as number;
      if (number % 3 === 0) return nextState(state === 'a' ? 'b' : 'a');
      if (number % 2 === (state === 'a' ? 0 : 1)) return keepState(postpone);
      return keepState();
    });
    await cast(machine, ...events);
    return machine.seen.join() === model(events).join();
  });
  await fc.assert(property, { numRuns: 100 });
  t.pass();
});
