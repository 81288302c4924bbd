import t from 'tap';
import { untilWhole } from './whole-second.ts';

t.test('looks of several periods meet at whole seconds of the clock, and none is due at once', async (t) => {
  const at = (nowMs: number): number => nowMs + untilWhole({ monotonicMs: () => nowMs }, 1_000);
  t.strictSame([0, 1, 999, 1_000, 1_999].map(at), [1_000, 1_000, 1_000, 2_000, 2_000]);
  t.equal(at(123.4), 1_000.4, 'never before it');
  t.equal(untilWhole({ monotonicMs: () => 999.9 }, 1_000), 1);
});
