import t from 'tap';
import { comparisonOf } from './comparison.ts';

const DIGITS = Array.from({ length: 12 }, (_, group) => String(group + 1).padStart(5, '0')).join('');

/** Groups that are shown, by their place from 1. */
function shownIn(text: string): number[] {
  return [...text.matchAll(/\d{5}/g)].map(([group]) => Number(group));
}

t.test('one group of each half is left out, and what is filled in makes the number whole', async (t) => {
  const { text, fill } = comparisonOf(DIGITS, true, () => 1);
  t.equal(text, '00001 00002 ????? 00004\n00005 00006 00007 00008\n????? 00010 00011 00012');
  t.equal(fill(['00003', '0 0009']), DIGITS, 'spaces do not matter');
  t.not(fill(['00003', '00008']), DIGITS);
  t.not(fill(['', '']), DIGITS, 'nothing is not right');
});

t.test('whatever is drawn: two who compare at the same time lack different groups', async (t) => {
  for (const ours of [0, 1, 2]) {
    for (const theirs of [0, 1, 2]) {
      const left = shownIn(comparisonOf(DIGITS, true, () => ours).text);
      const right = shownIn(comparisonOf(DIGITS, false, () => theirs).text);
      t.equal(left.length, 10);
      t.equal(new Set([...left, ...right]).size, 12, `${ours} and ${theirs}`);
    }
  }
});
