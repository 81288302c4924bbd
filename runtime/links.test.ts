import fc from 'fast-check';
import t from 'tap';

import { hasLink, linkCount, linkKeys, type Links, withLink, withoutLink } from './links.ts';
import { Pid } from './pid.ts';

const KEYS = [new Pid('n', 0, 1, 1), new Pid('n', 0, 1, 1), '<n.1.1.1>', '<n.2.1.1>'];

t.test('is a set of keys in every one of its three shapes', async (t) => {
  const step = fc.tuple(fc.boolean(), fc.constantFrom(...KEYS));
  const behavesAsSet = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    let links: Links = null;
    const model = new Set<Pid | string>();
    for (const [add, key] of steps) {
      links = add ? withLink(links, key) : withoutLink(links, key);
      if (add) model.add(key);
      else model.delete(key);
      if (linkCount(links) !== model.size) return false;
      if (!KEYS.every((each) => hasLink(links, each) === model.has(each))) return false;
      if (![...linkKeys(links)].every((each) => model.has(each))) return false;
    }
    return true;
  });
  fc.assert(behavesAsSet, { numRuns: 300 });
  t.pass();
});

t.test('one link needs no Set', async (t) => {
  t.equal(withLink(null, KEYS[0]!), KEYS[0]);
  t.equal(withLink(KEYS[0]!, KEYS[0]!), KEYS[0]);
});
