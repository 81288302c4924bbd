/**
 * The test files of the portable folders once more, in headless Chromium, assertion by assertion.
 *
 * A file passes here when it passes there, and when each of its tests has asserted as often as in Node: a test that silently
 * does less in a browser fails. Left out are files about Node itself; `suites.ts` names them with reasons.
 */

import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import t from 'tap';
import { bundle } from './bundle.ts';
import { findChromium, startChromium } from './chromium.ts';
import type { Counts } from '../runner/tap-text.ts';
import { countInNode } from './node-count.ts';
import { servePages } from './page-server.ts';
import type { TestReport } from './shims/tap.ts';
import { compiled, findPageTests, findSuites, staleExclusions } from './suites.ts';
import type { Suite } from './suites.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
/** Only files whose path has this in it, for somebody who works on one. */
const AMONG = process.env['BLINDBEAM_BROWSER_AMONG'] ?? '';
/** One file may take this long in the browser. */
const FILE_TIMEOUT_MS = 240_000;

// On a quiet machine with two cores it takes about a minute; beside the other suites it may take several.
t.setTimeout(600_000);

const executablePath = findChromium();
const skip = executablePath === undefined ? 'no chromium in the PATH; on Debian: apt-get install chromium' : false;

t.test('the portable folders in headless Chromium', { skip, timeout: 600_000 }, async (t) => {
  const suites = findSuites(ROOT);
  t.same(staleExclusions(suites), [], 'whatever is excluded is there');
  const portable = suites.filter(({ nodeOnly, path }) => nodeOnly === undefined && path.includes(AMONG));
  t.ok(portable.length >= (AMONG === '' ? 40 : 1), `${portable.length} files`);
  const server = await servePages(
    ROOT,
    await bundle(
      ROOT,
      portable.map(({ path }) => path),
    ),
  );
  const browser = await startChromium(executablePath!);
  t.teardown(async () => {
    await browser.close();
    await server.close();
  });
  const outcomes = await inParallel(portable, Math.max(1, cpus().length), async (suite) => {
    const counted = countInNode(ROOT, suite);
    const began = performance.now();
    const reports = await runInBrowser(browser, server.url, suite);
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    const differences = compare(await counted, reports, suite);
    return { differences, what: `${suite.path}: ${totalOf(reports)} assertions, ${seconds} s in the browser` };
  });
  for (const { differences, what } of outcomes) t.same(differences, [], what);
});

t.test('what a browser alone can do', { skip }, async (t) => {
  const paths = findPageTests(ROOT);
  const server = await servePages(ROOT, await bundle(ROOT, paths));
  const browser = await startChromium(executablePath!);
  t.teardown(async () => {
    await browser.close();
    await server.close();
  });
  for (const path of paths) {
    const reports = await runInBrowser(browser, server.url, {
      path,
      nodeOnly: undefined,
      leftOut: [],
      environment: {},
    });
    for (const { name, assertions, failures } of reports) {
      t.same(failures, [], `${path}: ${name}`);
      if (name !== '') t.ok(assertions > 0, `${path}: ${name} asserts`);
    }
    t.ok(reports.length > 0, path);
  }
});

async function runInBrowser(browser: Browser, url: string, suite: Suite): Promise<readonly TestReport[]> {
  const page = await browser.newPage();
  try {
    page.setDefaultTimeout(FILE_TIMEOUT_MS);
    await page.goto(url);
    const task = { file: `/${compiled(suite.path)}`, leftOut: suite.leftOut, environment: suite.environment };
    return await withTimeout(page.evaluate<readonly TestReport[]>(`runTests(${JSON.stringify(task)})`));
  } catch (error) {
    return [{ name: '', assertions: 0, failures: [`did not run: ${(error as Error).message}`] }];
  } finally {
    await page.close();
  }
}

async function withTimeout<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${FILE_TIMEOUT_MS} ms`)), FILE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What failed in the browser, and where the two runs differ in what they asserted. */
function compare(counts: Counts | undefined, reports: readonly TestReport[], { leftOut }: Suite): string[] {
  if (counts === undefined) return ['fails in Node'];
  const failures = reports.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`));
  const found = new Map<string, number>();
  for (const { name, assertions } of reports) found.set(name, (found.get(name) ?? 0) + assertions);
  const names = new Set([...counts.keys(), ...found.keys()].filter((name) => !leftOut.includes(name)));
  const miscounts = [...names]
    .filter((name) => (counts.get(name) ?? 0) !== (found.get(name) ?? 0))
    .map((name) => `"${name}": ${found.get(name) ?? 0} assertions, ${counts.get(name) ?? 0} in Node`);
  return [...failures, ...miscounts];
}

function totalOf(reports: readonly TestReport[]): number {
  return reports.reduce((sum, { assertions }) => sum + assertions, 0);
}

/** Runs `work` for each of `tasks`, `width` at a time; results in the order of the tasks. */
async function inParallel<Task, Result>(
  tasks: readonly Task[],
  width: number,
  work: (task: Task) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lanes = Array.from({ length: width }, async () => {
    while (next < tasks.length) {
      const index = next++;
      results[index] = await work(tasks[index]!);
    }
  });
  await Promise.all(lanes);
  return results;
}
