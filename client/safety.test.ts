/**
 * Safety numbers and trust, from the application's side: what both ends see, and what a change of keys does to it.
 */

import t from 'tap';
import { ALICE, BOB, World } from './testing/world.ts';
import { CODE } from './testing/fake-server.ts';

/** Two people who have written to each other. */
async function acquainted() {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await world.settle();
  return { world, alice, bob };
}

t.test('both ends see the same digits, and nothing before the first contact', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  t.equal(await alice.client.safetyNumber(BOB), undefined);
  await alice.client.send(BOB, 'hello');
  await world.settle();
  const [ours, theirs] = [await alice.client.safetyNumber(BOB), await bob.client.safetyNumber(alice.user)];
  t.match(ours!.digits, /^\d{60}$/);
  t.equal(ours!.digits, theirs!.digits);
  t.equal(ours!.level, 'unverified');
  t.equal(ours!.text.replace(/\s/g, ''), ours!.digits);
});

t.test('digits that are read out verify the one who reads them, and only if they are right', async (t) => {
  const { alice, bob } = await acquainted();
  const { digits, text } = (await bob.client.safetyNumber(alice.user))!;
  const wrong = digits.slice(0, -1) + String((Number(digits.at(-1)) + 1) % 10);
  t.equal(await alice.client.confirmSafetyNumber(BOB, wrong), false);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'unverified');
  t.equal(await alice.client.confirmSafetyNumber(BOB, text), true, 'spaces and lines do not matter');
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'verified');
  t.match(alice.eventsOf('identity-trust'), [{ user: bob.user, level: 'verified' }]);
  await alice.client.close();
  await alice.start();
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'verified', 'and it is remembered');
});

t.test('a scanned code verifies, too; another one, or none, does not', async (t) => {
  const { alice, bob } = await acquainted();
  const { code } = (await bob.client.safetyNumber(alice.user))!;
  const own = (await alice.client.safetyNumber(BOB))!.code;
  t.equal(await alice.client.compareSafetyCode(BOB, own), 'mismatch');
  t.equal(await alice.client.compareSafetyCode(BOB, new Uint8Array(7)), 'malformed');
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'unverified');
  t.equal(await alice.client.compareSafetyCode(BOB, code), 'match');
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'verified');
});

t.test('a verified peer with new keys is read, and not written to before a person has decided', async (t) => {
  const { world, alice, bob } = await acquainted();
  const before = (await bob.client.safetyNumber(alice.user))!.digits;
  await alice.client.confirmSafetyNumber(BOB, before);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await bob.client.send(ALICE, 'my new phone');
  await world.settle();
  t.same(await alice.texts(BOB), ['my new phone']);
  t.match(alice.eventsOf('identity-changed'), [{ accepted: true, wasVerified: true }]);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'broken');
  t.not((await alice.client.safetyNumber(BOB))!.digits, before);
  await t.rejects(alice.client.send(BOB, 'is it you?'), { code: 'CLI_IDENTITY_REFUSED' });
  await alice.client.acceptIdentity(BOB);
  await alice.client.send(BOB, 'so be it');
  await world.settle();
  t.same(await bob.texts(ALICE), ['hello', 'so be it'], 'the refused one never left');
});

t.test('what was refused meanwhile goes again as it was, in its order, when a person has decided', async (t) => {
  const { world, alice, bob } = await acquainted();
  await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  const [first] = await alice.client.history(BOB);
  const refused = [await alice.client.enqueue(BOB, 'is it you?'), await alice.client.reply(BOB, first!.id, 'secret')];
  await world.settle();
  t.same(
    (await alice.client.history(BOB)).map(({ failure }) => failure),
    [undefined, 'CLI_IDENTITY_REFUSED', 'CLI_IDENTITY_REFUSED'],
  );
  await t.rejects(alice.client.resend(BOB, refused[0]!.id), { code: 'CLI_IDENTITY_REFUSED' }, 'nobody has decided');
  await alice.client.acceptIdentity(BOB);
  await alice.client.send(BOB, 'so be it');
  const kept = async (): Promise<number> => {
    const store = await alice.disk.copy().open();
    const { length } = await store.list({ prefix: 'kept/', limit: 99 });
    await store.close();
    return length;
  };
  const before = await kept();
  const twice = await Promise.allSettled([1, 2].map(() => alice.client.resend(BOB, refused[0]!.id)));
  t.same(twice.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'pressed twice, it goes once');
  await alice.client.resend(BOB, refused[1]!.id);
  await world.settle();
  t.equal(await kept(), before + 2, 'nothing is lost that is kept of the one that has its number now');
  const shown = (await alice.client.history(BOB)).map(({ kind, text, state }) => `${kind} ${text}, ${state}`);
  t.same(shown.slice(1), ['text so be it, delivered', 'text is it you?, delivered', 'reply secret, delivered']);
  t.same(await bob.texts(ALICE), ['hello', 'so be it', 'is it you?', 'secret']);
  await t.rejects(alice.client.resend(BOB, refused[0]!.id), { code: 'CLI_MESSAGE_UNKNOWN' });
  await t.rejects(alice.client.resend(BOB, first!.id), { code: 'CLI_MESSAGE_UNKNOWN' }, 'what was not refused');
});

t.test('the same where the new keys show when we write first', async (t) => {
  const { world, alice, bob } = await acquainted();
  await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await t.rejects(alice.client.send(BOB, 'secret'), { code: 'CLI_IDENTITY_REFUSED' });
  t.match(alice.eventsOf('identity-changed'), [{ accepted: false, wasVerified: true }]);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'broken', 'and there is something to decide');
  const { digits } = (await bob.client.safetyNumber(alice.user))!;
  t.equal((await alice.client.safetyNumber(BOB))!.digits, digits, 'the new ones can be compared at once');
  await alice.client.acceptIdentity(BOB);
  await alice.client.send(BOB, 'not so secret');
  await world.settle();
  t.same(await bob.texts(ALICE), ['hello', 'not so secret']);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'unverified');
});

t.test('what there is to compare then is the new primary device, whichever device is shown first', async (t) => {
  const { world, alice, bob } = await acquainted();
  await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await world.quiet();
  await world.link(bob);
  world.server.showsPrimaryLast = true;
  await t.rejects(alice.client.send(BOB, 'secret'), { code: 'CLI_IDENTITY_REFUSED' });
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'broken');
  const { digits } = (await bob.client.safetyNumber(alice.user))!;
  t.equal(await alice.client.confirmSafetyNumber(BOB, digits), true, 'what Bob reads out is right');
  await alice.client.send(BOB, 'it is you');
  await world.settle();
  t.same(await bob.texts(ALICE), ['hello', 'it is you']);
});

t.test('a policy sees the direction, and what was compared', async (t) => {
  const { world, alice, bob } = await acquainted();
  await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
  await alice.client.close();
  const asked: string[] = [];
  await alice.start(({ direction, wasVerified }) => {
    asked.push(`${direction} ${wasVerified}`);
    return true;
  });
  await alice.client.connect();
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await bob.client.send(ALICE, 'my new phone');
  await world.settle();
  await alice.client.send(BOB, 'whoever you are');
  t.equal(asked[0], 'receive true');
  t.ok(asked.slice(1).every((question) => question === 'send true') && asked.length > 1, asked.join());
});

t.test('after our own registration anew the level stays with the peer', async (t) => {
  const { alice, bob } = await acquainted();
  await alice.client.confirmSafetyNumber(BOB, (await bob.client.safetyNumber(alice.user))!.digits);
  await alice.client.confirmCode(ALICE, CODE);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'verified');
});
