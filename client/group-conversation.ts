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
import { encodeContent } from './content.ts';
import { Drafts } from './drafts.ts';
import type { Draft, DraftContent } from './drafts.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
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
import { alreadyReported, LaneDriver } from './lane-driver.ts';
import type { LaneOwner } from './lane-driver.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import type { SentMessage } from './messages.ts';
import { openLane } from './outbox.ts';
import type { Lane } from './outbox.ts';
import { makeRoomToKeep, remember, withTimer } from './own-messages.ts';

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

/** What one hand-out or one pairwise message is, before a session encrypts it. */
type Planned = { readonly distribution: Uint8Array } | { readonly plaintext: Uint8Array };

/** The conversation of this device in one group. */
export class GroupConversation {
  readonly user: GroupName;
  readonly #group: string;
  readonly #services: GroupConversationServices;
  readonly #progress: GroupProgress;
  readonly #entries = new Map<number, Entry>();
  readonly #drafts: Drafts;
  readonly #driver: LaneDriver;
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
    this.#drafts = new Drafts((drafts) => this.#locked(() => this.#journal(drafts)));
    // The number of the last acknowledged message may be older on disk than it was: its entry is the surer sign.
    const firstId = nextId - outbox.length;
    if (firstId <= sentId) throw new ClientError('CLI_STORE_CORRUPT');
    outbox.forEach((record, index) => {
      this.#entries.set(firstId + index, { ...record, id: firstId + index, handle: undefined });
    });
    const unsealed = outbox.findIndex(({ epoch }) => epoch === 0);
    const preparedId = unsealed === -1 ? nextId - 1 : firstId + unsealed - 1;
    const { clock, random } = services;
    const locked = (task: () => Promise<void>): Promise<void> => this.#locked(task);
    const lane = openLane({ nextId, sentId: firstId - 1, deliveredId: 0, readId: 0 }, preparedId);
    this.#driver = new LaneDriver({ clock, random, locked }, this.#owner(), lane);
  }

  #owner(): LaneOwner {
    return {
      transmit: (firstId, lastId) => this.#transmit(firstId, lastId),
      prepare: (devices, isCurrent) => this.#prepare(devices !== undefined, isCurrent),
      mends: (code) => MENDING.has(code),
      acknowledge: (sentId) => this.#settleThrough(sentId),
      // Members say how far they have come by places in the group: `group-progress.ts`.
      announce: () => undefined,
      abandon: (firstId, code) => this.#abandon(firstId, code),
    };
  }

  get #lane(): Lane {
    return this.#driver.lane;
  }

  /** Messages and drafts that the server has not acknowledged. */
  get waitingCount(): number {
    return this.#entries.size + this.#drafts.count;
  }

  /** Whether anything was ever sent from here. */
  get hasSent(): boolean {
    return this.#lane.nextId > 1;
  }

  /** Journals a message: when this resolves it is durable here and will be sent. @throws {ClientError} As `Conversation.enqueue`. */
  enqueue(content: DraftContent): Promise<SentMessage> {
    return this.#drafts.add(content);
  }

  online(): void {
    this.#driver.online();
  }

  offline(): void {
    this.#driver.offline();
  }

  /** @param order - The place of message `id` in the group. */
  acknowledged(id: number, order: number): void {
    const take = async (): Promise<void> => {
      this.#order = order;
      await this.#driver.stepDurably({ type: 'acked', id });
    };
    this.#locked(take).catch(alreadyReported);
  }

  /** @param isCurrent - False once the connection that the refusal came from is gone. */
  refused(message: GroupErrorMessage, isCurrent: () => boolean): void {
    if (message.epoch !== undefined) this.#askedEpoch = message.epoch;
    this.#driver.refused(message, isCurrent);
  }

  close(): void {
    this.#driver.close();
    const closed = new ClientError('CLI_CLOSED');
    this.#drafts.fail(closed);
    for (const entry of this.#entries.values()) entry.handle?.fail(closed);
  }

  // Journalling

  async #journal(drafts: readonly Draft[]): Promise<void> {
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
      const content = await withTimer(transaction, this.user, draft.content);
      const bare = { id: nextId + index, ordinal: firstOrdinal + index, sentAt, content };
      const handle = new GroupMessageHandle(this.#progress, this.user, bare);
      const entry = { ...bare, epoch: 0, ciphertext: new Uint8Array(0), handle };
      this.#putEntry(transaction, entry);
      changes.push(...(await remember(this.#services, transaction, this.user, entry)));
      entries.push(entry);
    }
    const lastId = nextId + drafts.length - 1;
    this.#putLane(transaction, lastId + 1);
    await journal.commit(transaction);
    this.#drafts.adopted();
    for (const [index, entry] of entries.entries()) {
      this.#entries.set(entry.id, entry);
      drafts[index]!.resolve(entry.handle!);
    }
    this.#driver.step({ type: 'queued', lastId, preparedId: this.#lane.preparedId });
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
      const content = await withTimer(transaction, this.user, draft.content);
      const [id, ordinal] = [firstNumber + index, firstOrdinal + index];
      changes.push(...(await remember(this.#services, transaction, this.user, { id, ordinal, sentAt, content }, id)));
      handles.push(pairwise.owe(transaction, this.#group, id, { ordinal, sentAt, content }));
    }
    await journal.commit(transaction);
    this.#drafts.adopted();
    for (const [index, handle] of handles.entries()) drafts[index]!.resolve(handle);
    pairwise.pay(this.#group);
    if (changes.length > 0) changed(changes);
  }

  // Encrypting

  /** Encrypts what is not encrypted; anew all of it, with `isRenewal`, once the changes in between are known. */
  async #prepare(isRenewal: boolean, isCurrent: () => boolean): Promise<void> {
    const { catchUp, handOut, book } = this.#services;
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
    this.#driver.step({ type: 'prepared', preparedId: lastSealed });
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

  /** Keeps a message for a member who cannot read it. */
  #keep(transaction: Transaction, { id, sentAt, content }: Entry, epoch: number): void {
    const keyOf = (number: number): string => GROUP_KEYS.kept(this.#group, number);
    if (!makeRoomToKeep(transaction, keyOf, { id, content }, this.#services.self)) return;
    transaction.put(keyOf(id), GROUP_KEPT.encode({ sentAt, epoch, content }));
  }

  #putEntry(transaction: Transaction, { id, ordinal, sentAt, content, epoch, ciphertext }: Entry): void {
    const record = { ordinal, sentAt, content, epoch, ciphertext };
    transaction.put(GROUP_KEYS.outbox(this.#group, id), GROUP_OUTBOX.encode(record));
  }

  #putLane(transaction: Transaction, nextId: number): void {
    const { sentId } = this.#lane;
    transaction.put(GROUP_KEYS.lane(this.#group), GROUP_LANE.encode({ nextId, sentId }));
  }

  // What the lane has us do

  #locked(task: () => Promise<void>): Promise<void> {
    return this.#services.locks.run([GROUPS_LOCK], task);
  }

  #transmit(firstId: number, lastId: number): void {
    for (let id = firstId; id <= lastId; id += 1) {
      const { epoch, ciphertext } = this.#entries.get(id)!;
      this.#services.transmit(groupMessageStanza({ group: this.#group, id, epoch, ciphertext }));
    }
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

  /** Whether the server, when it last refused a message, named an older epoch than that of the message: no change leads back there. */
  #isAheadOfServer(id: number): boolean {
    return this.#askedEpoch > 0 && this.#askedEpoch < this.#entries.get(id)!.epoch;
  }

  /** Refused for good: the entries go, the history says why, the ids are free again. Runs under the lock. */
  async #abandon(firstId: number, reason: ErrorCode): Promise<void> {
    const { journal, history, emit } = this.#services;
    const code = reason === 'CLI_GROUP_BUSY' && this.#isAheadOfServer(firstId) ? 'CLI_GROUP_BEHIND' : reason;
    const abandoned = [...this.#entries.values()].filter((entry) => entry.id >= firstId);
    const transaction = journal.begin();
    for (const { id, ordinal } of abandoned) {
      transaction.delete(GROUP_KEYS.outbox(this.#group, id));
      transaction.delete(GROUP_KEYS.kept(this.#group, id));
      await history.fail(transaction, this.user, ordinal, code);
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
