/** What the tests of reloads reload: in a script of its own, since that tells what is its own. */

import type { AnyBehavior, Behavior } from '../behavior.ts';
import type { Sink } from './reload.test-kit.ts';

export interface CounterState {
  count: number;
  readonly sink: Sink;
}

/** Version 0. */
export function counterBehavior(more: Partial<AnyBehavior> = {}): AnyBehavior {
  const counter: Behavior<CounterState, Sink, { kind: string; by?: number }, string, unknown> = {
    name: 'test/counter',
    retriable: true,
    init: (sink) => ({ count: 0, sink }),
    handleCast(message, state) {
      if (message.kind === 'add') state.count += message.by ?? 1;
      state.sink.write(`${message.kind} ${state.count}`);
    },
    handleCall: (request, _from, state) => (request === 'state' ? { ...state, sink: undefined } : state.count),
  };
  return { ...counter, ...more };
}
