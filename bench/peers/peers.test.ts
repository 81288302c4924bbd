/** The peer and the ceiling in JavaScript do the work of our programs, in tiny sizes and real processes. */

import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NodePerformer } from '../actors/performer.ts';
import { type PeerName, sizesAt } from '../actors/program.ts';
import { PROGRAMS } from '../actors/programs/index.ts';
import { answer } from '../actors/serve.ts';
import { BARE_PROGRAMS, RunQueue } from '../ceilings/bare-actors.ts';
import { BenchError } from '../errors.ts';
import { NACT_PROGRAMS, refuseNact } from './nact-actors.ts';

const never = new AbortController().signal;
const ENTRIES = { nact: './nact-main.js', bare_js: '../ceilings/bare-actors-main.js' } as const;
const RUNS = { nact: NACT_PROGRAMS, bare_js: BARE_PROGRAMS } as const;

function programsWith(peer: PeerName): string[] {
  return PROGRAMS.filter(({ peers }) => peers.includes(peer)).map(({ name }) => name);
}

for (const peer of ['nact', 'bare_js'] as const) {
  const reason = peer === 'nact' ? refuseNact() : undefined;
  t.test(`${peer} has the programs that name it`, { skip: reason ?? false }, async (t) => {
    t.same(Object.keys(RUNS[peer]).toSorted(), programsWith(peer).toSorted());
    for (const program of PROGRAMS.filter(({ peers }) => peers.includes(peer))) {
      const performer = new NodePerformer(fileURLToPath(new URL(ENTRIES[peer], import.meta.url)), program.name, never);
      await performer.started();
      const figures = await performer.run(sizesAt(program, 'tiny', peer));
      await performer.stop();
      t.ok(figures.length > 0, program.name);
      for (const [metric, value] of figures) t.ok(metric in program.metrics && value > 0, `${metric} ${value}`);
    }
  });
}

t.test('a bound for nact holds for nact only', async (t) => {
  const program = { ...PROGRAMS[0]!, sizes: { messages: { full: 100, quick: 10, tiny: 1, nactMax: 5 } } };
  t.same(sizesAt(program, 'full'), { messages: 100 });
  t.same(sizesAt(program, 'warmUp', 'beam'), { messages: 10 });
  t.same(sizesAt(program, 'full', 'nact'), { messages: 5 });
  t.same(sizesAt(program, 'tiny', 'nact'), { messages: 1 });
});

t.test('what a run throws becomes an answer with its code', async (t) => {
  const wrong = async (): Promise<never> => Promise.reject(new BenchError('BENCH_RESULT', 'sum'));
  t.same(await answer(wrong, {}), { kind: 'failed', code: 'BENCH_RESULT', detail: 'sum' });
  const broken = async (): Promise<never> => Promise.reject(new TypeError('a bug'));
  t.match(await answer(broken, {}), { kind: 'failed', code: 'BENCH_CHILD', detail: /a bug[^]*at / });
});

t.test('the bare queue keeps order and refuses what does not fit', async (t) => {
  const queue = new RunQueue();
  const seen: number[] = [];
  const actor = { receive: (message: number) => void seen.push(message) };
  for (let message = 0; message < 4_096; message += 1) queue.send(actor, message);
  t.throws(() => queue.send(actor, 4_096), RangeError);
  queue.run();
  t.same(
    seen,
    Array.from({ length: 4_096 }, (_, index) => index),
  );
});
