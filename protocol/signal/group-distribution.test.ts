/** When a chain rotates and who gets it, as a table; and the ledger as bytes. */
import t from 'tap';
import { isSignalError } from './errors.ts';
import {
  beginLedger,
  decodeLedger,
  defaultGroupPolicy,
  encodeLedger,
  noteHandOut,
  noteLoss,
  planGroupMessage,
  type DistributionLedger,
  type GroupPlan,
  type GroupPolicy,
  type GroupSituation,
} from './group-distribution.ts';
import { LIMITS } from './limits.ts';
import { seededIntegers } from './testing/device.ts';
import { toHex } from './testing/transcripts.ts';

const members = (...names: string[]): Set<string> => new Set(names);
const ledger: DistributionLedger = {
  chainId: 9,
  begunAtMs: 1_000_000,
  holders: members('a1', 'b1', 'b2'),
  awaiting: members('c1'),
};
const standing: GroupSituation = {
  policy: defaultGroupPolicy,
  ledger,
  messageCount: 5,
  roster: members('a1', 'b1', 'b2', 'c1'),
  nowMs: 1_000_500,
};
const distributing: GroupPolicy = { ...defaultGroupPolicy, joining: 'distribute' };
const { senderKeyMessageCountMax, senderKeyAgeMsMax } = LIMITS;

const table: readonly (readonly [claim: string, change: Partial<GroupSituation>, plan: GroupPlan])[] = [
  ['nothing changed: only who waits gets the key', {}, { kind: 'keep', distributeTo: ['c1'] }],
  [
    'the first message begins a chain',
    { ledger: undefined },
    { kind: 'rotate', reason: 'first', distributeTo: ['a1', 'b1', 'b2', 'c1'] },
  ],
  [
    'a member left',
    { roster: members('b1', 'b2', 'c1') },
    { kind: 'rotate', reason: 'left', distributeTo: ['b1', 'b2', 'c1'] },
  ],
  [
    'one device of a member left',
    { roster: members('a1', 'b1', 'c1') },
    { kind: 'rotate', reason: 'left', distributeTo: ['a1', 'b1', 'c1'] },
  ],
  ['somebody left who never got the key', { roster: members('a1', 'b1', 'b2') }, { kind: 'keep', distributeTo: [] }],
  [
    'a member or a device joined',
    { roster: members('a1', 'b1', 'b2', 'c1', 'd1') },
    { kind: 'rotate', reason: 'joined', distributeTo: ['a1', 'b1', 'b2', 'c1', 'd1'] },
  ],
  [
    'a newcomer, where the policy is to hand the present chain out',
    { policy: distributing, roster: members('a1', 'b1', 'b2', 'c1', 'd1') },
    { kind: 'keep', distributeTo: ['c1', 'd1'] },
  ],
  [
    'a device registered anew has left and joined, whatever the policy on newcomers',
    { policy: distributing, roster: members('a1', 'b1', 'b2-again', 'c1') },
    { kind: 'rotate', reason: 'left', distributeTo: ['a1', 'b1', 'b2-again', 'c1'] },
  ],
  [
    'the last message that a chain may carry',
    { messageCount: senderKeyMessageCountMax - 1 },
    { kind: 'keep', distributeTo: ['c1'] },
  ],
  [
    'one more',
    { messageCount: senderKeyMessageCountMax },
    { kind: 'rotate', reason: 'messages', distributeTo: ['a1', 'b1', 'b2', 'c1'] },
  ],
  [
    'the last millisecond of a chain',
    { nowMs: 1_000_000 + senderKeyAgeMsMax - 1 },
    { kind: 'keep', distributeTo: ['c1'] },
  ],
  [
    'a week',
    { nowMs: 1_000_000 + senderKeyAgeMsMax },
    { kind: 'rotate', reason: 'age', distributeTo: ['a1', 'b1', 'b2', 'c1'] },
  ],
  [
    'a clock that went back',
    { nowMs: 999_999 },
    { kind: 'rotate', reason: 'age', distributeTo: ['a1', 'b1', 'b2', 'c1'] },
  ],
  [
    'a pairwise group has no chain',
    { policy: { ...defaultGroupPolicy, mode: 'pairwise' } },
    { kind: 'pairwise', devices: ['a1', 'b1', 'b2', 'c1'] },
  ],
  [
    'an empty group still has its chain',
    { ledger: undefined, roster: members() },
    { kind: 'rotate', reason: 'first', distributeTo: [] },
  ],
];

for (const [claim, change, plan] of table) {
  t.same(planGroupMessage({ ...standing, ...change }), plan, claim);
}

t.test('a hand-out, a loss, and what the next message then needs', async (t) => {
  const roster = members('a', 'b', 'c');
  const begun = beginLedger(3, roster, 10);
  const handed = noteHandOut(begun, roster, ['a', 'b']);
  t.same([[...handed.holders], [...handed.awaiting]], [['a', 'b'], ['c']]);
  const lost = noteLoss(handed, 'a');
  t.same(
    [[...lost.holders], [...lost.awaiting]],
    [
      ['a', 'b'],
      ['c', 'a'],
    ],
  );
  t.equal(noteLoss(lost, 'a'), lost, 'asking twice changes nothing');
  t.equal(noteLoss(lost, 'stranger'), lost, 'who asks without being a holder changes nothing');
  const plan = planGroupMessage({ ...standing, ledger: lost, roster, nowMs: 11 });
  t.same(plan, { kind: 'keep', distributeTo: ['a', 'c'] }, 'a lost key is handed out again and does not rotate');
  t.same([...noteHandOut(lost, members('b'), []).awaiting], [], 'who left waits no more');
  t.same([...noteHandOut(lost, roster, ['a', 'c']).awaiting], [], 'and who was reached');
  const left = planGroupMessage({ ...standing, ledger: lost, roster: members('b', 'c'), nowMs: 11 });
  t.match(left, { kind: 'rotate', reason: 'left' }, 'who asked again and then left may hold the chain');
});

t.test('a policy, a roster or a name out of bounds is a wrong call', async (t) => {
  const policies: readonly Partial<GroupPolicy>[] = [
    { messageCountMax: 0 },
    { messageCountMax: senderKeyMessageCountMax + 1 },
    { ageMsMax: 0 },
    { ageMsMax: senderKeyAgeMsMax + 1 },
  ];
  for (const change of policies) {
    t.throws(() => planGroupMessage({ ...standing, policy: { ...defaultGroupPolicy, ...change } }), RangeError);
  }
  const names = (count: number): Set<string> => new Set(Array.from({ length: count }, (_, index) => `d${index}`));
  t.doesNotThrow(() => planGroupMessage({ ...standing, roster: names(LIMITS.groupDeviceCountMax) }));
  t.throws(() => planGroupMessage({ ...standing, roster: names(LIMITS.groupDeviceCountMax + 1) }), RangeError);
  t.throws(() => planGroupMessage({ ...standing, roster: members('x'.repeat(65)) }), RangeError);
  for (const name of ['', 'with space', 'ä', '\ud800', 'line\n']) {
    t.throws(() => planGroupMessage({ ...standing, roster: members(name) }), RangeError, JSON.stringify(name));
  }
});

const roundTrip = (bytes: Uint8Array): string => {
  const decoded = decodeLedger(bytes);
  if (isSignalError(decoded)) return decoded.code;
  return toHex(encodeLedger(decoded)) === toHex(bytes) ? 'same' : 'different';
};

t.test('the ledger as bytes: fixed, canonical, bounded', async (t) => {
  const bytes = encodeLedger(ledger);
  t.equal(toHex(bytes), '010809120800000000000f42401a0261311a0262311a026232220263' + '31', 'layout 1');
  t.same(decodeLedger(bytes), ledger);
  const names = Array.from({ length: LIMITS.groupDeviceCountMax }, (_, index) => `${index}`.padEnd(64, 'x'));
  t.equal(roundTrip(encodeLedger({ ...ledger, holders: new Set(names), awaiting: members() })), 'same', 'the largest');
  t.equal(roundTrip(encodeLedger({ ...ledger, holders: members('x'.repeat(65)) })), 'SIG_MALFORMED');
  t.equal(roundTrip(new Uint8Array(LIMITS.distributionLedgerBytesMax + 1).fill(1)), 'SIG_MALFORMED');
  t.equal(roundTrip(bytes.with(0, 2)), 'SIG_UNSUPPORTED_VERSION');
  t.throws(() => decodeLedger('01' as never), TypeError);
});

t.test('a damaged ledger is refused, or is one of its own bytes', async (t) => {
  const bytes = encodeLedger({ ...ledger, holders: members('a1', 'b1', '~2', '1:2:3') });
  const pick = seededIntegers('ledgers');
  const seen = new Map<string, number>();
  for (let round = 0; round < 5_000; round++) {
    const mutated = new Uint8Array(bytes);
    for (let changes = pick(3); changes >= 0; changes--) mutated[pick(mutated.length)] = pick(256);
    const outcome = roundTrip(mutated.subarray(0, pick(5) === 0 ? pick(mutated.length) : mutated.length));
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  t.notOk(seen.has('different'));
  for (const outcome of ['same', 'SIG_MALFORMED', 'SIG_UNSUPPORTED_VERSION'])
    t.ok((seen.get(outcome) ?? 0) > 10, `${outcome}: ${seen.get(outcome) ?? 0}`);
});
