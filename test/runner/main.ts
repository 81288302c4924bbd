/** The last step of `npm test`: chooses the files, runs them, and says what came of it. `bin/test.js` comes before, from a fresh checkout. */

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { inOrder } from './order.ts';
import { keptPath, runFiles, type FileResult } from './run-files.ts';
import { failuresIn, isSkipped, isWhole, summarize } from './tap-text.ts';

/** What is said about the end of a file: enough to see what broke. The whole text is kept. */
const ERRORS_SHOWN_MAX = 4_000;
/** The same of its TAP, where no failed point says why: it stopped there. */
const LINES_SHOWN_MAX = 20;

/**
 * Runs test files.
 *
 * @param root - The checkout, built.
 * @param named - Compiled files from there; all if there is none.
 * @returns The exit code. The last line printed reads `N passed, N failed`, with `, N skipped` if a test could not run here.
 */
export async function runTests(root: string, named: readonly string[]): Promise<number> {
  const paths = named.length > 0 ? named.map((path) => relative(root, resolve(root, path))) : inOrder(findTests(root));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const failedFiles: string[] = [];
  // One more than processors: a third of the time suites wait for clocks, processes and servers.
  const width = Math.min(paths.length, availableParallelism() + 1);
  const onResult = (result: FileResult): void => {
    const { passed, failed, skipped } = summarize(result.text);
    const isGood = hasPassed(result);
    total.passed += passed;
    // A file that ended badly without a failed test (a crash, a time-out) has failed all the same.
    total.failed += failed === 0 && !isGood ? 1 : failed;
    total.skipped += skipped.length;
    if (!isGood) failedFiles.push(result.path);
    process.stdout.write(
      `${isGood ? 'ok    ' : 'FAILED'} ${result.seconds.toFixed(1).padStart(6)} s  ${result.path}\n`,
    );
    for (const name of skipped) process.stdout.write(`  skipped: ${name}\n`);
    if (!isGood) process.stdout.write(explain(root, result));
  };
  await runFiles(paths, { root, width, onResult });
  for (const path of failedFiles) process.stdout.write(`failed: ${path}\n`);
  const { passed, failed, skipped } = total;
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

function hasPassed({ text, end }: FileResult): boolean {
  return end === 0 && (isWhole(text) || isSkipped(text));
}

function explain(root: string, { path, text, errors, end }: FileResult): string {
  const isCutOff = typeof end === 'string' || !/^ *not ok /m.test(text);
  const lines = [
    failuresIn(text),
    isCutOff ? `the last that it said:\n${text.trimEnd().split('\n').slice(-LINES_SHOWN_MAX).join('\n')}` : '',
    errors.slice(-ERRORS_SHOWN_MAX),
    `ended with ${end}; all that it said: ${keptPath(root, path)}`,
  ];
  return `${lines
    .filter((part) => part !== '')
    .join('\n')
    .replace(/^/gm, '  ')}\n`;
}

function findTests(root: string): string[] {
  return readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js'))
    .map((path) => join('dist', path));
}
