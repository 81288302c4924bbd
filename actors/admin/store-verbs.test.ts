import t, { type Test } from 'tap';
import type { Behavior } from '../../runtime/index.ts';
import { castStartChild, startDynamicSupervisor } from '../../supervisors/index.ts';
import { LIMITS } from '../limits.ts';
import { inboxName, type RemoteName } from '../routes.ts';
import { MemoryStore } from '../store/memory.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import { ALICE, BOB, DEVICE } from '../test-kit.ts';
import { CONNECTIONS } from '../tree.ts';
import { agent, AGENT_NAME } from './agent.ts';
import { storeQuestions } from './store-questions.ts';
import { storeVerbs } from './store-verbs.ts';
import { createDesk, createThreads } from './test-kit.ts';

const GROUP = '300000000000003';

/** Stands for a connection: the same name, and the part of the state that is looked at. */
const connected: Behavior<unknown, { user?: string }> = {
  name: 'actors/connection',
  init: ({ user }) => ({
    phase: user === undefined ? { name: 'greeted' } : { name: 'live', self: { user, device: 1, creation: 1 } },
  }),
};

/** Stands for an inbox: it answers the one question. */
const counting: Behavior<null, void, never, 'statistics', object> = {
  name: 'actors/inbox',
  init: () => null,
  handleCall: () => ({ commits: 3, committedMessages: 2, queuedBytes: 210, online: 1, expired: 0 }),
};

function entry(seq: number, ts: number): InboxEntry {
  const ciphertext = new TextEncoder().encode('sealed, and none of an operator’s business');
  return { seq, sender: BOB, senderDevice: 1, senderCreation: 1, id: seq, ts, type: 'ratchet', ciphertext };
}

/** Two workers; Alice's shard is the second one's. */
async function startFixture(t: Test): Promise<{
  ask<T extends object>(verb: string, parameters?: object): Promise<T>;
}> {
  const threads = createThreads(2);
  const store = new MemoryStore();
  const nowMs = threads.workers.node.clock.nowMs();
  await store.commit((batch) => {
    batch.putAccount({ user: ALICE, phone: '+4915100000001', devices: [1, 2], creations: 2, primary: 1 });
    for (const device of [1, 2]) batch.putDevice(ALICE, device, DEVICE);
    batch.putPreKey(ALICE, 1, { id: 1, key: new Uint8Array(33) });
    batch.putPreKey(ALICE, 1, { id: 2, key: new Uint8Array(33) });
    batch.putEntry(ALICE, 2, entry(4, nowMs - 5_000));
    batch.putEntry(ALICE, 2, entry(5, nowMs - 1_000));
    batch.putAcknowledged(ALICE, 2, 3, 5);
    const waiting = [{ device: 2, first: 4, last: 5, count: 2, bytes: 210 }];
    batch.putConversation(ALICE, { user: BOB, device: 1, creation: 1 }, { accepted: 5, delivered: 3, waiting });
  });
  const at: RemoteName = { name: 'inbox.1', worker: 2 };
  const routes = { inboxOf: () => at, groupsOf: () => ({ name: 'groups.1', worker: 2 }) };
  for (const [index, { node }] of threads.workerNodes.entries()) {
    const parts = { node, routes, shards: [index], stores: [index === 1 ? store : new MemoryStore()] };
    node.spawn(agent, { questions: storeQuestions(parts) }, { name: AGENT_NAME });
    await startDynamicSupervisor(node, {
      name: CONNECTIONS,
      child: { start: { behavior: connected }, restart: 'temporary', shutdown: 1_000 },
    });
    for (const user of [ALICE, BOB, undefined]) castStartChild(node, CONNECTIONS, { user });
    node.spawn(counting, undefined, { name: inboxName(index) });
  }
  await threads.settle();
  const { desk } = createDesk(t, storeVerbs(threads.workers));
  const caller = { signal: new AbortController().signal, via: 'socket' } as const;
  return {
    ask: async <T extends object>(verb: string, parameters: object = {}) =>
      (await threads.outcome(desk.answer(verb, parameters, caller, async () => undefined))) as T,
  };
}

t.test('connections are listed by pages, all of them once', async (t) => {
  const { ask } = await startFixture(t);
  const all = await ask<{ rows: { pid: string }[] }>('session.list');
  t.equal(all.rows.length, 6);
  t.match(all.rows[0], { user: ALICE, device: 1, phase: 'live' });
  t.match(all.rows[2], { phase: 'greeted', user: undefined });
  const paged: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 9; pages += 1) {
    const page = await ask<{ rows: { pid: string }[]; next?: string }>('session.list', {
      rows: 2,
      ...(after && { after }),
    });
    t.ok(page.rows.length <= 2);
    paged.push(...page.rows.map(({ pid }) => pid));
    after = page.next;
    if (after === undefined) break;
  }
  t.strictSame(
    paged,
    all.rows.map(({ pid }) => pid),
  );
  t.match((await ask<{ rows: object[] }>('session.list', { user: BOB })).rows, [{ user: BOB }, { user: BOB }]);
  await t.rejects(ask('session.list', { after: 'x' }), { code: 'ADM_BAD_PARAMETER' });
});

t.test('the connections of one user are ended, and nobody else’s', async (t) => {
  const { ask } = await startFixture(t);
  t.strictSame(await ask('session.kick', { user: ALICE, device: 9 }), { kicked: 0 });
  t.strictSame(await ask('session.kick', { user: ALICE }), { kicked: 2 });
  const { rows } = await ask<{ rows: { user?: string }[] }>('session.list');
  t.strictSame(rows.map(({ user }) => user).sort(), [BOB, BOB, undefined, undefined]);
});

t.test('of an inbox sizes and ages are told, and nothing of what it holds', async (t) => {
  const { ask } = await startFixture(t);
  const stat = await ask('inbox.stat', { user: ALICE });
  t.match(stat, {
    user: ALICE,
    devices: [
      { device: 1, isPrimary: true, waiting: 0, waitingBytes: 0, conversations: 0, oldestAgeMs: undefined },
      { device: 2, isPrimary: false, acknowledged: 3, lastSeq: 5, waiting: 2, waitingBytes: 210, conversations: 1 },
    ],
  });
  const peek = await ask<{ entries: object[] }>('inbox.peek', { user: ALICE, device: 2 });
  t.match(peek.entries, [{ seq: 4, from: BOB, fromDevice: 1, id: 4, type: 'ratchet', bytes: 44 }, { seq: 5 }]);
  t.notMatch(JSON.stringify([stat, peek]), /sealed|491510|ciphertext|phone/);
  t.match(await ask('inbox.stat'), {
    workers: [{ ok: { shards: [{ shard: 0, commits: 3, queuedBytes: 210 }] } }, { ok: { shards: [{ shard: 1 }] } }],
  });
  await t.rejects(ask('inbox.peek', { user: ALICE, device: 3 }), { code: 'ADM_NOT_FOUND' });
  await t.rejects(ask('inbox.stat', { user: BOB }), { code: 'ADM_NOT_FOUND' });
});

t.test('pre-keys are counted, groups that are not there are told so, phone numbers are not looked up', async (t) => {
  const { ask } = await startFixture(t);
  const { devices } = await ask<{ devices: object[] }>('prekeys.stat', { user: ALICE });
  t.match(devices, [
    { device: 1, oneTime: 2, kem: 0, hasLastResort: false, signedPreKeyId: 1 },
    { device: 2, oneTime: 0 },
  ]);
  await t.rejects(ask('group.stat', { group: GROUP }), { code: 'ADM_NOT_FOUND', message: /no such group/ });
  for (const [verb, name] of [
    ['inbox.stat', 'user'],
    ['prekeys.stat', 'user'],
    ['session.kick', 'user'],
    ['group.stat', 'group'],
  ] as const) {
    await t.rejects(ask(verb, { [name]: '+4915100000001' }), { code: 'ADM_BAD_PARAMETER' }, verb);
  }
});

t.test('a limit is changed on every worker, or on none', async (t) => {
  const { ask } = await startFixture(t);
  const { pendingLinksMax: before } = LIMITS;
  t.match(await ask('limits.set', { name: 'pendingLinksMax', value: 5 }), { before, value: 5, stored: false });
  t.equal(LIMITS.pendingLinksMax as number, 5);
  const { limits } = await ask<{ limits: { name: string }[] }>('limits.show');
  t.match(
    limits.find(({ name }) => name === 'pendingLinksMax'),
    { value: 5, default: before },
  );
  await t.rejects(ask('limits.set', { name: 'pendingLinksMax', value: 1e9 }), { code: 'ADM_BAD_PARAMETER' });
  await t.rejects(ask('limits.set', { name: 'nonceAgeMsMax', value: 1 }), { code: 'ADM_BAD_PARAMETER' });
  await ask('limits.set', { name: 'pendingLinksMax', value: before });
});
