import t from 'tap';
import { Arrivals } from './arrivals.ts';
import type { LogEntry } from './contracts.ts';
import { LIMITS } from './limits.ts';

function entry(sequence: number, bytes: number = 10): LogEntry {
  return { sequence, data: Buffer.alloc(bytes) };
}

function sequences(entries: readonly LogEntry[]): number[] {
  return entries.map(({ sequence }) => sequence);
}

t.test('all that a transaction holds is taken at once, in order', async (t) => {
  const arrivals = new Arrivals();
  t.ok(arrivals.isEmpty);
  t.strictSame(arrivals.take(), []);
  for (const sequence of [4, 5, 6]) arrivals.push(entry(sequence));
  t.notOk(arrivals.isEmpty);
  t.ok(arrivals.mayGrow);
  t.strictSame(sequences(arrivals.take()), [4, 5, 6]);
  t.ok(arrivals.isEmpty);
});

t.test('by count and by bytes a transaction is full; one entry always fits', async (t) => {
  const many = new Arrivals();
  for (let sequence = 1; sequence <= LIMITS.applyCountMax + 1; sequence++) many.push(entry(sequence));
  t.notOk(many.mayGrow);
  t.equal(many.take().length, LIMITS.applyCountMax);
  t.ok(many.mayGrow);
  t.strictSame(sequences(many.take()), [LIMITS.applyCountMax + 1]);

  const large = new Arrivals();
  for (let sequence = 1; sequence <= 2; sequence++) large.push(entry(sequence, LIMITS.applyBytesMax + 1));
  t.notOk(large.mayGrow);
  t.strictSame(sequences(large.take()), [1]);
  t.strictSame(sequences(large.take()), [2]);
});

t.test('who waits is told of the next one', async (t) => {
  const arrivals = new Arrivals();
  const came = arrivals.next();
  arrivals.push(entry(1));
  await came;
  t.strictSame(sequences(arrivals.take()), [1]);
});
