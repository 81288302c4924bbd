import t from 'tap';
import { medianOf } from './median.ts';

t.test('the median is the middle value, and of an even number the mean of the two in the middle', async (t) => {
  t.equal(medianOf([5]), 5);
  t.equal(medianOf([9, 1, 5]), 5);
  t.equal(medianOf([4, 1]), 2.5);
  const values = [1, 9, 5, 7];
  t.equal(medianOf(values), 6);
  t.strictSame(values, [1, 9, 5, 7], 'the values are left as they are');
});
