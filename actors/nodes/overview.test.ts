import t from 'tap';
import { listNodes, mapShards, type NodeAnswers, type OverviewParts } from './overview.ts';
import type { NodeFigures } from './own-node.ts';
import type { ShardRow } from './shard-questions.ts';

function seat(node: string): { readonly node: string; readonly worker: number } {
  return { node, worker: 1 };
}

function figures(node: string, change: Partial<NodeFigures> = {}): NodeFigures {
  const nats = { isUp: true, servers: ['10.0.0.1:4222'] };
  const facts = { release: '0.1.0', url: 'ws://x', pid: 1, uptimeMs: 5, memoryBytes: 6, workers: 1, sessions: 7 };
  return { node, state: 'up', ...facts, nats, ...change };
}

const RECORDS: readonly ShardRow[] = [
  { shard: 0, epoch: 3, owner: seat('a'), standby: seat('b'), next: undefined },
  { shard: 1, epoch: 1, owner: seat('b'), standby: seat('a'), next: seat('c') },
  { shard: 2, epoch: 0, owner: undefined, standby: undefined, next: undefined },
];

const ANSWERS = new Map<string, NodeAnswers>([
  [
    'a',
    {
      figures: figures('a'),
      copies: [
        { shard: 0, phase: 'serving', behind: [{ seat: seat('b'), isWhole: true, records: 12, ms: 300 }] },
        { shard: 1, phase: 'following', behind: [] },
      ],
    },
  ],
  ['b', { figures: figures('b', { state: 'draining' }), copies: [] }],
  ['e', { figures: undefined, copies: [] }],
]);

const HEARD = ['a', 'b', 'c', 'e'].map((node) => ({
  node,
  silentMs: node === 'c' ? 900 : 10,
  card: { release: '0.1.0', wire: 1 },
  frames: 1,
}));

const PARTS: OverviewParts = {
  self: 'a',
  heard: HEARD,
  refused: [{ node: 'f', code: 'APP_CLUSTER_SHARDS', reason: 'the cluster has 3 shards' }],
  founders: ['a', 'b', 'd'],
  records: RECORDS,
  answers: ANSWERS,
};

t.test('each node has its row: living, silent, without an answer, known and gone, and refused', async (t) => {
  const rows = listNodes(PARTS);
  t.strictSame(
    rows.map(({ node, state }) => [node, state]),
    [
      ['a', 'up'],
      ['b', 'draining'],
      ['c', 'suspect'],
      ['d', 'gone'],
      ['e', 'suspect'],
      ['f', 'refused'],
    ],
  );
  const [a, b, c, d, e, f] = rows as [
    (typeof rows)[0],
    (typeof rows)[0],
    (typeof rows)[0],
    (typeof rows)[0],
    (typeof rows)[0],
    (typeof rows)[0],
  ];
  t.match(a, { isThis: true, owned: 1, standby: 1, sessions: 7, frames: 1 });
  t.notOk('lag' in a, 'its copy has an owner that told nothing');
  t.match(b, { isThis: false, owned: 1, standby: 1, copying: 0, lag: { records: 12, ms: 300 } });
  t.match(c.reason, /silent for 900 ms/);
  t.match(d, { owned: 0, standby: 0 });
  t.equal(e.reason, 'does not answer');
  t.equal(f.reason, 'APP_CLUSTER_SHARDS: the cluster has 3 shards');
});

t.test('the map has every shard, with what its owner says of it', async (t) => {
  const rows = mapShards(RECORDS, ANSWERS, 1_024);
  t.match(rows, [
    {
      shard: 0,
      partitions: 342,
      epoch: 3,
      owner: 'a.1',
      standby: 'b.1',
      phase: 'serving',
      lag: { records: 12, ms: 300 },
    },
    { shard: 1, partitions: 341, owner: 'b.1', standby: 'a.1', next: 'c.1' },
    { shard: 2, partitions: 341, epoch: 0 },
  ]);
  t.notOk('phase' in rows[1]!, 'its owner said nothing of it');
  t.equal(
    rows.reduce((sum, { partitions }) => sum + partitions, 0),
    1_024,
  );
});
