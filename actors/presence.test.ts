import t from 'tap';
import type { Audience, PresenceState, PrivacySettings } from '../protocol/wire/index.ts';
import type { Behavior, Pid } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import type { ConnectionMessage, PresenceMessage } from './messages.ts';
import { LIMITS } from './limits.ts';
import { presence } from './presence.ts';
import { type PresenceArgs, type PresenceStatistics } from './presence/state.ts';
import { maySee } from './presence/people.ts';
import { ALICE, BOB, committerOf, spawnProbe, type Probe } from './test-kit.ts';
import { MemoryStore } from './store/memory.ts';
import type { Decision } from './store/protection-store.ts';

const EVE = '100000000000003';
const NOBODY = '999999999999999';
const MINUTE_MS = 60_000;

interface Fixture {
  readonly test: TestNode;
  readonly store: MemoryStore;
  isBusy: boolean;
  tell(...messages: PresenceMessage[]): Promise<void>;
  statistics(): Promise<PresenceStatistics>;
  /** Another life of the actor, as a supervisor gives it. */
  restart(): Promise<void>;
  /** An orderly stop. */
  stop(): Promise<void>;
}

/** Somebody who starts the actor, and whose end is an orderly stop for it. */
function parentOf(args: PresenceArgs): Behavior<null> {
  return {
    name: 'test/parent',
    init(_args, ctx) {
      ctx.startLink(presence, args, { name: 'presence', mailboxMax: LIMITS.presenceMailboxMax });
      return null;
    },
  };
}

/** One presence actor for everybody. `contacts`: who has written to whom. */
async function start(contacts: readonly (readonly [sender: string, recipient: string])[] = []): Promise<Fixture> {
  const test = createTestNode();
  const store = new MemoryStore();
  await store.commit((batch) => {
    for (const [user, recipient] of contacts) {
      batch.putConversation(recipient, { user, device: 1, creation: 1 }, { accepted: 1, delivered: 0 });
    }
  });
  const args: PresenceArgs = {
    store,
    presenceOf: () => ({ name: 'presence', worker: 0 }),
    committer: committerOf(store, test),
    isBusy: () => fixture.isBusy,
  };
  const startOnce = async (): Promise<Pid> => {
    const parent = test.node.spawn(parentOf(args), undefined);
    await test.settle();
    return parent;
  };
  let parent = await startOnce();
  const fixture: Fixture = {
    test,
    store,
    isBusy: false,
    async tell(...messages) {
      for (const message of messages) test.node.cast('presence', message);
      await test.settle();
    },
    async statistics() {
      const reply = test.node.call<PresenceStatistics>('presence', 'statistics', 1_000);
      await test.settle();
      return reply;
    },
    async restart() {
      parent = await startOnce();
    },
    async stop() {
      test.node.exit(parent, 'shutdown');
      await test.settle();
    },
  };
  return fixture;
}

/** What the owner decided about another account, as `relations.ts` writes it. */
async function decide({ store }: Fixture, owner: string, other: string, decision: Decision): Promise<void> {
  await store.commit(({ protection }) => protection.putRelation(owner, other, decision));
}

const announce = (probe: Probe, user: string, state: PresenceState): PresenceMessage => ({
  ...{ kind: 'announce', connection: probe.pid, user, state },
});

const lookUp = (probe: Probe, viewer: string, owner: string, keep = true): PresenceMessage => ({
  ...{ kind: 'look-up', connection: probe.pid, iq: 7, viewer, owner, keep },
});

const settings = (audience: Audience, shown: string[] = [], hidden: string[] = []): PrivacySettings => ({
  ...{ audience, shown, hidden },
});

const change = (probe: Probe, user: string, to: PrivacySettings): PresenceMessage => ({
  ...{ kind: 'change-privacy', connection: probe.pid, iq: 8, user, settings: to },
});

/** What a connection was told, in a word: `here`, `away`, the minute last seen, or the code of a refusal. */
function told(messages: readonly ConnectionMessage[]): (string | number)[] {
  return messages.flatMap((message) => {
    if (message.kind === 'answer-refused') return [message.refusal.code];
    const notice = message.kind === 'answer' ? message.answer : message;
    if (notice.kind !== 'presence') return [];
    if (notice.state === 'available') return ['here'];
    return [notice.lastSeen === undefined ? 'away' : notice.lastSeen / MINUTE_MS];
  });
}

function minute({ test }: Fixture): number {
  return Math.floor(test.clock.nowMs() / MINUTE_MS);
}

t.test('presence is told to who has asked, as it changes, until they unsubscribe', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(lookUp(bob, BOB, ALICE));
  t.strictSame(told(bob.take()), ['away'], 'never seen');
  await fixture.tell(announce(alice, ALICE, 'available'));
  t.strictSame(told(bob.take()), ['here']);
  t.strictSame(alice.take(), [], 'nobody is told what nobody asked for');
  await fixture.test.advance(10 * MINUTE_MS, 1_000);
  const left = minute(fixture);
  await fixture.tell(announce(alice, ALICE, 'unavailable'));
  t.strictSame(told(bob.take()), [left]);
  await fixture.tell({ kind: 'unwatch', connection: bob.pid, owner: ALICE });
  await fixture.test.advance(MINUTE_MS, 1_000);
  await fixture.tell(announce(alice, ALICE, 'available'));
  t.strictSame(bob.take(), []);
  await fixture.tell(lookUp(bob, BOB, ALICE, false));
  t.strictSame(told(bob.take()), ['here'], 'asked once');
  t.match(await fixture.statistics(), { present: 1, subscriptions: 0 });
});

t.test('the end of a connection ends what it watched, and that somebody was there on it', async (t) => {
  const fixture = await start([
    [ALICE, BOB],
    [BOB, ALICE],
  ]);
  const [alice, other, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(lookUp(alice, ALICE, BOB), lookUp(bob, BOB, ALICE));
  await fixture.tell(announce(alice, ALICE, 'available'), announce(other, ALICE, 'available'));
  bob.take();
  fixture.test.node.exit(alice.pid, 'kill');
  await fixture.test.advance(LIMITS.presencePauseMs, 1_000);
  t.strictSame(told(bob.take()), [], 'the other device is still there');
  t.match(await fixture.statistics(), { subscriptions: 1, present: 1 });
  fixture.test.node.exit(other.pid, 'kill');
  await fixture.test.advance(2 * LIMITS.presencePauseMs, 1_000);
  t.strictSame(told(bob.take()), [minute(fixture)]);
  t.equal(fixture.test.node.processInfo(bob.pid)?.monitoredByCount, 1);
  await fixture.tell({ kind: 'unwatch', connection: bob.pid, owner: ALICE });
  t.equal(fixture.test.node.processInfo(bob.pid)?.monitoredByCount, 0, 'no monitor remains');
});

type List = 'none' | 'shown' | 'hidden';

/** Who sees, of [stranger, contact, accepted stranger, blocked contact]. */
const MATRIX: readonly (readonly [
  audience: Audience,
  list: List,
  sees: readonly [boolean, boolean, boolean, boolean],
])[] = [
  ['everyone', 'none', [true, true, true, false]],
  ['everyone', 'shown', [true, true, true, false]],
  ['everyone', 'hidden', [false, false, false, false]],
  ['contacts', 'none', [false, true, true, false]],
  ['contacts', 'shown', [true, true, true, false]],
  ['contacts', 'hidden', [false, false, false, false]],
  ['nobody', 'none', [false, false, false, false]],
  ['nobody', 'shown', [true, true, true, false]],
  ['nobody', 'hidden', [false, false, false, false]],
];

const VIEWERS = [
  { who: 'a stranger', tie: 'stranger', wrote: false, decision: undefined },
  { who: 'a contact', tie: 'contact', wrote: true, decision: undefined },
  { who: 'an accepted stranger', tie: 'contact', wrote: false, decision: { accepted: true, blocked: false } },
  { who: 'a blocked contact', tie: 'blocked', wrote: true, decision: { accepted: true, blocked: true } },
] as const;

const CASES = MATRIX.flatMap(([audience, list, sees]) =>
  VIEWERS.map((viewer, index) => ({ ...viewer, audience, list, sees: sees[index]! })),
);

for (const { who, tie, wrote, decision, audience, list, sees } of CASES) {
  const viewer = `${who}${list === 'none' ? '' : `, ${list}`}`;
  t.test(`privacy: ${audience}, ${viewer}: ${sees ? 'sees' : 'sees nothing'}`, async (t) => {
    const chosen = settings(audience, list === 'shown' ? [BOB] : [], list === 'hidden' ? [BOB] : []);
    t.equal(maySee(chosen, ALICE, BOB, tie), sees);
    t.ok(maySee(chosen, ALICE, ALICE, 'stranger'), 'oneself in any case');
    const fixture = await start(wrote ? [[ALICE, BOB]] : []);
    if (decision !== undefined) await decide(fixture, ALICE, BOB, decision);
    const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
    await fixture.tell(change(alice, ALICE, chosen));
    t.match(alice.take(), [{ kind: 'answer', answer: { kind: 'privacy', ...chosen } }]);
    await fixture.tell(lookUp(bob, BOB, ALICE));
    await fixture.tell(announce(alice, ALICE, 'available'));
    await fixture.tell({ kind: 'typing', user: ALICE, to: BOB, state: 'composing' });
    const received = bob.take();
    t.strictSame(told(received), sees ? ['away', 'here'] : ['away']);
    t.equal(received.filter(({ kind }) => kind === 'typing').length, sees ? 1 : 0);
    const left = minute(fixture);
    await fixture.test.advance(LIMITS.presencePauseMs, 1_000);
    await fixture.tell(announce(alice, ALICE, 'unavailable'), lookUp(bob, BOB, ALICE, false));
    t.strictSame(told(bob.take()), sees ? [left, left] : ['away']);
  });
}

t.test('a block acts on who watches already, and its end as well', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(announce(alice, ALICE, 'available'), lookUp(bob, BOB, ALICE));
  t.strictSame(told(bob.take()), ['here']);
  await decide(fixture, ALICE, BOB, { accepted: false, blocked: true });
  await fixture.tell({ kind: 'reconsider', owner: ALICE, viewer: BOB });
  t.strictSame(told(bob.take()), ['away'], 'as of somebody who hides');
  await fixture.test.advance(LIMITS.presencePauseMs, 1_000);
  await decide(fixture, ALICE, BOB, { accepted: true, blocked: false });
  await fixture.tell({ kind: 'reconsider', owner: ALICE, viewer: BOB });
  t.strictSame(told(bob.take()), ['here']);
});

t.test('who may not see gets, message for message, what is said of somebody who does not exist', async (t) => {
  const fixture = await start();
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(change(alice, ALICE, settings('nobody')), announce(alice, ALICE, 'available'));
  const transcript = async (owner: string): Promise<string> => {
    await fixture.tell(lookUp(bob, BOB, owner), lookUp(bob, BOB, owner, false));
    await fixture.tell(announce(alice, ALICE, 'unavailable'), announce(alice, ALICE, 'available'));
    await fixture.tell({ kind: 'typing', user: owner, to: BOB, state: 'composing' });
    await fixture.test.advance(MINUTE_MS, 1_000);
    await fixture.tell({ kind: 'unwatch', connection: bob.pid, owner });
    return JSON.stringify(bob.take()).replaceAll(owner, 'owner');
  };
  const [hidden, missing] = [await transcript(ALICE), await transcript(NOBODY)];
  t.equal(hidden, missing);
  t.match(hidden, /unavailable/);
  t.notMatch(hidden, /typing|"available"/);
});

t.test('a change of privacy acts on those who watch already, and survives the actor', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(announce(alice, ALICE, 'available'), lookUp(bob, BOB, ALICE));
  await fixture.tell(change(alice, ALICE, settings('contacts', [], [BOB])));
  t.strictSame(told(bob.take()), ['here', 'away']);
  await fixture.test.advance(LIMITS.presencePauseMs, 1_000);
  await fixture.tell(change(alice, ALICE, settings('contacts')));
  t.strictSame(told(bob.take()), ['here']);
  await fixture.tell(change(alice, ALICE, settings('nobody', [EVE])));
  alice.take();
  t.strictSame(fixture.store.privacy(ALICE), settings('nobody', [EVE]));
  fixture.store.failNextCommits(1);
  await fixture.tell(change(alice, ALICE, settings('everyone')));
  t.match(alice.take(), [{ kind: 'answer-refused', refusal: { code: 'APP_STORE_FULL' } }]);
  await fixture.tell({ kind: 'read-privacy', connection: alice.pid, iq: 9, user: ALICE });
  t.match(alice.take(), [{ answer: { audience: 'nobody', shown: [EVE] } }], 'what is not on the disk does not hold');
});

t.test('typing reaches the connections that show the chat, and nobody else', async (t) => {
  const fixture = await start([
    [ALICE, BOB],
    [ALICE, EVE],
  ]);
  const [phone, tablet, idle, eve] = [1, 2, 3, 4].map(() => spawnProbe(fixture.test)) as [Probe, Probe, Probe, Probe];
  await fixture.tell(lookUp(phone, BOB, ALICE), lookUp(tablet, BOB, ALICE), lookUp(eve, EVE, ALICE));
  for (const probe of [phone, tablet, idle, eve]) probe.take();
  const commits = fixture.store.commitCount;
  await fixture.tell({ kind: 'typing', user: ALICE, to: BOB, state: 'recording' });
  const expected = [{ kind: 'typing', from: ALICE, state: 'recording' }];
  t.strictSame(phone.take(), expected);
  t.strictSame(tablet.take(), expected);
  t.strictSame([...idle.take(), ...eve.take()], []);
  const late = spawnProbe(fixture.test);
  await fixture.tell(lookUp(late, BOB, ALICE));
  await fixture.test.advance(4 * LIMITS.presencePauseMs, 1_000);
  const heard = late.take();
  t.strictSame(told(heard), ['away'], 'who comes later is answered');
  t.notOk(
    heard.some(({ kind }) => kind === 'typing'),
    'and not told of it: it is kept nowhere',
  );
  t.equal(fixture.store.commitCount, commits, 'nor written to the disk');
});

t.test('somebody who flaps is told once at once, and once for all that follows in a pause', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(lookUp(bob, BOB, ALICE));
  bob.take();
  for (let round = 0; round < 20; round++) {
    await fixture.tell(announce(alice, ALICE, 'available'), announce(alice, ALICE, 'unavailable'));
  }
  t.equal(told(bob.take()).length, 1);
  await fixture.test.advance(4 * LIMITS.presencePauseMs, 1_000);
  t.strictSame(told(bob.take()), [minute(fixture)], 'what holds in the end');
});

t.test('N people who flap before M watchers each cost what a second may, not N times M', async (t) => {
  const owners = Array.from({ length: 40 }, (_, index) => String(200_000_000_000_000 + index));
  const fixture = await start();
  const watchers = Array.from({ length: 500 }, () => spawnProbe(fixture.test));
  const here = owners.map(() => spawnProbe(fixture.test));
  for (const [index, owner] of owners.entries()) {
    await fixture.tell(change(here[index]!, owner, settings('everyone')));
    await fixture.tell(...watchers.map((probe) => lookUp(probe, BOB, owner)));
  }
  const pairs = owners.length * watchers.length;
  t.ok(pairs > LIMITS.presenceNoticesPerSecondMax, 'more than a second allows');
  const before = (await fixture.statistics()).notices;
  const seconds = 6;
  let perSecondMax = 0;
  for (let second = 0, last = before; second < seconds; second++) {
    for (const state of ['available', 'unavailable', 'available'] as const) {
      await fixture.tell(...owners.map((owner, index) => announce(here[index]!, owner, state)));
    }
    await fixture.test.advance(1_000);
    const { notices } = await fixture.statistics();
    perSecondMax = Math.max(perSecondMax, notices - last);
    last = notices;
  }
  t.ok(perSecondMax <= 2 * LIMITS.presenceNoticesPerSecondMax, `${perSecondMax} in a second`);
  const notices = (await fixture.statistics()).notices - before;
  t.ok(
    notices <= (seconds + 1) * LIMITS.presenceNoticesPerSecondMax,
    `${notices} for ${3 * seconds * pairs} changes seen`,
  );
  await fixture.test.advance(20_000, 1_000);
  for (const probe of watchers) {
    const last = new Map<string, string>();
    for (const message of probe.take()) {
      const notice = message.kind === 'answer' ? message.answer : message;
      if (notice.kind === 'presence') last.set(notice.from, notice.state);
    }
    t.ok(
      owners.every((owner) => last.get(owner) === 'available'),
      'each hears how it ended',
    );
  }
});

t.test('one person has a bounded number of watchers; who comes later is answered and told no changes', async (t) => {
  const fixture = await start();
  const alice = spawnProbe(fixture.test);
  await fixture.tell(change(alice, ALICE, settings('everyone')));
  const probes = Array.from({ length: LIMITS.presenceWatchersMax + 1 }, () => spawnProbe(fixture.test));
  for (const probe of probes) await fixture.tell(lookUp(probe, BOB, ALICE));
  for (const probe of probes) t.strictSame(told(probe.take()), ['away']);
  await fixture.tell(announce(alice, ALICE, 'available'));
  t.strictSame(told(probes[0]!.take()), ['here']);
  t.strictSame(told(probes.at(-1)!.take()), []);
  t.equal((await fixture.statistics()).subscriptions, LIMITS.presenceWatchersMax);
});

t.test('a shard that is behind drops typing, refuses questions and puts changes off, and counts it', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(lookUp(bob, BOB, ALICE));
  bob.take();
  fixture.isBusy = true;
  await fixture.tell({ kind: 'typing', user: ALICE, to: BOB, state: 'composing' });
  await fixture.tell(announce(alice, ALICE, 'available'));
  t.strictSame(bob.take(), []);
  await fixture.tell(lookUp(bob, BOB, ALICE));
  t.match(bob.take(), [{ kind: 'answer-refused', refusal: { code: 'APP_OVERLOADED', retryAfter: 5 } }]);
  t.match(await fixture.statistics(), { shed: 3, notices: 0, typings: 0, present: 1 });
  await fixture.test.advance(LIMITS.presenceSaveMs + 1_000, 1_000);
  t.match(
    fixture.test.logged.filter(({ event }) => event === 'presence_shed'),
    [{ level: 'warn', fields: { count: 3 } }],
    'once, and no user in it',
  );
  t.equal(fixture.store.seenMinute(ALICE), undefined, 'nor does it write');
  fixture.isBusy = false;
  await fixture.test.advance(2_000, 1_000);
  t.strictSame(told(bob.take()), ['here'], 'nothing that holds is lost');
});

t.test('a mailbox that fills up sheds before it refuses', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const bob = spawnProbe(fixture.test);
  await fixture.tell(lookUp(bob, BOB, ALICE));
  bob.take();
  const flood = LIMITS.presenceShedCount * 2;
  await fixture.tell(
    ...Array.from({ length: flood }, () => ({ kind: 'typing', user: ALICE, to: BOB, state: 'composing' }) as const),
  );
  const { shed, typings } = await fixture.statistics();
  t.equal(shed + typings, flood);
  t.ok(shed >= flood - LIMITS.presenceShedCount - 1 && shed < flood, `${shed} of ${flood} shed`);
});

t.test('when somebody was last there is written to the minute, once a minute for all', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const people = Array.from({ length: 50 }, (_, index) => ({
    ...{ user: String(300_000_000_000_000 + index), probe: spawnProbe(fixture.test) },
  }));
  const before = fixture.store.commitCount;
  for (const { probe, user } of people) {
    await fixture.tell(announce(probe, user, 'available'), announce(probe, user, 'unavailable'));
  }
  t.equal(fixture.store.commitCount, before, 'nothing at once');
  const left = minute(fixture);
  await fixture.test.advance(LIMITS.presenceSaveMs + 1_000, 1_000);
  t.equal(fixture.store.commitCount - before, 1);
  for (const { user } of people) t.equal(fixture.store.seenMinute(user), left);
  await fixture.test.advance(10 * MINUTE_MS, 1_000);
  t.equal(fixture.store.commitCount - before, 1, 'and nothing while nothing happens');
});

t.test('more minutes than fit a commit are written one commit a tick', async (t) => {
  const fixture = await start();
  const count = 3 * LIMITS.presenceSaveCountMax;
  const probe = spawnProbe(fixture.test);
  const user = (index: number): string => String(400_000_000_000_000 + index);
  for (let index = 0; index < count; index++) {
    await fixture.tell(announce(probe, user(index), 'available'), announce(probe, user(index), 'unavailable'));
  }
  const written = (): number =>
    Array.from({ length: count }, (_, index) => fixture.store.seenMinute(user(index))).filter(Boolean).length;
  t.equal(written(), 0);
  await fixture.test.advance(2_000, 1_000);
  t.equal(written(), 2 * LIMITS.presenceSaveCountMax);
  await fixture.test.advance(LIMITS.presenceSaveMs, 1_000);
  t.equal(written(), count);
});

t.test('an actor that crashed learns again from what connections repeat', async (t) => {
  const fixture = await start([[ALICE, BOB]]);
  const [alice, bob] = [spawnProbe(fixture.test), spawnProbe(fixture.test)];
  await fixture.tell(announce(alice, ALICE, 'available'), lookUp(bob, BOB, ALICE));
  const former = fixture.test.node.whereis('presence')!;
  fixture.test.node.exit(former, 'kill');
  await fixture.test.settle();
  await fixture.restart();
  bob.take();
  await fixture.tell(lookUp(bob, BOB, ALICE));
  t.strictSame(told(bob.take()), ['away'], 'it knows nobody');
  await fixture.tell(announce(alice, ALICE, 'available'));
  t.strictSame(told(bob.take()), ['here']);
  t.equal(fixture.test.node.processInfo(bob.pid)?.monitoredByCount, 1);
});

t.test('a refused write of minutes is tried again', async (t) => {
  const fixture = await start();
  const alice = spawnProbe(fixture.test);
  await fixture.tell(announce(alice, ALICE, 'available'), announce(alice, ALICE, 'unavailable'));
  const left = minute(fixture);
  fixture.store.failNextCommits(1);
  await fixture.test.advance(LIMITS.presenceSaveMs + 1_000, 1_000);
  t.equal(fixture.store.seenMinute(ALICE), undefined);
  await fixture.test.advance(LIMITS.presenceSaveMs + 1_000, 1_000);
  t.equal(fixture.store.seenMinute(ALICE), left);
});

t.test('somebody who stays is written every hour, and when the node is stopped in order', async (t) => {
  const fixture = await start();
  const alice = spawnProbe(fixture.test);
  await fixture.tell(announce(alice, ALICE, 'available'));
  const came = minute(fixture);
  await fixture.test.advance(90 * MINUTE_MS, 10_000);
  const written = fixture.store.seenMinute(ALICE)!;
  t.ok(written >= came + LIMITS.presenceRefreshMinutes, `${written - came} minutes on`);
  const stopped = minute(fixture);
  await fixture.stop();
  t.equal(fixture.store.seenMinute(ALICE), stopped);
});
