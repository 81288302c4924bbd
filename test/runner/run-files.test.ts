/** The runner with real files in real processes: a runner that lets a failure pass would make every other test worthless. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { inOrder, LONGEST_FIRST } from './order.ts';
import { keptPath, runFile } from './run-files.ts';
import { runTests } from './main.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** A checkout with these compiled test files, each the body of an async function that is given tap. */
function checkout(t: Test, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'blindbeam-runner-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'dist'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const [name, body] of Object.entries(files)) {
    writeFileSync(join(root, 'dist', `${name}.test.js`), `import t from 'tap';\n${body}\n`);
  }
  return root;
}

/** What `npm test` prints and returns for a checkout. */
async function run(t: Test, files: Readonly<Record<string, string>>, named: string[] = []) {
  const root = checkout(t, files);
  const written = t.capture(process.stdout, 'write', () => true);
  const status = await runTests(root, named);
  const lines = written()
    .map(({ args }) => String(args[0]))
    .join('')
    .trimEnd()
    .split('\n');
  written.restore();
  return { root, status, lines, last: lines.at(-1) };
}

const GOOD = "t.test('one', async (t) => t.ok(true)); t.test('two', async (t) => t.ok(true));";

t.test('what passes is counted, and what each said is kept', async (t) => {
  const { root, status, last } = await run(t, { good: GOOD, left: "t.test('out', { skip: 'no browser' }, () => {});" });
  t.equal(status, 0);
  t.equal(last, '2 passed, 0 failed, 1 skipped');
  t.match(readFileSync(keptPath(root, 'dist/good.test.js'), 'utf8'), /ok 2 - two # time=/);
});

const BAD: Readonly<Record<string, string>> = {
  'an assertion fails': "t.test('wrong', async (t) => t.equal(1, 2));",
  'a test throws': "t.test('wrong', async () => { throw new Error('thrown'); });",
  'the file ends before its tests do': `${GOOD} process.exit(0);`,
  'the file has no test': '',
  'the file cannot be loaded': "import './absent.js';",
  'a status is not 0 although all passed': `${GOOD} process.on('exit', () => (process.exitCode = 3));`,
  'a test does not end': "t.test('late', { timeout: 100 }, () => new Promise((resolve) => setTimeout(resolve, 500)));",
  'it is killed': "t.test('one', async () => process.kill(process.pid, 'SIGKILL'));",
};

for (const [how, body] of Object.entries(BAD)) {
  t.test(`a file has failed when ${how}`, async (t) => {
    const { status, last, lines } = await run(t, { bad: body }, ['dist/bad.test.js']);
    t.equal(status, 1);
    t.match(last, /^\d+ passed, [1-9]\d* failed$/);
    t.ok(lines.includes('failed: dist/bad.test.js'));
  });
}

t.test('what is printed of a failure tells its cause', async (t) => {
  const wrong = "t.test('wrong', async (t) => { t.comment('seen before'); t.strictSame({ a: 1 }, { a: 2 }); });";
  const { lines } = await run(t, { bad: wrong });
  for (const said of [/# seen before/, /not ok 1/, /-  *"a": 2/, /\+  *"a": 1/])
    t.ok(
      lines.some((line) => said.test(line)),
      `${said}`,
    );
  // It hangs once all that it said is out.
  const hang = `await new Promise((resolve) => setImmediate(() => process.stdout.write('# here\\n', resolve)));`;
  const killed = await run(t, {
    bad: `${GOOD} t.test('the one that hangs', async (t) => { t.ok(true); ${hang} process.kill(process.pid, 'SIGKILL'); });`,
  });
  t.ok(
    killed.lines.some((line) => line.includes('# Subtest: the one that hangs')),
    'where it stood',
  );
});

t.test('a file gets variables for it alone', async (t) => {
  const root = checkout(t, { reads: "t.equal(process.env.BLINDBEAM_SEEDS, '10');" });
  t.equal((await runFile(root, 'dist/reads.test.js', { BLINDBEAM_SEEDS: '10' })).end, 0);
  t.equal((await runFile(root, 'dist/reads.test.js')).end, 1);
});

t.test('what takes longest comes first, but behind what the browser’s run reads', async (t) => {
  const [browser, longest] = LONGEST_FIRST as [string, string];
  const others = ['dist/actors/a.test.js', 'dist/client/b.test.js'];
  t.strictSame(inOrder([...others, longest]), [longest, ...others]);
  t.strictSame(inOrder([...others, longest, browser]), [others[1], browser, longest, others[0]]);
  for (const path of LONGEST_FIRST) t.ok(existsSync(join(ROOT, path)), `${path} is there`);
});
