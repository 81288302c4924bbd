/**
 * The programs in the documentation, taken out of it, compiled with the project's own settings and run as they stand.
 *
 * A program is a block of TypeScript that begins with an import. If the next block is one of text, that is what it must
 * print; otherwise it must run without a word on stderr. Other blocks are fragments and are not looked at. The client's
 * examples need a server: test/integration/readme.test.ts has the one of the README.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import t from 'tap';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['runtime', 'supervisors', 'docs'];
const run = promisify(execFile);

interface Example {
  /** `runtime/sys.ts 1`. */
  readonly name: string;
  readonly program: string;
  readonly prints: string | undefined;
}

/** The text of a file's documentation: of a source, its block comments without their stars. */
function documentationOf(path: string, text: string): string {
  if (path.endsWith('.md')) return text;
  return [...text.matchAll(/^ *\/\*\*\n([^]*?)\*\/$/gm)]
    .map((match) => match[1]!.replaceAll(/^ *\* ?/gm, ''))
    .join('\n');
}

function examplesOf(path: string, text: string): Example[] {
  const blocks = /```ts\n(import [^]*?)```(?:\s*(?:It prints:)?\s*```text\n([^]*?)```)?/g;
  return [...documentationOf(path, text).matchAll(blocks)].map(([, program, prints], index) => ({
    name: `${path} ${index + 1}`,
    program: program!,
    prints,
  }));
}

function readExamples(): Example[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|md)$/.test(file) && !/\.test\.ts$/.test(file))
      .flatMap((file) => examplesOf(`${folder}/${file}`, readFileSync(join(ROOT, folder, file), 'utf8'))),
  );
}

/** `blindbeam/runtime` as it is found from dist/examples. */
function withRelativeImports(program: string): string {
  return program.replaceAll(/from 'blindbeam\/([\w/]+)'/g, (_whole, path: string) => `from '../${path}/index.js'`);
}

function compile(files: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  const own = { incremental: false, tsBuildInfoFile: undefined, declaration: false, isolatedDeclarations: false };
  const program = ts.createProgram(files, { ...options, ...own, rootDir: undefined, outDir: undefined });
  const { diagnostics } = program.emit();
  return [...ts.getPreEmitDiagnostics(program), ...diagnostics].map(
    ({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
  );
}

const examples = readExamples();
const directory = join(ROOT, 'dist', 'examples');
const fileOf = (example: Example): string => join(directory, `${example.name.replaceAll(/[^\w]+/g, '-')}.ts`);

t.before(() => {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const example of examples) writeFileSync(fileOf(example), withRelativeImports(example.program));
});

t.test('there are examples, and a block is told from a fragment', async (t) => {
  t.ok(examples.length >= 7, examples.map(({ name }) => name).join(', '));
  const text = "```ts\nimport 'x';\n```\n\nIt prints:\n\n```text\nyes\n```\n\n```ts\nfragment();\n```\n";
  t.strictSame(examplesOf('a.md', text), [{ name: 'a.md 1', program: "import 'x';\n", prints: 'yes\n' }]);
});

t.test('every program compiles as the project does', async (t) => {
  t.strictSame(compile(examples.map(fileOf)), []);
});

for (const example of examples) {
  t.test(`${example.name} runs, and prints what it says`, async (t) => {
    const { stdout, stderr } = await run(process.execPath, [fileOf(example).replace(/\.ts$/, '.js')]);
    t.equal(stderr, '');
    if (example.prints !== undefined) t.equal(stdout, example.prints);
  });
}
