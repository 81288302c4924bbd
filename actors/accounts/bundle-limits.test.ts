import t from 'tap';
import { decideBundle, newBundleLimits } from './bundle-limits.ts';
import { LIMITS } from '../limits.ts';

const REFUSED = { kind: 'refused', retryAfter: LIMITS.bundleOfOneTargetMs / 1_000 } as const;

t.test('one requester: a few bundles of one target, then one in ten minutes; of another target as many', async (t) => {
  const limits = newBundleLimits();
  const ask = (target: string, nowMs: number) => decideBundle(limits, 'mallory', target, nowMs);
  for (let count = 0; count < LIMITS.bundlesOfOneTargetMax; count++) {
    t.same(ask('bob', 0), { kind: 'granted', oneTime: true });
  }
  t.same(ask('bob', 0), REFUSED);
  t.same(ask('carol', 0), { kind: 'granted', oneTime: true });
  t.same(decideBundle(limits, 'alice', 'bob', 0), { kind: 'granted', oneTime: true }, 'others are unharmed');
  t.match(ask('bob', LIMITS.bundleOfOneTargetMs - 1_000), { kind: 'refused', retryAfter: 1 });
  t.same(ask('bob', LIMITS.bundleOfOneTargetMs), { kind: 'granted', oneTime: true });
  t.same(ask('bob', LIMITS.bundleOfOneTargetMs), REFUSED);
});

t.test(
  'many requesters: beyond the bound the bundle comes without one-time keys, then with one a minute',
  async (t) => {
    const limits = newBundleLimits();
    const ask = (requester: number, nowMs: number) => decideBundle(limits, `sock-puppet-${requester}`, 'bob', nowMs);
    for (let each = 0; each < LIMITS.oneTimeKeysBurstMax; each++) t.match(ask(each, 0), { oneTime: true });
    t.same(ask(1_000, 0), { kind: 'granted', oneTime: false }, 'nobody is refused for what others did');
    t.same(ask(1_001, LIMITS.oneTimeKeyMs), { kind: 'granted', oneTime: true });
    t.same(ask(1_002, LIMITS.oneTimeKeyMs), { kind: 'granted', oneTime: false });
  },
);

t.test('own devices are fetched freely', async (t) => {
  const limits = newBundleLimits();
  for (let count = 0; count < 50; count++) t.match(decideBundle(limits, 'bob', 'bob', 0), { oneTime: true });
  t.match(decideBundle(limits, 'alice', 'bob', 0), { oneTime: true }, 'and use up nothing that others have');
});
