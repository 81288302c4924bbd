import t from 'tap';
import { startDynamicChild, startDynamicSupervisor } from '../../supervisors/index.ts';
import { benchOf, prepare, Sink, textOf, type Bench } from './reload.test-kit.ts';
import { findFault, type TrialCounts } from './verdict.ts';

/** A version whose state is wider, with both ways. */
const WIDER = textOf(`
  init: (sink) => ({ count: 0, sink, unit: 'new' }),
  codeChange: (state, from) => ({ ...state, unit: 'from ' + from }),
  codeBack: ({ unit, ...state }) => state,
`);

/** Answers come at once; a machine that does much else may take its time. */
const WAIT_MS = 60_000;

/** The event loop goes round, so that what waited for it has run. */
async function twoRounds(): Promise<void> {
  for (let round = 0; round < 2; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function begin(bench: Bench, text: string, share: number = 0): Promise<number> {
  const refusals = await prepare(bench.reload, text);
  if (refusals.length > 0) throw new Error(JSON.stringify(refusals));
  return (await bench.take({ step: 'canary', share }, 'canary')).actors;
}

function switchAll(bench: Bench, timeoutMs: number = WAIT_MS): ReturnType<Bench['take']> {
  return bench.take({ step: 'switch', timeoutMs }, 'swept');
}

/** Ends a trial for the new version. */
async function keep(bench: Bench): Promise<TrialCounts> {
  const { counts } = await bench.take({ step: 'keep' }, 'kept');
  await bench.take({ step: 'forget' }, 'forgotten');
  return counts;
}

function stateOf({ node, pids }: Bench, index: number): Promise<object> {
  return node.call<object>(pids[index]!, 'state', WAIT_MS);
}

t.test(
  'all actors are converted, idle ones and those that hibernate, and new ones start with the new version',
  async (t) => {
    const hibernating = {
      hibernate: (state: object) => ({ packed: state }),
      wake: ({ packed }: { packed: object }) => packed,
      handleInfo: (_info: unknown, _state: unknown, ctx: { hibernate(): void }) => ctx.hibernate(),
    };
    const bench = benchOf(t, 40, hibernating);
    for (const pid of bench.pids.slice(20)) bench.node.send(pid, 'sleep');
    await bench.node.call(bench.pids[39]!, 'count', WAIT_MS);
    bench.node.send(bench.pids[39]!, 'sleep');
    // Actors take their turns in the order in which they were given something.
    await stateOf(bench, 0);
    const repacked = `hibernate: (state) => ({ box: state }), wake: ({ box }) => box, handleInfo() {},`;
    await begin(bench, WIDER.replace('};', `, ${repacked} };`).replace(/,\s*,/, ','));
    const { sweep } = (await switchAll(bench)) as { sweep: { moved: number; killed: number } };
    t.match(sweep, { moved: 40, killed: 0 });
    for (const index of [0, 19, 20, 39]) t.match(await stateOf(bench, index), { count: 0, unit: 'from 0' });
    const counts = await keep(bench);
    t.match(counts.conversions, { done: 40, failed: 0 });

    const late = bench.node.spawn(bench.counter, new Sink());
    t.match(await bench.node.call(late, 'state', WAIT_MS), { unit: 'new' });
    await startDynamicSupervisor(bench.node, { name: 'counters', child: { start: { behavior: bench.counter } } });
    const child = (await startDynamicChild(bench.node, 'counters', new Sink())) as { ok: typeof late };
    t.match(
      await bench.node.call(child.ok, 'state', WAIT_MS),
      { unit: 'new' },
      'and so do children of a specification',
    );
  },
);

t.test('a share of the actors tries it first, the same ones each time, and goes back when told', async (t) => {
  const bench = benchOf(t, 400);
  const chosen = await begin(bench, WIDER, 0.1);
  t.ok(chosen > 15 && chosen < 80, `${chosen} of 400`);
  const states = await Promise.all(bench.pids.map((_, index) => stateOf(bench, index)));
  t.equal(states.filter((state) => 'unit' in state).length, chosen);
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.equal(counts.next.handled, chosen);
  t.equal(counts.before.handled, 400 - chosen);
  t.strictSame(await prepare(bench.reload, WIDER), [{ code: 'RELOAD_BUSY', detail: 'test/counter' }]);
  await bench.take({ step: 'back', timeoutMs: WAIT_MS }, 'swept');
  const after = await Promise.all(bench.pids.map((_, index) => stateOf(bench, index)));
  t.equal(after.filter((state) => 'unit' in state).length, 0);
  t.equal(await begin(bench, WIDER, 0.1), chosen);
});

t.test('where codeChange throws, the state is what it was and the version before goes on', async (t) => {
  const bench = benchOf(t, 10);
  bench.node.cast(bench.pids[3]!, { kind: 'add', by: 7 });
  await stateOf(bench, 3);
  const failing = `codeChange(state) { if (state.count === 7) throw new Error('planted'); return { ...state, unit: '' }; }, codeBack: ({ unit, ...state }) => state,`;
  await begin(bench, textOf(`init: (sink) => ({ count: 0, sink, unit: '' }), ${failing}`));
  await switchAll(bench);
  t.match(await stateOf(bench, 3), { count: 7, unit: undefined });
  t.match(await stateOf(bench, 4), { count: 0, unit: '' });
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.match(counts, { conversions: { failed: 1, done: 9 }, firstError: 'codeChange: Error: planted' });
  await bench.take({ step: 'back', timeoutMs: WAIT_MS }, 'swept');
  bench.node.cast(bench.pids[3]!, { kind: 'add' });
  t.match(await stateOf(bench, 3), { count: 8 });
  t.match(await stateOf(bench, 4), { unit: undefined });
});

t.test('a message that the new version throws at is handled by the version before, once', async (t) => {
  const bench = benchOf(t, 2);
  const throwing = `
    init: (sink) => ({ count: 0, sink, unit: '' }),
    codeChange: (state) => ({ ...state, unit: '' }), codeBack: ({ unit, ...state }) => state,
    handleCast(message, state) { if (message.kind === 'add') { throw new TypeError('a later protocol'); } },
    handleCall: async (request, from, state) => { await null; if (request === 'count') throw new Error('late'); return { ...state, sink: undefined }; },`;
  await begin(bench, textOf(throwing));
  await switchAll(bench);
  t.match(await stateOf(bench, 0), { unit: '' }, 'it runs');
  for (let each = 0; each < 5; each++) bench.node.cast(bench.pids[0]!, { kind: 'add', by: 2 });
  t.equal(await bench.node.call(bench.pids[1]!, 'count', WAIT_MS), 0, 'a promise that rejects is one');
  t.match(await stateOf(bench, 0), { count: 10, unit: undefined });
  t.strictSame(bench.sinks[0]!.lines, ['add 2', 'add 4', 'add 6', 'add 8', 'add 10']);
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.match(counts, { retried: 2, next: { threw: 2 }, firstError: 'handleCast: TypeError: a later protocol' });
  await bench.take({ step: 'back', timeoutMs: WAIT_MS }, 'swept');
  t.match(await stateOf(bench, 1), { count: 0, unit: undefined });
});

/** Raises what it acknowledges and throws before it has stored that, as an inbox might while it plans a commit. */
const HALF_WAY = `
  init: (sink) => ({ count: 0, sink, unit: '' }), codeChange: (state) => ({ ...state, unit: '' }), codeBack: ({ unit, ...state }) => state,
  handleCast(message, state) { state.count += 1; throw new Error('half-way'); },
  terminate(reason, state) { state.sink.write('ends with unit ' + ('unit' in state)); },`;

for (const [title, mine, theirs] of [
  ['the running version', false, true],
  ['the new version', true, false],
] as const) {
  t.test(
    `a behaviour of which ${title} is not retriable crashes where it throws, and nothing is handled twice`,
    async (t) => {
      const bench = benchOf(t, 3, { retriable: mine });
      await begin(bench, textOf(`retriable: ${theirs}, ${HALF_WAY}`));
      await switchAll(bench);
      const exit = bench.node.awaitExit(bench.pids[0]!, WAIT_MS);
      bench.node.cast(bench.pids[0]!, { kind: 'add', by: 1 });
      t.match(await exit, { error: { message: 'half-way' } });
      t.strictSame(
        bench.sinks[0]!.lines,
        ['ends with unit true'],
        'the version before never sees what was half changed',
      );
      bench.node.cast(bench.pids[1]!, { kind: 'add' });
      const other = await stateOf(bench, 1);
      t.match(other, { count: 1 }, 'others do not crash as well: this worker is back at once');
      t.notOk('unit' in other);
      const late = bench.node.spawn(bench.counter, new Sink());
      t.notOk(
        'unit' in (await bench.node.call<object>(late, 'state', WAIT_MS)),
        'and who starts, starts with the version before',
      );
      const { counts } = await bench.take({ step: 'counts' }, 'counts');
      t.match(counts, { retried: 0, next: { threw: 1 }, firstError: 'handleCast: Error: half-way' });
      t.match(findFault(counts), { code: 'handler_threw' }, 'and the version goes back');
      const { sweep } = (await bench.take({ step: 'back', timeoutMs: WAIT_MS }, 'swept')) as { sweep: object };
      t.match(sweep, { killed: 0 });
      bench.node.cast(bench.pids[2]!, { kind: 'add' });
      t.match(await stateOf(bench, 2), { count: 1 });
    },
  );
}

t.test('a promise that rejects ends an actor that is not retriable', async (t) => {
  const bench = benchOf(t, 1, { retriable: false });
  await begin(
    bench,
    textOf(`handleInfo: async (info, state) => { state.count += 1; await null; throw new Error('late'); },`),
  );
  await switchAll(bench);
  bench.node.send(bench.pids[0]!, 'anything');
  t.match(await bench.node.awaitExit(bench.pids[0]!, WAIT_MS), { error: { message: 'late' } });
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.match(counts, { retried: 0, next: { threw: 1 } });
});

t.test('what both versions throw at ends the actor, as ever, and is not held against the new one', async (t) => {
  const bench = benchOf(t, 1, {
    handleInfo: () => {
      throw new Error('before');
    },
  });
  await begin(bench, textOf(`handleInfo() { throw new Error('now'); },`));
  await switchAll(bench);
  bench.node.send(bench.pids[0]!, 'anything');
  t.match(await bench.node.awaitExit(bench.pids[0]!, WAIT_MS), { error: { message: 'before' } });
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.equal(counts.next.threw, 0);
});

t.test('an actor that the new version cannot start is started by the version before', async (t) => {
  const bench = benchOf(t, 0);
  await begin(bench, textOf(`init() { throw new Error('no'); },`));
  await switchAll(bench);
  const pid = bench.node.spawn(bench.counter, new Sink());
  t.equal(await bench.node.call(pid, 'count', WAIT_MS), 0);
  const { counts } = await bench.take({ step: 'counts' }, 'counts');
  t.match(counts, { next: { threw: 1 }, firstError: 'init: Error: no' });
});

t.test('an actor that holds on to the version before, by an open promise, is killed at the deadline', async (t) => {
  const bench = benchOf(t, 3, { handleInfo: () => new Promise<void>(() => undefined) });
  bench.node.send(bench.pids[1]!, 'wait for good');
  await stateOf(bench, 0);
  await begin(bench, textOf('handleInfo() {},'));
  const exit = bench.node.awaitExit(bench.pids[1]!, WAIT_MS);
  const { sweep } = (await switchAll(bench, 60)) as { sweep: object };
  t.match(sweep, { killed: 1 });
  t.match(await exit, { error: { message: /held on to version 0/ } });
  await keep(bench);
  t.equal(await bench.node.call(bench.pids[0]!, 'count', WAIT_MS), 0);
});

t.test('a version that was kept goes back for what its last counts show, until the trial is forgotten', async (t) => {
  const bench = benchOf(t, 3);
  const throwing = `handleCast(message, state) { if (message.kind === 'bad') throw new Error('planted'); },`;
  await begin(bench, WIDER.replace(/};$/, `${throwing} };`));
  await switchAll(bench);
  bench.node.cast(bench.pids[0]!, { kind: 'bad' });
  await stateOf(bench, 0);
  const { counts } = await bench.take({ step: 'keep' }, 'kept');
  t.match(findFault(counts), { code: 'handler_threw' }, 'what was thrown since the last look shows');
  t.match(await stateOf(bench, 1), { unit: 'from 0' });
  await bench.take({ step: 'back', timeoutMs: WAIT_MS }, 'swept');
  for (const index of [0, 1, 2]) t.notOk('unit' in (await stateOf(bench, index)), 'all are back');
  t.match((await bench.take({ step: 'list' }, 'list')).behaviors, [{ version: 0 }]);
  await t.rejects(bench.reload.take({ step: 'forget' }), { message: 'nothing is on trial' });
});

t.test('a promise that outlasts the trial and rejects ends its actor, as it does without a trial', async (t) => {
  const bench = benchOf(t, 1);
  await begin(bench, textOf(`handleInfo: (wait) => wait.then(() => { throw new Error('late'); }),`));
  await switchAll(bench);
  let settle = (): void => undefined;
  bench.node.send(bench.pids[0]!, new Promise<void>((resolve) => (settle = resolve)));
  await twoRounds();
  await keep(bench);
  const exit = bench.node.awaitExit(bench.pids[0]!, WAIT_MS);
  settle();
  t.match(await exit, { error: { message: 'late' } });
});

t.test('a reload is taken back later, from the text that was there or to the version of the start', async (t) => {
  const bench = benchOf(t, 5);
  await begin(bench, WIDER);
  await switchAll(bench);
  await keep(bench);
  bench.node.cast(bench.pids[2]!, { kind: 'add' });
  t.match(await stateOf(bench, 2), { count: 1, unit: 'from 0' });
  const back = { step: 'prepare', name: 'test/counter', version: 0, isBack: true, modules: [] } as const;
  t.match(await bench.take(back, 'prepared'), { from: 1, to: 0 });
  await bench.take({ step: 'canary', share: 0 }, 'canary');
  await switchAll(bench);
  await keep(bench);
  const state = await stateOf(bench, 2);
  t.match(state, { count: 1 });
  t.notOk('unit' in state, 'codeBack of the version that is left made it');
  const list = await bench.take({ step: 'list' }, 'list');
  t.match(list.behaviors, [{ name: 'test/counter', version: 0 }]);
});

t.test('versions that went are collected', async (t) => {
  const bench = benchOf(t, 50);
  for (let version = 1; version <= 20; version++) {
    const text = textOf(`version: ${version}, init: (sink) => ({ count: 0, sink, field${version}: 0 }),
      codeChange: ({ count, sink }) => ({ count, sink, field${version}: 0 }), codeBack: ({ count, sink }) => ({ count, sink }),`);
    await begin(bench, text, 0.5);
    await switchAll(bench);
    for (const pid of bench.pids) bench.node.cast(pid, { kind: 'add' });
    await stateOf(bench, 49);
    await keep(bench);
  }
  t.match(await stateOf(bench, 7), { count: 20, field20: 0 });
  let { memory } = await bench.take({ step: 'memory' }, 'memory');
  // The engine may keep the last frame that saw a version until other code has run, and what it compiles beside until that is done, which
  // takes as long as others have the processors.
  for (let round = 0; memory.loaded > 1 && round < 6_000; round++) {
    await stateOf(bench, round % 50);
    await new Promise((resolve) => setTimeout(resolve, 10));
    ({ memory } = await bench.take({ step: 'memory' }, 'memory'));
  }
  t.equal(memory.loaded, 1, 'only the one that runs is left');
  const { collected } = await bench.take({ step: 'list' }, 'list');
  t.equal(collected.length, 19);
});

t.test('steps out of order are bugs', async (t) => {
  const bench = benchOf(t, 1);
  await t.rejects(bench.reload.take({ step: 'keep' }), { message: 'nothing is on trial' });
  await t.rejects(bench.reload.take({ step: 'canary', share: 0 }), { message: 'nothing is prepared' });
  t.strictSame((await bench.reload.take({ step: 'back', timeoutMs: 0 })).step, 'dropped');
});
