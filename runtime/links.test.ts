import fc from 'fast-check';
import t from 'tap';

import { addLink, areLinked, hasLink, linkCount, type Linked, type LinkKey, linkKeys, removeLink } from './links.ts';
import type { Process } from './process.ts';

// What a link needs of a process.
const createPeer = (): Process => ({ links: null, linkAt: 0 }) as unknown as Process;

t.test('is a set of keys in every one of its shapes, also for peers that stand in several', async (t) => {
  const peers = Array.from({ length: 30 }, createPeer);
  const keys: LinkKey[] = [...peers, '<n.1.1.1>', '<n.2.1.1>'];
  const step = fc.tuple(fc.nat(1), fc.boolean(), fc.nat(keys.length - 1));
  const behavesAsSet = fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
    const owners: Linked[] = [{ links: null }, { links: null }];
    const models = owners.map(() => new Set<LinkKey>());
    for (const [which, add, at] of steps) {
      const [owner, model, key] = [owners[which]!, models[which]!, keys[at]!];
      if (add && !hasLink(owner, key)) addLink(owner, key);
      if (!add && removeLink(owner, key) !== model.has(key)) return false;
      if (add) model.add(key);
      else model.delete(key);
      if (linkCount(owner) !== model.size) return false;
      if (!keys.every((each) => hasLink(owner, each) === model.has(each))) return false;
      const listed = linkKeys(owner.links);
      if (listed.length !== model.size || !listed.every((each) => model.has(each))) return false;
    }
    return true;
  });
  fc.assert(behavesAsSet, { numRuns: 300 });
  t.pass();
});

t.test('one link needs no set', async (t) => {
  const [owner, peer] = [createPeer(), createPeer()];
  addLink(owner, peer);
  t.equal(owner.links, peer);
  t.equal(removeLink(owner, peer), true);
  t.equal(removeLink(owner, peer), false);
  t.equal(owner.links, null);
});

t.test('whether two are linked is asked of the one with fewer links', async (t) => {
  const [hub, leaf, stranger] = [createPeer(), createPeer(), createPeer()];
  for (const peer of [createPeer(), createPeer(), leaf]) {
    addLink(hub, peer);
    addLink(peer, hub);
  }
  t.equal(areLinked(hub, leaf), true);
  t.equal(areLinked(leaf, hub), true);
  t.equal(areLinked(hub, stranger), false);
});

t.test('two hubs with the same many peers part with each of them in constant time', async (t) => {
  const COUNT = 20_000;
  const hubs: Linked[] = [{ links: null }, { links: null }];
  const peers = Array.from({ length: COUNT }, createPeer);
  for (const peer of peers) for (const hub of hubs) addLink(hub, peer);
  // By searching, this would be 400 million comparisons.
  t.ok(peers.every((peer) => hubs.every((hub) => removeLink(hub, peer))));
  t.strictSame(hubs.map(linkCount), [0, 0]);
});
