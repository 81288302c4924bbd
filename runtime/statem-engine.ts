/**
 * What happens to a transition of a state machine: the queue of events at hand, the postponed ones, and the timeouts.
 *
 * The order in which a transition is carried out is the whole of `gen_statem`, and stands in `carryOut`. A machine is
 * data in the state of an ordinary actor, so that code change, hibernation and inspection work as for any other. Read
 * before: `gen-statem.ts`, which is what an author sees.
 */

import assert from 'node:assert/strict';

import { type Behavior, type Context, NO_REPLY } from './behavior.ts';
import { RuntimeError } from './errors.ts';
import { isPromise } from './exit.ts';
import type { Action, StateEvent, StateMachine, StatemStart, TimeoutKey, Transition } from './gen-statem.ts';
import { LIMITS } from './limits.ts';
import type { Ref } from './ref.ts';

/** The state of a machine's actor. */
export interface Machine<State = unknown, Data = unknown> {
  state: State;
  data: Data;
  /** Events at hand, oldest first; empty while the machine waits. */
  queue: (StateEvent | Timeout)[];
  /** Events that wait for a change of state, oldest first. */
  postponed: StateEvent[];
  /** Running timeouts by key; null if there is none, which is the rule. */
  timeouts: Map<string, Timeout> | null;
  /** Whether `stop` was returned; what is at hand is left alone. */
  stopped: boolean;
}

/** A running timeout, and the message of its timer. One that the machine no longer holds is stale and acts no more. */
class Timeout {
  readonly id: string;
  readonly key: TimeoutKey;
  content: unknown;
  /** Of the timer; null if it fires at once. */
  ref: Ref | null = null;

  constructor(id: string, key: TimeoutKey, content: unknown) {
    this.id = id;
    this.key = key;
    this.content = content;
  }
}

type Definition = StateMachine<unknown, unknown, unknown>;
type AnyTransition = Transition | void;

/** What the actions of one transition ask for, replies apart, which are sent as they are met. */
interface Plan {
  postpone: boolean;
  hibernate: boolean;
  readonly inserted: StateEvent[];
  readonly timeouts: Extract<Action, { type: 'timeout' }>[];
}

const DRAIN = Symbol('the events at hand');
const KEEP: Transition = Object.freeze({ type: 'keep_state' });
const EVENT_TIMEOUT = 'event';
const STATE_TIMEOUT = 'state';

export function behaviorOf(machine: Definition): Behavior<Machine, unknown> {
  const { name, version, terminate, codeChange, formatStatus } = machine;
  const take = (event: StateEvent, state: Machine, ctx: Context): void | Promise<void> => {
    state.queue.push(event);
    return drain(machine, state, ctx);
  };
  return {
    name,
    version,
    init: (args, ctx) => {
      const started = machine.init(args, ctx);
      return isPromise(started) ? started.then((start) => enter(machine, start, ctx)) : enter(machine, started, ctx);
    },
    handleCall(content, from, state, ctx) {
      const pending = take({ type: 'call', content, from }, state, ctx);
      return pending === undefined ? NO_REPLY : pending.then(() => NO_REPLY);
    },
    handleCast: (content, state, ctx) => take({ type: 'cast', content }, state, ctx),
    handleInfo(content, state, ctx) {
      if (!(content instanceof Timeout)) return take({ type: 'info', content }, state, ctx);
      state.queue.push(content);
      return drain(machine, state, ctx);
    },
    handleContinue: (_term, state, ctx) => drain(machine, state, ctx),
    terminate: terminate && ((reason, { state, data }, ctx) => machine.terminate!(reason, state, data, ctx)),
    codeChange: codeChange && ((state, from) => Object.assign(state, machine.codeChange!(state, from))),
    formatStatus: formatStatus && (({ state, data }) => machine.formatStatus!({ state, data })),
    systemGetState: ({ state, data }) => ({ state, data }),
    systemReplaceState: (current, replace) =>
      Object.assign(current, replace({ state: current.state, data: current.data }) as Partial<Machine>),
  };
}

/** The first state: its enter call and actions, before any event. */
function enter(machine: Definition, start: StatemStart<unknown, unknown>, ctx: Context): Machine | Promise<Machine> {
  const { state, data, actions } = start;
  const made: Machine = { state, data, queue: [], postponed: [], timeouts: null, stopped: false };
  checkState(machine, state);
  const first: Transition = { type: 'repeat_state', actions };
  const pending = carryOut(machine, made, ctx, null, first);
  const finish = (): Machine => {
    if (made.queue.length > 0 && !made.stopped) ctx.continue(DRAIN);
    return made;
  };
  return pending === undefined ? finish() : pending.then(finish);
}

/** Handles the events at hand, but not so many that the neighbours would notice. */
function drain(machine: Definition, state: Machine, ctx: Context): void | Promise<void> {
  for (let budget = LIMITS.turnMessagesMax; state.queue.length > 0 && !state.stopped; budget -= 1) {
    if (budget === 0) return ctx.continue(DRAIN);
    const pending = handle(machine, state, ctx, state.queue.shift()!);
    if (pending !== undefined) return pending.then(() => drain(machine, state, ctx));
  }
}

function handle(
  machine: Definition,
  state: Machine,
  ctx: Context,
  next: StateEvent | Timeout,
): undefined | Promise<undefined> {
  const event = next instanceof Timeout ? expire(state, next) : next;
  if (event === undefined) return undefined;
  stopTimeout(state, ctx, EVENT_TIMEOUT);
  const outcome = callState(machine, state, ctx, event);
  if (isPromise(outcome)) return outcome.then((settled) => carryOut(machine, state, ctx, event, settled ?? KEEP));
  return carryOut(machine, state, ctx, event, outcome ?? KEEP);
}

/** The event of a timeout that fired; nothing if it was cancelled or set anew in the meantime. */
function expire(state: Machine, timeout: Timeout): StateEvent | undefined {
  const { id, key, content } = timeout;
  if (state.timeouts?.get(id) !== timeout) return undefined;
  state.timeouts.delete(id);
  if (key === 'state') return { type: 'state_timeout', content };
  return key === 'event' ? { type: 'timeout', content } : { type: 'named_timeout', name: key.name, content };
}

function callState(
  machine: Definition,
  { state, data }: Machine,
  ctx: Context,
  event: StateEvent,
): AnyTransition | Promise<AnyTransition> {
  if (machine.handleEvent !== undefined) return machine.handleEvent(event, state, data, ctx);
  return machine.states![state as string]!(event, data, ctx);
}

/**
 * One transition, in OTP's order: replies, enter call and its actions, postponing, what a change of state releases,
 * inserted events, timeouts.
 *
 * @param event - What caused it; null at the start.
 */
function carryOut(
  machine: Definition,
  state: Machine,
  ctx: Context,
  event: StateEvent | null,
  transition: Transition,
): undefined | Promise<undefined> {
  const plan: Plan = { postpone: false, hibernate: false, inserted: [], timeouts: [] };
  if ('data' in transition) state.data = transition.data;
  gather(plan, transition.actions, ctx);
  if (transition.type === 'stop') return stopMachine(state, ctx, transition.reason);
  const oldState = state.state;
  const nextState = transition.type === 'next_state' ? transition.state : oldState;
  const changed = !Object.is(oldState, nextState);
  if (changed) checkState(machine, nextState);
  state.state = nextState;
  const finish = (): undefined => finishTransition(state, ctx, event, changed, plan);
  if (machine.stateEnter !== true || !(changed || transition.type === 'repeat_state')) return finish();
  return enterState(machine, state, ctx, oldState, plan, finish);
}

function enterState(
  machine: Definition,
  state: Machine,
  ctx: Context,
  oldState: unknown,
  plan: Plan,
  finish: () => undefined,
): undefined | Promise<undefined> {
  const entered = (transition: AnyTransition): undefined => {
    if (transition === undefined) return finish();
    if ('data' in transition) state.data = transition.data;
    refuseInEnterCall(machine, state, transition);
    gather(plan, transition.actions, ctx);
    return transition.type === 'stop' ? stopMachine(state, ctx, transition.reason) : finish();
  };
  const outcome = callState(machine, state, ctx, { type: 'enter', oldState });
  return isPromise(outcome) ? outcome.then(entered) : entered(outcome);
}

/** An enter call may not go elsewhere, nor touch the events: it is not the answer to one. */
function refuseInEnterCall(machine: Definition, { state }: Machine, transition: Transition): void {
  const { type, actions = [] } = transition;
  const leaves = type === 'repeat_state' || (type === 'next_state' && !Object.is(transition.state, state));
  if (!leaves && !actions.some((action) => action.type === 'postpone' || action.type === 'next_event')) return;
  throw new TypeError(`'${machine.name}' returned ${leaves ? type : 'an event action'} from an enter call`);
}

/** Sends the replies among `actions` and adds the rest to `plan`. */
function gather(plan: Plan, actions: readonly Action[] = [], ctx: Context): void {
  for (const action of actions) {
    if (action.type === 'reply') ctx.reply(action.from, action.value);
    else if (action.type === 'postpone') plan.postpone = true;
    else if (action.type === 'hibernate') plan.hibernate = true;
    else if (action.type === 'next_event') plan.inserted.push(action.event);
    else plan.timeouts.push(action);
  }
}

function finishTransition(
  state: Machine,
  ctx: Context,
  event: StateEvent | null,
  changed: boolean,
  plan: Plan,
): undefined {
  if (plan.postpone && event !== null) postponeEvent(state, event);
  if (changed) {
    stopTimeout(state, ctx, STATE_TIMEOUT);
    state.queue.unshift(...state.postponed.splice(0));
  }
  state.queue.unshift(...plan.inserted);
  for (const { key, timeMs, content } of plan.timeouts) setTimeoutOf(state, ctx, key, timeMs, content);
  if (plan.hibernate && state.queue.length === 0) ctx.hibernate();
}

function postponeEvent(state: Machine, event: StateEvent): void {
  if (state.postponed.length >= LIMITS.postponedCountMax) {
    throw new RuntimeError('RT_POSTPONED_FULL', `${state.postponed.length} events are postponed already`);
  }
  state.postponed.push(event);
}

function stopMachine(state: Machine, ctx: Context, reason: Extract<Transition, { type: 'stop' }>['reason']): undefined {
  state.stopped = true;
  ctx.stop(reason);
}

function setTimeoutOf(
  state: Machine,
  ctx: Context,
  key: TimeoutKey,
  timeMs: number | 'infinity' | 'update',
  content: unknown,
): void {
  const id = typeof key === 'string' ? key : `name ${key.name}`;
  const running = state.timeouts?.get(id);
  if (timeMs === 'update' && running !== undefined) return void (running.content = content);
  stopTimeout(state, ctx, id);
  if (timeMs === 'infinity') return;
  const timeout = new Timeout(id, key, content);
  (state.timeouts ??= new Map()).set(id, timeout);
  if (timeMs === 0 || timeMs === 'update') state.queue.push(timeout);
  else timeout.ref = ctx.sendAfter(timeMs, timeout);
}

function stopTimeout(state: Machine, ctx: Context, id: string): void {
  const running = state.timeouts?.get(id);
  if (running === undefined) return;
  state.timeouts!.delete(id);
  if (running.ref !== null) ctx.cancelTimer(running.ref);
}

function checkState(machine: Definition, state: unknown): void {
  if (machine.states === undefined) return;
  assert.ok(typeof state === 'string' && Object.hasOwn(machine.states, state), `'${machine.name}' has no such state`);
}
