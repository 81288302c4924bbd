/** Group changes as bytes: the published ones both ways, every bound, every damage. */

import t from 'tap';
import {
  decodeGroupChange,
  encodeGroupChange,
  groupChangeStatement,
  hashOfChange,
  hashOfGate,
  joinStatement,
  NO_HASH,
} from './group-change.ts';
import type { GroupAction, GroupChange, SignedGroupChange } from './group-change.ts';
import { isGroupRefusal, type GroupRefusal } from './group-errors.ts';
import { LIMITS } from './limits.ts';
import { changeVectors, GROUP, sha512, userOf } from './testing/group-changes.ts';
import { hexOf } from './testing/notation.ts';

const vectors = changeVectors();

function codeOf(outcome: SignedGroupChange | GroupRefusal): string {
  return isGroupRefusal(outcome) ? outcome.code : 'accepted';
}

function changeWith(fields: Partial<GroupChange>): GroupChange {
  const head = { group: GROUP, epoch: 1, formerHash: NO_HASH, rosterHash: NO_HASH, author: userOf(1), device: 1 };
  return { ...head, time: 0, actions: [{ kind: 'create' }], ...fields };
}

function bytesOf(fields: Partial<GroupChange>): Uint8Array {
  return encodeGroupChange(groupChangeStatement(changeWith(fields)), new Uint8Array(64));
}

/** Every field of `expected`; what was decoded has signature and statement besides. */
function sameFields(
  t: Pick<typeof import('tap').default, 'fail' | 'strictSame' | 'equal'>,
  decoded: SignedGroupChange | GroupRefusal,
  expected: GroupChange,
): void {
  if (isGroupRefusal(decoded)) return void t.fail(decoded.code);
  const { signature, statement, ...change } = decoded;
  t.strictSame(change, expected);
  t.equal(signature.length, 64);
  t.equal(hexOf(statement), hexOf(groupChangeStatement(expected)));
}

for (const { name, change, bytes, hash } of vectors) {
  t.test(`vector: ${name}`, async (t) => {
    const decoded = decodeGroupChange(bytes) as SignedGroupChange;
    sameFields(t, decoded, change);
    t.equal(hexOf(encodeGroupChange(groupChangeStatement(change), decoded.signature)), hexOf(bytes));
    t.equal(hexOf(hashOfChange(decoded, sha512)), hash);
  });
}

t.test('the vectors have every kind of action', async (t) => {
  const kinds = new Set(vectors.flatMap(({ change }) => change.actions.map(({ kind }) => kind)));
  t.strictSame([...kinds].sort(), [
    'add',
    'create',
    'info',
    'join',
    'leave',
    'link',
    'policy',
    'remove',
    'role',
    'unlink',
  ]);
});

t.test('no prefix and no continuation of a change is one', async (t) => {
  for (const { bytes, name } of vectors) {
    for (let length = 0; length < bytes.length; length += 1) {
      if (codeOf(decodeGroupChange(bytes.subarray(0, length))) === 'accepted') t.fail(`${name}: ${length} bytes`);
    }
    t.equal(codeOf(decodeGroupChange(Uint8Array.of(...bytes, 0))), 'GROUP_MALFORMED', name);
  }
});

t.test('mutated bytes are refused, or are another change with exactly these bytes', async (t) => {
  const seen = new Map<string, number>();
  let state = 20_261;
  const pick = (bound: number): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % bound;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = new Uint8Array(vectors[pick(vectors.length)]!.bytes);
    for (let changes = pick(3); changes >= 0; changes -= 1) bytes[pick(bytes.length)] = pick(256);
    const cut = pick(10) === 0 ? bytes.subarray(0, pick(bytes.length)) : bytes;
    const decoded = decodeGroupChange(cut);
    seen.set(codeOf(decoded), (seen.get(codeOf(decoded)) ?? 0) + 1);
    if (isGroupRefusal(decoded)) continue;
    const again = encodeGroupChange(groupChangeStatement(decoded), decoded.signature);
    if (hexOf(again) !== hexOf(cut)) t.fail(`two forms: ${hexOf(cut)}`);
  }
  for (const outcome of ['accepted', 'GROUP_MALFORMED', 'GROUP_UNSUPPORTED']) {
    t.ok((seen.get(outcome) ?? 0) > 20, `${outcome}: ${seen.get(outcome)}`);
  }
});

t.test('bounds: at them and one beyond', async (t) => {
  const adds = (count: number): GroupAction[] =>
    Array.from({ length: count }, (_, index) => ({ kind: 'add', user: userOf(index), role: 'member' }));
  const full = bytesOf({
    actions: [{ kind: 'create' }, ...adds(1_023), { kind: 'info', info: new Uint8Array(LIMITS.groupInfoBytesMax) }],
  });
  t.equal(codeOf(decodeGroupChange(full)), 'accepted', `${full.length} bytes create the largest group`);
  t.equal(codeOf(decodeGroupChange(bytesOf({ actions: adds(LIMITS.groupActionsMax) }))), 'accepted');
  t.throws(() => bytesOf({ actions: adds(LIMITS.groupActionsMax + 1) }), RangeError);
  t.throws(() => bytesOf({ actions: [] }), RangeError);
  t.throws(
    () => bytesOf({ actions: [{ kind: 'info', info: new Uint8Array(LIMITS.groupInfoBytesMax + 1) }] }),
    RangeError,
  );
  const infos = Array.from({ length: 12 }, (): GroupAction => ({ kind: 'info', info: new Uint8Array(1_024) }));
  t.throws(() => bytesOf({ actions: infos }), RangeError, 'each within its bound, and too much together');
  t.equal(codeOf(decodeGroupChange(bytesOf({ epoch: LIMITS.groupEpochMax, time: LIMITS.groupTimeMax }))), 'accepted');
  t.throws(() => bytesOf({ epoch: LIMITS.groupEpochMax + 1 }), RangeError);
  t.throws(() => bytesOf({ time: LIMITS.groupTimeMax + 1 }), RangeError);
  t.equal(codeOf(decodeGroupChange(new Uint8Array(LIMITS.groupChangeBytesMax + 1).fill(1))), 'GROUP_MALFORMED');
});

t.test('wrong calls throw', async (t) => {
  const wrong: [Partial<GroupChange>, ErrorConstructor][] = [
    [{ group: '1' }, TypeError],
    [{ author: 'x'.repeat(15) }, TypeError],
    [{ device: 128 }, TypeError],
    [{ epoch: 0 }, RangeError],
    [{ time: -1 }, RangeError],
    [{ formerHash: new Uint8Array(31) }, RangeError],
    [{ rosterHash: new Uint8Array(33) }, RangeError],
    [{ actions: [{ kind: 'add', user: '7', role: 'member' }] }, TypeError],
    [{ actions: [{ kind: 'role', user: userOf(1), role: 'owner' as 'admin' }] }, TypeError],
    [{ actions: [{ kind: 'policy', mode: 'none' as 'pairwise' }] }, TypeError],
    [{ actions: [{ kind: 'link', gateHash: NO_HASH, key: new Uint8Array(33) }] }, RangeError],
    [{ actions: [{ kind: 'link', gateHash: new Uint8Array(1), key: new Uint8Array(33).fill(5) }] }, RangeError],
    [{ actions: [{ kind: 'join', gate: NO_HASH, proof: new Uint8Array(63) }] }, RangeError],
  ];
  for (const [fields, error] of wrong) t.throws(() => bytesOf(fields), error, JSON.stringify(fields));
  t.throws(() => encodeGroupChange(groupChangeStatement(changeWith({})), new Uint8Array(63)), RangeError);
});

t.test('fields that decode to no value of theirs are refused', async (t) => {
  const place = (offset: number, value: number): Uint8Array => bytesOf({}).with(offset, value);
  const bent: [string, Uint8Array][] = [
    ['a group id of 16 digits', place(1, 0xff)],
    ['epoch 0', place(11, 0)],
    ['device 0', place(83, 0)],
    ['device 128', place(83, 128)],
    ['no action', place(91, 0)],
    ['an action that is none', place(92, 0)],
    ['an action of a later release', place(92, 11)],
  ];
  for (const [name, bytes] of bent) t.equal(codeOf(decodeGroupChange(bytes)), 'GROUP_MALFORMED', name);
  const role = bytesOf({ actions: [{ kind: 'add', user: userOf(2), role: 'member' }] });
  t.equal(codeOf(decodeGroupChange(role.with(100, 3))), 'GROUP_MALFORMED', 'a role that is none');
  const key = Uint8Array.of(5, ...NO_HASH);
  const link = bytesOf({ actions: [{ kind: 'link', gateHash: NO_HASH, key }] });
  t.equal(codeOf(decodeGroupChange(link.with(125, 6))), 'GROUP_MALFORMED', 'a key of another type');
  t.equal(codeOf(decodeGroupChange(bytesOf({}).with(0, 2))), 'GROUP_UNSUPPORTED');
});

t.test('what a signature and a hash cover tells every field apart', async (t) => {
  const key = Uint8Array.of(5, ...NO_HASH);
  const links = [
    { gateHash: NO_HASH, key },
    { gateHash: NO_HASH, key: key.with(1, 1) },
  ];
  const statements = links.flatMap((link) => [
    joinStatement(GROUP, link, userOf(1), 1),
    joinStatement(GROUP, link, userOf(1), 2),
    joinStatement(GROUP, link, userOf(2), 1),
    joinStatement(userOf(9), link, userOf(1), 1),
  ]);
  t.equal(new Set(statements.map(hexOf)).size, statements.length);
  const labels = [statements[0]!, groupChangeStatement(changeWith({}))].map((statement) =>
    new TextDecoder().decode(statement.subarray(0, 21)),
  );
  t.strictSame(labels, ['Blindbeam group join\0', 'Blindbeam group chang']);
  t.notSame(hashOfGate(NO_HASH, sha512), hashOfChange({ statement: NO_HASH }, sha512), 'hashes have labels, too');
});
