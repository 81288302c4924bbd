/**
 * How many assertions the real tap counts in Node, by top-level test: the measure that the run in the browser is held to.
 *
 * A whole test run has counted most files already when the browser's turn comes, and tap keeps what each of them said: that is
 * read where it is younger than the compiled file, so that nothing runs twice.
 */

import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Suite } from './suites.ts';
import { compiled } from './suites.ts';

/** Seconds for one file; tap's own bound of 30 is for a machine that does nothing else. */
const FILE_TIMEOUT_S = 240;

/** Assertions by the name of the top-level test; `''` for those outside of any. */
export type Counts = ReadonlyMap<string, number>;

/** The counts of a test file, from its last whole run if that is good. @returns undefined where it fails in Node. */
export async function countInNode(root: string, suite: Suite): Promise<Counts | undefined> {
  return keptCounts(root, suite) ?? (await runInNode(root, suite));
}

/** What tap kept of a run of this very file; undefined if there is none, or if the browser's run has other variables. */
function keptCounts(root: string, { path, environment }: Suite): Counts | undefined {
  if (Object.keys(environment).length > 0) return undefined;
  const file = join(root, compiled(path));
  const kept = join(root, '.tap', 'test-results', `${compiled(path)}.tap`);
  try {
    if (statSync(kept).mtimeMs <= statSync(file).mtimeMs) return undefined;
    const text = readFileSync(kept, 'utf8');
    return isWhole(text) ? countAssertions(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the TAP text has its plan, which stands at the end, and no failure. */
export function isWhole(text: string): boolean {
  return /^1\.\.[1-9]/m.test(text) && !/^ *not ok/m.test(text);
}

async function runInNode(root: string, { path, environment }: Suite): Promise<Counts | undefined> {
  const child = spawn(process.execPath, [compiled(path)], {
    cwd: root,
    env: { ...process.env, ...environment, TAP: '1', TAP_TIMEOUT: String(FILE_TIMEOUT_S) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return status === 0 ? countAssertions(text) : undefined;
}

/** Counts the points of a TAP text that are assertions: those of whole tests carry a time, and skipped ones say so. */
export function countAssertions(text: string): Counts {
  const counts = new Map<string, number>();
  let name = '';
  for (const line of text.split('\n')) {
    const subtest = /^# Subtest: (.*)$/.exec(line);
    if (subtest !== null) name = unescape(subtest[1]!);
    else if (/^(not )?ok \d+ .*# time=/.test(line)) name = '';
    else if (/^ *(not )?ok \d+(?!.*# (time=|SKIP))/.test(line)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function unescape(name: string): string {
  return name.replace(/\\([#\\])/g, '$1');
}
