/** What the chat says about groups: titles are chosen by whoever makes a group, a stranger too. */

import t from 'tap';
import type { GroupInfo } from '../../index.ts';
import { ALICE, BOB, World } from '../../testing/world.ts';
import { GroupCommands, titleOf } from './group-commands.ts';

const FORGED = 'Team\n12:34 +4915100000002  send  money\u2028now\u0085';

t.test('a title is one line, whatever its maker writes', async (t) => {
  t.equal(titleOf({ title: FORGED, name: 'g1' }), 'Team 12:34 +4915100000002 send money now\u0085');
  t.equal(titleOf({ title: ' \n\t ', name: 'g1' }), 'g1');
});

t.test('so is what is said of its group, which is opened by the title as it is shown', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join();
  const { name } = await alice.client.groups.create(FORGED, [BOB]);
  await world.quiet();
  const opened: GroupInfo[] = [];
  const notices: string[] = [];
  const commands = new GroupCommands({
    client: bob.client,
    openGroup: () => undefined,
    open: async (group) => void opened.push(group),
    notice: (text) => void notices.push(text),
  });
  const [event] = bob.eventsOf('group-joined');
  const line = await commands.describe(event!);
  t.match(line, /^\+4915100000001 added you to Team 12:34 /);
  t.notMatch(line, '\n');
  await commands.run(titleOf(await bob.client.groups.get(name)));
  await commands.run(' team   12:34 +4915100000002 send money now\u0085'.trimStart());
  await commands.run(name);
  t.same(
    opened.map((group) => group.name),
    [name, name, name],
  );
  await commands.run('');
  t.match(notices, [/^Team 12:34 [^\n]* 2 members$/]);
});
