import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { systemClock } from '../runtime/index.ts';
import type { Askable } from './admin/ask.ts';
import { backUp, restoreStore } from './backup.ts';
import { describeContents, type BackupFile } from './backup/contents.ts';

t.test('a node of a cluster makes no backup of the part that it has, and begins none', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const store = { directory, shards: 12, secret: '', isClustered: true };
  const target = join(directory, 'copy');
  // It is refused before any worker is asked.
  const refused = backUp({} as Askable, store, target, '0.1.0');
  await t.rejects(refused, { code: 'ADM_REFUSED', message: /no backup of a cluster/ });
  t.notOk(existsSync(target));
  t.notOk(existsSync(`${target}.partial`));
});

/** A backup of one shard, whose files are whole and hold nothing that LMDB would open. */
async function writeBackup(backup: string, change: object = {}): Promise<readonly BackupFile[]> {
  mkdirSync(join(backup, 'shard-00'), { recursive: true });
  const paths = ['store.json', 'shard-00/data.mdb'];
  for (const path of paths) writeFileSync(join(backup, path), path);
  const files = await describeContents(backup, paths);
  const info = { version: 2, shards: 1, takenAtMs: 0, blindbeam: '0', files, ...change };
  writeFileSync(join(backup, 'backup.json'), JSON.stringify(info));
  return files;
}

t.test('a store that cannot be made leaves nothing behind, and says why', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const backup = join(directory, 'backup');
  t.match(await writeBackup(backup), [
    { path: 'store.json', bytes: 10 },
    { bytes: 17, sha256: /^[0-9a-f]{64}$/ },
  ]);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const below = restoreStore(backup, join(file, 'below'));
  await t.rejects(below, { code: 'APP_STORE_UNREADABLE', message: /below cannot be made: ENOTDIR/ });
  await t.rejects(restoreStore(backup, file), { code: 'APP_STORE_UNREADABLE', message: /ENOTDIR/ });
  t.notOk(existsSync(`${file}.partial`));
});

t.test('a restore that is refused touches nothing, also not what lies beside', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [backup, target] = [join(directory, 'backup'), join(directory, 'store')];
  await writeBackup(backup);
  for (const each of [target, `${target}.partial`]) {
    mkdirSync(each);
    writeFileSync(join(each, 'something'), '');
  }
  const refused = restoreStore(backup, target);
  await t.rejects(refused, { code: 'APP_STORE_UNREADABLE', message: /store is not empty/ });
  t.ok(existsSync(join(target, 'something')));
  t.ok(existsSync(join(`${target}.partial`, 'something')), 'as of another restore');
});

t.test(
  'of two restores into one directory the second is refused, and what one left that was killed is told',
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const [backup, target] = [join(directory, 'backup'), join(directory, 'store')];
    await writeBackup(backup);
    mkdirSync(`${target}.partial`);
    writeFileSync(join(`${target}.partial`, 'something'), '');
    const said = new RegExp(`^${target}\\.partial is there: another restore .* or one was killed; .* remove it`);
    await t.rejects(restoreStore(backup, target), { code: 'APP_STORE_HELD', message: said });
    t.ok(existsSync(join(`${target}.partial`, 'something')), 'and left alone');
    t.notOk(existsSync(target));
  },
);

t.test('a restore that begins while another one ends is told that the store is there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [backup, target] = [join(directory, 'backup'), join(directory, 'store')];
  await writeBackup(backup);
  mkdirSync(target);
  const late = restoreStore(backup, target, () => {
    // Between its first look and its own `.partial`.
    writeFileSync(join(target, 'store.json'), '');
    // Whoever goes on to copy fails otherwise.
    rmSync(join(backup, 'store.json'), { force: true });
    return 1;
  });
  await t.rejects(late, { code: 'APP_STORE_UNREADABLE', message: /store is not empty/ });
  t.notOk(existsSync(`${target}.partial`));
});

t.test('two backups into one directory do not share it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const target = join(directory, 'copy');
  mkdirSync(`${target}.partial`);
  const store = { directory, shards: 1, secret: '', isClustered: false };
  // It is refused before any worker is asked.
  const workers = { node: { clock: systemClock } } as unknown as Askable;
  const refused = backUp(workers, store, target, '0.1.0');
  await t.rejects(refused, { code: 'ADM_REFUSED', message: /copy\.partial is there: another backup/ });
  t.ok(existsSync(`${target}.partial`));
});

t.test('a store goes behind a link, and not onto a file system of its own', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [backup, place, link] = [join(directory, 'backup'), join(directory, 'place'), join(directory, 'link')];
  await writeBackup(backup, { takenAtMs: 5 });
  mkdirSync(place);
  symlinkSync(place, link);
  mkdirSync(`${place}.partial`);
  await t.rejects(restoreStore(backup, link), { code: 'APP_STORE_HELD', message: /place\.partial is there/ });
  t.ok(lstatSync(link).isSymbolicLink());
  const mounted = restoreStore(backup, link, (path) => Number(path === realpathSync(place)));
  await t.rejects(mounted, { code: 'APP_STORE_UNREADABLE', message: /place is a file system of its own/ });
});

t.test('a backup.json that no backup has written is refused, and nothing is made of it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-backup-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [backup, target] = [join(directory, 'backup'), join(directory, 'new', 'store')];
  const [info, shard] = (await writeBackup(backup)) as [BackupFile, BackupFile];
  writeFileSync(join(directory, 'outside'), '');
  const [outside] = (await describeContents(backup, ['../outside'])) as [BackupFile];
  for (const [change, message] of [
    [{ shards: 0, files: [info] }, /not what one says of itself/],
    [{ shards: -1, files: [info] }, /not what one says of itself/],
    [{ shards: 1.5 }, /not what one says of itself/],
    [{ shards: 1e10 }, /not what one says of itself/],
    [{ takenAtMs: 'yesterday' }, /not what one says of itself/],
    [{ files: 'all' }, /not what one says of itself/],
    [{ files: [info, outside] }, /has no shard-00.data\.mdb/],
    [{ files: [info, shard, outside] }, /lists 3 files, not 2/],
    [{ files: [info, shard, shard] }, /lists 3 files, not 2/],
  ] as const) {
    await writeBackup(backup, change);
    await t.rejects(restoreStore(backup, target), { code: 'APP_STORE_UNREADABLE', message }, JSON.stringify(change));
    t.notOk(existsSync(join(directory, 'new')));
  }
});
