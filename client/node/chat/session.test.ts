/** Commands as a person enters them, on clients in a world without network and clock: what they say, and that none of them ends the chat. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CODE } from '../../testing/fake-server.ts';
import { CAROL } from '../../testing/group-world.ts';
import { ALICE, BOB, World } from '../../testing/world.ts';
import type { Person } from '../../testing/world.ts';
import { TOPICS } from './help.ts';
import { ChatSession } from './session.ts';

/** A session, and the notices that it has shown. */
function chatOf(world: World, person: Person): { session: ChatSession; notices: () => string[] } {
  const session = new ChatSession(person.client, () => world.clock.nowMs(), {
    onChange: () => undefined,
    onOver: () => undefined,
  });
  const notices = (): string[] => session.model.items.flatMap((item) => (item.type === 'notice' ? [item.text] : []));
  return { session, notices };
}

t.test('/chats lists conversations with their newest message, groups, and what waits for a decision', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  const { session, notices } = chatOf(world, bob);
  await session.enter('/chats');
  t.match(notices(), [/^There are no chats yet/]);
  await alice.client.send(BOB, 'see\nyou '.repeat(20));
  await bob.client.groups.create('Sailing', []);
  await world.quiet();
  await session.enter('/chats');
  const [line, silent] = notices().slice(-3);
  t.match(line, /^\+4915100000001 \(a request\): \d\d:\d\d see you see you .*\u2026$/);
  t.equal(silent, 'group \u201cSailing\u201d: nothing written yet');
  await session.enter(`/to ${ALICE}`);
  await session.enter('hello Alice');
  await session.enter('/block');
  await session.enter('/chats');
  t.match(notices(), [/.*/, /Nothing of/, /\(blocked\): \d\d:\d\d you: hello Alice$/]);
});

t.test('a group of a stranger does not pass for a person in /chats, whatever its title is', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  const group = await alice.client.groups.create(CAROL, [BOB]);
  await alice.client.send(group.name, 'it is Carol');
  await alice.client.groups.create('Winners', [BOB]);
  await world.quiet();
  const { session, notices } = chatOf(world, bob);
  const lines = async (): Promise<string[]> => {
    await session.enter('/chats');
    return notices().slice(-3, -1);
  };
  const quoted = (title: string): string => `^group \u201c${title.replace('+', '\\+')}\u201d`;
  t.match(await lines(), [
    new RegExp(`${quoted(CAROL)} \\(a request\\): \\d\\d:\\d\\d it is Carol$`),
    new RegExp(`${quoted('Winners')} \\(a request\\): nothing written yet$`),
  ]);
  await bob.client.protection.accept(ALICE);
  t.match(await lines(), [new RegExp(`${quoted(CAROL)}: `), new RegExp(`${quoted('Winners')}: nothing`)]);
});

t.test('/seen tells how far one’s last message has come, with each member of a group', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join();
  await world.person(CAROL).join();
  const { session, notices } = chatOf(world, alice);
  await session.enter('/seen');
  t.match(notices().at(-1), /No conversation is open/);
  await session.enter(`/group create Sailing ${BOB} ${CAROL}`);
  await session.enter('/seen');
  t.match(notices().at(-1), /written nothing here yet/);
  await session.enter('ahoy');
  await world.quiet();
  const [group] = await bob.client.groups.list();
  await bob.client.markRead(group!.name);
  await world.quiet();
  await session.enter('/seen');
  t.same(notices().slice(-3), ['\u201cahoy\u201d: delivered', `read: ${BOB}`, `delivered: ${CAROL}`]);
});

t.test('files go under quoted and escaped names, and each that came can be saved by its name', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const folder = t.testdir({ 'sunset photo.png': 'a photo', 'holiday (1).mp4': 'a video', saved: {} });
  const { session } = chatOf(world, alice);
  await session.enter(`/to ${BOB}`);
  await session.enter(`/send '${folder}/sunset photo.png'`);
  await session.enter(`/send ${folder}/holiday\\ \\(1\\).mp4`);
  await world.quiet();
  const { session: theirs, notices } = chatOf(world, bob);
  await theirs.enter(`/to ${ALICE}`);
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  process.chdir(join(folder, 'saved'));
  await theirs.enter('/save sunset photo.png');
  t.equal(notices().at(-1), 'Saved as sunset photo.png, 7 bytes.', 'not the last one that came');
  await theirs.enter('/save');
  t.equal(notices().at(-1), 'Saved as holiday _1_.mp4, 7 bytes.');
  await theirs.enter('/save');
  t.match(notices().at(-1), /could not be saved \(\/save NAME gives it another name\)/);
  await theirs.enter('/save "another name.mp4"');
  t.match(
    ['sunset photo.png', 'holiday _1_.mp4', 'another name.mp4'].map((name) => readFileSync(name, 'utf8')),
    ['a photo', 'a video', 'a video'],
  );
});

t.test('new keys are told by number, whatever chat is open', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { notices } = chatOf(world, alice);
  await alice.client.send(BOB, 'hello');
  await world.quiet();
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await bob.client.send(ALICE, 'my new phone');
  await world.quiet();
  t.match(notices(), [new RegExp(`^\\${BOB} has new keys, probably a new phone`)]);
});

t.test('/timer tells what holds, and sets it', async (t) => {
  const world = new World();
  const [alice] = await world.pair();
  const { session, notices } = chatOf(world, alice);
  await session.enter(`/to ${BOB}`);
  await session.enter('/timer');
  t.equal(notices().at(-1), '[messages stay]');
  await session.enter('/timer 8h');
  await session.enter('/timer');
  t.equal(notices().at(-1), '[messages disappear after 8 hours]');
});

t.test('who was brought into a group by a stranger is asked there, and may accept', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  const group = await alice.client.groups.create('Sailing', [BOB]);
  const first = await alice.client.send(group.name, 'welcome');
  await world.quiet();
  const { session, notices } = chatOf(world, bob);
  await session.enter('/group Sailing');
  t.match(notices().at(-1), /^\+4915100000001 has brought you here, with whom you have not written/);
  await world.quiet();
  t.equal(first.state, 'delivered', 'nobody learns that it was read');
  await session.enter('/accept');
  t.equal(notices().at(-1), `${ALICE} may write to you.`);
  await world.quiet();
  t.equal(first.state, 'read', 'what was read before is told');
  await session.enter('/accept');
  t.equal(notices().at(-1), 'There is nothing to accept here.');
  await session.enter(`/to ${ALICE}`);
  await session.enter('/block');
  await session.enter('/accept');
  t.equal(notices().at(-1), `${ALICE} may write to you.`, 'whoever was blocked is accepted by it as well');
});

t.test('every command of the help is one, and none of them rejects', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  await world.person(BOB).join();
  const { session, notices } = chatOf(world, alice);
  await session.enter(`/to ${BOB}`);
  const commands = new Set(Object.values(TOPICS).flatMap((words) => words.match(/\/[a-z]+/g)!));
  t.ok(commands.size > 25);
  for (const command of commands) {
    await session.enter(command);
    t.notMatch(notices().join('\n'), 'is not a command', command);
  }
  await alice.client.close();
  for (const command of commands) await session.enter(command);
});

t.test('a file goes to whom it was meant for, though another chat is open when it is there', async (t) => {
  const world = new World();
  const [alice, bob, carol] = [
    await world.person(ALICE).join(),
    await world.person(BOB).join(),
    await world.person(CAROL).join(),
  ];
  const { session, notices } = chatOf(world, bob);
  const file = join(t.testdir({ 'note.txt': 'for Alice alone' }), 'note.txt');
  await session.enter(`/to ${ALICE}`);
  world.media.onRequest = () => new Response('APP_STORE_FULL', { status: 507 });
  const sending = session.enter(`/send ${file}`);
  await session.enter(`/to ${CAROL}`);
  world.media.onRequest = () => undefined;
  let isThere = false;
  void sending.then(() => (isThere = true));
  while (!isThere) {
    await world.pass(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await world.quiet();
  t.match(await alice.client.history(bob.user), [{ kind: 'attachment', attachment: { name: 'note.txt' } }]);
  t.strictSame(await carol.client.history(bob.user), []);
  t.match(notices().at(-1), new RegExp(`^To \\${ALICE}: .*note\\.txt`));
  t.equal(session.model.peer?.name, CAROL);
});

t.test('of two chats that are asked for, the last one is open, whichever is found first', async (t) => {
  const world = new World();
  const [, bob] = [await world.person(ALICE).join(), await world.person(BOB).join(), await world.person(CAROL).join()];
  const { session } = chatOf(world, bob);
  await session.enter(`/to ${CAROL}`);
  world.server.silentOn.add('contact');
  const late = session.enter(`/to ${ALICE}`);
  await world.settle();
  await session.enter(`/to ${CAROL}`);
  world.server.silentOn.clear();
  world.server.dropAll(bob.user);
  await world.pass(60_000);
  await late;
  t.equal(session.model.peer?.name, CAROL);
});

t.test('who came by the link is said to have joined, at both ends; who was added is not', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const [first, second, third] = [alice, bob, carol].map((person) => chatOf(world, person));
  await first!.session.start(undefined);
  for (const chat of [second!, third!]) await chat.session.start(undefined);
  await first!.session.enter('/group create Sailing');
  await first!.session.enter('/group link');
  const link = first!.notices().at(-1)!;
  await second!.session.enter(`/group join ${link}`);
  await world.quiet();
  t.ok(first!.notices().includes(`Sailing: ${BOB} joined by the link.`), first!.notices().join('\n'));
  t.ok(second!.notices().includes('You joined Sailing by its link. /group Sailing opens it.'));
  await first!.session.enter(`/group add ${CAROL}`);
  await world.quiet();
  t.ok(first!.notices().includes(`Sailing: you added ${CAROL}.`));
  t.ok(third!.notices().includes(`${ALICE} added you to Sailing. /group Sailing opens it.`));
});

t.test('a change of a group that is refused says what to do', async (t) => {
  const world = new World();
  const [alice] = await world.pair();
  const { session, notices } = chatOf(world, alice);
  await session.enter(`/group create Sailing ${BOB}`);
  await session.enter('/group leave');
  t.match(notices().at(-1), /^CLI_GROUP_REFUSED: .* make somebody else an admin before you go/);
});

t.test('what was held back because of new keys is sent by /again, when that was decided, and not before', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { session, notices } = chatOf(world, alice);
  await session.enter('/again');
  t.match(notices().at(-1), /No conversation is open/);
  await session.enter(`/to ${BOB}`);
  await session.enter('hello');
  await world.quiet();
  await session.enter('/again');
  t.equal(notices().at(-1), 'Nothing was refused in this chat.');
  await session.enter(`/safety ${(await bob.client.safetyNumber(alice.user))!.digits}`);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  for (const text of ['is it you?', 'are you there?']) await session.enter(text);
  await world.quiet();
  const states = (): string[] =>
    session.model.items.flatMap((item) => (item.type === 'sent' ? [`${item.text}: ${item.state}`] : []));
  t.same(states(), ['hello: delivered', 'is it you?: refused', 'are you there?: refused']);
  await session.enter('/again');
  t.match(notices().at(-1), /^CLI_IDENTITY_REFUSED/);
  await session.enter('/accept');
  t.equal(notices().at(-1), 'Not delivered so far: 2 messages. /again sends what was held back.');
  await session.enter('/again');
  await world.quiet();
  t.same(states(), ['hello: delivered', 'is it you?: delivered', 'are you there?: delivered']);
  t.same(await bob.texts(ALICE), ['hello', 'is it you?', 'are you there?']);
});

t.test('/again passes over what was deleted meanwhile, and sends what stands behind it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { session, notices } = chatOf(world, alice);
  await session.enter(`/to ${BOB}`);
  await session.enter('hello');
  await world.quiet();
  await session.enter(`/safety ${(await bob.client.safetyNumber(alice.user))!.digits}`);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  world.server.isDown = true;
  world.server.dropAll(alice.user);
  for (const line of ['a slip', '/delete', 'is it you?']) await session.enter(line);
  world.server.isDown = false;
  await world.pass(60_000);
  await session.enter('/accept');
  t.equal(notices().at(-1), 'Not delivered so far: one message. /again sends what was held back.');
  await session.enter('/again');
  await world.quiet();
  t.same(await bob.texts(ALICE), ['hello', 'is it you?']);
  await session.enter('/again');
  t.equal(notices().at(-1), 'Nothing was refused in this chat.');
});
