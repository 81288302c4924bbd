/** Planning alone: no scheduler, no clock, no disk. What goes in is a queue, what comes out is a plan. */

import t from 'tap';
import type { Pid } from '../../runtime/index.ts';
import { firstState } from './state.ts';
import { isEmpty, planCommit } from './plan.ts';
import type { InboxState, Queued } from './state.ts';
import { LIMITS } from '../limits.ts';
import { ALICE, BOB, DEVICE, submission } from '../test-kit.ts';
import { MemoryStore } from '../store/memory.ts';

const NOW = { wallMs: 1_700_000_000_000.7, monotonicMs: 5 };
/** Nobody is told anything here, so any value will do. */
const CONNECTION = { name: 'somebody' } as unknown as Pid;

async function stateWith(...queue: Queued[]): Promise<InboxState> {
  const store = new MemoryStore();
  await store.commit((batch) => {
    for (const user of [ALICE, BOB]) {
      batch.putAccount({ user, phone: `+${user}`, devices: [1], creations: 1 });
      batch.putDevice(user, 1, DEVICE);
    }
  });
  const state = firstState({ store, queuedBytesMax: 1_000_000 } as never);
  state.queue = queue;
  return state;
}

t.test('a plan says what is accepted, what is added, and who is to be refused', async (t) => {
  const state = await stateWith(
    submission(CONNECTION, ALICE, BOB, 1, 'one'),
    submission(CONNECTION, ALICE, BOB, 3, 'three'),
    submission(CONNECTION, ALICE, BOB, 2, 'two'),
    submission(CONNECTION, ALICE, '555555555555555', 1),
  );
  const commit = planCommit(state, NOW);
  t.equal(isEmpty(commit), false);
  t.equal(commit.ts, 1_700_000_000_000, 'whole milliseconds');
  const [push] = [...commit.pushes.values()];
  t.strictSame(
    push!.entries.map(({ seq, id }) => [seq, id]),
    [
      [1, 1],
      [2, 2],
    ],
  );
  t.equal(push!.arrivals.length, 0, 'nobody is there: they wait');
  t.match(commit.told, [
    { connection: CONNECTION, message: { kind: 'refused', id: 3, refusal: { code: 'APP_OUT_OF_ORDER', expected: 2 } } },
    { connection: CONNECTION, message: { kind: 'refused', refusal: { code: 'APP_UNKNOWN_USER' } } },
  ]);
  t.strictSame(state.queue, []);
});

t.test('without a record, nothing past a refused message opens a conversation', async (t) => {
  const state = await stateWith(
    submission(CONNECTION, ALICE, BOB, 1, 'x'.repeat(500)),
    submission(CONNECTION, ALICE, BOB, 2, 'small'),
  );
  Object.assign(state.args, { queuedBytesMax: 400 });
  const commit = planCommit(state, NOW);
  t.equal(isEmpty(commit), true);
  t.match(commit.told, [
    { message: { kind: 'refused', id: 1, refusal: { code: 'APP_STORE_FULL' } } },
    { message: { kind: 'refused', id: 2, refusal: { code: 'APP_OUT_OF_ORDER', expected: 1 } } },
  ]);
  state.queue = [1, 2].map((id) => submission(CONNECTION, ALICE, BOB, id, 'small'));
  t.strictSame(planCommit(state, NOW).told, [], 'it has come again');
});

t.test(
  'without a record, nothing opens a conversation behind what its sender has said and nobody here has taken',
  async (t) => {
    const behind = (id: number, after: number): Queued => ({ ...submission(CONNECTION, ALICE, BOB, id), after });
    const state = await stateWith(behind(2, 1), behind(3, 2), behind(1, 0), behind(2, 1), behind(3, 2));
    const commit = planCommit(state, NOW);
    const told = commit.told.map(({ message }) => message as { readonly id: number; readonly refusal: object });
    t.strictSame(
      told.map(({ id, refusal }) => [id, refusal]),
      [
        [2, { code: 'APP_OUT_OF_ORDER' }],
        [3, { code: 'APP_OUT_OF_ORDER', expected: 2 }],
      ],
    );
    t.strictSame(
      commit.submits.map(({ id }) => id),
      [1, 2, 3],
      'with the first of them the others may come',
    );
  },
);

t.test('a plan takes what fits one commit and leaves the rest', async (t) => {
  const items = Array.from({ length: LIMITS.commitOperationsMax + 7 }, (_, at) =>
    submission(CONNECTION, ALICE, BOB, at + 1),
  );
  const state = await stateWith(...items);
  const first = planCommit(state, NOW);
  t.equal(first.submits.length, LIMITS.commitOperationsMax);
  t.equal(state.queue.length, 7);
  t.equal(first.pin.isSettled, false, 'and holds its recipients');
});

t.test('what changes nothing makes no commit', async (t) => {
  const state = await stateWith(
    { kind: 'mark-read', user: BOB, sender: { user: ALICE, device: 1 }, id: 1 },
    { kind: 'acknowledge', connection: CONNECTION, user: BOB, device: 1, seq: 9 },
    { kind: 'move-fresh', user: BOB, device: 1 },
    submission(CONNECTION, ALICE, '555555555555555', 1),
  );
  const commit = planCommit(state, NOW);
  t.equal(isEmpty(commit), true);
  t.equal(commit.told.length, 1);
  t.equal(commit.reads.length, 1);
});

t.test('server time never goes back', async (t) => {
  const state = await stateWith(submission(CONNECTION, ALICE, BOB, 1));
  t.equal(planCommit(state, NOW).ts, 1_700_000_000_000);
  state.queue = [submission(CONNECTION, ALICE, BOB, 2)];
  t.equal(planCommit(state, { ...NOW, wallMs: 1_600_000_000_000 }).ts, 1_700_000_000_000);
});
