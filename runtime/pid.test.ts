import { inspect } from 'node:util';

import fc from 'fast-check';
import t from 'tap';

import { comparePids, formatPid, parsePid, Pid, samePid } from './pid.ts';

const anyPid = fc
  .tuple(fc.constantFrom('a', 'b', 'eu-1.b'), fc.nat(3), fc.nat(3), fc.nat(3))
  .map(([node, worker, slot, creation]) => new Pid(node, worker, slot, creation));

t.test('is printed with its four parts', async (t) => {
  const pid = new Pid('eu-1.b', 2, 30, 400);
  t.equal(formatPid(pid), '<eu-1.b.2.30.400>');
  t.equal(inspect({ pid }), '{ pid: Pid<eu-1.b.2.30.400> }');
});

t.test('what is printed is parsed', async (t) => {
  fc.assert(fc.property(anyPid, (pid) => samePid(parsePid(formatPid(pid))!, pid)));
  t.pass();
});

for (const text of ['', '<>', '<a.1.2>', '<a.1.2.3', 'a.1.2.3', '<a.1.2.x>', '<a.1.-2.3>', '<.1.2.3>', '<a.1.2.3> ']) {
  t.test(`'${text}' is no pid`, async (t) => {
    t.equal(parsePid(text), undefined);
  });
}

t.test('the order is total and agrees with sameness', async (t) => {
  const agrees = fc.property(anyPid, anyPid, anyPid, (a, b, c) => {
    const sorted = [a, b, c].sort(comparePids);
    return (
      (comparePids(a, b) === 0) === samePid(a, b) &&
      Math.sign(comparePids(a, b)) === -Math.sign(comparePids(b, a)) &&
      comparePids(sorted[0]!, sorted[2]!) <= 0
    );
  });
  fc.assert(agrees);
  t.pass();
});
