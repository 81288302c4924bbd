import t from 'tap';
import { Positions, PushOrder } from './positions.ts';

t.test('entries in their turn: everything up to the last one', async (t) => {
  const positions = new Positions(3).note({ seq: 4 }).note({ seq: 9 });
  t.equal(positions.through, 9);
  for (const seq of [1, 4, 7, 9]) t.ok(positions.has(seq), String(seq));
  t.notOk(positions.has(10));
});

t.test('entries ahead are remembered until the inbox has been gone through that far', async (t) => {
  const begun = new Positions(3).note({ seq: 20, after: 3 }).note({ seq: 30, after: 3 }).note({ seq: 20, after: 3 });
  t.strictSame([...begun.ahead], [20, 30]);
  t.notOk(begun.has(4));
  const later = begun.note({ seq: 25 });
  t.equal(later.through, 25);
  t.strictSame([...later.ahead], [30]);
  t.strictSame([...later.note({ seq: 31 }).ahead], []);
});

t.test('acknowledged is the last one before which nothing is missing, in the order of pushing', async (t) => {
  const order = new PushOrder();
  for (const seq of [20, 30]) order.push({ seq, after: 3 });
  for (const seq of [4, 5]) order.push({ seq });
  t.equal(order.acknowledge(new Positions(3)), undefined);
  t.equal(order.acknowledge(new Positions(3, [30])), undefined, '20 was pushed before');
  t.equal(order.acknowledge(new Positions(3, [20, 30])), 30);
  t.equal(order.acknowledge(new Positions(3, [20, 30])), undefined, 'once');
  t.equal(order.acknowledge(new Positions(5, [20, 30])), 5);
  order.push({ seq: 6 });
  order.reset();
  t.equal(order.acknowledge(new Positions(99)), undefined, 'pushed on another connection');
});
