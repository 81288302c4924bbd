// The program in the module doc of index.ts; index.test.ts compares the two and runs it.
import { type Behavior, createNode, isExit, systemClock, systemLoop, systemRandom } from './index.ts';

const counter: Behavior<{ count: number }, number, 'add', 'read', number> = {
  name: 'counter',
  init: (count) => ({ count }),
  handleCast(_message, state) {
    state.count += 1;
  },
  handleCall: (_request, _from, state) => state.count,
};

const watcher: Behavior<null, number> = {
  name: 'watcher',
  init(first, ctx) {
    ctx.trapExit(true);
    ctx.spawn(counter, first, { name: 'counter', link: true });
    return null;
  },
  handleInfo(info) {
    if (isExit(info)) console.log('the watcher heard', info.reason);
  },
};

const node = createNode({
  name: 'example',
  clock: systemClock,
  random: systemRandom,
  loop: systemLoop,
  log: console,
});
node.start(watcher, 40);
node.cast('counter', 'add');
node.cast('counter', 'add');
console.log('the count is', await node.call('counter', 'read', 1_000));

const pid = node.whereis('counter')!;
node.exit(pid, 'kill');
console.log('it ended with', await node.awaitExit(pid, 1_000));
await node.stop();
