/**
 * Groups as an application has them: made, changed, left, listed. Messages to a group go through the client's `send`, `reply`
 * and so on, with the group's name in the place of the phone number.
 *
 * ```ts
 * const group = await client.groups.create('Sailing', ['+4915100000002', '+4915100000003']);
 * const message = await client.send(group.name, 'Meet me at the harbour');
 * message.members; // [{ user, state: 'sent' }, …]
 * ```
 *
 * A change is computed by the same rules that the server and every member apply, signed by this device, and durable at the server when the
 * call resolves. Where somebody else was faster it is made anew on what they made. Read next: `group-book.ts`, `group-keeper.ts`.
 */

import { xeddsaSign } from '../protocol/signal/index.ts';
import type { KeyPair } from '../protocol/signal/index.ts';
import {
  draftGroupChange,
  decodeGroupChange,
  encodeGroupChange,
  groupChangeStatement,
  hashOfChange,
  idBeside,
  isGroupRefusal,
} from '../protocol/wire/index.ts';
import type {
  GroupAction,
  GroupMode,
  GroupRefusalCode,
  GroupRole,
  GroupState,
  SignedGroupChange,
} from '../protocol/wire/index.ts';
import type { Conversation } from './conversation.ts';
import type { Directory } from './directory.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { GroupBook } from './group-book.ts';
import type { GroupKeeper } from './group-keeper.ts';
import type { GroupKnock } from './intake-report.ts';
import { GROUP, GROUP_KEYS, groupOfName, INVITED, nameOfGroup } from './group-layout.ts';
import type { GroupName, GroupRecord, InvitedRecord } from './group-layout.ts';
import { formatLink, GROUP_SECRET_BYTES, openInfo, parseLink, publicHalfOf, sealInfo } from './group-link.ts';
import { sha512 } from './group-verifier.ts';
import { isSameKey } from './public-keys.ts';
import type { GroupTyping, GroupTypist } from './group-typing.ts';
import type { Journal } from './journal.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';
import type { Requests } from './requests.ts';
import type { Strangers } from './strangers.ts';

/** A member of a group. */
export interface GroupMember {
  /** User id. */
  readonly user: string;
  /** Undefined while it is not known. */
  readonly phone: string | undefined;
  readonly role: GroupRole;
}

/** A group as this device knows it. */
export interface GroupInfo {
  /** What stands for it everywhere: `g` and 15 digits. */
  readonly name: GroupName;
  /** What people call it; only members can read it. */
  readonly title: string;
  /** How many changes there have been. */
  readonly epoch: number;
  /** How its messages are encrypted: once for all members, or for each of their devices by itself. */
  readonly mode: GroupMode;
  /** Ourselves among them while we are a member. */
  readonly members: readonly GroupMember[];
  /** Our own role; undefined once we are out. */
  readonly role: GroupRole | undefined;
  /** Who let us in. */
  readonly inviter: string;
  readonly hasLink: boolean;
}

/** What groups need of their client. */
export interface GroupsServices {
  readonly self: { readonly user: string; readonly device: number };
  readonly identityKeyPair: KeyPair;
  readonly journal: Journal;
  readonly locks: Locks;
  readonly book: GroupBook;
  readonly keeper: GroupKeeper;
  readonly directory: Directory;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly conversation: (user: string) => Conversation;
  readonly emit: (event: ClientEvent) => void;
  readonly strangers: () => Pick<Strangers, 'meet'>;
  readonly typing: Pick<GroupTyping, 'watch'>;
}

/** The groups of one account. */
export class Groups {
  readonly #services: GroupsServices;

  constructor(services: GroupsServices) {
    this.#services = services;
  }

  /**
   * Makes a group. We are its admin.
   *
   * @param title - At most `LIMITS.groupNameBytesMax` bytes of UTF-8; the server cannot read it.
   * @param people - Phone numbers or user ids; looked up where they were never met.
   * @throws {ClientError} CLI_PEER_UNKNOWN; CLI_TEXT_TOO_LONG; CLI_GROUP_REFUSED, where somebody stands there twice or there are too
   * many; the server's codes.
   */
  async create(title: string, people: readonly string[]): Promise<GroupInfo> {
    const { random, self } = this.#services;
    const users = await this.#resolve(people);
    const infoKey = random.bytes(GROUP_SECRET_BYTES);
    const group = drawGroupId(random, self.user);
    const actions: GroupAction[] = [{ kind: 'create' }];
    for (const user of users) actions.push({ kind: 'add', user, role: 'member' });
    actions.push({ kind: 'info', info: await sealInfo(title, infoKey, random) });
    const { change, bytes } = this.#draft(undefined, group, actions);
    const head = hashOfChange(change, sha512);
    await this.#putInvited(group, {
      inviter: self.user,
      origin: '',
      epoch: 1,
      head,
      key: infoKey,
      roster: new Uint8Array(0),
    });
    try {
      const order = await this.#tryToSubmit(group, bytes);
      if (order !== undefined) await this.#adopt(group, bytes, order);
      else throwIf(await this.#services.keeper.catchUp(group, 1));
    } catch (error) {
      if (isFinal(error)) await this.#putInvited(group, undefined);
      throw error;
    }
    return this.get(nameOfGroup(group));
  }

  /** Adds people; they get an invitation, and everything from here on. @throws {ClientError} As `create`; CLI_GROUP_…. */
  async add(name: string, people: readonly string[], role: GroupRole = 'member'): Promise<GroupInfo> {
    const users = await this.#resolve(people);
    return this.#change(name, () => users.map((user) => ({ kind: 'add', user, role })));
  }

  /** Removes people: they cannot read what follows. Closes the link. */
  async remove(name: string, people: readonly string[]): Promise<GroupInfo> {
    const users = await this.#resolve(people);
    return this.#change(name, () => users.map((user) => ({ kind: 'remove', user })));
  }

  /** Makes somebody an admin, or a member again. */
  async setRole(name: string, person: string, role: GroupRole): Promise<GroupInfo> {
    const [user] = await this.#resolve([person]);
    return this.#change(name, () => [{ kind: 'role', user: user!, role }]);
  }

  /**
   * Chooses how messages to the group are encrypted from now on: `sender-keys`, once for all members, or `pairwise`, for each of their
   * devices by itself. The latter shares no key among members and heals as a conversation of two does; it costs a message for each
   * member, the server gives no common order, and who comes back after a long absence may have to be sent them again.
   *
   * @throws {ClientError} CLI_GROUP_REFUSED for who is no admin, or where it is so already.
   */
  setMode(name: string, mode: GroupMode): Promise<GroupInfo> {
    return this.#change(name, () => [{ kind: 'policy', mode }]);
  }

  /** Gives the group another title. */
  async setTitle(name: string, title: string): Promise<GroupInfo> {
    const { infoKey } = await this.#record(name);
    const info = await sealInfo(title, infoKey, this.#services.random);
    return this.#change(name, () => [{ kind: 'info', info }]);
  }

  /**
   * Leaves. The last admin names another one with the same change, or is alone.
   *
   * @param successor - Who becomes an admin.
   */
  async leave(name: string, successor?: string): Promise<void> {
    const [user] = await this.#resolve(successor === undefined ? [] : [successor]);
    const leave: GroupAction = { kind: 'leave' };
    await this.#change(name, () => (user === undefined ? [leave] : [{ kind: 'role', user, role: 'admin' }, leave]));
  }

  /**
   * A link that lets people in, until somebody is removed or leaves; the present one if we have made it. It names the admins of now, at most
   * `LIMITS.groupLinkAdminCountMax`: the first of them who comes online lets in whoever asks.
   */
  async inviteLink(name: string): Promise<string> {
    const record = await this.#record(name);
    if (record.linkSecret.length > 0) return this.#linkOf(record, record.linkSecret);
    const secret = this.#services.random.bytes(GROUP_SECRET_BYTES);
    await this.#change(name, () => [{ kind: 'link', ...publicHalfOf(secret) }]);
    await this.#keepLink(record.state.roster.group, secret);
    // The admins of now: who was removed while we asked must not be shown the secret of the link that came after it.
    return this.#linkOf(await this.#record(name), secret);
  }

  #linkOf({ state: { roster } }: GroupRecord, secret: Uint8Array): string {
    const { self } = this.#services;
    const others = [...roster.members].flatMap(([user, role]) =>
      role === 'admin' && user !== self.user ? [user] : [],
    );
    const admins = [self.user, ...others].slice(0, LIMITS.groupLinkAdminCountMax);
    return formatLink({ group: roster.group, admins, secret });
  }

  /** Keeps the secret of the link that we have let out, unless it has been closed since. */
  async #keepLink(group: string, secret: Uint8Array): Promise<void> {
    const { journal, locks, book } = this.#services;
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      const present = await book.load(transaction, group);
      if (present === undefined || !book.opensTo(present, secret)) return;
      transaction.put(GROUP_KEYS.group(group), GROUP.encode({ ...present, linkSecret: secret }));
      await journal.commit(transaction);
    });
  }

  /** Closes the link. */
  closeLink(name: string): Promise<GroupInfo> {
    return this.#change(name, () => [{ kind: 'unlink' }]);
  }

  /**
   * Asks the admins whom a link names to be let in; resolves when the requests are durable here. They wait for each of them; the
   * `group-joined` event tells when the first one who came online has granted it.
   *
   * @throws {ClientError} CLI_GROUP_LINK.
   */
  async join(link: string): Promise<GroupName> {
    const { self, conversation, strangers, book } = this.#services;
    const { group, admins, secret } = parseLink(link);
    if (admins.includes(self.user)) throw new ClientError('CLI_GROUP_LINK');
    await book.noteAsked(group);
    const body = { kind: 'group-knock', group, secret } as const;
    for (const admin of new Set(admins)) {
      // Whoever is asked may answer.
      await strangers().meet(admin);
      await conversation(admin).enqueue({ body, isViewOnce: false });
    }
    return nameOfGroup(group);
  }

  /** Lets somebody in who has shown the secret of the present link. For the keeper. */
  async admit({ group, user, secret }: GroupKnock): Promise<void> {
    const { book, journal } = this.#services;
    const record = await book.load(journal, group);
    if (record === undefined || !book.opensTo(record, secret)) return;
    await this.#change(nameOfGroup(group), (state) => {
      // Asked of each state anew. Who is no admin any more leaves it to those who are; and who was let in by another admin and removed has
      // closed the link: what they said before does not bring them back.
      const isDone = !book.opensTo({ state }, secret) || state.roster.members.has(user);
      return isDone ? [] : [{ kind: 'add', user, role: 'member' }];
    });
  }

  /** Every group that we are or were in. */
  async list(): Promise<GroupInfo[]> {
    const groups: GroupInfo[] = [];
    for await (const { value } of scan(this.#services.journal, GROUP_KEYS.groups)) {
      groups.push(await this.#info(GROUP.decode(value)));
    }
    return groups;
  }

  /** A group. @throws {ClientError} CLI_GROUP_UNKNOWN. */
  async get(name: string): Promise<GroupInfo> {
    return this.#info(await this.#record(name));
  }

  /**
   * Who types in a group: those of now, and whenever they change, for as long as the loop is read. Use it while the chat is on the screen; in a
   * large group not everybody who types is told of, nor everybody told.
   *
   * ```ts
   * for await (const typists of client.groups.typing(group.name)) show(typists.map(({ user }) => user));
   * ```
   *
   * @throws {ClientError} CLI_GROUP_UNKNOWN for what is no name of a group; (from the loop) APP_NOT_A_MEMBER; APP_UNKNOWN_GROUP;
   * APP_TOO_MANY_SUBSCRIPTIONS, counted together with those of `Client.presence`.
   */
  typing(name: string): AsyncIterableIterator<readonly GroupTypist[]> {
    const group = groupOfName(name);
    if (group === undefined) throw new ClientError('CLI_GROUP_UNKNOWN');
    return this.#services.typing.watch(group);
  }

  async #record(name: string): Promise<GroupRecord> {
    const { book, journal } = this.#services;
    const group = groupOfName(name);
    const record = group === undefined ? undefined : await book.load(journal, group);
    if (record === undefined) throw new ClientError('CLI_GROUP_UNKNOWN');
    return record;
  }

  async #info({ state, infoKey, inviter }: GroupRecord): Promise<GroupInfo> {
    const { directory, self } = this.#services;
    const { group, epoch, mode, members, link } = state.roster;
    const info = members.size === 0 ? await this.#lastInfo(group) : state.roster.info;
    const known = [...members].map(async ([user, role]): Promise<GroupMember> => {
      const { phone } = await directory.peer(user);
      return { user, role, phone: phone === '' ? undefined : phone };
    });
    return {
      name: nameOfGroup(group),
      title: info.length === 0 ? '' : await openInfo(info, infoKey),
      ...{ epoch, mode, inviter, members: await Promise.all(known), role: members.get(self.user) },
      hasLink: link !== undefined,
    };
  }

  /** Of a group that is over, for which the roster has none. */
  async #lastInfo(group: string): Promise<Uint8Array> {
    return (await this.#services.journal.get(GROUP_KEYS.lastInfo(group))) ?? new Uint8Array(0);
  }

  #resolve(people: readonly string[]): Promise<string[]> {
    return Promise.all(people.map((person) => this.#services.directory.resolve(person)));
  }

  /** Makes a change on the newest state, until it is accepted, nothing is left to be done, or nothing allows it any more. */
  async #change(name: string, actionsOn: (state: GroupState) => GroupAction[]): Promise<GroupInfo> {
    const { book, journal } = this.#services;
    for (let tries = 0; tries < LIMITS.groupTryCountMax; tries += 1) {
      const record = await this.#record(name);
      if (!book.isIn(record)) throw new ClientError('CLI_GROUP_NOT_A_MEMBER');
      const { group, epoch } = record.state.roster;
      const actions = actionsOn(record.state);
      if (actions.length === 0) return this.get(name);
      const { change, bytes } = this.#draft(record.state, group, actions);
      const order = await this.#tryToSubmit(group, bytes);
      if (order !== undefined) await this.#adopt(group, bytes, order);
      // Somebody was faster; or our own change was accepted and the answer lost.
      else await this.#follow(group, epoch);
      const head = await journal.get(GROUP_KEYS.head(group, epoch + 1));
      if (head !== undefined && isSameKey(head, hashOfChange(change, sha512))) return this.get(name);
    }
    throw new ClientError('CLI_GROUP_BUSY');
  }

  /** Goes on to the change that was faster than ours. */
  async #follow(group: string, epoch: number): Promise<void> {
    const { keeper, requests } = this.#services;
    const obstacle = await keeper.catchUp(group, epoch + 1);
    if (obstacle === undefined) return;
    const told = await requests.askUntilAnswered({ kind: 'group', group, after: epoch }, 'group');
    throw new ClientError(told.epoch < epoch ? 'CLI_GROUP_BEHIND' : obstacle);
  }

  #draft(
    state: GroupState | undefined,
    group: string,
    actions: readonly GroupAction[],
  ): { readonly change: SignedGroupChange; readonly bytes: Uint8Array } {
    const { self, clock, random, identityKeyPair } = this.#services;
    const intent = { group, author: self.user, device: self.device, time: clock.nowMs(), actions };
    const draft = draftGroupChange(state, intent, sha512);
    if (isGroupRefusal(draft)) throw refusalOf(draft.code);
    const statement = groupChangeStatement(draft);
    const signature = xeddsaSign(identityKeyPair.privateKey, statement, (length) => random.bytes(length));
    const bytes = encodeGroupChange(statement, signature);
    const change = decodeGroupChange(bytes) as SignedGroupChange;
    return { change, bytes };
  }

  /** @returns The place of the change in the group. */
  async #submit(group: string, change: Uint8Array): Promise<number> {
    const answer = await this.#services.requests.askUntilAnswered({ kind: 'group-change', group, change }, 'group');
    return answer.order;
  }

  /** @returns Undefined where another change has the epoch. */
  async #tryToSubmit(group: string, change: Uint8Array): Promise<number | undefined> {
    try {
      return await this.#submit(group, change);
    } catch (error) {
      if (ClientError.is(error, 'APP_GROUP_EPOCH')) return undefined;
      throw error;
    }
  }

  /** Our change was accepted: it is ours at once, and not only when the server tells it to everybody. */
  async #adopt(group: string, bytes: Uint8Array, order: number): Promise<void> {
    const { journal, locks, book, emit, keeper } = this.#services;
    const findings = { events: [] as ClientEvent[], due: new Set<string>() };
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      await book.keepChange(transaction, group, order, bytes, findings);
      await book.advance(transaction, group, findings);
      await journal.commit(transaction);
    });
    for (const event of findings.events) emit(event);
    keeper.tend(group);
  }

  /** What we are about to make is noted as an invitation by ourselves: a crash in between must not lose the key of its title. */
  async #putInvited(group: string, record: InvitedRecord | undefined): Promise<void> {
    const { journal, locks } = this.#services;
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      if (record === undefined) transaction.delete(GROUP_KEYS.invited(group));
      else transaction.put(GROUP_KEYS.invited(group), INVITED.encode(record));
      await journal.commit(transaction);
    });
  }
}

/**
 * 15 digits, each group's own: two that are drawn alike meet at the server, which refuses the second. In its maker's partition, so that a group
 * of people of one data centre is served there.
 */
function drawGroupId(random: Random, maker: string): string {
  let digits = '';
  while (digits.length < GROUP_ID_DIGITS) digits += String(random.integer(10));
  return idBeside(Number(digits), maker);
}

const GROUP_ID_DIGITS = 15;

function refusalOf(code: GroupRefusalCode): ClientError {
  return new ClientError(code === 'GROUP_NOT_A_MEMBER' ? 'CLI_GROUP_NOT_A_MEMBER' : 'CLI_GROUP_REFUSED');
}

/** Whether a refused change was surely not accepted: not so where the connection or the client ended before the answer. */
function isFinal(error: unknown): boolean {
  return ClientError.is(error) && error.code.startsWith('APP_');
}

/** For what cannot go on: throws the code that catching up ended with, if there was one. */
function throwIf(code: ErrorCode | undefined): void {
  if (code !== undefined) throw new ClientError(code);
}
