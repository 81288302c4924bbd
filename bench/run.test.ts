import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { BENCH_ERRORS, BenchError } from './errors.ts';
import type { Workload } from './harness/registry.ts';
import type { Report } from './harness/report.ts';
import { runBench, type BenchIo } from './run.ts';
import { WORKLOADS } from './workloads/index.ts';
import { createMessagesWorkload } from './workloads/messages.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface TestIo extends BenchIo {
  interrupt: () => void;
  text: { out: string; err: string };
}

function testIo(isTty = false): TestIo {
  const io: TestIo = {
    text: { out: '', err: '' },
    out: (text) => void (io.text.out += text),
    err: (text) => void (io.text.err += text),
    isTty,
    interrupt: () => undefined,
    onInterrupt: (stop) => {
      io.interrupt = stop;
      return () => undefined;
    },
  };
  return io;
}

async function bench(argv: readonly string[], workloads: readonly Workload[], io: TestIo = testIo()): Promise<Outcome> {
  const code = await runBench(argv, io, workloads);
  return { code, ...io.text };
}

/** A workload that records one figure and then does `after`. */
function workloadOf(rate: number, after: (signal: AbortSignal) => Promise<void> = async () => undefined): Workload {
  return {
    name: 'test',
    question: 'does the harness work?',
    options: { size: { default: 10, quick: 2, min: 1, max: 100, help: 'a size' } },
    thresholds: [{ metric: 'rate', bound: 'at-least', value: 100 }],
    run: async ({ options, recorder, progress, signal }) => {
      progress('measuring');
      recorder.metric('rate', rate, 'msg/s');
      recorder.metric('size', options.size, 'msg');
      await after(signal);
    },
  };
}

function reportFile(t: Test): { readonly path: string; readonly read: () => Report } {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-test-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'report.json');
  return { path, read: () => JSON.parse(readFileSync(path, 'utf8')) as Report };
}

t.test('wrong usage is told in two lines, with what is meant and where help is, and exits with 2', async (t) => {
  const workloads = [workloadOf(1)];
  const wrong = [
    [['nothing'], /^blindbeam bench: there is no workload "nothing"\.\nblindbeam bench list /],
    [['tset'], /no workload "tset"; did you mean test\.\n/],
    [['test', '--sise', '3'], /'--sise'.*\.\nblindbeam bench test --help /],
    [['test', '--size', '0'], /--size expected an integer from 1 to 100, got "0"\.\n/],
    [['test', '--size', '1.5'], /--size expected an integer/],
    [['test', 'x'], /'x'/],
  ] as const;
  for (const [argv, said] of wrong) {
    const { code, out, err } = await bench(argv, workloads);
    t.equal(code, 2, argv.join(' '));
    t.equal(out, '');
    t.match(err, said);
    t.equal(err.trimEnd().split('\n').length, 2, err);
  }
  t.match(await bench([], workloads), { code: 2, out: '', err: /^Usage: blindbeam bench/ });
});

t.test('no workload has an option of a name that all of them have', async (t) => {
  for (const { name } of WORKLOADS) {
    const { out } = await bench([name, '--help'], WORKLOADS);
    const flags = [...out.matchAll(/^ {2}--(\S+)/gm)].map(([, flag]) => flag);
    t.ok(flags.includes('rounds'), name);
    t.strictSame(flags, [...new Set(flags)], name);
  }
});

t.test('help and list exit with 0 and name every workload and option', async (t) => {
  const workloads = [workloadOf(1), createMessagesWorkload()];
  t.match(await bench(['list'], workloads), { code: 0, out: /test +does the harness work\?\n.*messages/ });
  t.match(await bench(['--help'], workloads), { code: 0, out: /bench list[^]*messages/ });
  t.match(await bench(['test', '--help'], workloads), {
    code: 0,
    out: /--size +a size \(default 10, 2 with --quick; 1 to 100\)/,
  });
});

t.test('a threshold counts with --check only', async (t) => {
  t.match(await bench(['test'], [workloadOf(50)]), { code: 0, out: /missed +rate ≥ 100/ });
  t.match(await bench(['test', '--check'], [workloadOf(50)]), { code: 1 });
  t.match(await bench(['test', '--check'], [workloadOf(100)]), { code: 0, out: /met +rate ≥ 100/ });
});

t.test('--json writes the report with the settings that were used', async (t) => {
  const { path, read } = reportFile(t);
  t.match(await bench(['test', '--quick', '--json', path], [workloadOf(7)]), { code: 0 });
  const report = read();
  t.same(Object.keys(report), ['workload', 'commit', 'date', 'machine', 'params', 'metrics', 'environment', 'notes']);
  t.same(report.params, { size: 2, quick: true });
  t.same(report.metrics.rate, { value: 7, unit: 'msg/s', peers: {} });
});

t.test('a report that cannot be written is told before anything is measured', async (t) => {
  let hasRun = false;
  const workload = workloadOf(7, async () => void (hasRun = true));
  for (const flag of ['--json', '--html']) {
    const { code, err } = await bench(['test', flag, '/nowhere/at/all'], [workload]);
    t.equal(code, 1);
    t.match(err, /^blindbeam bench test: BENCH_REPORT: the report cannot be written: ENOENT.*\n$/);
  }
  t.equal(hasRun, false);
});

t.test('a run that fails exits with 1, says why and reports what it measured before', async (t) => {
  const { path, read } = reportFile(t);
  const workload = workloadOf(500, async () => {
    throw new BenchError('BENCH_GAP', 'message 7');
  });
  t.match(await bench(['test', '--json', path], [workload]), { code: 1, err: /BENCH_GAP: message 7/ });
  t.match(read(), { params: { failed: 'BENCH_GAP' }, metrics: { rate: { value: 500 } } });
});

t.test('a bug of the benchmark is not dressed up as a failed run', async (t) => {
  const workload = workloadOf(1, async () => {
    throw new TypeError('a bug');
  });
  await t.rejects(bench(['test'], [workload]), TypeError);
});

t.test('the progress line is for terminals', async (t) => {
  t.notMatch((await bench(['test'], [workloadOf(1)], testIo(false))).err, /measuring/);
  t.match((await bench(['test'], [workloadOf(1)], testIo(true))).err, /measuring/);
});

const STAND_IN: string = fileURLToPath(new URL('./testing/stand-in-main.js', import.meta.url));
/** Seconds of 400 ms, and no ceilings. */
const QUICK = { secondMs: 400, withCeilings: false } as const;
/** Seconds of a run that ends by itself, as soon as a machine that does much else gets there. */
const LONG = { ...QUICK, secondMs: 10_000 } as const;
/** Of the longest run that goes to its end. */
const SECOND_MS_MAX = 6_400;
const SMALL = [
  'messages',
  '--pairs',
  '3',
  '--in-flight',
  '4',
  '--warm-up',
  '0',
  '--seconds',
  '1',
  '--rate',
  '300',
  '--steady-rate',
  '50',
];

t.test('the workload messages measures a server that keeps its promises', async (t) => {
  const { path, read } = reportFile(t);
  const promised = [
    'accepted_per_s',
    'delivered_per_s',
    'p50_ms',
    'p99_ms',
    'receipt_p99_ms',
    'messages_per_flush',
    'steady_p50_ms',
    'steady_p99_ms',
    'delivered_1_per_s',
  ];
  let said: Outcome;
  let metrics: Report['metrics'];
  // Others may have the processors for the whole of a short window: then a longer one.
  for (let { secondMs }: { secondMs: number } = QUICK; ; secondMs *= 4) {
    const workload = createMessagesWorkload({ serverScript: STAND_IN, ...QUICK, secondMs });
    said = await bench([...SMALL, '--json', path], [workload]);
    ({ metrics } = read());
    if (promised.every((name) => (metrics[name]?.value ?? 0) > 0) || secondMs >= SECOND_MS_MAX) break;
  }
  const { code, out, err } = said;
  t.equal(code, 0, err);
  for (const name of promised) t.ok(metrics[name]!.value > 0, name);
  t.equal(metrics.messages_per_flush!.value, 1, 'the stand-in commits one by one');
  t.match(out, /delivered_per_s/);
});

t.test('a steady rate that the server cannot carry is left out, and the report says so', async (t) => {
  const { path, read } = reportFile(t);
  const workload = createMessagesWorkload({ serverScript: STAND_IN, ...QUICK, secondMs: 1_600 });
  t.match(await bench([...SMALL, '--steady-rate', '900000', '--json', path], [workload]), { code: 0 });
  const { metrics, notes } = read();
  t.equal(metrics['steady_p50_ms'], undefined);
  t.ok(notes!.includes('steady_…: left out, the server saturates below 900000 msg/s'));
});

t.test('a lost message makes the run fail', async (t) => {
  const serverFlags = ['--fault', 'lose', '--at', '25'];
  const workload = createMessagesWorkload({ serverScript: STAND_IN, serverFlags, ...LONG });
  t.match(await bench(SMALL, [workload]), { code: 1, err: /BENCH_GAP: pair \d: message 26/ });
});

t.test('a server that dies under load is told by its own last words', async (t) => {
  const serverFlags = ['--manner', 'die-under-load'];
  const workload = createMessagesWorkload({ serverScript: STAND_IN, serverFlags, ...LONG });
  t.match(await bench(SMALL, [workload]), { code: 1, err: /BENCH_SERVER[^]*told to crash/ });
});

t.test('a server slowed down shows in p99 and misses its threshold', async (t) => {
  const { path, read } = reportFile(t);
  const serverFlags = ['--delay-ms', '50'];
  const workload = createMessagesWorkload({ serverScript: STAND_IN, serverFlags, ...QUICK });
  t.match(await bench([...SMALL, '--check', '--json', path], [workload]), { code: 1, out: /missed +p99_ms < 20/ });
  t.ok(read().metrics.p99_ms!.value >= 49);
});

t.test('an interrupted run stops its children and leaves a valid report', async (t) => {
  const { path, read } = reportFile(t);
  const io = testIo(true);
  const workload = createMessagesWorkload({ serverScript: STAND_IN, ...QUICK, secondMs: 4 * QUICK.secondMs });
  const outcome = bench([...SMALL, '--json', path], [workload], {
    ...io,
    err: (text) => {
      io.err(text);
      if (text.includes('half load')) io.interrupt();
    },
    onInterrupt: io.onInterrupt,
  });
  t.equal((await outcome).code, 1);
  const { params, metrics } = read();
  t.equal(params.failed, 'BENCH_INTERRUPTED');
  t.ok(metrics.delivered_per_s!.value > 0, 'what was measured before is there');
  t.equal(metrics.p99_ms, undefined, 'what was not is not');
});

t.test('nothing is left behind that keeps the process alive', async (t) => {
  const left = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout' || kind === 'MessagePort');
  t.same(left, [], 'a timer would hold the command line up for as long as it runs');
});

t.test('codes and meanings in the README are those of the catalogue', async (t) => {
  const readme = readFileSync(new URL('../../bench/README.md', import.meta.url), 'utf8');
  const told = [...readme.matchAll(/^\| `(BENCH_\w+)` \| (.*) \|$/gm)].map(([, code, meaning]) => [code, meaning]);
  t.same(
    told,
    Object.entries(BENCH_ERRORS).map(([code, { meaning }]) => [code, meaning]),
  );
});
