import t, { type Test } from 'tap';
import type { Behavior, Pid } from '../../runtime/index.ts';
import { childSpec, dynamicSupervisorSpec, castStartChild, startSupervisor } from '../../supervisors/index.ts';
import { agent, AGENT_NAME } from './agent.ts';
import { actorQuestions } from './actor-questions.ts';
import { actorVerbs } from './actor-verbs.ts';
import { Surveyor } from './surveyor.ts';
import { createDesk, createThreads, type Threads } from './test-kit.ts';

const clerk: Behavior<{ handled: number; readonly phone: string }, void, string> = {
  name: 'test/clerk',
  init: () => ({ handled: 0, phone: '+4915100000001' }),
  handleCast: (_message, state) => void (state.handled += 1),
};

interface Fixture extends Threads {
  ask<T extends object>(verb: string, parameters?: object): Promise<T>;
  readonly closing: AbortController;
}

/** Two workers with a small tree each: a clerk with a name of its own, and one whose name both have. */
async function startFixture(t: Test): Promise<Fixture> {
  const threads = createThreads(2);
  for (const [index, { node }] of threads.workerNodes.entries()) {
    await startSupervisor(node, {
      name: 'worker',
      strategy: 'one_for_one',
      intensity: 9,
      children: [
        childSpec('own', clerk, undefined, { options: { name: `clerk.${index}` } }),
        childSpec('shared', clerk, undefined, { options: { name: 'shared' } }),
        childSpec(AGENT_NAME, agent, { questions: actorQuestions(node) }, { options: { name: AGENT_NAME } }),
        dynamicSupervisorSpec({ name: 'many', child: { start: { behavior: clerk }, restart: 'temporary' } }),
      ],
    });
    for (let count = 0; count < 7; count += 1) castStartChild(node, 'many');
  }
  await threads.settle();
  const closing = new AbortController();
  const { desk } = createDesk(t, actorVerbs(threads.workers, closing.signal));
  const caller = { signal: new AbortController().signal, via: 'socket' } as const;
  return {
    ...threads,
    closing,
    ask: async <T extends object>(verb: string, parameters: object = {}) =>
      (await threads.outcome(desk.answer(verb, parameters, caller, async () => undefined))) as T,
  };
}

t.test('an actor is found by pid, by name, and by name and worker', async (t) => {
  const { ask, workerNodes } = await startFixture(t);
  const { pid } = await ask<{ pid: string }>('actor.inspect', { actor: 'clerk.1' });
  t.equal(pid, String(workerNodes[1]!.node.whereis('clerk.1')));
  t.match(await ask('actor.inspect', { actor: pid }), { name: 'clerk.1', ancestors: ['worker', 'the node'] });
  t.match(await ask('actor.inspect', { actor: pid.slice(1, -1) }), { name: 'clerk.1' });
  t.match(await ask('actor.inspect', { actor: 'shared@2' }), { pid: /^<test\.2\./ });
  await t.rejects(ask('actor.inspect', { actor: 'shared' }), {
    code: 'ADM_BAD_PARAMETER',
    message: /shared@1, shared@2/,
  });
  await t.rejects(ask('actor.inspect', { actor: 'nobody' }), { code: 'ADM_NOT_FOUND' });
  await t.rejects(ask('actor.inspect', { actor: '<test.1.999.1>' }), { code: 'ADM_NOT_FOUND' });
  await t.rejects(ask('actor.inspect', { actor: '<test.7.1.1>' }), { code: 'ADM_NOT_FOUND' });
});

t.test('the tree shows supervisors with the first of their children and counts the rest', async (t) => {
  const { ask } = await startFixture(t);
  const { workers } = await ask<{ workers: { ok: { roots: unknown[] } }[] }>('actor.tree', { children: 4 });
  t.equal(workers.length, 2);
  t.match(workers[0]!.ok.roots, [
    {
      shown: { name: 'worker' },
      childCount: 4,
      children: [{}, {}, {}, { shown: { name: 'many' }, childCount: 7, children: [{}, {}, {}, {}] }],
    },
  ]);
  const part = await ask<{ workers: object[] }>('actor.tree', { actor: 'many@2', children: 0 });
  t.match(part.workers, [{ worker: 2, ok: { roots: [{ childCount: 7, children: [] }] } }]);
});

t.test('a state is told masked', async (t) => {
  const { ask } = await startFixture(t);
  t.match(await ask('actor.state', { actor: 'clerk.0' }), { state: { handled: 0, phone: '[text of 14]' } });
});

t.test('a suspended actor handles nothing until it is resumed, or its time is over, or the node stops', async (t) => {
  const { ask, workerNodes, settle, advance, closing } = await startFixture(t);
  const { node } = workerNodes[0]!;
  const handled = async (): Promise<number> => {
    const { state } = await ask<{ state: { handled: number } }>('actor.state', { actor: 'clerk.0' });
    return state.handled;
  };
  await ask('actor.suspend', { actor: 'clerk.0', forMs: 0 });
  node.cast('clerk.0', 'x');
  await advance(3_600_000);
  t.equal(await handled(), 0);
  await ask('actor.resume', { actor: 'clerk.0' });
  t.equal(await handled(), 1);

  await ask('actor.suspend', { actor: 'clerk.0', forMs: 1_000 });
  node.cast('clerk.0', 'x');
  await settle();
  t.equal(await handled(), 1);
  await advance(1_100);
  t.equal(await handled(), 2);

  await ask('actor.suspend', { actor: 'clerk.0', forMs: 60_000 });
  node.cast('clerk.0', 'x');
  closing.abort();
  await settle();
  t.equal(await handled(), 3);
  await t.rejects(ask('actor.suspend', { actor: 'admin@1' }), { code: 'ADM_REFUSED' });
});

t.test('a killed actor is brought back by its supervisor; the root is not killed', async (t) => {
  const { ask, workerNodes, settle } = await startFixture(t);
  const { node } = workerNodes[0]!;
  const before = node.whereis('clerk.0');
  t.match(await ask('actor.kill', { actor: 'clerk.0' }), { ended: 'killed' });
  await settle();
  const after = node.whereis('clerk.0') as Pid;
  t.ok(after !== undefined && after !== before);
  t.match(await ask('actor.kill', { actor: 'clerk.0', reason: 'shutdown' }), { ended: 'shutdown' });
  await t.rejects(ask('actor.kill', { actor: 'worker@1' }), { code: 'ADM_REFUSED' });
  t.ok(node.whereis('worker'));
});

t.test(
  'a trace tells what was handled, not what it held; it ends with its number of events, with its actor, and when nobody looks',
  async (t) => {
    const { workers, workerNodes, settle } = await startFixture(t);
    const { node } = workerNodes[0]!;
    const verb = actorVerbs(workers, new AbortController().signal).find(({ spec }) => spec.name === 'actor.trace')!;
    const follow = (events: number, signal: AbortSignal): { lines: object[]; done: Promise<void> } => {
      const lines: object[] = [];
      const source = verb.run({ actor: 'clerk.0', events, forMs: 60_000 } as never, { signal, via: 'socket' });
      const done = (async () => {
        for await (const line of source as AsyncIterable<object>) lines.push(line);
      })();
      return { lines, done };
    };
    const never = new AbortController().signal;
    const first = follow(2, never);
    await settle();
    for (const message of ['secret one', 'secret two', 'secret three']) node.cast('clerk.0', message);
    await settle();
    await first.done;
    t.match(first.lines, [
      { number: 1, event: 'cast' },
      { number: 2, event: 'cast' },
      { event: 'end', why: 'cap' },
    ]);
    t.notMatch(JSON.stringify(first.lines), 'secret');

    const second = follow(10, never);
    await settle();
    node.exit(node.whereis('clerk.0')!, 'kill');
    await settle();
    await second.done;

    const leaving = new AbortController();
    const third = follow(10, leaving.signal);
    await settle();
    leaving.abort();
    await settle();
    await third.done;
    t.notMatch(workers.node.processes().map(String).join(), /<test\.0/, 'no tracer is left');
  },
);

t.test('looking at the top shares one pass, and forgets when nobody looks', async (t) => {
  const { workerNodes, settle, advance } = createThreads(1);
  const { node } = workerNodes[0]!;
  for (let count = 0; count < 50; count += 1) node.spawn(clerk, undefined);
  await settle();
  const surveyor = new Surveyor(node);
  const views = [surveyor.top({ by: 'queue', rows: 3 }), surveyor.top({ by: 'time', rows: 5 })];
  await advance(10);
  await settle();
  const [queue, time] = await Promise.all(views);
  t.match([queue!.rows.length, time!.rows.length, queue!.visited], [3, 5, 50]);
  await Promise.all(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((behavior) =>
      surveyor.top({ by: 'queue', rows: 1, behavior }).catch(() => undefined),
    ),
  );
  await t.rejects(surveyor.top({ by: 'queue', rows: 1, behavior: 'g' }), { code: 'ADM_BUSY' });
  surveyor.forget();
  t.match(await surveyor.top({ by: 'queue', rows: 1, behavior: 'test/clerk' }), { visited: 50, windowMs: 0 });
});
