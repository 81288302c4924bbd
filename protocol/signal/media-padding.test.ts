/** What padding costs and what it leaves to see: the figures of the module doc and of MEDIA.md. */
import t from 'tap';
import { LIMITS } from './limits.ts';
import { paddedMediaBytes } from './media-padding.ts';
import { seededIntegers } from './testing/device.ts';

t.test('sizes are rounded up to few, and never down', async (t) => {
  t.equal(paddedMediaBytes(0), 4_096);
  t.equal(paddedMediaBytes(4_096), 4_096);
  t.equal(paddedMediaBytes(4_097), 4_352);
  t.equal(paddedMediaBytes(1_000_000), 1_015_808);
  t.equal(paddedMediaBytes(LIMITS.mediaBytesMax), LIMITS.mediaBytesMax);
  const integer = seededIntegers('padding');
  const wrong: number[] = [];
  for (let round = 0; round < 5_000; round++) {
    const bytes = integer(2 ** (1 + integer(31)));
    const padded = paddedMediaBytes(bytes);
    const isCheap = bytes < 4_096 || padded < bytes * (1 + (bytes < 65_536 ? 1 / 16 : 1 / 32));
    const isRight = padded >= bytes && paddedMediaBytes(padded) === padded && isCheap;
    if (!isRight) wrong.push(bytes);
  }
  t.same(wrong, []);
});

t.test('545 sizes remain: 9.1 bits', async (t) => {
  const sizes = new Set<number>();
  for (let bytes = 0; bytes <= LIMITS.mediaBytesMax; bytes = paddedMediaBytes(bytes) + 1)
    sizes.add(paddedMediaBytes(bytes));
  t.equal(sizes.size, 545);
  t.equal(Math.log2(sizes.size).toFixed(1), '9.1');
});

t.test('sizes that are none throw', async (t) => {
  for (const bytes of [-1, 0.5, NaN, LIMITS.mediaBytesMax + 1]) t.throws(() => paddedMediaBytes(bytes), RangeError);
});
