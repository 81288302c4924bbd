/** Groups of a store that came back without its newest, and groups that nobody is left in: places are given out once. */

import t from 'tap';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage } from '../messages.ts';
import { beyondAll, doubted, isAfterReturn } from '../store/doubt.ts';
import { decodeNotice } from '../store/loss.ts';
import { GROUP, GroupFixture, userOf } from './test-kit.ts';

/** Entries as their device sees them: places of messages, and words of places that are lost. */
function rowsOf(messages: readonly ConnectionMessage[]): string[] {
  const entries = messages.flatMap((message) => (message.kind === 'deliver' ? message.entries : []));
  return entries.map(({ type, id, body, ciphertext }) => {
    if (type !== 'pruned') return `${placeIn(id)} ${new TextDecoder().decode(body!.bytes)}`;
    const { since, until, code } = decodeNotice(id, ciphertext);
    return `${code} ${placeIn(since)} to ${placeIn(until)}`;
  });
}

/** The time of the return in the tests below. */
const RETURN_MS = Date.UTC(2026, 10, 22);

/** A place, counted from that return if it is after it. */
function placeIn(order: number): string {
  return isAfterReturn(order) ? `later ${order - beyondAll(2, RETURN_MS)}` : String(order);
}

t.test('the owner lost its newest: places go on far beyond, senders at any id, and members are told', async (t) => {
  const fixture = await GroupFixture.start(4);
  await fixture.create(2, 3, 4);
  for (const id of [1, 2, 3]) await fixture.send(1, id, `text ${id}`);
  const [store] = fixture.stores;
  // As after `renew`, of a state that had the first message alone.
  const sender = { user: userOf(1), device: 1, creation: 1 };
  await store.commit(({ groups }) => {
    groups.putOrder(GROUP, beyondAll(2, RETURN_MS));
    groups.putSender(GROUP, sender, { accepted: 1, order: 2, isDoubted: true });
  });
  await fixture.restartOwner();
  const probes = [await fixture.attach(1), await fixture.attach(2), await fixture.attach(3)];
  for (const probe of probes) probe.take();
  await fixture.send(1, 4, 'goes on');
  await fixture.send(1, 6, 'too far');
  await fixture.send(1, 5, 'in order');
  await fixture.send(2, 1, 'another');
  t.strictSame(rowsOf(probes[2]!.take()), [
    'APP_RESTORED 5 to later 0',
    'later 1 goes on',
    'later 2 in order',
    'later 3 another',
  ]);
  t.strictSame(rowsOf(probes[1]!.take()).slice(0, 2), ['APP_RESTORED 5 to later 0', 'later 1 goes on']);
  t.strictSame(rowsOf(probes[0]!.take()), ['APP_RESTORED 2 to later 0', 'later 3 another'], 'the author as well');
  const refused = fixture.connectionOf(1).received.filter(({ kind }) => kind === 'group-refused');
  t.match(refused, [{ id: 6, refusal: { code: 'APP_OUT_OF_ORDER', expected: 5 } }]);
  t.equal(store.groups.sender(GROUP, sender)?.isDoubted, undefined, 'it is over with the first message');
});

t.test('a shard of members lost its newest: they are told what is missing, others nothing', async (t) => {
  const fixture = await GroupFixture.start(4);
  await fixture.create(2, 3, 4);
  const row = { user: GROUP, device: 0, creation: 0 };
  const before = fixture.storeOf(userOf(2)).conversation(userOf(2), row)!;
  for (const id of [1, 2, 3]) await fixture.send(1, id, `text ${id}`);
  await fixture.storeOf(userOf(2)).commit((batch) => {
    for (const number of [2, 4]) batch.putConversation(userOf(number), row, doubted(before, LIMITS.gapCountMax));
  });
  await fixture.restartInboxes();
  const [told, other] = [await fixture.attach(2), await fixture.attach(3)];
  for (const probe of [told, other]) probe.take();
  await fixture.send(1, 4, 'goes on');
  await fixture.send(1, 5, 'and on');
  t.strictSame(rowsOf(told.take()), ['APP_RESTORED 2 to 4', '5 goes on', '6 and on']);
  t.strictSame(rowsOf(other.take()), ['5 goes on', '6 and on']);
  await fixture.restartInboxes();
  const again = await fixture.attach(4);
  await fixture.send(1, 6, 'nothing is in doubt');
  t.strictSame(rowsOf(again.take()).slice(-2), ['6 and on', '7 nothing is in doubt']);
});

t.test(
  'the owner lost the group: who makes it again is heard by members who hold places of its first life',
  async (t) => {
    const fixture = await GroupFixture.start(3);
    const member = await fixture.attach(2);
    await fixture.create(2, 3);
    const [store] = fixture.stores;
    const [create] = store.groups.changes(GROUP, 0, 1);
    for (const id of [1, 2, 3]) await fixture.send(3, id, `text ${id}`);
    t.equal(store.groups.order(GROUP), 4);
    store.groups.lose(GROUP, RETURN_MS);
    await fixture.restartOwner();
    member.take();
    // Its answer was lost as well: the client of the maker says it again.
    await fixture.change(1, create!.bytes);
    await fixture.send(1, 1, 'hello');
    const rows = rowsOf(member.take());
    t.strictSame([rows[0], rows.at(-1), rows.length], ['APP_RESTORED 5 to later 0', 'later 2 hello', 3]);
  },
);

t.test('a group that all have left is not made again: its places are given out once', async (t) => {
  const fixture = await GroupFixture.start(2);
  const connection = await fixture.attach(1);
  await fixture.create(2);
  const [store] = fixture.stores;
  const [first] = store.groups.changes(GROUP, 0, 1);
  await fixture.send(1, 1, 'text');
  await fixture.change(2, fixture.draft(2, { kind: 'leave' }));
  await fixture.change(1, fixture.draft(1, { kind: 'leave' }));
  t.equal(fixture.state!.roster.members.size, 0);
  const place = store.groups.order(GROUP);
  fixture.state = undefined;
  const anew = fixture.draft(1, { kind: 'create' }, { kind: 'info', info: Uint8Array.of(1) });
  for (const life of ['first', 'second']) {
    connection.take();
    await fixture.change(1, anew);
    t.match(
      connection.take(),
      [{ kind: 'answer-refused', refusal: { code: 'APP_GROUP_EPOCH' } }],
      `${life} life of the owner`,
    );
    await fixture.change(1, first!.bytes);
    t.match(connection.take(), [{ kind: 'answer' }], 'the answer once more, and nothing is done');
    await fixture.send(1, 2, 'from nobody', 3);
    t.match(connection.take(), [{ kind: 'group-refused', refusal: { code: 'APP_NOT_A_MEMBER' } }]);
    t.equal(store.groups.order(GROUP), place);
    await fixture.restartOwner();
  }
});
