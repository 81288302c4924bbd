/**
 * The stored messages of a conversation, and the local numbers that name them.
 *
 * Numbers (ordinals) are given out from a range that was reserved on disk beforehand, so that no number is used twice
 * whatever crashes, and no message needs a counter in its own batch. Gaps mean nothing.
 *
 * The state of an outgoing message is not stored with it: it follows from the conversation's watermarks, so that a
 * receipt for a thousand messages is one small write.
 *
 * What is done to a message may come before it: another device of ours reacts to what a third one sent, and its copy is still on the way.
 * It waits, a bounded number of it, and is done when the message comes.
 *
 * Others name a message by author, device, number and time (`MessageName`); an index leads from there to the ordinal. What
 * an edit, a deletion or a reaction may do is `effects.ts`'s; when a message is forgotten is `expiry.ts`'s.
 */

import { decodeContent } from './content.ts';
import type { MessageName } from './content-body.ts';
import { applyEffect, forgetViewed, targetsOf } from './effects.ts';
import type { Effect } from './effects.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { GROUP_KEYS, groupOfName, PAIRWISE } from './group-layout.ts';
import type { MemberMark } from './group-layout.ts';
import { memberStates, stateOfAll } from './group-progress.ts';
import type { Journal, RecordSource, Transaction } from './journal.ts';
import { isUserId } from '../protocol/wire/index.ts';
import { KEYS, MARKS, numberOfKey, WAITING } from './layout.ts';
import { HISTORY, isStoredContent } from './history-layout.ts';
import { NUMBER } from './record-codec.ts';
import type { MarksRecord } from './layout.ts';
import type { HistoryBody, HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import type { HistoryItem, MessageBody, MessageState, MessageTraits } from './messages.ts';

/** Ordinals reserved at a time: one flushed write in a million messages and at each start. 2^53 of them last. */
const RESERVED_COUNT = 1_000_000;

/** Which part of a history to read. */
export interface HistoryRange {
  /** Only messages stored before the one with this id. */
  readonly before?: string;
  /** 1 to `LIMITS.scanCountMax`; 50 if not given. */
  readonly limit?: number;
}

/** A stored message that is not what it was. */
export interface ChangedMessage {
  readonly user: string;
  readonly ordinal: number;
  /** Undefined when it was forgotten. */
  readonly record: HistoryRecord | undefined;
}

/** Numbers and reads the messages of one store. */
export class History {
  /** Our own device, once there is one; what others of the account sent is not this one's to heal or to follow. */
  ownDevice = 0;
  readonly #journal: Journal;
  #next = 0;
  #ceiling = 0;
  #reserving: Promise<void> | undefined;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Gives out `count` numbers, ascending: the first of them. */
  async takeOrdinals(count: number): Promise<number> {
    while (this.#next + count > this.#ceiling) await (this.#reserving ??= this.#reserve());
    this.#next += count;
    return this.#next - count;
  }

  /** Adds or replaces a message within a transaction, and with it what leads to it. */
  put(transaction: Transaction, user: string, ordinal: number, record: HistoryRecord): void {
    transaction.put(KEYS.history(user, ordinal), HISTORY.encode(record));
    // The number of what could not be opened is the server's word, which must not take a genuine message's name.
    const isNamed = record.body.kind !== 'undecryptable';
    if (isNamed) transaction.put(nameKey(user, record), NUMBER.encode(ordinal));
    if (record.expiresAt !== undefined) {
      transaction.put(KEYS.expiry(record.expiresAt, user, ordinal), NUMBER.encode(ordinal));
    }
  }

  /** Says of a message of ours why it was not delivered, unless it is forgotten. */
  async fail(transaction: Transaction, user: string, ordinal: number, code: ErrorCode): Promise<void> {
    const record = await this.read(transaction, user, ordinal);
    if (record !== undefined) this.put(transaction, user, ordinal, { ...record, failure: code });
  }

  /**
   * Adds a message that has just come, as `put`, and does to it what came before it did.
   *
   * @param self - Our user id.
   * @returns The message as it is now.
   */
  async add(
    transaction: Transaction,
    user: string,
    self: string,
    ordinal: number,
    record: HistoryRecord,
  ): Promise<HistoryRecord> {
    const now = record.body.kind === 'undecryptable' ? record : await this.#settle(transaction, user, self, record);
    this.put(transaction, user, ordinal, now);
    return now;
  }

  /**
   * Adds a message from before everything that is here, unless it is here: another device has handed it over.
   *
   * @param self - Our user id.
   * @returns Whether it was not here.
   */
  async addFormer(
    transaction: Transaction,
    user: string,
    self: string,
    ordinal: number,
    record: HistoryRecord,
  ): Promise<boolean> {
    const author = record.direction === 'out' ? self : authorIn(user, record.author);
    const found = await this.find(transaction, user, self, nameOf(author, record));
    if (found !== undefined) return false;
    const now = await this.#settle(transaction, user, self, record);
    const named = await transaction.get(nameKey(user, now));
    this.put(transaction, user, ordinal, now);
    // A later message of a device that began to count anew: the name is its.
    if (named !== undefined) transaction.put(nameKey(user, now), named);
    return true;
  }

  async #settle(transaction: Transaction, user: string, self: string, record: HistoryRecord): Promise<HistoryRecord> {
    const author = record.direction === 'out' ? self : authorIn(user, record.author);
    const { device, number, sentAt } = record;
    const key = KEYS.waiting(user, author, device, number);
    const stored = await transaction.get(key);
    if (stored === undefined) return record;
    transaction.delete(key);
    let now = record;
    for (const effect of WAITING.decode(stored).effects) {
      const isMeant = targetsOf(effect.body).some((name) => name.number === number && name.sentAt === sentAt);
      const next = isMeant ? applyEffect(now, author, effect) : 'nothing-to-do';
      if (typeof next !== 'string') now = next;
    }
    return forgetViewed(now);
  }

  /** Keeps an effect until the message comes that it is about. */
  async #wait(transaction: Transaction, user: string, name: MessageName, effect: Effect): Promise<void> {
    const key = KEYS.waiting(user, name.author, name.device, name.number);
    const stored = await transaction.get(key);
    if (stored === undefined) await this.#makeRoom(transaction, user);
    const { since, effects } = stored === undefined ? { since: this.#next, effects: [] } : WAITING.decode(stored);
    const kept = [...effects, effect].slice(-LIMITS.waitingEffectCountMax);
    transaction.put(key, WAITING.encode({ since, effects: kept }));
  }

  async #makeRoom(transaction: Transaction, user: string): Promise<void> {
    const max = LIMITS.waitingMessageCountMax;
    const waiting = await this.#journal.list({ prefix: KEYS.waitingIn(user), limit: LIMITS.scanCountMax });
    if (waiting.length < max) return;
    const byAge = waiting.map(({ key, value }) => ({ key, since: WAITING.decode(value).since }));
    byAge.sort((left, right) => left.since - right.since);
    for (const { key } of byAge.slice(0, waiting.length - max + 1)) transaction.delete(key);
  }

  /** Forgets a message within a transaction. */
  async remove(transaction: Transaction, user: string, ordinal: number, record: HistoryRecord): Promise<void> {
    transaction.delete(KEYS.history(user, ordinal));
    transaction.delete(KEYS.fresh(ordinal));
    // The name may lead to another message by now, and what is kept under it be that one's: one that was refused gives its number back.
    const index = await transaction.get(nameKey(user, record));
    const isNamed = index !== undefined && NUMBER.decode(index) === ordinal;
    if (isNamed) transaction.delete(nameKey(user, record));
    if (record.expiresAt !== undefined) transaction.delete(KEYS.expiry(record.expiresAt, user, ordinal));
    const group = groupOfName(user);
    if (isNamed && record.direction === 'out' && (await this.#isOurs(transaction, user, record))) {
      transaction.delete(group === undefined ? KEYS.kept(user, record.number) : GROUP_KEYS.kept(group, record.number));
      if (group !== undefined) transaction.delete(GROUP_KEYS.pairwise(group, record.number));
    }
  }

  /**
   * Whether what is kept here under the number of a message is that message's: each device of an account counts for itself. A device that was
   * this one before its number was registered anew has left numbers that this one does not give out.
   */
  async #isOurs(source: RecordSource, user: string, { device, number }: HistoryRecord): Promise<boolean> {
    if (device === this.ownDevice) return true;
    const own = { direction: 'out', author: '', device: this.ownDevice, number } as const;
    return (await source.get(nameKey(user, own))) === undefined;
  }

  /** The message that `name` means in the conversation with `user`, if it is there. @param self - Our user id. */
  async find(
    source: RecordSource,
    user: string,
    self: string,
    name: MessageName,
  ): Promise<{ readonly ordinal: number; readonly record: HistoryRecord } | undefined> {
    // Between two people nobody else can be meant; in a group everybody can.
    const isGroup = groupOfName(user) !== undefined;
    if (!isGroup && name.author !== user && name.author !== self) return undefined;
    const { author, device, number } = name;
    const indexOf = (direction: 'in' | 'out'): Promise<Uint8Array | undefined> =>
      source.get(nameKey(user, { direction, device, number, author: isGroup ? author : '' }));
    // What another device of ours sent to a group came in, as from any member, in an earlier release.
    const own = author === self ? await indexOf('out') : undefined;
    const index = own ?? (author !== self || isGroup ? await indexOf('in') : undefined);
    if (index === undefined) return undefined;
    const ordinal = NUMBER.decode(index);
    const bytes = await source.get(KEYS.history(user, ordinal));
    const record = bytes && HISTORY.decode(bytes);
    return record?.sentAt === name.sentAt ? { ordinal, record } : undefined;
  }

  /**
   * Applies an effect to the messages that it is about, within a transaction. One whose message is not here waits for it; one that is
   * not allowed changes nothing: its author may not follow the rules.
   *
   * @returns What changed.
   */
  async apply(transaction: Transaction, user: string, self: string, effect: Effect): Promise<ChangedMessage[]> {
    const changed: ChangedMessage[] = [];
    for (const name of targetsOf(effect.body)) {
      const found = await this.find(transaction, user, self, name);
      if (found === undefined) {
        if (await this.#isAwaitable(transaction, user, self, name)) await this.#wait(transaction, user, name, effect);
        continue;
      }
      const record = applyEffect(found.record, name.author, effect);
      if (typeof record === 'string') continue;
      this.put(transaction, user, found.ordinal, record);
      changed.push({ user, ordinal: found.ordinal, record });
    }
    return changed;
  }

  /** Whether a message may still come that is not here: not one in the place of which another one is. */
  async #isAwaitable(source: RecordSource, user: string, self: string, name: MessageName): Promise<boolean> {
    const { author, device, number } = name;
    const isGroup = groupOfName(user) !== undefined;
    if (isGroup ? !isUserId(author) : author !== user && author !== self) return false;
    const direction = author === self ? 'out' : 'in';
    const index = nameKey(user, { direction, device, number, author: isGroup ? author : '' });
    return (await source.get(index)) === undefined;
  }

  /** Reads one message, if it is there. */
  get(user: string, ordinal: number): Promise<HistoryRecord | undefined> {
    return this.read(this.#journal, user, ordinal);
  }

  /** The same as a transaction sees it. */
  async read(source: RecordSource, user: string, ordinal: number): Promise<HistoryRecord | undefined> {
    const bytes = await source.get(KEYS.history(user, ordinal));
    return bytes === undefined ? undefined : HISTORY.decode(bytes);
  }

  /** Messages with `user`, oldest first, the newest `limit` of those that the range allows. */
  async list(user: string, range: HistoryRange, marks: Marks): Promise<HistoryItem[]> {
    const { limit = 50, before } = range;
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.scanCountMax) {
      throw new RangeError(`"limit" expected an integer from 1 to ${LIMITS.scanCountMax}`);
    }
    const entries = await this.#journal.list({
      prefix: KEYS.historyOf(user),
      limit,
      newestFirst: true,
      ...(before === undefined ? {} : { after: KEYS.history(user, ordinalOfId(before)) }),
    });
    const items = entries.reverse().map(async ({ key, value }) => {
      const record = HISTORY.decode(value);
      const group = groupOfName(user);
      const isPairwise = group !== undefined && record.direction === 'out' && isPairwiseNumber(record.number);
      if (isPairwise) return this.#toPairwiseItem(user, group, numberOfKey(key), record);
      return toItem(user, numberOfKey(key), record, await this.#marksOf(user, record, marks));
    });
    return Promise.all(items);
  }

  /** Everybody, and every group, with whom there are messages; by user id and name. One look into the store for each. */
  async peers(): Promise<string[]> {
    const peers: string[] = [];
    const next = async (after: string): Promise<string | undefined> => {
      const [entry] = await this.#journal.list({ prefix: KEYS.histories, after, limit: 1 });
      return entry?.key.slice(KEYS.histories.length).split('/', 1)[0];
    };
    // A tilde is beyond every digit: what follows it belongs to another conversation.
    for (let peer = await next(''); peer !== undefined; peer = await next(`${KEYS.historyOf(peer)}~`)) peers.push(peer);
    return peers;
  }

  /** Messages that another device of this account has sent have marks of their own. */
  async #marksOf(user: string, { direction, device }: HistoryRecord, marks: Marks): Promise<Marks> {
    if (direction === 'in' || isOfGroup(marks)) return marks;
    const stored = await this.#journal.get(KEYS.twinMarks(user, device));
    return stored === undefined ? marks : MARKS.decode(stored);
  }

  /** A message that went to each member by itself has come as far with them as in the conversations with them. */
  async #toPairwiseItem(name: string, group: string, ordinal: number, record: HistoryRecord): Promise<HistoryItem> {
    const isOurs = await this.#isOurs(this.#journal, name, record);
    const sent = isOurs ? await this.#journal.get(GROUP_KEYS.pairwise(group, record.number)) : undefined;
    const owed = isOurs ? await this.#journal.get(GROUP_KEYS.pairwiseOwed(group, record.number)) : undefined;
    const members = sent === undefined ? [] : PAIRWISE.decode(sent);
    const { order } = record;
    let isQueued = owed !== undefined;
    const marks: MemberMark[] = [];
    for (const { user, id, isRead } of members) {
      const stored = await this.#journal.get(KEYS.marks(user));
      const { sentId, deliveredId } = stored === undefined ? { sentId: 0, deliveredId: 0 } : MARKS.decode(stored);
      isQueued ||= id > sentId;
      const delivered = isRead || (id > 0 && id <= deliveredId) ? order : 0;
      marks.push({ user, epoch: 0, since: 0, delivered, read: isRead ? order : 0 });
    }
    return toItem(name, ordinal, isQueued ? { ...record, order: 0 } : record, marks);
  }

  async #reserve(): Promise<void> {
    const stored = await this.#journal.get(KEYS.ordinal);
    const first = stored === undefined ? 1 : NUMBER.decode(stored);
    const transaction = this.#journal.begin();
    transaction.put(KEYS.ordinal, NUMBER.encode(first + RESERVED_COUNT));
    await this.#journal.commit(transaction);
    this.#next = first;
    this.#ceiling = first + RESERVED_COUNT;
    this.#reserving = undefined;
  }
}

/** Whether a message was sent to each member of its group by itself: their numbers are beyond all that the server counts. */
function isPairwiseNumber(number: number): boolean {
  return number >= LIMITS.pairwiseNumberBase;
}

/** The application's name of a stored message. */
export function idOfOrdinal(ordinal: number): string {
  return String(ordinal);
}

/** The stored body as the application sees it. */
export function bodyOf({ body, isViewOnce }: HistoryRecord): MessageBody {
  if (isViewOnce && body.kind !== 'deleted') return { kind: 'view-once', text: '' };
  return openBody(body);
}

/** As `bodyOf`, for whoever may see it. */
export function openBody(body: HistoryBody): MessageBody {
  switch (body.kind) {
    case 'text':
      return body;
    case 'reply':
      return { kind: 'reply', text: body.text, quote: body.quote };
    case 'attachment': {
      const { kind, ...attachment } = body;
      return { kind, text: attachment.caption, attachment };
    }
    case 'timer':
      return { kind: 'timer', text: '', seconds: body.seconds };
    case 'deleted':
      return { kind: 'deleted', text: '' };
    case 'view-once':
      return { kind: 'view-once', text: '' };
    case 'undecryptable':
      return { kind: 'undecryptable', text: '', code: body.code };
    case 'unsupported':
      return openKept(body.content);
  }
}

/** What an earlier release could not show, this one perhaps can. */
function openKept(bytes: Uint8Array): MessageBody {
  const content = decodeContent(bytes);
  const isKnown = content.kind === 'content' && isStoredContent(content.body) && !content.isViewOnce;
  return isKnown ? openBody(content.body as HistoryBody) : { kind: 'unsupported', text: '' };
}

/** How others name a stored message. @param author - User id of whoever wrote it. */
export function nameOf(author: string, { device, number, sentAt }: HistoryRecord): MessageName {
  return { author, device, number, sentAt };
}

/** Our own messages are ours whatever our user id. */
function nameKey(
  user: string,
  { direction, author, device, number }: Pick<HistoryRecord, 'direction' | 'author' | 'device' | 'number'>,
): string {
  return KEYS.name(user, direction === 'out' ? 'me' : authorIn(user, author), device, number);
}

/** Who wrote a received message: in a group its author, between two people the other one. */
export function authorIn(user: string, author: string): string {
  return author === '' ? user : author;
}

/** The state of outgoing message `number` under the watermarks of its conversation. */
export function stateUnder(number: number, marks: MarksRecord): MessageState {
  if (number <= marks.readId) return 'read';
  if (number <= marks.deliveredId) return 'delivered';
  return number <= marks.sentId ? 'sent' : 'queued';
}

/** A stored message as the application sees it in a history. */
export function toItem(peer: string, ordinal: number, record: HistoryRecord, marks: Marks): HistoryItem {
  const { direction, number, sentAt, failure } = record;
  const isOurs = direction === 'out';
  const members = isOurs && isOfGroup(marks) ? memberStates(record.order, marks) : [];
  const reached = isOfGroup(marks) ? stateOfAll(record.order, members) : stateUnder(number, marks);
  const state = failure === undefined ? reached : 'refused';
  return {
    id: idOfOrdinal(ordinal),
    number,
    sentAt,
    ...bodyOf(record),
    ...traitsOf(record),
    direction,
    peer,
    from: isOurs ? undefined : authorIn(peer, record.author),
    device: record.device,
    members,
    state: isOurs ? state : undefined,
    failure,
  };
}

/** How far our messages have come: with one person, or with each member of a group. */
export type Marks = MarksRecord | readonly MemberMark[];

function isOfGroup(marks: Marks): marks is readonly MemberMark[] {
  return Array.isArray(marks);
}

/** What has been done to a message. */
export function traitsOf(record: HistoryRecord): MessageTraits {
  const { editedAt, reactions, expiresAt, viewedAt, isForwarded } = record;
  return { editedAt, reactions, expiresAt, viewedAt, isForwarded };
}

/** @throws {TypeError} Where `id` is none. */
export function ordinalOfId(id: string): number {
  const ordinal = Number(id);
  if (!Number.isSafeInteger(ordinal) || ordinal < 0) throw new TypeError(`expected the id of a message, got "${id}"`);
  return ordinal;
}

/** For readers of a record that must be there: a missing one is damage. */
export function requireRecord(record: HistoryRecord | undefined): HistoryRecord {
  if (record === undefined) throw new ClientError('CLI_STORE_CORRUPT');
  return record;
}
