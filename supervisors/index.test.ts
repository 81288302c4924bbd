import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import t from 'tap';

// dist/ mirrors the source tree one level down.
const SOURCES = new URL('../../supervisors/', import.meta.url);
const EXAMPLE = new URL('./index.example.js', import.meta.url);

t.test('the program in the module doc is the one that is compiled here', async (t) => {
  const doc = await readFile(new URL('index.ts', SOURCES), 'utf8');
  const block = /```ts\n([^]*?)```/.exec(doc)![1]!.replaceAll(/^ \* ?/gm, '');
  const file = await readFile(new URL('index.example.ts', SOURCES), 'utf8');
  const program = file.slice(file.indexOf('import'));
  const imported = block.replace("'blindbeam/runtime'", "'../runtime/index.ts'");
  t.equal(imported.replace("'blindbeam/supervisors'", "'./index.ts'"), program);
});

t.test('it does what it says', async (t) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [EXAMPLE.pathname]);
  const lines = stdout.trim().split('\n');
  const isReport = (line: string): boolean => line.startsWith('reported: ');
  t.strictSame(
    lines.filter((line) => !isReport(line)),
    [
      'blue',
      'hello from Ada',
      'RT_CALL_EXITED',
      '{ specs: 2, active: 2, supervisors: 1, workers: 1 }',
      'the new store has undefined',
    ],
  );
  t.strictSame(lines.filter(isReport), ['reported: actor_crashed', 'reported: supervisor_report']);
  t.equal(stderr, '');
});
