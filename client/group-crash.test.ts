/**
 * Groups and devices on machines that crash at any write: nothing twice, nothing lost, no key used twice, and no change half made.
 */

import t from 'tap';
import { readGroupHeader } from '../protocol/signal/index.ts';
import type { BackupSecret, GroupHeader } from '../protocol/signal/index.ts';
import { restoreBackup } from './backup.ts';
import { CODE } from './testing/fake-server.ts';
import { canRead, DAVE, groupWorld, roster, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { ALICE } from './testing/world.ts';
import type { Person, World } from './testing/world.ts';

/** Every write is the last one before a crash in the long form (BLINDBEAM_CRASH_STEP=1), every third in the ordinary one. */
const STEP = Number(process.env['BLINDBEAM_CRASH_STEP'] ?? '3');

/**
 * Runs `scene` with a crash of somebody after some number of writes, further on each time, until a run ends without.
 *
 * @returns About how many writes there were to crash at.
 */
async function atEachWrite(
  scene: (crashAfter: (person: Person) => void, writes: number) => Promise<void>,
): Promise<number> {
  let crashes = 0;
  for (let writes = 0; writes < 60; writes += STEP) {
    let hasCrashed = false;
    const crashAfter = (person: Person): void =>
      person.disk.crashAfter(writes, () => {
        hasCrashed = true;
        person.kill();
      });
    await scene(crashAfter, writes);
    if (!hasCrashed && writes > 0) return crashes * STEP;
    crashes += 1;
  }
  throw new Error('there is no end of writes');
}

/** What is under way happens or fails; then the machine comes back, without what was not flushed. */
async function comeBack(world: World, person: Person): Promise<void> {
  await world.pass(1_000);
  person.disk.powerCut();
  await person.start();
  await person.client.connect();
  await world.pass(60_000);
}

/** Every message key of a group's chains that was used. */
function keysUsed({ world }: GroupWorld): string[] {
  return world.server.groups.messages.map(({ ciphertext }) => {
    const { chainId, iteration } = readGroupHeader(ciphertext) as GroupHeader;
    return `${chainId} ${iteration}`;
  });
}

t.test('a member crashes at any write while messages and a change come', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const scene = await groupWorld(writes + 1);
    const { world, alice, bob, name } = scene;
    crashAfter(bob);
    await alice.client.send(name, 'one');
    await alice.client.groups.setTitle(name, 'Rowing');
    await alice.client.send(name, 'two');
    await comeBack(world, bob);
    t.same(await texts(bob, name), ['one', 'two'], `crash after ${writes}`);
    t.equal((await bob.client.groups.get(name)).title, 'Rowing');
  });
  t.ok(crashes >= 3, `${crashes} crashes`);
});

t.test('the author crashes at any write: what was promised arrives once, and no key is used twice', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const scene = await groupWorld(writes + 1);
    const { world, alice, bob, name } = scene;
    const promised: string[] = [];
    crashAfter(alice);
    for (const text of ['one', 'two', 'three']) {
      const message = await alice.client.enqueue(name, text).catch(() => undefined);
      if (message !== undefined) promised.push(text);
      await world.settle();
    }
    await comeBack(world, alice);
    await alice.client.send(name, 'last');
    await world.quiet();
    const received = await texts(bob, name);
    t.same(received, [...new Set(received)], `nothing twice, crash after ${writes}`);
    t.same(
      received.filter((text) => promised.includes(text) || text === 'last'),
      [...promised, 'last'],
    );
    const keys = keysUsed(scene);
    t.equal(new Set(keys).size, keys.length, `no key twice, crash after ${writes}`);
  });
  t.ok(crashes >= 6, `${crashes} crashes`);
});

t.test('an admin crashes at any write of a change: it is made or not, and whoever it brings is invited', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const { world, alice, bob, carol, name, group } = await groupWorld(writes + 1);
    const dave = await world.person(DAVE).join();
    await alice.client.resolve(DAVE);
    crashAfter(alice);
    alice.client.groups.add(name, [DAVE]).catch(() => undefined);
    await comeBack(world, alice);
    const server = world.server.groups.get(group).state.roster;
    t.equal((await alice.client.groups.get(name)).epoch, server.epoch, `crash after ${writes}`);
    if (!server.members.has(dave.user)) await alice.client.groups.add(name, [DAVE]);
    await world.pass(60_000);
    await bob.client.send(name, 'welcome');
    await world.quiet();
    t.equal(await roster(bob, name, [alice, bob, carol, dave]), 'alice* bob carol dave');
    t.same(await texts(dave, name), ['welcome'], `crash after ${writes}`);
  });
  t.ok(crashes >= 2, `${crashes} crashes`);
});

t.test('an admin crashes at any write while somebody follows a link: they are let in, once', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const { world, alice, bob, carol, name } = await groupWorld(writes + 1);
    const link = await alice.client.groups.inviteLink(name);
    const dave = await world.person(DAVE).join();
    crashAfter(alice);
    await dave.client.groups.join(link);
    await comeBack(world, alice);
    t.equal(await roster(dave, name, [alice, bob, carol, dave]), 'alice* bob carol dave', `after ${writes} writes`);
    t.equal((await bob.client.groups.get(name)).members.length, 4);
    const kept = await alice.disk.copy().open();
    t.same(await kept.list({ prefix: 'group-knock/', limit: 10 }), [], 'and nobody is let in again');
    await kept.close();
  });
  t.ok(crashes >= 6, `some ${crashes} writes`);
});

t.test('a primary crashes at any write of an unlinking: once it is done, the device reads nothing', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const { world, alice, bob, name } = await groupWorld(writes + 1);
    const laptop = await world.link(alice);
    const device = laptop.client.account!.device;
    await alice.client.send(name, 'both of mine');
    await world.quiet();
    crashAfter(alice);
    alice.client.unlinkDevice(device).catch(() => undefined);
    await comeBack(world, alice);
    const isLinked = (await alice.client.devices()).length === 2;
    if (isLinked) await alice.client.unlinkDevice(device);
    await alice.client.send(name, 'not for the laptop');
    await world.quiet();
    t.equal((await alice.client.devices()).length, 1, `crash after ${writes}`);
    t.same(await texts(bob, name), ['both of mine', 'not for the laptop']);
    t.notOk(await canRead(laptop, world.server.groups.messages.at(-1)!.ciphertext), `crash after ${writes}`);
  });
  t.ok(crashes >= 2, `${crashes} crashes`);
});

t.test('a primary crashes at any write of a linking: the device is linked or not, and both agree', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const { world, alice, bob, name } = await groupWorld(writes + 1);
    const laptop = world.person(ALICE);
    const { code, linked } = await (await laptop.start()).beginLinking('laptop');
    let isLinked = false;
    linked.then(
      () => (isLinked = true),
      () => undefined,
    );
    crashAfter(alice);
    alice.client.approveLink(code).catch(() => undefined);
    await comeBack(world, alice);
    t.equal((await alice.client.devices()).length, isLinked ? 2 : 1, `crash after ${writes}`);
    if (!isLinked) return;
    await laptop.client.connect();
    await world.pass(60_000);
    await bob.client.send(name, 'to all devices');
    await world.pass(60_000);
    t.same(await texts(laptop, name), ['to all devices'], `crash after ${writes}`);
  });
  t.ok(crashes >= 2, `${crashes} crashes`);
});

t.test('a group comes back with a backup: both directions go on, with a chain of its own', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name } = scene;
  await alice.client.send(name, 'before');
  await bob.client.send(name, 'answer');
  await world.quiet();
  const secret: BackupSecret = { kind: 'digits', digits: '0123456789'.repeat(6) + '4321' };
  const pieces: Uint8Array[] = [];
  const cost = { costLog2: 14, blockSize: 1, parallelism: 1 };
  for await (const piece of alice.client.backup({ secret, cost })) pieces.push(piece);
  await alice.client.close();
  const phone = world.person(ALICE);
  await restoreBackup({ store: () => phone.disk.open(), source: pieces, secret });
  await phone.start();
  await phone.client.requestCode(ALICE);
  await phone.client.confirmCode(ALICE, CODE);
  await phone.client.connect();
  await world.quiet();
  t.equal(await roster(phone, name, [alice, bob, carol]), 'alice* bob carol');
  t.same(
    (await phone.client.history(name)).map((item) => item.text),
    ['before', 'answer'],
  );
  await phone.client.send(name, 'back');
  await world.quiet();
  t.same(await texts(bob, name), ['before', 'back']);
  await bob.client.send(name, 'welcome back');
  await world.pass(60_000);
  t.same((await texts(phone, name)).at(-1), 'welcome back');
  await phone.client.groups.setTitle(name, 'Rowing');
  await world.quiet();
  t.equal((await carol.client.groups.get(name)).title, 'Rowing', 'and its signature counts');
  const keys = keysUsed(scene);
  t.equal(new Set(keys).size, keys.length);
  t.same(bob.eventsOf('group-alarm'), []);
});

t.test('the author of a message to each member crashes at any write: everybody shows it once', async (t) => {
  const crashes = await atEachWrite(async (crashAfter, writes) => {
    const scene = await groupWorld(writes + 1);
    const { world, alice, bob, carol, name } = scene;
    await alice.client.groups.setMode(name, 'pairwise');
    await world.settle();
    crashAfter(alice);
    const promised: string[] = [];
    for (const text of ['one', 'two']) {
      const message = await alice.client.enqueue(name, text).catch(() => undefined);
      if (message !== undefined) promised.push(text);
      await world.settle();
    }
    await comeBack(world, alice);
    await alice.client.send(name, 'last');
    await world.pass(10_000);
    for (const person of [bob, carol]) {
      const seen = await texts(person, name);
      t.equal(new Set(seen).size, seen.length, `crash after ${writes}: nothing twice`);
      t.same(
        seen.filter((text) => promised.includes(text)),
        promised,
        `crash after ${writes}: what was promised`,
      );
      t.equal(seen.at(-1), 'last');
    }
  });
  t.ok(crashes >= 3, `${crashes} crashes`);
});
