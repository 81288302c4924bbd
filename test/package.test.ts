/**
 * What `npm pack` makes of the checkout: a package that another project can install and import, with its types, and without sources and tests.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

function packed(): ReadonlySet<string> {
  const told = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ files }] = JSON.parse(told) as [{ readonly files: readonly { readonly path: string }[] }];
  return new Set(files.map(({ path }) => path));
}

/** Where a compiled file imports from, of the package's own files. */
function importsOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const found = [...text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+\.js)['"]/g)];
  return found.map(([, target]) => posix.join(dirname(path), target!));
}

t.test('the package has what it exports, all that this imports, and the types of it', async (t) => {
  const paths = packed();
  const { exports: doors, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string>>;
    readonly bin: Readonly<Record<string, string>>;
  };
  const waiting = [
    ...Object.values(doors),
    ...Object.values(bin),
    './dist/bin/cli.js',
    './dist/actors/worker-main.js',
  ].map((path) => posix.normalize(path));
  const seen = new Set<string>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    if (!paths.has(path)) t.fail(`${path} is not in the package`);
    else waiting.push(...importsOf(path));
  }
  t.ok(seen.size > 300, `${seen.size} files are reached`);
  const untyped = [...seen].filter((path) => path.startsWith('dist/') && !paths.has(path.replace(/\.js$/, '.d.ts')));
  t.strictSame(untyped, []);
  for (const path of ['dist/web/index.html', 'README.md', 'LICENSE', 'bench/results/messages.json'])
    t.ok(paths.has(path), path);
  const left = [...paths].filter((path) => /\.test\.|^(test|dist\/test|node_modules|data)\/|(?<!\.d)\.ts$/.test(path));
  t.strictSame(left, [], 'no tests, no sources');
});
