import t from 'tap';
import { LIMITS as WIRE_LIMITS } from '../../protocol/wire/index.ts';
import { beyondAll, doubted, isAfterReturn, isInDoubt, lossBefore, mayMissBefore, settledGaps } from './doubt.ts';
import { mergeGap } from '../inbox/waiting-runs.ts';
import type { Conversation } from '../inbox/recipients.ts';
import { LIMITS } from '../limits.ts';
import type { GapRecord } from './loss.ts';

const PRUNED: GapRecord = { since: 2, until: 3, code: 'APP_PRUNED' };

function conversation(accepted: number, gaps: readonly GapRecord[]): Conversation {
  return { accepted, gaps } as Conversation;
}

t.test('a record in doubt says that anything may be missing after the last id, and keeps what it knew', async (t) => {
  const record = doubted({ accepted: 7, delivered: 5, gaps: [PRUNED] }, 16);
  t.match(record, { accepted: 7, delivered: 5 });
  t.strictSame(record.gaps?.[0], PRUNED);
  t.ok(isInDoubt(conversation(7, record.gaps!)));
  t.notOk(isInDoubt(conversation(7, [PRUNED])));
  t.notOk(isInDoubt(conversation(7, [])));
});

t.test('what is in doubt is not told before it is known', async (t) => {
  const { gaps } = doubted({ accepted: 7, delivered: 5, gaps: [PRUNED] }, 16);
  t.strictSame(settledGaps(gaps!), [PRUNED]);
  t.strictSame(settledGaps([PRUNED]), [PRUNED]);
});

t.test('a store that is restored a second time is in doubt once, and the oldest gap makes room', async (t) => {
  const once = doubted({ accepted: 7, delivered: 5, gaps: [PRUNED] }, 16);
  t.strictSame(doubted(once, 16), once);
  t.strictSame(doubted({ accepted: 7, delivered: 5, gaps: [PRUNED] }, 1).gaps?.length, 1);
});

t.test('behind the largest id nothing can be missing, and no gap begins that has no place in a record', async (t) => {
  const largest = WIRE_LIMITS.messageIdMax;
  const { gaps } = doubted({ accepted: largest, delivered: 5, gaps: [PRUNED] }, 16);
  t.strictSame(gaps, [PRUNED]);
  t.strictSame(doubted({ accepted: largest - 1, delivered: 5 }, 16).gaps?.[0]?.since, largest);
});

t.test('the next message tells what is lost', async (t) => {
  t.equal(lossBefore(conversation(7, []), 8), undefined);
  t.strictSame(lossBefore(conversation(7, []), 11), { since: 8, until: 10, code: 'APP_RESTORED' });
});

t.test('what is pruned of a conversation in doubt leaves it in doubt', async (t) => {
  const { gaps } = doubted({ accepted: 7, delivered: 1 }, 16);
  const merged = mergeGap(gaps!, PRUNED);
  t.strictSame(settledGaps(merged), [PRUNED]);
  t.ok(isInDoubt({ gaps: merged }));
  let many = gaps!;
  for (let id = 2; id < 100; id += 2) many = mergeGap(many, { since: id, until: id, code: 'APP_EXPIRED' });
  t.equal(many.length, LIMITS.gapCountMax);
  t.ok(isInDoubt({ gaps: many }), 'also when the oldest make room');
});

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const NOW_MS = Date.UTC(2026, 10, 22);
/** Numbers that one row gives out in a millisecond: as many as a whole worker, in its best one. */
const PER_MS = 100;

/** A row that came back from a backup and was used until some time later: the last number that it gave out. */
function used(backup: number, { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number }): number {
  return beyondAll(backup, fromMs) + PER_MS * (untilMs - fromMs);
}

t.test('numbers go on beyond all that were given out', async (t) => {
  for (const last of [0, 1, 70_000, 2 ** 28 - 1, 2 ** 28, 5 * 2 ** 28 + 3]) {
    const first = beyondAll(last, NOW_MS);
    t.ok(first > last + 2 ** 28, `from ${last}`);
    t.ok(isAfterReturn(first));
    t.ok(beyondAll(first + 12, NOW_MS) > first + 12 + 2 ** 22, 'and a backup of what came back, at once');
  }
  t.notOk(isAfterReturn(70_000));
});

t.test('a backup that is used twice gives no number out twice, however soon', async (t) => {
  for (const apartMs of [1, SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS, 86_400_000]) {
    for (const last of [0, 70_000, beyondAll(9, NOW_MS - MINUTE_MS)]) {
      // At any time of day: there is no boundary that two returns are to be on two sides of.
      for (let fromMs = NOW_MS; fromMs < NOW_MS + 20 * MINUTE_MS; fromMs += 37 * SECOND_MS) {
        const untilMs = fromMs + apartMs;
        const first = used(last, { fromMs, untilMs });
        if (beyondAll(last, untilMs) <= first) t.fail(`from ${last}, ${apartMs} ms apart, at ${fromMs}`);
      }
    }
  }
  t.pass('beyond what the first return gave out until the second');
});

t.test('nor does one that is used again after a backup of what had come back from it', async (t) => {
  const A = 70_000;
  for (const [first, second] of [
    [SECOND_MS, SECOND_MS],
    [2 * MINUTE_MS, 18 * MINUTE_MS],
    [5 * MINUTE_MS, MINUTE_MS],
    [20 * MINUTE_MS, 2 * MINUTE_MS],
  ] as const) {
    const [secondMs, thirdMs] = [NOW_MS + first, NOW_MS + first + second];
    const afterA = used(A, { fromMs: NOW_MS, untilMs: secondMs });
    // B was taken half way; what came after it is not known to it.
    const B = used(A, { fromMs: NOW_MS, untilMs: NOW_MS + first / 2 });
    const afterB = used(B, { fromMs: secondMs, untilMs: thirdMs });
    t.ok(beyondAll(B, secondMs) > afterA, `B, ${first} ms later`);
    t.ok(beyondAll(A, thirdMs) > afterB, `A once more, ${second} ms later`);
  }
});

t.test('a clock that is wrong by years costs no number', async (t) => {
  for (const nowMs of [0, Date.UTC(2025, 0, 1), Date.UTC(2300, 0, 1), -1]) {
    t.equal(beyondAll(12, nowMs), 12 + 2 ** 28, String(nowMs));
  }
  let last = beyondAll(7, Date.UTC(2059, 0, 1));
  for (let count = 0; count < 500; count++) last = beyondAll(last, Date.UTC(2060, 0, 1));
  t.ok(last < 2 ** 48, 'and there is room after the last year');
});

t.test('what may be missing in a row of places', async (t) => {
  const back = beyondAll(9, NOW_MS);
  const sure = { accepted: 9, gaps: [] };
  t.notOk(mayMissBefore(sure, 10));
  t.notOk(mayMissBefore(sure, 12), 'a hole is what a full inbox left out, or what one wrote oneself');
  t.notOk(mayMissBefore(sure, 2 ** 27), 'however large it is');
  t.ok(mayMissBefore(sure, back + 1), 'the group has lost something');
  t.notOk(mayMissBefore({ accepted: back + 1, gaps: [] }, back + 3));
  t.notOk(mayMissBefore({ accepted: back + 1, gaps: [] }, back + 1_000_000), 'wherever it went on');
  const again = beyondAll(back + 500, NOW_MS + MINUTE_MS);
  t.ok(mayMissBefore({ accepted: back + 500, gaps: [] }, again + 1), 'once more, a minute later');
  t.ok(mayMissBefore({ accepted: 9, gaps: doubted({ accepted: 9, delivered: 2 }, 16).gaps! }, 10), 'or the row itself');
});
