/**
 * How many assertions the real tap counts in Node, by top-level test: the measure that the run in the browser is held to.
 */

import { spawn } from 'node:child_process';
import type { Suite } from './suites.ts';
import { compiled } from './suites.ts';

/** Assertions by the name of the top-level test; `''` for those outside of any. */
export type Counts = ReadonlyMap<string, number>;

/** Runs a test file. @returns Its counts; undefined where it fails in Node. */
export async function countInNode(root: string, { path, environment }: Suite): Promise<Counts | undefined> {
  const child = spawn(process.execPath, [compiled(path)], {
    cwd: root,
    env: { ...process.env, ...environment, TAP: '1' },
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
