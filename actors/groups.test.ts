import t from 'tap';
import { LIMITS as WIRE_LIMITS } from '../protocol/wire/index.ts';
import { GROUP, GroupFixture, lastSeq, received, userOf } from './groups/test-kit.ts';
import { LIMITS } from './limits.ts';
import { setLimit } from './live-limits.ts';
import type { ConnectionMessage } from './messages.ts';
import { submission } from './test-kit.ts';

function refusals(messages: readonly ConnectionMessage[]): unknown[] {
  return messages.flatMap((message) => {
    if (message.kind === 'group-refused') return [{ id: message.id, ...message.refusal }];
    return message.kind === 'answer-refused' ? [message.refusal] : [];
  });
}

/** `id@order` of what was acknowledged. */
function sent(messages: readonly ConnectionMessage[]): string[] {
  return messages.flatMap((message) => (message.kind === 'group-sent' ? [`${message.id}@${message.order}`] : []));
}

function receipts(messages: readonly ConnectionMessage[]): string[] {
  return messages.flatMap((message) =>
    message.kind === 'group-receipts'
      ? message.marks.map(({ user, order }) => `${message.type} ${Number(user.slice(1))} ${order}`)
      : [],
  );
}

/** A group of users 1 to 4 on two shards, all of them there. */
async function four(): Promise<GroupFixture> {
  const fixture = await GroupFixture.start(6);
  for (const number of [1, 2, 3, 4]) await fixture.attach(number);
  await fixture.create(2, 3, 4);
  return fixture;
}

t.test('a group is created; everybody gets the change, then messages, in one row', async (t) => {
  const fixture = await four();
  t.match(
    fixture.connectionOf(1).received.find(({ kind }) => kind === 'answer'),
    {
      answer: { kind: 'group', group: GROUP, epoch: 1, order: 1 },
    },
  );
  await fixture.send(1, 1, 'a');
  await fixture.send(2, 1, 'b');
  await fixture.send(1, 2, 'c');
  t.strictSame(sent(fixture.connectionOf(1).received), ['1@2', '2@4']);
  t.strictSame(received(fixture.connectionOf(1).received), ['1:change', '3:b'], 'all but its own');
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:a', '4:c']);
  for (const number of [3, 4]) {
    t.strictSame(received(fixture.connectionOf(number).received), ['1:change', '2:a', '3:b', '4:c']);
  }
});

t.test('one body on each shard, however many refer to it; it goes with the last acknowledgement', async (t) => {
  const fixture = await four();
  t.strictSame(fixture.bodies(), [1, 1]);
  for (const number of [1, 2, 3, 4]) {
    await fixture.acknowledge(number, lastSeq(fixture.connectionOf(number).received));
  }
  t.strictSame(fixture.bodies(), [0, 0], 'of the change that created the group');
  await fixture.send(1, 1, 'hello');
  t.strictSame(fixture.bodies(), [1, 1]);
  t.equal(fixture.stores[1].groups.bodyCount(GROUP, 2), 2, 'two members live there');
  await fixture.acknowledge(2, 2);
  t.strictSame(fixture.bodies(), [1, 1]);
  t.equal(fixture.stores[1].groups.bodyCount(GROUP, 2), 1);
  await fixture.acknowledge(4, 2);
  t.strictSame(fixture.bodies(), [1, 0]);
  await fixture.acknowledge(3, 2);
  t.strictSame(fixture.bodies(), [0, 0]);
  t.equal(fixture.stores[0].queuedBytes() + fixture.stores[1].queuedBytes(), 0, 'and nothing is counted any more');
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(fixture.stores[0].groups.outgoing(), [], 'nothing is outgoing');
});

t.test('who is away finds it later, in order with everything else, on each device', async (t) => {
  const fixture = await GroupFixture.start(3, { 2: 2 });
  await fixture.create(2, 3);
  for (let id = 1; id <= 5; id++) await fixture.send(1, id, `m${id}`);
  const rows = ['1:change', '2:m1', '3:m2', '4:m3', '5:m4', '6:m5'];
  for (const device of [1, 2]) t.strictSame(received((await fixture.attach(2, device)).received), rows);
  await fixture.acknowledge(2, 6, 1);
  t.strictSame(fixture.bodies(), [6, 6], 'the other device has not acknowledged');
  await fixture.acknowledge(2, 6, 2);
  t.strictSame(fixture.bodies(), [6, 0]);
});

t.test('a resend is acknowledged again and not delivered again; a gap is refused', async (t) => {
  const fixture = await four();
  await fixture.send(1, 1, 'a');
  await fixture.send(1, 2, 'b');
  fixture.connectionOf(1).take();
  await fixture.send(1, 1, 'a');
  t.strictSame(sent(fixture.connectionOf(1).take()), ['2@3'], 'cumulative');
  await fixture.send(1, 5, 'e');
  t.strictSame(refusals(fixture.connectionOf(1).take()), [{ id: 5, code: 'APP_OUT_OF_ORDER', expected: 3 }]);
  t.strictSame(received(fixture.connectionOf(3).received), ['1:change', '2:a', '3:b']);
  await fixture.send(2, 77, 'any id begins');
  t.strictSame(sent(fixture.connectionOf(2).received), ['77@4']);
});

t.test(
  'a message for another epoch is refused with the present one, and is good for it under the same id',
  async (t) => {
    const fixture = await four();
    await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }));
    await fixture.send(2, 1, 'old', 1);
    t.strictSame(refusals(fixture.connectionOf(2).take()), [{ id: 1, code: 'APP_GROUP_EPOCH', epoch: 2 }]);
    await fixture.send(2, 1, 'new', 2);
    t.strictSame(sent(fixture.connectionOf(2).take()), ['1@3']);
  },
);

t.test('who is removed gets his removal and nothing after it, and may do nothing more', async (t) => {
  const fixture = await four();
  await fixture.send(2, 1, 'before');
  // All in one turn: the change must not overtake what stands before it, nor be overtaken.
  await fixture.send(2, 2, 'at once', 1, false);
  await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }), false);
  await fixture.send(2, 3, 'too late for this epoch', 1, false);
  await fixture.test.settle();
  await fixture.send(2, 3, 'secret', 2);
  t.strictSame(received(fixture.connectionOf(4).received), ['1:change', '2:before', '3:at once', '4:change']);
  t.strictSame(received(fixture.connectionOf(3).received).at(-1), '5:secret');
  await fixture.send(4, 1, 'still there?', 2);
  t.strictSame(refusals(fixture.connectionOf(4).take()), [{ id: 1, code: 'APP_NOT_A_MEMBER' }]);
  const later = await fixture.attach(4);
  t.notOk(received(later.received).includes('5:secret'), 'nor on the next connection');
});

t.test('changes keep to the rules, each refusal with its code', async (t) => {
  const fixture = await four();
  const before = fixture.state;
  const tried = async (author: number, bytes: Uint8Array): Promise<unknown[]> => {
    fixture.connectionOf(author).take();
    await fixture.change(author, bytes);
    return refusals(fixture.connectionOf(author).take());
  };
  const first = fixture.draft(1, { kind: 'add', user: userOf(5), role: 'member' });
  t.strictSame(await tried(1, first), []);
  t.strictSame(await tried(1, first), [], 'the same change again is answered like the first time');
  fixture.state = before;
  const stale = fixture.draft(1, { kind: 'add', user: userOf(6), role: 'member' });
  t.strictSame(await tried(1, stale), [{ code: 'APP_GROUP_EPOCH', epoch: 2 }]);
  t.strictSame(await tried(2, first), [{ code: 'APP_GROUP_BAD_CHANGE' }], 'of another author');
  t.strictSame(await tried(1, first.subarray(1)), [{ code: 'APP_GROUP_BAD_CHANGE' }], 'no change at all');
  const bent = first.slice();
  bent[60]! ^= 1;
  t.strictSame(await tried(1, bent), [{ code: 'APP_GROUP_EPOCH', epoch: 2 }], 'bent, and stale as well');
});

t.test('a member cannot do what an admin may, and a stranger nothing', async (t) => {
  const fixture = await four();
  const asIfAdmin = (author: number): Uint8Array => {
    const { state } = fixture;
    const members = new Map(state!.roster.members).set(userOf(author), 'admin');
    fixture.state = { ...state!, roster: { ...state!.roster, members } };
    const bytes = fixture.draft(author, { kind: 'add', user: userOf(6), role: 'member' });
    fixture.state = state;
    return bytes;
  };
  await fixture.change(2, asIfAdmin(2));
  t.match(refusals(fixture.connectionOf(2).take()), [{ code: 'APP_GROUP_FORBIDDEN' }]);
  await fixture.change(5, asIfAdmin(5));
  t.match(refusals(fixture.connectionOf(5).take()), [{ code: 'APP_NOT_A_MEMBER' }]);
  await fixture.send(5, 1, 'let me in');
  t.match(refusals(fixture.connectionOf(5).take()), [{ id: 1, code: 'APP_NOT_A_MEMBER' }]);
});

t.test('1,024 members get a message, and no further one is let in', async (t) => {
  const fixture = await GroupFixture.start(WIRE_LIMITS.groupMembersMax + 1);
  await fixture.create(...membersOf(WIRE_LIMITS.groupMembersMax));
  const author = await fixture.attach(1);
  await fixture.send(1, 1, 'hello');
  for (const number of [2, 513, 1_024]) {
    t.strictSame(received((await fixture.attach(number)).received), ['1:change', '2:hello'], `member ${number}`);
  }
  author.take();
  const { state } = fixture;
  // As if there were room: nobody drafts it otherwise.
  const members = new Map([...state!.roster.members].slice(0, -1));
  fixture.state = { ...state!, roster: { ...state!.roster, members } };
  const oneMore = fixture.draft(1, { kind: 'add', user: userOf(WIRE_LIMITS.groupMembersMax + 1), role: 'member' });
  fixture.state = state;
  await fixture.change(1, oneMore);
  t.match(refusals(author.take()), [{ code: 'APP_GROUP_FULL' }]);
});

t.test('a group that does not exist, a message that is too large', async (t) => {
  const fixture = await GroupFixture.start(2);
  await fixture.send(1, 1, 'x', 1);
  t.match(refusals(fixture.connectionOf(1).take()), [{ id: 1, code: 'APP_UNKNOWN_GROUP' }]);
  await fixture.create(2);
  await fixture.send(1, 1, 'x'.repeat(LIMITS.ciphertextBytesMax + 1));
  t.match(refusals(fixture.connectionOf(1).take()), [{ id: 1, code: 'APP_MESSAGE_TOO_LARGE' }]);
});

t.test('nobody is acknowledged before the flush, and a refused commit leaves nothing behind', async (t) => {
  const fixture = await four();
  fixture.connectionOf(1).take();
  fixture.stores[0].failNextCommits(1);
  await fixture.send(1, 1, 'a', undefined, false);
  await fixture.send(1, 2, 'b', undefined, false);
  await fixture.test.settle();
  t.match(refusals(fixture.connectionOf(1).take()), [
    { id: 2, code: 'APP_STORE_FULL' },
    { id: 1, code: 'APP_STORE_FULL' },
  ]);
  await fixture.test.advance(LIMITS.storeFullPauseMs + 1);
  await fixture.send(1, 1, 'a');
  t.strictSame(sent(fixture.connectionOf(1).take()), ['1@2'], 'the place is given out anew');
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:a']);
});

t.test('without a record, nothing past a refused message is the first of its sender', async (t) => {
  const fixture = await four();
  fixture.stores[0].failNextCommits(1);
  await fixture.send(1, 1, 'a');
  await fixture.send(2, 1, 'b');
  await fixture.test.advance(LIMITS.storeFullPauseMs + 1);
  await fixture.send(3, 1, 'x'.repeat(LIMITS.ciphertextBytesMax + 1));
  for (const number of [1, 2, 3]) {
    t.equal(refusals(fixture.connectionOf(number).take()).length, 1);
    await fixture.send(number, 2, 'too soon');
    t.strictSame(refusals(fixture.connectionOf(number).take()), [{ id: 2, code: 'APP_OUT_OF_ORDER', expected: 1 }]);
    await fixture.send(number, 1, 'again');
    t.strictSame(sent(fixture.connectionOf(number).take()), [`1@${number + 1}`]);
  }
});

t.test('a resend on a new connection is answered there, also when one commit takes it and the first', async (t) => {
  const fixture = await four();
  /** While the commit of somebody else is under way, somebody sends, comes back, and sends again. */
  const resend = async (id: number): Promise<void> => {
    fixture.stores[0].holdCommits();
    await fixture.send(3, id, 'under way');
    await fixture.send(1, id, 'a');
    fixture.test.node.exit(fixture.connectionOf(1).pid, 'kill');
    fixture.connections.delete('1.1');
    await fixture.send(1, id, 'a');
  };
  await resend(1);
  fixture.stores[0].releaseCommits();
  await fixture.test.settle();
  t.strictSame(sent(fixture.connectionOf(1).take()), ['1@3']);
  await fixture.test.advance(2 * LIMITS.groupRetryMs);
  await resend(2);
  fixture.stores[0].failNextCommits(1);
  fixture.stores[0].releaseCommits();
  await fixture.test.settle();
  t.match(refusals(fixture.connectionOf(1).take()), [{ id: 2, code: 'APP_STORE_FULL' }], 'a refusal as well');
});

t.test('a commit of the owner has a bound in bytes', async (t) => {
  const fixture = await GroupFixture.start(2);
  const groups = Array.from({ length: 3 }, (_, at) => String(700_000_000_000_100 + at));
  for (const group of groups) {
    fixture.group = group;
    fixture.state = undefined;
    await fixture.create(2);
  }
  fixture.connectionOf(1).take();
  const text = 'x'.repeat(LIMITS.ciphertextBytesMax);
  const commitCount = Math.ceil(LIMITS.commitBytesMax / text.length);
  fixture.stores[0].failNextCommits(1);
  for (let id = 1; id <= LIMITS.groupOutgoingCountMax; id++) {
    for (fixture.group of groups) await fixture.send(1, id, text, 1, false);
  }
  await fixture.test.settle();
  const refused = refusals(fixture.connectionOf(1).take()) as { readonly code: string }[];
  const full = refused.filter(({ code }) => code === 'APP_STORE_FULL');
  t.equal(full.length, commitCount, 'so many were in the first commit');
});

t.test('what a shard did not get is sent again until it has it, and comes once', async (t) => {
  const fixture = await four();
  let lost = 0;
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2)) && lost++ < 2;
  await fixture.send(1, 1, 'a');
  t.strictSame(received(fixture.connectionOf(3).received), ['1:change', '2:a']);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change'], 'of the other shard');
  t.equal(fixture.stores[0].groups.outgoing().length, 1);
  await fixture.test.advance(4 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:a']);
  t.strictSame(received(fixture.connectionOf(3).received), ['1:change', '2:a'], 'the shard that had it has it once');
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(fixture.stores[0].groups.outgoing(), []);
});

t.test('a shard that lost one message takes none after it, until it has it', async (t) => {
  const fixture = await four();
  let lost = 0;
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2)) && lost++ === 0;
  for (let id = 1; id <= 3; id++) await fixture.send(1, id, `m${id}`);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change'], 'the later ones came and were not taken');
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:m1', '3:m2', '4:m3']);
  await fixture.acknowledge(2, 4);
  fixture.loses = () => true;
  for (let id = 4; id <= 6; id++) await fixture.send(1, id, `m${id}`);
  await fixture.restartInboxes();
  await fixture.attach(2);
  fixture.loses = () => false;
  await fixture.send(1, 7, 'm7');
  t.strictSame(received(fixture.connectionOf(2).take()), [], 'nor after its restart');
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(received(fixture.connectionOf(2).take()), ['5:m4', '6:m5', '7:m6', '8:m7']);
});

t.test('a shard whose disk is full takes it later, in order', async (t) => {
  const fixture = await four();
  fixture.stores[1].failNextCommits(1);
  for (let id = 1; id <= 3; id++) await fixture.send(1, id, `m${id}`);
  await fixture.test.advance(5 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  for (const number of [2, 4]) {
    t.strictSame(received(fixture.connectionOf(number).received), ['1:change', '2:m1', '3:m2', '4:m3']);
  }
});

t.test('a change waits for what is outgoing, and what comes after it waits for the change', async (t) => {
  const fixture = await four();
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
  await fixture.send(1, 1, 'a');
  await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }));
  await fixture.send(3, 1, 'after the change', 2);
  t.equal(fixture.stores[0].groups.order(GROUP), 2, 'nothing more has a place');
  fixture.loses = () => false;
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:a', '3:change', '4:after the change']);
  t.strictSame(received(fixture.connectionOf(4).received), ['1:change', '2:a', '3:change']);
});

t.test('who writes behind a change that a shard cannot get is answered, and goes on when it can', async (t) => {
  const fixture = await four();
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
  await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }));
  await fixture.send(3, 1, 'held', 2);
  await fixture.test.advance(LIMITS.groupStuckMs - LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(refusals(fixture.connectionOf(3).received), [], 'a take-over takes as long');
  await fixture.test.advance(3 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  const stuck = { code: 'APP_UNAVAILABLE', retryAfter: 5 };
  t.strictSame(refusals(fixture.connectionOf(3).take()), [{ id: 1, ...stuck }]);
  await fixture.send(3, 1, 'refused at once', 2);
  t.strictSame(refusals(fixture.connectionOf(3).take()), [{ id: 1, ...stuck }]);
  await fixture.send(3, 2, 'behind a refused one', 2);
  t.strictSame(refusals(fixture.connectionOf(3).take()), [{ id: 2, ...stuck }]);
  fixture.loses = () => false;
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  await fixture.send(3, 2, 'out of order', 2);
  t.match(refusals(fixture.connectionOf(3).take()), [{ id: 2, code: 'APP_OUT_OF_ORDER', expected: 1 }]);
  for (const id of [1, 2]) await fixture.send(3, id, `again ${id}`, 2);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:change', '3:again 1', '4:again 2']);
});

t.test('a change behind messages that a shard cannot get is refused, and messages go on', async (t) => {
  const fixture = await four();
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
  await fixture.send(1, 1, 'a');
  await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }));
  await fixture.send(3, 1, 'held', 1);
  await fixture.test.advance(LIMITS.groupStuckMs + 2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.match(refusals(fixture.connectionOf(1).take()), [{ code: 'APP_UNAVAILABLE' }]);
  t.match(refusals(fixture.connectionOf(3).take()), [{ id: 1, code: 'APP_UNAVAILABLE' }]);
  await fixture.send(3, 1, 'goes on', 1);
  t.strictSame(sent(fixture.connectionOf(3).take()), ['1@3']);
  t.strictSame(received(fixture.connectionOf(1).received), ['1:change', '3:goes on'], 'on its own shard');
  fixture.loses = () => false;
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  t.strictSame(received(fixture.connectionOf(2).received), ['1:change', '2:a', '3:goes on']);
});

t.test('an owner that is killed goes on where it was: nothing lost, nothing twice, to those it was for', async (t) => {
  const fixture = await four();
  fixture.loses = () => true;
  for (let id = 1; id <= 3; id++) await fixture.send(1, id, `m${id}`);
  t.strictSame(sent(fixture.connectionOf(1).received), ['1@2', '2@3', '3@4'], 'acknowledged, and nobody has it');
  fixture.loses = () => false;
  await fixture.restartOwner();
  const rows = ['1:change', '2:m1', '3:m2', '4:m3'];
  for (const number of [2, 3, 4]) t.strictSame(received(fixture.connectionOf(number).received), rows);
  await fixture.send(1, 3, 'm3');
  await fixture.send(1, 4, 'm4');
  t.strictSame(sent(fixture.connectionOf(1).received).slice(-2), ['3@4', '4@5'], 'it knows how far each device was');
  fixture.loses = () => true;
  await fixture.change(1, fixture.draft(1, { kind: 'remove', user: userOf(4) }));
  fixture.loses = () => false;
  await fixture.restartOwner();
  t.equal(received(fixture.connectionOf(4).received).at(-1), '6:change', 'who left is told of it after all');
  await fixture.send(1, 5, 'm5', 2);
  t.equal(received(fixture.connectionOf(4).received).at(-1), '6:change', 'and of nothing more');
  t.equal(received(fixture.connectionOf(3).received).at(-1), '7:m5');
});

t.test('a flood is bounded by what is outgoing, and others go on', async (t) => {
  const fixture = await four();
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
  for (let id = 1; id <= LIMITS.groupOutgoingCountMax + 5; id++) await fixture.send(1, id, 'x', undefined, false);
  await fixture.test.settle();
  const refused = refusals(fixture.connectionOf(1).take());
  t.equal(refused.length, 5);
  t.match(refused[0], { id: LIMITS.groupOutgoingCountMax + 1, code: 'APP_OVERLOADED', retryAfter: 1 });
  fixture.loses = () => false;
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  await fixture.send(1, LIMITS.groupOutgoingCountMax + 1, 'again');
  t.match(sent(fixture.connectionOf(1).take()), [
    `${LIMITS.groupOutgoingCountMax + 1}@${LIMITS.groupOutgoingCountMax + 2}`,
  ]);
});

t.test('a group goes on behind a shard that nobody serves, and all of it is there when somebody does', async (t) => {
  const fixture = await four();
  fixture.place(1, 'nowhere');
  const { groupOutgoingCountMax: few } = LIMITS;
  const many = few + 100;
  const write = async (first: number, last: number): Promise<void> => {
    for (let id = first; id <= last; id++) await fixture.send(1, id, `m${id}`, undefined, false);
    await fixture.test.settle();
  };
  await write(1, few + 1);
  t.match(refusals(fixture.connectionOf(1).take()), [{ id: few + 1, code: 'APP_OVERLOADED' }], 'as in any flood');
  await fixture.test.advance(LIMITS.groupStuckMs + LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  await write(few + 1, many);
  const last = `${many}@${many + 1}`;
  t.strictSame(sent(fixture.connectionOf(1).take()).at(-1), last, 'goes on once a take-over would be over');
  t.equal(received(fixture.connectionOf(3).received).length, many + 1, 'those who are there have it all');
  await fixture.restartOwner();
  fixture.place(1, 'here');
  await fixture.test.advance(2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  const rows = ['1:change', ...Array.from({ length: many }, (_, index) => `${index + 2}:m${index + 1}`)];
  t.strictSame(received(fixture.connectionOf(2).received), rows, 'once and in order, also after a restart in between');
});

t.test('behind a shard that is there and does not confirm, no more is taken than in a flood', async (t) => {
  const fixture = await four();
  fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
  for (let id = 1; id <= LIMITS.groupOutgoingCountMax; id++) await fixture.send(1, id, 'x', undefined, false);
  await fixture.test.advance(LIMITS.groupStuckMs + 2 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
  fixture.connectionOf(1).take();
  await fixture.send(1, LIMITS.groupOutgoingCountMax + 1, 'x');
  t.match(
    refusals(fixture.connectionOf(1).take()),
    [{ code: 'APP_OVERLOADED' }],
    'its queue would grow with each repetition',
  );
});

t.test(
  'what waits of all groups of a shard has a bound in bytes, and groups of those who are there go on',
  async (t) => {
    const fixture = await GroupFixture.start(4);
    await fixture.create(2, 3);
    const { groupOutgoingBytesMax: before, groupOutgoingOverheadBytes: overhead } = LIMITS;
    const max = 1_048_576;
    setLimit('groupOutgoingBytesMax', max);
    t.teardown(() => setLimit('groupOutgoingBytesMax', before));
    fixture.loses = ({ recipients }) => recipients.includes(userOf(2));
    const text = 'x'.repeat(LIMITS.ciphertextBytesMax);
    const fits = Math.ceil(max / (text.length + overhead));
    for (let id = 1; id <= fits + 1; id++) await fixture.send(1, id, text);
    const refused = { id: fits + 1, code: 'APP_OVERLOADED', retryAfter: 1 };
    t.match(refusals(fixture.connectionOf(1).take()), [refused], 'full');

    const away = { group: fixture.group, state: fixture.state };
    Object.assign(fixture, { group: '700000000000101', state: undefined });
    await fixture.create(3);
    fixture.connectionOf(1).take();
    for (let id = 1; id <= 3; id++) await fixture.send(1, id, text);
    t.equal(sent(fixture.connectionOf(1).take()).length, 3, 'whose members are all there are written to');
    for (let id = 4; id <= 5; id++) await fixture.send(1, id, text, undefined, false);
    await fixture.test.settle();
    t.match(refusals(fixture.connectionOf(1).take()), [{ id: 5, code: 'APP_OVERLOADED' }], 'one at a time');

    Object.assign(fixture, away);
    fixture.loses = () => false;
    await fixture.test.advance(3 * LIMITS.groupRetryMs, LIMITS.groupRetryMs);
    await fixture.send(1, fits + 1, 'room again');
    t.match(sent(fixture.connectionOf(1).take()), [`${fits + 1}@${fits + 2}`], 'what is delivered is counted no more');
  },
);

t.test('a device whose inbox is full misses a message; others are unharmed', async (t) => {
  const fixture = await GroupFixture.start(3);
  await fixture.create(2, 3);
  const run = { device: 1, first: 1, last: 1, count: LIMITS.inboxCountMax, bytes: 1 };
  const chatter = { user: userOf(1), device: 1, creation: 1 };
  await fixture.storeOf(userOf(2)).commit((batch) => {
    batch.putConversation(userOf(2), chatter, { accepted: LIMITS.inboxCountMax, delivered: 0, waiting: [run] });
  });
  await fixture.restartInboxes();
  await fixture.send(1, 1, 'missed by one');
  t.strictSame(sent(fixture.connectionOf(1).received), ['1@2'], 'one full inbox does not hold the group up');
  t.strictSame(received((await fixture.attach(2)).received), ['1:change']);
  t.strictSame(received((await fixture.attach(3)).received), ['1:change', '2:missed by one']);
});

t.test('to a client without groups their entries are as good as stored', async (t) => {
  const fixture = await GroupFixture.start(2);
  await fixture.create(2);
  const old = fixture.connectionOf(2);
  const attach = {
    kind: 'attach',
    user: userOf(2),
    device: 1,
    creation: 1,
    connection: old.pid,
    staged: false,
  } as const;
  await fixture.tellInbox(userOf(2), attach);
  await fixture.send(1, 1, 'a');
  await fixture.test.settle();
  t.equal(fixture.bodies()[1], 0, 'nothing stays in its inbox');
});

t.test('receipts: gathered, by place, to those who sent or asked; the delivered ones can be asked for', async (t) => {
  const fixture = await four();
  await fixture.send(1, 1, 'a');
  for (const number of [2, 3, 4]) await fixture.acknowledge(number, 2);
  t.strictSame(receipts(fixture.connectionOf(1).take()), [], 'not yet');
  await fixture.test.advance(LIMITS.groupReceiptsPauseMs + 1);
  t.strictSame(
    receipts(fixture.connectionOf(1).take()).sort(),
    ['delivered 2 2', 'delivered 3 2', 'delivered 4 2'].map(long),
  );
  t.strictSame(receipts(fixture.connectionOf(3).received), [], 'who neither sent nor asked is told nothing');
  const self = { user: userOf(3), device: 1, creation: 1 };
  const connection = fixture.connectionOf(3).pid;
  fixture.tellOwner({ kind: 'group-marks-query', connection, iq: 9, self, group: GROUP, after: undefined });
  await fixture.test.settle();
  t.match(fixture.connectionOf(3).take().at(-1), {
    answer: {
      kind: 'group-marks',
      marks: [2, 3, 4].map((number) => ({ user: userOf(number), order: 2 })),
      more: false,
    },
  });
});

/** As `receipts` prints a user. */
function long(text: string): string {
  const [type, number, order] = text.split(' ');
  return `${type} ${Number(userOf(Number(number)).slice(1))} ${order}`;
}

t.test('read receipts are relayed, never beyond what was delivered', async (t) => {
  const fixture = await four();
  await fixture.send(1, 1, 'a');
  await fixture.acknowledge(2, 2);
  fixture.connectionOf(1).take();
  const read = { kind: 'mark-read', user: userOf(2), sender: { user: GROUP, device: 0 }, id: 99 } as const;
  await fixture.tellInbox(userOf(2), read);
  await fixture.test.advance(LIMITS.groupReceiptsPauseMs + 1);
  t.ok(receipts(fixture.connectionOf(1).take()).includes(long('read 2 2')));
  await fixture.tellInbox(userOf(4), { ...read, user: userOf(4) });
  await fixture.test.advance(LIMITS.groupReceiptsPauseMs + 1);
  t.notOk(
    receipts(fixture.connectionOf(1).take()).some((each) => each.startsWith('read')),
    'who has nothing has read nothing',
  );
});

t.test('roster and changes are for members, and for who has the gate of the link', async (t) => {
  const fixture = await four();
  const gate = new Uint8Array(32).fill(7);
  const { hashOfGate } = await import('../protocol/wire/index.ts');
  const { sha512 } = await import('./groups/roll.ts');
  const key = new Uint8Array(33).fill(5);
  await fixture.change(1, fixture.draft(1, { kind: 'link', gateHash: hashOfGate(gate, sha512), key }));
  const ask = async (number: number, after?: number, shown?: Uint8Array): Promise<ConnectionMessage> => {
    const { pid } = fixture.connectionOf(number);
    const self = { user: userOf(number), device: 1, creation: 1 };
    fixture.tellOwner({ kind: 'group-query', connection: pid, iq: 4, self, group: GROUP, after, gate: shown });
    await fixture.test.settle();
    return fixture.connectionOf(number).take().at(-1)!;
  };
  t.match(await ask(2), { answer: { kind: 'group', epoch: 2, order: 2, changes: [] } });
  const whole = await ask(2);
  t.ok(whole.kind === 'answer' && whole.answer.kind === 'group' && whole.answer.roster!.length > 30);
  const missed = await ask(2, 1);
  t.ok(missed.kind === 'answer' && missed.answer.kind === 'group' && missed.answer.changes.length === 1);
  const current = await ask(2, 2);
  t.ok(current.kind === 'answer' && current.answer.kind === 'group' && current.answer.roster === undefined);
  t.match(await ask(5), { refusal: { code: 'APP_NOT_A_MEMBER' } });
  t.match(await ask(5, undefined, new Uint8Array(32)), { refusal: { code: 'APP_NOT_A_MEMBER' } });
  t.match(await ask(5, undefined, gate), { answer: { kind: 'group', epoch: 2 } });
  await fixture.change(5, fixture.draft(5, { kind: 'join', gate, proof: new Uint8Array(64) }));
  await fixture.send(5, 1, 'in');
  t.strictSame(sent(fixture.connectionOf(5).received), ['1@4']);
});

t.test('changes are kept to their bound, and what is older is answered by the roster', async (t) => {
  const fixture = await four();
  for (let count = 0; count < LIMITS.groupChangesKept + 2; count++) {
    await fixture.change(1, fixture.draft(1, { kind: 'info', info: Uint8Array.of(count) }));
  }
  const { groups } = fixture.stores[0];
  const kept = groups.changes(GROUP, 0, 1_000_000);
  t.equal(kept.length, LIMITS.groupChangesKept);
  t.equal(kept[0]!.epoch, 4);
  const { pid } = fixture.connectionOf(2);
  const self = { user: userOf(2), device: 1, creation: 1 };
  fixture.tellOwner({ kind: 'group-query', connection: pid, iq: 4, self, group: GROUP, after: 1, gate: undefined });
  await fixture.test.settle();
  const last = fixture.connectionOf(2).take().at(-1)!;
  t.ok(last.kind === 'answer' && last.answer.kind === 'group');
  if (last.kind !== 'answer' || last.answer.kind !== 'group') return;
  t.ok(last.answer.roster !== undefined && last.answer.changes.length === 0);
});

t.test('groups of one account are bounded in an hour', async (t) => {
  const fixture = await GroupFixture.start(1);
  const create = async (number: number): Promise<unknown> => {
    fixture.state = undefined;
    fixture.group = String(700_000_000_000_000 + number);
    await fixture.change(1, fixture.draft(1, { kind: 'create' }));
    return fixture.connectionOf(1).take().at(-1);
  };
  for (let number = 1; number <= LIMITS.groupCreationsPerHourMax; number++) {
    t.match(await create(number), { kind: 'answer' });
  }
  t.match(await create(1_000), { kind: 'answer-refused', refusal: { code: 'APP_RATE_LIMITED' } });
});

/** How many members have got a place, whoever they are. */
function reachedBy(fixture: GroupFixture, members: readonly number[], row: string): number {
  return members.filter((number) => received(fixture.connectionOf(number).received).includes(row)).length;
}

/** The newest message between two people that a member got. */
function newestOf(fixture: GroupFixture, number: number) {
  const entries = fixture
    .connectionOf(number)
    .received.flatMap((each) => (each.kind === 'deliver' ? each.entries : []));
  return entries.slice(-1);
}

/** A group of users 1 to `count` who are all there. */
async function crowd(count: number): Promise<GroupFixture> {
  const fixture = await GroupFixture.start(count);
  for (let number = 1; number <= count; number++) await fixture.attach(number);
  await fixture.create(...membersOf(count));
  await fixture.test.advance(1_000, LIMITS.groupSlicePauseMs);
  return fixture;
}

/** All but the first. */
function membersOf(count: number): number[] {
  return Array.from({ length: count - 1 }, (_, index) => index + 2);
}

t.test('what goes to many is handed over slice by slice, and to all of them', async (t) => {
  const count = 101;
  const fixture = await crowd(count);
  const others = membersOf(count);
  await fixture.send(1, 1, 'hello');
  const first = reachedBy(fixture, others, '2:hello');
  t.equal(first, 2 * LIMITS.groupSliceCount, 'a slice on each of the two shards');
  await fixture.tellInbox(userOf(2), submission(fixture.connectionOf(1).pid, userOf(1), userOf(2), 1));
  const [newest] = newestOf(fixture, 2);
  t.match(newest, { type: 'ratchet', sender: userOf(1), id: 1 }, 'a message between two people comes in between');
  t.ok(reachedBy(fixture, others, '2:hello') <= first + 1, 'while most of the group still waits');
  let before = first;
  let slices = 1;
  while (before < others.length && slices < others.length) {
    await fixture.test.advance(LIMITS.groupSlicePauseMs, LIMITS.groupSlicePauseMs);
    const reached = reachedBy(fixture, others, '2:hello');
    t.ok(reached - before <= 2 * LIMITS.groupSliceCount, `${reached - before} at a time`);
    before = reached;
    slices++;
  }
  t.equal(before, others.length);
  t.equal(slices, Math.ceil(others.length / 2 / LIMITS.groupSliceCount));
});

t.test('of much that waits a slice takes a share, so that no backlog grows', async (t) => {
  const count = 2 * LIMITS.groupSliceCount * LIMITS.groupSliceShare * 2 + 1;
  const fixture = await crowd(count);
  const others = membersOf(count);
  await fixture.send(1, 1, 'hello');
  const perShard = others.length / 2;
  const slice = 2 * Math.ceil(perShard / LIMITS.groupSliceShare);
  for (let reached = slice; reached < others.length; reached += slice) {
    t.equal(reachedBy(fixture, others, '2:hello'), reached);
    await fixture.test.advance(LIMITS.groupSlicePauseMs, LIMITS.groupSlicePauseMs);
  }
  t.equal(reachedBy(fixture, others, '2:hello'), others.length, 'the share is of what waited first');
});

t.test('what is held keeps its order: whatever is said to a connection takes it along first', async (t) => {
  const count = 41;
  const fixture = await crowd(count);
  const others = membersOf(count);
  await fixture.send(1, 1, 'one');
  await fixture.send(1, 2, 'two');
  const late = others.find((number) => !received(fixture.connectionOf(number).received).includes('2:one'))!;
  const { pid } = fixture.connectionOf(1);
  await fixture.tellInbox(userOf(late), submission(pid, userOf(1), userOf(late), 1));
  t.strictSame(received(fixture.connectionOf(late).received), ['1:change', '2:one', '3:two']);
  const [last] = newestOf(fixture, late);
  t.match(last, { type: 'ratchet', sender: userOf(1), id: 1 }, 'the message between two people did not wait');
  await fixture.test.advance(1_000, LIMITS.groupSlicePauseMs);
  for (const number of others) {
    t.strictSame(received(fixture.connectionOf(number).received), ['1:change', '2:one', '3:two']);
    const pushes = fixture.connectionOf(number).received.flatMap((each) => ('push' in each ? [each.push] : []));
    t.strictSame(
      pushes,
      Array.from(pushes, (_, index) => index + 1),
      'no push is missing or comes twice',
    );
  }
});

t.test('a connection that is replaced while something is held for it gets it once, on the next', async (t) => {
  const count = 41;
  const fixture = await crowd(count);
  await fixture.send(1, 1, 'one');
  const late = membersOf(count).find((number) => !received(fixture.connectionOf(number).received).includes('2:one'))!;
  const former = fixture.connectionOf(late);
  const { received: rows } = await fixture.attach(late);
  await fixture.test.advance(1_000, LIMITS.groupSlicePauseMs);
  t.strictSame(received(rows), ['1:change', '2:one']);
  t.strictSame(received(former.received), ['1:change']);
});
