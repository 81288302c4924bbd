import { randomInt } from 'node:crypto';
import t from 'tap';
import { claimPort } from '../../actors/host/port.ts';
import { LIMITS } from '../../actors/limits.ts';
import { FEATURES } from '../../protocol/wire/index.ts';
import { GroupPlan, Member } from './group-member.ts';
import { pause, until, PATIENCE_MS } from './people.ts';
import { connectAs, newClient, RawClient, register, type Registered } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const FLAGS = ['--workers', '2'];
const KILLS = 6;
const UNDER_WAY_MAX = 15;

/** Registers members; the first creates the group with all of them. */
async function newGroup(
  server: ServerProcess,
  count: number,
  from = 1,
): Promise<{ plan: GroupPlan; who: Registered[] }> {
  const who: Registered[] = [];
  for (let index = 0; index < count; index++) who.push(await register(server, `+49151100000${from + index}`));
  const plan = new GroupPlan();
  const adds = who.slice(1).map(({ user }) => ({ kind: 'add', user, role: 'member' }) as const);
  await change(server, plan, who[0]!, plan.change(who[0]!, { kind: 'create' }, ...adds));
  return { plan, who };
}

/** Sends a change over a connection that does nothing else; it replaces another one of the device. */
async function change(server: ServerProcess, plan: GroupPlan, author: Registered, bytes: Uint8Array): Promise<unknown> {
  const client = new RawClient(server.url);
  // As a client that knows groups, and acknowledges none: its entries wait for the one that does.
  await client.login(author, FEATURES.groups);
  const answer = await client.ask({ kind: 'group-change', group: plan.group, change: bytes });
  client.close();
  return answer;
}

t.test('the same order for all; who is removed gets nothing that was accepted afterwards', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), FLAGS);
  const { plan, who } = await newGroup(server, 5, 10);
  const members = who.map((each) => new Member(each, plan));
  const runs = members.map((member) => member.run(() => server.url));
  t.teardown(() => members.forEach((member) => member.stop()));
  await until('everybody is there', PATIENCE_MS, () => members.every(({ rows }) => rows.length === 1));
  for (let round = 0; round < 10; round++) members.forEach((member, index) => member.say(`${index} ${round}`));
  await until('all is acknowledged', PATIENCE_MS, () => members.every(({ unacknowledged }) => unacknowledged === 0));
  await until('all has arrived', PATIENCE_MS, () => members.every(({ rows }) => rows.length === 41));
  const textAt = new Map<number, string>();
  for (const { rows } of members) {
    for (const { order, text } of rows) {
      t.equal(textAt.get(order) ?? text, text, `place ${order}`);
      textAt.set(order, text);
    }
    const orders = rows.map(({ order }) => order);
    t.strictSame(
      orders,
      orders.toSorted((a, b) => a - b),
      'in the order of the places',
    );
  }
  t.equal(textAt.size, 51, 'every place once');

  const last = members.at(-1)!;
  const removal = plan.change(who[0]!, { kind: 'remove', user: last.who.user });
  const answer = await members[0]!.away(() => change(server, plan, who[0]!, removal));
  t.match(answer, { kind: 'group', epoch: 2, order: 52 });
  await until('the admin is back', PATIENCE_MS, () => members[0]!.client !== undefined);
  members[1]!.say('secret');
  await until('the others have it', PATIENCE_MS, () =>
    members.slice(2, 4).every((member) => member.texts().includes('secret')),
  );
  await until('he knows', PATIENCE_MS, () => last.texts().filter((text) => text === 'change').length === 2);
  last.say('still here?');
  await until('he is refused', PATIENCE_MS, () => last.refusals.length > 0);
  t.match(last.refusals[0], { code: 'APP_NOT_A_MEMBER' });
  t.notOk(last.texts().includes('secret'));
  members.forEach((member) => member.stop());
  await Promise.all(runs);
});

t.test('a flood by one member: the bound, the code, and others go on', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), FLAGS);
  const { plan, who } = await newGroup(server, 3, 20);
  const [flooder, writer, reader] = who.map((each) => new Member(each, plan)) as [Member, Member, Member];
  const members = [flooder, writer, reader];
  const runs = members.map((member) => member.run(() => server.url));
  t.teardown(() => members.forEach((member) => member.stop()));
  await until('everybody is there', PATIENCE_MS, () => members.every(({ rows }) => rows.length === 1));
  const began = performance.now();
  for (let id = 1; id <= 500; id++) flooder.say(`flood ${id}`);
  await until('it is refused', PATIENCE_MS, () => flooder.refusals.some(({ code }) => code === 'APP_RATE_LIMITED'));
  const limited = flooder.refusals.find(({ code }) => code === 'APP_RATE_LIMITED')!;
  t.ok((limited.retryAfter ?? 0) >= 1, 'and told when to come back');
  writer.say('I only say this');
  await until('the other arrives', PATIENCE_MS, () => reader.texts().includes('I only say this'));
  const floods = (): number => reader.texts().filter((text) => text.startsWith('flood')).length;
  await until('the burst', PATIENCE_MS, () => floods() >= LIMITS.groupMessagesBurstMax);
  await pause(200);
  const count = floods();
  // The bucket gets some back while the flood goes on.
  const tookS = (performance.now() - began) / 1_000;
  const countMax = LIMITS.groupMessagesBurstMax + Math.ceil(tookS * LIMITS.groupMessagesPerSecondMax);
  t.ok(count <= countMax, `${count} came through in ${tookS} s`);
  t.equal(writer.refusals.length, 0);
  const { client } = await newClient(server, '+4915110000090');
  t.type(await client.ask({ kind: 'group', group: plan.group }), 'string', 'a stranger is told nothing of the group');
  client.close();
  members.forEach((member) => member.stop());
  await Promise.all(runs);

  const asking = await connectAs(server, who[0]!);
  for (const after of [2 ** 32 - 1, Number.MAX_SAFE_INTEGER]) {
    const answer = await asking.ask({ kind: 'group', group: plan.group, after });
    t.match(answer, { kind: 'group', epoch: 1, changes: [] }, `an epoch that there cannot be, ${after}, ends nobody`);
  }
  asking.close();
});

t.test(`killed ${KILLS} times under load: exactly once, in one order`, async (t) => {
  const directory = temporaryDirectory(t);
  const port = await claimPort('127.0.0.1', 0);
  const start = (): Promise<ServerProcess> => ServerProcess.start(t, directory, [...FLAGS, '--port', String(port)]);
  let server = await start();
  const { plan, who } = await newGroup(server, 4, 30);
  const members = who.map((each) => new Member(each, plan));
  const runs = members.map((member) => member.run(() => server.url));
  t.teardown(() => members.forEach((member) => member.stop()));
  let isWriting = true;
  const writing = members.slice(0, 3).map(async (member, index) => {
    while (isWriting) {
      if (member.unacknowledged < UNDER_WAY_MAX && member.client !== undefined)
        member.say(`${index} ${member.sent.length + 1}`);
      await pause(randomInt(40, 120));
    }
  });
  const acknowledged = (): number => members.reduce((sum, each) => sum + each.acknowledged, 0);
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acknowledged();
    await until('traffic between the kills', PATIENCE_MS, () => acknowledged() > before + 5);
    await pause(randomInt(200, 900));
    await server.kill();
    server = await start();
  }
  await pause(500);
  isWriting = false;
  await Promise.all(writing);
  await until('all is acknowledged', PATIENCE_MS, () => members.every(({ unacknowledged }) => unacknowledged === 0));
  const total = members.reduce((sum, { sent }) => sum + sent.length, 0);
  const due = (member: Member): number => 1 + total - member.sent.length;
  await until('all has arrived', PATIENCE_MS, () => members.every((member) => member.rows.length >= due(member))).catch(
    (error: unknown) => {
      for (const member of members) t.comment(member.describe());
      throw error;
    },
  );
  await pause(300);
  const textAt = new Map<number, string>();
  for (const [index, member] of members.entries()) {
    t.equal(member.rows.length, due(member), `member ${index} has everything once`);
    t.equal(new Set(member.texts()).size, member.rows.length, 'and nothing twice');
    const orders = member.rows.map(({ order }) => order);
    t.strictSame(
      orders,
      orders.toSorted((a, b) => a - b),
      'in the order of the places',
    );
    for (const { order, text } of member.rows) {
      t.equal(textAt.get(order) ?? text, text, 'the same place for all');
      textAt.set(order, text);
    }
    for (const [other, { sent }] of members.entries()) {
      const got = member.texts().filter((text) => text.startsWith(`${other} `));
      if (other !== index) t.strictSame(got, sent, `what ${other} wrote, in its order`);
    }
  }
  t.ok(total > 30, `${total} messages`);
  t.equal(textAt.size, total + 1, 'no place is empty, none is given twice');
  members.forEach((member) => member.stop());
  await Promise.all(runs);
});

t.test('a client that does not know groups is not told of any', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), FLAGS);
  const { plan, who } = await newGroup(server, 2, 40);
  const member = new Member(who[0]!, plan);
  const run = member.run(() => server.url);
  t.teardown(() => member.stop());
  await until('it is there', PATIENCE_MS, () => member.client !== undefined);
  const old = new RawClient(server.url);
  await old.login(who[1]!);
  member.say('hello');
  await until('it is acknowledged', PATIENCE_MS, () => member.unacknowledged === 0);
  await pause(200);
  t.notOk(old.inbox.some(({ kind }) => kind.startsWith('group')));
  old.close();
  const updated = new RawClient(server.url);
  await updated.login(who[1]!, FEATURES.groups);
  await updated.next('offline');
  t.notOk(
    updated.inbox.some(({ kind }) => kind === 'group-message'),
    'what came meanwhile counts as stored',
  );
  updated.close();
  member.stop();
  await run;
});
