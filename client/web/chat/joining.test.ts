/** Who asks for a group by its link is told that, and then that they are in it. */

import t from 'tap';
import { CAROL, DAVE, groupWorld } from '../../testing/group-world.ts';
import { joinByLink, tellOfJoining } from './joining.ts';
import { Session } from './session.ts';

t.test('a group that is joined by its link is told as asked for, then as joined, and opens', async (t) => {
  const { world, alice, name } = await groupWorld();
  const link = await alice.client.groups.inviteLink(name);
  await alice.client.close();
  const dave = await world.person(DAVE).join();
  const session = new Session(dave.client, {
    seen: { get: () => 0, set: () => undefined },
    keys: { get: () => undefined, set: () => undefined },
    nextFrame: queueMicrotask,
    isVisible: () => true,
  });
  tellOfJoining(session);
  await session.start();
  const told = (): string[] => session.notices.map(({ text }) => text);
  await joinByLink(session, link);
  await world.quiet();
  t.match(told(), [/^Asked to be let in/]);
  t.equal(session.openChat, undefined, 'there is nothing to be read yet');
  await alice.start();
  await alice.client.connect();
  await world.quiet();
  const { title } = await dave.client.groups.get(name);
  t.match(told().at(-1), `You joined ${title} by its link.`);
  t.equal(session.openChat?.peer, name);
  await session.openPeer(CAROL);
  await joinByLink(session, link);
  t.equal(session.openChat?.peer, name, 'who is in it already comes to it');
  t.equal(told().filter((text) => text.startsWith('Asked')).length, 1);
});
