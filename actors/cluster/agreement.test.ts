import t from 'tap';
import { systemClock } from '../../runtime/index.ts';
import { agreeWithCluster, compareTraits, judgeMember, markOf, type ClusterTraits } from './agreement.ts';
import type { Registry, RegistryEntry } from './contracts.ts';

const SECRET = 'ab'.repeat(32);
const OURS: ClusterTraits = { shards: 12, centres: '', secretMark: markOf(SECRET), versions: { min: 1, max: 2 } };

/** A table with one key, as two nodes see it that start at once. */
class Table implements Registry {
  entry: RegistryEntry | undefined;

  async read(): Promise<RegistryEntry | 'missing' | 'unknown'> {
    return this.entry ?? 'missing';
  }
  async swap(_key: string, value: string, revision: number): Promise<'ok' | 'stale' | 'unknown'> {
    if (revision !== (this.entry?.revision ?? 0)) return 'stale';
    this.entry = { value, revision: revision + 1 };
    return 'ok';
  }
  async write(): Promise<'unknown'> {
    return 'unknown';
  }
  async changes(): Promise<'unknown'> {
    return 'unknown';
  }
  watch(): { stop(): void } {
    return { stop: () => undefined };
  }
}

t.test('the mark of a secret is another for another secret, and has nothing of it', async (t) => {
  t.match(markOf(SECRET), /^[0-9a-f]{16}$/);
  t.not(markOf(SECRET), markOf('ac'.repeat(32)));
  t.notOk(SECRET.includes(markOf(SECRET)));
});

t.test('the first node founds, all others compare themselves, also of two that begin at once', async (t) => {
  const table = new Table();
  const ids = await Promise.all(['one', 'two'].map((id) => agreeWithCluster(table, OURS, id, systemClock)));
  t.strictSame(ids, ['one', 'one'], 'both have the id of whoever was first');
  t.equal(table.entry!.revision, 1, 'written once');
  const refused: [Partial<ClusterTraits>, string, RegExp][] = [
    [{ secretMark: markOf('ac'.repeat(32)) }, 'APP_CLUSTER_SECRET', /same cluster-secret/],
    [{ shards: 6 }, 'APP_CLUSTER_SHARDS', /has 12 shards, this node was started with 6: set cluster-shards to 12/],
    [
      { centres: 'east,west' },
      'APP_CLUSTER_CENTRES',
      /has the data centres none, this node was started with east,west/,
    ],
    [{ versions: { min: 3, max: 4 } }, 'APP_CLUSTER_VERSION', /speaks version 3 to 4, the others 1 to 2/],
  ];
  for (const [change, code, message] of refused) {
    await t.rejects(agreeWithCluster(table, { ...OURS, ...change }, 'new', systemClock), { code, message });
  }
  table.entry = { value: '{"version":9}', revision: 2 };
  await t.rejects(agreeWithCluster(table, OURS, 'new', systemClock), { code: 'APP_CLUSTER_VERSION' });
});

t.test('a node is judged by its sign of life; what an older release does not say counts as the same', async (t) => {
  const judge = judgeMember(OURS);
  const member = { node: 'b', life: 1, workers: [0, 1], versions: { min: 1, max: 1 } };
  t.equal(judge({ ...member, info: {} }, undefined), undefined);
  t.equal(judge({ ...member, info: { shards: 12, secretMark: OURS.secretMark } }, undefined), undefined);
  t.match(judge({ ...member, info: { shards: 6 } }, undefined), { code: 'APP_CLUSTER_SHARDS' });
  t.match(judge({ ...member, info: { secretMark: '0' } }, undefined), { code: 'APP_CLUSTER_SECRET' });
  t.match(judge({ ...member, info: { centres: 'east,west' } }, undefined), { code: 'APP_CLUSTER_CENTRES' });
  t.match(judge({ ...member, versions: { min: 3, max: 3 }, info: {} }, undefined), { code: 'APP_CLUSTER_VERSION' });
  t.equal(compareTraits(OURS, OURS), undefined);
});

t.test('a cluster that an earlier release made is given an id, and keeps all else', async (t) => {
  const table = new Table();
  const record = { version: 1, shards: 12, centres: '', secretMark: OURS.secretMark, versions: { min: 1, max: 1 } };
  table.entry = { value: JSON.stringify(record), revision: 7 };
  t.equal(await agreeWithCluster(table, OURS, 'one', systemClock), 'one');
  t.equal(await agreeWithCluster(table, OURS, 'two', systemClock), 'one');
  t.strictSame(JSON.parse(table.entry.value), { ...record, id: 'one' });
});

t.test('who has another id is refused, but for data centres, which have one each', async (t) => {
  const member = { node: 'b', life: 1, workers: [0, 1], versions: { min: 1, max: 1 } };
  const other = { ...member, info: { centres: '', clusterId: 'two' } };
  const judge = judgeMember({ ...OURS, id: 'one' });
  t.match(judge(other, undefined), { code: 'APP_CLUSTER_CENTRES', reason: /cluster of the same name/ });
  t.equal(judge({ ...member, info: { clusterId: 'one' } }, undefined), undefined);
  t.equal(judge({ ...member, info: {} }, undefined), undefined, 'an earlier release has none');
  const centres = 'east,west';
  const abroad = { ...member, info: { centres, clusterId: 'two', centre: 'west' } };
  t.equal(judgeMember({ ...OURS, centres, id: 'one', centre: 'east' })(abroad, undefined), undefined);
});

t.test('a namesake in another data centre is no later life of a node', async (t) => {
  const judge = judgeMember({ ...OURS, centres: 'east,west', centre: 'east' });
  const lives = (node: string, centre: string | undefined, life: number) => ({
    ...{ node, life, workers: [0, 1], versions: { min: 1, max: 1 } },
    info: { centres: 'east,west', centre },
  });
  t.match(judge(lives('a', 'west', 2), lives('a', 'east', 1)), {
    code: 'APP_CLUSTER_CENTRES',
    reason: /east and west/,
  });
  t.equal(judge(lives('a', 'east', 2), lives('a', 'east', 1)), undefined);
  t.equal(judge(lives('a', undefined, 2), lives('a', 'east', 1)), undefined);
  t.equal(judge(lives('a', 'west', 1), undefined), undefined);
});
