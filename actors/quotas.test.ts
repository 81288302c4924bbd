import t from 'tap';
import type { Pid } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { LIMITS } from './limits.ts';
import type { AccountsMessage, QuotasMessage } from './messages.ts';
import { quotas } from './quotas.ts';
import { ALICE, BOB, spawnProbe, type Probe } from './test-kit.ts';

interface Fixture {
  readonly test: TestNode;
  readonly client: Probe;
  /** What went on to the accounts. */
  readonly passed: AccountsMessage[];
  lookUp(user: string, times: number): Promise<void>;
  show(user: string): Promise<void>;
}

function start(): Fixture {
  const test = createTestNode();
  const passed: AccountsMessage[] = [];
  const spy = { name: 'test/accounts', init: () => null, handleCast: (it: AccountsMessage) => void passed.push(it) };
  test.node.spawn(spy, undefined, { name: 'accounts' });
  const pid: Pid<QuotasMessage> = test.node.spawn(quotas, undefined);
  const client = spawnProbe(test);
  const target = { name: 'accounts', worker: 0 };
  return {
    test,
    client,
    passed,
    async lookUp(user, times) {
      for (let iq = 1; iq <= times; iq++) {
        const question = { kind: 'find-contact', connection: client.pid, iq, phone: '+4915100000001' } as const;
        test.node.cast(pid, { kind: 'spend', action: 'contact', user, target, question });
      }
      await test.settle();
    },
    async show(user) {
      const own = [{ action: 'message', left: 1, max: 2, full: 3 }] as const;
      test.node.cast(pid, { kind: 'show-limits', connection: client.pid, iq: 99, user, own });
      await test.settle();
    },
  };
}

t.test('an account looks up so many numbers in a day, is told when to go on, and nobody else is touched', async (t) => {
  const fixture = start();
  const { contactsPerDayMax } = LIMITS;
  await fixture.lookUp(ALICE, contactsPerDayMax + 1);
  t.equal(fixture.passed.length, contactsPerDayMax);
  const pause = Math.ceil(86_400 / contactsPerDayMax);
  t.match(fixture.client.take(), [
    { kind: 'answer-refused', refusal: { code: 'APP_RATE_LIMITED', retryAfter: pause } },
  ]);
  await fixture.lookUp(BOB, 1);
  t.equal(fixture.passed.length, contactsPerDayMax + 1);
  await fixture.test.advance(pause * 1_000, 10_000);
  await fixture.lookUp(ALICE, 2);
  t.equal(fixture.passed.length, contactsPerDayMax + 2, 'one has come back');
});

t.test('what is left can be asked for, and asking costs nothing', async (t) => {
  const fixture = start();
  await fixture.lookUp(ALICE, 3);
  await fixture.show(ALICE);
  await fixture.show(ALICE);
  const [first, second] = fixture.client.take();
  t.same(first, second);
  t.match(first, {
    iq: 99,
    answer: {
      kind: 'limits',
      limits: [
        { action: 'message', left: 1, max: 2, full: 3 },
        { action: 'contact', left: LIMITS.contactsPerDayMax - 3, max: LIMITS.contactsPerDayMax },
        { action: 'bundle', left: LIMITS.bundlesBurstMax, full: 0 },
        { action: 'report', left: LIMITS.reportsPerDayMax },
      ],
    },
  });
});

t.test('a question that finds nobody is answered all the same', async (t) => {
  const fixture = start();
  fixture.test.node.exit(fixture.test.node.whereis('accounts')!, 'kill');
  await fixture.test.settle();
  await fixture.lookUp(ALICE, 1);
  t.match(fixture.client.take(), [{ kind: 'answer-refused', refusal: { code: 'APP_OVERLOADED', retryAfter: 1 } }]);
});
