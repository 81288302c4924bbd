import t from 'tap';

import { type AnyBehavior, behaviorSlotOf } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { FLAG, Process } from './process.ts';
import { Registry } from './registry.ts';
import { createTestNode } from './testing/test-node.ts';

const behavior: AnyBehavior = { name: 'none', init: () => null };
const { kernel } = createTestNode().node;
const newProcess = (): Process =>
  new Process(kernel, kernel.processes.allocate(), behaviorSlotOf(behavior), null, 1, null);

t.test('the first to take a name keeps it', async (t) => {
  const registry = new Registry();
  const [first, second] = [newProcess(), newProcess()];
  t.equal(registry.register('inbox', first), 'ok');
  t.equal(registry.register('inbox', second), 'taken');
  t.equal(registry.whereis('inbox'), first);
});

t.test('an actor has one name at most', async (t) => {
  const registry = new Registry();
  const process = newProcess();
  t.equal(registry.register('a', process), 'ok');
  t.equal(registry.register('b', process), 'already_named');
  t.equal(registry.unregister('a'), true);
  t.equal(registry.unregister('a'), false);
  t.equal(registry.register('b', process), 'ok');
  t.strictSame(registry.names(), ['b']);
});

t.test('the dead take no name', async (t) => {
  const process = newProcess();
  process.flags |= FLAG.dead;
  t.equal(new Registry().register('a', process), 'noproc');
});

t.test('a name has 1 to 255 characters', async (t) => {
  const registry = new Registry();
  t.throws(() => registry.register('', newProcess()), RangeError);
  t.throws(() => registry.register('x'.repeat(LIMITS.nameCharsMax + 1), newProcess()), RangeError);
  t.throws(() => registry.register(7 as never, newProcess()), TypeError);
  t.equal(registry.register('x'.repeat(LIMITS.nameCharsMax), newProcess()), 'ok');
});
