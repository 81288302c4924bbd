/** The tests that docs/features.md names for each thing that people expect are there, under these names. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from './integration/server-process.ts';

interface Row {
  readonly what: string;
  readonly file: string;
  readonly test: string;
}

/** Rows of the table under the heading, as they are printed. */
function rowsOf(page: string): Row[] {
  const table = page.slice(page.indexOf('## Row by row'));
  return [...table.matchAll(/^\| (.+?) \| `(.+?)` \| (.+) \|$/gm)].map(([, what, file, test]) => ({
    what: what!,
    file: file!,
    test: test!,
  }));
}

/** What is wrong with a row; nothing of one that holds. A name may stand in any quotes, and hold what is filled in when it runs. */
function problemOf({ what, file, test }: Row): string[] {
  const path = join(ROOT, file);
  if (!existsSync(path)) return [`${what}: there is no ${file}`];
  const text = readFileSync(path, 'utf8');
  const isThere = ["'", '"', '`'].some((quote) => text.includes(`${quote}${test}${quote}`));
  return isThere ? [] : [`${what}: no test of ${file} is called “${test}”`];
}

t.test('each row names a test that is there', async (t) => {
  const rows = rowsOf(readFileSync(join(ROOT, 'docs/features.md'), 'utf8'));
  t.ok(rows.length > 90, `${rows.length} rows are read`);
  t.strictSame(rows.flatMap(problemOf), []);
});

t.test('positive control: another name, and another file, are noticed', async (t) => {
  const start = 'one command starts a node, which prints where its web chat is, and ends in order';
  const row = { what: 'here', file: 'bin/start.test.ts', test: start };
  t.strictSame(problemOf(row), []);
  t.equal(problemOf({ ...row, test: 'one command starts a node' }).length, 1);
  t.equal(problemOf({ ...row, file: 'bin/start.tests.ts' }).length, 1);
});
