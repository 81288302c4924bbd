/**
 * Messages about messages: reply, reaction, edit, deletion, timer, viewing once. It finds the target, asks the rules of
 * `effects.ts`, and hands a content to the conversation, which sends it like any other and applies it here.
 *
 * What this refuses, a recipient would ignore: the rules are the same at both ends.
 */

import type { ContentBody, MessageName } from './content-body.ts';
import { byteLength } from './record.ts';
import { encodeContent } from './content.ts';
import type { DraftContent } from './drafts.ts';
import { applyEffect } from './effects.ts';
import type { EffectBody } from './effects.ts';
import type { Clock } from './environment.ts';
import { ClientError } from './errors.ts';
import { groupOfName } from './group-layout.ts';
import { authorIn, nameOf, openBody, ordinalOfId } from './history.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Journal } from './journal.ts';
import { isStoredContent } from './history-layout.ts';
import type { HistoryRecord } from './history-layout.ts';
import { KEYS } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { Locks } from './locks.ts';
import type { MessageBody, OutgoingMessage, SentMessage } from './messages.ts';
import { NUMBER } from './record-codec.ts';
import type { Strangers } from './strangers.ts';

/** What composing needs of its client. */
export interface ComposerServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly clock: Clock;
  readonly self: { readonly phone: string; readonly user: string };
  /** Who acts towards a stranger has accepted them. */
  readonly strangers: () => Pick<Strangers, 'isAdmitted' | 'meet'>;
  /** The same of a group, 15 digits. */
  readonly meetGroup: (group: string) => Promise<void>;
  readonly isGroupAdmitted: (group: string) => Promise<boolean>;
  /** Whether something may be encrypted for a user: not where compared keys have changed and nothing was decided. */
  readonly mayEncryptFor: (user: string) => Promise<boolean>;
  /** A stored message is not what it was. */
  readonly changed: (changes: readonly ChangedMessage[]) => void;
  /** With a user, or in a group. */
  readonly conversation: (name: string) => { enqueue(content: DraftContent): Promise<SentMessage> };
}

/** Writes messages of one account. */
export class Composer {
  readonly #services: ComposerServices;
  /** Messages that are being sent again: a second time at once would send them twice. */
  readonly #resending = new Set<string>();

  constructor(services: ComposerServices) {
    this.#services = services;
  }

  /** A message as a content. @throws {ClientError} CLI_TEXT_TOO_LONG. */
  draft(message: OutgoingMessage): DraftContent {
    if (typeof message === 'string') return this.draft({ kind: 'text', text: message });
    const { viewOnce = false, ...body } = message;
    return this.#checked({ body, isViewOnce: viewOnce });
  }

  /** @throws {ClientError} As `Conversation.enqueue`. */
  async send(user: string, content: DraftContent): Promise<SentMessage> {
    const conversation = this.#services.conversation(user);
    const group = groupOfName(user);
    await (group === undefined ? this.#services.strangers().meet(user) : this.#services.meetGroup(group));
    return conversation.enqueue(content);
  }

  /**
   * A stored message as a content that passes it on: a text, or the reference of a file. What its author meant to be seen once, or took
   * back, is not passed on.
   *
   * @throws {ClientError} CLI_MESSAGE_UNKNOWN; CLI_MESSAGE_FIXED.
   */
  async forwarded(user: string, id: string): Promise<DraftContent> {
    const { record } = await this.#target(user, id);
    const body = forwardable(record);
    if (body === undefined) throw new ClientError('CLI_MESSAGE_FIXED');
    return this.#checked({ body, isViewOnce: false, isForwarded: true });
  }

  /**
   * Sends a message of ours that was refused once more, as a new one; the refused one goes when the new one is durable. A crash in between
   * leaves both.
   *
   * @throws {ClientError} CLI_MESSAGE_UNKNOWN where no such message was refused, or it is being sent; CLI_MESSAGE_FIXED for what may be viewed
   * once, of which nothing is kept here; CLI_IDENTITY_REFUSED.
   */
  async resend(user: string, id: string): Promise<SentMessage> {
    const ordinal = ordinalOfId(id);
    const record = await this.#services.history.get(user, ordinal);
    const isRefused = record?.direction === 'out' && record.failure !== undefined;
    const claim = `${user} ${ordinal}`;
    if (!isRefused || this.#resending.has(claim)) throw new ClientError('CLI_MESSAGE_UNKNOWN');
    this.#resending.add(claim);
    try {
      const sent = await this.#sendAgain(user, record);
      await this.#drop(user, ordinal, record);
      return sent;
    } finally {
      this.#resending.delete(claim);
    }
  }

  async #sendAgain(user: string, { body, isForwarded }: HistoryRecord): Promise<SentMessage> {
    if (!isStoredContent(body)) throw new ClientError('CLI_MESSAGE_FIXED');
    const isPermitted = groupOfName(user) !== undefined || (await this.#services.mayEncryptFor(user));
    if (!isPermitted) throw new ClientError('CLI_IDENTITY_REFUSED');
    return this.send(user, this.#checked({ body, isViewOnce: false, isForwarded }));
  }

  async #drop(user: string, ordinal: number, record: HistoryRecord): Promise<void> {
    const { journal, locks, history, changed } = this.#services;
    await locks.run([user], async () => {
      const transaction = journal.begin();
      await history.remove(transaction, user, ordinal, record);
      await journal.commit(transaction);
    });
    changed([{ user, ordinal, record: undefined }]);
  }

  /** @throws {ClientError} CLI_MESSAGE_UNKNOWN; CLI_TEXT_TOO_LONG. */
  async reply(user: string, id: string, text: string): Promise<SentMessage> {
    const { record, name } = await this.#target(user, id);
    const quote = record.isViewOnce ? '' : excerpt(openBody(record.body).text);
    return this.#enqueue(user, { kind: 'reply', target: name, quote, text });
  }

  /** @param emoji - Empty to take the reaction back. @throws {ClientError} CLI_MESSAGE_UNKNOWN; CLI_MESSAGE_FIXED. */
  async react(user: string, id: string, emoji: string): Promise<SentMessage> {
    if (byteLength(emoji) > LIMITS.emojiBytesMax) throw new ClientError('CLI_TEXT_TOO_LONG');
    return this.#change(user, id, (target) => ({ kind: 'reaction', target, emoji }));
  }

  /** @throws {ClientError} CLI_MESSAGE_UNKNOWN; CLI_MESSAGE_FIXED; CLI_TEXT_TOO_LONG. */
  async edit(user: string, id: string, text: string): Promise<SentMessage> {
    return this.#change(user, id, (target) => ({ kind: 'edit', target, text }));
  }

  /** @throws {ClientError} CLI_MESSAGE_UNKNOWN; CLI_MESSAGE_FIXED. */
  async delete(user: string, id: string): Promise<SentMessage> {
    return this.#change(user, id, (target) => ({ kind: 'delete', target }));
  }

  /** @throws {RangeError} Where `seconds` is no integer from 0 to `LIMITS.timerSecondsMax`. */
  async setTimer(user: string, seconds: number): Promise<SentMessage> {
    if (!Number.isInteger(seconds) || seconds < 0 || seconds > LIMITS.timerSecondsMax) {
      throw new RangeError(`"seconds" expected an integer from 0 to ${LIMITS.timerSecondsMax}, got ${seconds}`);
    }
    return this.#enqueue(user, { kind: 'timer', seconds });
  }

  /** The timer of a conversation, whoever set it; 0 for none. The message that set it may have disappeared by itself. */
  async timer(user: string): Promise<number> {
    const stored = await this.#services.journal.get(KEYS.timer(user));
    return stored === undefined ? 0 : NUMBER.decode(stored);
  }

  /**
   * Gives out a message that may be viewed once. That it was viewed is durable before this resolves, so a crash shows it
   * at most once; then the sender is told.
   *
   * @throws {ClientError} CLI_MESSAGE_UNKNOWN where there is no such message to view, or none any more.
   */
  async view(user: string, id: string): Promise<MessageBody> {
    const { journal, locks, history, clock } = this.#services;
    const ordinal = ordinalOfId(id);
    const record = await locks.run([user], async () => {
      const found = await history.get(user, ordinal);
      const isViewable = found?.isViewOnce === true && found.direction === 'in' && isThere(found);
      if (!isViewable) throw new ClientError('CLI_MESSAGE_UNKNOWN');
      const transaction = journal.begin();
      history.put(transaction, user, ordinal, { ...found, body: { kind: 'view-once' }, viewedAt: clock.nowMs() });
      await journal.commit(transaction);
      return found;
    });
    await this.#tellViewed(user, record);
    return openBody(record.body);
  }

  /** A stranger is not told what happens here, nor is a group into which one has brought us; and seeing something accepts nobody. */
  async #tellViewed(user: string, record: HistoryRecord): Promise<void> {
    const { strangers, isGroupAdmitted, conversation } = this.#services;
    const group = groupOfName(user);
    const isTold = group === undefined ? strangers().isAdmitted(user) : await isGroupAdmitted(group);
    const targets = [nameOf(authorIn(user, record.author), record)];
    const body = { kind: 'receipt', state: 'viewed', targets } as const;
    if (isTold) await conversation(user).enqueue(this.#checked({ body, isViewOnce: false }));
  }

  /** Asks the rules beforehand: what they refuse must not leave. */
  async #change(user: string, id: string, make: (target: MessageName) => EffectBody): Promise<SentMessage> {
    const { clock, self } = this.#services;
    const { record, name } = await this.#target(user, id);
    const body = make(name);
    const effect = { body, author: self.user, sentAt: clock.nowMs() };
    if (typeof applyEffect(record, name.author, effect) === 'string') throw new ClientError('CLI_MESSAGE_FIXED');
    return this.#enqueue(user, body);
  }

  async #target(user: string, id: string): Promise<{ readonly record: HistoryRecord; readonly name: MessageName }> {
    const record = await this.#services.history.get(user, ordinalOfId(id));
    const isNamed = record !== undefined && record.failure === undefined && record.body.kind !== 'undecryptable';
    if (!isNamed) throw new ClientError('CLI_MESSAGE_UNKNOWN');
    return {
      record,
      name: nameOf(record.direction === 'out' ? this.#services.self.user : authorIn(user, record.author), record),
    };
  }

  async #enqueue(user: string, body: ContentBody): Promise<SentMessage> {
    return this.send(user, this.#checked({ body, isViewOnce: false }));
  }

  /** Sizes are checked before anything is journalled: a message that fits no frame would block those behind it. */
  #checked(content: DraftContent): DraftContent {
    const { body } = content;
    const isLong = 'text' in body && byteLength(body.text) > LIMITS.textBytesMax;
    const header = { id: Number.MAX_SAFE_INTEGER, sentAt: Number.MAX_SAFE_INTEGER, phone: this.#services.self.phone };
    const encoded = encodeContent({ ...header, timerSeconds: LIMITS.timerSecondsMax, ...content });
    if (isLong || encoded === undefined) throw new ClientError('CLI_TEXT_TOO_LONG');
    return content;
  }
}

/** What of a message is passed on: never whom it answered. */
function forwardable({ body, isViewOnce }: HistoryRecord): ContentBody | undefined {
  if (isViewOnce) return undefined;
  if (body.kind === 'text' || body.kind === 'reply') return { kind: 'text', text: body.text };
  return body.kind === 'attachment' ? body : undefined;
}

function isThere({ body }: HistoryRecord): boolean {
  return body.kind !== 'view-once' && body.kind !== 'deleted';
}

/** The beginning of a text, cut between characters. */
function excerpt(text: string): string {
  let cut = '';
  let bytes = 0;
  for (const character of text) {
    bytes += byteLength(character);
    if (bytes > LIMITS.quoteBytesMax) break;
    cut += character;
  }
  return cut;
}
