/** The workload in tiny sizes with every peer that is installed: the report that a machine reads, and the refusals. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findProgram } from '../actors/programs/index.ts';
import type { Report } from '../harness/report.ts';
import { refuseErlang } from '../peers/erlang.ts';
import { refuseNact } from '../peers/nact-actors.ts';
import { runBench, type BenchIo } from '../run.ts';
import { createActorsWorkload } from './actors.ts';

// All of them, on both sides, run in ../actors/programs.test.ts and ../actors/performer.test.ts.
const SOME = ['idle_memory', 'ping_pong', 'big'].map(findProgram);

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function bench(...argv: string[]): Promise<Outcome> {
  const text = { out: '', err: '' };
  const io: BenchIo = {
    out: (more) => void (text.out += more),
    err: (more) => void (text.err += more),
    isTty: false,
    onInterrupt: () => () => undefined,
  };
  const code = await runBench(['actors', ...argv], io, [createActorsWorkload({ scale: 'tiny', programs: SOME })]);
  return { code, ...text };
}

t.test('every program is in the report with the peers that are installed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-test-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'actors.json');
  const { code, out, err } = await bench('--samples', '1', '--json', file);
  t.equal(code, 0, err);
  const { metrics, params } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  t.same(params, { samples: 1, quick: false });
  for (const program of SOME) {
    for (const [metric, unit] of Object.entries(program.metrics)) {
      t.match(metrics[metric], { value: Number, unit }, metric);
      if (refuseErlang() === undefined) t.match(metrics[metric]!.peers.beam, { value: Number, ratio: Number }, metric);
    }
  }
  if (refuseNact() === undefined) t.ok(metrics.ping_pong_msgs_per_s!.peers.nact!.ratio > 0);
  t.ok(metrics.ping_pong_msgs_per_s!.peers.bare_js!.ratio > 0);
  t.match(out, /bytes_per_actor ≤ 540/);
  for (const refusal of [refuseErlang(), refuseNact()]) if (refusal !== undefined) t.match(out, refusal);
});

t.test('one program alone is measured with --only', async (t) => {
  const { code, out } = await bench('--only', 'big', '--samples', '1');
  t.equal(code, 0);
  t.match(out, /^big_msgs_per_s/m);
  t.notMatch(out, /^ping_pong_msgs_per_s/m);
  t.match(out, /only big/);
});

t.test('--check fails a run that does not show its marks', async (t) => {
  t.match(await bench('--only', 'big', '--samples', '1', '--check'), {
    code: 1,
    out: /missed +skynet_1m_s, ratio to beam/,
  });
});

t.test('wrong arguments are told with the right ones', async (t) => {
  const wrong = [
    [['--only', 'nothing'], /--only expected one of idle_memory.*, got "nothing"/],
    [['--only'], /'--only <value>' argument missing/],
    [['--samples', '101'], /--samples expected an integer from 0 to 100, got "101"/],
    [['--pairs', '3'], /Unknown option '--pairs'/],
  ] as const;
  for (const [argv, err] of wrong) t.match(await bench(...argv), { code: 2, err }, argv.join(' '));
});
