/** Trust on first use, and what each change of an identity does to it. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  acceptIdentity,
  cautiousPolicy,
  observeIdentity,
  verifyIdentity,
  type IdentityTrust,
  type TrustLevel,
} from './identity-trust.ts';
import { generateKeyPair } from './keys.ts';

const freshKey = (): Uint8Array => generateKeyPair((length) => new Uint8Array(randomBytes(length))).publicKey;
const known = (level: TrustLevel): IdentityTrust => ({ identityKey: freshKey(), level, sinceMs: 5 });

t.test('the first key is believed and told', async (t) => {
  const key = freshKey();
  const { trust, event } = observeIdentity(undefined, key, 7);
  t.same(trust, { identityKey: key, level: 'unverified', sinceMs: 7 });
  t.same(event, { type: 'first-seen' });
  key.fill(0);
  t.notSame(trust.identityKey, key, 'a copy is kept');
});

t.test('a known key is nothing to tell, and stays as old as it is', async (t) => {
  const before = known('verified');
  const { trust, event } = observeIdentity(before, new Uint8Array(before.identityKey), 9);
  t.equal(trust, before);
  t.equal(event, undefined);
});

const afterChange: readonly (readonly [before: TrustLevel, after: TrustLevel, wasVerified: boolean])[] = [
  ['unverified', 'unverified', false],
  ['verified', 'broken', true],
  ['broken', 'broken', false],
];

for (const [before, after, wasVerified] of afterChange) {
  t.test(`another key makes ${before} ${after}`, async (t) => {
    const former = known(before);
    const { trust, event } = observeIdentity(former, freshKey(), 11);
    t.same([trust.level, trust.sinceMs], [after, 11]);
    t.same(event, { type: 'changed', formerKey: former.identityKey, wasVerified });
  });
}

t.test('comparing verifies the key that was compared and no other', async (t) => {
  for (const level of ['unverified', 'verified', 'broken'] as const) {
    const trust = known(level);
    t.equal(verifyIdentity(trust, trust.identityKey)?.level, 'verified');
    t.equal(verifyIdentity(trust, freshKey()), undefined, 'it changed meanwhile');
  }
});

t.test('accepting mends what is broken and verifies nothing', async (t) => {
  t.same(
    (['unverified', 'verified', 'broken'] as const).map((level) => acceptIdentity(known(level)).level),
    ['unverified', 'verified', 'unverified'],
  );
});

t.test('the cautious policy reads everything and holds back what goes to a broken identity', async (t) => {
  for (const level of ['unverified', 'verified', 'broken'] as const) {
    t.ok(cautiousPolicy(known(level), 'receive', 0));
    t.equal(cautiousPolicy(known(level), 'send', 0), level !== 'broken');
  }
});
