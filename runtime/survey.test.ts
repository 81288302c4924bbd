import t from 'tap';
import type { Behavior } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { lineageOf } from './lineage.ts';
import type { Pid } from './pid.ts';
import { Survey, type RankBy } from './survey.ts';
import { createTestNode } from './testing/test-node.ts';

const keeper: Behavior<Map<number, number>, void, number> = {
  name: 'keeper',
  init: () => new Map(),
  handleCast: (key, state) => void state.set(key, key),
};

const other: Behavior<{ kept: Uint8Array | undefined }, number> = {
  name: 'other',
  init: (bytes) => ({ kept: new Uint8Array(bytes) }),
};

/** An actor that starts `count` linked children. */
const parent: Behavior<Pid[], number> = {
  name: 'parent',
  init: (count, ctx) =>
    Array.from({ length: count }, () => (ctx.startLink(keeper, undefined) as { ok: Pid }).ok as Pid),
};

t.test('a walk meets every actor once, in slices, also while others start and end', async (t) => {
  const { node, settle } = createTestNode();
  const pids = Array.from({ length: 3_000 }, () => node.spawn(keeper, undefined));
  await settle();
  const gone = new Set(pids.filter((_, index) => index % 3 === 0));
  const seen: Pid[] = [];
  const walk = node.walk();
  while (!walk.step(0, (process) => void seen.push(process))) {
    for (const pid of [...gone].slice(0, 20)) {
      node.exit(pid, 'kill');
      gone.delete(pid);
    }
    node.spawn(keeper, undefined);
    await settle();
  }
  t.equal(walk.visited, seen.length);
  t.equal(new Set(seen).size, seen.length, 'nobody twice');
  const stayed = pids.filter((_, index) => index % 3 !== 0);
  const met = new Set(seen);
  t.ok(
    stayed.every((pid) => met.has(pid)),
    'all who lived all the while',
  );
});

t.test('a walk can stop early and go on from its slot', async (t) => {
  const { node, settle } = createTestNode();
  for (let count = 0; count < 10; count += 1) node.spawn(keeper, undefined);
  await settle();
  const seen: number[] = [];
  const first = node.walk();
  t.notOk(first.step(1_000, ({ slot }) => seen.push(slot) < 4));
  t.ok(node.walk(first.slot).step(1_000, ({ slot }) => void seen.push(slot)));
  t.strictSame(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

t.test('the top of each ranking is what sorting all would give', async (t) => {
  const { node, settle } = createTestNode();
  const pids = Array.from({ length: 500 }, (_, index) => node.spawn(other, index * 10));
  await settle();
  const largest = new Survey(node).begin([{ by: 'memory', countMax: 3 }]);
  while (!largest.step(0));
  const bySize = largest.result().rankings[0]!.map(({ pid }) => `${pid}`);
  t.strictSame(bySize, pids.slice(-3).reverse().map(String));
  for (const [index, pid] of pids.entries()) {
    // What waits: nobody runs between this and the pass.
    for (let sent = 0; sent < (index * 37) % 101; sent += 1) node.send(pid, sent);
  }
  const pass = new Survey(node).begin([
    { by: 'queue', countMax: 7 },
    { by: 'queue', behavior: 'nobody', countMax: 3 },
  ]);
  while (!pass.step(0));
  const { rankings, visited, queued, isComplete, groups } = pass.result();
  const expected = pids.map((_, index) => (index * 37) % 101).sort((a, b) => b - a);
  t.strictSame(
    rankings[0]!.map(({ messageQueueLen }) => messageQueueLen),
    expected.slice(0, 7),
  );
  t.strictSame(rankings[1], []);
  t.strictSame(
    { visited, isComplete, queued },
    { visited: 500, isComplete: true, queued: expected.reduce((a, b) => a + b) },
  );
  t.match(groups, [{ behavior: 'other', count: 500 }]);
});

t.test('work is ranked by what came since the pass before, also in a slot that has another actor now', async (t) => {
  const { node, settle, clock } = createTestNode();
  const pids = Array.from({ length: 5 }, () => node.spawn(keeper, undefined));
  await settle();
  const survey = new Survey(node);
  const ranked = (): [string, number][] => {
    const pass = survey.begin([{ by: 'messages', countMax: 5 }]);
    while (!pass.step(1));
    return pass
      .result()
      .rankings[0]!.filter(({ messages }) => messages > 0)
      .map(({ pid, messages }) => [`${pid}`, messages]);
  };
  for (let sent = 0; sent < 9; sent += 1) node.cast(pids[0]!, sent);
  await settle();
  t.strictSame(ranked(), [[`${pids[0]}`, 9]]);
  for (let sent = 0; sent < 3; sent += 1) node.cast(pids[1]!, sent);
  await settle();
  clock.advance(1_000);
  t.strictSame(ranked(), [[`${pids[1]}`, 3]], 'what was done before does not count');
  node.exit(pids[1]!, 'kill');
  await settle();
  const heir = node.spawn(keeper, undefined);
  t.equal(heir.slot, pids[1]!.slot);
  node.cast(heir, 1);
  await settle();
  t.strictSame(ranked(), [[`${heir}`, 1]]);
});

t.test('a pass that is not at its end tells what it has seen; an actor that ended meanwhile is left out', async (t) => {
  const { node, settle } = createTestNode();
  const pids = Array.from({ length: 200 }, () => node.spawn(keeper, undefined));
  await settle();
  node.send(pids[3]!, 1);
  const pass = new Survey(node).begin([{ by: 'queue', countMax: 1 }]);
  t.notOk(pass.step(0));
  const { visited, isComplete, rankings } = pass.result();
  t.ok(visited > 0 && visited < 200 && !isComplete);
  t.equal(rankings[0]![0]!.pid, pids[3]);
  node.exit(pids[3]!, 'kill');
  await settle();
  t.strictSame(pass.result().rankings[0], []);
});

t.test('a ranking has a bound', async (t) => {
  const { node } = createTestNode();
  for (const countMax of [0, LIMITS.surveyRowsMax + 1, Number.NaN]) {
    t.throws(() => new Survey(node).begin([{ by: 'queue' as RankBy, countMax }]), RangeError);
  }
});

t.test('the tree is who started whom; what is beyond the bounds is counted', async (t) => {
  const { node, settle } = createTestNode();
  const root = node.start(parent, 5, { name: 'root' }) as { ok: Pid };
  node.spawn(keeper, undefined);
  await settle();
  const look = (options: { childrenMax: number; depthMax: number; root?: Pid }): ReturnType<typeof gather> =>
    gather(options);
  const gather = (options: { childrenMax: number; depthMax: number; root?: Pid }) => {
    const lineage = lineageOf({ ...options, show: ({ behavior }) => behavior.name });
    const walk = node.walk();
    while (!lineage.step(walk, 0));
    return { tree: lineage.tree(), orphans: lineage.orphanCount };
  };
  const leaf = { shown: 'keeper', childCount: 0, children: [] };
  t.strictSame(look({ childrenMax: 2, depthMax: 9 }), {
    tree: [{ shown: 'parent', childCount: 5, children: [leaf, leaf] }],
    orphans: 1,
  });
  t.strictSame(look({ childrenMax: 9, depthMax: 1 }).tree, [{ shown: 'parent', childCount: 5, children: [] }]);
  t.match(look({ childrenMax: 9, depthMax: 2, root: root.ok }).tree, [{ childCount: 5 }]);
});
