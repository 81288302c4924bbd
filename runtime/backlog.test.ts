import fc from 'fast-check';
import t from 'tap';

import { Backlog } from './backlog.ts';

t.test('behaves as an array of pairs under any mix of operations, also where it wraps and grows', async (t) => {
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.constant('push' as const) },
    { weight: 4, arbitrary: fc.constant('shift' as const) },
    { weight: 1, arbitrary: fc.constant('replace' as const) },
  );
  const behavesAsArray = fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
    const backlog = new Backlog();
    const model: [number, unknown][] = [];
    for (const [index, name] of operations.entries()) {
      if (name === 'push') {
        backlog.push(index, `payload ${index}`);
        model.push([index, `payload ${index}`]);
      } else if (name === 'shift' && model.length > 0) {
        if (backlog.entryAt(0) !== model[0]![0]) return false;
        if (backlog.shift() !== model.shift()![1]) return false;
      } else if (name === 'replace' && model.length > 0) {
        const at = index % model.length;
        backlog.replace(at, -index, 'replaced');
        model[at] = [-index, 'replaced'];
      }
      if (backlog.count !== model.length) return false;
      const same = model.every(
        ([entry, payload], at) => backlog.entryAt(at) === entry && backlog.payloadAt(at) === payload,
      );
      if (!same) return false;
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(behavesAsArray, { numRuns: 200 }));
});
