/** Ctrl-C, as a terminal sends it: to the whole process group. The report is valid, and nothing is left of the run. */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Report } from './harness/report.ts';

const COMMAND: string = fileURLToPath(new URL('../../bin/blindbeam.js', import.meta.url));
/** What is waited for comes in a second or two; a machine that does much else may take its time. Far less than `WINDOW_S`, which an interrupt cuts short. */
const END_MS_MAX = 120_000;
/** A run that ended only with its window would come too late. */
const WINDOW_S = 600;

/** Processes that were started with this folder for temporary files. */
function processesOf(folder: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => environmentOf(pid).includes(`TMPDIR=${folder}\0`)).map(Number);
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 50) {
    if (condition()) return true;
    await delay(50);
  }
  return condition();
}

/** Runs a workload, interrupts it when it has `children` processes, and looks at what it leaves. */
async function interrupt(t: Test, argv: readonly string[], children: number): Promise<Report> {
  const root = mkdtempSync(join(tmpdir(), 'blindbeam-interrupt-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const [folder, json, html] = ['tmp', 'report.json', 'report.html'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(folder);
  const run = spawn(process.execPath, [COMMAND, 'bench', ...argv, '--json', json, '--html', html], {
    env: { ...process.env, TMPDIR: folder },
    stdio: 'ignore',
    detached: true,
  });
  t.teardown(() => run.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => run.once('exit', (code) => resolve(code)));
  t.ok(await until(() => processesOf(folder).length > children, END_MS_MAX), 'the processes of the run are there');
  await delay(300);
  process.kill(-run.pid!, 'SIGINT');
  t.equal(await Promise.race([ended, delay(END_MS_MAX, 'no end', { ref: false })]), 1, 'exit code');
  t.ok(await until(() => processesOf(folder).length === 0, END_MS_MAX), `no process is left of ${argv[0]}`);
  t.strictSame(readdirSync(folder), [], 'and no file');
  t.match(readFileSync(html, 'utf8'), /The run ended early: BENCH_INTERRUPTED.*<\/html>/s);
  return JSON.parse(readFileSync(json, 'utf8')) as Report;
}

const hasProc = process.platform === 'linux' ? false : 'it looks at /proc, which is Linux’s';

t.test('messages, with a server and a generator', { skip: hasProc }, async (t) => {
  const argv = ['messages', '--pairs', '2', '--in-flight', '1', '--warm-up', '0', '--seconds', String(WINDOW_S)];
  const report = await interrupt(t, argv, 2);
  t.match(report, { workload: 'messages', params: { failed: 'BENCH_INTERRUPTED', pairs: 2 } });
});

t.test('actors, with a process for each side of a program', { skip: hasProc }, async (t) => {
  const report = await interrupt(t, ['actors', '--quick', '--only', 'ping_pong'], 2);
  t.match(report, { workload: 'actors', params: { failed: 'BENCH_INTERRUPTED', only: 'ping_pong' } });
});
