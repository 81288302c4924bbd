import t from 'tap';
import { isMarked, markOrder, orderKey, type OrderEnvelope } from './order.ts';

const KEY = orderKey('ab'.repeat(32));
const ENVELOPE: OrderEnvelope = {
  from: 'a',
  to: 'b',
  nonce: '00'.repeat(16),
  order: '{"verb":"node.drain","parameters":{}}',
};

t.test('a mark fits its order, and no other in any part', async (t) => {
  const mark = markOrder(KEY, ENVELOPE);
  t.ok(isMarked(KEY, ENVELOPE, mark));
  const others: Partial<OrderEnvelope>[] = [
    { from: 'c' },
    { to: 'c' },
    { nonce: '01'.repeat(16) },
    { order: '{"verb":"node.leave","parameters":{}}' },
  ];
  for (const other of others) t.notOk(isMarked(KEY, { ...ENVELOPE, ...other }, mark), JSON.stringify(other));
  t.notOk(isMarked(orderKey('ac'.repeat(32)), ENVELOPE, mark), 'another secret');
  for (const wrong of ['', mark.slice(1), `${mark}0`, mark.toUpperCase()])
    t.notOk(isMarked(KEY, ENVELOPE, wrong), wrong);
});

t.test('what stands between two fields cannot be moved from one to the other', async (t) => {
  const mark = markOrder(KEY, { ...ENVELOPE, from: 'a","b', to: 'c' });
  t.notOk(isMarked(KEY, { ...ENVELOPE, from: 'a', to: 'b","c' }, mark));
});
