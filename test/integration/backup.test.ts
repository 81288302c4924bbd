/**
 * A node is copied while people write, is lost, and comes back from the copy, behind what its clients know: nothing that had been acknowledged
 * is missing in silence, and everybody goes on without a hand.
 */

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { blindbeam, type Ran } from './operator-command.ts';
import { eventsOf, newPerson, until, type Person, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const allTexts = ({ received }: Person): string[] => received.map(({ text }) => text ?? '');
const texts = (person: Person): string[] => allTexts(person).filter((text) => !text.startsWith('group'));
const groupTexts = (person: Person): string[] => allTexts(person).filter((text) => text.startsWith('group'));

t.test('a restored node goes on where its clients are, and tells what is lost', async (t) => {
  const directory = temporaryDirectory(t);
  const [store, copy, again] = [join(directory, 'store'), join(directory, 'copy'), join(directory, 'again')];
  const flags = ['--workers', '2', '--metrics-port', '0'];
  const first = await ServerProcess.start(t, store, flags);
  const port = new URL(first.url).port;
  const alice = await newPerson(t, first, '+4915100000001', undefined, 500);
  const bob = await newPerson(t, first, '+4915100000002', undefined, 500);
  for (let count = 1; count <= 5; count += 1) await (await alice.client.send(bob.phone, `before ${count}`)).delivered;
  await (
    await bob.client.send(alice.phone, 'and back')
  ).delivered;

  const { name } = await alice.client.groups.create('The two of us', [bob.phone]);
  await (
    await alice.client.send(name, 'group before')
  ).delivered;

  const taken = await blindbeam('backup', copy, '--data', store);
  t.match(taken, { status: 0, out: /has the store with its 2 shards/ });
  t.equal(statSync(copy).mode & 0o777, 0o700);
  t.equal(statSync(join(copy, 'store.json')).mode & 0o777, 0o600, 'the secret of the installation is in it');
  t.notOk(existsSync(`${copy}.partial`));
  t.match(await blindbeam('backup', copy, '--data', store), { status: 1, errors: /is there already/ });

  t.match(await blindbeam('backup', 'copy', '--data', store), { status: 1, errors: /is not a whole path/ });

  // After the backup: three that are delivered, and three to a group.
  for (let count = 1; count <= 3; count += 1) await (await alice.client.send(bob.phone, `after ${count}`)).delivered;
  for (let count = 1; count <= 3; count += 1) await (await alice.client.send(name, `group after ${count}`)).delivered;
  await first.kill();
  rmSync(store, { recursive: true });

  // LMDB would end the process that opens the first two, and take the third for a store that nobody has used.
  const data = join(copy, 'shard-00', 'data.mdb');
  const whole = readFileSync(data);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 100]! ^= 1;
  for (const [bytes, said] of [
    [whole.subarray(0, 5_000), /data\.mdb has 5000 bytes where the backup had \d+/],
    [flipped, /data\.mdb holds other bytes than when the backup was taken/],
    [Buffer.alloc(0), /data\.mdb has 0 bytes/],
    [undefined, /data\.mdb cannot be read: ENOENT/],
  ] as const) {
    if (bytes === undefined) rmSync(data);
    else writeFileSync(data, bytes);
    const damaged = await blindbeam('restore', copy, '--data', again);
    t.match(damaged, {
      status: 1,
      errors: /^APP_STORE_UNREADABLE: the backup is damaged, restore another copy of it: /,
    });
    t.match(damaged.errors, said);
    t.notOk(existsSync(again) || existsSync(`${again}.partial`), 'nothing was made');
  }
  writeFileSync(data, whole);

  const both = await Promise.all([1, 2].map(() => blindbeam('restore', copy, '--data', again)));
  const [restored, refused] = both.sort((one, other) => one.status - other.status) as [Ran, Ran];
  t.match(restored, { status: 0, out: /2 devices, \d conversations, 1 groups/ }, restored.errors);
  t.match(
    refused,
    { status: 1, errors: /^APP_STORE_(HELD: .* another restore|UNREADABLE: .* is not empty)/ },
    'of two',
  );
  t.match(await blindbeam('restore', copy, '--data', again), { status: 1, errors: /is not empty/ });
  const lostAtAlice = eventsOf(alice, 'lost');
  const prunedAtBob = eventsOf(bob, 'pruned');
  const holesAtBob = eventsOf(bob, 'group-pruned');
  const second = ServerProcess.launch(t, ['--data', again, '--port', port, ...flags]);
  await second.line((line) => line.event === 'node_started');

  const sent = await alice.client.send(bob.phone, 'after the return 1');
  await sent.delivered;
  await (
    await alice.client.send(bob.phone, 'after the return 2')
  ).delivered;
  await (
    await bob.client.send(alice.phone, 'heard')
  ).delivered;
  const toGroup = await alice.client.send(name, 'group after the return');
  await toGroup.delivered;
  t.match(toGroup.members, [{ state: 'delivered' }]);
  await (
    await bob.client.send(name, 'group heard')
  ).delivered;
  await until('what bob got', PATIENCE_MS, () => texts(bob).includes('after the return 2'));
  await until('what bob got in the group', PATIENCE_MS, () => groupTexts(bob).includes('group after the return'));
  await until('what alice got', PATIENCE_MS, () => groupTexts(alice).length + texts(alice).length >= 3);
  const expected = [1, 2, 3, 4, 5].map((count) => `before ${count}`).concat([1, 2, 3].map((count) => `after ${count}`));
  t.strictSame(texts(bob), [...expected, 'after the return 1', 'after the return 2'], 'each once, in order');
  t.strictSame(texts(alice), ['and back', 'heard']);
  const inGroup = ['before', 'after 1', 'after 2', 'after 3', 'after the return'].map((text) => `group ${text}`);
  t.strictSame(groupTexts(bob), inGroup, 'and in the group');
  t.strictSame(groupTexts(alice), ['group heard']);
  await until('word of the loss in the group', PATIENCE_MS, () => holesAtBob.length > 0);
  t.match(holesAtBob, [{ group: name, code: 'APP_RESTORED' }]);
  await until('word of the loss', PATIENCE_MS, () => lostAtAlice.length > 0 || prunedAtBob.length > 0);
  t.match([...lostAtAlice, ...prunedAtBob], [{ code: 'APP_RESTORED' }]);
  t.equal(await second.stop(), 0);
});

t.test('what is no backup, or not whole, is refused in one line', async (t) => {
  const directory = temporaryDirectory(t);
  const target = join(temporaryDirectory(t), 'new');
  const run = (backup: string): Promise<Ran> => blindbeam('restore', backup, '--data', target);
  t.match(await run(join(directory, 'none')), { status: 1, errors: /^APP_STORE_UNREADABLE: .* is no backup/ });
  writeFileSync(join(directory, 'backup.json'), '{"version":2,"shards":1,"takenAtMs":0,"blindbeam":"0","files":[]}');
  t.match(await run(directory), { status: 1, errors: /has no store\.json: the backup is not whole/ });
  writeFileSync(join(directory, 'backup.json'), 'null');
  t.match(await run(directory), { status: 1, errors: /of version undefined/ });
  writeFileSync(join(directory, 'backup.json'), '{"version":9,"shards":1}');
  t.match(await run(directory), { status: 1, errors: /of version 9/ });
  writeFileSync(join(directory, 'file'), '');
  t.match(await run(join(directory, 'file')), { status: 1, errors: /is no backup: ENOTDIR/ });
  t.match(await blindbeam('restore'), { status: 2, errors: /^Usage/ });
  t.match(await blindbeam('restore', '--help'), { status: 0, out: /^Usage/ });
  t.ok(readFileSync(join(directory, 'backup.json')).length > 0, 'the backup stays as it was');
});
