/** Reloads of a whole node, by a real part of one worker and the real bundler; what happens between two steps is planted. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../runtime/index.ts';
import { RELOAD_LIMITS, type ReloadStep } from '../../runtime/reload/index.ts';
import { benchOf, textOf, type Bench } from '../../runtime/reload/reload.test-kit.ts';
import { stopBundler } from './bundle.ts';
import { Coordinator, DEFAULT_OPTIONS } from './coordinator.ts';
import { ReloadHistory } from './history.ts';
import type { ReloadReport } from './report.ts';

const NAME = 'test/counter';
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const QUICK = Object.assign({ name: NAME }, DEFAULT_OPTIONS, {
  canary: 0,
  observeMs: 30,
  recordMs: 0,
  timeoutMs: 60_000,
});

t.teardown(stopBundler);

interface Node {
  readonly directory: string;
  readonly bench: Bench;
  readonly coordinator: Coordinator;
  /** Called before each step is taken. */
  planted: (step: ReloadStep['step']) => Promise<void> | void;
  /** Saves a version as an engineer would, and loads it. */
  load(fields: string, run?: string): Promise<ReloadReport>;
  history(): ReloadHistory;
}

/** @param directory - Of a node before this one, which is started anew. */
function nodeOf(t: Test, actors: number, directory: string = newDirectory(t)): Node {
  const bench = benchOf(t, actors);
  const history = (): ReloadHistory => new ReloadHistory(directory, LOG);
  const ask = async (step: ReloadStep): Promise<Awaited<ReturnType<typeof bench.reload.take>>[]> => {
    await node.planted(step.step);
    return [await bench.reload.take(step)];
  };
  const root = { directory, extension: '.ts' } as const;
  const coordinator = new Coordinator({ workers: { ask }, root, history: history(), clock: systemClock, log: LOG });
  const load = (fields: string, run?: string): Promise<ReloadReport> => {
    writeFileSync(join(directory, `${NAME}.ts`), textOf(fields));
    return coordinator.reload(Object.assign({}, QUICK, { run }));
  };
  const node: Node = { directory, bench, coordinator, planted: () => undefined, load, history };
  return node;
}

function newDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-coordinator-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'test'));
  return directory;
}

function stateOf({ node, pids }: Bench): Promise<object> {
  return node.call<object>(pids[0]!, 'state', 60_000);
}

/** A version with a field of its own, and the way to the one before and back. */
function numbered(version: number): string {
  const before = version - 1;
  const beneath = before === 0 ? '{ count, sink }' : `{ count, sink, field${before}: 'back' }`;
  return `version: ${version}, init: (sink) => ({ count: 0, sink, field${version}: 'init' }),
    codeChange: ({ count, sink }) => ({ count, sink, field${version}: 'changed' }),
    codeBack: ({ count, sink }, to) => { if (to !== ${before}) throw new RangeError('to ' + to); return ${beneath}; },`;
}

t.test('what the version throws between the last look and its acceptance takes it back as well', async (t) => {
  const node = nodeOf(t, 3);
  node.planted = async (step) => {
    if (step !== 'keep') return;
    node.bench.node.cast(node.bench.pids[0]!, { kind: 'bad' });
    await stateOf(node.bench);
  };
  const throwing = `handleCast(message) { if (message.kind === 'bad') throw new Error('planted'); },`;
  const report = await node.load(`${numbered(1)} ${throwing}`);
  t.match(report, { outcome: 'rolled_back', fault: { code: 'handler_threw', detail: /planted/ } });
  t.match(await node.coordinator.list(), [{ name: NAME, version: 0 }]);
  t.notOk('field1' in (await stateOf(node.bench)));
  node.planted = () => undefined;
  t.match(await node.load(numbered(1)), { outcome: 'kept' }, 'and the next one may come');
});

t.test('a worker that does not answer takes the reload back', async (t) => {
  const node = nodeOf(t, 3);
  node.planted = (step) => {
    if (step === 'keep') throw new Error('no answer');
  };
  await t.rejects(node.load(numbered(1)), { message: 'no answer' });
  t.match(await node.coordinator.list(), [{ version: 0 }]);
  t.notOk('field1' in (await stateOf(node.bench)));
});

t.test('reloads are taken back one by one, to the version of the start, each by the code that it leaves', async (t) => {
  const node = nodeOf(t, 3);
  for (const version of [1, 2, 3]) t.match(await node.load(numbered(version)), { outcome: 'kept', to: version });
  t.match(await stateOf(node.bench), { field3: 'changed' });
  for (const version of [2, 1]) {
    t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', isBack: true, to: version });
    t.match(await stateOf(node.bench), { [`field${version}`]: 'back' });
  }
  t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', from: 1, to: 0 });
  t.strictSame(Object.keys(await stateOf(node.bench)), ['count', 'sink']);
  const nothing = { outcome: 'refused', refusals: [{ code: 'RELOAD_NOTHING_BACK' }] };
  t.match(await node.coordinator.rollback(QUICK), nothing);
  t.match(await node.load(numbered(1)), { outcome: 'kept' }, 'and forth again');
  t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', to: 0 });
});

t.test('a reload that is named is taken back where it is the last one, and nothing in its place', async (t) => {
  const node = nodeOf(t, 1);
  const back = (of: string): Promise<ReloadReport> => node.coordinator.rollback(Object.assign({}, QUICK, { of }));
  const nothing = { outcome: 'refused', from: 2, refusals: [{ code: 'RELOAD_NOTHING_BACK' }] };
  t.match(await node.load(numbered(1), 'first'), { outcome: 'kept' });
  t.match(await node.load(numbered(2)), { outcome: 'kept' });
  t.match(await back('first'), nothing, 'another came after it');
  t.match(await back('never here'), nothing);
  t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', to: 1 });
  t.match(await back('first'), { outcome: 'kept', to: 0 });
  t.match(await back('first'), { outcome: 'refused' }, 'once');
});

t.test('a worker that is slow to forget keeps the version as all do, which can be taken back', async (t) => {
  const node = nodeOf(t, 1);
  node.planted = (step) => {
    if (step === 'forget') throw new Error('no answer');
  };
  const kept = node.load(numbered(1));
  t.match(await kept, { outcome: 'kept', to: 1, notes: [/forgot/] });
  t.match(await node.coordinator.list(), [{ version: 1 }]);
  t.match(await stateOf(node.bench), { field1: 'changed' });
  node.planted = () => undefined;
  // It comes to it later.
  await node.bench.reload.take({ step: 'forget' });
  t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', to: 0 });
});

t.test('so many versions are kept to go back to, and no more', async (t) => {
  const node = nodeOf(t, 1);
  const count = RELOAD_LIMITS.backCountMax + 2;
  for (let version = 1; version <= count; version += 1) await node.load(numbered(version));
  for (let back = 1; back <= RELOAD_LIMITS.backCountMax; back += 1) {
    t.match(await node.coordinator.rollback(QUICK), { outcome: 'kept', to: count - back });
  }
  t.match(await node.coordinator.rollback(QUICK), { outcome: 'refused' });
});

t.test('a process that starts with other code than the last reload brought is told of', async (t) => {
  const node = nodeOf(t, 1);
  t.strictSame(node.history().endedByRestart([{ name: NAME }]), []);
  await node.load(numbered(1));
  const nextLife = node.history();
  t.strictSame(nextLife.endedByRestart([{ name: NAME }]), [{ behavior: NAME, ran: 1, runs: 0 }]);
  t.strictSame(node.history().endedByRestart([{ name: NAME, version: 1 }]), [], 'it was built');
  nextLife.add(nextLife.last(1).map((report) => Object.assign({}, report, { id: nextLife.nextId }))[0]!);
  t.strictSame(nextLife.endedByRestart([{ name: NAME }]), [], 'it was reloaded again');
  await node.coordinator.rollback(QUICK);
  t.strictSame(node.history().endedByRestart([{ name: NAME }]), [], 'it was taken back');
});

t.test('after a restart there is nothing to go back to, and whoever asks is told why', async (t) => {
  const node = nodeOf(t, 1);
  await node.load(numbered(1));
  const anew = nodeOf(t, 1, node.directory);
  t.match(await anew.coordinator.rollback(QUICK), {
    outcome: 'refused',
    from: 0,
    refusals: [{ code: 'RELOAD_NOTHING_BACK', detail: /#1 \(0 → 1\) ended with the process that it was in/ }],
  });
  t.match(await anew.load(numbered(1)), { outcome: 'kept' });
  t.match(await anew.coordinator.rollback(QUICK), { outcome: 'kept', from: 1, to: 0 });
  t.match(
    await anew.coordinator.rollback(QUICK),
    { refusals: [{ detail: NAME }] },
    'what came in this process is gone',
  );
});
