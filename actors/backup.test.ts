import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Askable } from './admin/ask.ts';
import { backUp } from './backup.ts';

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
