import t from 'tap';
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
};

function reportOf(outcome: Outcome, sha256: string): ReloadReport {
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
  return { id: 1, name: PARAMETERS.name, outcome, from: 0, to: 1, startedAt: '', tookMs: 1, bundle, ...parts, ...rest };
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
      return reportOf('kept', 'aa');
    },
  }));
  return { targets, asked, given };
}

const clock = new VirtualClock();
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
    t.match(formatClusterReport(report), /at 3 nodes: ROLLED BACK[^]*taken back:\nb /);
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
});
