import t from 'tap';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { readCrowding, watchCrowding } from './crowding.ts';

t.test('the machine is looked at once a second, however often is asked', async (t) => {
  const clock = new VirtualClock();
  let looks = 0;
  const crowding = watchCrowding(clock, () => ++looks);
  t.strictSame([crowding(), crowding()], [1, 1]);
  clock.advance(999);
  t.equal(crowding(), 1);
  clock.advance(1);
  t.equal(crowding(), 2);
});

t.test('the load of this machine is a number', async (t) => {
  t.ok(readCrowding() >= 0);
});
