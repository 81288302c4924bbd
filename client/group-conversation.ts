/**
 * The sending half of one group, carried out: journal, encrypt once for all, hand our chain to who lacks it, transmit.
 *
 * The lane is the one of a conversation (`outbox.ts`), and so is the order: the id and the text become durable, then, in one
 * batch, ciphertext, chain and the hand-outs that go with it; then the hand-outs leave, as ordinary messages to members, and the
 * ciphertext last. A server that has another epoch than the message refuses it: then the changes in between are taken first, and everything
 * unacknowledged is encrypted anew under the same ids, for whoever is a member then.
 *
 * How far members have come is not the lane's: they say it by places in the group, see `group-message-handle.ts`.
 */

import { defaultGroupPolicy, dispatchToGroup, isSignalError } from '../protocol/signal/index.ts';
import type { GroupDispatch, GroupPolicy } from '../protocol/signal/index.ts';
import { groupMessageStanza } from '../protocol/wire/index.ts';
import type { GroupErrorMessage, Stanza } from '../protocol/wire/index.ts';
import { drawDelayMs } from './backoff.ts';
import { asProtocolCode } from './close-reason.ts';
import { encodeContent } from './content.ts';
import type { OutgoingContent } from './content.ts';
import type { DraftContent } from './conversation.ts';
import { isEffect } from './effects.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { expiryOf } from './expiry.ts';
import type { GroupBook } from './group-book.ts';
import {
  GENERATION,
  GROUP_KEPT,
  GROUP_KEYS,
  GROUP_LANE,
  GROUP_OUTBOX,
  GROUP_SENDING,
  nameOfGroup,
} from './group-layout.ts';
import type { GroupLaneRecord, GroupName, GroupOutboxRecord, GroupRecord } from './group-layout.ts';
import { GroupMessageHandle } from './group-message-handle.ts';
import type { PairwiseSender } from './group-pairwise.ts';
import type { GroupProgress } from './group-progress.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { isStoredContent, KEYS, NUMBER, UNTOUCHED } from './layout.ts';
import type { HistoryRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import type { JournalledMessage } from './message-handle.ts';
import type { SentMessage } from './messages.ts';
import { openLane, stepLane } from './outbox.ts';
import type { Lane, LaneAction, LaneEvent } from './outbox.ts';
import { isPassing } from './requests.ts';

/** What a group's conversation needs of its client. */
export interface GroupConversationServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly book: GroupBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly self: { readonly phone: string; readonly user: string; readonly device: number };
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
  readonly changed: (changes: readonly ChangedMessage[]) => void;
  /** Takes the changes that the server has and we have not. @returns Why it did not come to `epoch`, if so. */
  readonly catchUp: (group: string, epoch: number) => Promise<ErrorCode | undefined>;
  /** Sends the hand-outs that are due; resolves when the server has them, or they have taken too long. */
  readonly handOut: (group: string) => Promise<void>;
  /** Sends where the group encrypts for each device. */
  readonly pairwise: PairwiseSender;
  /** Whether this account has other devices, which read and write in its groups as well. */
  readonly hasTwins: () => boolean;
}

/** An unacknowledged message. */
interface Entry extends GroupOutboxRecord {
  readonly id: number;
  readonly handle: GroupMessageHandle | undefined;
}

interface Draft {
  readonly content: DraftContent;
  readonly resolve: (message: SentMessage) => void;
  readonly reject: (error: unknown) => void;
}

/** What one hand-out or one pairwise message is, before a session encrypts it. */
type Planned = { readonly distribution: Uint8Array } | { readonly plaintext: Uint8Array };

/** The conversation of this device in one group. */
export class GroupConversation {
  readonly user: GroupName;
  readonly #group: string;
  readonly #services: GroupConversationServices;
  readonly #progress: GroupProgress;
  readonly #entries = new Map<number, Entry>();
  #lane: Lane;
  #drafts: Draft[] = [];
  #isJournalling = false;
  #journallingCount = 0;
  #timer: unknown;
  #preparation = 0;
  /** The epoch that the server named when it refused a message. */
  #askedEpoch = 0;
  /** The place that the newest acknowledgement named. */
  #order = 0;

  /** @throws {ClientError} CLI_STORE_CORRUPT when the outbox has a gap. */
  constructor(
    services: GroupConversationServices,
    group: string,
    { nextId, sentId }: GroupLaneRecord,
    outbox: readonly GroupOutboxRecord[],
    progress: GroupProgress,
  ) {
    this.#services = services;
    this.#group = group;
    this.user = nameOfGroup(group);
    this.#progress = progress;
    // The number of the last acknowledged message may be older on disk than it was: its entry is the surer sign.
    const firstId = nextId - outbox.length;
    if (firstId <= sentId) throw new ClientError('CLI_STORE_CORRUPT');
    outbox.forEach((record, index) => {
      this.#entries.set(firstId + index, { ...record, id: firstId + index, handle: undefined });
    });
    const unsealed = outbox.findIndex(({ epoch }) => epoch === 0);
    const preparedId = unsealed === -1 ? nextId - 1 : firstId + unsealed - 1;
    this.#lane = openLane({ nextId, sentId: firstId - 1, deliveredId: 0, readId: 0 }, preparedId);
  }

  /** Messages and drafts that the server has not acknowledged. */
  get waitingCount(): number {
    return this.#entries.size + this.#drafts.length + this.#journallingCount;
  }

  /** Whether anything was ever sent from here. */
  get hasSent(): boolean {
    return this.#lane.nextId > 1;
  }

  /** Journals a message: when this resolves it is durable here and will be sent. @throws {ClientError} As `Conversation.enqueue`. */
  enqueue(content: DraftContent): Promise<SentMessage> {
    return new Promise((resolve, reject) => {
      this.#drafts.push({ content, resolve, reject });
      if (!this.#isJournalling) void this.#journalDrafts();
    });
  }

  online(): void {
    this.#step({ type: 'online' });
  }

  offline(): void {
    this.#preparation += 1;
    this.#step({ type: 'offline' });
  }

  /** @param order - The place of message `id` in the group. */
  acknowledged(id: number, order: number): void {
    const take = async (): Promise<void> => {
      this.#order = order;
      await this.#stepDurably({ type: 'acked', id });
    };
    this.#locked(take).catch(alreadyReported);
  }

  /** @param isCurrent - False once the connection that the refusal came from is gone. */
  refused({ id, code, retryAfter, expected, epoch }: GroupErrorMessage, isCurrent: () => boolean): void {
    if (epoch !== undefined) this.#askedEpoch = epoch;
    const event: LaneEvent = {
      type: 'refused',
      id,
      code: asProtocolCode(code) ?? 'CLI_PROTOCOL',
      retryAfterMs: retryAfter === undefined ? undefined : retryAfter * 1_000,
      expectedId: expected,
      devices: [],
    };
    this.#stepLocked(event, isCurrent);
  }

  close(): void {
    this.#preparation += 1;
    this.#services.clock.clearTimer(this.#timer);
    const closed = new ClientError('CLI_CLOSED');
    for (const draft of this.#drafts.splice(0)) draft.reject(closed);
    for (const entry of this.#entries.values()) entry.handle?.fail(closed);
  }

  // Journalling

  async #journalDrafts(): Promise<void> {
    this.#isJournalling = true;
    while (this.#drafts.length > 0) {
      const group = this.#drafts.splice(0, LIMITS.draftGroupCountMax);
      this.#journallingCount = group.length;
      try {
        await this.#locked(() => this.#journalGroup(group));
      } catch (error) {
        for (const draft of group) draft.reject(error);
      }
      this.#journallingCount = 0;
    }
    this.#isJournalling = false;
  }

  async #journalGroup(drafts: readonly Draft[]): Promise<void> {
    const { journal, history, book, clock, changed } = this.#services;
    const { hold, nextId } = this.#lane;
    if (hold.type === 'broken') throw new ClientError(hold.code);
    const firstOrdinal = await history.takeOrdinals(drafts.length);
    const sentAt = clock.nowMs();
    const transaction = journal.begin();
    const { state } = requireMember(await book.load(transaction, this.#group), book);
    if (state.roster.mode === 'pairwise') return this.#journalPairwise(transaction, drafts, firstOrdinal, sentAt);
    const entries: Entry[] = [];
    const changes: ChangedMessage[] = [];
    for (const [index, draft] of drafts.entries()) {
      const content = await this.#withTimer(transaction, draft.content);
      const bare = { id: nextId + index, ordinal: firstOrdinal + index, sentAt, content };
      const handle = new GroupMessageHandle(this.#progress, this.user, bare);
      const entry = { ...bare, epoch: 0, ciphertext: new Uint8Array(0), handle };
      this.#putEntry(transaction, entry);
      changes.push(...(await this.#remember(transaction, entry)));
      entries.push(entry);
    }
    const lastId = nextId + drafts.length - 1;
    this.#putLane(transaction, lastId + 1);
    await journal.commit(transaction);
    this.#journallingCount = 0;
    for (const [index, entry] of entries.entries()) {
      this.#entries.set(entry.id, entry);
      drafts[index]!.resolve(entry.handle!);
    }
    this.#step({ type: 'queued', lastId, preparedId: this.#lane.preparedId });
    if (changes.length > 0) changed(changes);
  }

  /** The lane is the server's row of this group, and has no part in what goes to each member by itself. */
  async #journalPairwise(
    transaction: Transaction,
    drafts: readonly Draft[],
    firstOrdinal: number,
    sentAt: number,
  ): Promise<void> {
    const { journal, pairwise, changed } = this.#services;
    const firstNumber = await pairwise.takeNumbers(transaction, this.#group, drafts.length);
    const changes: ChangedMessage[] = [];
    const handles: SentMessage[] = [];
    for (const [index, draft] of drafts.entries()) {
      const content = await this.#withTimer(transaction, draft.content);
      const [id, ordinal] = [firstNumber + index, firstOrdinal + index];
      changes.push(...(await this.#remember(transaction, { id, ordinal, sentAt, content }, id)));
      handles.push(pairwise.owe(transaction, this.#group, id, { ordinal, sentAt, content }));
    }
    await journal.commit(transaction);
    this.#journallingCount = 0;
    for (const [index, handle] of handles.entries()) drafts[index]!.resolve(handle);
    pairwise.pay(this.#group);
    if (changes.length > 0) changed(changes);
  }

  async #withTimer(transaction: Transaction, { timerSeconds, ...content }: DraftContent): Promise<OutgoingContent> {
    if (timerSeconds !== undefined) return { ...content, timerSeconds };
    const stored = isStoredContent(content.body) ? await transaction.get(KEYS.timer(this.user)) : undefined;
    return { ...content, timerSeconds: stored === undefined ? 0 : NUMBER.decode(stored) };
  }

  /**
   * Puts a message of ours into the history, or does what it says to another one there.
   *
   * @param order - Its place: the server's, once it is known; its number where the server gives none.
   */
  async #remember(
    transaction: Transaction,
    { id, ordinal, sentAt, content }: JournalledMessage,
    order: number = 0,
  ): Promise<ChangedMessage[]> {
    const { history, self } = this.#services;
    const { body, isViewOnce, isForwarded = false, timerSeconds } = content;
    if (isEffect(body)) return history.apply(transaction, this.user, self.user, { body, author: self.user, sentAt });
    if (!isStoredContent(body)) return [];
    if (body.kind === 'timer') transaction.put(KEYS.timer(this.user), NUMBER.encode(body.seconds));
    const record: HistoryRecord = {
      ...UNTOUCHED,
      ...{ direction: 'out', number: id, device: self.device, sentAt, storedAt: sentAt },
      body: isViewOnce ? { kind: 'view-once' } : body,
      isViewOnce,
      isForwarded,
      order,
      expiresAt: expiryOf(sentAt, timerSeconds),
    };
    history.put(transaction, this.user, ordinal, record);
    return record.expiresAt === undefined ? [] : [{ user: this.user, ordinal, record }];
  }

  // Encrypting

  /** Encrypts what is not encrypted; anew all of it, with `isRenewal`, once the changes in between are known. */
  async #prepare(isRenewal: boolean): Promise<void> {
    const preparation = (this.#preparation += 1);
    const isCurrent = (): boolean => preparation === this.#preparation;
    const { catchUp, handOut, book } = this.#services;
    try {
      // Somebody whom a change has removed that we lack must not get what follows it.
      const newest = await book.newestEpoch(this.#group);
      const isBehind = isRenewal || newest > 0;
      const asked = isRenewal ? this.#askedEpoch : 0;
      const obstacle = isBehind ? await catchUp(this.#group, Math.max(asked, newest)) : undefined;
      // Of a message that the server has not refused it is only known that something is between; an alarm has told what.
      if (obstacle !== undefined) throw new ClientError(isRenewal ? obstacle : 'CLI_GROUP_GAP');
      await this.#locked(async () => {
        if (isCurrent()) await this.#sealWaiting(isRenewal);
      });
      // Keys before messages: whoever gets the message can read it at once.
      await handOut(this.#group);
      if (!isCurrent()) return;
      const lastSealed = [...this.#entries.values()].findLast(({ epoch }) => epoch > 0)?.id ?? this.#lane.sentId;
      this.#step({ type: 'prepared', preparedId: lastSealed });
    } catch (error) {
      const code = codeOf(error);
      const retry = isPassing(error) || MENDING.has(code);
      this.#stepLocked({ type: 'unprepared', code, retry }, isCurrent);
    }
  }

  async #sealWaiting(isRenewal: boolean): Promise<void> {
    const { journal, book } = this.#services;
    const transaction = journal.begin();
    const record = requireMember(await book.load(transaction, this.#group), book);
    if (record.state.roster.mode === 'pairwise') throw new ClientError('CLI_GROUP_MODE');
    const waiting = [...this.#entries.values()].filter(({ epoch }) => isRenewal || epoch === 0);
    const sealed: Entry[] = [];
    for (const entry of waiting) sealed.push(await this.#seal(transaction, record, entry));
    for (const entry of sealed) this.#putEntry(transaction, entry);
    await journal.commit(transaction);
    for (const entry of sealed) if (this.#entries.has(entry.id)) this.#entries.set(entry.id, entry);
  }

  async #seal(transaction: Transaction, { state }: GroupRecord, entry: Entry): Promise<Entry> {
    const { self, clock, random } = this.#services;
    const { id, sentAt, content } = entry;
    const plaintext = encodeContent({ id, phone: self.phone, sentAt, ...content });
    if (plaintext === undefined) throw new ClientError('CLI_TEXT_TOO_LONG');
    const stored = await transaction.get(GROUP_KEYS.sending(this.#group));
    const dispatched = await dispatchToGroup<Planned>(
      {
        policy: POLICY,
        sending: stored && GROUP_SENDING.decode(stored),
        roster: await this.#devicesOf(transaction, state.roster.members.keys()),
        nowMs: clock.nowMs(),
        random: (length) => random.bytes(length),
        pairwise: PLANNING,
      },
      plaintext,
    );
    if (isSignalError(dispatched)) throw new ClientError(dispatched.code);
    await this.#keepDispatch(transaction, dispatched);
    this.#keep(transaction, entry, state.roster.epoch);
    return { ...entry, epoch: state.roster.epoch, ciphertext: dispatched.ciphertext! };
  }

  /** The members as the ledger of a chain names them: another name once the devices of a member have changed. */
  async #devicesOf(transaction: Transaction, users: Iterable<string>): Promise<Set<string>> {
    const names = new Set<string>();
    for (const user of users) {
      if (user === this.#services.self.user && !this.#services.hasTwins()) continue;
      const bytes = await transaction.get(GROUP_KEYS.generation(user));
      names.add(`${user}.${bytes === undefined ? 0 : GENERATION.decode(bytes).count}`);
    }
    return names;
  }

  async #keepDispatch(transaction: Transaction, { sending, envelopes }: GroupDispatch<Planned>): Promise<void> {
    if (sending !== undefined) transaction.put(GROUP_KEYS.sending(this.#group), GROUP_SENDING.encode(sending));
    for (const { device, sealed } of envelopes) {
      const [user] = device.split('.') as [string];
      if ('distribution' in sealed) transaction.put(GROUP_KEYS.handOut(this.#group, user), sealed.distribution);
    }
  }

  /** Keeps a message for a member who cannot read it; what is kept is what a conversation keeps, see `healer.ts`. */
  #keep(transaction: Transaction, { id, sentAt, content }: Entry, epoch: number): void {
    const { body, isViewOnce } = content;
    transaction.delete(GROUP_KEYS.kept(this.#group, Math.max(0, id - LIMITS.keptCountMax)));
    transaction.delete(GROUP_KEYS.kept(this.#group, id));
    const { user, device } = this.#services.self;
    if (body.kind === 'delete' && body.target.author === user && body.target.device === device) {
      transaction.delete(GROUP_KEYS.kept(this.#group, body.target.number));
    }
    if (isViewOnce || body.kind === 'receipt') return;
    transaction.put(GROUP_KEYS.kept(this.#group, id), GROUP_KEPT.encode({ sentAt, epoch, content }));
  }

  #putEntry(transaction: Transaction, { id, ordinal, sentAt, content, epoch, ciphertext }: Entry): void {
    const record = { ordinal, sentAt, content, epoch, ciphertext };
    transaction.put(GROUP_KEYS.outbox(this.#group, id), GROUP_OUTBOX.encode(record));
  }

  #putLane(transaction: Transaction, nextId: number): void {
    const { sentId } = this.#lane;
    transaction.put(GROUP_KEYS.lane(this.#group), GROUP_LANE.encode({ nextId, sentId }));
  }

  // Lane steps

  #locked(task: () => Promise<void>): Promise<void> {
    return this.#services.locks.run([GROUPS_LOCK], task);
  }

  #stepLocked(event: LaneEvent, isCurrent: () => boolean = () => true): void {
    this.#locked(async () => {
      if (isCurrent()) await this.#stepDurably(event);
    }).catch(alreadyReported);
  }

  #step(event: LaneEvent): void {
    this.#stepDurably(event).catch(alreadyReported);
  }

  async #stepDurably(event: LaneEvent): Promise<void> {
    const { lane, actions } = stepLane(this.#lane, event);
    this.#lane = lane;
    await Promise.all(actions.map((action) => this.#perform(action)));
  }

  #perform(action: LaneAction): Promise<void> | void {
    switch (action.type) {
      case 'transmit':
        return this.#transmit(action.firstId, action.lastId);
      case 'prepare':
        return void this.#prepare(action.devices !== undefined);
      case 'set-timer':
        return this.#setTimer(drawDelayMs(action.delay, this.#services.random));
      case 'clear-timer':
        return this.#services.clock.clearTimer(this.#timer);
      case 'acknowledge':
        return this.#settleThrough(action.sentId);
      case 'announce':
        return;
      case 'abandon':
        return this.#abandon(action.firstId, action.code);
    }
  }

  #transmit(firstId: number, lastId: number): void {
    for (let id = firstId; id <= lastId; id += 1) {
      const { epoch, ciphertext } = this.#entries.get(id)!;
      this.#services.transmit(groupMessageStanza({ group: this.#group, id, epoch, ciphertext }));
    }
  }

  #setTimer(delayMs: number): void {
    const { clock } = this.#services;
    clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(delayMs, () => this.#stepLocked({ type: 'elapsed' }));
  }

  /**
   * Acknowledged: the entries go, and the history learns their place. Of several that one acknowledgement covers only the last
   * one's place is known; the others are a little before it, and count as having come as far when that one has.
   */
  async #settleThrough(sentId: number): Promise<void> {
    const { journal, history } = this.#services;
    const transaction = journal.begin();
    const settled = [...this.#entries.values()].filter(({ id }) => id <= sentId);
    for (const { id, ordinal } of settled) {
      this.#entries.delete(id);
      transaction.delete(GROUP_KEYS.outbox(this.#group, id));
      const record = await history.get(this.user, ordinal);
      if (record !== undefined) history.put(transaction, this.user, ordinal, { ...record, order: this.#order });
    }
    this.#putLane(transaction, this.#lane.nextId);
    await journal.commit(transaction, 'eventual');
    for (const { handle } of settled) handle?.succeed(this.#order);
    if (settled.length > 0) this.#services.emit({ type: 'group-progress', group: this.user });
  }

  /** Refused for good: the entries go, the history says why, the ids are free again. Runs under the lock. */
  async #abandon(firstId: number, code: ErrorCode): Promise<void> {
    const { journal, history, emit } = this.#services;
    const abandoned = [...this.#entries.values()].filter((entry) => entry.id >= firstId);
    const transaction = journal.begin();
    for (const { id, ordinal } of abandoned) {
      transaction.delete(GROUP_KEYS.outbox(this.#group, id));
      transaction.delete(GROUP_KEYS.kept(this.#group, id));
      const record = await history.get(this.user, ordinal);
      if (record !== undefined) history.put(transaction, this.user, ordinal, { ...record, failure: code });
      this.#entries.delete(id);
    }
    this.#putLane(transaction, firstId);
    await journal.commit(transaction);
    for (const entry of abandoned) entry.handle?.fail(new ClientError(code));
    if (abandoned.length > 0) emit({ type: 'refused', user: this.user, firstId, code });
  }
}

const POLICY: GroupPolicy = defaultGroupPolicy;

/** A change that the server does not hand out yet, or that nobody stands behind yet, may be there a moment later. */
const MENDING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CLI_GROUP_GAP',
  'CLI_GROUP_BUSY',
  'CLI_GROUP_DEVICE_GONE',
]);

/** Sessions come later: a hand-out is journalled with the message, and sent like any message between two people. */
const PLANNING = {
  sealDistribution: (_device: string, distribution: Uint8Array): Promise<Planned> => Promise.resolve({ distribution }),
  sealMessage: (_device: string, plaintext: Uint8Array): Promise<Planned> => Promise.resolve({ plaintext }),
};

function requireMember(record: GroupRecord | undefined, book: GroupBook): GroupRecord {
  if (record === undefined) throw new ClientError('CLI_GROUP_UNKNOWN');
  if (!book.isIn(record)) throw new ClientError('CLI_GROUP_NOT_A_MEMBER');
  return record;
}

/** The journal reports its failure itself, once, and closes the client. */
function alreadyReported(): void {}
