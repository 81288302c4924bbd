/** A run is repeated from its saved report, and judged by its rounds. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Workload } from '../harness/registry.ts';
import type { Report } from '../harness/report.ts';
import { runBench } from '../run.ts';
import { argvOf } from './repeat.ts';

/** Each run of it gives the next of the values, and notes the options that it was run with. */
function workloadOf(values: readonly number[], seen: object[] = []): Workload {
  let at = 0;
  return {
    name: 'test',
    question: 'is it the same?',
    options: { size: { default: 10, quick: 2, min: 1, max: 100, help: 'a size' } },
    parts: ['one'],
    thresholds: [],
    run: async ({ options, part, isQuick, recorder }) => {
      seen.push({ ...options, part, isQuick });
      recorder.metric('p99_ms', values[at++ % values.length]!, 'ms');
    },
  };
}

async function bench(
  argv: readonly string[],
  workload: Workload,
): Promise<{ readonly code: number; readonly out: string }> {
  const told = { out: '' };
  const tell = (text: string): void => void (told.out += text);
  const io = { out: tell, err: tell, isTty: false, onInterrupt: () => () => undefined };
  return { code: await runBench(argv, io, [workload]), ...told };
}

function place(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-repeat-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function save(t: Test, values: readonly number[], ...flags: readonly string[]): Promise<string> {
  const path = join(place(t), 'saved.json');
  await bench(['test', '--json', path, ...flags], workloadOf(values));
  return path;
}

t.test('the same build twice shows no difference, and nothing else that differs', async (t) => {
  const saved = await save(t, [10, 10.3, 9.8], '--rounds', '3');
  const { code, out } = await bench(['repeat', saved], workloadOf([10.1, 9.9, 10.2]));
  t.equal(code, 0, out);
  t.match(out, /no difference in 1 figures/);
  t.notMatch(out, /(commit|cpu|kernel|library \S+) differs/);
});

t.test('a slower one is different, by how much is said, and the exit code says so too', async (t) => {
  const saved = await save(t, [10, 10.3, 9.8], '--rounds', '3');
  const { code, out } = await bench(['repeat', saved], workloadOf([50, 51, 52]));
  t.equal(code, 1);
  t.match(out, /p99_ms is worse \(4\.\d\d to 5\.\d\d times\)/);
});

t.test('a saved report of one run is judged by what the repetition varies', async (t) => {
  const saved = await save(t, [10]);
  t.match(await bench(['repeat', saved], workloadOf([10.4, 9.7, 10.2])), { code: 0, out: /no difference/ });
  t.match(await bench(['repeat', saved], workloadOf([50, 51, 52])), { code: 1, out: /p99_ms is worse/ });
});

t.test('the options are those of the saved run, whatever the defaults are today', async (t) => {
  const saved = await save(t, [10], '--quick', '--size', '77', '--only', 'one');
  const seen: object[] = [];
  const written = join(place(t), 'again.json');
  await bench(['repeat', saved, '--rounds', '2', '--json', written], workloadOf([10], seen));
  t.strictSame(seen, [
    { size: 77, part: 'one', isQuick: true },
    { size: 77, part: 'one', isQuick: true },
  ]);
  const report = JSON.parse(readFileSync(written, 'utf8')) as Report;
  t.strictSame(report.metrics.p99_ms!.rounds, [10, 10]);
  t.match(report.environment, {
    command: 'bench test --quick --size 77 --only one --rounds 2',
    dependencies: { lmdb: /^\d/ },
  });
});

t.test('what differs between there and here is said before the run', async (t) => {
  const saved = await save(t, [10]);
  const report = JSON.parse(readFileSync(saved, 'utf8')) as Report;
  const { environment, machine } = report;
  const settings = { ...environment!.settings, 'net/core/somaxconn': '1' };
  const dependencies = { ...environment!.dependencies, lmdb: '1.0.0' };
  const other = {
    ...report,
    commit: 'abc',
    machine: { ...machine, cpu: 'Abacus', kernel: 'Linux 2', node: 'v1' },
    environment: { ...environment, settings, dependencies },
  };
  writeFileSync(saved, JSON.stringify(other));
  const { out } = await bench(['repeat', saved], workloadOf([10]));
  const before = out.slice(0, out.indexOf('metric'));
  for (const name of ['commit', 'cpu', 'kernel', 'node', 'net/core/somaxconn', 'library lmdb']) {
    t.match(before, new RegExp(`  ${name} differs: `), name);
  }
});

t.test('three rounds at least, and as many as were saved', async (t) => {
  const flags = { rounds: undefined, json: undefined, html: undefined };
  const report = { workload: 'test', params: { size: 3, quick: false, failed: 'BENCH_INTERRUPTED' } };
  t.strictSame(argvOf(report, flags, ['size']), ['test', '--size', '3', '--rounds', '3']);
  const many = { workload: 'test', params: { control: 'slow', rounds: 7 } };
  t.strictSame(argvOf(many, flags, ['control']), ['test', '--control', 'slow', '--rounds', '7']);
});

t.test('what is no report, or of no workload of this version, is told', async (t) => {
  const path = join(place(t), 'x.json');
  t.match(await bench(['repeat', path], workloadOf([1])), { code: 1, out: /BENCH_REPORT: ENOENT/ });
  writeFileSync(path, '{}');
  t.match(await bench(['repeat', path], workloadOf([1])), { code: 1, out: /is no report of bench/ });
  t.match(await bench(['repeat'], workloadOf([1])), { code: 2, out: /Usage: blindbeam bench repeat/ });
  const gone = JSON.stringify({ workload: 'gone', commit: 'x', machine: {}, params: {}, metrics: {} });
  writeFileSync(path, gone);
  t.match(await bench(['repeat', path], workloadOf([1])), { code: 2, out: /there is no workload "gone"/ });
});

t.test('a report says what is run, not which files are written', async (t) => {
  const saved = await save(t, [10], '--size', '77');
  const report = JSON.parse(readFileSync(saved, 'utf8')) as Report;
  const victim = join(place(t), 'victim.txt');
  writeFileSync(victim, 'mine');
  const params = { ...report.params, json: victim, html: victim, keep: true, check: true };
  writeFileSync(saved, JSON.stringify({ ...report, params }));
  const seen: object[] = [];
  const { code } = await bench(['repeat', saved], workloadOf([10], seen));
  t.equal(code, 0);
  t.match(seen, [{ size: 77 }, { size: 77 }, { size: 77 }]);
  t.equal(readFileSync(victim, 'utf8'), 'mine');
});

t.test('a run that ended early is not repeated: there is nothing whole to compare with', async (t) => {
  const saved = await save(t, [10]);
  const report = JSON.parse(readFileSync(saved, 'utf8')) as Report;
  writeFileSync(saved, JSON.stringify({ ...report, params: { ...report.params, failed: 'BENCH_GAP' } }));
  const seen: object[] = [];
  t.match(await bench(['repeat', saved], workloadOf([10], seen)), { code: 1, out: /ended early \(BENCH_GAP\)/ });
  t.strictSame(seen, []);
});
