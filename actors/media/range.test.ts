import t from 'tap';
import { readRange, type ByteSpan } from './range.ts';

const CASES: readonly (readonly [header: string, expected: ByteSpan | undefined | 'unsatisfiable'])[] = [
  ['', undefined],
  ['bytes=0-', { start: 0, end: 100 }],
  ['bytes=0-0', { start: 0, end: 1 }],
  ['bytes=99-', { start: 99, end: 100 }],
  ['bytes=10-19', { start: 10, end: 20 }],
  ['bytes=10-99999', { start: 10, end: 100 }],
  ['bytes=-1', { start: 99, end: 100 }],
  ['bytes=-1000', { start: 0, end: 100 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=100-200', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=20-10', undefined],
  ['bytes=-', undefined],
  ['bytes=0-1,5-6', undefined],
  ['lines=0-1', undefined],
  ['bytes=a-b', undefined],
];

for (const [header, expected] of CASES) {
  t.test(`a range of "${header}" in 100 bytes`, async (t) => t.strictSame(readRange(header, 100), expected));
}
