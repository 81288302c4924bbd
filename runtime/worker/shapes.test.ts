import t from 'tap';

import { Shape, type ValueSource } from './shapes.ts';

const ONES: ValueSource = { value: () => 1 };

/** Reads of a shape are many before it has a literal of its own: more than enough of them. */
function readOften(shape: Shape): unknown {
  let object: unknown;
  for (let count = 0; count < 100; count += 1) object = shape.read(ONES);
  return object;
}

t.test('no two shapes share the code of their literals, also not with as many keys', async (t) => {
  const texts: string[] = [];
  const Plain = globalThis.Function;
  globalThis.Function = new Proxy(Plain, {
    construct(target, parts: string[]) {
      texts.push(parts.join('\n'));
      return Reflect.construct(target, parts) as object;
    },
  });
  t.teardown(() => (globalThis.Function = Plain));

  t.same(readOften(new Shape(['a', 'b'])), { a: 1, b: 1 });
  t.same(readOften(new Shape(['c', 'd'])), { c: 1, d: 1 });

  t.equal(texts.length, 2, 'each has a literal');
  t.not(texts[0], texts[1], 'V8 takes equal text for the same code, and for that it learns the layout of one');
});

t.test('where code from strings is forbidden objects are read all the same', async (t) => {
  const Plain = globalThis.Function;
  globalThis.Function = new Proxy(Plain, {
    construct() {
      throw new EvalError('forbidden');
    },
  });
  t.teardown(() => (globalThis.Function = Plain));

  t.same(readOften(new Shape(['a', '__b', '0'])), { a: 1, __b: 1, 0: 1 });
});
