/**
 * How many assertions the real tap counts in Node, by top-level test: the measure that the run in the browser is held to.
 *
 * A whole test run has counted most files already when the browser's turn comes, and the runner keeps what each of them said: that is
 * read where it is younger than the compiled file, so that nothing runs twice.
 */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { keptPath, runFile } from '../runner/run-files.ts';
import { countAssertions, isWhole, type Counts } from '../runner/tap-text.ts';
import type { Suite } from './suites.ts';
import { compiled } from './suites.ts';

/** The counts of a test file, from its last whole run if that is good. @returns undefined where it fails in Node. */
export async function countInNode(root: string, suite: Suite): Promise<Counts | undefined> {
  return keptCounts(root, suite) ?? (await runInNode(root, suite));
}

/** What tap kept of a run of this very file; undefined if there is none, or if the browser's run has other variables. */
function keptCounts(root: string, { path, environment }: Suite): Counts | undefined {
  if (Object.keys(environment).length > 0) return undefined;
  const file = join(root, compiled(path));
  const kept = keptPath(root, compiled(path));
  try {
    if (statSync(kept).mtimeMs <= statSync(file).mtimeMs) return undefined;
    const text = readFileSync(kept, 'utf8');
    return isWhole(text) ? countAssertions(text) : undefined;
  } catch {
    return undefined;
  }
}

async function runInNode(root: string, { path, environment }: Suite): Promise<Counts | undefined> {
  const { text, end } = await runFile(root, compiled(path), environment);
  return end === 0 ? countAssertions(text) : undefined;
}
