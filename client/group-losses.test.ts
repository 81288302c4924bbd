/**
 * Groups on a server that came back without a change that their members have: nothing leads on there, and people are told what does.
 */

import t from 'tap';
import { CAROL, groupWorld, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { BOB } from './testing/world.ts';

/** A change that every member has and the server no longer. */
async function loseChange({ world, alice, name, group }: GroupWorld): Promise<void> {
  const row = world.server.groups.get(group);
  const { state } = row;
  await alice.client.groups.setTitle(name, 'Rowing');
  await world.quiet();
  row.state = state;
  row.changes.pop();
}

t.test('who writes to the group is told that a change is lost, and that a new group is the way on', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name } = scene;
  await loseChange(scene);
  const message = await bob.client.enqueue(name, 'who hears this?');
  const told = t.rejects(message.sent, { code: 'CLI_GROUP_BEHIND', message: /Make a new group/ });
  await world.pass(300_000);
  await told;
  t.match((await bob.client.history(name)).at(-1), { state: 'refused', failure: 'CLI_GROUP_BEHIND' });
  t.same(await texts(carol, name), []);
  const { name: second } = await alice.client.groups.create('Rowing', [BOB, CAROL]);
  await world.quiet();
  await bob.client.send(second, 'here we are');
  await world.quiet();
  t.same(await texts(carol, second), ['here we are']);
});

t.test('who changes the group is told as well', async (t) => {
  const scene = await groupWorld();
  await loseChange(scene);
  const { world, alice, name } = scene;
  const told = t.rejects(alice.client.groups.setTitle(name, 'Swimming'), { code: 'CLI_GROUP_BEHIND' });
  await world.pass(300_000);
  await told;
  t.equal((await alice.client.groups.get(name)).title, 'Rowing');
});

t.test('messages for each member go on: the server is not asked to take them', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name } = scene;
  await alice.client.groups.setMode(name, 'pairwise');
  await world.quiet();
  await loseChange(scene);
  await bob.client.send(name, 'nothing is lost');
  await world.quiet();
  for (const person of [alice, carol]) t.same(await texts(person, name), ['nothing is lost']);
});
