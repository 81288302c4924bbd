import t from 'tap';
import { readCard } from './card.ts';
import { listNodes, type NodeAnswers, type OverviewParts } from './overview.ts';
import type { NodeFigures } from './own-node.ts';
import { isWell, mapShards, summarizeShards } from './shard-map.ts';
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

t.test('where there are several data centres, nodes and shards tell theirs', async (t) => {
  const heard = HEARD.map((each) => ({ ...each, card: { ...each.card, centre: each.node < 'b' ? 'east' : 'west' } }));
  const rows = listNodes({ ...PARTS, heard });
  t.strictSame(
    rows.map(({ node, centre }) => [node, centre]),
    [
      ['a', 'east'],
      ['b', 'west'],
      ['c', 'west'],
      ['d', undefined],
      ['e', 'west'],
      ['f', undefined],
    ],
  );
  const map = mapShards(RECORDS, ANSWERS, 1_024, {
    centreOf: (shard) => (shard < 2 ? 'east' : 'west'),
    here: 'east',
  });
  t.strictSame(
    map.map(({ centre }) => centre),
    ['east', 'east', 'west'],
  );
  t.notOk('centre' in mapShards(RECORDS, ANSWERS, 1_024)[0]!);
  t.same(readCard({ centre: 'east', state: 'up' }), { centre: 'east', state: 'up' });
  t.same(readCard({ centre: 7 }), {});
});

t.test('a data centre of which no node answers is out of sight, and is not said to be unserved', async (t) => {
  const records = [0, 1, 2, 3].map((shard) => {
    const [owner, standby] = shard < 2 ? [seat('a'), seat('b')] : [seat('w'), seat('x')];
    return { shard, epoch: 1, owner, standby, next: undefined };
  });
  const copies = [0, 1].map((shard) => {
    return { shard, phase: 'serving' as const, behind: [{ seat: seat('b'), isWhole: true, records: 0, ms: 0 }] };
  });
  const here: [string, NodeAnswers][] = [
    ['a', { figures: figures('a'), copies }],
    ['b', { figures: figures('b'), copies: [] }],
    ['w', { figures: undefined, copies: [] }],
  ];
  const places = { centreOf: (shard: number) => (shard < 2 ? 'east' : 'west'), here: 'east' };
  const cut = mapShards(records, new Map(here), 1_024, places);
  t.same(
    cut.map(({ isUnseen = false, standbyIs }) => [isUnseen, standbyIs]),
    [
      [false, undefined],
      [false, undefined],
      [true, undefined],
      [true, undefined],
    ],
  );
  t.same(summarizeShards(cut), { count: 4, unserved: 0, single: 0, unseen: 2 });
  // One of its nodes answers: then the line is there, and the silence of the owner says something.
  const half = mapShards(records, new Map([...here, ['x', { figures: figures('x'), copies: [] }]]), 1_024, places);
  t.same(summarizeShards(half), { count: 4, unserved: 2, single: 0 });
  // A node without a shard, alone: its own centre is where it is.
  const alone = mapShards(records, new Map([['c', { figures: figures('c'), copies: [] }]]), 1_024, places);
  t.same(summarizeShards(alone), { count: 4, unserved: 2, single: 0, unseen: 2 });
});

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

t.test('a shard whose second copy is not there, or not whole, is told apart, whatever is behind', async (t) => {
  const copyAt = (node: string, isWhole: boolean): NodeAnswers['copies'][number]['behind'] => [
    { seat: seat(node), isWhole, records: 0, ms: 0 },
  ];
  const records = ['whole', 'begun', 'away', 'alone', 'silent'].map((_, shard): ShardRow => {
    const standby = [seat('b'), seat('b'), seat('gone'), undefined, seat('a')][shard];
    return { shard, epoch: 1, owner: seat(shard === 4 ? 'gone' : 'a'), standby, next: undefined };
  });
  const copies: NodeAnswers['copies'] = [
    { shard: 0, phase: 'serving', behind: copyAt('b', true) },
    { shard: 1, phase: 'serving', behind: copyAt('b', false) },
    { shard: 2, phase: 'serving', behind: copyAt('gone', true) },
    { shard: 3, phase: 'serving', behind: [] },
    { shard: 4, phase: 'following', behind: [] },
  ];
  const answers = new Map<string, NodeAnswers>([
    ['a', { figures: figures('a'), copies }],
    ['b', { figures: figures('b'), copies: [] }],
  ]);
  const rows = mapShards(records, answers, 1_024);
  t.strictSame(
    rows.map(({ standbyIs }) => standbyIs),
    [undefined, 'begun', 'away', undefined, undefined],
  );
  t.strictSame(rows.map(isWell), [true, false, false, false, false]);
  t.strictSame(summarizeShards(rows), { count: 5, unserved: 1, single: 3 });
  const one = mapShards([{ ...records[0]!, owner: undefined, standby: undefined }], answers, 1_024);
  t.strictSame(summarizeShards(one), { count: 1, unserved: 1, single: 0 }, 'a shard that nobody has yet');
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
