/**
 * The groups of one engine, put together: book, intake, keeper, the conversation and the marks of each group.
 *
 *   engine ─▶ GroupDesk ─┬─ GroupBook          what is known, and what holds
 *                        ├─ GroupIntake        inside the inbox's transaction
 *                        ├─ GroupKeeper        what is missing and what is owed
 *                        ├─ GroupWaiting       what was said and does not count yet
 *                        ├─ GroupConversation  one for each group: sending
 *                        ├─ GroupTyping        who types
 *                        └─ Groups             for the application
 *
 * It makes no decision of its own. Read next: `group-book.ts`.
 */

import type { GroupReceiptsMessage, ServerMessage, Stanza, TypingState } from '../protocol/wire/index.ts';
import type { KeyPair } from '../protocol/signal/index.ts';
import type { Conversation } from './conversation.ts';
import type { Directory } from './directory.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { GroupBook } from './group-book.ts';
import { GroupConversation } from './group-conversation.ts';
import type { GroupConversationServices } from './group-conversation.ts';
import { GroupIntake } from './group-intake.ts';
import type { GroupKnock, GroupNews, IntakeDraft } from './intake-report.ts';
import { GroupKeeper } from './group-keeper.ts';
import { GROUP, GROUP_KEYS, GROUP_LANE, GROUP_OUTBOX, INVITED, nameOfGroup, renewGeneration } from './group-layout.ts';
import type { GroupLaneRecord, GroupOutboxRecord, MemberMark } from './group-layout.ts';
import { PairwiseSender } from './group-pairwise.ts';
import { GroupWaiting } from './group-waiting.ts';
import { GroupProgress } from './group-progress.ts';
import { GroupTyping } from './group-typing.ts';
import { Groups } from './groups.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { userOfKey } from './layout.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';
import type { ReadReceipts } from './read-receipts.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './sessions.ts';
import type { Strangers } from './strangers.ts';

/** What groups need of their engine. */
export interface GroupDeskServices {
  readonly self: { readonly phone: string; readonly user: string; readonly device: number };
  readonly identityKeyPair: KeyPair;
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly sessions: Sessions;
  readonly directory: Directory;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly conversation: (user: string) => Conversation;
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
  readonly changed: (changes: readonly ChangedMessage[]) => void;
  readonly report: (draft: IntakeDraft) => void;
  readonly fail: (error: unknown) => void;
  /** Whether this account has other devices. */
  readonly hasTwins: () => boolean;
  /** What others are told of what is read here, and whether what they say of that is shown. */
  readonly receipts: () => Pick<
    ReadReceipts,
    'isSharedInGroups' | 'oweGroup' | 'withholdGroup' | 'catchUpGroup' | 'payLater'
  >;
  readonly strangers: () => Pick<Strangers, 'isStranger' | 'isAdmitted' | 'meet'>;
}

/** What the server says of groups beside what stands in the inbox. */
export type GroupServerMessage = Extract<
  ServerMessage,
  { readonly kind: 'group-ack' | 'group-error' | 'group-receipts' | 'group-typing' }
>;

const NEW_LANE: GroupLaneRecord = Object.freeze({ nextId: 1, sentId: 0 });

/** Groups at work, around one account. */
export class GroupDesk {
  readonly groups: Groups;
  readonly intake: GroupIntake;
  readonly typing: GroupTyping;
  readonly #services: GroupDeskServices;
  readonly #book: GroupBook;
  readonly #keeper: GroupKeeper;
  readonly #waiting: GroupWaiting;
  readonly #pairwise: PairwiseSender;
  readonly #conversations = new Map<string, GroupConversation>();
  readonly #progress = new Map<string, GroupProgress>();
  readonly #conversationServices: GroupConversationServices;
  #isOpen = false;
  /** What the person here does, as it was said last, by group; nothing where nothing is done. */
  readonly #doing = new Map<string, TypingState>();
  /** Of whose members' progress this connection is told. */
  readonly #watchedGroups = new Set<string>();
  /** Counts connections: what an earlier one brought late is told apart by it. */
  #connectionCount = 0;

  constructor(services: GroupDeskServices) {
    const { self, identityKeyPair, sessions, journal } = services;
    this.#services = services;
    const { publicKey: identityKey } = identityKeyPair;
    const book = new GroupBook({
      self: { ...self, identityKey },
      signers: (source, user) => sessions.signers(source, user),
      journal,
    });
    this.#book = book;
    // Each of the three is asked for by another one of them, later.
    const catchUp = (group: string, epoch: number): Promise<ErrorCode | undefined> =>
      this.#keeper.catchUp(group, epoch);
    this.#pairwise = new PairwiseSender({ ...services, book, catchUp });
    const pairwise = this.#pairwise;
    const showsReads = (): boolean => services.receipts().isSharedInGroups;
    this.intake = new GroupIntake({ ...services, self: self.user, ownDevice: self.device, book, pairwise, showsReads });
    this.#waiting = new GroupWaiting({ ...services, intake: this.intake });
    const admit = (knock: GroupKnock): Promise<void> => this.groups.admit(knock);
    this.#keeper = new GroupKeeper({ ...services, book, intake: this.intake, absorb: () => this.absorb(), admit });
    const keeper = this.#keeper;
    this.typing = new GroupTyping({ ...services, self: self.user });
    this.groups = new Groups({ ...services, book, keeper, typing: this.typing });
    this.#conversationServices = {
      ...services,
      ...{ book, pairwise, catchUp },
      handOut: (group) => keeper.handOut(group),
    };
  }

  /** Makes the conversations of what the store holds. @throws {ClientError} CLI_STORE_CORRUPT. */
  async load(): Promise<void> {
    const { journal } = this.#services;
    const outboxes = new Map<string, GroupOutboxRecord[]>();
    for await (const { key, value } of scan(journal, GROUP_KEYS.outboxes)) {
      const group = userOfKey(key);
      outboxes.set(group, [...(outboxes.get(group) ?? []), GROUP_OUTBOX.decode(value)]);
    }
    for await (const { key } of scan(journal, GROUP_KEYS.groups)) {
      const group = userOfKey(key);
      const bytes = await journal.get(GROUP_KEYS.lane(group));
      const lane = bytes === undefined ? NEW_LANE : GROUP_LANE.decode(bytes);
      this.#progressOf(group).move(await this.#book.marks(journal, group));
      this.#open(group, lane, outboxes.get(group) ?? []);
    }
    await this.#pairwise.load();
  }

  /** Messages that the server has not acknowledged. */
  get waitingCount(): number {
    let count = this.#pairwise.waitingCount;
    for (const conversation of this.#conversations.values()) count += conversation.waitingCount;
    return count;
  }

  /**
   * This account has another device, which hears of every group and gets our chains, or one less, whose chains end: with the list that
   * says so, under the lock of the groups. What it owes is paid by `twinsChanged`, or at the next login.
   */
  async noteTwins(transaction: Transaction): Promise<void> {
    const { journal, self, clock } = this.#services;
    for await (const { key } of scan(journal, GROUP_KEYS.groups)) this.#book.inviteTwins(transaction, userOfKey(key));
    await renewGeneration(transaction, self.user, clock.nowMs());
  }

  /** Pays what `noteTwins` owes. */
  async twinsChanged(): Promise<void> {
    for await (const { key } of scan(this.#services.journal, GROUP_KEYS.groups)) this.#keeper.tend(userOfKey(key));
  }

  /** The conversation in a group; made when first asked for. @param group - 15 digits. */
  conversation(group: string): GroupConversation {
    const known = this.#conversations.get(group);
    if (known !== undefined) return known;
    const conversation = this.#open(group, NEW_LANE, []);
    if (this.#isOpen) conversation.online();
    return conversation;
  }

  #open(group: string, lane: GroupLaneRecord, outbox: readonly GroupOutboxRecord[]): GroupConversation {
    const services = this.#conversationServices;
    const conversation = new GroupConversation(services, group, lane, outbox, this.#progressOf(group));
    this.#conversations.set(group, conversation);
    return conversation;
  }

  /** How far the members of a group have come. */
  marks(group: string): readonly MemberMark[] {
    return this.#progressOf(group).marks;
  }

  #progressOf(group: string): GroupProgress {
    let progress = this.#progress.get(group);
    if (progress === undefined) this.#progress.set(group, (progress = new GroupProgress([])));
    return progress;
  }

  /** Logged in: outboxes resume, and what is due is done. */
  async opened(): Promise<void> {
    this.#isOpen = true;
    this.#connectionCount += 1;
    this.typing.opened();
    for (const conversation of this.#conversations.values()) conversation.online();
    await this.absorb();
    await this.#keeper.opened();
    this.#pairwise.opened();
    await this.#askMarks();
  }

  /** The list of our own devices may be another, or a group: takes what devices have said that counts by now. */
  absorb(): Promise<void> {
    return this.#waiting.absorb();
  }

  /** Somebody was accepted: what they could not be asked before is asked now. */
  async admitted(user: string): Promise<void> {
    for await (const { key } of scan(this.#services.journal, GROUP_KEYS.groups)) {
      const record = await this.#book.load(this.#services.journal, userOfKey(key));
      if (record?.state.roster.members.has(user)) this.#keeper.tend(userOfKey(key));
      if (record?.inviter === user) await this.#services.receipts().catchUpGroup(userOfKey(key));
    }
    for await (const { key, value } of scan(this.#services.journal, GROUP_KEYS.invitedAll)) {
      if (INVITED.decode(value).inviter === user) this.#keeper.tend(userOfKey(key));
    }
  }

  /** The connection is gone. */
  shut(): void {
    this.#isOpen = false;
    this.#connectionCount += 1;
    this.typing.shut();
    for (const conversation of this.#conversations.values()) conversation.offline();
  }

  /** Takes what the server said. */
  receive(message: GroupServerMessage): void {
    switch (message.kind) {
      case 'group-ack':
        return this.#conversations.get(message.group)?.acknowledged(message.id, message.order);
      case 'group-receipts':
        return void this.#receiveMarks(message).catch(this.#services.fail);
      case 'group-typing':
        return this.typing.receive(message);
      case 'group-error': {
        const connection = this.#connectionCount;
        const isCurrent = (): boolean => connection === this.#connectionCount;
        return this.#conversations.get(message.group)?.refused(message, isCurrent);
      }
    }
  }

  /** Does what came of groups in a transaction: tells it, and looks after what is due. */
  async attend(news: GroupNews): Promise<void> {
    const { journal, emit } = this.#services;
    for (const event of news.events) emit(event);
    for (const group of news.due) {
      this.#progressOf(group).move(await this.#book.marks(journal, group));
      this.#pairwise.pay(group);
    }
    this.#pairwise.noteRead(news.reads);
    for (const { group, user } of news.speakers) await this.#acquaint(group, user);
    for (const group of news.twins) await this.#askTwinMarks(group);
    await this.#keeper.attend(news);
  }

  /**
   * Keys of a group come in a conversation of two, where a stranger has a few messages only. Not so in a group into which a stranger has
   * brought us: it would be a way around being asked.
   */
  async #acquaint(group: string, user: string): Promise<void> {
    const { journal, strangers, fail } = this.#services;
    if (!strangers().isStranger(user)) return;
    const record = await this.#book.load(journal, group);
    if (record === undefined || !this.#book.isIn(record) || !record.state.roster.members.has(user)) return;
    if (strangers().isAdmitted(record.inviter)) await strangers().meet(user).catch(fail);
  }

  /** Whether members may learn what happens here: not where a stranger has brought us, nor somebody who is blocked. */
  async isAdmitted(group: string): Promise<boolean> {
    const record = await this.#book.load(this.#services.journal, group);
    return record === undefined || this.#services.strangers().isAdmitted(record.inviter);
  }

  /** Tells members what the person here does in the chat, where they may learn anything of us. That nothing is done any more is said at once. */
  async setTyping(group: string, state: TypingState): Promise<void> {
    if (state === 'paused') return this.#pause(group);
    this.#doing.set(group, state);
    const isAdmitted = await this.isAdmitted(group);
    // While the store was asked, the message may have been sent that was being typed.
    if (isAdmitted && this.#doing.get(group) === state) this.typing.set(group, state);
  }

  #pause(group: string): void {
    this.#doing.delete(group);
    this.typing.set(group, 'paused');
  }

  /** The person here writes in a group: who brought us there is no stranger then, nor is anybody who has spoken. */
  async meet(group: string): Promise<void> {
    const { journal, strangers } = this.#services;
    const record = await this.#book.load(journal, group);
    if (record === undefined || !strangers().isStranger(record.inviter)) return;
    await strangers().meet(record.inviter);
    const speakers = new Set<string>();
    // Chains of an earlier release whose device has not spoken stand for themselves.
    for (const prefix of [GROUP_KEYS.keysOf(group), GROUP_KEYS.heardIn(group)]) {
      for await (const { key } of scan(journal, prefix)) speakers.add(key.split('/')[2]!);
    }
    for (const user of speakers) await this.#acquaint(group, user);
  }

  /** Waits for nothing, and begins nothing any more. */
  close(): void {
    for (const conversation of this.#conversations.values()) conversation.close();
    this.#pairwise.close();
    this.#keeper.close();
    this.typing.close();
  }

  async #receiveMarks({ group, type, marks }: Pick<GroupReceiptsMessage, 'group' | 'type' | 'marks'>): Promise<void> {
    const { journal, locks, emit, receipts } = this.#services;
    const shown = type === 'read' && !receipts().isSharedInGroups ? 'delivered' : type;
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      const moved = await this.#book.receive(transaction, group, shown, marks);
      if (moved === undefined) return;
      await journal.commit(transaction, 'eventual');
      this.#progressOf(group).move(moved);
      emit({ type: 'group-progress', group: nameOfGroup(group) });
    });
  }

  /** Catches up on how far members have come in the groups to which we have written, here or on another device. */
  async #askMarks(): Promise<void> {
    const { journal, self } = this.#services;
    this.#watchedGroups.clear();
    for (const [group, conversation] of [...this.#conversations]) {
      const twins = await journal.list({ prefix: GROUP_KEYS.heardOf(group, self.user), limit: 1 });
      if (conversation.hasSent || twins.length > 0) await this.#askMarksOf(group).catch(unlessGone);
    }
  }

  /** Another device of ours has written: asking how far members have come is what makes the server tell this one as well. */
  async #askTwinMarks(group: string): Promise<void> {
    const isWatched = this.#watchedGroups.has(group) || this.conversation(group).hasSent;
    if (this.#isOpen && !isWatched) await this.#askMarksOf(group).catch(this.#services.fail);
  }

  /** Page by page. Of a group that we are out of there is nothing to be learned. */
  async #askMarksOf(group: string): Promise<void> {
    const record = await this.#book.load(this.#services.journal, group);
    if (record === undefined || !this.#book.isIn(record)) return;
    this.#watchedGroups.add(group);
    for (let after: string | undefined, isMore = true; isMore;) {
      const request = { kind: 'group-marks', group, after } as const;
      const { marks, more } = await this.#services.requests.askPatiently(request, 'group-marks');
      await this.#receiveMarks({ group, type: 'delivered', marks });
      after = marks.at(-1)?.user;
      isMore = more && after !== undefined;
    }
  }

  /** Messages in a conversation were refused for good: some may be parts of messages to groups that encrypt for each device. */
  memberRefused(): void {
    this.#pairwise.partRefused();
  }

  /** How far the conversation with a user has come may be how far messages to groups have that encrypt for each device. */
  memberMoved(user: string): void {
    void this.#pairwise.memberMoved(user).catch(this.#services.fail);
  }

  /**
   * Marks what was received up to a place as read: one place for all authors.
   *
   * @param order - Or beyond: all of it.
   * @param ordinal - The same as a local number, for what the server has given no place.
   */
  async markRead(group: string, order: number, ordinal: number): Promise<void> {
    const { journal, locks, receipts, strangers } = this.#services;
    const isShared = (await this.isAdmitted(group)) && receipts().isSharedInGroups;
    await this.#pairwise.markRead(group, ordinal, (author) => isShared && strangers().isAdmitted(author));
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      const record = await this.#book.load(transaction, group);
      const readOrder = Math.min(order, record?.lastOrder ?? 0);
      if (record === undefined || readOrder <= record.readOrder) return;
      transaction.put(GROUP_KEYS.group(group), GROUP.encode({ ...record, readOrder }));
      // Who brought us may have been accepted just now.
      if (strangers().isAdmitted(record.inviter)) receipts().oweGroup(transaction, group, readOrder);
      else if (strangers().isStranger(record.inviter)) receipts().withholdGroup(transaction, group, readOrder);
      await journal.commit(transaction, 'eventual');
    });
    receipts().payLater();
  }
}

/** We may have been put out of the group, and not have heard of it yet: no reason to leave the others unasked. */
function unlessGone(error: unknown): void {
  if (!ClientError.is(error, 'APP_NOT_A_MEMBER') && !ClientError.is(error, 'APP_UNKNOWN_GROUP')) throw error;
}
