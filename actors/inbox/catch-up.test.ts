import t from 'tap';
import { emptyCatchUp, givePlace, isWaiting, nextPlaces, takePlace, type CatchingUp } from './catch-up.ts';
import { LIMITS } from '../limits.ts';
import type { Online } from './recipients.ts';

const online = (): Online => ({}) as Online;
const who = (name: string): CatchingUp => ({ recipient: { user: name }, device: {} }) as unknown as CatchingUp;

t.test('so many are read at a time, the others in the order in which they came', async (t) => {
  const catchUp = emptyCatchUp();
  const first = Array.from({ length: LIMITS.catchUpCountMax }, online);
  for (const each of first) t.equal(takePlace(catchUp, each, who('first'), 0), true);
  const [second, third] = [online(), online()];
  t.equal(takePlace(catchUp, second, who('second'), 0), false);
  t.equal(takePlace(catchUp, third, who('third'), 0), false);
  t.equal(isWaiting(catchUp, second), true);
  t.strictSame(nextPlaces(catchUp, 1), []);
  givePlace(catchUp, first[7]!);
  t.match(nextPlaces(catchUp, 1), [{ recipient: { user: 'second' } }]);
  t.equal(isWaiting(catchUp, second), false);
  t.equal(isWaiting(catchUp, third), true);
});

t.test('one that does not get on loses its place to those who wait, and one that goes leaves nothing', async (t) => {
  const catchUp = emptyCatchUp();
  const slow = Array.from({ length: LIMITS.catchUpCountMax }, online);
  for (const each of slow) takePlace(catchUp, each, who('slow'), 0);
  t.strictSame(nextPlaces(catchUp, LIMITS.catchUpMsMax), [], 'nobody waits, so nobody goes');
  const next = online();
  takePlace(catchUp, next, who('next'), 1);
  t.strictSame(nextPlaces(catchUp, LIMITS.catchUpMsMax - 1), []);
  t.match(nextPlaces(catchUp, LIMITS.catchUpMsMax), [{ recipient: { user: 'next' } }]);
  const gone = online();
  for (let index = 0; index < LIMITS.catchUpCountMax; index++) takePlace(catchUp, online(), who('more'), 9_000);
  takePlace(catchUp, gone, who('gone'), 9_000);
  givePlace(catchUp, gone);
  t.equal(isWaiting(catchUp, gone), false);
});

t.test('who comes later does not overtake those who wait', async (t) => {
  const catchUp = emptyCatchUp();
  const first = Array.from({ length: LIMITS.catchUpCountMax }, online);
  for (const each of first) takePlace(catchUp, each, who('first'), 0);
  takePlace(catchUp, online(), who('waiting'), 0);
  givePlace(catchUp, first[0]!);
  t.equal(takePlace(catchUp, online(), who('late'), 0), false);
});
