import t, { type Test } from 'tap';
import { BOB } from '../test-kit.ts';
import { dropPending, look, noPending, noteAnswer, noteHandedOver, noteRefused, type Pending } from './pending.ts';

/** Of Bob's messages, those that are unanswered: from and to. */
function run({ messages, firsts }: Pending): readonly number[] {
  const last = messages.get(BOB);
  return last === undefined ? [] : [firsts?.get(BOB) ?? last, last];
}

function handedOver(ids: readonly number[], inCluster = true): Pending {
  const pending = noPending();
  for (const id of ids) noteHandedOver(pending, BOB, id, inCluster);
  return pending;
}

function isEmpty(t: Test, pending: Pending): void {
  t.strictSame(run(pending), []);
  t.equal(pending.firsts?.size ?? 0, 0, 'and nothing is left behind');
}

t.test('an acknowledgement covers all before it', async (t) => {
  const pending = handedOver([2, 3, 4, 5]);
  t.strictSame(run(pending), [2, 5]);
  noteAnswer(pending, BOB, 3);
  t.strictSame(run(pending), [4, 5]);
  noteAnswer(pending, BOB, 4);
  t.strictSame(run(pending), [5, 5]);
  noteAnswer(pending, BOB, 5);
  isEmpty(t, pending);
});

t.test('a refusal covers nothing before it, and what followed is refused too', async (t) => {
  const pending = handedOver([2, 3, 4, 5]);
  noteRefused(pending, BOB, 4);
  t.strictSame(run(pending), [2, 3]);
  noteRefused(pending, BOB, 5);
  t.strictSame(run(pending), [2, 3]);
  noteRefused(pending, BOB, 3);
  t.strictSame(run(pending), [2, 2]);
  noteRefused(pending, BOB, 2);
  isEmpty(t, pending);
});

t.test('refused from the first on, one after the other', async (t) => {
  const pending = handedOver([2, 3, 4]);
  for (const id of [2, 3]) noteRefused(pending, BOB, id);
  t.strictSame(run(pending), [4, 4]);
  noteRefused(pending, BOB, 4);
  isEmpty(t, pending);
});

t.test('what is said again begins the run anew, and late refusals of what followed say nothing of it', async (t) => {
  const pending = handedOver([2, 3, 4]);
  noteRefused(pending, BOB, 2);
  noteHandedOver(pending, BOB, 2, true);
  for (const id of [3, 4]) noteRefused(pending, BOB, id);
  t.strictSame(run(pending), [2, 2]);
  for (const id of [3, 4]) noteHandedOver(pending, BOB, id, true);
  t.strictSame(run(pending), [2, 4]);
  noteRefused(pending, BOB, 1);
  t.strictSame(run(pending), [2, 4]);
  dropPending(pending);
  isEmpty(t, pending);
});

t.test('without a cluster the last one decides, and no first is kept', async (t) => {
  const pending = handedOver([2, 3], false);
  t.equal(pending.firsts, undefined);
  noteRefused(pending, BOB, 2);
  t.strictSame(run(pending), [3, 3]);
  noteRefused(pending, BOB, 3);
  isEmpty(t, pending);
});

t.test('what is unanswered behind a refusal is overdue at the next look; what is refused is not', async (t) => {
  for (const inCluster of [true, false]) {
    const pending = handedOver([2, 3], inCluster);
    t.notSame(look(pending), 'overdue');
    for (const id of [2, 3]) noteRefused(pending, BOB, id);
    t.strictSame(look(pending), { acknowledgeAgain: 0, isIdle: true });
  }
  const pending = handedOver([2, 3]);
  look(pending);
  noteRefused(pending, BOB, 3);
  noteHandedOver(pending, BOB, 3, true);
  t.equal(look(pending), 'overdue', '2 has no answer, however often 3 has');
  // A run that began anew behind a look.
  const again = handedOver([2, 3, 4]);
  look(again);
  noteRefused(again, BOB, 2);
  noteHandedOver(again, BOB, 2, true);
  for (const id of [3, 4]) noteRefused(again, BOB, id);
  noteAnswer(again, BOB, 2);
  t.match(look(again), { isIdle: true });
});
