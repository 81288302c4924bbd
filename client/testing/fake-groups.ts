/**
 * Groups of the server in memory: what `docs/protocol.md` lets a client expect, by the same rules that the real server uses, and a
 * server that lies on demand.
 *
 * Faithful where a client could tell: one row of places for messages and changes, epochs, ids without gaps, who gets what from when on,
 * marks by places, pages. Lies: `slip` (a change that nobody signed), `withhold` and `withholdFrom` (changes that are not told),
 * `rosterLie`.
 */

import { applyGroupChange, decodeGroupChange, encodeRoster, isGroupRefusal } from '../../protocol/wire/index.ts';
import type {
  Answer,
  GroupErrorMessage,
  GroupRefusalCode,
  GroupState,
  IncomingGroupChange,
  IncomingGroupMessage,
  OutgoingGroupMessage,
} from '../../protocol/wire/index.ts';
import { sha512 } from '../group-verifier.ts';

const KEPT_CHANGES = 64;

const CODES: Partial<Record<GroupRefusalCode, string>> = {
  GROUP_EPOCH: 'APP_GROUP_EPOCH',
  GROUP_FORKED: 'APP_GROUP_EPOCH',
  GROUP_NOT_A_MEMBER: 'APP_NOT_A_MEMBER',
  GROUP_FORBIDDEN: 'APP_GROUP_FORBIDDEN',
  GROUP_NO_ADMIN: 'APP_GROUP_FORBIDDEN',
  GROUP_FULL: 'APP_GROUP_FULL',
};

/** An entry before it has a position in an inbox. */
export type GroupEntry = Omit<IncomingGroupMessage, 'seq'> | Omit<IncomingGroupChange, 'seq'>;

/** What groups do to the rest of the server. */
export interface FakeGroupHooks {
  now(): number;
  /** Puts an entry into the inboxes of users; of `except` (user:device) not. */
  deliver(users: Iterable<string>, entry: GroupEntry, except: string | undefined): void;
}

export interface FakeGroup {
  state: GroupState;
  order: number;
  readonly changes: { readonly epoch: number; readonly bytes: Uint8Array }[];
  /** Of each device, by address: the last id. */
  readonly accepted: Map<string, { readonly id: number; readonly order: number }>;
  readonly delivered: Map<string, number>;
  /** Devices that are told how far members come, by address. */
  readonly watchers: Set<string>;
}

/** The groups of a `FakeServer`. */
export class FakeGroups {
  readonly #hooks: FakeGroupHooks;
  readonly #groups = new Map<string, FakeGroup>();
  /** Changes are accepted and told to nobody. */
  withhold = false;
  /** Changes are not told to these users, nor handed out to them. */
  readonly withholdFrom: Set<string> = new Set();
  /** Shown in place of every roster. */
  rosterLie: Uint8Array | undefined;
  /** Every message that was accepted, for who wants to read what does not concern them. */
  readonly messages: IncomingGroupMessage[] = [];

  constructor(hooks: FakeGroupHooks) {
    this.#hooks = hooks;
  }

  get(group: string): FakeGroup {
    return this.#groups.get(group)!;
  }

  /** Groups that a user is in. */
  groupsOf(user: string): string[] {
    return [...this.#groups].filter(([, { state }]) => state.roster.members.has(user)).map(([id]) => id);
  }

  /** Takes a change that somebody asks for. @returns The answer, or a code. */
  change(author: string, device: number, group: string, bytes: Uint8Array): Answer | string {
    const change = decodeGroupChange(bytes);
    const isTheirs =
      !isGroupRefusal(change) && change.group === group && change.author === author && change.device === device;
    if (!isTheirs) return 'APP_GROUP_BAD_CHANGE';
    const former = this.#groups.get(group);
    const state = applyGroupChange(former?.state, change, sha512);
    if (isGroupRefusal(state)) return CODES[state.code] ?? 'APP_GROUP_BAD_CHANGE';
    const { order } = this.#append(group, state, bytes);
    return { kind: 'group', group, epoch: state.roster.epoch, order, changes: [] };
  }

  /** A lie: makes a change the group's newest, whether or not anybody signed it and any rule allows it. */
  slip(group: string, bytes: Uint8Array, state: GroupState): void {
    this.#append(group, state, bytes);
  }

  /** A lie: puts an entry into inboxes that no group has accepted. */
  put(users: Iterable<string>, entry: GroupEntry): void {
    this.#hooks.deliver(users, entry, undefined);
  }

  #append(id: string, state: GroupState, bytes: Uint8Array): FakeGroup {
    const former = this.#groups.get(id);
    const fresh = { order: 0, changes: [], accepted: new Map(), delivered: new Map(), watchers: new Set<string>() };
    const group: FakeGroup = former ?? { ...fresh, state };
    const users = new Set([...group.state.roster.members.keys(), ...state.roster.members.keys()]);
    group.state = state;
    group.order += 1;
    group.changes.push({ epoch: state.roster.epoch, bytes });
    if (group.changes.length > KEPT_CHANGES) group.changes.shift();
    this.#groups.set(id, group);
    const entry = {
      kind: 'group-change',
      group: id,
      order: group.order,
      ts: this.#hooks.now(),
      change: bytes,
    } as const;
    for (const user of this.withholdFrom) users.delete(user);
    if (!this.withhold) this.#hooks.deliver(users, entry, undefined);
    return group;
  }

  /** Answers `<group/>`. */
  answer(user: string, id: string, after: number | undefined): Answer | string {
    const group = this.#groups.get(id);
    if (group === undefined) return 'APP_UNKNOWN_GROUP';
    if (!group.state.roster.members.has(user)) return 'APP_NOT_A_MEMBER';
    const head = { kind: 'group', group: id, epoch: group.state.roster.epoch, order: group.order } as const;
    const isKept = after !== undefined && (group.changes[0]?.epoch ?? 1) <= after + 1;
    if (!isKept) return { ...head, roster: this.rosterLie ?? encodeRoster(group.state.roster), changes: [] };
    const changes =
      this.withhold || this.withholdFrom.has(user) ? [] : group.changes.filter(({ epoch }) => epoch > after);
    return { ...head, changes: changes.map(({ bytes }) => bytes) };
  }

  /** Answers `<receipts group/>`. @param address - Who asks, and is told from now on. */
  marks(id: string, address: string): Answer | string {
    const group = this.#groups.get(id);
    if (group === undefined) return 'APP_UNKNOWN_GROUP';
    if (!group.state.roster.members.has(address.split(':')[0]!)) return 'APP_NOT_A_MEMBER';
    group.watchers.add(address);
    const marks = [...group.delivered].sort().map(([user, order]) => ({ user, order }));
    return { kind: 'group-marks', group: id, marks, more: false };
  }

  /** Takes a message. @returns The place of the message, or why not. */
  take(
    user: string,
    device: number,
    { group: id, id: number, epoch, ciphertext }: OutgoingGroupMessage,
  ): { readonly order: number } | Omit<GroupErrorMessage, 'kind' | 'group' | 'id' | 'text'> {
    const group = this.#groups.get(id);
    if (group === undefined) return { code: 'APP_UNKNOWN_GROUP' };
    const address = `${user}:${device}`;
    const last = group.accepted.get(address);
    if (last !== undefined && number <= last.id) return { order: last.order };
    if (!group.state.roster.members.has(user)) return { code: 'APP_NOT_A_MEMBER' };
    if (last !== undefined && number > last.id + 1) return { code: 'APP_OUT_OF_ORDER', expected: last.id + 1 };
    const present = group.state.roster.epoch;
    if (epoch !== present) return { code: 'APP_GROUP_EPOCH', epoch: present };
    const order = (group.order += 1);
    group.watchers.add(address);
    group.accepted.set(address, { id: number, order });
    const entry = {
      ...({ kind: 'group-message', group: id, from: user, device, id: number, order } as const),
      ...{ ts: this.#hooks.now(), ciphertext: ciphertext.slice() },
    };
    this.messages.push({ ...entry, seq: 1 });
    this.#hooks.deliver(group.state.roster.members.keys(), entry, address);
    return { order };
  }

  /** A device has stored an entry. */
  received(user: string, id: string, order: number): void {
    const group = this.#groups.get(id)!;
    group.delivered.set(user, Math.max(group.delivered.get(user) ?? 0, order));
  }
}
