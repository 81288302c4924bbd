/** Planning alone, for the owner of groups: a queue in, a plan out, and nobody told anything. */

import t from 'tap';
import {
  encodeGroupChange,
  draftGroupChange,
  groupChangeStatement,
  isGroupRefusal,
} from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import { createTestNode } from '../../runtime/testing/test-node.ts';
import type { GroupChangeSubmit, GroupSubmit } from './messages.ts';
import { planItem } from './plan.ts';
import { sha512 } from './roll.ts';
import type { GroupsCommit, GroupsState } from './state.ts';
import { GROUP, userOf } from './test-kit.ts';
import { MemoryStore } from '../store/memory.ts';
import { spawnProbe } from '../test-kit.ts';

const CONNECTION: Pid = spawnProbe(createTestNode()).pid;
const SELF = { user: userOf(1), device: 1, creation: 1 };

function emptyState(): GroupsState {
  const rest = { queue: [], finished: [], creators: new Map(), lastTs: 0 };
  return { args: { store: new MemoryStore() }, roll: new Map(), ...rest } as unknown as GroupsState;
}

function emptyCommit(room = 1_000_000): GroupsCommit {
  const now = { wallMs: 7, monotonicMs: 7 };
  return { now, self: CONNECTION, ts: 7, told: [], room, bytes: 0, accepted: [], finished: [] };
}

function creation(): GroupChangeSubmit {
  const actions = [{ kind: 'create' }, { kind: 'add', user: userOf(2), role: 'member' }] as const;
  const draft = draftGroupChange(undefined, { group: GROUP, author: SELF.user, device: 1, time: 0, actions }, sha512);
  if (isGroupRefusal(draft)) throw new Error(draft.code);
  const change = encodeGroupChange(groupChangeStatement(draft), new Uint8Array(64));
  return { kind: 'group-change', connection: CONNECTION, iq: 3, self: SELF, group: GROUP, change };
}

function message(id: number): GroupSubmit {
  const sender = { connection: CONNECTION, sender: SELF, senderKey: `${SELF.user}.1.1` };
  return { kind: 'group-submit', ...sender, group: GROUP, id, epoch: 1, ciphertext: new Uint8Array(10) };
}

t.test('a change is planned, and what comes after it waits', async (t) => {
  const [state, commit] = [emptyState(), emptyCommit()];
  planItem(creation(), commit, state);
  planItem(message(1), commit, state);
  t.strictSame(
    commit.accepted.map(({ kind, body }) => [kind, body.order]),
    [['change', 1]],
  );
  t.strictSame(commit.told, []);
  t.equal(state.roll.get(GROUP)!.held.length, 1);
});

t.test('messages get their places; who is to be refused or introduced stands in the plan', async (t) => {
  const [state, first] = [emptyState(), emptyCommit()];
  planItem(creation(), first, state);
  Object.assign(state.roll.get(GROUP)!, { changing: false, planned: 0 });
  const commit = emptyCommit();
  for (const id of [1, 2, 4]) planItem(message(id), commit, state);
  t.strictSame(
    commit.accepted.map(({ body }) => [body.id, body.order]),
    [
      [1, 2],
      [2, 3],
    ],
  );
  t.equal(commit.bytes, 20);
  t.match(commit.told, [
    { connection: CONNECTION, message: { kind: 'group-owner', owner: CONNECTION } },
    { message: { kind: 'group-refused', id: 4, refusal: { code: 'APP_OUT_OF_ORDER', expected: 3 } } },
  ]);
  t.equal(commit.told.length, 2);
});

t.test('nothing opens the row of a sender behind what it has said and nobody here has taken', async (t) => {
  const [state, first] = [emptyState(), emptyCommit()];
  planItem(creation(), first, state);
  Object.assign(state.roll.get(GROUP)!, { changing: false, planned: 0 });
  const commit = emptyCommit();
  planItem({ ...message(2), after: 1 }, commit, state);
  t.match(commit.told.at(-1), { message: { kind: 'group-refused', id: 2, refusal: { code: 'APP_OUT_OF_ORDER' } } });
  for (const id of [1, 2]) planItem({ ...message(id), after: id - 1 }, commit, state);
  t.strictSame(
    commit.accepted.map(({ body }) => body.id),
    [1, 2],
  );
});

t.test('without room nothing is accepted', async (t) => {
  const [state, commit] = [emptyState(), emptyCommit(100)];
  planItem(creation(), commit, state);
  t.strictSame(commit.accepted, []);
  t.match(commit.told, [{ message: { kind: 'answer-refused', iq: 3, refusal: { code: 'APP_STORE_FULL' } } }]);
});
