/**
 * The store on disk: the contract, the lock, and what a crash leaves behind.
 */

import { appendFile, mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { storeContract } from '../testing/store-contract.ts';
import { openDiskStore } from './disk-store.ts';

const root = await mkdtemp(join(tmpdir(), 'blindbeam-disk-store-'));
t.teardown(() => rm(root, { recursive: true }));

t.test('disk store', async (t) => storeContract(t, { reopens: true, open: (name) => openDiskStore(join(root, name)) }));

t.test('a second opening is refused until the first is closed', async (t) => {
  const directory = join(root, 'locked');
  const store = await openDiskStore(directory);
  await t.rejects(openDiskStore(directory), { code: 'CLI_STORE_LOCKED' });
  await store.close();
  await (await openDiskStore(directory)).close();
});

t.test('the directory is for its owner only', async (t) => {
  const directory = join(root, 'deep', 'private');
  await (await openDiskStore(directory)).close();
  t.equal((await stat(directory)).mode & 0o077, 0);
});

/** Fills a store by ten flushed batches of two keys and returns its log file. */
async function filled(directory: string): Promise<string> {
  const store = await openDiskStore(directory);
  for (let n = 0; n < 10; n += 1) {
    const value = new Uint8Array(100).fill(n);
    await store.write(
      ['x', 'y'].map((name) => ({ type: 'put', key: `${name}${n}`, value })),
      'flushed',
    );
  }
  await store.close();
  const log = (await readdir(directory)).find((name) => name.endsWith('.log'));
  return join(directory, log!);
}

t.test('a torn log loses batches whole and from the end only', async (t) => {
  for (const cutBytes of [1, 50, 150, 260, 700]) {
    const directory = join(root, `torn-${cutBytes}`);
    const log = await filled(directory);
    await truncate(log, (await stat(log)).size - cutBytes);
    const store = await openDiskStore(directory);
    const xs = (await store.list({ prefix: 'x', limit: 20 })).map((entry) => entry.key.slice(1));
    const ys = (await store.list({ prefix: 'y', limit: 20 })).map((entry) => entry.key.slice(1));
    t.same(xs, ys, `no batch in half after losing ${cutBytes} bytes`);
    t.same(
      xs,
      xs.map((_, n) => String(n)),
      'no hole',
    );
    t.ok(xs.length < 10 && xs.length >= 6, `${xs.length} of 10 batches left`);
    await store.close();
  }
});

t.test('garbage after the log is ignored, a destroyed manifest is CLI_STORE_CORRUPT', async (t) => {
  const directory = join(root, 'garbage');
  await appendFile(await filled(directory), new Uint8Array(40).fill(0xff));
  const store = await openDiskStore(directory);
  t.equal((await store.list({ prefix: 'x', limit: 20 })).length, 10);
  await store.close();
  await writeFile(join(directory, 'CURRENT'), 'MANIFEST-999999\n');
  await t.rejects(openDiskStore(directory), { code: 'CLI_STORE_CORRUPT' });
});

t.test('what the system refuses is no damage, and says why', async (t) => {
  const file = join(root, 'a-file');
  await writeFile(file, '');
  await t.rejects(openDiskStore(file), { code: 'CLI_STORE_UNUSABLE', cause: { code: 'ENOTDIR' } });
  await t.rejects(openDiskStore(join(file, 'below')), { code: 'CLI_STORE_UNUSABLE', cause: { code: 'ENOTDIR' } });
  // Before, the first was told as damage, and the second did not come back.
  for (const path of process.platform === 'linux' ? ['/proc', '/proc/x/y'] : [])
    await t.rejects(openDiskStore(path), { code: 'CLI_STORE_UNUSABLE' }, path);
  // LevelDB's own files: one that cannot be opened for writing, also for root.
  const directory = join(root, 'refused');
  await mkdir(join(directory, 'LOCK'), { recursive: true });
  await t.rejects(openDiskStore(directory), { code: 'CLI_STORE_UNUSABLE' });
});
