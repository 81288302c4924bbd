import { inspect } from 'node:util';

import t from 'tap';

import { formatRef, Ref, RefSource, sameRef } from './ref.ts';

t.test('refs of one source differ, a copy of a ref is the same', async (t) => {
  const refs = new RefSource('n', 1, 5);
  const [first, second] = [refs.next(), refs.next()];
  t.notOk(sameRef(first, second));
  t.ok(sameRef(first, new Ref('n', 1, 5, first.id)));
});

t.test('refs of another worker, node or life of the node differ', async (t) => {
  const ref = new Ref('n', 1, 5, 1);
  for (const other of [new Ref('m', 1, 5, 1), new Ref('n', 2, 5, 1), new Ref('n', 1, 6, 1)]) {
    t.notOk(sameRef(ref, other));
    t.not(formatRef(ref), formatRef(other));
  }
});

t.test('is printed with its parts', async (t) => {
  t.equal(inspect([new Ref('n', 1, 5, 9)]), '[ Ref#<n.1.5.9> ]');
});
