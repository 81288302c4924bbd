import t from 'tap';
import type { Answer, PushTarget } from '../protocol/wire/index.ts';
import type { Pid } from '../runtime/index.ts';
import { LIMITS } from './limits.ts';
import type { WakeupsMessage } from './messages.ts';
import type { PushOutcome } from './push/provider.ts';
import {
  ALICE,
  BOB,
  committerOf,
  spawnProbe,
  startInbox,
  submission,
  type InboxFixture,
  type Probe,
} from './test-kit.ts';
import { wakeups } from './wakeups.ts';

interface Fixture extends InboxFixture {
  /** Wake-ups in the order in which they were sent, by user. */
  readonly sent: string[];
  /** What the push service says; `undefined` keeps it waiting. */
  outcome: PushOutcome | undefined;
  readonly pushes: Pid<WakeupsMessage>;
  /** Gives the outcome of a wake-up that was kept waiting. */
  finish(user: string, outcome: PushOutcome): Promise<void>;
  /** Registers device 1 of `user`. */
  register(user: string, target?: PushTarget): Promise<Answer | string>;
  /** A message of Alice's. */
  write(to: string, id: number): Promise<void>;
  attach(user: string): Promise<Probe>;
}

const TARGET: PushTarget = { platform: 'fcm', token: 'a-token-of-a-device' };
const MINUTE = LIMITS.wakeAfterMs;

/** An inbox that tells of silence, and what wakes the silent. */
async function start(users: readonly string[] = [ALICE, BOB]): Promise<Fixture> {
  const inbox = await startInbox(users, { wakeups: { name: 'wakeups.0', worker: 0 } });
  const { test, store } = inbox;
  const sent: string[] = [];
  const registrations = new Map<string, Parameters<Parameters<typeof wakeups.init>[0]['wake']>[2]>();
  const fixture = { outcome: { kind: 'sent' } as PushOutcome | undefined };
  const tell = (user: string, outcome: PushOutcome): void => {
    const registration = registrations.get(user)!;
    test.node.cast(pushes, { kind: 'woken', user, device: 1, outcome, registration });
  };
  const pushes: Pid<WakeupsMessage> = test.node.spawn(
    wakeups,
    {
      store,
      vapidPublicKey: undefined,
      accepts: (registration) => registration.platform === 'fcm',
      wake: (_self, { user }, registration) => {
        sent.push(user);
        registrations.set(user, registration);
        if (fixture.outcome !== undefined) tell(user, fixture.outcome);
      },
      committer: committerOf(store, test),
    },
    { name: 'wakeups.0' },
  );
  const alice = spawnProbe(test);
  const client = spawnProbe(test);
  return Object.assign(fixture, {
    ...inbox,
    sent,
    pushes,
    async finish(user: string, outcome: PushOutcome) {
      tell(user, outcome);
      await test.settle();
    },
    async register(user: string, target: PushTarget = TARGET) {
      test.node.cast(pushes, { kind: 'set-push', connection: client.pid, iq: 1, user, device: 1, target });
      await test.settle();
      const [message] = client.take();
      return message?.kind === 'answer'
        ? message.answer
        : message?.kind === 'answer-refused'
          ? message.refusal.code
          : '';
    },
    write: (to: string, id: number) => inbox.tell(submission(alice.pid, ALICE, to, id)),
    async attach(user: string) {
      const probe = spawnProbe(test);
      await inbox.tell({ kind: 'attach', user, device: 1, creation: 1, staged: false, connection: probe.pid });
      return probe;
    },
  });
}

t.test('a device that is away is woken after a minute, once, however much comes', async (t) => {
  const fixture = await start();
  t.same(await fixture.register(BOB), { kind: 'push', platform: 'fcm', key: undefined });
  await fixture.write(BOB, 1);
  await fixture.test.advance(MINUTE - 1_000, 1_000);
  await fixture.write(BOB, 2);
  t.same(fixture.sent, []);
  await fixture.test.advance(1_000, 1_000);
  t.same(fixture.sent, [BOB]);
  for (let id = 3; id <= 10; id++) await fixture.write(BOB, id);
  await fixture.test.advance(10 * MINUTE, 10_000);
  t.same(fixture.sent, [BOB], 'collapsed');
});

t.test('a device that comes back within the minute is not woken, and a later silence is a new one', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  await fixture.write(BOB, 1);
  await fixture.test.advance(MINUTE / 2, 1_000);
  const device = await fixture.attach(BOB);
  await fixture.tell({ kind: 'acknowledge', user: BOB, device: 1, seq: 1, connection: device.pid });
  await fixture.test.advance(3 * MINUTE, 1_000);
  t.same(fixture.sent, []);
  fixture.test.node.exit(device.pid, 'kill');
  await fixture.test.settle();
  await fixture.write(BOB, 2);
  await fixture.test.advance(MINUTE, 1_000);
  t.same(fixture.sent, [BOB]);
  await fixture.attach(BOB);
  await fixture.test.settle();
});

t.test(
  'a device that is connected and acknowledges nothing is found and woken; one that acknowledges is not',
  async (t) => {
    const CAROL = '100000000000003';
    const fixture = await start([ALICE, BOB, CAROL]);
    await fixture.register(BOB);
    await fixture.register(CAROL);
    await fixture.attach(BOB);
    const carol = await fixture.attach(CAROL);
    await fixture.write(BOB, 1);
    for (let id = 1; id <= 12; id++) {
      await fixture.write(CAROL, id);
      await fixture.test.advance(MINUTE / 10, 1_000);
      await fixture.tell({ kind: 'acknowledge', user: CAROL, device: 1, seq: id, connection: carol.pid });
    }
    t.same(fixture.sent, [BOB], 'within a minute and some looks');
    await fixture.test.advance(5 * MINUTE, 10_000);
    t.same(fixture.sent, [BOB], 'once');
  },
);

t.test('a connection that ends with something unacknowledged leaves a silent device', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  const device = await fixture.attach(BOB);
  await fixture.write(BOB, 1);
  fixture.test.node.exit(device.pid, 'kill');
  await fixture.test.settle();
  await fixture.test.advance(MINUTE, 1_000);
  t.same(fixture.sent, [BOB]);
});

t.test('a day later something new wakes it again', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  await fixture.write(BOB, 1);
  await fixture.test.advance(LIMITS.wakeAgainMs - MINUTE, MINUTE);
  await fixture.write(BOB, 2);
  await fixture.test.advance(2 * MINUTE, 1_000);
  t.same(fixture.sent, [BOB]);
  await fixture.write(BOB, 3);
  await fixture.test.advance(MINUTE, 1_000);
  t.same(fixture.sent, [BOB, BOB]);
});

t.test('without a registration nobody is woken, and none of it leaves a timer', async (t) => {
  const fixture = await start();
  const timers = fixture.test.node.info().timerCount;
  await fixture.write(BOB, 1);
  t.equal(fixture.test.node.info().timerCount, timers);
  await fixture.test.advance(2 * MINUTE, 1_000);
  t.same(fixture.sent, []);
  t.equal(
    await fixture.register(BOB, { platform: 'apns', token: 'x' }),
    'APP_BAD_PUSH',
    'no provider would send there',
  );
  await fixture.register(BOB);
  t.same(await fixture.register(BOB, { platform: 'none' }), { kind: 'push', platform: 'none', key: undefined });
  t.equal(fixture.store.protection.push(BOB, 1), undefined);
  fixture.store.failNextCommits(1);
  t.equal(await fixture.register(BOB), 'APP_STORE_FULL');
});

t.test('a push service that asks for time gets it, a few times', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  fixture.outcome = { kind: 'later', afterMs: 150_000, reason: 'status 503' };
  await fixture.write(BOB, 1);
  await fixture.test.advance(MINUTE, 1_000);
  t.equal(fixture.sent.length, 1);
  await fixture.test.advance(2 * MINUTE, 1_000);
  t.equal(fixture.sent.length, 1, 'not before');
  await fixture.test.advance(MINUTE, 1_000);
  t.equal(fixture.sent.length, 2);
  await fixture.test.advance(60 * MINUTE, 10_000);
  t.equal(fixture.sent.length, LIMITS.wakeTriesMax);
  t.match(fixture.test.logged.at(-1), { event: 'wake_up_given_up', fields: { reason: 'status 503' } });
});

t.test('a registration that the push service calls void is removed, unless it was replaced meanwhile', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  fixture.outcome = undefined;
  await fixture.write(BOB, 1);
  await fixture.test.advance(MINUTE, 1_000);
  await fixture.finish(BOB, { kind: 'gone' });
  t.equal(fixture.store.protection.push(BOB, 1), undefined);
  const other = await start();
  await other.register(BOB);
  other.outcome = undefined;
  await other.write(BOB, 1);
  await other.test.advance(MINUTE, 1_000);
  await other.register(BOB, { platform: 'fcm', token: 'another' });
  await other.finish(BOB, { kind: 'gone' });
  t.match(other.store.protection.push(BOB, 1), { token: 'another' });
});

t.test('a refusal of the push service is told to the operator, without the token', async (t) => {
  const fixture = await start();
  await fixture.register(BOB);
  fixture.outcome = { kind: 'failed', reason: 'status 403' };
  await fixture.write(BOB, 1);
  await fixture.test.advance(MINUTE, 1_000);
  const line = fixture.test.logged.find(({ event }) => event === 'wake_up_failed');
  t.match(line, { level: 'error', fields: { platform: 'fcm', reason: 'status 403' } });
  t.notOk(JSON.stringify(fixture.test.logged).includes('a-token'));
});

t.test('no more than a bounded number is under way, and all are woken in the end', async (t) => {
  const { wakeUpsUnderWayMax } = LIMITS;
  const users = Array.from({ length: wakeUpsUnderWayMax + 3 }, (_, index) => String(200_000_000_000_000 + index));
  const fixture = await start([ALICE, ...users]);
  for (const user of users) await fixture.register(user);
  fixture.outcome = undefined;
  for (const user of users) await fixture.write(user, 1);
  await fixture.test.advance(2 * MINUTE, 1_000);
  t.same(fixture.sent, users.slice(0, wakeUpsUnderWayMax));
  await fixture.finish(users[5]!, { kind: 'sent' });
  await fixture.test.advance(0, 1);
  t.equal(fixture.sent.at(-1), users[wakeUpsUnderWayMax], 'one comes back, the next goes');
  for (const user of users.slice(0, 5)) await fixture.finish(user, { kind: 'sent' });
  await fixture.test.advance(10, 1);
  t.same([...fixture.sent].sort(), users);
});
