import t from 'tap';
import { isBenchError } from '../errors.ts';
import { Backlog } from './backlog.ts';

const ANN = '100000000000001';
const BEN = '100000000000002';

function filled(): Backlog {
  const backlog = new Backlog('device 1', [ANN, BEN], 2);
  for (const sender of [ANN, BEN]) {
    t.equal(backlog.takeNext(sender), 1);
    t.equal(backlog.takeNext(sender), 2);
    t.equal(backlog.takeNext(sender), 0);
    t.equal(backlog.accept(sender, 2), 2);
  }
  t.ok(backlog.isFilled);
  return backlog;
}

function codeOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    if (isBenchError(error)) return error.code;
    throw error;
  }
  return 'none';
}

t.test('what waited, all of it in order, acknowledged and receipted', async (t) => {
  const backlog = filled();
  t.equal(backlog.total, 4);
  backlog.receive(ANN, 1, 1);
  backlog.receive(BEN, 1, 2);
  t.equal(backlog.takeAcknowledgement(), 2);
  t.equal(backlog.takeAcknowledgement(), 0);
  backlog.receive(BEN, 2, 3);
  backlog.receive(ANN, 2, 9);
  backlog.drained();
  t.notOk(backlog.isDone);
  backlog.receipt(ANN, 2);
  backlog.receipt(BEN, 2);
  t.ok(backlog.isDone);
});

t.test('each violation has its code', async (t) => {
  const violations: [string, (backlog: Backlog) => void][] = [
    ['BENCH_GAP', (backlog) => backlog.receive(ANN, 2, 1)],
    ['BENCH_DUPLICATE', (backlog) => [1, 1].forEach((id, index) => backlog.receive(ANN, id, index + 1))],
    ['BENCH_GAP', (backlog) => (backlog.receive(ANN, 1, 5), backlog.receive(BEN, 1, 5))],
    ['BENCH_UNEXPECTED', (backlog) => backlog.receive('100000000000003', 1, 1)],
    ['BENCH_LOST', (backlog) => (backlog.receive(ANN, 1, 1), backlog.drained())],
    ['BENCH_FALSE_RECEIPT', (backlog) => backlog.receipt(ANN, 1)],
    ['BENCH_FALSE_RECEIPT', (backlog) => void backlog.accept(ANN, 3)],
  ];
  for (const [code, violate] of violations)
    t.equal(
      codeOf(() => violate(filled())),
      code,
    );
});
