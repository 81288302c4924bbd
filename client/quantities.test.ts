/** Sizes and spans as both chats say them. */

import t from 'tap';
import { parseSpan, sizeOf, spanOf } from './quantities.ts';

t.test('sizes stand in the unit that people use', async (t) => {
  const sizes: [number, string][] = [
    [0, '0 bytes'],
    [1, '1 byte'],
    [999, '999 bytes'],
    [1_000, '1.0 KB'],
    [999_949, '999.9 KB'],
    [999_950, '1.0 MB'],
    [1_500_000, '1.5 MB'],
    [134_217_728, '134.2 MB'],
    [5e12, '5000.0 GB'],
  ];
  for (const [bytes, said] of sizes) t.equal(sizeOf(bytes), said);
});

t.test('spans stand in the largest unit that fits', async (t) => {
  t.same([1, 60, 3_600, 7_200, 86_400, 90].map(spanOf), [
    '1 second',
    '1 minute',
    '1 hour',
    '2 hours',
    '1 day',
    '90 seconds',
  ]);
});

t.test('spans as they are typed', async (t) => {
  const spans: [string, number | undefined][] = [
    ['30s', 30],
    ['5m', 300],
    ['8h', 28_800],
    ['7d', 604_800],
    ['off', 0],
    ['', undefined],
    ['5', undefined],
    ['-5m', undefined],
    ['5 minutes', undefined],
  ];
  for (const [typed, seconds] of spans) t.equal(parseSpan(typed), seconds, typed);
});
