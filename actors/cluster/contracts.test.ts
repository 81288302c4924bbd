import t from 'tap';
import { isFull, type LogEntry } from './contracts.ts';
import { LIMITS } from './limits.ts';

function entries(count: number, bytes: number): LogEntry[] {
  return Array.from({ length: count }, (_, index) => ({ sequence: index + 1, data: Buffer.alloc(bytes) }));
}

t.test('a transaction of a copy is full by its count, and where another record might not fit', async (t) => {
  const { applyCountMax, applyBytesMax, recordBytesMax } = LIMITS;
  const cases = [
    [0, 0, false],
    [applyCountMax - 1, 10, false],
    [applyCountMax, 10, true],
    [1, applyBytesMax - recordBytesMax, false],
    [1, applyBytesMax - recordBytesMax + 1, true],
  ] as const;
  for (const [count, bytes, expected] of cases)
    t.equal(isFull(entries(count, bytes)), expected, `${count} of ${bytes}`);
});
