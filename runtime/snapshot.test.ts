import fc from 'fast-check';
import t from 'tap';

import { LIMITS } from './limits.ts';
import { Pid } from './pid.ts';
import { Ref } from './ref.ts';
import { snapshot } from './snapshot.ts';

t.test('plain data come back equal, and are a copy', async (t) => {
  const value = {
    text: 'a',
    number: 1.5,
    big: 10n,
    nothing: null,
    missing: undefined,
    list: [1, [2, [3]]],
    map: new Map<unknown, unknown>([['k', { v: 1 }]]),
    set: new Set([1, 'b']),
    date: new Date(5),
    bytes: Uint8Array.of(1, 2, 3),
  };
  const made = snapshot(value) as typeof value;
  t.strictSame(made, value);
  made.list.push(4);
  made.bytes[0] = 9;
  t.equal(value.list.length, 2);
  t.equal(value.bytes[0], 1);
});

t.test('what is too deep, too long or too many is cut, and says so', async (t) => {
  const limits = { depthMax: 2, entriesMax: 2, charsMax: 3 };
  t.strictSame(snapshot({ a: { b: { c: 1 } } }, limits), { a: { b: '[object]' } });
  t.strictSame(snapshot([1, 2, 3, 4], limits), [1, 2, '[2 more]']);
  t.strictSame(snapshot({ a: 1, b: 2, c: 3 }, limits), { a: 1, b: 2, '[1 more]': undefined });
  t.strictSame(snapshot(new Set([1, 2, 3]), limits), new Set([1, 2, '[1 more]']));
  t.strictSame(snapshot('abcdef', limits), 'abc[3 more]');
  t.strictSame(snapshot(new Uint8Array(9), limits), new Uint8Array(3));
  t.strictSame(snapshot({ a: { b: [1, 2] } }, { ...limits, depthMax: 1 }), { a: '[object]' });
  t.strictSame(snapshot([new Map([[1, 1]])], { depthMax: 1 }), ['[Map of 1]']);
});

t.test('what cannot leave its thread is named', async (t) => {
  class Connection {
    socket = 1;
  }
  const value = { run: () => 1, mark: Symbol('m'), connection: new Connection(), error: new RangeError('text') };
  t.strictSame(snapshot(value), {
    run: '[function]',
    mark: '[Symbol(m)]',
    connection: { socket: 1 },
    error: { name: 'RangeError', message: 'text' },
  });
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  t.strictSame(snapshot(cycle), { self: '[cycle]' });
  const shared = { v: 1 };
  t.strictSame(snapshot([shared, shared]), [{ v: 1 }, { v: 1 }], 'shared is not a cycle');
  const pid = new Pid('n', 1, 2, 3);
  const ref = new Ref('n', 1, 2, 3);
  t.strictSame(snapshot({ pid, ref }), { pid, ref });
});

t.test('whatever is asked for, a snapshot is bounded', async (t) => {
  const limits = { depthMax: Infinity, entriesMax: Infinity, charsMax: Infinity };
  const huge = Array.from({ length: 1_000 }, () => Array.from({ length: 1_000 }, () => 1));
  let count = 0;
  const walk = (value: unknown): void => {
    count += 1;
    if (Array.isArray(value)) value.forEach(walk);
  };
  walk(snapshot(huge, limits));
  t.ok(count <= LIMITS.snapshotItemsMax + 3_000, `${count} values`);
});

t.test('it ends, and without throwing, for any value', async (t) => {
  fc.assert(
    fc.property(fc.anything({ withMap: true, withSet: true, withDate: true, withTypedArray: true }), (value) => {
      snapshot(value, { depthMax: 3, entriesMax: 3, charsMax: 5 });
    }),
  );
  t.pass();
});
