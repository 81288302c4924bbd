/**
 * What this device tells the other devices of its account, and what it hears from them: messages sent, how far they have come,
 * what was read, about whom something was decided.
 *
 *   conversation, read receipts ──note, in their own batch──▶ sync/… ──▶ a content to one's own user ──▶ the other devices
 *   inbox ──synced/…, in its batch──▶ absorb, under the lock of whom it is about ──▶ history, marks
 *
 * Each note is in the batch of what it tells about, and goes when its content is in the outbox; so nothing is forgotten by a
 * crash, and what is told twice changes nothing twice. A message is told of when the server has acknowledged it: from then on its
 * number is final. Order is that of this account's inbox, which is the server's, so two devices show one chat alike.
 *
 * Kinds 13 to 15 and 25 of `content-body.ts` mean something only when they come from one's own account. Messages of groups are not
 * told here: every device is a member's device, and hears them as such (`group-intake.ts`).
 */

import { decodeContent, encodeOutgoing, envelopeOf } from './content.ts';
import type { OutgoingContent } from './content.ts';
import type { ContentBody } from './content-body.ts';
import { isTellerListed, readDevices } from './devices.ts';
import type { Conversation } from './conversation.ts';
import { forgetViewed, isEffect } from './effects.ts';
import type { Clock } from './environment.ts';
import type { ClientEvent } from './events.ts';
import { expiryOf } from './expiry.ts';
import { toItem } from './history.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { HEARD, KEYS, MARKS, NEVER_HEARD, numberOfKey, OWED, PEER, SYNCED } from './layout.ts';
import { isStoredContent, UNTOUCHED } from './history-layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import type { MarksRecord, SyncedRecord } from './layout.ts';
import type { HistoryRecord } from './history-layout.ts';
import type { Locks } from './locks.ts';
import type { ReadMark } from './read-receipts.ts';
import { scan } from './renewal.ts';

/** A content between devices of one account. */
export type SyncBody = Extract<ContentBody, { readonly kind: 'sent' | 'progress' | 'seen' | 'decided' }>;

/** Whether a content is one for the other devices of its author. */
export function isSyncBody(body: ContentBody): body is SyncBody {
  const { kind } = body;
  return kind === 'sent' || kind === 'progress' || kind === 'seen' || kind === 'decided';
}

/** What telling and hearing need of the client. */
export interface SyncServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly clock: Clock;
  /** Our user id. */
  readonly self: string;
  /** The conversation with one's own other devices. */
  readonly conversation: () => Conversation;
  readonly emit: (event: ClientEvent) => void;
  readonly changed: (changes: readonly ChangedMessage[]) => void;
  readonly fail: (error: unknown) => void;
  /** Another device has written to a user, and so accepted them. */
  readonly noteMet: (transaction: Transaction, user: string) => void;
  /** Another device has decided something about a user, or about strangers; the server knows what. For the transaction that takes its word. */
  readonly noteTold: (transaction: Transaction) => void;
  /** That note is in the store. */
  readonly decided: () => void;
}

/** Tells other devices and hears from them. */
export class Sync {
  /** Whether there are other devices to be told. */
  isOn = false;
  readonly #services: SyncServices;
  #isPaying = false;
  #isStale = false;
  #absorbing: Promise<void> = Promise.resolve();

  constructor(services: SyncServices) {
    this.#services = services;
  }

  /** Notes a message that the server has acknowledged, within the transaction that takes it out of the outbox. */
  noteSent(
    transaction: Transaction,
    to: string,
    { id, sentAt, content }: { readonly id: number; readonly sentAt: number; readonly content: OutgoingContent },
  ): void {
    const { body } = content;
    const isNews = isStoredContent(body) || isEffect(body);
    if (!this.isOn || to === this.#services.self || !isNews) return;
    // What may be viewed once is not kept where it was sent from, and so not told in full.
    const told = content.isViewOnce ? { ...content, body: { kind: 'text', text: '' } as const } : content;
    this.#owe(transaction, KEYS.owedSent(to, id), {
      ...{ kind: 'sent', to, phone: '', number: id, sentAt, content: encodeOutgoing(slim(told)) },
    });
  }

  /** Notes how far the messages to a user have come, within the transaction that stores it. */
  noteMarks(transaction: Transaction, to: string, { sentId, deliveredId, readId }: MarksRecord): void {
    if (!this.isOn || to === this.#services.self || deliveredId === 0) return;
    this.#owe(transaction, KEYS.owedMarks(to), { kind: 'progress', to, sentId, deliveredId, readId });
  }

  /** Notes what was read here. */
  noteSeen(transaction: Transaction, { user, device, id }: ReadMark): void {
    if (this.isOn) this.#owe(transaction, KEYS.owedSeen(user, device), { kind: 'seen', user, device, id });
  }

  /** Notes that something was decided here, and that the server knows it. @param user - Empty: about strangers in general. */
  noteDecided(transaction: Transaction, user: string): void {
    if (this.isOn) this.#owe(transaction, KEYS.owedDecided(user), { kind: 'decided', user });
  }

  #owe(transaction: Transaction, key: string, body: SyncBody): void {
    transaction.put(key, OWED.encode(body));
    // Not before: what is being written is not listed, and a disk may take its time.
    transaction.whenWritten(() => this.pay());
  }

  /** Sends what is noted, now and until there is no more. */
  pay(): void {
    this.#isStale = true;
    if (this.#isPaying || !this.isOn) return;
    this.#isPaying = true;
    this.#payAll().catch(this.#services.fail);
  }

  async #payAll(): Promise<void> {
    const { journal, conversation } = this.#services;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        // One turn later: of what changes several times in one, the last is told.
        await this.#breathe();
        for await (const { key, value } of scan(journal, KEYS.owed)) {
          const body = await this.#withPhone(OWED.decode(value));
          await conversation().enqueue({ body, isViewOnce: false, timerSeconds: 0 });
          await this.#strike(key, value);
        }
      }
    } finally {
      // In the turn in which nothing was stale any more: a later note must begin a payment.
      this.#isPaying = false;
    }
  }

  async #withPhone(body: SyncBody): Promise<SyncBody> {
    if (body.kind !== 'sent') return body;
    const stored = await this.#services.journal.get(KEYS.peer(body.to));
    const peer = stored && PEER.decode(stored);
    return { ...body, phone: peer?.verified === true ? peer.phone : '' };
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => void this.#services.clock.setTimer(0, resolve));
  }

  /** A note that has changed since it was read is sent again. */
  async #strike(key: string, value: Uint8Array): Promise<void> {
    const { journal } = this.#services;
    const present = await journal.get(key);
    if (present === undefined || present.some((byte, index) => byte !== value[index])) return;
    const transaction = journal.begin();
    transaction.delete(key);
    await journal.commit(transaction, 'eventual');
  }

  /** Does what other devices have said, in the order in which it came. */
  absorb(): Promise<void> {
    this.#absorbing = this.#absorbing.then(() => this.#absorbAll()).catch(this.#services.fail);
    return this.#absorbing;
  }

  async #absorbAll(): Promise<void> {
    const { journal, locks, self } = this.#services;
    const listed = await readDevices(journal, self);
    for await (const { key, value } of scan(journal, KEYS.synced)) {
      const synced = SYNCED.decode(value);
      // The word of a device that our list does not name with that key waits until one does: anybody could send it with the server's help.
      if (!isTellerListed(listed, synced)) continue;
      const user = 'user' in synced.body ? synced.body.user : synced.body.to;
      const announce = await locks.run([user], async () => {
        const transaction = journal.begin();
        const tell = await this.#take(transaction, numberOfKey(key), synced);
        transaction.delete(key);
        await journal.commit(transaction);
        return tell;
      });
      announce?.();
    }
  }

  async #take(transaction: Transaction, ordinal: number, synced: SyncedRecord): Promise<(() => void) | undefined> {
    const { body, device } = synced;
    switch (body.kind) {
      case 'sent':
        return this.#takeSent(transaction, ordinal, device, body);
      case 'progress':
        return this.#takeProgress(transaction, device, body);
      case 'seen':
        return this.#takeSeen(transaction, body);
      case 'decided':
        this.#services.noteTold(transaction);
        return () => this.#services.decided();
    }
  }

  async #takeSent(
    transaction: Transaction,
    ordinal: number,
    device: number,
    { to, phone, number, sentAt, content: outgoing }: Extract<SyncBody, { kind: 'sent' }>,
  ): Promise<(() => void) | undefined> {
    const { history, self, clock, changed } = this.#services;
    const plaintext = envelopeOf({ id: number, sentAt }, outgoing);
    const content = plaintext && decodeContent(plaintext);
    if (content?.kind !== 'content') return undefined;
    if (phone !== '') {
      transaction.put(KEYS.peer(to), PEER.encode({ phone, verified: true }));
      transaction.put(KEYS.phone(phone), TEXT.encode(to));
    }
    this.#services.noteMet(transaction, to);
    const { body, isViewOnce, isForwarded = false, timerSeconds } = content;
    if (isEffect(body)) {
      const changes = await history.apply(transaction, to, self, { body, author: self, sentAt });
      const viewed = changes.map((change) => this.#forgetViewed(transaction, change));
      return () => changed(viewed);
    }
    if (!isStoredContent(body)) return undefined;
    const name = { author: self, device, number, sentAt };
    if ((await history.find(transaction, to, self, name)) !== undefined) return undefined;
    if (body.kind === 'timer') transaction.put(KEYS.timer(to), NUMBER.encode(body.seconds));
    const storedAt = clock.nowMs();
    const record: HistoryRecord = {
      ...{ ...UNTOUCHED, direction: 'out', number, device, sentAt, storedAt, isViewOnce, isForwarded },
      ...{ body: isViewOnce ? { kind: 'view-once' } : body, expiresAt: expiryOf(storedAt, timerSeconds) },
    };
    const now = await history.add(transaction, to, self, ordinal, record);
    const marks = await this.#raise(transaction, to, device, { sentId: number, deliveredId: 0, readId: 0 });
    return () => {
      this.#services.emit({ type: 'transcript', user: to, item: toItem(to, ordinal, now, marks) });
      if (now.expiresAt !== undefined) changed([{ user: to, ordinal, record: now }]);
    };
  }

  #forgetViewed(transaction: Transaction, { user, ordinal, record }: ChangedMessage): ChangedMessage {
    const now = record && forgetViewed(record);
    if (now !== undefined && now !== record) this.#services.history.put(transaction, user, ordinal, now);
    return { user, ordinal, record: now };
  }

  async #takeProgress(
    transaction: Transaction,
    device: number,
    { to, ...marks }: Extract<SyncBody, { kind: 'progress' }>,
  ): Promise<() => void> {
    const { sentId, deliveredId, readId } = await this.#raise(transaction, to, device, marks);
    return () => this.#services.emit({ type: 'twin-progress', user: to, device, sentId, deliveredId, readId });
  }

  /** Marks of another device only grow. */
  async #raise(transaction: Transaction, to: string, device: number, told: MarksRecord): Promise<MarksRecord> {
    const stored = await transaction.get(KEYS.twinMarks(to, device));
    const known = stored === undefined ? { sentId: 0, deliveredId: 0, readId: 0 } : MARKS.decode(stored);
    const marks = {
      sentId: Math.max(known.sentId, told.sentId),
      deliveredId: Math.max(known.deliveredId, told.deliveredId),
      readId: Math.max(known.readId, told.readId),
    };
    transaction.put(KEYS.twinMarks(to, device), MARKS.encode(marks));
    return marks;
  }

  async #takeSeen(
    transaction: Transaction,
    { user, device, id }: Extract<SyncBody, { kind: 'seen' }>,
  ): Promise<(() => void) | undefined> {
    const key = KEYS.heard(user, device);
    const stored = await transaction.get(key);
    const heard = stored === undefined ? NEVER_HEARD : HEARD.decode(stored);
    if (id <= heard.readId) return undefined;
    transaction.put(key, HEARD.encode({ ...heard, readId: id }));
    return () => this.#services.emit({ type: 'seen', user, device, id });
  }
}

/** A thumbnail is left out: it is the only part of a content that may be too large to travel inside of another. */
export function slim(content: OutgoingContent): OutgoingContent {
  if (content.body.kind !== 'attachment') return content;
  return { ...content, body: { ...content.body, thumbnail: new Uint8Array(0) } };
}
