import t from 'tap';

import type { Behavior } from '../runtime/index.ts';
import { createSimCluster } from '../runtime/testing/sim-bus.ts';
import { childSpec, startDynamicSupervisor, startSupervisor, type SupervisorRequest } from './index.ts';

const child: Behavior<null> = { name: 'child', init: () => null };

t.test('a supervisor tells another node nothing, and ends nobody for it', async (t) => {
  const cluster = createSimCluster(['a', 'b']);
  const [a, b] = cluster.members;
  void startSupervisor(b!.node, { name: 'root', children: [childSpec('only', child, undefined)] });
  void startDynamicSupervisor(b!.node, { name: 'fleet', child: childSpec('one', child, undefined) });
  await cluster.advance(1_000);
  const running = (): number =>
    b!.node.processes().filter((pid) => b!.node.processInfo(pid)?.behavior === 'child').length;
  t.equal(running(), 1);
  const requests: SupervisorRequest[] = [
    { type: 'which_children' },
    { type: 'count_children' },
    { type: 'get_child_spec', id: 'only' },
    { type: 'terminate_child', id: 'only' },
  ];
  for (const name of ['root', 'fleet']) {
    for (const request of requests) {
      const answer = a!.node.call({ name, worker: 0, node: 'b' }, request, 1_000);
      await cluster.advance(100);
      t.strictSame(await answer, { error: 'SUP_OTHER_NODE' }, `${name} ${request.type}`);
    }
  }
  t.equal(running(), 1);
});
