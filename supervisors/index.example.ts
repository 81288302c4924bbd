// The program in the module doc of index.ts; index.test.ts compares the two and runs it.
import { type Behavior, createNode, systemClock, systemLoop, systemRandom } from '../runtime/index.ts';
import { childSpec, countChildren, dynamicSupervisorSpec, startDynamicChild, startSupervisor } from './index.ts';

const store: Behavior<Map<string, string>, null, { key: string; value: string } | 'crash', string> = {
  name: 'store',
  init: () => new Map(),
  handleCast(message, values) {
    if (message === 'crash') throw new Error('out of order');
    values.set(message.key, message.value);
  },
  handleCall: (key, _from, values) => values.get(key),
};

const greeter: Behavior<string, { name: string }, never, 'greet', string> = {
  name: 'greeter',
  init: ({ name }) => name,
  handleCall: (_request, _from, name) => `hello from ${name}`,
};

const node = createNode({
  name: 'example',
  clock: systemClock,
  random: systemRandom,
  loop: systemLoop,
  log: { ...console, error: (event) => console.log('reported:', event) },
});
await startSupervisor(node, {
  name: 'root',
  strategy: 'rest_for_one',
  intensity: 3,
  periodMs: 5_000,
  children: [
    childSpec('store', store, null, { shutdown: 10_000, options: { name: 'store' } }),
    dynamicSupervisorSpec({ name: 'greeters', child: { start: { behavior: greeter }, restart: 'transient' } }),
  ],
});

node.cast('store', { key: 'colour', value: 'blue' });
console.log(await node.call('store', 'colour', 1_000));
const started = await startDynamicChild(node, 'greeters', { name: 'Ada' });
if ('ok' in started) console.log(await node.call(started.ok!, 'greet', 1_000));

node.cast('store', 'crash');
console.log(await node.call('store', 'colour', 1_000).catch((error) => error.code));
// A supervisor answers when it has done what was to do: the store is back, and the greeters' supervisor after it.
console.log(await countChildren(node, 'root'));
console.log('the new store has', await node.call('store', 'colour', 1_000));
await node.stop();
