import t from 'tap';
import type { Receipt } from '../messages.ts';
import { BOB } from '../test-kit.ts';
import { dropPending, look, noPending, type Pending } from './pending.ts';
import { handOver, takeRefused, takeStored } from './runs.ts';
import { answered, refused, writeReceipt } from './unanswered.ts';

function handedOver(ids: readonly number[]): Pending {
  const pending = noPending();
  for (const id of ids) handOver(pending.runs!, BOB, id);
  return pending;
}

t.test('what is unanswered behind a refusal is overdue at the next look; what is refused is not', async (t) => {
  const refused = handedOver([2, 3]);
  t.notSame(look(refused), 'overdue');
  for (const id of [2, 3]) takeRefused(refused.runs!, BOB, id);
  t.strictSame(look(refused), { acknowledgeAgain: 0, isIdle: true });
  const pending = handedOver([2, 3]);
  look(pending);
  takeRefused(pending.runs!, BOB, 3);
  handOver(pending.runs!, BOB, 3);
  t.equal(look(pending), 'overdue', '2 has no answer, however often 3 has');
  // What goes back behind a look is new to it.
  const again = handedOver([2, 3, 4]);
  look(again);
  takeRefused(again.runs!, BOB, 2);
  handOver(again.runs!, BOB, 2);
  for (const id of [3, 4]) takeRefused(again.runs!, BOB, id);
  t.match(look(again), { isIdle: false });
  takeStored(again.runs!, BOB, 2);
  t.match(look(again), { isIdle: true });
});

t.test('what follows in the row of what a look has seen is not overdue with it', async (t) => {
  const pending = handedOver([2]);
  look(pending);
  handOver(pending.runs!, BOB, 3);
  takeStored(pending.runs!, BOB, 2);
  t.match(look(pending), { isIdle: false });
  t.equal(look(pending), 'overdue');
});

t.test(
  'a message to a group that has no answer is overdue too, beside one of a person that was seen first',
  async (t) => {
    const pending = noPending();
    handOver(pending.groupRuns!, '700000000000001', 1);
    t.match(look(pending), { isIdle: false });
    handOver(pending.runs!, BOB, 1);
    t.equal(look(pending), 'overdue');
  },
);

t.test('the last acknowledgement is said once more, and what is dropped is not pending', async (t) => {
  const pending = handedOver([2, 3]);
  pending.acknowledged = 7;
  t.strictSame(look(pending), { acknowledgeAgain: 7, isIdle: false });
  handOver(pending.groupRuns!, '700000000000001', 1);
  dropPending(pending);
  t.strictSame(look(pending), { acknowledgeAgain: 0, isIdle: true });
});

t.test(
  'a state from before a reload, which counted otherwise: what comes is counted, what is held is written',
  async (t) => {
    const receipt = { kind: 'receipt', type: 'delivered', from: BOB, id: 2, ts: 1 } as const;
    const former = {
      messages: new Map([[BOB, 3]]),
      groupMessages: new Map(),
      watched: new Map(),
      watchedOfGroups: new Map(),
    };
    const pending = {
      ...former,
      receipts: new Map<string, Receipt>([['delivered', receipt]]),
      acknowledged: 7,
      isTimed: true,
    } as Pending;
    const written: unknown[] = [];
    const state = { pending, socket: { write: (stanza: unknown) => void written.push(stanza) } } as never;
    t.strictSame(look(pending), { acknowledgeAgain: 7, isIdle: true });
    refused(BOB, 9, state);
    t.equal(written.length, 1, 'the receipt');
    writeReceipt({ ...receipt, type: 'read' }, state);
    t.equal(written.length, 2, 'nothing is waited for');
    handOver((pending.runs ??= new Map()), BOB, 4);
    t.match(look(pending), { isIdle: false });
    t.equal(look(pending), 'overdue');
    answered(BOB, 4, state);
    t.match(look(pending), { isIdle: true });
  },
);
