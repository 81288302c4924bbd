import t from 'tap';
import { idBeside, PARTITION_COUNT, partitionOf } from './partition.ts';

t.test('an id beside another is the next one of its partition', (t) => {
  for (const from of [0, 1, 123_456_789_012_345, 10 ** 15 - 1]) {
    const id = idBeside(from, '100000000000001');
    t.match(id, /^\d{15}$/);
    t.equal(partitionOf(id), partitionOf('100000000000001'));
    const between = (Number(id) - from + 10 ** 15) % 10 ** 15;
    for (let step = 0; step < between; step++) {
      const skipped = String((from + step) % 10 ** 15).padStart(15, '0');
      if (partitionOf(skipped) === partitionOf(id)) t.fail(`${skipped} came before`);
    }
  }
  t.end();
});

t.test('every partition has ids beside it', (t) => {
  const found = new Set<number>();
  for (let number = 0; found.size < PARTITION_COUNT && number < 20_000; number++) {
    found.add(partitionOf(idBeside(number * 1_000_003, String(100_000_000_000_000 + number))));
  }
  t.equal(found.size, PARTITION_COUNT);
  t.end();
});
