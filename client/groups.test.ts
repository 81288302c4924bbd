/** Groups end to end: clients with disks on a faithful server in memory. */

import t from 'tap';
import { texts } from './testing/group-world.ts';
import { BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

const CAROL = '+4915100000003';

async function three(seed: number = 1): Promise<{ world: World; people: [Person, Person, Person]; name: string }> {
  const world = new World(seed);
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await world.settle();
  return { world, people: [alice, bob, carol], name };
}

t.test('a group is made, everybody is told, and reads', async (t) => {
  const { world, people, name } = await three();
  const [alice, bob, carol] = people;
  for (const person of people) {
    const [group] = await person.client.groups.list();
    t.match(group, { name, title: 'Sailing', epoch: 1, mode: 'sender-keys' });
    t.same(group!.members.map(({ role }) => role).sort(), ['admin', 'member', 'member']);
  }
  t.match(bob.eventsOf('group-joined'), [{ group: name, inviter: alice.user }]);
  const message = await alice.client.send(name, 'Meet me at the harbour');
  await bob.client.send(name, 'Aye');
  await world.settle();
  t.same(await texts(bob, name), ['Meet me at the harbour']);
  t.same(await texts(carol, name), ['Meet me at the harbour', 'Aye']);
  t.same(await texts(alice, name), ['Aye']);
  await message.delivered;
  t.equal(message.state, 'delivered');
  t.same(
    message.members.map(({ state }) => state),
    ['delivered', 'delivered'],
  );
});
