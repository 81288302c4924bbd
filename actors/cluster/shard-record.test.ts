import t from 'tap';
import {
  formatAnnouncement,
  formatSeat,
  formatShard,
  parseAnnouncement,
  parseSeat,
  parseShard,
  seatedHere,
  type ShardRecord,
} from './shard-record.ts';

const RECORD: ShardRecord = {
  epoch: 3,
  owner: { node: 'a', worker: 3, life: 7 },
  standby: { node: 'b', worker: 3 },
  next: { node: 'b', worker: 1 },
  isDoubted: true,
};

t.test('a record comes back as it was written; of an earlier release nothing is in doubt', async (t) => {
  t.strictSame(parseShard(formatShard(RECORD)), RECORD);
  const { isDoubted: _said, ...earlier } = JSON.parse(formatShard(RECORD)) as ShardRecord & { version: number };
  t.equal(parseShard(JSON.stringify(earlier)).isDoubted, false);
});

t.test(
  'a seat says how far it knows the table; who does not, or says what is no number, knows nothing of it',
  async (t) => {
    const seat = { node: 'a', worker: 1, workers: 1, life: 7, leaving: false, isLocal: false, copies: [], empty: [] };
    t.equal(parseSeat(formatSeat({ ...seat, revision: 26 })).revision, 26);
    const { revision: _said, ...earlier } = JSON.parse(formatSeat({ ...seat, revision: 26 })) as Record<
      string,
      unknown
    >;
    for (const said of [{}, { revision: 'many' }, { revision: -1 }, { revision: null }, { revision: 0.5 }])
      t.equal(parseSeat(JSON.stringify({ ...earlier, ...said })).revision, 0, JSON.stringify(said));
  },
);

t.test('what a node had with another number of workers is of the worker that has the shard now', async (t) => {
  const self = { node: 'a', worker: 1, life: 8 };
  t.strictSame(seatedHere(RECORD, self), { ...RECORD, owner: { node: 'a', worker: 1, life: 7 } }, 'of a former life');
  const standby = { node: 'b', worker: 1 };
  t.strictSame(seatedHere(RECORD, standby), { ...RECORD, standby, next: undefined }, 'and once');
  t.strictSame(seatedHere(RECORD, { node: 'c', worker: 1 }), RECORD, 'of nobody else');
});

t.test('an announcement is what it should be, or none: it comes from another centre', async (t) => {
  const told = { ...RECORD, isDoubted: false };
  t.strictSame(parseAnnouncement(formatAnnouncement([[6, RECORD]])), [[6, told]]);
  const strange = { ...RECORD, standby: 'b', next: { node: 'a.b', worker: 1 } };
  const said = JSON.stringify({ version: 1, served: [[6, strange]] });
  t.strictSame(parseAnnouncement(said), [[6, { ...told, standby: undefined, next: undefined }]]);
  const { owner } = RECORD;
  const wrong: unknown[] = [
    [6.5, { ...RECORD, epoch: 0.5 }],
    [-1, RECORD],
    ['6', RECORD],
    [6, { ...RECORD, epoch: 2 ** 53 }],
    [6, { ...RECORD, epoch: '' }],
    [6, { ...RECORD, owner: { ...owner, node: 'a.*' } }],
    [6, { ...RECORD, owner: { ...owner, worker: 1.5 } }],
    [6, { ...RECORD, owner: { ...owner, life: 'x' } }],
    [6, null],
    [6],
    null,
  ];
  for (const each of wrong)
    t.equal(
      parseAnnouncement(JSON.stringify({ version: 1, served: [[7, RECORD], each] })),
      undefined,
      JSON.stringify(each),
    );
  for (const text of ['', 'null', '{"version":1}', '{"version":9,"served":[]}'])
    t.equal(parseAnnouncement(text), undefined, text);
});
