import t from 'tap';
import { doubted, isInDoubt, lossBefore, settledGaps } from './doubt.ts';
import type { Conversation } from './recipients.ts';
import type { GapRecord } from './store/loss.ts';

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

t.test('the next message tells what is lost', async (t) => {
  t.equal(lossBefore(conversation(7, []), 8), undefined);
  t.strictSame(lossBefore(conversation(7, []), 11), { since: 8, until: 10, code: 'APP_RESTORED' });
});
