import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import t from 'tap';

// dist/ mirrors the source tree one level down.
const SOURCES = new URL('../../runtime/', import.meta.url);
const EXAMPLE = new URL('./index.example.js', import.meta.url);

t.test('the program in the module doc is the one that is compiled here', async (t) => {
  const doc = await readFile(new URL('index.ts', SOURCES), 'utf8');
  const block = /```ts\n([^]*?)```/.exec(doc)![1]!.replaceAll(/^ \* ?/gm, '');
  const file = await readFile(new URL('index.example.ts', SOURCES), 'utf8');
  const program = file.slice(file.indexOf('import'));
  t.equal(block.replace("'blindbeam/runtime'", "'./index.ts'"), program);
});

t.test('it does what it says', async (t) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [EXAMPLE.pathname]);
  t.strictSame(stdout.trim().split('\n'), ['the count is 42', 'the watcher heard killed', 'it ended with killed']);
  t.equal(stderr, '');
});
