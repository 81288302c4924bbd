import fc from 'fast-check';
import t from 'tap';

import { Ring } from './ring.ts';

t.test('first in, first out, while it grows', async (t) => {
  const ring = new Ring<number>(4);
  for (let value = 0; value < 1_000; value += 1) ring.push(value);
  t.equal(ring.count, 1_000);
  for (let value = 0; value < 1_000; value += 1) {
    if (ring.shift() !== value) t.fail(`${value} is out of order`);
  }
  t.equal(ring.shift(), undefined);
  t.equal(ring.count, 0);
});

t.test('behaves as an array under any mix of operations', async (t) => {
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.constant('push' as const) },
    { weight: 4, arbitrary: fc.constant('shift' as const) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
  );
  const behavesAsArray = fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    const ring = new Ring<number>(2);
    let model: number[] = [];
    for (const [index, name] of operations.entries()) {
      if (name === 'push') model.push(index);
      if (name === 'push') ring.push(index);
      if (name === 'shift' && ring.shift() !== model.shift()) return false;
      if (name === 'clear') model = [];
      if (name === 'clear') ring.clear();
      if (ring.count !== model.length) return false;
    }
    return true;
  });
  fc.assert(behavesAsArray);
  t.pass();
});

for (const firstCapacity of [0, 1, 3, 6, 2.5, -4]) {
  t.test(`a first capacity of ${firstCapacity} is refused`, async (t) => {
    t.throws(() => new Ring(firstCapacity), RangeError);
  });
}

t.test('what is trimmed works on, and what is not empty is not trimmed', async (t) => {
  const ring = new Ring<number>(2);
  for (let value = 0; value < 100; value += 1) ring.push(value);
  ring.trim(8);
  t.equal(ring.count, 100);
  while (ring.shift() !== undefined);
  ring.trim(8);
  for (const value of [7, 8, 9]) ring.push(value);
  t.strictSame([ring.shift(), ring.shift(), ring.shift(), ring.shift()], [7, 8, 9, undefined]);
});
