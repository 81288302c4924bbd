/** Blocks, strangers, reports, quotas and push through the client; and the stock of keys between two logins. */

import t from 'tap';
import { LIMITS } from './limits.ts';
import { ALICE, BOB, World } from './testing/world.ts';

t.test('a blocked peer notices nothing, and nothing of it arrives', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await world.pass(10);
  await bob.client.protection.block(ALICE);
  await alice.client.send(BOB, 'second');
  await world.pass(10);
  t.same(await bob.texts(alice.user), ['first']);
  t.same(await bob.client.protection.relations(), [{ user: alice.user, state: 'blocked', count: undefined }]);
  await bob.client.protection.unblock(ALICE);
  await alice.client.send(BOB, 'third');
  await world.pass(10);
  t.same(await bob.texts(alice.user), ['first', 'third']);
});

t.test('strangers, quotas and push are asked for and set', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { protection } = bob.client;
  t.equal(await protection.strangers(), 'open');
  await protection.setStrangers('ask');
  t.equal(await protection.strangers(), 'ask');
  await protection.accept(alice.user);
  t.match(await protection.relations(), [{ user: alice.user, state: 'accepted' }]);
  t.match(await protection.limits(), [{ action: 'message', left: 3, max: 4 }]);
  t.same(await protection.push(), { platform: 'none', key: undefined });
  await protection.setPush({ platform: 'fcm', token: 'token' });
  t.match(await protection.push(), { platform: 'fcm' });
});

t.test('a received message is reported by its device and number, and nothing else is', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'buy this');
  await world.pass(10);
  const [message] = await bob.take(1);
  const evidence = Uint8Array.of(1, 2, 3);
  await bob.client.protection.report(alice.user, message!.id, evidence);
  t.match(world.server.protection.reports, [{ reporter: bob.user, user: alice.user, id: 1, device: message!.device }]);
  t.same([...world.server.protection.reports[0]!.evidence!], [1, 2, 3]);
  await t.rejects(bob.client.protection.report(alice.user, '999'), { code: 'CLI_MESSAGE_UNKNOWN' });
  await t.rejects(bob.client.protection.report(alice.user, message!.id, new Uint8Array(9_000)), RangeError);
  const own = await bob.client.send(ALICE, 'no');
  await t.rejects(bob.client.protection.report(alice.user, own.id), { code: 'CLI_MESSAGE_UNKNOWN' }, 'one of our own');
});

t.test('a notice that keys run low is acted upon at once', async (t) => {
  const world = new World();
  const bob = await world.person(BOB).join();
  await world.settle();
  world.server.consumePreKeys(bob.user, 1_000);
  world.server.noticePreKeys(bob.user);
  await world.pass(10);
  t.equal(world.server.preKeyCount(bob.user), LIMITS.preKeyCountMax);
  t.equal(world.server.kemPreKeyCount(bob.user), LIMITS.kemPreKeyCountMax);
});

t.test('the signed pre-key is replaced after a week also on a connection that lasts', async (t) => {
  const world = new World();
  const bob = await world.person(BOB).join();
  await world.settle();
  t.equal(world.server.signedPreKeyId(bob.user), 1);
  for (let day = 0; day < 8; day += 1) await world.pass(86_400_000);
  t.equal(world.server.signedPreKeyId(bob.user), 2);
  for (let day = 0; day < 8; day += 1) await world.pass(86_400_000);
  t.equal(world.server.signedPreKeyId(bob.user), 3, 'and so on');
  await bob.client.close();
});
