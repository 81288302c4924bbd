/** Typing in groups: who is told, who is not, and the bounds of it; over the owner of a real group. */

import t from 'tap';
import { decodeRoster, encodeRoster, type PrivacySettings, type TypingState } from '../../protocol/wire/index.ts';
import { sys, type Context } from '../../runtime/index.ts';
import { tellLeft } from '../groups/outgoing.ts';
import type { Group } from '../groups/roll.ts';
import type { GroupsState } from '../groups/state.ts';
import { GROUP, GroupFixture, userOf } from '../groups/test-kit.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, PresenceMessage } from '../messages.ts';
import { presence } from '../presence.ts';
import { type PresenceStatistics } from './state.ts';
import { joinRoom, noteTyping, refuseRoom, type Room, type Rooms } from './rooms.ts';
import type { GroupStore } from '../store/group-store.ts';
import { committerOf, spawnProbe, type Probe } from '../test-kit.ts';

/** A group of users 1 to `count`, the presence actor of its shard, and what is asked of it. */
class TypingFixture {
  readonly base: GroupFixture;
  isBusy = false;
  readonly #probes = new Map<number, Probe>();

  private constructor(base: GroupFixture) {
    this.base = base;
  }

  static async start(count: number): Promise<TypingFixture> {
    const base = await GroupFixture.start(count);
    const fixture = new TypingFixture(base);
    const [store] = base.stores;
    const args = {
      store,
      presenceOf: () => ({ name: 'presence.0', worker: 0 }),
      committer: committerOf(store, base.test),
      isBusy: () => fixture.isBusy,
    };
    base.test.node.spawn(presence, args, { name: 'presence.0', mailboxMax: LIMITS.presenceMailboxMax });
    await base.create(...Array.from({ length: count - 1 }, (_, index) => index + 2));
    return fixture;
  }

  probe(number: number): Probe {
    let probe = this.#probes.get(number);
    if (probe === undefined) this.#probes.set(number, (probe = spawnProbe(this.base.test)));
    return probe;
  }

  async tell(...messages: PresenceMessage[]): Promise<void> {
    for (const message of messages) this.base.test.node.cast('presence.0', message);
    await this.base.test.settle();
  }

  /** A member opens the chat. @returns What it was told. */
  async show(number: number, group: string = GROUP): Promise<ConnectionMessage[]> {
    const connection = this.probe(number).pid;
    await this.tell({ kind: 'watch-group', connection, iq: 7, user: userOf(number), group });
    return this.probe(number).take();
  }

  async type(number: number, state: TypingState = 'composing'): Promise<void> {
    await this.tell({ kind: 'group-typing', user: userOf(number), group: GROUP, state });
  }

  /** What a member was told since it was asked last: `number state`. */
  told(number: number): string[] {
    return this.probe(number)
      .take()
      .flatMap((message) =>
        message.kind === 'group-typing' ? [`${Number(message.user.slice(1))} ${message.state}`] : [],
      );
  }

  /** Presence takes nothing while `run` runs: its mailbox is full. */
  async whileFull(run: () => Promise<void>): Promise<void> {
    const { node } = this.base.test;
    await Promise.all([sys.suspend(node, 'presence.0'), this.base.test.settle()]);
    const nothing = { kind: 'unwatch-group', connection: this.probe(1).pid, group: '0' } satisfies PresenceMessage;
    while (node.cast('presence.0', nothing) === 'ok');
    await run();
    await Promise.all([sys.resume(node, 'presence.0'), this.base.test.settle()]);
  }

  async choose(number: number, settings: PrivacySettings): Promise<void> {
    const connection = this.probe(number).pid;
    await this.tell({ kind: 'change-privacy', connection, iq: 8, user: userOf(number), settings });
    this.probe(number).take();
  }

  async statistics(): Promise<PresenceStatistics> {
    const reply = this.base.test.node.call<PresenceStatistics>('presence.0', 'statistics', 1_000);
    await this.base.test.settle();
    return reply;
  }
}

t.test('members who show the chat hear who types, and neither the one who types nor anybody else', async (t) => {
  const fixture = await TypingFixture.start(5);
  for (const number of [1, 2, 3]) {
    t.match(await fixture.show(number), [{ kind: 'answer', iq: 7, answer: { kind: 'group-subscribe', group: GROUP } }]);
  }
  fixture.probe(4);
  await fixture.type(1);
  t.strictSame(
    [1, 2, 3, 4].map((number) => fixture.told(number)),
    [[], ['1 composing'], ['1 composing'], []],
  );
  await fixture.type(1, 'paused');
  t.strictSame(fixture.told(2), ['1 paused']);
  await fixture.type(5);
  t.strictSame(fixture.told(2), [], 'who does not show the chat does not type in it');
  await fixture.tell({ kind: 'unwatch-group', connection: fixture.probe(2).pid, group: GROUP });
  await fixture.type(1);
  t.strictSame(fixture.told(2), []);
  t.strictSame(fixture.told(3), ['1 paused', '1 composing']);
});

t.test('strangers to the group are refused, and who is put out hears nothing more', async (t) => {
  const fixture = await TypingFixture.start(3);
  t.match(await fixture.show(9), [{ kind: 'answer-refused', refusal: { code: 'APP_NOT_A_MEMBER' } }]);
  const unknown = '700000000000009';
  t.match(await fixture.show(1, unknown), [{ kind: 'answer-refused', refusal: { code: 'APP_UNKNOWN_GROUP' } }]);
  for (const number of [1, 2, 3]) await fixture.show(number);
  await fixture.base.change(1, fixture.base.draft(1, { kind: 'remove', user: userOf(3) }));
  await fixture.type(1);
  t.strictSame(fixture.told(2), ['1 composing'], 'positive control');
  t.strictSame(fixture.told(3), []);
  t.match(await fixture.statistics(), { subscriptions: 2 });
  await fixture.type(3);
  t.strictSame(fixture.told(2), [], 'nor is anything heard of them');
  t.match(await fixture.show(3), [{ kind: 'answer-refused', refusal: { code: 'APP_NOT_A_MEMBER' } }]);
});

t.test('who is put out while presence is full hears nothing once it is not; who is in again goes on', async (t) => {
  const fixture = await TypingFixture.start(4);
  const { base } = fixture;
  for (const number of [1, 2, 3, 4]) await fixture.show(number);
  await fixture.whileFull(async () => {
    for (const number of [3, 4]) await base.change(1, base.draft(1, { kind: 'remove', user: userOf(number) }));
    await base.change(1, base.draft(1, { kind: 'add', user: userOf(4), role: 'member' }));
  });
  t.match(await fixture.statistics(), { subscriptions: 4 }, 'positive control: it was not told');
  await base.test.advance(LIMITS.groupRetryMs);
  t.match(await fixture.statistics(), { subscriptions: 3 });
  await fixture.type(1);
  t.strictSame([fixture.told(2), fixture.told(3), fixture.told(4)], [['1 composing'], [], ['1 composing']]);
});

t.test('of those who have left so many wait to be told, in order; one too many is logged', async (t) => {
  let isFull = true;
  const [told, warned]: [string[], unknown[]] = [[], []];
  const cast = (_to: unknown, { group }: { group: string }): string => {
    if (!isFull) told.push(group);
    return isFull ? 'full' : 'ok';
  };
  const log = { warn: (event: string, fields: unknown) => void warned.push([event, fields]) };
  const ctx = { cast, log, sendAfter: () => undefined } as unknown as Context;
  // As it is in a state from before there was anything to wait.
  const state = { args: { presenceOf: () => ({ name: 'presence.0', worker: 0 }) } } as unknown as GroupsState;
  const groups = Array.from({ length: LIMITS.groupLeaversUntoldMax + 2 }, (_, index) => `group ${index}`);
  for (const id of groups.slice(0, -1)) tellLeft({ id } as Group, [userOf(1)], state, ctx);
  t.strictSame(warned, [['members_left_untold', { group: 'group 0' }]]);
  isFull = false;
  tellLeft({ id: groups.at(-1)! } as Group, [userOf(1)], state, ctx);
  t.strictSame(told, groups.slice(1));
  t.strictSame(state.untold, []);
});

t.test('whether somebody is a member is asked without decoding the group', async (t) => {
  const count = 1_024;
  const members = new Map(Array.from({ length: count }, (_, index) => [userOf(index + 1), 'member' as const]));
  const base = { group: GROUP, epoch: 1, mode: 'sender-keys', link: undefined, info: new Uint8Array() } as const;
  const roster = encodeRoster({ ...base, members });
  const groups = { group: () => ({ group: GROUP, head: new Uint8Array(32), roster }) } as unknown as GroupStore;
  t.equal(refuseRoom(groups, GROUP, userOf(count)), undefined);
  t.equal(refuseRoom(groups, GROUP, userOf(count + 1)), 'APP_NOT_A_MEMBER');
  // The least of many short looks: one that nothing else on the machine fell into. Of more, as long as all were held up.
  const leastMs = (run: () => unknown, expectedMs = Infinity): number => {
    let least = Infinity;
    for (let look = 0; look < 200 || (least >= expectedMs && look < 20_000); look++) {
      const start = performance.now();
      run();
      least = Math.min(least, performance.now() - start);
    }
    return least;
  };
  // The last one of all, who is found last.
  const asked = (): unknown => refuseRoom(groups, GROUP, userOf(count));
  leastMs(asked);
  const decoding = leastMs(() => decodeRoster(roster));
  const asking = leastMs(asked, decoding / 5);
  t.ok(asking < decoding / 5, `${asking} ms to ask, ${decoding} ms to decode`);
});

t.test('who hides from somebody, or from all, hides that they type', async (t) => {
  const fixture = await TypingFixture.start(3);
  for (const number of [1, 2, 3]) await fixture.show(number);
  await fixture.choose(1, { audience: 'contacts', shown: [], hidden: [userOf(2)] });
  await fixture.type(1);
  t.strictSame([fixture.told(2), fixture.told(3)], [[], ['1 composing']], 'members need not be contacts');
  await fixture.type(1, 'paused');
  await fixture.choose(1, { audience: 'nobody', shown: [userOf(2)], hidden: [] });
  fixture.told(3);
  await fixture.type(1);
  t.strictSame([fixture.told(2), fixture.told(3)], [['1 composing'], []]);
});

t.test('the end of a connection ends what it showed, and no monitor stays', async (t) => {
  const fixture = await TypingFixture.start(2);
  for (const number of [1, 2]) await fixture.show(number);
  const { node } = fixture.base.test;
  t.equal(node.processInfo(fixture.probe(1).pid)?.monitoredByCount, 1);
  await fixture.tell({ kind: 'unwatch-group', connection: fixture.probe(1).pid, group: GROUP });
  t.equal(node.processInfo(fixture.probe(1).pid)?.monitoredByCount, 0);
  node.exit(fixture.probe(2).pid, 'kill');
  await fixture.base.test.settle();
  t.match(await fixture.statistics(), { subscriptions: 0 });
});

t.test('a shard that is behind drops typing in groups and refuses to be asked', async (t) => {
  const fixture = await TypingFixture.start(3);
  for (const number of [1, 2]) await fixture.show(number);
  fixture.isBusy = true;
  await fixture.type(1);
  t.match(await fixture.show(3), [{ kind: 'answer-refused', refusal: { code: 'APP_OVERLOADED', retryAfter: 5 } }]);
  t.strictSame(fixture.told(2), []);
  t.match(await fixture.statistics(), { shed: 2, typings: 0 });
  fixture.isBusy = false;
  await fixture.type(1);
  t.strictSame(fixture.told(2), ['1 composing']);
});

t.test('of many who type, a few are told of, each at most every few seconds', async (t) => {
  const fixture = await TypingFixture.start(8);
  for (let number = 1; number <= 8; number++) await fixture.show(number);
  for (let number = 1; number <= 7; number++) await fixture.type(number);
  t.strictSame(fixture.told(8), ['1 composing', '2 composing', '3 composing', '4 composing']);
  for (let number = 1; number <= 7; number++) await fixture.type(number);
  t.strictSame(fixture.told(8), [], 'nothing new');
  await fixture.base.test.advance(LIMITS.groupTypingRepeatMs);
  await fixture.type(1);
  t.strictSame(fixture.told(8), ['1 composing'], 'a client shows it a while longer');
  await fixture.type(2, 'paused');
  await fixture.type(5);
  t.strictSame(fixture.told(8), ['2 paused', '5 composing'], 'a place has become free');
  await fixture.base.test.advance(LIMITS.groupTypistMsMax);
  await fixture.type(6);
  t.strictSame(fixture.told(8), ['6 composing'], 'who says nothing more takes no place');
});

t.test('one member cannot make a group tell more than its share', async (t) => {
  const fixture = await TypingFixture.start(2);
  for (const number of [1, 2]) await fixture.show(number);
  for (let round = 0; round < 40; round++) await fixture.type(1, round % 2 === 0 ? 'composing' : 'recording');
  t.equal(fixture.told(2).length, LIMITS.groupTypingBurstMax);
  await fixture.base.test.advance(1_000);
  for (let round = 0; round < 40; round++) await fixture.type(1, round % 2 === 0 ? 'composing' : 'recording');
  t.equal(fixture.told(2).length, LIMITS.groupTypingPerSecondMax);
});

t.test('of a large group those are told who opened the chat last', async (t) => {
  const fixture = await TypingFixture.start(LIMITS.groupTypingWatchersMax + 2);
  const last = LIMITS.groupTypingWatchersMax + 2;
  for (let number = 1; number <= last; number++) await fixture.show(number);
  t.match(await fixture.statistics(), { subscriptions: LIMITS.groupTypingWatchersMax });
  await fixture.type(last);
  t.strictSame([fixture.told(1), fixture.told(2), fixture.told(3)], [[], [], [`${last} composing`]]);
  t.match(await fixture.statistics(), { typings: LIMITS.groupTypingWatchersMax - 1 });
  await fixture.show(1);
  await fixture.type(last, 'paused');
  t.strictSame([fixture.told(1), fixture.told(3)], [[`${last} paused`], []]);
});

t.test('a thousand members in a frenzy cost a shard no more than a few hundred tellings a second', (t) => {
  const rooms: Rooms = new Map();
  for (let number = 1; number <= 1_024; number++) {
    joinRoom(rooms, GROUP, `c${number}`, { connection: undefined as never, user: userOf(number) }, 0);
  }
  const room: Room = rooms.get(GROUP)!;
  let told = 0;
  for (let atMs = 0; atMs < 60_000; atMs += 5) {
    const state = atMs % 3 === 0 ? 'paused' : 'composing';
    if (noteTyping(room, userOf(769 + ((atMs / 5) % 256)), state, atMs)) told += room.watchers.size - 1;
  }
  const bound = (60 * LIMITS.groupTypingPerSecondMax + LIMITS.groupTypingBurstMax) * LIMITS.groupTypingWatchersMax;
  t.ok(told > 0 && told <= bound, `${told} in a minute, at most ${bound}`);
  t.end();
});
