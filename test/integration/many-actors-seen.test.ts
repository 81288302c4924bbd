/**
 * Looking at a worker with very many actors: 100,000 by default, a million with BLINDBEAM_SEEN_ACTORS=1000000, and then the
 * answer must come within the 100 ms that operators are promised. The default form runs beside other tests, which may hold up any answer: it
 * counts the processor time of one, and that others get their turns meanwhile.
 */

import t from 'tap';
import { Surveyor } from '../../actors/admin/surveyor.ts';
import { actorQuestions } from '../../actors/admin/actor-questions.ts';
import { medianOf } from '../../bench/harness/median.ts';
import { createNode, systemClock, systemLoop, systemRandom, type Behavior } from '../../runtime/index.ts';

const ACTORS = Number(process.env['BLINDBEAM_SEEN_ACTORS'] ?? 100_000);
/** Processor time of this process, for one answer. A view waits 60 ms for a pass. */
const COST_MS_MAX = 500;
/**
 * The same for each turn of the loop within it: actors are gone through in slices of 3 ms. Of most answers: a collection of garbage, in
 * which the processors' time of other threads counts as well, falls into a turn of one or another.
 */
const TURN_COST_MS_MAX = 25;
/** The promise is for a million on an idle machine. */
const ANSWER_MS = ACTORS >= 1_000_000 ? 100 : undefined;
/** Looks that there are at least, and at most where no pass came to its end in those. */
const LOOKS = 12;
const LOOKS_MAX = 600;

/** What looking costs, and how often others come to their turn meanwhile. */
async function measure<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; costMs: number; turns: number }> {
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  isOver = true;
  return { result, costMs: (user + system) / 1_000, turns };
}

const idler: Behavior<{ handled: number }, void> = {
  name: 'test/idler',
  init: () => ({ handled: 0 }),
  handleCast: (_message, state) => void (state.handled += 1),
};

t.test(
  `the top of ${ACTORS} actors is told while they are gone through, and in the end it is the right one`,
  async (t) => {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const node = createNode({ name: 'many', clock: systemClock, random: systemRandom, loop: systemLoop, log: silent });
    const pids = Array.from({ length: ACTORS }, () => node.spawn(idler, undefined));
    const surveyor = new Surveyor(node);
    let longestMs = 0;
    let highestCostMs = 0;
    const turnsMs: number[] = [];
    let isRight = false;
    for (let look = 0; look < LOOKS || (!isRight && look < LOOKS_MAX); look += 1) {
      for (let count = 0; count < 500; count += 1) node.cast(pids[ACTORS - 7]!, count);
      const beganMs = systemClock.monotonicMs();
      const { result: top, costMs, turns } = await measure(() => surveyor.top({ by: 'messages', rows: 20 }));
      // The first look compiles what it runs.
      if (look > 0) {
        longestMs = Math.max(longestMs, systemClock.monotonicMs() - beganMs);
        highestCostMs = Math.max(highestCostMs, costMs);
        turnsMs.push(costMs / (turns + 1));
      }
      isRight ||= top.visited === ACTORS && top.rows[0]?.pid === String(pids[ACTORS - 7]);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    t.ok(isRight, 'a whole pass found who was busy');
    const slowest = `the slowest answer came after ${longestMs.toFixed(0)} ms`;
    if (ANSWER_MS === undefined) t.comment(slowest);
    else t.ok(longestMs < ANSWER_MS, slowest);
    t.ok(highestCostMs < COST_MS_MAX, `an answer cost ${highestCostMs.toFixed(1)} ms of the processor at most`);
    t.ok(medianOf(turnsMs) < TURN_COST_MS_MAX, `a turn of the loop ${medianOf(turnsMs).toFixed(1)} ms`);

    const { roots, orphans } = await actorQuestions(node).tree({ depth: 3, children: 5 });
    t.strictSame([roots.length, orphans], [0, ACTORS]);
    for (const pid of pids) node.exit(pid, 'kill');
    await node.stop();
  },
);
