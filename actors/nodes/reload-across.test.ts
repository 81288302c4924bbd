import t from 'tap';
import type { Clock } from '../../runtime/index.ts';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { AdminError } from '../admin/errors.ts';
import type { Outcome, ReloadReport } from '../reload/report.ts';
import {
  formatClusterReport,
  reloadAcross,
  rollBackAcross,
  type NodeReloadParameters,
  type ReloadTarget,
} from './reload-across.ts';

const PARAMETERS = {
  name: 'actors/connection',
  canary: '5%',
  check: false,
  observe: 500,
  record: 100,
  timeout: 5_000,
  renumber: false,
  run: 'a 0 1',
};

function reportOf(outcome: Outcome, sha256: string, from = 0, to = 1): ReloadReport {
  const parts = { refusals: [], notes: [], fault: undefined, backMs: undefined, compileMs: 1, check: undefined };
  const rest = {
    canaryActors: 0,
    sweep: undefined,
    stallMs: 0,
    stallDuring: '',
    counts: undefined,
    isBack: false,
  };
  const bundle = { bytes: 1, modules: [], bundleMs: 1, sha256 };
  return { id: 1, name: PARAMETERS.name, outcome, from, to, startedAt: '', tookMs: 1, bundle, ...parts, ...rest };
}

/** Nodes that note what they are asked. `says`: what each makes of the check and of the reload; `silence`: it does not answer. */
function nodes(
  says: Readonly<Record<string, readonly [Outcome | 'silence', Outcome | 'silence']>>,
  hashes: Readonly<Record<string, string>> = {},
): {
  readonly targets: ReloadTarget[];
  readonly asked: string[];
  readonly given: NodeReloadParameters[];
} {
  const asked: string[] = [];
  const given: NodeReloadParameters[] = [];
  const targets = Object.entries(says).map(([node, [check, reload]]): ReloadTarget => ({
    node,
    async reload(parameters, tell) {
      asked.push(`${node} ${parameters.check ? 'check' : 'reload'}`);
      given.push(parameters);
      tell('working');
      const outcome = parameters.check ? check : reload;
      if (outcome === 'silence') throw new AdminError('ADM_NO_ANSWER', `node ${node} did not answer`);
      return reportOf(outcome, hashes[node] ?? 'aa');
    },
    async rollback() {
      asked.push(`${node} back`);
      return reportOf('kept', 'aa', 1, 0);
    },
  }));
  return { targets, asked, given };
}

/** The versions of a node as its coordinator keeps them, and what becomes of the order to load a third one. */
interface Stack {
  target: ReloadTarget;
  readonly versions: { readonly version: number; readonly run: string | undefined }[];
}

type Fate = 'kept' | 'not taken' | 'report lost' | 'back, report lost' | 'rolled back';

/** @param backs - What it says first when it is to go back. */
function stackOf(node: string, fate: Fate, backs: ('busy' | 'silent')[] = []): Stack {
  const versions: { version: number; run: string | undefined }[] = [
    { version: 1, run: undefined },
    { version: 2, run: 'an earlier one' },
  ];
  const silent = new AdminError('ADM_NO_ANSWER', `node ${node} did not answer`);
  const target: ReloadTarget = {
    node,
    async reload({ check, run }) {
      if (check) return reportOf('checked', 'aa', 2, 3);
      if (fate === 'not taken') throw new AdminError('ADM_BUSY', 'the node has enough orders under way');
      if (fate === 'rolled back') return reportOf('rolled_back', 'aa', 2, 3);
      if (fate !== 'back, report lost') versions.push({ version: 3, run });
      if (fate !== 'kept') throw silent;
      return reportOf('kept', 'aa', 2, 3);
    },
    async rollback({ of }) {
      const first = backs.shift();
      if (first === 'silent') throw silent;
      if (first === 'busy') return refusedFor('RELOAD_BUSY', undefined);
      const { version, run } = versions.at(-1)!;
      if (of !== undefined && run !== of) return refusedFor('RELOAD_NOTHING_BACK', version);
      versions.pop();
      return reportOf('kept', 'aa', version, versions.at(-1)!.version);
    },
  };
  return { target, versions };
}

function refusedFor(code: 'RELOAD_BUSY' | 'RELOAD_NOTHING_BACK', from: number | undefined): ReloadReport {
  return Object.assign(reportOf('refused', 'aa'), { from, to: undefined, refusals: [{ code, detail: '' }] });
}

const clock = new VirtualClock();
/** Whoever waits has waited. */
const hasty: Clock = {
  nowMs: () => clock.nowMs(),
  monotonicMs: () => clock.monotonicMs(),
  setTimer(delayMs, callback) {
    queueMicrotask(() => {
      clock.advance(delayMs);
      callback();
    });
    return undefined;
  },
  clearTimer: () => undefined,
};
const told: string[] = [];
const tell = (stage: string): void => void told.push(stage);

t.test(
  'every node checks before any is reloaded, then one after the other, a share first on the first alone',
  async (t) => {
    const { targets, asked, given } = nodes({ a: ['checked', 'kept'], b: ['checked', 'kept'], c: ['checked', 'kept'] });
    const report = await reloadAcross(targets, PARAMETERS, clock, tell);
    t.match(report, { outcome: 'kept', sha256: 'aa', back: [], nodes: [{ node: 'a' }, { node: 'b' }, { node: 'c' }] });
    t.strictSame(asked, ['a check', 'b check', 'c check', 'a reload', 'b reload', 'c reload']);
    const applied = given.filter(({ check }) => !check);
    t.strictSame(
      applied.map(({ canary, expect }) => [canary, expect]),
      [
        ['5%', 'aa'],
        ['0%', 'aa'],
        ['0%', 'aa'],
      ],
    );
    t.ok(told.includes('b: working'));
  },
);

t.test('one that refuses, or does not answer, in the check keeps all as they are', async (t) => {
  for (const outcome of ['refused', 'silence'] as const) {
    const { targets, asked } = nodes({ a: ['checked', 'kept'], b: [outcome, 'kept'], c: ['checked', 'kept'] });
    t.match(await reloadAcross(targets, PARAMETERS, clock, tell), { outcome: 'refused', back: [] });
    t.notOk(
      asked.some((each) => /reload|back/.test(each)),
      asked.join(),
    );
  }
  const { targets, asked } = nodes({ a: ['refused', 'kept'], b: ['checked', 'kept'] });
  t.match(await reloadAcross(targets, PARAMETERS, clock, tell), { outcome: 'refused' });
  t.strictSame(asked, ['a check'], 'what the first refuses nobody else is asked');
});

t.test(
  'a fault stops it: the node goes back by itself, those before it are taken back, later ones never begin',
  async (t) => {
    const { targets, asked } = nodes({
      a: ['checked', 'kept'],
      b: ['checked', 'kept'],
      c: ['checked', 'rolled_back'],
      d: ['checked', 'kept'],
    });
    const report = await reloadAcross(targets, PARAMETERS, clock, tell);
    t.match(report, {
      outcome: 'rolled_back',
      nodes: [{ node: 'a' }, { node: 'b' }, { node: 'c' }],
      back: [{ node: 'b' }, { node: 'a' }],
    });
    t.strictSame(asked.slice(4), ['a reload', 'b reload', 'c reload', 'b back', 'a back']);
    t.match(formatClusterReport(report), /at 3 nodes: ROLLED BACK[^]*asked to take it back:\nb /);
  },
);

t.test('a node that falls silent in the middle is asked to go back too, since nobody knows what it did', async (t) => {
  const { targets, asked } = nodes({ a: ['checked', 'kept'], b: ['checked', 'silence'] });
  t.match(await reloadAcross(targets, PARAMETERS, clock, tell), {
    outcome: 'rolled_back',
    nodes: [{ node: 'a' }, { error: { code: 'ADM_NO_ANSWER' } }],
  });
  t.strictSame(asked.slice(-2), ['b back', 'a back']);
});

t.test('no failure takes a node below the version that it began with', async (t) => {
  for (const fate of ['not taken', 'report lost', 'back, report lost', 'rolled back'] as const) {
    const stacks = [stackOf('a', 'kept'), stackOf('b', fate), stackOf('c', 'kept')];
    const targets = stacks.map(({ target }) => target);
    const report = await reloadAcross(targets, PARAMETERS, hasty, tell);
    t.match(report, { outcome: 'rolled_back', run: PARAMETERS.run }, fate);
    const two = ['a', 'b', 'c'].map((node) => ({ node, version: 2 }));
    t.strictSame(report.runs, two, `${fate}, as it is told`);
    const live = stacks.map(({ target: { node }, versions }) => ({ node, version: versions.at(-1)!.version }));
    t.strictSame(live, two, `${fate}, as it is`);
  }
});

t.test('a node that is busy, or silent for a while, goes back when it can', async (t) => {
  const stacks = [stackOf('a', 'kept', ['busy', 'busy', 'silent']), stackOf('b', 'report lost', ['silent', 'busy'])];
  const targets = stacks.map(({ target }) => target);
  t.match(await reloadAcross(targets, PARAMETERS, hasty, tell), { outcome: 'rolled_back' });
  t.strictSame(
    stacks.map(({ versions }) => versions.at(-1)!.version),
    [2, 2],
  );
});

t.test('what could not be taken back is said: which node runs what, and of whom nobody knows', async (t) => {
  const silent = stackOf('b', 'report lost', Array<'silent'>(1_000).fill('silent'));
  const stacks = [stackOf('a', 'kept'), silent, stackOf('c', 'kept')];
  stacks[0]!.target = Object.assign({}, stacks[0]!.target, {
    rollback: async () => reportOf('rolled_back', 'aa', 3, 2),
  });
  const report = await reloadAcross(
    stacks.map(({ target }) => target),
    PARAMETERS,
    hasty,
    tell,
  );
  t.match(report, { outcome: 'mixed', back: [{ error: { code: 'ADM_NO_ANSWER' } }, { node: 'a' }] });
  t.strictSame(report.runs, [
    { node: 'a', version: 3 },
    { node: 'b', version: undefined },
    { node: 'c', version: 2 },
  ]);
  const text = formatClusterReport(report);
  t.match(text, /NOT ALIKE[^]*now: a runs 3, b runs nobody knows what, c runs 2\nname: a 0 1$/);
  t.notMatch(text, /nodes: ROLLED BACK/);
});

t.test('a fault on the first node ends with its own verdict; a check alone applies nothing', async (t) => {
  const first = nodes({ a: ['checked', 'rolled_back'], b: ['checked', 'kept'] });
  t.match(await reloadAcross(first.targets, PARAMETERS, clock, tell), { outcome: 'rolled_back', back: [] });
  const only = nodes({ a: ['checked', 'kept'], b: ['checked', 'kept'] });
  t.match(await reloadAcross(only.targets, { ...PARAMETERS, check: true }, clock, tell), { outcome: 'checked' });
  t.strictSame(only.asked, ['a check', 'b check']);
});

t.test('a reload is taken back at all nodes, the last one first', async (t) => {
  const { targets, asked } = nodes({ a: ['checked', 'kept'], b: ['checked', 'kept'] });
  t.match(await rollBackAcross(targets, PARAMETERS, clock, tell), { outcome: 'kept', isBack: true });
  t.strictSame(asked, ['b back', 'a back']);
  const stacks = [stackOf('a', 'kept'), stackOf('b', 'kept')];
  stacks[0]!.versions.push({ version: 3, run: 'this one' });
  const named = Object.assign({}, PARAMETERS, { of: 'this one' });
  const report = await rollBackAcross(
    stacks.map(({ target }) => target),
    named,
    hasty,
    tell,
  );
  t.match(report, { outcome: 'mixed', run: 'this one' }, 'one that is named, where it is');
  t.strictSame(report.runs, [
    { node: 'b', version: 2 },
    { node: 'a', version: 2 },
  ]);
});
