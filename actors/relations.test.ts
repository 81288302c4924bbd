import t from 'tap';
import type { Answer } from '../protocol/wire/index.ts';
import { LIMITS } from './limits.ts';
import type { ConnectionMessage, RelationsMessage } from './messages.ts';
import { relations } from './relations.ts';
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

const CAROL = '100000000000003';

interface Fixture extends InboxFixture {
  readonly client: Probe;
  /** Sends a request of Bob's and resolves to its answer or the refusal. */
  ask(request: Record<string, unknown> & { readonly kind: RelationsMessage['kind'] }): Promise<Answer | string>;
  /** Sends messages to Bob under these ids; resolves to what their sender is told. */
  write(from: string, ...ids: number[]): Promise<ConnectionMessage[]>;
  attach(): Promise<Probe>;
  acknowledge(device: Probe, seq: number): Promise<void>;
}

/** Bob's decisions and his inbox, over one store. */
async function start(): Promise<Fixture> {
  const inbox = await startInbox([ALICE, BOB, CAROL]);
  const { test, store } = inbox;
  const args = {
    store,
    inboxOf: () => ({ name: 'inbox.0', worker: 0 }),
    presenceOf: () => ({ name: 'presence.0', worker: 0 }),
    committer: committerOf(store, test),
  };
  const pid = test.node.spawn(relations, args);
  const client = spawnProbe(test);
  const senders = new Map<string, Probe>();
  return {
    ...inbox,
    client,
    async ask(request) {
      test.node.cast(pid, { connection: client.pid, iq: 1, user: BOB, ...request } as never);
      await test.settle();
      const [message] = client.take();
      if (message?.kind === 'answer') return message.answer;
      return message?.kind === 'answer-refused' ? message.refusal.code : String(message?.kind);
    },
    async write(from, ...ids) {
      const probe = senders.get(from) ?? spawnProbe(test);
      senders.set(from, probe);
      for (const id of ids) await inbox.tell(submission(probe.pid, from, BOB, id));
      return probe.take();
    },
    async attach() {
      const probe = spawnProbe(test);
      await inbox.tell({ kind: 'attach', user: BOB, device: 1, creation: 1, staged: false, connection: probe.pid });
      return probe;
    },
    acknowledge: ({ pid: connection }, seq) =>
      inbox.tell({ kind: 'acknowledge', user: BOB, device: 1, seq, connection }),
  };
}

/** Ids of the messages that a device was given. */
function delivered(probe: Probe): number[] {
  return probe.take().flatMap((message) => (message.kind === 'deliver' ? message.entries.map(({ id }) => id) : []));
}

function idsOf(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

t.test('a blocked sender sees what it would see of somebody who is away, and nothing arrives', async (t) => {
  const fixture = await start();
  const device = await fixture.attach();
  t.match(await fixture.write(ALICE, 1), [{ kind: 'sent', id: 1 }]);
  t.same(delivered(device), [1]);
  await fixture.acknowledge(device, 1);
  await fixture.write(ALICE);
  t.same(await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' }), {
    kind: 'relation',
    user: ALICE,
    state: 'blocked',
  });
  const told = await fixture.write(ALICE, 2, 3, 3, 5);
  t.match(told, [
    { kind: 'sent', id: 2 },
    { kind: 'sent', id: 3 },
    { kind: 'sent', id: 3 },
    { kind: 'refused', id: 5, refusal: { code: 'APP_OUT_OF_ORDER', expected: 4 } },
  ]);
  t.same(delivered(device), []);
  t.equal(fixture.store.lastSeq(BOB, 1), 1, 'no place in the inbox was used');
  await fixture.tell({
    ...{ kind: 'mark-read', user: BOB, sender: { user: ALICE, device: 1 }, id: 1 },
  });
  t.same(await fixture.write(ALICE), [], 'not even what was read before');
  t.match(await fixture.write(CAROL, 1), [{ kind: 'sent', id: 1 }]);
  t.same(delivered(device), [1], 'others write as before');
  await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'none' });
  await fixture.write(ALICE, 4);
  t.same(delivered(device), [4], 'what was sent in between is gone, what comes now arrives');
});

t.test('a block outlives the cache and holds for conversations that were never loaded', async (t) => {
  const fixture = await start();
  await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' });
  t.match(await fixture.write(ALICE, 1, 2), [{ kind: 'sent' }, { kind: 'sent' }]);
  t.same(delivered(await fixture.attach()), []);
  t.same(fixture.store.conversation(BOB, { user: ALICE, device: 1, creation: 1 }), { accepted: 2, delivered: 0 });
});

t.test('who asks: a stranger has a few messages and no receipts until it is accepted', async (t) => {
  const fixture = await start();
  const { strangerMessagesMax: max, strangerRetrySeconds: retryAfter } = LIMITS;
  t.same(await fixture.ask({ kind: 'set-strangers', policy: 'ask' }), { kind: 'strangers', policy: 'ask' });
  t.same(await fixture.ask({ kind: 'show-strangers' }), { kind: 'strangers', policy: 'ask' });
  const device = await fixture.attach();
  const told = await fixture.write(ALICE, ...idsOf(1, max + 1));
  t.equal(told.filter(({ kind }) => kind === 'sent').length, max);
  t.match(told.at(-1), { kind: 'refused', id: max + 1, refusal: { code: 'APP_REQUEST_PENDING', retryAfter } });
  t.same(delivered(device), idsOf(1, max), 'they are shown');
  await fixture.acknowledge(device, max);
  t.same(await fixture.write(ALICE), [], 'no receipt');
  t.same(await fixture.ask({ kind: 'list-relations' }), {
    kind: 'relations',
    relations: [{ user: ALICE, state: 'pending', count: max }],
    next: undefined,
  });
  await fixture.ask({ kind: 'set-relation', other: CAROL, state: 'accepted' });
  t.same(await fixture.write(ALICE), [], 'another one was accepted');
  await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'accepted' });
  t.match(
    await fixture.write(ALICE),
    [{ kind: 'receipt', type: 'delivered', from: BOB, id: max }],
    'what had arrived before is told now, and not with the next message',
  );
  await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'accepted' });
  t.same(await fixture.write(ALICE), [], 'once');
  t.match(await fixture.write(ALICE, max + 1), [{ kind: 'sent', id: max + 1 }]);
  await fixture.acknowledge(device, max + 1);
  t.match(await fixture.write(ALICE), [{ kind: 'receipt', type: 'delivered', id: max + 1 }]);
});

t.test('blocking does not show: the bounds of a stranger stay those of one, of an accepted sender none', async (t) => {
  const fixture = await start();
  const { strangerMessagesMax: max } = LIMITS;
  await fixture.ask({ kind: 'set-strangers', policy: 'ask' });
  await fixture.write(ALICE, 1);
  await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' });
  const stranger = await fixture.write(ALICE, ...idsOf(2, max));
  t.match(stranger.at(-1), { refusal: { code: 'APP_REQUEST_PENDING' } }, 'refused where it would have been');
  t.equal(stranger.filter(({ kind }) => kind === 'sent').length, max - 1);
  await fixture.ask({ kind: 'set-relation', other: CAROL, state: 'accepted' });
  await fixture.ask({ kind: 'set-relation', other: CAROL, state: 'blocked' });
  const accepted = await fixture.write(CAROL, ...idsOf(1, max + 5));
  t.equal(accepted.filter(({ kind }) => kind === 'sent').length, max + 5);
});

t.test('decisions are listed page by page, bounded, and taken back', async (t) => {
  const fixture = await start();
  const others = Array.from({ length: LIMITS.relationsPageMax + 1 }, (_, index) => String(200_000_000_000_000 + index));
  await fixture.store.commit(({ protection }) => {
    protection.putGuard(BOB, { policy: 'open', relations: LIMITS.relationsMax });
    for (const other of others) protection.putRelation(BOB, other, { accepted: true, blocked: false });
  });
  const first = await fixture.ask({ kind: 'list-relations' });
  if (typeof first === 'string' || first.kind !== 'relations') throw new Error(String(first));
  t.equal(first.relations.length, LIMITS.relationsPageMax);
  t.equal(first.next, others.at(-2));
  t.match(await fixture.ask({ kind: 'list-relations', after: first.next }), {
    relations: [{ user: others.at(-1), state: 'accepted' }],
    next: undefined,
  });
  t.equal(await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' }), 'APP_RELATIONS_FULL');
  t.match(await fixture.ask({ kind: 'set-relation', other: others[0], state: 'blocked' }), { state: 'blocked' });
  await fixture.ask({ kind: 'set-relation', other: others[0], state: 'none' });
  t.match(await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' }), { state: 'blocked' });
  t.equal(await fixture.ask({ kind: 'set-relation', other: BOB, state: 'blocked' }), 'APP_UNKNOWN_USER', 'not oneself');
});

t.test('a decision that the disk refuses has not been taken', async (t) => {
  const fixture = await start();
  fixture.store.failNextCommits(1);
  t.equal(await fixture.ask({ kind: 'set-relation', other: ALICE, state: 'blocked' }), 'APP_STORE_FULL');
  await fixture.write(ALICE, 1);
  t.same(delivered(await fixture.attach()), [1]);
});

t.test('a message that was received can be reported, others cannot; reports are kept within their bound', async (t) => {
  const fixture = await start();
  await fixture.write(ALICE, 1, 2);
  const report = { kind: 'report', sender: ALICE, device: 1, id: 2 } as const;
  const evidence = Uint8Array.of(1, 2, 3);
  t.same(await fixture.ask({ ...report, evidence }), { kind: 'report', user: ALICE });
  t.equal(await fixture.ask({ ...report, id: 3 }), 'APP_UNKNOWN_MESSAGE', 'never sent');
  t.equal(await fixture.ask({ ...report, sender: CAROL }), 'APP_UNKNOWN_MESSAGE');
  t.equal(await fixture.ask({ ...report, device: 2 }), 'APP_UNKNOWN_MESSAGE');
  const [kept] = fixture.store.protection.reports(0, 10);
  t.match(kept, { place: 1, report: { reporter: BOB, sender: ALICE, senderDevice: 1, senderCreation: 1, id: 2 } });
  t.same([...kept!.report.evidence], [1, 2, 3]);
  const { report: record } = kept!;
  await fixture.store.commit(({ protection }) => protection.putReport(LIMITS.reportCountMax, record));
  await fixture.ask(report);
  const places = fixture.store.protection.reports(0, 10).map(({ place }) => place);
  t.same(places, [LIMITS.reportCountMax, LIMITS.reportCountMax + 1], 'the oldest made room');
  const logged = fixture.test.logged.filter(({ event }) => event === 'message_reported');
  t.equal(logged.length, 2);
  t.notOk(JSON.stringify(logged).includes(BOB), 'the log does not name who reports');
});

t.test('changes beyond the queue are refused, and those within it all happen', async (t) => {
  const fixture = await start();
  const { relationsQueueMax } = LIMITS;
  const pid = fixture.test.node
    .processes()
    .find((each) => fixture.test.node.processInfo(each)?.behavior === 'actors/relations')!;
  for (let index = 0; index < relationsQueueMax + 5; index++) {
    const other = String(300_000_000_000_000 + index);
    const change = { kind: 'set-relation', connection: fixture.client.pid, iq: index, user: BOB, other } as const;
    fixture.test.node.cast(pid, { ...change, state: 'accepted' });
  }
  await fixture.test.settle();
  const told = fixture.client.take();
  const refused = told.filter((message) => message.kind === 'answer-refused');
  t.equal(told.length, relationsQueueMax + 5);
  t.match(refused[0], { refusal: { code: 'APP_OVERLOADED', retryAfter: 1 } });
  t.equal(fixture.store.protection.guard(BOB)?.relations, told.length - refused.length);
  t.ok(refused.length > 0 && refused.length <= 5, `${refused.length} refused`);
});

t.test('who begins conversations with everybody is stopped, and goes on with those it has', async (t) => {
  const users = Array.from({ length: LIMITS.firstContactsBurstMax + 1 }, (_, index) =>
    String(400_000_000_000_000 + index),
  );
  const fixture = await startInbox([ALICE, ...users]);
  const probe = spawnProbe(fixture.test);
  for (const user of users) fixture.test.node.cast(fixture.pid, submission(probe.pid, ALICE, user, 1));
  await fixture.test.settle();
  const refused = probe.take().filter((message) => message.kind === 'refused');
  t.match(refused, [{ to: users.at(-1), refusal: { code: 'APP_RATE_LIMITED' } }]);
  await fixture.tell(submission(probe.pid, ALICE, users[0]!, 2));
  t.match(probe.take(), [{ kind: 'sent', to: users[0], id: 2 }]);
  await fixture.tell(submission(probe.pid, users[0]!, users[1]!, 1));
  t.match(probe.take(), [{ kind: 'sent' }], 'somebody else begins one');
  await fixture.test.advance(Math.ceil(86_400_000 / LIMITS.firstContactsPerDayMax), 1_000);
  await fixture.tell(submission(probe.pid, ALICE, users.at(-1)!, 1));
  t.match(probe.take(), [{ kind: 'sent', to: users.at(-1) }]);
});
