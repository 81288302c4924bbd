/**
 * The conversations of one device with people, itself among them: loaded from the store, made when first needed, online and offline together.
 *
 * Conversations in groups are `group-desk.ts`'s.
 */

import { Conversation, NEW_CONVERSATION } from './conversation.ts';
import type { ConversationServices } from './conversation.ts';
import { ClientError } from './errors.ts';
import { HEAD, KEYS, MARKS, OUTBOX, userOfKey } from './layout.ts';
import type { MarksRecord, OutboxRecord } from './layout.ts';
import { scan } from './renewal.ts';

/** All conversations of a device. */
export class Conversations {
  readonly #services: ConversationServices;
  readonly #byUser = new Map<string, Conversation>();
  #isOnline = false;

  constructor(services: ConversationServices) {
    this.#services = services;
  }

  /** Reads what the store holds. @throws {ClientError} CLI_STORE_CORRUPT. */
  async load(): Promise<void> {
    const { journal } = this.#services;
    const outboxes = new Map<string, OutboxRecord[]>();
    for await (const { key, value } of scan(journal, KEYS.outboxes)) {
      const user = userOfKey(key);
      const outbox = outboxes.get(user) ?? [];
      outbox.push(OUTBOX.decode(value));
      outboxes.set(user, outbox);
    }
    for await (const { key, value } of scan(journal, KEYS.heads)) {
      const user = userOfKey(key);
      const bytes = await journal.get(KEYS.marks(user));
      const marks = bytes === undefined ? NEW_CONVERSATION.marks : MARKS.decode(bytes);
      const stored = { head: HEAD.decode(value), marks, outbox: outboxes.get(user) ?? [] };
      this.#byUser.set(user, new Conversation(this.#services, user, stored));
    }
  }

  /** The one with a user, be it oneself; made when first asked for. */
  of(user: string): Conversation {
    let conversation = this.#byUser.get(user);
    if (conversation === undefined) {
      conversation = new Conversation(this.#services, user, NEW_CONVERSATION);
      this.#byUser.set(user, conversation);
      if (this.#isOnline) conversation.online();
    }
    return conversation;
  }

  /** The one with a user, if there is one. */
  get(user: string): Conversation | undefined {
    return this.#byUser.get(user);
  }

  /** How far our messages to a user have come. */
  marks(user: string): MarksRecord {
    return this.#byUser.get(user)?.marks ?? NEW_CONVERSATION.marks;
  }

  /** Messages that the server has not acknowledged. What other devices of the account are told is nobody's message. */
  get waitingCount(): number {
    let count = 0;
    for (const { user, waitingCount } of this.#byUser.values())
      if (user !== this.#services.self.user) count += waitingCount;
    return count;
  }

  /** Logged in: outboxes resume. */
  online(): void {
    this.#isOnline = true;
    for (const conversation of this.#byUser.values()) conversation.online();
  }

  /** The connection is gone. */
  offline(): void {
    this.#isOnline = false;
    for (const conversation of this.#byUser.values()) conversation.offline();
  }

  /**
   * Catches up on delivery, one conversation after the other: after a long absence there may be hundreds.
   *
   * @param isCurrent - False once the connection is gone.
   * @throws {ClientError} As `Requests.askPatiently`; CLI_PROTOCOL.
   */
  async askReceipts(isCurrent: () => boolean): Promise<void> {
    for (const conversation of [...this.#byUser.values()]) {
      if (!conversation.isAwaitingDelivery) continue;
      const request = { kind: 'receipts', to: conversation.user } as const;
      const { to, sent, delivered, gaps = [] } = await this.#services.requests.askPatiently(request, 'receipts');
      if (to !== conversation.user) throw new ClientError('CLI_PROTOCOL');
      if (!isCurrent()) return;
      if (sent > 0) conversation.acknowledged(sent);
      conversation.lost(gaps);
      if (delivered > 0) conversation.received('delivered', delivered);
    }
  }

  close(): void {
    for (const conversation of this.#byUser.values()) conversation.close();
  }
}
