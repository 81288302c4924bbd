/**
 * Sending in groups that encrypt for each device: the same content to every member, as an ordinary message between two people.
 *
 *   draft ─▶ history, owed to the group ─▶ does the server know a newer epoch? ─▶ in-group, to each member of the roster ─▶ no more owed
 *
 * There is no chain that could be stolen, and none to hand out: each message is encrypted in the session with each device. It costs as
 * many ciphertexts as there are devices, so it is for small groups. What is owed stands in the store until it is in the outboxes of
 * the conversations with the members; a crash sends it twice, and recipients know it by its number. A member whose conversation takes
 * nothing any more is passed over, and the application told; the others get what follows. What nobody takes is refused.
 *
 * States: delivered is what the conversation with a member says of the message that went there. Read is said by members in a content of
 * its own, since the marks of a conversation of two would tell of what was not read there. The server does not order these messages.
 *
 * Read next: `group-conversation.ts`, which writes to the other groups; `docs/internals/groups-client.md`.
 */

import { encodeContent, encodeOutgoing } from './content.ts';
import type { OutgoingContent } from './content.ts';
import type { ContentBody, MessageName } from './content-body.ts';
import type { Conversation } from './conversation.ts';
import type { Clock } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { GroupBook } from './group-book.ts';
import { GROUP_KEYS, nameOfGroup, PAIRWISE, PAIRWISE_OWED, PAIRWISE_REFUSED, PAIRWISE_UNREAD } from './group-layout.ts';
import type { PairwiseOwedRecord } from './group-layout.ts';
import { stateOfAll } from './group-progress.ts';
import type { History } from './history.ts';
import { idOfOrdinal } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { KEYS, numberOfKey } from './layout.ts';
import { NUMBER } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { textOf } from './message-handle.ts';
import type { MemberState, MessageState, SentMessage } from './messages.ts';
import { scan } from './renewal.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';
import { slim } from './sync.ts';

/** What sending to each member needs of its client. */
export interface PairwiseServices {
  readonly self: { readonly phone: string; readonly user: string; readonly device: number };
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly book: GroupBook;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly conversation: (user: string) => Conversation;
  readonly catchUp: (group: string, epoch: number) => Promise<ErrorCode | undefined>;
  readonly hasTwins: () => boolean;
  readonly emit: (event: ClientEvent) => void;
  readonly fail: (error: unknown) => void;
}

/** Somebody has read a message of ours. */
export interface PairwiseRead {
  readonly group: string;
  readonly number: number;
  readonly reader: string;
}

/** A message on its way to the members of a group. */
export class PairwiseHandle implements SentMessage {
  readonly id: string;
  readonly number: number;
  readonly to: string;
  readonly text: string;
  readonly sentAt: number;
  readonly sent: Promise<void>;
  readonly delivered: Promise<void>;
  readonly read: Promise<void>;
  readonly #readers = new Set<string>();
  #parts: ReadonlyMap<string, SentMessage> | undefined;
  #isRefused = false;
  #begin!: (parts: ReadonlyMap<string, SentMessage>) => void;
  #refuse!: (error: ClientError) => void;
  #finishReading!: () => void;

  constructor(group: string, number: number, { ordinal, sentAt, content }: PairwiseOwedRecord) {
    this.id = idOfOrdinal(ordinal);
    this.number = number;
    this.to = nameOfGroup(group);
    this.text = textOf(content);
    this.sentAt = sentAt;
    const begun = new Promise<ReadonlyMap<string, SentMessage>>((resolve, reject) => {
      this.#begin = resolve;
      this.#refuse = reject;
    });
    this.sent = begun.then((parts) => allSent([...parts.values()]));
    // Pending for ever once refused, as those of other messages.
    this.delivered = new Promise((resolve) => {
      begun
        .then((parts) => Promise.all([...parts.values()].map((part) => part.delivered)))
        .then(() => resolve(), quiet);
    });
    this.read = new Promise((resolve) => (this.#finishReading = resolve));
    // The first to hear of it, so that whoever awaits it finds the state to agree.
    this.sent.catch((error: unknown) => (this.#isRefused = codeOf(error) !== 'CLI_CLOSED'));
  }

  get members(): readonly MemberState[] {
    if (this.#isRefused) return [];
    return [...(this.#parts ?? [])].map(([user, { state }]) => ({ user, state: this.#stateWith(user, state) }));
  }

  get state(): MessageState {
    if (this.#isRefused) return 'refused';
    const isQueued = this.#parts === undefined || [...this.#parts.values()].some(({ state }) => state === 'queued');
    return isQueued ? 'queued' : stateOfAll(this.number, this.members);
  }

  /** It is in the outboxes of the conversations with these members. */
  begin(parts: ReadonlyMap<string, SentMessage>): void {
    this.#parts = parts;
    this.#begin(parts);
  }

  /** A member says that it was read. */
  readBy(user: string): void {
    this.#readers.add(user);
    if (this.state === 'read') this.#finishReading();
  }

  fail(error: ClientError): void {
    if (this.#parts !== undefined) return;
    // Before the rejection is heard, which takes a turn.
    this.#isRefused = error.code !== 'CLI_CLOSED';
    this.#refuse(error);
  }

  #stateWith(user: string, state: MessageState): MemberState['state'] {
    if (this.#readers.has(user)) return 'read';
    return state === 'delivered' || state === 'read' ? 'delivered' : 'sent';
  }
}

/** Sends in the pairwise groups of one device. */
export class PairwiseSender {
  readonly #services: PairwiseServices;
  readonly #handles = new Map<string, PairwiseHandle>();
  /** Groups with messages that members have not all received, or may not have. */
  readonly #groups = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #owedCount = 0;
  #isClosed = false;

  constructor(services: PairwiseServices) {
    this.#services = services;
  }

  /** Reads what earlier runs owe. */
  async load(): Promise<void> {
    const { journal } = this.#services;
    for await (const { key } of scan(journal, GROUP_KEYS.pairwiseAll)) this.#groups.add(key.split('/')[1]!);
    for await (const { key } of scan(journal, GROUP_KEYS.pairwiseOwedAll)) {
      this.#groups.add(key.split('/')[1]!);
      this.#owedCount += 1;
    }
  }

  /** Messages that are not in the outboxes of the conversations with members yet. */
  get waitingCount(): number {
    return this.#owedCount;
  }

  /** Gives numbers out, the next ones of this device in the group. The caller holds the lock of the groups. */
  async takeNumbers(transaction: Transaction, group: string, count: number): Promise<number> {
    const key = GROUP_KEYS.pairwiseNext(group);
    const stored = await transaction.get(key);
    const next = stored === undefined ? LIMITS.pairwiseNumberBase + 1 : NUMBER.decode(stored);
    transaction.put(key, NUMBER.encode(next + count));
    return next;
  }

  /** Owes a message to the members of a group, in the transaction that puts it into the history. `pay` sends it. */
  owe(transaction: Transaction, group: string, number: number, owed: PairwiseOwedRecord): PairwiseHandle {
    transaction.put(GROUP_KEYS.pairwiseOwed(group, number), PAIRWISE_OWED.encode(owed));
    const handle = new PairwiseHandle(group, number, owed);
    this.#handles.set(`${group}/${number}`, handle);
    this.#groups.add(group);
    this.#owedCount += 1;
    return handle;
  }

  /** Logged in: goes on with what is owed. */
  opened(): void {
    this.partRefused();
    for (const group of this.#groups) this.pay(group);
  }

  /** Something was refused for good in the conversation with a member: it may have been a part of a message. */
  partRefused(): void {
    this.settleRefused().catch((error: unknown) => isPassing(error) || this.#services.fail(error));
  }

  /** Sends what is owed to a group, soon, in its order. */
  pay(group: string): void {
    if (this.#isClosed || !this.#groups.has(group)) return;
    if (this.#running.has(group)) return void this.#again.add(group);
    const run = this.#payAll(group)
      .catch((error: unknown) => isPassing(error) || this.#services.fail(error))
      .then(() => {
        this.#running.delete(group);
        if (this.#again.delete(group)) this.pay(group);
      });
    this.#running.set(group, run);
  }

  close(): void {
    this.#isClosed = true;
    for (const handle of this.#handles.values()) handle.fail(new ClientError('CLI_CLOSED'));
  }

  async #payAll(group: string): Promise<void> {
    const { journal } = this.#services;
    for await (const { key, value } of scan(journal, GROUP_KEYS.pairwiseOwedOf(group))) {
      // Before each: what the server has told meanwhile must not be too late for the next one.
      const users = await this.#membersNow(group);
      if (this.#isClosed || users === 'later') return;
      const number = numberOfKey(key);
      if (users === undefined) await this.#refuse(group, number, PAIRWISE_OWED.decode(value), 'CLI_GROUP_NOT_A_MEMBER');
      else await this.#fanOut(group, number, PAIRWISE_OWED.decode(value), users);
    }
  }

  /**
   * Who is a member by everything that the server and the members say now: somebody who was removed gets nothing that follows.
   *
   * @returns Undefined where we are none; `later` where something stands in the way.
   */
  async #membersNow(group: string): Promise<string[] | 'later' | undefined> {
    const { book, journal, requests, catchUp } = this.#services;
    const record = await book.load(journal, group);
    if (record === undefined || !book.isIn(record)) return undefined;
    const known = record.state.roster.epoch;
    const { epoch } = await requests
      .askUntilAnswered({ kind: 'group', group, after: known }, 'group')
      .catch(notAMember);
    const newest = Math.max(epoch, await book.newestEpoch(group));
    if (newest > known && (await catchUp(group, newest)) !== undefined) return 'later';
    const present = await book.load(journal, group);
    return present !== undefined && book.isIn(present) ? [...present.state.roster.members.keys()] : undefined;
  }

  async #fanOut(group: string, number: number, owed: PairwiseOwedRecord, users: readonly string[]): Promise<void> {
    const { self, history, hasTwins } = this.#services;
    const body = this.#wrap(group, number, owed.sentAt, owed.content);
    const parts = new Map<string, SentMessage>();
    let obstacle: ErrorCode | undefined;
    for (const user of users) {
      if (user === self.user && !hasTwins()) continue;
      const part = await this.#enqueue(user, body);
      if ('code' in part) obstacle = part.code;
      else if (user !== self.user) parts.set(user, part);
    }
    if (parts.size === 0 && obstacle !== undefined) return this.#refuse(group, number, owed, obstacle);
    await this.#transact(async (transaction) => {
      const members = [...parts].map(([user, { number: id }]) => ({ user, id, isRead: false }));
      // One that was forgotten before it left has no states to keep.
      const isShown = (await history.read(transaction, nameOfGroup(group), owed.ordinal)) !== undefined;
      await forgetFormerParts(transaction, group, number, parts);
      if (isShown) transaction.put(GROUP_KEYS.pairwise(group, number), PAIRWISE.encode(members));
      transaction.delete(GROUP_KEYS.pairwiseOwed(group, number));
    });
    this.#owedCount -= 1;
    const handle = this.#handles.get(`${group}/${number}`);
    handle?.begin(parts);
    // A part may have been refused before there was a record of it.
    await this.settleRefused();
    const { emit } = this.#services;
    handle?.sent.then(() => emit({ type: 'group-progress', group: nameOfGroup(group) }), quiet);
  }

  /** Puts a content into the outbox of one conversation. @returns Why that conversation takes nothing: it must not stop the others. */
  async #enqueue(user: string, body: ContentBody): Promise<SentMessage | { readonly code: ErrorCode }> {
    const { conversation, fail } = this.#services;
    try {
      return await conversation(user).enqueue({ body, isViewOnce: false, timerSeconds: 0 });
    } catch (error) {
      if (!ClientError.is(error) || OF_ALL.has(error.code)) throw error;
      fail(error);
      return { code: error.code };
    }
  }

  /** Notes in the messages whose parts were refused for good that these have no id any more, or that nobody gets the message. */
  async settleRefused(): Promise<void> {
    const { journal } = this.#services;
    for await (const { key } of scan(journal, GROUP_KEYS.pairwiseRefusedAll)) {
      const [, group, digits] = key.split('/') as [string, string, string];
      const number = Number(digits);
      let code: ErrorCode | undefined;
      await this.#transact(async (transaction) => {
        code = await this.#settlePart(transaction, key, group, number);
        if (code !== undefined) await this.#failSent(transaction, group, number, code);
      });
      if (code === undefined) continue;
      this.#handles.delete(`${group}/${number}`);
      this.#services.emit({ type: 'refused', user: nameOfGroup(group), firstId: number, code });
    }
  }

  /** @returns Why nobody gets the message, if this part was the last one that somebody could have got. */
  async #settlePart(
    transaction: Transaction,
    key: string,
    group: string,
    number: number,
  ): Promise<ErrorCode | undefined> {
    const refused = await transaction.get(key);
    const stored = await transaction.get(GROUP_KEYS.pairwise(group, number));
    const isComing =
      stored === undefined && (await transaction.get(GROUP_KEYS.pairwiseOwed(group, number))) !== undefined;
    if (refused === undefined || isComing) return undefined;
    transaction.delete(key);
    if (stored === undefined) return undefined;
    const user = key.split('/')[3];
    const members = PAIRWISE.decode(stored).map((member) => (member.user === user ? { ...member, id: 0 } : member));
    transaction.put(GROUP_KEYS.pairwise(group, number), PAIRWISE.encode(members));
    const isForNobody = members.every(({ id, isRead }) => id === 0 && !isRead);
    return isForNobody ? PAIRWISE_REFUSED.decode(refused).code : undefined;
  }

  /** The history says of a message why nobody has it, and has no states of members any more. */
  async #failSent(transaction: Transaction, group: string, number: number, code: ErrorCode): Promise<void> {
    const { self, history } = this.#services;
    const name = nameOfGroup(group);
    transaction.delete(GROUP_KEYS.pairwise(group, number));
    const ordinal = await transaction.get(KEYS.name(name, 'me', self.device, number));
    if (ordinal !== undefined) await history.fail(transaction, name, NUMBER.decode(ordinal), code);
  }

  /** Nobody gets the message: we are out of the group, or no conversation takes it. */
  async #refuse(group: string, number: number, { ordinal }: PairwiseOwedRecord, code: ErrorCode): Promise<void> {
    const { history, emit } = this.#services;
    const user = nameOfGroup(group);
    await this.#transact(async (transaction) => {
      transaction.delete(GROUP_KEYS.pairwiseOwed(group, number));
      await history.fail(transaction, user, ordinal, code);
    });
    this.#owedCount -= 1;
    this.#handles.get(`${group}/${number}`)?.fail(new ClientError(code));
    this.#handles.delete(`${group}/${number}`);
    emit({ type: 'refused', user, firstId: number, code });
  }

  /** A thumbnail is left out where the content would not fit into another one with it. */
  #wrap(group: string, number: number, sentAt: number, content: OutgoingContent): ContentBody {
    const wrap = (inner: OutgoingContent): ContentBody => ({
      ...{ kind: 'in-group', group, number, content: encodeOutgoing(inner), sentAt },
    });
    const header = { id: Number.MAX_SAFE_INTEGER, sentAt: Number.MAX_SAFE_INTEGER, timerSeconds: 0, isViewOnce: false };
    const fits = encodeContent({ ...header, phone: this.#services.self.phone, body: wrap(content) }) !== undefined;
    return wrap(fits ? content : slim(content));
  }

  // What was read

  /** Notes a message that its author may be told about when it is read. */
  static noteUnread(transaction: Transaction, group: string, ordinal: number, name: MessageName): void {
    transaction.put(GROUP_KEYS.pairwiseUnread(group, ordinal), PAIRWISE_UNREAD.encode(name));
  }

  /** Everything that came in a group up to a local number has been read. @param isTold - Whether an author hears of it. */
  async markRead(group: string, ordinal: number, isTold: (author: string) => boolean): Promise<void> {
    const { journal, clock } = this.#services;
    const read = new Map<string, MessageName[]>();
    const keys: string[] = [];
    for await (const { key, value } of scan(journal, GROUP_KEYS.pairwiseUnreadOf(group))) {
      if (numberOfKey(key) > ordinal) break;
      const name = PAIRWISE_UNREAD.decode(value);
      read.set(name.author, [...(read.get(name.author) ?? []), name]);
      keys.push(key);
    }
    if (keys.length === 0) return;
    for (const [author, names] of read) {
      if (!isTold(author)) continue;
      for (let from = 0; from < names.length; from += LIMITS.receiptTargetCountMax) {
        const targets = names.slice(from, from + LIMITS.receiptTargetCountMax);
        const content = {
          body: { kind: 'receipt', state: 'read', targets },
          timerSeconds: 0,
          isViewOnce: false,
        } as const;
        const body = this.#wrap(group, LIMITS.pairwiseNumberBase, clock.nowMs(), content);
        await this.#enqueue(author, body);
      }
    }
    await this.#transact(async (transaction) => {
      for (const key of keys) transaction.delete(key);
    });
  }

  /** A member says what they have read. @returns What of it is news, for `noteRead` once it is durable. */
  async takeRead(
    transaction: Transaction,
    group: string,
    reader: string,
    targets: readonly MessageName[],
  ): Promise<readonly PairwiseRead[]> {
    const { self } = this.#services;
    const news: PairwiseRead[] = [];
    for (const { author, device, number } of targets) {
      const key = GROUP_KEYS.pairwise(group, number);
      const stored = author === self.user && device === self.device ? await transaction.get(key) : undefined;
      if (stored === undefined) continue;
      const members = PAIRWISE.decode(stored);
      const next = members.map((member) => (member.user === reader ? { ...member, isRead: true } : member));
      transaction.put(key, PAIRWISE.encode(next));
      news.push({ group, number, reader });
    }
    return news;
  }

  /** It is in the store that messages were read: their senders here hear it. */
  noteRead(reads: readonly PairwiseRead[]): void {
    for (const { group, number, reader } of reads) {
      const handle = this.#handles.get(`${group}/${number}`);
      handle?.readBy(reader);
      // It has come as far as a message comes.
      if (handle?.state === 'read') this.#handles.delete(`${group}/${number}`);
    }
    const groups = new Set(reads.map(({ group }) => group));
    for (const group of groups) this.#services.emit({ type: 'group-progress', group: nameOfGroup(group) });
  }

  /** How far a conversation of two has come may be how far messages to groups have. */
  async memberMoved(user: string): Promise<void> {
    const { book, journal, emit } = this.#services;
    for (const group of this.#groups) {
      const record = await book.load(journal, group);
      if (record?.state.roster.members.has(user)) emit({ type: 'group-progress', group: nameOfGroup(group) });
    }
  }

  #transact(work: (transaction: Transaction) => Promise<void>): Promise<void> {
    const { journal, locks } = this.#services;
    return locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      await work(transaction);
      await journal.commit(transaction);
    });
  }
}

/** Sent when everybody whom it can reach has it at the server; refused when nobody can be reached. */
async function allSent(parts: readonly SentMessage[]): Promise<void> {
  const outcomes = await Promise.allSettled(parts.map((part) => part.sent));
  const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (reasons.length === 0 || reasons.length < outcomes.length) return;
  // What was closed under way may still get there.
  throw reasons.find((reason) => codeOf(reason) === 'CLI_CLOSED') ?? reasons[0];
}

/**
 * A crash on the way into the outboxes sends a message twice. What was refused of the former parts says nothing about these, which may have
 * got the same ids since.
 */
async function forgetFormerParts(
  transaction: Transaction,
  group: string,
  number: number,
  parts: ReadonlyMap<string, SentMessage>,
): Promise<void> {
  for (const [user, { id }] of parts) {
    const key = GROUP_KEYS.pairwiseRefused(group, number, user);
    const refused = await transaction.get(key);
    if (refused !== undefined && idOfOrdinal(PAIRWISE_REFUSED.decode(refused).ordinal) !== id) transaction.delete(key);
  }
}

/** What fails with one conversation for these reasons fails with all of them. */
const OF_ALL: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CLI_CLOSED', 'CLI_STORE_FAILED']);

/** The server does not know us there any more; what it tells of the group decides, not this. */
function notAMember(error: unknown): { readonly epoch: number } {
  const code = codeOf(error);
  if (code === 'APP_NOT_A_MEMBER' || code === 'APP_UNKNOWN_GROUP') return { epoch: 0 };
  throw error;
}

function quiet(): void {}
