/**
 * Receiving: decrypt, store, and only then acknowledge.
 *
 * The order is the point. The server deletes an entry when it is acknowledged, and the ratchet forgets a message key when
 * it is used. So plaintext, ratchet state and inbox position become durable in one flushed batch; a crash before it leaves
 * the server with the entry and us with the key, a crash after it leaves a repeated entry that the position shows up as
 * a duplicate. A burst of messages shares one batch and one acknowledgement.
 *
 * What cannot be decrypted is stored as a placeholder with its code and acknowledged: asking the server again would bring the
 * same bytes. They are not kept, for the keys that could open them are gone; its sender is asked instead (`healer.ts`), and
 * what comes fills the placeholder.
 */

import type {
  IncomingGroupChange,
  IncomingGroupMessage,
  IncomingMessage,
  GroupPrunedMessage,
  PrunedMessage,
} from '../protocol/wire/index.ts';
import { decodeContent, envelopeOf } from './content.ts';
import type { ContentHeader, OutgoingContent } from './content.ts';
import { isGroupBody } from './content-body.ts';
import type { ResentBody } from './content-body.ts';
import { isEffect } from './effects.ts';
import type { Clock } from './environment.ts';
import { codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { expiryOf } from './expiry.ts';
import type { GroupIntake } from './group-intake.ts';
import { renewGeneration } from './group-layout.ts';
import { isHealable } from './healer.ts';
import type { History } from './history.ts';
import { beginIntake } from './intake-report.ts';
import type { IntakeDraft, IntakeReport } from './intake-report.ts';
import type { Journal, Transaction } from './journal.ts';
import { HEARD, KEYS, NEVER_HEARD, RETRY, SYNCED } from './layout.ts';
import { HISTORY, isStoredContent, UNTOUCHED } from './history-layout.ts';
import { NUMBER, NUMBERS, TEXT } from './record-codec.ts';
import type { HeardRecord } from './layout.ts';
import type { HistoryBody, HistoryRecord } from './history-layout.ts';
import type { Directory } from './directory.ts';
import { LIMITS } from './limits.ts';
import { Positions, PushOrder } from './positions.ts';
import { isSameKey } from './public-keys.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import type { Opened, Sessions } from './sessions.ts';
import { isSyncBody } from './sync.ts';
import { isTransferBody, TOLD, TRANSFER_KEYS } from './transfer-layout.ts';
import type { TransferBody } from './transfer-layout.ts';

/** What stands in an inbox. */
export type InboxEntry =
  IncomingMessage | IncomingGroupMessage | IncomingGroupChange | PrunedMessage | GroupPrunedMessage;

/** What receiving needs of its client. */
export interface InboxServices {
  /** Our user id. */
  readonly self: string;
  readonly ownDevice: number;
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly sessions: Sessions;
  readonly directory: Directory;
  readonly groups: GroupIntake;
  readonly clock: Clock;
  /** Everything that was pushed up to `seq` is durable: acknowledge it. */
  readonly acknowledge: (seq: number) => void;
  readonly report: (report: IntakeReport) => void;
  /** More arrives than is stored; the connection must go. */
  readonly overflow: () => void;
  /** Nothing can be stored any more. */
  readonly fail: (code: ErrorCode) => void;
}

/** What a content says, when, and what vouches for it. */
interface AuthenticContent extends OutgoingContent {
  readonly sentAt: number;
  readonly identityKey: Uint8Array;
}

/** The receiving half of one device. */
export class Inbox {
  readonly #services: InboxServices;
  /** What is durable here. */
  #positions: Positions;
  readonly #order: PushOrder = new PushOrder();
  readonly #queued: Set<number> = new Set();
  #queue: InboxEntry[] = [];
  #isStoring = false;
  #isClosed = false;
  #isAckDue = false;

  /** @param positions - As stored. */
  constructor(services: InboxServices, positions: Positions) {
    this.#services = services;
    this.#positions = positions;
  }

  /** A connection has been opened: the server pushes everything that it holds. */
  opened(): void {
    this.#order.reset();
  }

  /** Takes a message from the connection. @param message - Owned by the inbox from now on. */
  push(message: InboxEntry): void {
    if (this.#isClosed) return;
    this.#order.push(message);
    if (this.#positions.has(message.seq)) return this.#acknowledgeSoon();
    // Queued by the connection before this one.
    if (this.#queued.has(message.seq)) return;
    // What is queued is kept and stored, also without the connection: were it thrown away, a backlog larger than the
    // queue would be sent again and again and never get any shorter.
    if (this.#queue.length >= LIMITS.intakeQueueCountMax) return this.#services.overflow();
    this.#queue.push(message);
    this.#queued.add(message.seq);
    if (!this.#isStoring) void this.#storeQueued();
  }

  /** Stores nothing more than the group under way. What is not acknowledged stays with the server. */
  close(): void {
    this.#isClosed = true;
    this.#queue = [];
  }

  /** The server repeats what is stored because our acknowledgement was lost: once more, and once for all of a turn. */
  #acknowledgeSoon(): void {
    if (this.#isAckDue) return;
    this.#isAckDue = true;
    queueMicrotask(() => {
      this.#isAckDue = false;
      this.#acknowledge();
    });
  }

  #acknowledge(): void {
    const seq = this.#order.acknowledge(this.#positions);
    if (seq !== undefined) this.#services.acknowledge(seq);
  }

  async #storeQueued(): Promise<void> {
    this.#isStoring = true;
    // A turn's grace, so that the frames of one WebSocket message share a batch.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) await this.#storeGroup(this.#queue.splice(0, LIMITS.intakeGroupCountMax));
    } catch (error) {
      // What is not acknowledged stays with the server.
      this.#queue = [];
      this.#queued.clear();
      this.#services.fail(codeOf(error));
    }
    this.#isStoring = false;
  }

  async #storeGroup(group: readonly InboxEntry[]): Promise<void> {
    const { locks, report } = this.#services;
    // Whatever comes may be about a group, and shows it only when it is open.
    const users = group.flatMap((entry) => (entry.kind === 'message' ? [entry.from] : []));
    report(await locks.run([...users, GROUPS_LOCK], () => this.#store(group)));
    for (const { seq } of group) this.#queued.delete(seq);
    this.#acknowledge();
  }

  async #store(group: readonly InboxEntry[]): Promise<IntakeReport> {
    const { journal, history } = this.#services;
    const firstOrdinal = await history.takeOrdinals(group.length);
    const transaction = journal.begin();
    const draft = beginIntake();
    let positions = this.#positions;
    for (const [index, message] of group.entries()) {
      if (positions.has(message.seq)) continue;
      positions = positions.note(message);
      await this.#takeEntry(transaction, message, firstOrdinal + index, draft);
    }
    transaction.put(KEYS.intake, NUMBER.encode(positions.through));
    const hasAhead = positions.ahead.size > 0 || this.#positions.ahead.size > 0;
    if (hasAhead) transaction.put(KEYS.intakeAhead, NUMBERS.encode([...positions.ahead]));
    await journal.commit(transaction);
    this.#positions = positions;
    return draft;
  }

  #takeEntry(transaction: Transaction, entry: InboxEntry, ordinal: number, draft: IntakeDraft): Promise<void> {
    const { groups } = this.#services;
    switch (entry.kind) {
      case 'message':
        return this.#take(transaction, entry, ordinal, draft);
      case 'group-message':
        return groups.takeMessage(transaction, entry, ordinal, draft);
      case 'group-change':
        return groups.takeChange(transaction, entry, draft.groups);
      case 'group-pruned':
        return groups.takePruned(transaction, entry, draft.groups);
      case 'pruned':
        draft.pruned.push(entry);
        return Promise.resolve();
    }
  }

  async #take(transaction: Transaction, message: IncomingMessage, ordinal: number, draft: IntakeDraft): Promise<void> {
    const { sessions } = this.#services;
    const { from, device, type, ciphertext } = message;
    const heard = await this.#heard(transaction, from, device);
    const opened = await sessions.open(transaction, from, device, type, ciphertext);
    if (opened.notice !== undefined) {
      draft.notices.push(opened.notice);
      if (opened.notice.accepted) await renewGeneration(transaction, from, this.#services.clock.nowMs());
    }
    if ('code' in opened) {
      if (opened.code === 'SIG_DOWNGRADE') draft.downgrades.push({ user: from, device });
      const isRepeated = opened.code === 'SIG_DUPLICATE' && message.id <= heard.lastId;
      if (!isRepeated) await this.#putPlaceholder(transaction, message, ordinal, opened.code, draft);
      // The number is the server's word: what was heard under it is not asked for again, to be shown twice.
      if (isHealable(opened.code) && message.id > heard.lastId) noteUnread(transaction, message, ordinal, opened.code);
      return;
    }
    if (opened.consumedPreKeyId !== undefined) draft.consumedPreKeyCount += 1;
    if (opened.consumedKemPreKeyId !== undefined) draft.consumedKemPreKeyCount += 1;
    if (opened.isRenewalDue) draft.downgrades.push({ user: from, device });
    // A new identity starts counting anew, even under an old device id: whoever spoke under it before does not count.
    const isSame = isSameSpeaker(heard, opened);
    await this.#takeOpened(transaction, message, ordinal, opened, isSame ? heard : NEVER_HEARD, draft);
  }

  async #takeOpened(
    transaction: Transaction,
    message: IncomingMessage,
    ordinal: number,
    { plaintext, identityKey }: Opened,
    heard: HeardRecord,
    draft: IntakeDraft,
  ): Promise<void> {
    const content = decodeContent(plaintext);
    if (content.kind === 'malformed') {
      return this.#putPlaceholder(transaction, message, ordinal, 'CLI_CONTENT_MALFORMED', draft);
    }
    const inside: ContentHeader | undefined = content.kind === 'content' ? content : content.header;
    if (inside !== undefined && inside.id !== message.id) {
      return this.#putPlaceholder(transaction, message, ordinal, 'CLI_CONTENT_MISMATCH', draft);
    }
    // The same message encrypted twice: the server lost its record of the conversation and took a resend for new.
    if (message.id <= heard.lastId) return;
    const { from, device } = message;
    transaction.put(KEYS.heard(from, device), HEARD.encode({ ...heard, lastId: message.id, identityKey }));
    // Whatever pretended to be this message stays a placeholder: this one is here.
    transaction.delete(KEYS.retry(from, device, message.id));
    if (content.kind === 'content') {
      await this.#takeContent(transaction, message, ordinal, { ...content, identityKey }, draft);
    } else {
      const body: HistoryBody = { kind: 'unsupported', content: plaintext };
      await this.#put(transaction, message, ordinal, { body, sentAt: inside?.sentAt ?? message.ts }, draft);
    }
    if (inside === undefined) return;
    const isNews = await this.#services.directory.claim(transaction, from, inside.phone);
    if (isNews) draft.claims.push({ user: from, phone: inside.phone });
  }

  /** Stores a content that is a message, does what one says that is not, and keeps keys for those who need them. */
  async #takeContent(
    transaction: Transaction,
    message: IncomingMessage,
    ordinal: number,
    { body, sentAt, timerSeconds, isViewOnce, isForwarded = false, identityKey }: AuthenticContent,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, self, ownDevice, clock } = this.#services;
    const { from, device } = message;
    if (isEffect(body)) {
      draft.changed.push(...(await history.apply(transaction, from, self, { body, author: from, sentAt })));
    } else if (isStoredContent(body)) {
      if (body.kind === 'timer') transaction.put(KEYS.timer(from), NUMBER.encode(body.seconds));
      const expiresAt = expiryOf(clock.nowMs(), timerSeconds);
      await this.#put(transaction, message, ordinal, { body, sentAt, isViewOnce, isForwarded, expiresAt }, draft);
    } else if (body.kind === 'profile-key') {
      transaction.put(KEYS.profile(from), body.key);
    } else if (body.kind === 'retry') {
      if (body.device === ownDevice) draft.retries.push({ user: from, device, identityKey, numbers: body.numbers });
    } else if (body.kind === 'resent') {
      await this.#takeResent(transaction, message, body, identityKey, draft);
    } else if (isSyncBody(body)) {
      // From anybody else it means nothing.
      if (from === self) transaction.put(KEYS.syncedAt(ordinal), SYNCED.encode({ device, identityKey, body }));
      draft.isSynced ||= from === self;
    } else if (isTransferBody(body)) {
      this.#takeTransfer(transaction, message, ordinal, { body, identityKey }, draft);
    } else if (isGroupBody(body)) {
      await this.#services.groups.takeBody(
        transaction,
        { user: from, device, sentAt, identityKey },
        body,
        ordinal,
        draft,
      );
    }
  }

  /** Only between devices of one account, and only the one that is meant. */
  #takeTransfer(
    transaction: Transaction,
    { from, device }: IncomingMessage,
    ordinal: number,
    { body, identityKey }: { readonly body: TransferBody; readonly identityKey: Uint8Array },
    draft: IntakeDraft,
  ): void {
    const { self, ownDevice } = this.#services;
    if (from !== self || body.to !== ownDevice) return;
    transaction.put(TRANSFER_KEYS.told(ordinal), TOLD.encode({ device, identityKey, body }));
    draft.isTransferTold = true;
  }

  /** Fills the placeholder of the message that is sent once more; one that is not missing stays as it is. */
  async #takeResent(
    transaction: Transaction,
    message: IncomingMessage,
    { number, sentAt, content: outgoing }: ResentBody,
    identityKey: Uint8Array,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history } = this.#services;
    const { from, device } = message;
    const key = KEYS.retry(from, device, number);
    const [stored, plaintext] = [await transaction.get(key), envelopeOf({ id: number, sentAt }, outgoing)];
    const content = plaintext && decodeContent(plaintext);
    if (stored === undefined || content === undefined || content.kind === 'malformed') return;
    if (content.kind === 'content' && (content.body.kind === 'resent' || content.body.kind === 'retry')) return;
    const { ordinal } = RETRY.decode(stored);
    transaction.delete(key);
    const placeholder = await transaction.get(KEYS.history(from, ordinal));
    const former = placeholder && HISTORY.decode(placeholder);
    if (former?.body.kind !== 'undecryptable') return;
    await history.remove(transaction, from, ordinal, former);
    const storedCount = draft.stored.length;
    const original = { ...message, id: number };
    if (content.kind === 'content') {
      await this.#takeContent(transaction, original, ordinal, { ...content, identityKey }, draft);
    } else {
      await this.#put(
        transaction,
        original,
        ordinal,
        { body: { kind: 'unsupported', content: plaintext! }, sentAt },
        draft,
      );
    }
    const filled = draft.stored[storedCount];
    draft.changed.push({ user: from, ordinal, record: filled?.record });
  }

  #putPlaceholder(
    transaction: Transaction,
    message: IncomingMessage,
    ordinal: number,
    code: ErrorCode,
    draft: IntakeDraft,
  ): Promise<void> {
    return this.#put(
      transaction,
      message,
      ordinal,
      { body: { kind: 'undecryptable', code }, sentAt: message.ts },
      draft,
    );
  }

  async #put(
    transaction: Transaction,
    { from, device, id }: IncomingMessage,
    ordinal: number,
    what: Pick<HistoryRecord, 'body' | 'sentAt'> & Partial<HistoryRecord>,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, clock, self } = this.#services;
    const head = { direction: 'in', number: id, device, storedAt: clock.nowMs() } as const;
    const record = await history.add(transaction, from, self, ordinal, { ...UNTOUCHED, ...head, ...what });
    transaction.put(KEYS.fresh(ordinal), TEXT.encode(from));
    draft.stored.push({ user: from, ordinal, record });
  }

  async #heard(transaction: Transaction, user: string, device: number): Promise<HeardRecord> {
    const bytes = await transaction.get(KEYS.heard(user, device));
    return bytes === undefined ? NEVER_HEARD : HEARD.decode(bytes);
  }
}

/** Whether a device is the one that was heard under its id. Records of a release that kept no key: unless the identity is news. */
function isSameSpeaker(heard: HeardRecord, { identityKey, notice }: Opened): boolean {
  return heard.identityKey === undefined ? notice === undefined : isSameKey(heard.identityKey, identityKey);
}

/** Notes that a placeholder may still be filled, for the healer. */
function noteUnread(
  transaction: Transaction,
  { from, device, id }: IncomingMessage,
  ordinal: number,
  code: ErrorCode,
): void {
  transaction.put(KEYS.retry(from, device, id), RETRY.encode({ ordinal, code, tries: 0, askedAt: 0 }));
}
