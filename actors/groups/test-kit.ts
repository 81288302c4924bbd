/**
 * For tests of groups: a node under virtual time with the owner of a group and the inboxes of two shards, each over a store in
 * memory, and members who log in and say what they get. Users with an even last digit live on the second shard.
 */

import {
  decodeGroupChange,
  draftGroupChange,
  encodeGroupChange,
  groupChangeStatement,
  applyGroupChange,
  isGroupRefusal,
  type GroupAction,
  type GroupState,
} from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import { createTestNode, type TestNode } from '../../runtime/testing/test-node.ts';
import type { FanOut, FindMarks, GroupsMessage } from './messages.ts';
import { sha512 } from './roll.ts';
import { groups } from '../groups.ts';
import { inbox } from '../inbox.ts';
import type { ConnectionMessage, InboxMessage } from '../messages.ts';
import { noOutboxLoad } from '../outbox/load.ts';
import { MemoryStore } from '../store/memory.ts';
import { DEVICE, committerOf, spawnProbe, type Probe } from '../test-kit.ts';

export const GROUP = '700000000000001';

/** The user with this number. */
export function userOf(number: number): string {
  return String(100_000_000_000_000 + number);
}

/** What a device got of a group: `order:text` of messages, `order:change` of changes. */
export function received(messages: readonly ConnectionMessage[]): string[] {
  const entries = messages.flatMap((message) => (message.kind === 'deliver' ? message.entries : []));
  return entries.flatMap(({ body }) => {
    if (body === undefined) return [];
    return [`${body.order}:${body.kind === 'change' ? 'change' : new TextDecoder().decode(body.bytes)}`];
  });
}

/** The highest position of what was pushed. */
export function lastSeq(messages: readonly ConnectionMessage[]): number {
  const seqs = messages.flatMap((message) => (message.kind === 'deliver' ? message.entries : [])).map(({ seq }) => seq);
  return Math.max(0, ...seqs);
}

export class GroupFixture {
  readonly test: TestNode = createTestNode();
  /** Of the two shards. The first owns the group. */
  readonly stores: readonly [MemoryStore, MemoryStore] = [new MemoryStore(), new MemoryStore()];
  readonly connections: Map<string, Probe> = new Map();
  /** Where the owner sends what is for a shard; see `place`. */
  readonly #routes = [0, 1].map((shard): { name: string; worker: number; node?: string } => ({
    name: `lossy.${shard}`,
    worker: 0,
  }));
  /** Fan-outs on their way to an inbox are dropped while this says so. */
  loses: (message: FanOut) => boolean = () => false;
  /** What the group is by the changes that were made here. */
  state: GroupState | undefined = undefined;
  owner: Pid<GroupsMessage> | undefined = undefined;
  group: string = GROUP;
  readonly inboxes: Pid<InboxMessage>[] = [];
  #nextIq = 1;

  /** Starts everything, with users 1 to `count`, of one device each; those of `devices` have as many as it says. */
  static async start(count: number, devices: Readonly<Record<number, number>> = {}): Promise<GroupFixture> {
    const fixture = new GroupFixture();
    for (let number = 1; number <= count; number++) await fixture.register(number, devices[number] ?? 1);
    fixture.startInboxes();
    fixture.startRelays();
    fixture.startOwner();
    await fixture.test.settle();
    return fixture;
  }

  async register(number: number, deviceCount: number): Promise<void> {
    const user = userOf(number);
    const ids = Array.from({ length: deviceCount }, (_, index) => index + 1);
    await this.storeOf(user).commit((batch) => {
      batch.putAccount({ user, phone: `+${user}`, devices: ids, creations: ids.length });
      for (const id of ids) batch.putDevice(user, id, { ...DEVICE, creation: id });
    });
  }

  shardOf(user: string): 0 | 1 {
    return Number(user.at(-1)) % 2 === 0 ? 1 : 0;
  }

  storeOf(user: string): MemoryStore {
    return this.stores[this.shardOf(user)];
  }

  startInboxes(): void {
    for (const [shard, store] of this.stores.entries()) {
      const args = {
        store,
        load: { queuedCount: 0, outbox: noOutboxLoad() },
        wakeups: undefined,
        queuedBytesMax: 100_000_000,
        inboxOf: (user: string) => ({ name: `inbox.${this.shardOf(user)}`, worker: 0 }),
        groupsOf: () => ({ name: 'groups.0', worker: 0 }),
        committer: committerOf(store, this.test),
      };
      this.inboxes.push(this.test.node.spawn(inbox, args, { name: `inbox.${shard}` }));
    }
  }

  startRelays(): void {
    const relay = {
      name: 'test/lossy-inbox',
      init: (target: string) => target,
      handleCast: (message: FanOut | FindMarks, target: string) => {
        if (message.kind !== 'fan-out' || !this.loses(message)) this.test.node.cast(target, message);
      },
    };
    for (const shard of [0, 1]) this.test.node.spawn(relay, `inbox.${shard}`, { name: `lossy.${shard}` });
  }

  /** From now on the owner knows of nobody who serves `shard`, or of its inbox here. */
  place(shard: 0 | 1, where: 'nowhere' | 'here'): void {
    const route = this.#routes[shard]!;
    if (where === 'here') delete route.node;
    else route.node = '-';
  }

  /** Ends the inboxes as a crash would, and starts them again over the same stores. */
  async restartInboxes(): Promise<void> {
    for (const pid of this.inboxes.splice(0)) this.test.node.exit(pid, 'kill');
    await this.test.settle();
    this.startInboxes();
    await this.test.settle();
  }

  /** The owner sends to inboxes through a relay that may lose; questions about marks go the same way and are never lost. */
  startOwner(): void {
    const [store] = this.stores;
    const args = {
      store,
      queuedBytesMax: 100_000_000,
      inboxOf: (user: string) => this.#routes[this.shardOf(user)]!,
      presenceOf: () => ({ name: 'presence.0', worker: 0 }),
      committer: committerOf(store, this.test),
    };
    this.owner = this.test.node.spawn(groups, args, { name: 'groups.0' });
  }

  /** Ends the owner as a crash would, and starts it again over the same store. */
  async restartOwner(): Promise<void> {
    this.test.node.exit(this.owner!, 'kill');
    await this.test.settle();
    this.startOwner();
    await this.test.settle();
  }

  tellOwner(message: GroupsMessage): void {
    this.test.node.cast(this.owner!, message);
  }

  async tellInbox(user: string, message: InboxMessage): Promise<void> {
    this.test.node.cast(`inbox.${this.shardOf(user)}`, message);
    await this.test.settle();
  }

  /** Logs a device in; what it got before is forgotten. */
  async attach(number: number, device = 1): Promise<Probe> {
    const probe = spawnProbe(this.test);
    this.connections.set(`${number}.${device}`, probe);
    const user = userOf(number);
    await this.tellInbox(user, {
      kind: 'attach',
      user,
      device,
      creation: device,
      connection: probe.pid,
      staged: false,
      groups: true,
    });
    return probe;
  }

  connectionOf(number: number, device = 1): Probe {
    const name = `${number}.${device}`;
    const probe = this.connections.get(name) ?? spawnProbe(this.test);
    this.connections.set(name, probe);
    return probe;
  }

  async acknowledge(number: number, seq: number, device = 1): Promise<void> {
    await this.tellInbox(userOf(number), {
      kind: 'acknowledge',
      connection: this.connectionOf(number, device).pid,
      user: userOf(number),
      device,
      seq,
    });
  }

  /** The bytes of a change by `author` to the group as it is, signed by nobody; the group here is then as it says. */
  draft(author: number, ...actions: GroupAction[]): Uint8Array {
    const intent = { group: this.group, author: userOf(author), device: 1, time: 0, actions };
    const draft = draftGroupChange(this.state, intent, sha512);
    if (isGroupRefusal(draft)) throw new Error(draft.code);
    const bytes = encodeGroupChange(groupChangeStatement(draft), new Uint8Array(64));
    const change = decodeGroupChange(bytes);
    if (isGroupRefusal(change)) throw new Error(change.code);
    const next = applyGroupChange(this.state, change, sha512);
    if (isGroupRefusal(next)) throw new Error(next.code);
    this.state = next;
    return bytes;
  }

  /** Sends a change; resolves to the answer or the refusal. */
  async change(author: number, bytes: Uint8Array, settle = true): Promise<void> {
    const connection = this.connectionOf(author).pid;
    const self = { user: userOf(author), device: 1, creation: 1 };
    this.tellOwner({ kind: 'group-change', connection, iq: this.#nextIq++, self, group: this.group, change: bytes });
    if (settle) await this.test.settle();
  }

  /** Creates the group: user 1 as its admin, with `members`. */
  async create(...members: number[]): Promise<void> {
    const adds = members.map((number) => ({ kind: 'add', user: userOf(number), role: 'member' }) as const);
    await this.change(1, this.draft(1, { kind: 'create' }, ...adds));
  }

  /** Sends a message; `epoch` is the present one unless it is given. */
  async send(author: number, id: number, text: string, epoch?: number, settle = true): Promise<void> {
    const sender = { user: userOf(author), device: 1, creation: 1 };
    this.tellOwner({
      kind: 'group-submit',
      connection: this.connectionOf(author).pid,
      sender,
      senderKey: `${userOf(author)}.1.1`,
      group: this.group,
      id,
      epoch: epoch ?? this.state!.roster.epoch,
      ciphertext: new TextEncoder().encode(text),
    });
    if (settle) await this.test.settle();
  }

  /** Bodies of the group on both shards. */
  bodies(): [number, number] {
    return [this.stores[0].groups.countBodies(GROUP, 10_000), this.stores[1].groups.countBodies(GROUP, 10_000)];
  }
}
