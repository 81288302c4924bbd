/** Links, and who asks to be let in by one: what happens to the group between the question and the answer, and what stands in its way. */

import t from 'tap';
import type { ClientMessage } from '../protocol/wire/index.ts';
import { GROUP_KEYS } from './group-layout.ts';
import { formatLink, parseLink } from './group-link.ts';
import { CAROL, DAVE, groupWorld, roster, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { BOB } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Alice's group, in which Bob is an admin as well, a link that names both, and Dave, who may ask by it. */
async function withTwoAdmins(): Promise<GroupWorld & { readonly link: string; readonly dave: Person }> {
  const scene = await groupWorld();
  const { world, alice, name } = scene;
  await alice.client.groups.setRole(name, BOB, 'admin');
  await world.quiet();
  const link = await alice.client.groups.inviteLink(name);
  await world.quiet();
  return { ...scene, link, dave: await world.person(DAVE).join() };
}

/** The connection of a person is lost as they ask for a change, which the server does not get to see. */
function loseNextChange({ world }: GroupWorld, person: Person): void {
  world.server.onReceive = (message: ClientMessage, user: string) => {
    const isMeant = user === person.user && message.kind === 'iq-set' && message.request.kind === 'group-change';
    if (isMeant) world.server.onReceive = () => 'ok';
    return isMeant ? 'drop-before' : 'ok';
  };
}

async function knocksAt(person: Person): Promise<number> {
  const store = await person.disk.copy().open();
  return (await store.list({ prefix: GROUP_KEYS.knocks, limit: 10 })).length;
}

/** The same link, shown to Bob alone. */
function toBobAlone(link: string, { bob }: GroupWorld): string {
  return formatLink({ ...parseLink(link), admins: [bob.user] });
}

t.test('who was let in and removed is not let back in by what another admin has kept', async (t) => {
  const scene = await withTwoAdmins();
  const { world, alice, bob, carol, dave, name, link } = scene;
  await alice.client.close();
  loseNextChange(scene, bob);
  await dave.client.groups.join(link);
  await world.settle();
  t.equal(await knocksAt(bob), 1, 'Bob has not been able to let Dave in');
  await alice.start();
  await alice.client.connect();
  await world.settle();
  t.equal(await roster(alice, name, [alice, bob, carol, dave]), 'alice* bob* carol dave');
  await alice.client.groups.remove(name, [DAVE]);
  t.not(bob.client.state, 'live', 'all of it while Bob is away');
  await world.pass(60_000);
  t.equal(bob.client.state, 'live');
  for (const person of [alice, bob]) {
    t.equal(await roster(person, name, [alice, bob, carol, dave]), 'alice* bob* carol');
  }
  t.equal((await dave.client.groups.get(name)).role, undefined);
  t.equal(await knocksAt(bob), 0);
  t.same(bob.eventsOf('trouble'), []);
});

t.test('a link names the admins of the epoch that it is from, not those of when it was asked for', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  for (const phone of [BOB, CAROL]) await alice.client.groups.setRole(name, phone, 'admin');
  await world.quiet();
  world.server.dropAll(alice.user);
  const asked = alice.client.groups.inviteLink(name);
  await carol.client.groups.remove(name, [BOB]);
  await world.pass(60_000);
  const { admins } = parseLink(await asked);
  t.same([...admins].sort(), [alice.user, carol.user].sort(), 'who was removed is not shown its secret');
  t.notOk(admins.includes(bob.user));
});

t.test('who cannot be let in before a change is known is let in after it', async (t) => {
  const { world, alice, bob, carol, dave, name, link } = await withTwoAdmins();
  world.server.groups.withholdFrom.add(bob.user);
  await alice.client.groups.setTitle(name, 'Rowing');
  await alice.client.close();
  await dave.client.groups.join(link);
  await world.pass(60_000);
  t.same(await dave.client.groups.list(), []);
  t.equal(await knocksAt(bob), 1, 'kept');
  world.server.groups.withholdFrom.clear();
  await bob.start();
  await bob.client.connect();
  await world.quiet();
  t.equal(await roster(dave, name, [alice, bob, carol, dave]), 'alice* bob* carol dave');
  t.equal(await knocksAt(bob), 0);
});

t.test('who asks by a newer link while the older one is looked at is let in by the newer', async (t) => {
  const scene = await withTwoAdmins();
  const { world, alice, bob, dave, name, link } = scene;
  loseNextChange(scene, bob);
  await dave.client.groups.join(toBobAlone(link, scene));
  await world.settle();
  await alice.client.groups.remove(name, [CAROL]);
  await dave.client.groups.join(toBobAlone(await alice.client.groups.inviteLink(name), scene));
  world.server.answersAfterMs.set('group-change', 50);
  await world.pass(60_000);
  t.equal(await roster(dave, name, [alice, bob, dave]), 'alice* bob* dave');
  t.equal(await knocksAt(bob), 0);
});

t.test('a member with whom the conversation is broken holds up nobody else', async (t) => {
  const { world, alice, bob, carol, dave, name, link } = await withTwoAdmins();
  await bob.client.close();
  // The server says that it has more of Alice’s messages to Carol than she has written.
  world.server.rewriteConversation(alice.user, carol.user, 40);
  world.server.refuseNext(carol.user, { code: 'APP_OUT_OF_ORDER', expected: 41 }, 2);
  await t.rejects(alice.client.send(CAROL, 'hello'), { code: 'CLI_STORE_ROLLED_BACK' });
  await bob.start();
  await bob.client.connect();
  for (const text of ['one', 'two']) await alice.client.send(name, text);
  await world.quiet();
  t.same(await texts(bob, name), ['one', 'two']);
  t.match(alice.eventsOf('trouble'), [{ code: 'CLI_STORE_ROLLED_BACK' }], 'told once');
  await bob.client.close();
  await dave.client.groups.join(link);
  await world.quiet();
  t.equal(await roster(dave, name, [alice, bob, carol, dave]), 'alice* bob* carol dave');
});
