import { readFileSync } from 'node:fs';
import t from 'tap';
import { ADM_ERRORS, AdminError, isAdminError } from './errors.ts';

const NOTE = readFileSync(new URL('../../../docs/internals/admin.md', import.meta.url), 'utf8');

t.test('codes of the catalogue and of docs/internals/admin.md are the same', async (t) => {
  const documented = new Set([...NOTE.matchAll(/ADM_[A-Z_]+/g)].map(([code]) => code));
  t.strictSame([...documented].sort(), Object.keys(ADM_ERRORS).sort());
});

t.test('an AdminError is told by its brand, also from another copy of the module', async (t) => {
  const copy = Object.assign(new Error('x'), { code: 'ADM_BUSY', brand: 'blindbeam.admin-error' });
  t.ok(isAdminError(new AdminError('ADM_BUSY')));
  t.ok(isAdminError(copy));
  t.notOk(isAdminError(new Error('x')));
});
