/** Departures and returns of a node, as operators order them: whichever came last holds. */

import t from 'tap';
import { VirtualClock } from '../runtime/testing/index.ts';
import { promisesSettled } from '../runtime/testing/virtual-clock.ts';
import { AdminError } from './admin/errors.ts';
import { NodeControl, type NodeControlOptions } from './node-control.ts';
import type { OwnNode } from './nodes/own-node.ts';
import { nodeVerbs, NODE_LEAVE } from './nodes/verbs.ts';

const HAND_OVER_MS = 300;
const DRAIN_MS = 300;

/** A node of one worker that hands over and drains for a while, whatever else it is told. */
function startFixture(): {
  readonly control: NodeControl;
  readonly asked: string[];
  readonly ended: string[];
  leave(): Promise<object>;
  advance(ms: number): Promise<void>;
} {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const ended: string[] = [];
  const answers: Record<string, readonly [number, object]> = {
    'hand-over': [HAND_OVER_MS, { left: 0 }],
    drain: [DRAIN_MS, { told: 5, left: 0 }],
  };
  const call = async (_to: object, { question }: { readonly question: string }): Promise<object> => {
    asked.push(question);
    const [ms, ok] = answers[question] ?? [0, {}];
    await new Promise<void>((resolve) => clock.setTimer(ms, resolve));
    return { ok };
  };
  const node = { clock, name: 'b', call };
  const workers = { node, workerCount: 1, head: {}, figures: () => [], announce: () => undefined };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined, setLevels: () => undefined };
  const given = { workers, settings: {}, config: { drainRate: 1 }, environment: {}, readAgain: () => ({}), log };
  const control = new NodeControl(given as unknown as NodeControlOptions, undefined);
  const own = { name: 'b' } as OwnNode;
  const verbs = nodeVerbs({
    own,
    control,
    workers: given.workers as never,
    cluster: undefined,
    end: () => ended.push(''),
  });
  const { run } = verbs.find(({ spec }) => spec === NODE_LEAVE)!;
  const advance = async (ms: number): Promise<void> => {
    await promisesSettled();
    clock.advance(ms);
    await promisesSettled();
  };
  const caller = { signal: new AbortController().signal, via: 'socket' } as const;
  return { control, asked, ended, leave: async () => run({ withinMs: 1_000 }, caller) as Promise<object>, advance };
}

const CALLED_OFF = { code: 'ADM_REFUSED', message: /called off/ };

for (const [when, ms] of [
  ['shards are handed over', HAND_OVER_MS / 2],
  ['clients are sent away', HAND_OVER_MS + DRAIN_MS / 2],
] as const) {
  t.test(`a node that is told to join while ${when} serves, and its departure is called off`, async (t) => {
    const { control, asked, ended, leave, advance } = startFixture();
    const left = leave();
    const refused = t.rejects(left, CALLED_OFF);
    await advance(ms);
    t.equal(control.phase, 'draining');
    const joined = control.comeBack();
    await advance(0);
    await joined;
    t.equal(control.phase, 'serving');
    await advance(1_000);
    await refused;
    await advance(1_000);
    t.equal(control.phase, 'serving', 'and stays so');
    t.equal(asked.filter((question) => question === 'drain').length, ms < HAND_OVER_MS ? 0 : 1, asked.join(' '));
    t.strictSame(ended, [], 'the process goes on');
  });
}

t.test('a departure behind a return holds', async (t) => {
  const { control, advance } = startFixture();
  const joined = control.comeBack();
  const departed = control.depart(10, 1_000, 60_000);
  await advance(0);
  await joined;
  t.equal(control.phase, 'draining', 'the answers of the return came when the departure had begun');
  await advance(HAND_OVER_MS);
  await advance(DRAIN_MS);
  t.same(await departed, { told: 5, left: 0, shardsLeft: 0 });
  t.equal(control.phase, 'draining');
});

t.test('a node that is about to end is not called back', async (t) => {
  const { control, ended, leave, advance } = startFixture();
  const left = leave();
  await advance(HAND_OVER_MS);
  await advance(DRAIN_MS);
  t.match(await left, { told: 5 });
  await t.rejects(control.comeBack(), { code: 'ADM_REFUSED', message: /about to end/ });
  await t.rejects(control.resume(), AdminError);
  await advance(1_000);
  t.equal(ended.length, 1);
});
