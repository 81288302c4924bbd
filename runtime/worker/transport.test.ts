/**
 * Several nodes of one mesh on one thread, their turns taken by hand: every interleaving of turns can be tried, which
 * real threads (`pool.test.ts`) do not allow.
 */

import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context } from '../behavior.ts';
import { createTestNode, type TestNode } from '../testing/test-node.ts';
import { createMesh } from './mesh.ts';
import { RingTransport } from './transport.ts';

const RING_BYTES = 1_024;

const recorder: Behavior<unknown[], unknown[], unknown> = {
  name: 'recorder',
  init: (seen) => seen,
  handleCast: (message, seen) => void seen.push(message),
};

interface Member extends TestNode {
  seen: unknown[];
}

/** Threads 0, 1, … of one mesh; each has an actor `recorder`. */
function createMembers(count: number): Member[] {
  const mesh = createMesh(count - 1, RING_BYTES);
  return Array.from({ length: count }, (_, worker) => {
    const test = createTestNode({ name: 'mesh', worker, seed: worker });
    new RingTransport(test.node.kernel, mesh.membership(worker));
    const seen: unknown[] = [];
    test.node.spawn(recorder, seen, { name: 'recorder', mailboxMax: Infinity });
    return { ...test, seen };
  });
}

/** Until every loop is at rest and no bell is on its way. */
async function settleAll(members: Member[]): Promise<void> {
  for (let quiet = 0; quiet < 3; quiet += 1) {
    for (const { loop } of members) {
      if (loop.deferredCount > 0) quiet = 0;
      await loop.settle();
    }
  }
}

t.test('room made after the flush of the turn is used before the sleep', async (t) => {
  const [a, b] = createMembers(2) as [Member, Member];
  await settleAll([a, b]);
  for (let number = 0; number < 40; number += 1) {
    a.node.cast({ name: 'recorder', worker: 1 }, [number, 'x'.repeat(50)]);
  }
  // Comes after the transport's own flush, which found the ring full, and before the thread sleeps: b takes all there
  // is, and rings a bell that nobody hears yet.
  let reads = 0;
  a.node.onTurnEnd(() => {
    reads += 1;
    b.node.kernel.scheduler.wake();
    b.loop.run();
  });
  while (a.loop.run());
  t.ok(reads > 0);
  await settleAll([a, b]);
  t.equal(b.seen.length, 40);
});

t.test('whatever the order of turns, everything arrives, once, and in order for each pair', async (t) => {
  const MEMBERS = 3;
  const member = fc.nat(MEMBERS - 1);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(member, member, fc.nat(300)) },
    { weight: 2, arbitrary: fc.tuple(member) },
  );
  const deliversAll = fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
    const members = createMembers(MEMBERS);
    const sent = new Map<string, number[]>();
    for (const [number, [by, to, size]] of steps.entries()) {
      if (to === undefined || by === to) {
        members[by]!.loop.run();
        continue;
      }
      const result = members[by]!.node.cast({ name: 'recorder', worker: to }, { by, number, text: 'x'.repeat(size!) });
      if (result !== 'ok') return false;
      sent.set(`${by} ${to}`, [...(sent.get(`${by} ${to}`) ?? []), number]);
    }
    await settleAll(members);
    return members.every(({ seen }, to) =>
      members.every((_, by) => {
        const got = (seen as { by: number; number: number }[]).filter((message) => message.by === by);
        return got.map(({ number }) => number).join() === (sent.get(`${by} ${to}`) ?? []).join();
      }),
    );
  });
  await fc.assert(deliversAll, { numRuns: 60 });
  t.pass();
});

t.test('an exit reason that cannot be encoded is replaced, not lost', async (t) => {
  const [a, b] = createMembers(2) as [Member, Member];
  await settleAll([a, b]);
  const pid = b.node.whereis('recorder')!;
  const outcome = a.node.awaitExit(pid, 'infinity');
  await settleAll([a, b]);
  b.node.exit(pid, { shutdown: () => 'a function' });
  await settleAll([a, b]);
  t.match(await outcome, { error: { code: 'RT_ENCODE' } });
});

t.test('a send is refused when the overflow is at its bound, and taken again when it has drained', async (t) => {
  const [a, b] = createMembers(2) as [Member, Member];
  await settleAll([a, b]);
  const target = { name: 'recorder', worker: 1 };
  let count = 0;
  while (a.node.cast(target, [count, 'x'.repeat(900)]) === 'ok') count += 1;
  t.equal(a.node.cast(target, 'more'), 'full');
  t.ok(count > 4_000, `${count} of 0.9 KB are about 4 MiB`);
  a.node.exit(b.node.whereis('recorder')!, 'normal');
  await settleAll([a, b]);
  t.equal(b.seen.length, count, 'and all that were taken arrive');
  t.equal(a.node.cast(target, 'more'), 'ok');
});

t.test('two that link and unlink as they like agree in the end, whoever takes a turn within whose', async (t) => {
  const puppet: Behavior<null, void, (ctx: Context) => void> = {
    name: 'puppet',
    init: () => null,
    handleCast: (step, _state, ctx) => step(ctx),
  };
  const words = fc.array(fc.constantFrom('link' as const, 'unlink' as const), { maxLength: 3 });
  const round = fc.record({ one: words, other: words, nested: fc.boolean() });
  const agrees = fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
    const [a, b] = createMembers(2) as [Member, Member];
    const [one, other] = [a.node.spawn(puppet, undefined), b.node.spawn(puppet, undefined)];
    await settleAll([a, b]);
    for (const { one: ones, other: others, nested } of rounds) {
      b.node.cast(other, (ctx) => others.forEach((word) => ctx[word](one)));
      a.node.cast(one, (ctx) => {
        ones.forEach((word) => ctx[word](other));
        // The other's turn within this one: each has sent before it received.
        if (nested) b.loop.run();
      });
      a.loop.run();
    }
    await settleAll([a, b]);
    t.equal(a.node.processInfo(one)?.linkCount, b.node.processInfo(other)?.linkCount);
    t.equal(a.node.kernel.unlinking.size + b.node.kernel.unlinking.size, 0, 'every unlink is known to have arrived');
  });
  await fc.assert(agrees, { numRuns: 200 });
});
