import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isStartupError } from './errors.ts';
import { openStoreDirectory, partitionOfPhone, shardDirectory } from './store-directory.ts';

function temporary(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-dir-'));
  test.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function code(opening: Promise<unknown>): Promise<string> {
  return opening.then(
    () => 'opened',
    (error: unknown) => (isStartupError(error) ? error.code : String(error)),
  );
}

t.test('a directory keeps its shards and its secret, whatever is asked for later', async (t) => {
  const directory = temporary(t);
  const first = await openStoreDirectory(directory, 3);
  await first.release();
  const second = await openStoreDirectory(directory, 8);
  t.equal(second.shards, 3);
  t.equal(second.secret, first.secret);
  t.equal(second.secret.length, 64);
  t.equal(shardDirectory(second, 2), join(directory, 'shard-02'));
  t.equal(statSync(join(directory, 'store.json')).mode & 0o077, 0, 'readable by the owner only');
  await second.release();
});

t.test('a directory that is held is refused, and had again once released', async (t) => {
  const directory = temporary(t);
  const holder = await openStoreDirectory(directory, 1);
  t.equal(await code(openStoreDirectory(directory, 1)), 'APP_STORE_HELD');
  await holder.release();
  const next = await openStoreDirectory(directory, 1);
  await next.release();
});

t.test('a holder that was killed does not keep the directory', async (t) => {
  const directory = temporary(t);
  const script = join(directory, 'holder.mjs');
  const module = new URL('./store-directory.js', import.meta.url).href;
  writeFileSync(
    script,
    `import { openStoreDirectory } from ${JSON.stringify(module)};
    await openStoreDirectory(process.argv[2], 1); process.send('held'); setInterval(() => {}, 1000);`,
  );
  const child = fork(script, [directory]);
  await new Promise((resolve) => child.once('message', resolve));
  t.equal(await code(openStoreDirectory(directory, 1)), 'APP_STORE_HELD', 'by another process');
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  const next = await openStoreDirectory(directory, 1);
  await next.release();
});

t.test('what is no store directory is refused', async (t) => {
  const directory = temporary(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  if (process.platform === 'linux') t.equal(await code(openStoreDirectory('/proc/x/y', 1)), 'APP_STORE_UNREADABLE');
  t.equal(await code(openStoreDirectory(file, 1)), 'APP_STORE_UNREADABLE');
  writeFileSync(join(directory, 'store.json'), '{"version":99}');
  t.equal(await code(openStoreDirectory(directory, 1)), 'APP_STORE_UNREADABLE');
  t.match(readFileSync(join(directory, 'store.json'), 'utf8'), '99', 'and left as it was');
});

t.test('the partition of a number depends on the secret', async (t) => {
  const phones = Array.from({ length: 50 }, (_, index) => `+49151000000${String(index).padStart(2, '0')}`);
  const one = phones.map((phone) => partitionOfPhone({ secret: '00'.repeat(32), shards: 12 }, phone));
  const other = phones.map((phone) => partitionOfPhone({ secret: '01'.repeat(32), shards: 12 }, phone));
  t.strictSame(
    one,
    phones.map((phone) => partitionOfPhone({ secret: '00'.repeat(32), shards: 12 }, phone)),
  );
  t.notSame(one, other);
});

t.test('a directory that takes no file is refused, and let go', async (t) => {
  const directory = temporary(t);
  // As a full disk does: the directory is there, and its first file cannot be written.
  mkdirSync(join(directory, 'store.json.new'));
  t.equal(await code(openStoreDirectory(directory, 1)), 'APP_STORE_UNREADABLE');
  rmSync(join(directory, 'store.json.new'), { recursive: true });
  await (await openStoreDirectory(directory, 1)).release();
});
