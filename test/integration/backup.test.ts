/**
 * A node is copied while people write, is lost, and comes back from the copy, behind what its clients know: nothing that had been acknowledged
 * is missing in silence, and everybody goes on without a hand.
 */

import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ClientEvent } from '../../client/index.ts';
import { newPerson, until, type Person } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

function blindbeam(...argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'bin', 'blindbeam.js'), ...argv], (error, out, errors) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, errors });
    });
  });
}

function watch({ client }: Person, type: ClientEvent['type']): ClientEvent[] {
  const seen: ClientEvent[] = [];
  void (async () => {
    for await (const event of client.events()) if (event.type === type) seen.push(event);
  })();
  return seen;
}

const texts = ({ received }: Person): string[] => received.map(({ text }) => text ?? '');

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

  const taken = await blindbeam('backup', copy, '--data', store);
  t.match(taken, { status: 0, out: /has the store with its 2 shards/ });
  t.equal(statSync(copy).mode & 0o777, 0o700);
  t.equal(statSync(join(copy, 'store.json')).mode & 0o777, 0o600, 'the secret of the installation is in it');
  t.notOk(existsSync(`${copy}.partial`));
  t.match(await blindbeam('backup', copy, '--data', store), { status: 1, errors: /is there already/ });

  t.match(await blindbeam('backup', 'copy', '--data', store), { status: 1, errors: /is not a whole path/ });

  // After the backup: three that are delivered, and one that waits for somebody who is away.
  for (let count = 1; count <= 3; count += 1) await (await alice.client.send(bob.phone, `after ${count}`)).delivered;
  await first.kill();
  rmSync(store, { recursive: true });

  const restored = await blindbeam('restore', copy, '--data', again);
  t.match(restored, { status: 0, out: /2 devices, [12] conversations/ }, restored.errors);
  t.match(await blindbeam('restore', copy, '--data', again), { status: 1, errors: /is not empty/ });
  const lostAtAlice = watch(alice, 'lost');
  const prunedAtBob = watch(bob, 'pruned');
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
  await until('what bob got', 10_000, () => texts(bob).includes('after the return 2'));
  const expected = [1, 2, 3, 4, 5].map((count) => `before ${count}`).concat([1, 2, 3].map((count) => `after ${count}`));
  t.strictSame(texts(bob), [...expected, 'after the return 1', 'after the return 2'], 'each once, in order');
  t.strictSame(texts(alice), ['and back', 'heard']);
  await until('word of the loss', 10_000, () => lostAtAlice.length > 0 || prunedAtBob.length > 0);
  t.match([...lostAtAlice, ...prunedAtBob], [{ code: 'APP_RESTORED' }]);
  t.equal(await second.stop(), 0);
});

t.test('what is no backup, or not whole, is refused in one line', async (t) => {
  const directory = temporaryDirectory(t);
  const target = join(temporaryDirectory(t), 'new');
  const run = (backup: string): Promise<Ran> => blindbeam('restore', backup, '--data', target);
  t.match(await run(join(directory, 'none')), { status: 1, errors: /^APP_STORE_UNREADABLE: .* is no backup/ });
  writeFileSync(join(directory, 'backup.json'), '{"version":1,"shards":1,"takenAtMs":0,"blindbeam":"0"}');
  t.match(await run(directory), { status: 1, errors: /the backup is not whole/ });
  writeFileSync(join(directory, 'backup.json'), '{"version":9,"shards":1}');
  t.match(await run(directory), { status: 1, errors: /of version 9/ });
  t.match(await blindbeam('restore'), { status: 2, errors: /^Usage/ });
  t.match(await blindbeam('restore', '--help'), { status: 0, out: /^Usage/ });
  t.ok(readFileSync(join(directory, 'backup.json')).length > 0, 'the backup stays as it was');
});
