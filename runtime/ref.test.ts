import { inspect } from 'node:util';

import fc from 'fast-check';
import t from 'tap';

import { formatRef, Ref, RefSource, RefTable, sameRef } from './ref.ts';

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

t.test('a table finds by id what is in it and nothing else, however long some stay', async (t) => {
  const step = fc.tuple(fc.constantFrom('add', 'skip', 'delete'), fc.nat(1_000));
  const behavesAsMap = fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
    const table = new RefTable<Ref>();
    const refs = new RefSource('n', 0, 1, table);
    const model = new Map<number, Ref>();
    const gone: number[] = [];
    for (const [name, number] of steps) {
      // As timers do: ids that are drawn and never entered.
      if (name === 'skip') for (let count = 0; count < number % 70; count += 1) refs.nextId();
      if (name === 'add') {
        const ref = refs.next();
        table.add(ref);
        if (model.has(ref.id)) return false;
        model.set(ref.id, ref);
      } else if (name === 'delete' && model.size > 0) {
        const id = [...model.keys()][number % model.size]!;
        model.delete(id);
        gone.push(id);
        if (!table.delete(id) || table.delete(id)) return false;
      }
      if (table.size !== model.size) return false;
    }
    return [...model].every(([id, ref]) => table.get(id) === ref) && gone.every((id) => table.get(id) === undefined);
  });
  fc.assert(behavesAsMap, { numRuns: 200 });
  t.pass();
});

t.test('an id beyond the small integers finds its place too', async (t) => {
  const table = new RefTable<Ref>();
  const ids = [2 ** 31 + 5, 2 ** 32 + 6, 2 ** 40 + 7];
  for (const id of ids) table.add(new Ref('n', 0, 1, id));
  t.strictSame(
    ids.map((id) => table.get(id)?.id),
    ids,
  );
  t.equal(table.get(5), undefined);
});
