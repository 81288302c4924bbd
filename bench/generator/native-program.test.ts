import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { refuseForeign } from './native-program.ts';

t.test('a program is run from a directory that nobody else writes to, and from no other', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'blindbeam-native-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  refuseForeign(root);
  const refused = { code: 'BENCH_CHILD', message: /is open to other users: remove it/ };
  const link = join(root, 'link');
  symlinkSync(root, link);
  t.throws(() => refuseForeign(link), refused, 'a link, which somebody else may have set');
  chmodSync(root, 0o720);
  t.throws(() => refuseForeign(root), refused, 'open to its group');
  chmodSync(root, 0o700);
  if (process.getuid?.() !== 0) return;
  chownSync(root, 65_534, 65_534);
  t.throws(() => refuseForeign(root), refused, 'of another user');
});
