/**
 * A small supervised program under many seeds. `SIM_SEEDS=1000 node dist/test/sim/simulation.test.js` runs more of them.
 */

import t from 'tap';

import { explore, formatResult, simulate } from '../../runtime/testing/index.ts';
import { jobQueue } from './job-queue.ts';

const SEED_COUNT = Number(process.env.SIM_SEEDS ?? 200);
const FROM = Number(process.env.SIM_FROM ?? 1);

t.test(`${SEED_COUNT} seeds: workers are killed at any moment, and no job is lost`, async (t) => {
  const { seedCount, steps, failure } = await explore({
    seeds: { from: FROM, count: SEED_COUNT },
    program: jobQueue('sound'),
  });
  t.equal(failure, null, failure === null ? '' : formatResult(failure));
  t.equal(seedCount, SEED_COUNT);
  t.comment(`${steps} turns`);
});

t.test('a planted bug is found, and its seed shows it again, turn for turn', async (t) => {
  const program = jobQueue('planted');
  const { failure } = await explore({ seeds: { from: FROM, count: SEED_COUNT }, program });
  t.match(failure, { failure: { message: /every job has its result: missing \d/ } });
  const again = await simulate({ seed: failure!.seed, program });
  t.strictSame(again, failure);
  const sound = await simulate({ seed: failure!.seed, program: jobQueue('sound') });
  t.equal(sound.failure, null, 'and without the bug the seed is harmless');
  t.match(formatResult(failure!), new RegExp(`^seed ${failure!.seed}: CheckFailed: every job`));
});
