/**
 * Backup and restoration between clients: what comes back, what starts afresh, and that a failure changes nothing.
 */

import t from 'tap';
import { restoreBackup } from './backup.ts';
import type { BackupSecret } from '../protocol/signal/index.ts';
import { IDENTITY_KEYS } from './identities.ts';
import { HEAD, KEYS, MARKS } from './layout.ts';
import { HISTORY } from './history-layout.ts';
import { memoryStore } from './memory-store.ts';
import { SIGNAL_KEYS } from './sessions.ts';
import { CrashDisk } from './testing/crashing-store.ts';
import { CODE } from './testing/fake-server.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

const SECRET: BackupSecret = { kind: 'digits', digits: '0123456789'.repeat(6) + '4321' };

async function backUp(person: Person, secret: BackupSecret = SECRET): Promise<Uint8Array[]> {
  const cost = { costLog2: 14, blockSize: 1, parallelism: 1 };
  const pieces: Uint8Array[] = [];
  for await (const piece of person.client.backup({ secret, cost })) pieces.push(piece);
  return pieces;
}

/** Alice and Bob in the middle of a conversation, with something of everything. */
async function converse(world: World): Promise<[Person, Person]> {
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'Where do we meet?');
  await world.settle();
  await bob.client.send(ALICE, 'At the harbour');
  await bob.client.react(alice.user, (await bob.client.history(alice.user))[0]!.id, '\u{1f44d}');
  await world.settle();
  await alice.client.edit(BOB, sent.id, 'Where do we meet, and when?');
  await world.settle();
  return [alice, bob];
}

/** A phone of Alice's that is new, with her backup. */
async function moveTo(world: World, pieces: readonly Uint8Array[]): Promise<Person> {
  const phone = world.person(ALICE);
  await restoreBackup({ store: () => phone.disk.open(), source: pieces, secret: SECRET });
  await phone.start();
  await phone.client.requestCode(ALICE);
  await phone.client.confirmCode(ALICE, CODE);
  await phone.client.connect();
  return phone;
}

t.test('a new phone has contacts, history and identity, and both directions go on', async (t) => {
  const world = new World();
  const [alice, bob] = await converse(world);
  const before = await alice.client.history(bob.user);
  const pieces = await backUp(alice);
  await alice.client.close();
  const phone = await moveTo(world, pieces);
  t.same(await phone.client.history(bob.user), before);
  t.match(before[0], { text: 'Where do we meet, and when?', reactions: [{ emoji: '\u{1f44d}' }] });
  t.same(await phone.client.peer(bob.user), { phone: BOB, verified: true });
  const sent = await phone.client.send(BOB, 'From my new phone');
  await bob.client.send(ALICE, 'So I see');
  await world.settle();
  t.match(await bob.texts(alice.user), ['Where do we meet, and when?', 'From my new phone']);
  t.match(await phone.texts(bob.user), ['At the harbour', 'So I see']);
  t.equal(sent.state, 'delivered');
  t.same(bob.eventsOf('identity-changed'), [], 'the identity is the same, so nobody is asked to trust anew');
  await phone.client.deleteForEveryone(BOB, sent.id);
  await world.settle();
  t.match((await bob.client.history(alice.user)).at(-2), { kind: 'deleted' });
});

t.test('sessions and pre-keys are not in a backup, and fresh ones are made', async (t) => {
  const world = new World();
  const [alice, bob] = await converse(world);
  const pieces = await backUp(alice);
  const disk = new CrashDisk();
  await restoreBackup({ store: () => disk.open(), source: pieces, secret: SECRET });
  const store = await disk.open();
  const keys = (await store.list({ prefix: '', limit: 10_000 })).map(({ key }) => key);
  const signal = keys.filter((key) => key.startsWith(SIGNAL_KEYS.all));
  t.same(signal, [IDENTITY_KEYS.seen(bob.user), IDENTITY_KEYS.trust(bob.user)]);
  for (const gone of [KEYS.account, KEYS.intake, KEYS.restoring]) t.notOk(keys.includes(gone), gone);
  t.ok(keys.includes(KEYS.restored));
});

t.test('the old phone is told that it was replaced, and ends', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  await moveTo(world, await backUp(alice));
  await world.settle();
  t.ok(alice.eventsOf('stopped').length > 0);
});

t.test('what waited to be sent is marked, and not sent twice', async (t) => {
  const world = new World();
  const [alice, bob] = await converse(world);
  await alice.client.close();
  await alice.start();
  await alice.client.enqueue(BOB, 'waiting');
  const pieces = await backUp(alice);
  await alice.client.connect();
  await world.settle();
  await alice.client.close();
  const phone = await moveTo(world, pieces);
  await world.settle();
  t.match((await phone.client.history(bob.user)).at(-1), {
    text: 'waiting',
    state: 'refused',
    failure: 'CLI_NOT_SENT',
  });
  t.equal((await bob.texts(alice.user)).filter((text) => text === 'waiting').length, 1);
});

t.test('the number of the backup, and no other, is registered with it', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  const phone = world.person(BOB);
  await restoreBackup({ store: () => phone.disk.open(), source: await backUp(alice), secret: SECRET });
  await phone.start();
  t.equal(phone.client.account, undefined);
  await t.rejects(phone.client.connect(), { code: 'CLI_NOT_REGISTERED' });
  await t.rejects(phone.client.requestCode(BOB), { code: 'CLI_ACCOUNT_EXISTS' });
});

t.test('whatever is wrong with a backup, the store is as empty as before', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  for (let n = 0; n < 400; n += 1) await alice.client.enqueue(BOB, `${n} ${'x'.repeat(200)}`);
  await world.settle();
  const whole = new Uint8Array(await new Blob((await backUp(alice)) as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  const late = whole.length - 10;
  const cases: [string, Uint8Array, BackupSecret, string][] = [
    ['wrong digits', whole, { kind: 'digits', digits: '1'.repeat(64) }, 'CLI_BACKUP_WRONG_KEY'],
    ['too few digits', whole, { kind: 'digits', digits: '1'.repeat(63) }, 'CLI_BACKUP_SECRET_WEAK'],
    ['damaged in its last chunk', whole.with(late, whole[late]! ^ 1), SECRET, 'CLI_BACKUP_DAMAGED'],
    ['truncated', whole.subarray(0, 29 + 50 + 65_552), SECRET, 'CLI_BACKUP_TRUNCATED'],
    ['too new', whole.with(8, 2), SECRET, 'CLI_BACKUP_TOO_NEW'],
    ['not one', whole.subarray(1), SECRET, 'CLI_BACKUP_NOT_ONE'],
  ];
  for (const [name, bytes, secret, code] of cases) {
    const disk = new CrashDisk();
    await t.rejects(restoreBackup({ store: () => disk.open(), source: [bytes], secret }), { code }, name);
    t.same(await (await disk.open()).list({ prefix: '', limit: 9 }), [], name);
  }
});

t.test('a restoration that ends early lets its source go', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  const pieces = await backUp(alice);
  let isLetGo = false;
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (const piece of pieces) yield piece.fill(0);
    } finally {
      isLetGo = true;
    }
  };
  await t.rejects(restoreBackup({ store: memoryStore(), source: source(), secret: SECRET }), {
    code: 'CLI_BACKUP_NOT_ONE',
  });
  t.ok(isLetGo);
});

t.test('a backup that is made while messages go on agrees with itself', async (t) => {
  const world = new World();
  const [alice, bob] = await converse(world);
  for (let n = 0; n < 400; n += 1) await alice.client.enqueue(BOB, `${n} ${'x'.repeat(200)}`);
  await world.settle();
  const pieces: Uint8Array[] = [];
  for await (const piece of alice.client.backup({ secret: SECRET })) {
    pieces.push(piece);
    if (pieces.length !== 2) continue;
    await alice.client.send(BOB, 'written while the backup is made');
    await world.settle();
  }
  const disk = new CrashDisk();
  await restoreBackup({ store: () => disk.open(), source: pieces, secret: SECRET });
  const restored = await disk.open();
  const head = HEAD.decode((await restored.get(KEYS.head(bob.user)))!);
  const marks = MARKS.decode((await restored.get(KEYS.marks(bob.user)))!);
  const stored = await restored.list({ prefix: KEYS.historyOf(bob.user), limit: 10_000 });
  const numbers = stored.map(({ value }) => HISTORY.decode(value)).filter(({ direction }) => direction === 'out');
  t.match(HISTORY.decode(stored.at(-1)!.value).body, { text: 'written while the backup is made' });
  t.ok(
    Math.max(...numbers.map(({ number }) => number)) < head.nextId,
    'no message has a number that is given out again',
  );
  t.ok(marks.deliveredId < head.nextId, 'nothing that is yet to be written counts as delivered');
});

t.test('a store in use is left alone', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  const pieces = await backUp(alice);
  await alice.client.close();
  const count = alice.disk.writeCount;
  const restoring = restoreBackup({ store: () => alice.disk.open(), source: pieces, secret: SECRET });
  await t.rejects(restoring, { code: 'CLI_STORE_NOT_EMPTY' });
  t.equal(alice.disk.writeCount, count);
});

t.test('a crash at any write while restoring leaves a store that says so and can be restored again', async (t) => {
  const world = new World();
  const [alice, bob] = await converse(world);
  const pieces = await backUp(alice);
  const before = await alice.client.history(bob.user);
  const trial = new CrashDisk();
  await restoreBackup({ store: () => trial.open(), source: pieces, secret: SECRET });
  for (let writes = 1; writes < trial.writeCount; writes += 1) {
    const phone = world.person(ALICE);
    const store = await phone.disk.open();
    phone.disk.crashAfter(writes);
    await t.rejects(restoreBackup({ store, source: pieces, secret: SECRET }), `crash after ${writes} writes`);
    await t.rejects(phone.start(), { code: 'CLI_RESTORE_UNFINISHED' });
    await restoreBackup({ store: () => phone.disk.open(), source: pieces, secret: SECRET });
    await phone.start();
    await phone.client.confirmCode(ALICE, CODE);
    t.equal((await phone.client.history(bob.user)).length, before.length);
    await phone.client.close();
  }
});

t.test('a passphrase opens it as well, asked for when its kind is known', async (t) => {
  const world = new World();
  const [alice] = await converse(world);
  const secret: BackupSecret = { kind: 'passphrase', passphrase: 'correct horse battery' };
  const source = await backUp(alice, secret);
  const asked: string[] = [];
  const manifest = await restoreBackup({
    store: memoryStore(),
    source,
    secret: async (kind) => {
      asked.push(kind);
      return secret;
    },
  });
  t.same(asked, ['passphrase']);
  t.match(manifest, { phone: ALICE, layout: 1 });
  const weak: BackupSecret = { kind: 'passphrase', passphrase: 'short' };
  await t.rejects(backUp(alice, weak), { code: 'CLI_BACKUP_SECRET_WEAK' });
  await t.rejects(backUp(alice, { kind: 'digits', digits: '123' }), { code: 'CLI_BACKUP_SECRET_WEAK' });
});
