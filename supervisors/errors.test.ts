import { readFile } from 'node:fs/promises';

import t from 'tap';

import { SUP_ERRORS } from './errors.ts';

// dist/ mirrors the source tree one level down.
const NOTE = new URL('../../docs/internals/supervisors.md', import.meta.url);

t.test('every code says what it means, why it comes and what to do', async (t) => {
  for (const [code, entry] of Object.entries(SUP_ERRORS)) {
    t.match(code, /^SUP_[A-Z_]+$/);
    for (const text of Object.values(entry)) t.match(text, /^\w.{5,}\.$/s, `${code}: ${text}`);
  }
});

t.test('the codes in docs/internals/supervisors.md are these, and mean this', async (t) => {
  const note = await readFile(NOTE, 'utf8');
  const rows = [...note.matchAll(/^\| `(SUP_\w+)` \| (.+) \|$/gm)].map(([, code, meaning]) => [code, meaning]);
  t.strictSame(
    rows,
    Object.entries(SUP_ERRORS).map(([code, { meaning }]) => [code, meaning]),
  );
});
