/**
 * The sending half of one conversation, carried out: journal, encrypt, transmit, and tell the sender how far it came.
 *
 * The order that everything rests on: id, ciphertext, ratchet state and history entry become durable in one flushed
 * batch, and only then may the ciphertext leave. After a crash the same bytes are sent again under the same id, and the
 * server takes a repeated id as the resend that it is.
 *
 * Who may do what when: journalling, encrypting and abandoning run under the peer's lock, one at a time, because they
 * give ids out and take them back. Acknowledgements and receipts only move watermarks and come through at any time.
 * Decisions are `outbox.ts`'s. Receiving is `inbox.ts`'s; it shares the lock, since both step the same ratchet.
 *
 *   drafts.ts       what is not journalled yet             lane-driver.ts   takes the steps of the lane
 *   own-messages.ts what is kept of what is sent           peer-devices.ts  whom it is encrypted for
 */

import { encodedLength, LIMITS as WIRE_LIMITS, messageStanza } from '../protocol/wire/index.ts';
import type { BundleAnswer, ErrorMessage, Gap, Stanza } from '../protocol/wire/index.ts';
import { isAwaitingDevices } from './devices.ts';
import { encodeContent } from './content.ts';
import type { ContentBody } from './content-body.ts';
import { Drafts } from './drafts.ts';
import type { Draft, DraftContent } from './drafts.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { GROUP_KEYS, PAIRWISE_REFUSED, renewGeneration } from './group-layout.ts';
import type { PairwiseRefusedRecord } from './group-layout.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { alreadyReported, LaneDriver } from './lane-driver.ts';
import type { LaneOwner } from './lane-driver.ts';
import { HEAD, KEPT, KEYS, MARKS, OUTBOX } from './layout.ts';
import { NUMBER } from './record-codec.ts';
import type { HeadRecord, MarksRecord, OutboxRecord, SealedRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { Locks } from './locks.ts';
import { MessageHandle } from './message-handle.ts';
import type { JournalledMessage } from './message-handle.ts';
import type { SentMessage } from './messages.ts';
import { openLane } from './outbox.ts';
import type { Lane, LaneEvent } from './outbox.ts';
import { makeRoomToKeep, remember, withTimer } from './own-messages.ts';
import { PeerDevices } from './peer-devices.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './sessions.ts';
import type { Sync } from './sync.ts';

/** What a conversation needs of its client. */
export interface ConversationServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  /** Our own number, for the content, and our user and device, for the history. */
  readonly self: { readonly phone: string; readonly user: string; readonly device: number };
  /** Notes what one's own other devices should know. */
  readonly sync: Pick<Sync, 'noteSent' | 'noteMarks'>;
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
  /** A stored message is not what it was, or is to be forgotten at some time. */
  readonly changed: (changes: readonly ChangedMessage[]) => void;
}

/** What the store holds of a conversation. */
export interface StoredConversation {
  readonly head: HeadRecord;
  readonly marks: MarksRecord;
  /** From the first unacknowledged id on, without gaps. */
  readonly outbox: readonly OutboxRecord[];
}

/** A conversation before its first message. */
export const NEW_CONVERSATION: StoredConversation = Object.freeze({
  head: { nextId: 1, devices: [] },
  marks: { sentId: 0, deliveredId: 0, readId: 0 },
  outbox: [],
});

/** An unacknowledged message. `handle` is absent when it comes from an earlier run. */
interface Entry extends OutboxRecord {
  readonly id: number;
  readonly handle: MessageHandle | undefined;
}

/** One conversation of this device with one user. */
export class Conversation {
  readonly user: string;
  readonly #services: ConversationServices;
  readonly #entries = new Map<number, Entry>();
  readonly #drafts: Drafts;
  readonly #driver: LaneDriver;
  readonly #peer: PeerDevices;
  #devices: readonly number[];
  #watchers: (() => boolean)[] = [];
  /** What the server has told of lost messages in this run; the history keeps it. */
  readonly #gaps: Gap[] = [];

  /** @throws {ClientError} CLI_STORE_CORRUPT when the outbox has a gap. */
  constructor(services: ConversationServices, user: string, stored: StoredConversation) {
    this.#services = services;
    this.user = user;
    this.#drafts = new Drafts((drafts) => this.#locked(() => this.#journal(drafts)));
    this.#peer = new PeerDevices(services, user);
    const { head, marks, outbox } = stored;
    if (marks.sentId + outbox.length + 1 !== head.nextId) throw new ClientError('CLI_STORE_CORRUPT');
    outbox.forEach((record, index) => {
      const id = marks.sentId + 1 + index;
      this.#entries.set(id, { ...record, id, handle: undefined });
    });
    const unsealed = outbox.findIndex((record) => record.sealed.length === 0);
    this.#devices = head.devices;
    const preparedId = marks.sentId + (unsealed === -1 ? outbox.length : unsealed);
    const { clock, random } = services;
    const locked = (task: () => Promise<void>): Promise<void> => this.#locked(task);
    const lane = openLane({ nextId: head.nextId, ...marks }, preparedId);
    this.#driver = new LaneDriver({ clock, random, locked }, this.#owner(), lane);
  }

  #owner(): LaneOwner {
    return {
      transmit: (firstId, lastId) => this.#transmit(firstId, lastId),
      prepare: (devices, isCurrent) => this.#prepare(devices, isCurrent),
      mends: () => false,
      acknowledge: (sentId) => this.#settleThrough(sentId),
      announce: () => this.#announce(),
      abandon: (firstId, code) => this.#abandon(firstId, code),
    };
  }

  get #lane(): Lane {
    return this.#driver.lane;
  }

  /** The watermarks now. */
  get marks(): MarksRecord {
    return this.#lane;
  }

  /** Messages and drafts that the server has not acknowledged. */
  get waitingCount(): number {
    return this.#entries.size + this.#drafts.count;
  }

  /** Whether the server should be asked how far delivery has come. */
  get isAwaitingDelivery(): boolean {
    return this.#lane.deliveredId < this.#lane.sentId;
  }

  /**
   * Journals a message: when this resolves it is durable here and will be sent.
   *
   * @throws {ClientError} CLI_STORE_FAILED; the code of a broken lane.
   */
  enqueue(content: DraftContent): Promise<SentMessage> {
    return this.#drafts.add(content);
  }

  /** Logged in: resends from the first unacknowledged message. */
  online(): void {
    this.#driver.online();
  }

  /** A device of the peer has written to us, so it exists: enough to answer without asking for the list first. */
  suggestDevice(device: number): void {
    if (this.#devices.length === 0) this.#devices = [device];
  }

  /**
   * Gets to know the peer's devices: keys, and a session with each. For groups, where somebody may say something who has never
   * written to us.
   *
   * @throws {ClientError} As `Requests.askUntilAnswered`; CLI_PROTOCOL; why a session could not be begun.
   */
  async meet(): Promise<void> {
    const { journal } = this.#services;
    const bundle = await this.#peer.fetch();
    await this.#locked(async () => {
      const transaction = journal.begin();
      const refusal = await this.#peer.admit(transaction, bundle);
      if (refusal !== undefined) throw new ClientError(refusal.code);
      await journal.commit(transaction);
      if (this.#devices.length === 0) this.#devices = bundle.devices.map(({ id }) => id);
    });
  }

  /** The connection is gone. */
  offline(): void {
    this.#driver.offline();
  }

  acknowledged(id: number): void {
    // An id that was never given out breaks the lane, which takes ids back: not while others are giving them out.
    if (id < this.#lane.nextId) this.#driver.step({ type: 'acked', id });
    else this.#driver.stepLocked({ type: 'acked', id });
  }

  received(kind: 'delivered' | 'read', id: number): void {
    if (id < this.#lane.nextId) this.#driver.step({ type: 'receipt', kind, id });
    else this.#driver.stepLocked({ type: 'receipt', kind, id });
  }

  /** The server has given up messages of ours. What it tells once more is known already. */
  lost(gaps: readonly Gap[]): void {
    for (const gap of gaps) {
      const isKnown = this.#gaps.some(({ since, until }) => since <= gap.since && gap.until <= until);
      if (isKnown || gap.since > this.#lane.sentId) continue;
      this.#gaps.push(gap);
      this.#locked(() => this.#noteLost(gap)).catch(alreadyReported);
    }
  }

  /** The history says of each of them why it was not delivered. */
  async #noteLost({ since, until, code }: Gap): Promise<void> {
    const { journal, history, emit, self } = this.#services;
    const transaction = journal.begin();
    for (let id = Math.max(since, until - LIMITS.lostNotedCountMax); id <= until; id += 1) {
      const name = await transaction.get(KEYS.name(this.user, 'me', self.device, id));
      const ordinal = name && NUMBER.decode(name);
      const record = ordinal === undefined ? undefined : await history.get(this.user, ordinal);
      if (record === undefined || record.failure !== undefined) continue;
      history.put(transaction, this.user, ordinal!, { ...record, failure: code as ErrorCode });
    }
    await journal.commit(transaction);
    emit({ type: 'lost', user: this.user, firstId: since, lastId: until, code: code as ErrorCode });
  }

  /** For the handles: whether the server has given up a message. */
  isLost(id: number): boolean {
    return this.#gaps.some(({ since, until }) => since <= id && id <= until);
  }

  /** @param isCurrent - False once the connection that the refusal came from is gone. */
  refused(message: ErrorMessage, isCurrent: () => boolean): void {
    this.#driver.refused(message, isCurrent);
  }

  /** Releases what waits in memory; the outbox stays on disk. */
  close(): void {
    this.#driver.close();
    const closed = new ClientError('CLI_CLOSED');
    this.#drafts.fail(closed);
    for (const entry of this.#entries.values()) entry.handle?.fail(closed);
  }

  // Journalling

  /** Gives ids out, encrypts where that needs no question to the server, and writes it all in one batch. */
  async #journal(drafts: readonly Draft[]): Promise<void> {
    const { journal, history, clock, changed } = this.#services;
    const { hold, nextId, preparedId } = this.#lane;
    if (hold.type === 'broken') throw new ClientError(hold.code);
    const firstOrdinal = await history.takeOrdinals(drafts.length);
    const sentAt = clock.nowMs();
    const transaction = journal.begin();
    let sealable = preparedId === nextId - 1 && hold.type !== 'renewing';
    const entries: Entry[] = [];
    const changes: ChangedMessage[] = [];
    for (const [index, draft] of drafts.entries()) {
      const content = await withTimer(transaction, this.user, draft.content);
      const bare = { id: nextId + index, ordinal: firstOrdinal + index, sentAt, content, sealed: [] };
      const sealed = sealable ? await this.#seal(transaction, bare) : undefined;
      if (sealed === undefined) sealable = false;
      const entry = { ...bare, sealed: sealed ?? [], handle: new MessageHandle(this, bare) };
      this.#putEntry(transaction, entry);
      changes.push(...(await remember(this.#services, transaction, this.user, entry)));
      entries.push(entry);
    }
    const lastId = nextId + drafts.length - 1;
    transaction.put(KEYS.head(this.user), HEAD.encode({ nextId: lastId + 1, devices: this.#devices }));
    await journal.commit(transaction);
    this.#adopt(entries, drafts, lastId);
    if (changes.length > 0) changed(changes);
  }

  #adopt(entries: readonly Entry[], drafts: readonly Draft[], lastId: number): void {
    this.#drafts.adopted();
    for (const [index, entry] of entries.entries()) {
      this.#entries.set(entry.id, entry);
      drafts[index]!.resolve(entry.handle!);
    }
    const unsealed = entries.findIndex((entry) => entry.sealed.length === 0);
    const preparedId = unsealed === -1 ? lastId : entries[unsealed]!.id - 1;
    // Entries without a ciphertext that precede these keep the lane's own mark.
    this.#driver.step({ type: 'queued', lastId, preparedId: unsealed === 0 ? this.#lane.preparedId : preparedId });
  }

  // Encrypting

  /** Encrypts one message for the known devices; `undefined` when one of them has no session, or none is known. */
  async #seal(transaction: Transaction, entry: JournalledMessage): Promise<SealedRecord[] | undefined> {
    if (this.#devices.length === 0) return undefined;
    const sealed = await this.#sealFor(transaction, this.#devices, entry);
    return Array.isArray(sealed) ? sealed : undefined;
  }

  async #sealFor(
    transaction: Transaction,
    devices: readonly number[],
    { id, sentAt, content }: JournalledMessage,
  ): Promise<SealedRecord[] | { readonly code: ErrorCode }> {
    const { sessions, self } = this.#services;
    const plaintext = encodeContent({ id, phone: self.phone, sentAt, ...content });
    if (plaintext === undefined) return { code: 'CLI_TEXT_TOO_LONG' };
    const sealed = await sessions.seal(transaction, this.user, devices, plaintext);
    if (!Array.isArray(sealed)) return sealed;
    const length = encodedLength(messageStanza({ to: this.user, id, envelopes: sealed }));
    if (length > WIRE_LIMITS.stanzaBytesMax) return { code: 'CLI_TEXT_TOO_LONG' };
    await this.#keep(transaction, devices, { id, sentAt, content });
    return sealed;
  }

  /** Keeps a message for sending once more, for the devices that it is encrypted for now. */
  async #keep(
    transaction: Transaction,
    devices: readonly number[],
    { id, sentAt, content }: Pick<JournalledMessage, 'id' | 'sentAt' | 'content'>,
  ): Promise<void> {
    const { sessions, self } = this.#services;
    const keyOf = (number: number): string => KEYS.kept(this.user, number);
    if (!makeRoomToKeep(transaction, keyOf, { id, content }, self)) return;
    const recipients = (await sessions.identities(transaction, this.user)).filter(({ device }) =>
      devices.includes(device),
    );
    transaction.put(KEYS.kept(this.user, id), KEPT.encode({ sentAt, content, recipients }));
  }

  /** Gets what is missing of the peer's keys and encrypts what is not encrypted; anew all of it, with `devices`. */
  async #prepare(devices: readonly number[] | undefined, isCurrent: () => boolean): Promise<void> {
    const bundle = await this.#peer.fetchUnlessSure(devices ?? this.#devices);
    await this.#locked(async () => {
      if (!isCurrent()) return;
      const outcome = await this.#sealWaiting(devices, bundle);
      const event: LaneEvent =
        'code' in outcome
          ? { type: 'unprepared', code: outcome.code, retry: isAwaitingDevices(outcome.code) }
          : { type: 'prepared', ...outcome };
      await this.#driver.stepDurably(event);
    });
  }

  async #sealWaiting(
    renewed: readonly number[] | undefined,
    bundle: BundleAnswer | undefined,
  ): Promise<{ readonly preparedId: number } | { readonly code: ErrorCode }> {
    const transaction = this.#services.journal.begin();
    // The bundle is newer than the list in a refusal; where there is one, it names the devices.
    const devices = bundle?.devices.map((device) => device.id) ?? renewed ?? this.#devices;
    for (const gone of this.#devices.filter((device) => !devices.includes(device))) {
      this.#services.sessions.forget(transaction, this.user, gone);
    }
    const refusal = bundle && (await this.#peer.admit(transaction, bundle));
    if (refusal !== undefined) return refusal;
    const changed = renewed !== undefined || !sameList(devices, this.#devices);
    const waiting = [...this.#entries.values()].filter((entry) => changed || entry.sealed.length === 0);
    const entries: Entry[] = [];
    for (const entry of waiting) {
      const sealed = await this.#sealFor(transaction, devices, entry);
      if (!Array.isArray(sealed)) return sealed;
      entries.push({ ...entry, sealed });
    }
    if (this.#devices.length > 0 && !sameList(devices, this.#devices)) {
      // Another installation, or a device less: whoever hands out keys to this user has to know.
      await renewGeneration(transaction, this.user, this.#services.clock.nowMs());
    }
    await this.#commitSealed(transaction, devices, entries);
    return { preparedId: this.#lane.nextId - 1 };
  }

  async #commitSealed(transaction: Transaction, devices: readonly number[], entries: readonly Entry[]): Promise<void> {
    // Acknowledged meanwhile: its outbox record is gone and must stay so.
    const waiting = entries.filter((entry) => this.#entries.has(entry.id));
    for (const entry of waiting) this.#putEntry(transaction, entry);
    transaction.put(KEYS.head(this.user), HEAD.encode({ nextId: this.#lane.nextId, devices }));
    await this.#services.journal.commit(transaction);
    this.#devices = devices;
    for (const entry of waiting) if (this.#entries.has(entry.id)) this.#entries.set(entry.id, entry);
  }

  #putEntry(transaction: Transaction, { id, ordinal, sentAt, content, sealed }: Omit<Entry, 'handle'>): void {
    transaction.put(KEYS.outbox(this.user, id), OUTBOX.encode({ ordinal, sentAt, content, sealed }));
  }

  // What the lane has us do

  #locked(task: () => Promise<void>): Promise<void> {
    return this.#services.locks.run([this.user], task);
  }

  #transmit(firstId: number, lastId: number): void {
    for (let id = firstId; id <= lastId; id += 1) {
      const { sealed } = this.#entries.get(id)!;
      this.#services.transmit(messageStanza({ to: this.user, id, envelopes: sealed }));
    }
  }

  /** Acknowledged: the outbox entries go. Not flushed: a lost deletion only leads to a resend. */
  #settleThrough(sentId: number): Promise<void> {
    const transaction = this.#services.journal.begin();
    for (const [id, entry] of this.#entries) {
      if (id > sentId) break;
      this.#entries.delete(id);
      transaction.delete(KEYS.outbox(this.user, id));
      this.#services.sync.noteSent(transaction, this.user, entry);
      entry.handle?.succeed();
    }
    return this.#writeMarks(transaction);
  }

  #announce(): Promise<void> {
    const transaction = this.#services.journal.begin();
    this.#services.sync.noteMarks(transaction, this.user, this.#lane);
    return this.#writeMarks(transaction);
  }

  #writeMarks(transaction: Transaction): Promise<void> {
    const { sentId, deliveredId, readId } = this.#lane;
    transaction.put(KEYS.marks(this.user), MARKS.encode({ sentId, deliveredId, readId }));
    this.#services.emit({ type: 'progress', user: this.user, sentId, deliveredId, readId });
    this.#watchers = this.#watchers.filter((watcher) => !watcher());
    return this.#services.journal.commit(transaction, 'eventual');
  }

  /** Refused for good: the entries go, the history says why, the ids are free again. Runs under the lock. */
  async #abandon(firstId: number, code: ErrorCode): Promise<void> {
    const { journal, history, emit } = this.#services;
    const abandoned = [...this.#entries.values()].filter((entry) => entry.id >= firstId);
    const transaction = journal.begin();
    for (const { id, ordinal, content } of abandoned) {
      transaction.delete(KEYS.outbox(this.user, id));
      notePartRefused(transaction, this.user, content.body, { ordinal, code });
      transaction.delete(KEYS.kept(this.user, id)); // its number will mean another message
      await history.fail(transaction, this.user, ordinal, code);
      this.#entries.delete(id);
    }
    transaction.put(KEYS.head(this.user), HEAD.encode({ nextId: firstId, devices: this.#devices }));
    await journal.commit(transaction);
    for (const entry of abandoned) entry.handle?.fail(new ClientError(code));
    if (abandoned.length > 0) emit({ type: 'refused', user: this.user, firstId, code });
  }

  /** For the handles: calls `watcher` at each change of the marks until it returns true. */
  watch(watcher: () => boolean): void {
    if (!watcher()) this.#watchers.push(watcher);
  }
}

/** A part of a message to a group must not have the state of whatever gets its id next. */
function notePartRefused(
  transaction: Transaction,
  user: string,
  body: ContentBody,
  refused: PairwiseRefusedRecord,
): void {
  if (body.kind !== 'in-group') return;
  transaction.put(GROUP_KEYS.pairwiseRefused(body.group, body.number, user), PAIRWISE_REFUSED.encode(refused));
}

function sameList(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}
