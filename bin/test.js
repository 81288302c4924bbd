/**
 * `npm test`: from a fresh checkout to the result of every suite. Arguments name compiled test files; without any, all run.
 *
 * The last line reads `N passed, N failed`, with `, N skipped` if a suite could not run here; each skipped test says why.
 */

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireBuild, requireDependencies, requireNode, ROOT } from './prepare.js';
import { provideSystemPackages } from './system-packages.js';

requireNode();
requireDependencies();
requireBuild();

const given = process.argv.slice(2);
// Named files say themselves what they miss.
if (given.length === 0) provideSystemPackages();
const tests = given.length > 0 ? given : findTests(join(ROOT, 'dist'));
const report = join(tmpdir(), `blindbeam-${process.pid}.tap`);
const reporter = process.stdout.isTTY ? 'base' : 'terse';
const tap = spawn(
  process.execPath,
  [
    realpathSync(join(ROOT, 'node_modules', '.bin', 'tap')),
    `--reporter=${reporter}`,
    `--output-file=${report}`,
    ...tests,
  ],
  { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
);
tap.on('exit', (status) => {
  const { passed, failed, skipped, failures: named } = count(report);
  rmSync(report, { force: true });
  // A run that ended badly without a failed test (a crash, a time-out) has failed all the same.
  const failures = failed === 0 && status !== 0 ? 1 : failed;
  for (const name of named) console.log(`failed: ${name}`);
  console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failures === 0 && passed > 0 ? 0 : 1;
});

function findTests(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.test.js'))
    .map((path) => join('dist', path))
    .sort();
}

/**
 * Counts named tests at every level below the files: in tap's report, points with a time of their own. Names what failed: a test
 * stands before its file, which is the point at the level of files.
 */
function count(path) {
  const result = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const line of readReport(path)) {
    const failure = /^ *not ok \d+ - (.*?)( # time=.*)?$/.exec(line);
    if (failure !== null) result.failures.push(`${' '.repeat(line.search(/\S/))}${failure[1]}`);
    const point = /^ {4,}(not )?ok \d+ .*# (time=|SKIP|TODO)/i.exec(line);
    if (point === null) continue;
    if (point[2] !== 'time=') result.skipped++;
    else if (point[1] === undefined) result.passed++;
    else result.failed++;
  }
  return result;
}

function readReport(path) {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
