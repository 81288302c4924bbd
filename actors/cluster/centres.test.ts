import t from 'tap';
import { PARTITION_COUNT, shardOfPartition } from '../partition.ts';
import { partitionOfPhone } from '../store-directory.ts';
import { centreOfPhone, formatCentres, parseCentres, partitionWithin, shardsOfCentre, type Centre } from './centres.ts';

const TWO = parseCentres('east:+49+43,west:+1') as readonly Centre[];

t.test('a setting names centres and the beginnings of their numbers', async (t) => {
  t.strictSame(TWO, [
    { name: 'east', prefixes: ['+49', '+43'] },
    { name: 'west', prefixes: ['+1'] },
  ]);
  t.strictSame(parseCentres(''), []);
  t.strictSame(parseCentres(' east , west '), [
    { name: 'east', prefixes: [] },
    { name: 'west', prefixes: [] },
  ]);
  const wrong: [string, RegExp][] = [
    ['east', /two centres at least/],
    ['east,east', /"east" once/],
    ['east:+1,west:+1', /"\+1" once/],
    ['east:1,west', /as in east/],
    ['east:,west', /as in east/],
    ['East,west', /as in east/],
    ['east.a,west', /as in east/],
    ['east:+123456789012345,west', /as in east/],
  ];
  for (const [text, problem] of wrong) t.match(parseCentres(text), problem, text);
});

t.test('nodes compare centres by one text: the order of centres counts, that of beginnings does not', async (t) => {
  t.equal(formatCentres(TWO), 'east:+43+49,west:+1');
  t.equal(formatCentres(parseCentres('east:+43+49,west:+1') as readonly Centre[]), formatCentres(TWO));
  t.not(formatCentres(parseCentres('west:+1,east:+49+43') as readonly Centre[]), formatCentres(TWO));
  t.equal(formatCentres([]), '');
});

t.test('every shard belongs to one centre, each has an even share', async (t) => {
  for (const shardCount of [2, 3, 12, 13, 1_024]) {
    for (const centreCount of [1, 2].concat(shardCount > 2 ? [3] : [])) {
      let next = 0;
      for (let index = 0; index < centreCount; index++) {
        const { first, count } = shardsOfCentre(index, centreCount, shardCount);
        t.equal(first, next);
        t.ok(Math.abs(count - shardCount / centreCount) < 1, `${count} of ${shardCount} for ${centreCount}`);
        next += count;
      }
      t.equal(next, shardCount);
    }
  }
});

t.test('the longest beginning that fits decides where a number lives; who fits none lives in the first', async (t) => {
  const centres = parseCentres('a,b:+1,c:+1242+44') as readonly Centre[];
  const homes = ['+12025550001', '+12425550001', '+442079460000', '+4915100000001'].map((phone) =>
    centreOfPhone(phone, centres),
  );
  t.strictSame(homes, [1, 2, 2, 0]);
});

t.test('a partition within some shards is one of theirs, and each of theirs is reached', async (t) => {
  for (const shardCount of [2, 12, 13, 1_024]) {
    const range = shardsOfCentre(1, 2, shardCount);
    const found = new Set<number>();
    for (let which = 0; which < range.count; which++)
      for (let among = 0; among < PARTITION_COUNT; among++) found.add(partitionWithin(range, shardCount, which, among));
    const theirs = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition).filter((partition) => {
      const shard = shardOfPartition(partition, shardCount);
      return shard >= range.first && shard < range.first + range.count;
    });
    t.strictSame(
      [...found].sort((one, other) => one - other),
      theirs,
      `${shardCount} shards`,
    );
  }
});

t.test('people of a centre are spread over its shards', async (t) => {
  const store = { secret: '00'.repeat(32), shards: 12, centres: TWO };
  const counts = new Map<number, number>();
  for (let number = 0; number < 1_200; number++) {
    const shard = shardOfPartition(partitionOfPhone(store, `+1202555${String(number).padStart(4, '0')}`), 12);
    counts.set(shard, (counts.get(shard) ?? 0) + 1);
  }
  t.strictSame([...counts.keys()].sort(), [10, 11, 6, 7, 8, 9]);
  for (const [shard, count] of counts) t.ok(count > 140 && count < 260, `${count} in shard ${shard}`);
});
