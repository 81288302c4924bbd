import t from 'tap';
import { CODE } from '../../testing/fake-server.ts';
import { World } from '../../testing/world.ts';
import { CAROL } from '../../testing/group-world.ts';
import { ALICE, BOB, type Person } from '../../testing/world.ts';
import { Session, type KeyMarks, type SessionHooks } from './session.ts';

function keyMarks(): KeyMarks {
  const marks = new Map<string, number>();
  return { get: (peer) => marks.get(peer), set: (peer, sinceMs) => void marks.set(peer, sinceMs) };
}

/** A session of a page that has seen nothing yet, with hooks of the test's own. */
function sessionOf(client: Person['client'], hooks: Partial<SessionHooks> = {}): Session {
  const seen = { get: () => 0, set: () => undefined };
  return new Session(client, { seen, keys: keyMarks(), nextFrame: queueMicrotask, isVisible: () => true, ...hooks });
}

/** Something to wait for until it is opened. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((accept) => (open = accept));
  return { opened, open };
}

t.test('members of a group with whom nothing was written are not in the list', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  await world.person(CAROL).join();
  const session = sessionOf(alice.client, { isVisible: () => false });
  await session.start();
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await world.settle();
  // Keys go to both as messages between two people, and have states as those.
  await alice.client.send(name, 'to all');
  await bob.client.send(name, 'aye');
  await world.quiet();
  t.same(
    session.chats.map(({ peer, preview }) => [peer, preview]),
    [[name, 'aye']],
  );
  await alice.client.send(BOB, 'to you alone');
  await world.quiet();
  t.same(
    session.chats.map(({ peer }) => peer),
    [bob.user, name],
    'until something is written',
  );
  await session.openPeer(CAROL);
  t.equal(session.chats.length, 3, 'or their chat is opened');
});

t.test('a group that was left before the browser was linked can be read, in this run and the next', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  const { name } = await bob.client.groups.create('Sailing', [ALICE]);
  await world.settle();
  await alice.client.send(name, 'to all');
  await bob.client.send(name, 'aye');
  await world.quiet();
  await alice.client.groups.leave(name);
  await world.quiet();
  const browser = await world.link(alice);
  const begin = async (): Promise<Session> => {
    const session = sessionOf(browser.client);
    await session.start();
    await world.quiet();
    return session;
  };
  const check = async (session: Session, run: string): Promise<void> => {
    const shown = session.chats.map(({ peer, title, preview, isFormerGroup }) => [peer, title, preview, isFormerGroup]);
    t.same(shown, [[name, 'A former group', 'aye', true]], run);
    await session.openPeer(name);
    await world.quiet();
    const { items, isFormerGroup, standing } = session.openChat!;
    t.same(
      items.map(({ text }) => text),
      ['to all', 'aye'],
    );
    t.match({ isFormerGroup, standing }, { isFormerGroup: true, standing: 'open' });
    t.same(
      session.notices.filter(({ tone }) => tone === 'warning'),
      [],
    );
  };
  const first = await begin();
  await browser.client.requestHistory();
  await world.quiet();
  await alice.client.approveHistory(browser.client.account!.device);
  await world.pass(60_000);
  t.match(browser.eventsOf('history-transfer').at(-1), { state: 'done' });
  await check(first, 'when the history has come');
  await browser.start();
  await check(await begin(), 'at the next load');
});

t.test(
  'new keys show in the chat until somebody takes note of them, compared ones until that is decided',
  async (t) => {
    const world = new World(1);
    const [alice, bob] = await world.pair();
    const keys = keyMarks();
    const begin = async (): Promise<Session> => {
      const session = sessionOf(alice.client, { keys });
      await session.start();
      await session.openPeer(BOB);
      return session;
    };
    const registerAnew = async (): Promise<void> => {
      await world.pass(1_000);
      await bob.client.confirmCode(BOB, CODE);
      await bob.client.connect();
      await bob.client.send(ALICE, 'my new phone');
      await world.quiet();
    };
    await alice.client.send(BOB, 'hello');
    await world.quiet();
    let session = await begin();
    t.equal(session.openChat!.keys, 'known', 'those that one begins with');
    await registerAnew();
    t.equal(session.openChat!.keys, 'new');
    await alice.start();
    session = await begin();
    t.equal(session.openChat!.keys, 'new', 'also after a reload');
    await session.noteKeys(bob.user);
    await world.quiet();
    t.equal(session.openChat!.keys, 'known');
    t.equal((await alice.client.safetyNumber(BOB))!.level, 'unverified', 'which is not compared');
    await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
    await registerAnew();
    t.equal(session.openChat!.keys, 'broken');
    await session.noteKeys(bob.user);
    await world.quiet();
    t.equal(session.openChat!.keys, 'broken', 'to take note is not enough');
    await session.goOnWith(bob.user);
    await world.quiet();
    t.equal(session.openChat!.keys, 'known');
    t.equal((await alice.client.safetyNumber(BOB))!.level, 'unverified');
  },
);

t.test('a timer shows as it is, whoever set it and however long ago', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  const session = sessionOf(alice.client);
  await session.start();
  await alice.client.send(BOB, 'hello');
  await session.openPeer(BOB);
  const chosen = session.setTimer(5);
  t.equal(session.openChat!.timerSeconds, 5, 'at once');
  await chosen;
  await world.quiet();
  t.equal(session.openChat!.timerSeconds, 5);
  await bob.client.setTimer(alice.user, 60);
  await world.quiet();
  t.equal(session.openChat!.timerSeconds, 60);
  await world.pass(6_000);
  t.equal(session.openChat!.timerSeconds, 60, 'also when the message that set it has disappeared');
});

t.test('of two chats that are asked for, the last one is open, whichever is found first', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  await world.person(CAROL).join();
  const session = sessionOf(alice.client);
  await session.start();
  for (const [after, isOpen] of [
    [() => session.openPeer(bob.user), bob.user],
    [async () => session.closeChat(), undefined],
  ] as const) {
    world.server.silentOn.add('contact');
    const late = session.openPeer(CAROL);
    await world.settle();
    await after();
    world.server.silentOn.clear();
    world.server.dropAll(alice.user);
    await world.pass(60_000);
    await late;
    t.equal(session.openChat?.peer, isOpen);
    await alice.client.forget(CAROL);
  }
});

t.test('a chat that is left while its authors are looked up shows nothing in the place of the next one', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await world.settle();
  await bob.client.send(name, 'aye');
  await carol.client.send(name, 'to all');
  await alice.client.send(BOB, 'to you alone');
  await world.quiet();
  for (const [next, expected] of [
    [(session: Session) => session.openPeer(bob.user), { peer: bob.user, title: BOB, texts: ['to you alone'] }],
    [async (session: Session) => session.closeChat(), undefined],
  ] as const) {
    await alice.start();
    const { client } = alice;
    const session = sessionOf(client);
    await session.start();
    await world.quiet();
    // One author is found late, as in a store on a slow disk.
    const [asked, answered] = [gate(), gate()];
    const peer = client.peer.bind(client);
    client.peer = async (user) => {
      if (user === carol.user) {
        asked.open();
        await answered.opened;
      }
      return peer(user);
    };
    const late = session.openPeer(name);
    await asked.opened;
    t.equal(session.openChat!.peer, name);
    await next(session);
    answered.open();
    await late;
    await world.quiet();
    const { openChat } = session;
    const shown = openChat && {
      ...{ peer: openChat.peer, title: openChat.title },
      texts: openChat.items.map(({ text }) => text),
    };
    t.strictSame(shown, expected);
    t.equal(openChat?.group, undefined);
  }
});

t.test('a chat that cannot be read keeps no other from being shown', async (t) => {
  const world = new World(1);
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const frames: (() => void)[] = [];
  const { client } = alice;
  const session = sessionOf(client, { nextFrame: (callback) => void frames.push(callback), isVisible: () => false });
  await session.start();
  await carol.client.send(ALICE, 'hello');
  await bob.client.send(ALICE, 'aye');
  await world.quiet();
  const history = client.history.bind(client);
  client.history = async (peer, range) => {
    if (peer === carol.user) throw new Error('a torn page');
    return history(peer, range);
  };
  t.equal(frames.length, 1, 'one picture for both');
  frames[0]!();
  await world.quiet();
  t.match(session.chats, [{ peer: bob.user, preview: 'aye' }]);
  t.match(session.notices, [{ tone: 'warning', text: 'a torn page' }]);
});
