import t from 'tap';

import { type Behavior, sys } from '../runtime/index.ts';
import { createTestNode } from '../runtime/testing/index.ts';
import { startSupervisor } from '../supervisors/index.ts';

const child: Behavior<null> = { name: 'child', init: () => null };

t.test(
  'a supervisor that is suspended restarts nobody until it is resumed, and is looked into meanwhile',
  async (t) => {
    const { node, settle } = createTestNode();
    const during = async <T>(request: Promise<T>): Promise<T> => {
      await settle();
      return request;
    };
    void startSupervisor(node, { name: 'root', children: [{ id: 'a', start: { behavior: child, args: undefined } }] });
    const children = (): number => node.processes().filter((pid) => node.processInfo(pid)!.behavior === 'child').length;
    t.equal(await during(sys.suspend(node, 'root')), 'ok');
    const pid = node.processes().find((each) => node.processInfo(each)!.behavior === 'child')!;
    node.exit(pid, 'kill');
    await settle();
    t.equal(children(), 0);
    t.match(await during(sys.getStatus(node, 'root')), { sysState: 'suspended', state: { strategy: 'one_for_one' } });
    await during(sys.resume(node, 'root'));
    t.equal(children(), 1);
    t.equal(await during(sys.terminate(node, 'root', 'shutdown')), 'shutdown');
    t.equal(node.info().processCount, 0, 'in order: its children went with it');
  },
);
