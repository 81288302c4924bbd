/**
 * For the tests of reloads: a node with actors of one behaviour, and a reload of them by text, as a worker carries it out.
 */

import type { Test } from 'tap';
import type { AnyBehavior } from '../behavior.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { counterBehavior } from './counter.fixture.ts';
import type { Aside, CheckReport } from './check.ts';
import { type Refusal } from './refusals.ts';
import { type ReloadAnswer, type ReloadStep, WorkerReload } from './worker-reload.ts';

const SILENT = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Stands for a socket: of the shell. */
export class Sink {
  readonly lines: string[] = [];
  isClosed: boolean = false;

  write(line: string): void {
    this.lines.push(line);
  }

  close(): void {
    this.isClosed = true;
  }
}

export interface Bench {
  readonly node: RuntimeNode;
  readonly reload: WorkerReload;
  readonly counter: AnyBehavior;
  readonly sinks: readonly Sink[];
  readonly pids: readonly Pid[];
  /** Takes the steps of a check. */
  check(text: string, options?: { readonly version?: number; readonly recordMs?: number }): Promise<CheckReport>;
  take<Answer extends ReloadAnswer['step']>(
    step: ReloadStep,
    expected: Answer,
  ): Promise<Extract<ReloadAnswer, { step: Answer }>>;
}

/** A node with `count` counters. */
export function benchOf(t: Test, count: number, more: Partial<AnyBehavior> = {}, aside: Aside = (run) => run()): Bench {
  const node = createNode({ name: 'test', clock: systemClock, random: systemRandom, loop: systemLoop, log: SILENT });
  const counter = counterBehavior(more);
  const shell: Readonly<Record<string, unknown>> = { shell: { greet: () => 'hello', Sink } };
  const reload = new WorkerReload({
    node,
    loop: systemLoop,
    behaviors: [counter],
    shell: (id) => shell[id],
    loadedModule: async () => undefined,
    aside,
  });
  const sinks = Array.from({ length: count }, () => new Sink());
  const pids = sinks.map((sink) => (node.start(counter, sink) as { readonly ok: Pid }).ok);
  t.teardown(async () => {
    reload.close();
    await node.stop();
  });
  const take: Bench['take'] = async (step, expected) => {
    const answer = await reload.take(step);
    if (answer.step !== expected) throw new Error(`expected ${expected}, got ${JSON.stringify(answer)}`);
    return answer as never;
  };
  const check: Bench['check'] = async (text, { version, recordMs = 0 } = {}) => {
    const prepared = await prepare(reload, text, version);
    if (prepared.length > 0) return { refusals: prepared, notes: [], sampled: 0, replayed: 0 };
    return (await take({ step: 'check', recordMs }, 'checked')).report;
  };
  return { node, reload, counter, sinks, pids, check, take };
}

/** Returns what the text is refused for. */
export async function prepare(reload: WorkerReload, text: string, version?: number): Promise<readonly Refusal[]> {
  await reload.take({ step: 'part', text });
  const answer = await reload.take({ step: 'prepare', name: 'test/counter', version, isBack: false, modules: [] });
  return answer.step === 'refused' ? answer.refusals : [];
}

/** A text of a version of the counter, from the source of its fields. */
export function textOf(fields: string, top: string = ''): string {
  return `"use strict"; ${top}
    exports.counter = {
      name: 'test/counter', version: 1, retriable: true,
      init: (sink) => ({ count: 0, sink }),
      handleCast(message, state) {
        if (message.kind === 'add') state.count += message.by ?? 1;
        state.sink.write(message.kind + ' ' + state.count);
      },
      handleCall: (request, from, state) => (request === 'state' ? { ...state, sink: undefined } : state.count),
      ${fields}
    };`;
}
