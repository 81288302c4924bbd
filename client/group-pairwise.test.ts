/**
 * Messages to each member of a group, where conversations with members take nothing: what is refused everywhere, what is not, and what an
 * earlier run has left.
 */

import t from 'tap';
import { GROUP_KEYS, PAIRWISE_REFUSED } from './group-layout.ts';
import { groupWorld, texts } from './testing/group-world.ts';

t.test('what every member’s conversation refuses for good is refused, and says why', async (t) => {
  for (const isRestarted of [false, true]) {
    const { world, alice, bob, carol, name, group } = await groupWorld();
    await alice.client.groups.setMode(name, 'pairwise');
    await world.quiet();
    for (const { user } of [bob, carol]) world.server.refuseNext(user, { code: 'APP_UNKNOWN_USER' });
    const message = await alice.client.enqueue(name, 'to nobody');
    await t.rejects(message.sent, { code: 'APP_UNKNOWN_USER' });
    t.match(message, { state: 'refused', members: [] }, 'the promise and the state agree');
    await world.quiet();
    if (isRestarted) await alice.start();
    for (const when of ['at once', 'once they can be reached again']) {
      const item = (await alice.client.history(name)).at(-1);
      t.match(item, { text: 'to nobody', state: 'refused', failure: 'APP_UNKNOWN_USER', members: [] }, when);
      if (isRestarted) await alice.client.connect();
      for (const { phone } of [bob, carol]) await alice.client.send(phone, 'under the same id');
      await world.quiet();
    }
    const inGroup = alice.eventsOf('refused').filter(({ user }) => user === name);
    t.match(inGroup, [{ firstId: message.number, code: 'APP_UNKNOWN_USER' }], 'told once');
    const store = await alice.disk.copy().open();
    t.same(await store.list({ prefix: GROUP_KEYS.pairwiseRefusedAll, limit: 1 }), []);
    t.equal(await store.get(GROUP_KEYS.pairwise(group, message.number)), undefined);
    await store.close();
  }
});

t.test('what is closed before the last member’s conversation has answered is not refused', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await world.quiet();
  world.server.refuseNext(bob.user, { code: 'APP_UNKNOWN_USER' });
  world.server.refuseNext(carol.user, { code: 'APP_OVERLOADED' });
  const message = await alice.client.enqueue(name, 'to Carol alone');
  await world.settle();
  await alice.client.close();
  await t.rejects(message.sent, { code: 'CLI_CLOSED' });
  t.equal(message.state, 'queued');
  await alice.start();
  await alice.client.connect();
  await world.quiet();
  t.same(await texts(carol, name), ['to Carol alone']);
  t.match((await alice.client.history(name)).at(-1), { state: 'sent', failure: undefined });
});

t.test('a message that a crash sent twice has the states of its second parts', async (t) => {
  const { world, alice, bob, name, group } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await world.quiet();
  world.server.isDown = true;
  world.server.dropAll();
  const message = await alice.client.enqueue(name, 'twice on its way');
  await world.settle();
  await alice.client.close();
  // A run that had it in the outbox of one conversation ended there, and what it had sent was refused: as it stands in the store then.
  const store = await alice.disk.open();
  const key = GROUP_KEYS.pairwiseRefused(group, message.number, bob.user);
  const value = PAIRWISE_REFUSED.encode({ ordinal: Number(message.id) + 1, code: 'APP_UNKNOWN_USER' });
  await store.write([{ type: 'put', key, value }], 'flushed');
  await store.close();
  world.server.isDown = false;
  await alice.start();
  await alice.client.connect();
  await world.pass(60_000);
  t.same(await texts(bob, name), ['twice on its way']);
  t.match((await alice.client.history(name)).at(-1), { state: 'delivered', members: [{}, {}] });
});
