/**
 * Runs compiled test files, each in a process of its own and a few at a time: what `npm test` does once everything is built.
 *
 * The tests are tap's, and print TAP when they are run by themselves. tap's own command is not used for all of them together: it puts
 * two loaders, with a thread each, into every process, also into each node, worker and client that a test starts, and it takes
 * the files in the order of the alphabet. That was a third of the processors' time. `npx tap FILE` works all the same.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Seconds for the tests of a file together, unless it asks for another bound: tap's own 30 are for a machine that does nothing else. A file
 * of a minute there takes several on one that is busy; what this ends hangs.
 */
const TESTS_S_MAX = 480;
/** When a file is ended that its own bounds did not end: its event loop may be stuck. */
const FILE_MS_MAX = 660_000;
/** Enough of what a file complains about, should it complain without end. */
const ERRORS_LENGTH_MAX = 100_000;

/** How a test file went. */
export interface FileResult {
  /** Compiled, from the checkout, such as `dist/runtime/pid.test.js`. */
  readonly path: string;
  /** What it printed: TAP. */
  readonly text: string;
  /** What it wrote to standard error, from the end. */
  readonly errors: string;
  /** The exit status, or the name of the signal that ended it. */
  readonly end: number | string;
  readonly seconds: number;
}

export interface RunOptions {
  /** The checkout, where files are named from. */
  readonly root: string;
  /** How many run at a time. */
  readonly width: number;
  /** Told of each file when it is done. */
  readonly onResult: (result: FileResult) => void;
}

/** Where the TAP of a file is kept: for somebody who reads, and for the test that compares with a browser. */
export function keptPath(root: string, path: string): string {
  return join(root, '.tap', 'test-results', `${path}.tap`);
}

/** Begins with the first of `paths` and resolves when all are done, whatever became of them. */
export async function runFiles(paths: readonly string[], { root, width, onResult }: RunOptions): Promise<void> {
  const waiting = [...paths];
  const lane = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const result = await runFile(root, path);
      keep(root, result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

function keep(root: string, { path, text }: FileResult): void {
  const kept = keptPath(root, path);
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(kept, text);
}

/**
 * Runs one file to its end.
 *
 * @param environment - Variables for it beside those of this process.
 */
export function runFile(
  root: string,
  path: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FileResult> {
  const began = performance.now();
  const child = spawn(process.execPath, ['--enable-source-maps', path], {
    cwd: root,
    env: { TAP_TIMEOUT: String(TESTS_S_MAX), ...process.env, ...environment, TAP: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-ERRORS_LENGTH_MAX);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), FILE_MS_MAX);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      const seconds = (performance.now() - began) / 1_000;
      resolve({ path, text, errors, end: status ?? signal ?? 'unknown', seconds });
    });
  });
}
