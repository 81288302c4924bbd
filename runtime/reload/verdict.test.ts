import t from 'tap';
import { RELOAD_LIMITS } from './limits.ts';
import { findFault, NO_COUNTS, NO_TRIAL, percentileUs, sumTrials, type TrialCounts } from './verdict.ts';

/** Counts of a trial in which nothing is wrong, with `changes` to both versions and the conversions. */
function trial(
  next: object = {},
  { before = {}, conversions = {} }: { readonly before?: object; readonly conversions?: object } = {},
): TrialCounts {
  const handled = { handled: 1_000, busyUs: 20_000, slowestUs: 400 };
  return {
    ...NO_TRIAL,
    before: { ...NO_COUNTS, ...handled, ...before },
    next: { ...NO_COUNTS, ...handled, ...next },
    conversions: { ...NO_TRIAL.conversions, done: 100, busyUs: 300, ...conversions },
    firstError: 'TypeError: planted',
  };
}

/** Buckets of handlers of which most are quick, and so many take from 16 ms. */
function tail(slowCount: number, handled: number = 1_000): { handled: number; buckets: number[] } {
  const buckets = [...NO_COUNTS.buckets];
  buckets[4] = handled - slowCount;
  buckets[14] = slowCount;
  return { handled, buckets };
}

const QUICK = { before: tail(0) };
const STALL_US = RELOAD_LIMITS.turnStallMs * 1_000;

const FAULTS: readonly (readonly [what: string, counts: TrialCounts, code: string | undefined])[] = [
  ['nothing', trial(), undefined],
  ['nothing was handled', { ...NO_TRIAL }, undefined],
  ['one conversion failed', trial({}, { conversions: { failed: 1 } }), 'code_change_threw'],
  ['two were slow: a pause', trial({}, { conversions: { slow: 2, slowestUs: 9_000 } }), undefined],
  ['three were slow', trial({}, { conversions: { slow: 3, slowestUs: 9_000 } }), 'code_change_slow'],
  ['one took very long', trial({}, { conversions: { slow: 1, slowestUs: 100_000 } }), 'code_change_slow'],
  ['a handler threw', trial({ threw: 1 }), 'handler_threw'],
  ['a handler stalled', trial({ slowestUs: STALL_US }), 'handler_stalled'],
  ['so did one of the version before', trial({ slowestUs: STALL_US }, { before: { slowestUs: STALL_US } }), undefined],
  ['cold code is slower', trial({ busyUs: 1_000_000 }), undefined],
  ['far slower', trial({ busyUs: 3_000_000 }), 'handlers_slow'],
  ['slow as ever', trial({ busyUs: 3_000_000 }, { before: { busyUs: 2_500_000 } }), undefined],
  ['slow, but hardly tried', trial({ busyUs: 300_000, handled: 60 }), undefined],
  ['two in a hundred are far slower', trial(tail(20), QUICK), 'handlers_slow'],
  ['a few pauses', trial(tail(9), QUICK), undefined],
  ['two in a hundred are slow as ever', trial(tail(20), { before: tail(20) }), undefined],
  ['two in a hundred of few', trial(tail(8, 400), QUICK), undefined],
  ['a few actors end', trial({ ended: 4 }), undefined],
  ['many end', trial({ ended: 6 }), 'actors_end'],
  ['many end as before', trial({ ended: 6 }, { before: { ended: 5 } }), undefined],
];

for (const [what, counts, code] of FAULTS) {
  t.test(`${what}: ${code ?? 'it may stay'}`, async (t) => {
    t.equal(findFault(counts)?.code, code);
    if (code !== undefined) t.match(findFault(counts)!.detail, /\d/, 'with a figure');
  });
}

t.test('counts of workers add up, and the slowest stays the slowest', async (t) => {
  const sum = sumTrials(trial({ slowestUs: 10 }), trial({ slowestUs: 30, threw: 2 }, { conversions: { failed: 1 } }));
  t.match(sum, { next: { handled: 2_000, slowestUs: 30, threw: 2 }, conversions: { done: 200, failed: 1 } });
  t.equal(findFault(sumTrials(NO_TRIAL, NO_TRIAL)), undefined);
});

t.test('a percentile is the border of its bucket', async (t) => {
  const buckets = [...NO_COUNTS.buckets];
  buckets[3] = 99;
  buckets[9] = 1;
  const counts = { ...NO_COUNTS, handled: 100, buckets };
  t.equal(percentileUs(counts, 0.5), 16);
  t.equal(percentileUs(counts, 0.99), 16);
  t.equal(percentileUs(counts, 1), 1_024);
});
