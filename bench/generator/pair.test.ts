import t, { type Test } from 'tap';
import { isBenchError, type BenchCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Pair } from './pair.ts';

const NO_TIMES = (): void => undefined;

/** A pair with `sent` messages on their way, of which the recipient has got and acknowledged `delivered`. */
function pairWith(sent: number, delivered = 0): Pair {
  const pair = new Pair('pair 0');
  pair.intend(sent, 0);
  while (pair.takeDue(0) > 0);
  for (let id = 1; id <= delivered; id += 1) pair.deliver(id, id);
  pair.takeAcknowledgement();
  return pair;
}

function throwsCode(t: Test, code: BenchCode, act: () => unknown, name: string): void {
  try {
    act();
    t.fail(`${name}: expected ${code}`);
  } catch (error) {
    t.ok(isBenchError(error, code), `${name}: ${String(error)}`);
  }
}

t.test('a full cycle passes every station once', async (t) => {
  const pair = new Pair('pair 0');
  pair.intend(3, 10);
  t.same([pair.takeDue(0), pair.takeDue(0), pair.takeDue(0), pair.takeDue(0)], [1, 2, 3, 0]);
  t.equal(pair.accept(3), 3);
  t.equal(pair.deliver(1, 1), 10);
  pair.deliver(2, 2);
  t.equal(pair.takeAcknowledgement(), 2, 'one acknowledgement covers both');
  t.equal(pair.takeAcknowledgement(), 0, 'and is sent once');
  t.equal(pair.receipt(2, NO_TIMES), 2);
  t.equal(pair.outstanding, 1);
  t.notOk(pair.isIdle);
  pair.deliver(3, 3);
  pair.takeAcknowledgement();
  pair.receipt(3, NO_TIMES);
  t.ok(pair.isIdle);
});

t.test('acknowledgements and receipts are cumulative and may be repeated', async (t) => {
  const pair = pairWith(5, 5);
  t.equal(pair.accept(3), 3);
  t.equal(pair.accept(2), 0);
  t.equal(pair.accept(5), 2);
  t.equal(pair.receipt(4, NO_TIMES), 4);
  t.equal(pair.receipt(4, NO_TIMES), 0);
});

t.test('latencies are told by intended time, neighbours with equal times together', async (t) => {
  const pair = new Pair('pair 0');
  pair.intend(2, 10);
  pair.intend(1, 20);
  pair.intend(1, 10);
  while (pair.takeDue(0) > 0);
  for (let id = 1; id <= 4; id += 1) pair.deliver(id, id);
  pair.takeAcknowledgement();
  const times: [number, number][] = [];
  pair.receipt(4, (intendedMs, count) => times.push([intendedMs, count]));
  t.same(times, [
    [10, 2],
    [20, 1],
    [10, 1],
  ]);
});

t.test('broken promises of the server are told apart', async (t) => {
  throwsCode(t, 'BENCH_DUPLICATE', () => pairWith(3, 2).deliver(2, 3), 'the last message again');
  throwsCode(t, 'BENCH_DUPLICATE', () => pairWith(3, 2).deliver(1, 3), 'an earlier message again');
  throwsCode(t, 'BENCH_GAP', () => pairWith(3, 1).deliver(3, 2), 'a message left out');
  throwsCode(t, 'BENCH_GAP', () => pairWith(3, 1).deliver(2, 3), 'an inbox position left out');
  throwsCode(t, 'BENCH_FALSE_RECEIPT', () => pairWith(3).accept(4), 'an acknowledgement of what was not sent');
  throwsCode(t, 'BENCH_FALSE_RECEIPT', () => pairWith(1, 1).deliver(2, 2), 'a message that was not sent');
  throwsCode(
    t,
    'BENCH_FALSE_RECEIPT',
    () => pairWith(3, 2).receipt(3, NO_TIMES),
    'a receipt for what was not delivered',
  );
  const unacknowledged = pairWith(2);
  unacknowledged.deliver(1, 1);
  throwsCode(
    t,
    'BENCH_FALSE_RECEIPT',
    () => unacknowledged.receipt(1, NO_TIMES),
    'a receipt before the recipient spoke',
  );
});

t.test('an open loop that the server does not follow is an overrun at exactly the bound', async (t) => {
  const pair = new Pair('pair 0');
  pair.intend(LIMITS.outstandingCountMax, 0);
  throwsCode(t, 'BENCH_OVERRUN', () => pair.intend(1, 0), 'one more');
});

t.test('intended times survive as long as they are needed', async (t) => {
  const pair = new Pair('pair 0');
  for (let id = 1; id <= 3 * LIMITS.outstandingCountMax; id += 1) {
    pair.intend(1, id);
    const nextMs = pair.nextIntendedMs;
    pair.takeDue(0);
    if (nextMs !== id || pair.deliver(id, id) !== id) throw new Error(`message ${id} has the time of another`);
    pair.takeAcknowledgement();
    pair.receipt(id, NO_TIMES);
  }
  t.ok(pair.isIdle);
});
