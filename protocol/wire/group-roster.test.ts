/** The rules of groups: as a table, as properties of random histories, and against the published ones. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeGroupChange, hashOfGate, NO_HASH } from './group-change.ts';
import type { GroupAction, GroupActionKind, GroupRole, SignedGroupChange } from './group-change.ts';
import { GROUP_REFUSALS, isGroupRefusal, type GroupRefusal, type GroupRefusalCode } from './group-errors.ts';
import {
  applyGroupChange,
  decodeRoster,
  draftGroupChange,
  encodeRoster,
  hashOfRoster,
  isMemberInRoster,
} from './group-roster.ts';
import type { GroupRoster, GroupState } from './group-roster.ts';
import { LIMITS } from './limits.ts';
import { changeBy, changeVectors, GROUP, sha512, signed, userOf } from './testing/group-changes.ts';
import { hexOf } from './testing/notation.ts';

const [ann, bob, cem, dan] = [1, 2, 3, 4].map(userOf) as [string, string, string, string];
const gate = new Uint8Array(32).fill(7);
const link: GroupAction = { kind: 'link', gateHash: hashOfGate(gate, sha512), key: Uint8Array.of(5, ...NO_HASH) };
const join: GroupAction = { kind: 'join', gate, proof: new Uint8Array(64) };
const add = (user: string, role: GroupRole = 'member'): GroupAction => ({ kind: 'add', user, role });
const setRole = (user: string, role: GroupRole): GroupAction => ({ kind: 'role', user, role });
const remove = (user: string): GroupAction => ({ kind: 'remove', user });

function must(outcome: GroupState | GroupRefusal): GroupState {
  if (isGroupRefusal(outcome)) throw new Error(outcome.code);
  return outcome;
}

function outcomeOf(outcome: GroupState | GroupRefusal): string {
  return isGroupRefusal(outcome) ? outcome.code : 'accepted';
}

/** Ann is an admin, Bob and Cem are members, and there is a link. */
const three = must(changeBy(undefined, ann, { kind: 'create' }, add(bob), add(cem), link));

t.test('the published history leads to the published rosters', async (t) => {
  let state: GroupState | undefined;
  for (const { name, bytes, hash, roster, change } of changeVectors()) {
    state = must(applyGroupChange(state, decodeGroupChange(bytes) as SignedGroupChange, sha512));
    t.equal(hexOf(state.head), hash, name);
    t.equal(hexOf(encodeRoster(state.roster)), roster, name);
    t.equal(hexOf(hashOfRoster(state.roster, sha512)), hexOf(change.rosterHash), name);
  }
  t.equal(state!.roster.members.size, 0);
});

t.test('who may do what', async (t) => {
  const actions: Record<GroupActionKind, GroupAction> = {
    create: { kind: 'create' },
    add: add(dan),
    remove: remove(cem),
    leave: { kind: 'leave' },
    role: setRole(cem, 'admin'),
    info: { kind: 'info', info: Uint8Array.of(1) },
    link,
    unlink: { kind: 'unlink' },
    join,
    policy: { kind: 'policy', mode: 'pairwise' },
  };
  const admin: Partial<Record<GroupActionKind, GroupRefusalCode>> = {
    create: 'GROUP_CONTRADICTION',
    join: 'GROUP_CONTRADICTION',
    leave: 'GROUP_NO_ADMIN',
  };
  const member: Partial<Record<GroupActionKind, string>> = {
    create: 'GROUP_CONTRADICTION',
    join: 'GROUP_CONTRADICTION',
    leave: 'accepted',
  };
  const stranger: Partial<Record<GroupActionKind, string>> = { create: 'GROUP_CONTRADICTION', join: 'accepted' };
  for (const [kind, action] of Object.entries(actions) as [GroupActionKind, GroupAction][]) {
    t.equal(outcomeOf(changeBy(three, ann, action)), admin[kind] ?? 'accepted', `an admin: ${kind}`);
    t.equal(outcomeOf(changeBy(three, bob, action)), member[kind] ?? 'GROUP_FORBIDDEN', `a member: ${kind}`);
    t.equal(outcomeOf(changeBy(three, dan, action)), stranger[kind] ?? 'GROUP_NOT_A_MEMBER', `a stranger: ${kind}`);
    const first = kind === 'create' ? 'accepted' : 'GROUP_NOT_A_MEMBER';
    t.equal(outcomeOf(changeBy(undefined, dan, action)), first, `before there is a group: ${kind}`);
  }
});

t.test('actions that make no sense', async (t) => {
  const wrong: GroupAction[][] = [
    [add(bob)],
    [add(dan), add(dan)],
    [remove(dan)],
    [remove(ann)],
    [remove(bob), remove(bob)],
    [setRole(dan, 'admin')],
    [setRole(bob, 'member')],
    [{ kind: 'unlink' }, { kind: 'unlink' }],
    [setRole(bob, 'admin'), { kind: 'leave' }, add(dan)],
    [remove(bob), { kind: 'unlink' }],
    [add(dan), { kind: 'create' }],
  ];
  for (const actions of wrong) {
    t.equal(outcomeOf(changeBy(three, ann, ...actions)), 'GROUP_CONTRADICTION', JSON.stringify(actions));
  }
  t.equal(outcomeOf(changeBy(three, dan, join, add(userOf(5)))), 'GROUP_CONTRADICTION', 'who joins does nothing else');
  const other = { ...three, roster: { ...three.roster, group: userOf(9) } };
  const change = draftGroupChange(
    three,
    { group: GROUP, author: ann, device: 1, time: 0, actions: [add(dan)] },
    sha512,
  );
  t.equal(outcomeOf(applyGroupChange(other, signed(change as never), sha512)), 'GROUP_CONTRADICTION', 'another group');
});

t.test('the last admin names another, or is alone', async (t) => {
  t.equal(outcomeOf(changeBy(three, ann, { kind: 'leave' })), 'GROUP_NO_ADMIN');
  t.equal(outcomeOf(changeBy(three, ann, setRole(ann, 'member'))), 'GROUP_NO_ADMIN');
  const left = must(changeBy(three, ann, setRole(bob, 'admin'), { kind: 'leave' }));
  t.strictSame(
    [...left.roster.members],
    [
      [bob, 'admin'],
      [cem, 'member'],
    ],
  );
  const alone = must(changeBy(left, bob, remove(cem)));
  const over = must(changeBy(alone, bob, { kind: 'leave' }));
  t.equal(over.roster.members.size, 0);
  t.equal(outcomeOf(changeBy(over, bob, { kind: 'create' })), 'GROUP_CONTRADICTION', 'nothing follows');
  t.equal(outcomeOf(changeBy(over, bob, add(ann))), 'GROUP_NOT_A_MEMBER');
  t.equal(outcomeOf(changeBy(over, bob, join)), 'GROUP_FORBIDDEN');
});

t.test('a link lets in who has its gate, until somebody is removed or leaves', async (t) => {
  t.equal(must(changeBy(three, dan, join)).roster.members.get(dan), 'member');
  t.equal(outcomeOf(changeBy(three, dan, { ...join, gate: NO_HASH })), 'GROUP_FORBIDDEN');
  t.equal(outcomeOf(changeBy(must(changeBy(three, ann, { kind: 'unlink' })), dan, join)), 'GROUP_FORBIDDEN');
  const without = must(changeBy(three, ann, remove(bob)));
  t.equal(outcomeOf(changeBy(without, bob, join)), 'GROUP_FORBIDDEN', 'nor does who was removed come back by it');
  t.equal(outcomeOf(changeBy(must(changeBy(three, bob, { kind: 'leave' })), bob, join)), 'GROUP_FORBIDDEN');
  const renewed = must(changeBy(three, ann, remove(bob), link));
  t.equal(outcomeOf(changeBy(renewed, dan, join)), 'accepted', 'a new one in the same change');
});

t.test('1,024 members and no more', async (t) => {
  const others = Array.from({ length: LIMITS.groupMembersMax - 1 }, (_, index) => add(userOf(index + 10)));
  const full = must(changeBy(undefined, ann, { kind: 'create' }, link, ...others));
  t.equal(full.roster.members.size, 1_024);
  t.equal(outcomeOf(changeBy(full, ann, add(bob))), 'GROUP_FULL');
  t.equal(outcomeOf(changeBy(full, bob, join)), 'GROUP_FULL');
  t.equal(outcomeOf(changeBy(undefined, ann, { kind: 'create' }, add(bob), ...others)), 'GROUP_FULL');
  t.equal(outcomeOf(changeBy(full, ann, remove(userOf(10)), add(bob))), 'accepted', 'one out, one in');
  const bytes = encodeRoster({ ...full.roster, info: new Uint8Array(LIMITS.groupInfoBytesMax) });
  t.notOk(isGroupRefusal(decodeRoster(bytes)), `${bytes.length} bytes are the largest roster`);
});

t.test('in a full roster each member is found, and nobody else', async (t) => {
  const members = Array.from({ length: LIMITS.groupMembersMax }, (_, index) => userOf(3 * index + 10));
  const roles = new Map(members.map((user) => [user, 'member' as const]));
  const bytes = encodeRoster({ ...three.roster, info: new Uint8Array(LIMITS.groupInfoBytesMax), members: roles });
  const wrong = members.filter((user) => isMemberInRoster(bytes, user) !== true);
  for (let number = 8; number < 3 * LIMITS.groupMembersMax + 12; number += 1) {
    if (isMemberInRoster(bytes, userOf(number)) !== roles.has(userOf(number))) wrong.push(userOf(number));
  }
  t.strictSame(wrong, []);
});

t.test('epoch, chain and roster hash', async (t) => {
  const intent = { group: GROUP, author: ann, device: 1, time: 0, actions: [add(dan)] };
  const next = draftGroupChange(three, intent, sha512);
  if (isGroupRefusal(next)) throw new Error(next.code);
  const bent: [string, object][] = [
    ['GROUP_EPOCH', { epoch: next.epoch - 1 }],
    ['GROUP_EPOCH', { epoch: next.epoch + 1 }],
    ['GROUP_FORKED', { formerHash: NO_HASH }],
    ['GROUP_WRONG_ROSTER', { rosterHash: NO_HASH }],
    ['GROUP_WRONG_ROSTER', { actions: [add(userOf(5))] }],
  ];
  for (const [code, fields] of bent) {
    t.equal(outcomeOf(applyGroupChange(three, signed({ ...next, ...fields }), sha512)), code);
  }
  const after = must(applyGroupChange(three, signed(next), sha512));
  t.equal(outcomeOf(applyGroupChange(after, signed(next), sha512)), 'GROUP_EPOCH', 'twice');
  const last = { ...three, roster: { ...three.roster, epoch: LIMITS.groupEpochMax } };
  t.equal(outcomeOf(changeBy(last, ann, add(dan))), 'GROUP_EPOCH', 'no epoch is left');
});

interface Move {
  readonly author: number;
  readonly actions: GroupAction[];
}

const someone = fc.integer({ min: 1, max: 6 });
/** Those, and one on either side of them. */
const everybody = [0, 1, 2, 3, 4, 5, 6, 7].map(userOf);
const arbitraryAction: fc.Arbitrary<GroupAction> = fc.oneof(
  fc
    .record({ user: someone, role: fc.constantFrom<GroupRole[]>('member', 'admin') })
    .map(({ user, role }) => add(userOf(user), role)),
  someone.map((user) => remove(userOf(user))),
  fc
    .record({ user: someone, role: fc.constantFrom<GroupRole[]>('member', 'admin') })
    .map(({ user, role }) => setRole(userOf(user), role)),
  fc.constantFrom<GroupAction[]>({ kind: 'leave' }, { kind: 'leave' }, link, { kind: 'unlink' }, join, {
    kind: 'policy',
    mode: 'pairwise',
  }),
  fc.uint8Array({ maxLength: 5 }).map((info): GroupAction => ({ kind: 'info', info })),
);
const arbitraryMove: fc.Arbitrary<Move> = fc.record({
  author: someone,
  actions: fc.array(arbitraryAction, { minLength: 1, maxLength: 3 }),
});

/** What may never be, whatever was tried. */
function checkInvariants({ roster }: GroupState): void {
  const roles = [...roster.members.values()];
  assert.ok(roles.length === 0 || roles.includes('admin'), 'an admin among members');
  assert.ok(roles.length > 0 || roster.link === undefined, 'no link into an empty group');
  const bytes = encodeRoster(roster);
  assert.deepStrictEqual(decodeRoster(bytes), sorted(roster), 'the roster comes back');
  for (const user of everybody) assert.equal(isMemberInRoster(bytes, user), roster.members.has(user), 'one is found');
}

function sorted(roster: GroupRoster): GroupRoster {
  return { ...roster, members: new Map([...roster.members].sort()) };
}

/** What a change may have done to a roster, by who made it: the rules once more, looked at from the outcome. */
function checkRights(before: GroupRoster, after: GroupRoster, author: string): void {
  const role = before.members.get(author);
  if (role === 'admin') return;
  const others = (roster: GroupRoster): unknown => [...sorted(roster).members].filter(([user]) => user !== author);
  assert.deepStrictEqual(others(after), others(before), 'only an admin changes others');
  if (role === 'member') assert.ok(!after.members.has(author), 'a member only leaves');
  else assert.ok(after.members.get(author) === 'member' && before.link !== undefined, 'a stranger only joins');
  if (after.members.size > 0) assert.deepStrictEqual(after.info, before.info);
}

t.test(
  'random histories: rights, invariants, one more epoch for each change, nothing changed by a refusal',
  async (t) => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(arbitraryMove, { maxLength: 25 }), (moves) => {
        let state = three;
        for (const { author, actions } of moves) {
          const bytes = hexOf(encodeRoster(state.roster));
          const outcome = changeBy(state, userOf(author), ...actions);
          met.set(outcomeOf(outcome), (met.get(outcomeOf(outcome)) ?? 0) + 1);
          assert.equal(hexOf(encodeRoster(state.roster)), bytes, 'a state is not modified');
          if (isGroupRefusal(outcome)) continue;
          assert.equal(outcome.roster.epoch, state.roster.epoch + 1);
          checkRights(state.roster, outcome.roster, userOf(author));
          checkInvariants(outcome);
          state = outcome;
        }
      }),
      { numRuns: 400, seed: 20_261 },
    );
    for (const code of ['accepted', 'GROUP_NOT_A_MEMBER', 'GROUP_FORBIDDEN', 'GROUP_CONTRADICTION', 'GROUP_NO_ADMIN']) {
      t.ok((met.get(code) ?? 0) > 5, `${code}: ${met.get(code)}`);
    }
  },
);

t.test('positive control: the check of rights fails for rules that let a member add', async (t) => {
  const after = { ...three.roster, members: new Map([...three.roster.members, [dan, 'member' as const]]) };
  t.throws(() => checkRights(three.roster, after, bob));
  t.throws(() => checkInvariants({ ...three, roster: { ...three.roster, members: new Map([[bob, 'member']]) } }));
});

t.test('rosters: prefixes, order, twice, another version', async (t) => {
  const bytes = encodeRoster(three.roster);
  for (let length = 0; length < bytes.length; length += 1) {
    if (!isGroupRefusal(decodeRoster(bytes.subarray(0, length)))) t.fail(`${length} bytes`);
    if (!isGroupRefusal(isMemberInRoster(bytes.subarray(0, length), ann))) t.fail(`${length} bytes, for one member`);
  }
  t.match(decodeRoster(Uint8Array.of(...bytes, 0)), { code: 'GROUP_MALFORMED' });
  t.match(decodeRoster(bytes.with(0, 9)), { code: 'GROUP_UNSUPPORTED' });
  t.match(decodeRoster(bytes.with(13, 2)), { code: 'GROUP_MALFORMED' }, 'a flag that is none');
  t.match(decodeRoster(bytes.with(11, 0)), { code: 'GROUP_MALFORMED' }, 'epoch 0');
  t.match(decodeRoster(bytes.with(bytes.length - 2, 1)), { code: 'GROUP_MALFORMED' }, 'members out of order');
  t.match(decodeRoster(new Uint8Array(LIMITS.groupRosterBytesMax + 1).fill(1)), { code: 'GROUP_MALFORMED' });
  const malformed = [Uint8Array.of(...bytes, 0), bytes.with(13, 2), bytes.with(11, 0)];
  for (const each of malformed) t.match(isMemberInRoster(each, ann), { code: 'GROUP_MALFORMED' });
  t.match(isMemberInRoster(bytes.with(0, 9), ann), { code: 'GROUP_UNSUPPORTED' });
});

t.test('every refusal has a meaning and an action', async (t) => {
  for (const [code, { meaning, action }] of Object.entries(GROUP_REFUSALS)) {
    t.match(code, /^GROUP_[A-Z_]+$/);
    t.ok(meaning.length > 10 && action.length > 10, code);
  }
});
