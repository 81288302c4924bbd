import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Report, Unit } from '../harness/report.ts';
import { compare, runCompare } from './command.ts';
import { differencesOfEnvironment } from './differences.ts';
import { ratioInterval } from './intervals.ts';

function report(values: Readonly<Record<string, readonly [number, Unit]>>, changes: Partial<Report> = {}): Report {
  const metrics = Object.entries(values).map(([name, [value, unit]]) => [name, { value, unit, peers: {} }]);
  return {
    workload: 'test',
    commit: 'abc',
    date: '2026-11-22T00:00:00Z',
    machine: { cpu: 'x', cores: 2, memoryBytes: 1, kernel: 'k', node: 'n' },
    params: {},
    metrics: Object.fromEntries(metrics),
    ...changes,
  };
}

const rates = (...values: readonly number[]): Report[] => values.map((value) => report({ rate: [value, 'msg/s'] }));

t.test('the interval is that of Student’s t over logarithms, with one variance for both sides', async (t) => {
  // By hand: logs 0, 0.1 and 0.2, 0.3; variances 0.005 each, error √0.005, two degrees of freedom.
  const interval = ratioInterval([1, Math.exp(0.1)], [Math.exp(0.2), Math.exp(0.3)]);
  t.ok(Math.abs(interval.ratio - Math.exp(0.2)) < 1e-9);
  t.ok(Math.abs(interval.high - Math.exp(0.2 + 4.30265 * Math.sqrt(0.005))) < 1e-5);
  t.ok(Math.abs(interval.low - Math.exp(0.2 - 4.30265 * Math.sqrt(0.005))) < 1e-5);
});

t.test('what lies within the noise is no difference; what lies outside is one', async (t) => {
  const verdict = (a: readonly Report[], b: readonly Report[]): string => compare(a, b, 0.05)[0]!.verdict;
  t.equal(verdict(rates(100, 104, 97), rates(101, 98, 105)), 'no difference');
  t.equal(verdict(rates(100, 101, 99), rates(80, 81, 79)), 'worse');
  t.equal(verdict(rates(100, 101, 99), rates(120, 121, 119)), 'better');
  t.equal(verdict(rates(100, 101, 99), rates(103, 104, 102)), 'no difference', 'below the tolerance');
  t.equal(verdict(rates(100, 150, 60), rates(80, 130, 50)), 'no difference', 'too noisy to tell');
  t.equal(verdict(rates(100), rates(98)), 'one run a side');
  t.equal(verdict(rates(100), rates(50)), 'worse');
});

t.test('rounds of a run tell how much it varies, as several runs do', async (t) => {
  const run = (...rounds: readonly number[]): Report[] => {
    const [first] = rates(rounds[0]!);
    return [{ ...first!, metrics: { rate: { value: rounds[0]!, unit: 'msg/s', peers: {}, rounds } } }];
  };
  const [rounds] = compare(run(100, 104, 97), run(80, 81, 79), 0.05);
  const [runs] = compare(rates(100, 104, 97), rates(80, 81, 79), 0.05);
  t.strictSame(rounds, runs);
});

t.test('a single value beside several is taken to vary as they do', async (t) => {
  const interval = ratioInterval([1], [Math.exp(0.2), Math.exp(0.3), Math.exp(0.4)]);
  // By hand: variance 0.01 of three, error √(0.01 · (1 + 1/3)), two degrees of freedom.
  t.ok(Math.abs(interval.low - Math.exp(0.3 - 4.3027 * Math.sqrt(0.01 * (4 / 3)))) < 1e-4);
});

t.test('many figures of the same are no difference by chance', async (t) => {
  // Two sides of the same distribution, with a fixed generator: 200 comparisons of 20 figures each.
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const normal = (): number => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const side = (): Report[] =>
    [0, 1, 2].map(() => {
      const figure = (): readonly [number, Unit] => [Math.exp(0.1 * normal()), 'ms'];
      return report(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`m${index}`, figure()])));
    });
  const isAlarm = (): boolean => compare(side(), side(), 0.05).some(({ verdict }) => verdict !== 'no difference');
  const alarms = Array.from({ length: 200 }, isAlarm).filter(Boolean).length;
  t.ok(alarms <= 20, `${alarms} of 200 are false; ten are to be expected at most`);
});

t.test('what varies too much to tell is said to', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-compare-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'noisy.json');
  const [noisy] = rates(100);
  const rounds = [100, 300, 40];
  writeFileSync(
    path,
    JSON.stringify({ ...noisy, metrics: { rate: { value: 100, unit: 'msg/s', peers: {}, rounds } } }),
  );
  let out = '';
  const io = { out: (text: string) => void (out += text), err: () => undefined };
  t.equal(runCompare([path, path], io), 0);
  t.match(out, /no difference in 1 figures\n1 of them vary too much/);
});

t.test('of a cost, less is better', async (t) => {
  const times = (value: number): Report[] => [report({ p99_ms: [value, 'ms'], size: [5, 'client'] })];
  const [only, ...more] = compare(times(10), times(20), 0.05);
  t.equal(only!.verdict, 'worse');
  t.strictSame(more, [], 'a size is no contest');
});

t.test('a different machine is told', async (t) => {
  const [a] = rates(1);
  const other = { ...a!, machine: { ...a!.machine, cores: 4 }, params: { clients: 7 } };
  t.strictSame(differencesOfEnvironment(a!, other), ['cores differs: 2 and 4', 'clients differs: not recorded and 7']);
});

t.test('the exit code says whether something is worse', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-compare-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = (name: string, content: Report): string => {
    const path = join(directory, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const told = { out: '', err: '' };
  const io = { out: (text: string) => void (told.out += text), err: (text: string) => void (told.err += text) };
  const fast = file('a.json', rates(100)[0]!);
  const slow = file('b.json', rates(50)[0]!);
  t.equal(runCompare([fast, slow], io), 1);
  t.match(told.out, /rate .* worse/);
  t.equal(runCompare([fast, slow, '--tolerance', '60'], io), 0);
  t.equal(runCompare([`${fast},${fast}`, `${fast},${fast}`], io), 0);
  t.match(told.out, /no difference/);
  t.equal(runCompare([fast], io), 2);
  const other = file('c.json', report({ rate: [1, 'msg/s'] }, { workload: 'other' }));
  t.equal(runCompare([fast, other], io), 1);
  t.match(told.err, /BENCH_REPORT: these are reports of test and other/);
  t.equal(runCompare([fast, '/nowhere.json'], io), 1);
});

t.test('a side that failed, or lacks what the other has, is no side without a difference', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-compare-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = (name: string, values: Parameters<typeof report>[0], params: Report['params'] = {}): string => {
    const path = join(directory, name);
    writeFileSync(path, JSON.stringify(report(values, { params })));
    return path;
  };
  const run = (...argv: readonly string[]): { readonly code: number; readonly told: string } => {
    let told = '';
    const tell = (text: string): void => void (told += text);
    return { code: runCompare(argv, { out: tell, err: tell }), told };
  };
  const whole = file('a.json', { rate: [100, 'msg/s'], p99_ms: [5, 'ms'], idle: [0, 'msg/s'] });
  const failed = file('b.json', { rate: [100, 'msg/s'] }, { failed: 'BENCH_GAP' });
  t.match(run(whole, failed), { code: 1, told: /b\.json is of a run that ended early \(BENCH_GAP\)/ });
  t.match(run(failed, whole), { code: 1, told: /ended early/ });
  const dead = file('c.json', { rate: [0, 'msg/s'], p99_ms: [5, 'ms'], idle: [0, 'msg/s'] });
  t.match(run(whole, dead), { code: 1, told: /rate is not compared: 0 in B\n[^]*rate is worse \(0\)/ });
  t.notMatch(run(whole, dead).told, /idle/, 'what is 0 everywhere differs in nothing');
  const lacking = file('d.json', { rate: [100, 'msg/s'] });
  t.match(run(whole, lacking), { code: 0, told: /note    p99_ms is not compared: missing in B/ });
  t.match(run(whole, lacking, '--only', 'p99_ms'), { code: 1, told: /p99_ms cannot be compared: missing in B/ });
});
