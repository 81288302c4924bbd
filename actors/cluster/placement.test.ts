import fc from 'fast-check';
import t from 'tap';
import { assignShards, rankNodes } from './placement.ts';

const nodes = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/), { minLength: 1, maxLength: 12 });
const shardCount = fc.constantFrom(1, 6, 12, 64, 250);

function counts(names: readonly (string | undefined)[]): Map<string, number> {
  const counted = new Map<string, number>();
  for (const name of names) if (name !== undefined) counted.set(name, (counted.get(name) ?? 0) + 1);
  return counted;
}

t.test('every shard has an owner and, where there are two nodes, a standby elsewhere', async () => {
  fc.assert(
    fc.property(shardCount, nodes, (count, names) => {
      const assigned = assignShards(count, names);
      return (
        assigned.length === count &&
        assigned.every(({ owner, standby }) => owner !== standby && (standby === undefined) === (names.length === 1))
      );
    }),
  );
});

t.test('no node owns more than its share rounded up', async () => {
  fc.assert(
    fc.property(shardCount, nodes, (count, names) => {
      const owned = counts(assignShards(count, names).map(({ owner }) => owner));
      return [...owned.values()].every((share) => share <= Math.ceil(count / names.length));
    }),
  );
});

t.test('the order in which nodes are named does not matter', async () => {
  fc.assert(
    fc.property(shardCount, nodes, (count, names) => {
      const [there, back] = [assignShards(count, names), assignShards(count, [...names].reverse())];
      return JSON.stringify(there) === JSON.stringify(back);
    }),
  );
});

t.test('a node that joins takes few shards beside its own share', async (t) => {
  const before = assignShards(240, ['n1', 'n2', 'n3']);
  const after = assignShards(240, ['n1', 'n2', 'n3', 'n4']);
  const moved = before.filter(({ owner }, shard) => owner !== after[shard]!.owner).length;
  t.ok(moved >= 60, `${moved} of 240 move, its share is 60`);
  t.ok(moved <= 100, `${moved} of 240 move: dealt out anew, it would be 180`);
});

t.test('names that differ in one digit do not rank alike', async (t) => {
  const first = counts(Array.from({ length: 3_000 }, (_, shard) => rankNodes(shard, ['n1', 'n2', 'n3'])[0]));
  for (const [name, count] of first) t.ok(count > 900 && count < 1_100, `${name} ranks first for ${count} of 3,000`);
});

t.test('without a node there is nothing to deal out to', async (t) => {
  t.throws(() => assignShards(4, []), RangeError);
});
