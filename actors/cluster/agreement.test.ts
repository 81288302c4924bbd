import t from 'tap';
import { systemClock } from '../../runtime/index.ts';
import { agreeWithCluster, compareTraits, judgeMember, markOf, type ClusterTraits } from './agreement.ts';
import type { Registry, RegistryEntry } from './contracts.ts';

const SECRET = 'ab'.repeat(32);
const OURS: ClusterTraits = { shards: 12, secretMark: markOf(SECRET), versions: { min: 1, max: 2 } };

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
  await Promise.all([agreeWithCluster(table, OURS, systemClock), agreeWithCluster(table, OURS, systemClock)]);
  t.equal(table.entry!.revision, 1, 'written once');
  const refused: [Partial<ClusterTraits>, string, RegExp][] = [
    [{ secretMark: markOf('ac'.repeat(32)) }, 'APP_CLUSTER_SECRET', /same cluster-secret/],
    [{ shards: 6 }, 'APP_CLUSTER_SHARDS', /has 12 shards, this node was started with 6: set cluster-shards to 12/],
    [{ versions: { min: 3, max: 4 } }, 'APP_CLUSTER_VERSION', /speaks version 3 to 4, the others 1 to 2/],
  ];
  for (const [change, code, message] of refused) {
    await t.rejects(agreeWithCluster(table, { ...OURS, ...change }, systemClock), { code, message });
  }
  table.entry = { value: '{"version":9}', revision: 2 };
  await t.rejects(agreeWithCluster(table, OURS, systemClock), { code: 'APP_CLUSTER_VERSION' });
});

t.test('a node is judged by its sign of life; what an older release does not say counts as the same', async (t) => {
  const judge = judgeMember(OURS);
  const member = { node: 'b', life: 1, workers: [0, 1], versions: { min: 1, max: 1 } };
  t.equal(judge({ ...member, info: {} }), undefined);
  t.equal(judge({ ...member, info: { shards: 12, secretMark: OURS.secretMark } }), undefined);
  t.match(judge({ ...member, info: { shards: 6 } }), { code: 'APP_CLUSTER_SHARDS' });
  t.match(judge({ ...member, info: { secretMark: '0' } }), { code: 'APP_CLUSTER_SECRET' });
  t.match(judge({ ...member, versions: { min: 3, max: 3 }, info: {} }), { code: 'APP_CLUSTER_VERSION' });
  t.equal(compareTraits(OURS, OURS), undefined);
});
