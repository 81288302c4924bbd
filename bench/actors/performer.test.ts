/** Real processes: our host, and the BEAM where it is installed. Each program once, in a tiny size, on both sides. */

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ErlangTwins, parseFigure, refuseErlang } from '../peers/erlang.ts';
import { ownTemporaryDirectory } from '../testing/temporary-directory.ts';
import { boutsOf, contest, roundsOf, type Side, turnsOf } from './contest.ts';
import { NodePerformer, type Performer } from './performer.ts';
import { type Program, sizesAt } from './program.ts';
import { findProgram, PROGRAMS } from './programs/index.ts';

const HOST: string = fileURLToPath(new URL('./host-main.js', import.meta.url));
const never = new AbortController().signal;
const noErlang = refuseErlang();

async function metricsOf(performer: Performer, program: Program): Promise<string[]> {
  try {
    await performer.started();
    const figures = await performer.run(sizesAt(program, 'tiny'));
    return [...new Set(figures.filter(([, value]) => value > 0).map(([metric]) => metric))];
  } finally {
    await performer.stop();
  }
}

for (const program of PROGRAMS.filter(({ name, workers = 1 }) => workers > 1 || name === 'idle_memory')) {
  t.test(`${program.name} runs in a process of its own`, async (t) => {
    const metrics = await metricsOf(new NodePerformer(HOST, program.name, never), program);
    t.same(metrics, Object.keys(program.metrics));
  });
}

t.test('every program has an Erlang twin that yields the same metrics', { skip: noErlang ?? false }, async (t) => {
  const twins = await ErlangTwins.compile(never);
  t.teardown(() => twins.remove());
  for (const program of PROGRAMS) {
    const metrics = await metricsOf(twins.start(program.name, program.workers ?? 1), program);
    t.same(metrics, Object.keys(program.metrics), program.name);
  }
});

t.test('an Erlang process that fails is told with its last words', { skip: noErlang ?? false }, async (t) => {
  const twins = await ErlangTwins.compile(never);
  t.teardown(() => twins.remove());
  const performer = twins.start('ping_pong', 1);
  await performer.started();
  await t.rejects(performer.run({ messages: 7, nothing: 7 }), { code: 'BENCH_CHILD', message: /function_clause/ });
  await performer.stop();
});

t.test('an interrupted compilation leaves nothing behind', { skip: noErlang ?? false }, async (t) => {
  const directory = ownTemporaryDirectory(t);
  await t.rejects(ErlangTwins.compile(AbortSignal.abort()), { code: 'BENCH_INTERRUPTED' });
  t.same(readdirSync(directory), []);
});

t.test('an answer of the BEAM is a metric and a value, and nothing else', async (t) => {
  t.same(parseFigure('ping_pong_msgs_per_s 3906578.091519405'), ['ping_pong_msgs_per_s', 3906578.091519405]);
  t.same(parseFigure('skynet_1m_s 1.5e-3'), ['skynet_1m_s', 0.0015]);
  for (const line of ['', 'done?', 'metric', 'metric ', 'metric x', 'metric 1 2', '=ERROR REPORT= 1']) {
    t.throws(() => parseFigure(line), { code: 'BENCH_CHILD' }, line);
  }
});

t.test('a host that ends early, or is interrupted, is told so', async (t) => {
  const lost = new NodePerformer(HOST, 'no such program', never);
  await t.rejects(lost.started(), { code: 'BENCH_CHILD', message: /expected a name of a program/ });
  await lost.stop();
  const abort = new AbortController();
  const performer = new NodePerformer(HOST, 'ping_pong', abort.signal);
  abort.abort();
  await t.rejects(performer.started(), { code: 'BENCH_INTERRUPTED' });
  await performer.stop();
});

t.test('sides take turns, each round beginning with another', async (t) => {
  t.same(turnsOf([3, 3]), [0, 1, 1, 0, 0, 1]);
  t.same(turnsOf([3, 1, 2]), [0, 1, 2, 2, 0, 0]);
  t.same(roundsOf({ full: 3, quick: 2, peerQuick: 1 }, 'quick'), [2, 1]);
  t.same(roundsOf({ full: 3, quick: 2, peerQuick: 1 }, 'full'), [3, 3]);
});

t.test('fresh rounds have processes of their own', async (t) => {
  const start = (): Performer => stub([], [], 'x');
  const sides: Side[] = [
    { name: 'ours', rounds: 2, start },
    { name: 'beam', rounds: 1, start },
  ];
  const names = (bouts: Side[][]): string[][] =>
    bouts.map((bout) => bout.map(({ name, rounds }) => `${name} ${rounds}`));
  t.same(names(boutsOf({ full: 1, quick: 1 }, sides)), [['ours 2', 'beam 1']]);
  t.same(names(boutsOf({ full: 1, quick: 1, isFresh: true }, sides)), [['ours 1', 'beam 1'], ['ours 1']]);
});

/** Yields what it is told to. */
function stub(values: readonly number[], ran: string[], name: string): Performer {
  let run = 0;
  return {
    pid: 0,
    started: async () => undefined,
    run: async ({ messages }) => {
      ran.push(`${name} ${messages}`);
      return [['ping_pong_msgs_per_s', values[run++]!]];
    },
    stop: async () => void ran.push(`${name} stopped`),
  };
}

t.test('a contest warms up, alternates, takes medians and stops everybody', async (t) => {
  const ran: string[] = [];
  const sides: Side[] = [
    { name: 'ours', rounds: 3, start: () => stub([1, 30, 10, 20], ran, 'ours') },
    { name: 'beam', rounds: 1, start: () => stub([2, 7], ran, 'beam') },
  ];
  const program = findProgram('ping_pong');
  const standings = await contest(program, 'tiny', sides);
  t.same(
    [...standings].map(([side, medians]) => [side, ...medians.values()]),
    [
      ['ours', 20],
      ['beam', 7],
    ],
  );
  const { messages: warmUp } = sizesAt(program, 'warmUp');
  const { messages: tiny } = sizesAt(program, 'tiny');
  t.same(ran, [
    `ours ${warmUp}`,
    `beam ${warmUp}`,
    `ours ${tiny}`,
    `beam ${tiny}`,
    `ours ${tiny}`,
    `ours ${tiny}`,
    'ours stopped',
    'beam stopped',
  ]);
});

t.test('a side that fails ends the contest, and all are stopped', async (t) => {
  const ran: string[] = [];
  const broken = (): Performer => ({ ...stub([], ran, 'beam'), run: () => Promise.reject(new Error('broken')) });
  const sides: Side[] = [
    { name: 'ours', rounds: 1, start: () => stub([1, 2], ran, 'ours') },
    { name: 'beam', rounds: 1, start: broken },
  ];
  await t.rejects(contest(findProgram('ping_pong'), 'tiny', sides), { message: 'broken' });
  t.same(ran.slice(-2), ['ours stopped', 'beam stopped']);
});
