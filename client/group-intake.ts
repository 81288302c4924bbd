/**
 * Receiving in groups: messages, changes, and what members tell each other about a group in their own conversations.
 *
 * Works inside the transaction of `inbox.ts`, so that a chain's next state, the text and the inbox position become durable together. A
 * message whose chain has not come, or whose author is not known as a member yet, is kept as it came and opened when that is
 * there (`openUnread`). One that was spoiled is asked for once more, as between two people: `group-keeper.ts`.
 *
 * What a device says in our own name counts when the list of our devices names it with the key that said it: the server can add a device to
 * an account, and what it wrote would stand here as ours. Until then it is kept, as is what was said before its author or we ourselves
 * are known as members: `group-waiting.ts`.
 */

import { acceptDistribution, decryptFromGroup, isSignalError } from '../protocol/signal/index.ts';
import type { GroupPrunedMessage, IncomingGroupChange, IncomingGroupMessage } from '../protocol/wire/index.ts';
import { decodeContent, envelopeOf } from './content.ts';
import type { Content, UnsupportedContent } from './content.ts';
import type { ContentBody, GroupContentBody, GroupResentBody, InGroupBody, SenderKeyBody } from './content-body.ts';
import { isTellerListed, readDevices } from './devices.ts';
import type { Directory } from './directory.ts';
import { isEffect } from './effects.ts';
import type { Clock } from './environment.ts';
import type { ErrorCode } from './errors.ts';
import { expiryOf } from './expiry.ts';
import type { GroupBook } from './group-book.ts';
import { PairwiseSender } from './group-pairwise.ts';
import { GROUP_HEARD, GROUP_KEY, GROUP_KEYS, nameOfGroup, UNREAD } from './group-layout.ts';
import type { GroupHeardRecord, GroupRecord, UnreadRecord } from './group-layout.ts';
import { keepTold } from './group-waiting.ts';
import { isHealable } from './healer.ts';
import type { History } from './history.ts';
import type { GroupNews, IntakeDraft } from './intake-report.ts';
import type { Journal, RecordSource, Transaction } from './journal.ts';
import { KEYS } from './layout.ts';
import { isStoredContent, UNTOUCHED } from './history-layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import type { HistoryBody, HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import { isSameKey } from './public-keys.ts';

/** What receiving needs of its client. */
export interface GroupIntakeServices {
  readonly self: string;
  readonly ownDevice: number;
  readonly journal: Journal;
  readonly book: GroupBook;
  readonly history: History;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly pairwise: PairwiseSender;
  /** Whether it is shown what members say to have read. */
  readonly showsReads: () => boolean;
}

/** Which device says something in a conversation of two, and when. */
export interface Speaker {
  readonly user: string;
  readonly device: number;
  readonly sentAt: number;
  /** What authenticated it, 33 bytes. */
  readonly identityKey: Uint8Array;
}

const NEVER_HEARD: GroupHeardRecord = Object.freeze({ lastId: 0, identityKey: undefined });

/** Which message is meant. */
interface Place {
  readonly group: string;
  readonly from: string;
  readonly device: number;
  readonly id: number;
  readonly order: number;
}

/** The receiving half of all groups. */
export class GroupIntake {
  readonly #services: GroupIntakeServices;

  constructor(services: GroupIntakeServices) {
    this.#services = services;
  }

  /** Takes a change as it comes, and goes as far as it leads. */
  async takeChange(
    transaction: Transaction,
    { group, order, change }: IncomingGroupChange,
    news: GroupNews,
  ): Promise<void> {
    const { book } = this.#services;
    await book.notePlace(transaction, group, order);
    await book.keepChange(transaction, group, order, change, news);
    await book.advance(transaction, group, news);
  }

  /** What stood in a group from one place to another is gone for this device; changes among it can still be asked for. */
  async takePruned(
    transaction: Transaction,
    { group, since, until, code }: GroupPrunedMessage,
    news: GroupNews,
  ): Promise<void> {
    const record = await this.#services.book.notePlace(transaction, group, until);
    const [name, lastOrder] = [nameOfGroup(group), until];
    news.events.push({ type: 'group-pruned', group: name, firstOrder: since, lastOrder, code: code as ErrorCode });
    if (record === undefined) return;
    transaction.put(GROUP_KEYS.behind(group), new Uint8Array(0));
    news.due.add(group);
  }

  /** Takes a message. @param ordinal - Its place in our history, if it gets one. */
  async takeMessage(
    transaction: Transaction,
    message: IncomingGroupMessage,
    ordinal: number,
    draft: IntakeDraft,
  ): Promise<void> {
    const { group, from, device, id, order } = message;
    const { book } = this.#services;
    const record = await book.notePlace(transaction, group, order);
    if ((await this.#heard(transaction, message)).lastId >= id) return;
    const isMember = await this.#isAuthor(transaction, record, message);
    const outcome = isMember ? await this.#open(transaction, message, message.ciphertext) : 'CLI_GROUP_UNKNOWN';
    if (typeof outcome !== 'string') return this.#takeContent(transaction, message, ordinal, outcome, draft);
    if (outcome === 'SIG_DUPLICATE') return;
    // What may come from a member-to-be, or into a group to which we are just being invited, waits unseen.
    if (isMember) await this.#putPlaceholder(transaction, message, ordinal, outcome, message.ts, draft);
    const isKept = outcome === 'SIG_NO_SENDER_KEY' || !isMember;
    if (isKept || isHealable(outcome)) {
      const ciphertext = isKept ? message.ciphertext : new Uint8Array(0);
      this.#keepUnread(transaction, { group, from, device, id, order }, ordinal, outcome, ciphertext);
      draft.groups.due.add(group);
    }
  }

  /** Whether what a device says about a group counts now. */
  async counts(source: RecordSource, from: Speaker, body: GroupContentBody): Promise<boolean> {
    const { self, book } = this.#services;
    if (from.user === self && !isTellerListed(await readDevices(source, self), from)) return false;
    return body.kind !== 'in-group' || this.#isMember(await book.load(source, body.group), from.user);
  }

  /** Takes what a member says about a group in a conversation of two, or keeps it until it counts. */
  async takeBody(
    transaction: Transaction,
    from: Speaker,
    body: GroupContentBody,
    ordinal: number,
    draft: IntakeDraft,
  ): Promise<void> {
    const { book, ownDevice, self, journal } = this.#services;
    const { groups } = draft;
    const { group } = body;
    if (!(await this.counts(transaction, from, body))) {
      // A look at the list, once this is durable: it may name the device by then.
      draft.isSynced ||= from.user === self;
      return keepTold(journal, transaction, from, body, ordinal);
    }
    if (body.kind === 'sender-key' || body.kind === 'in-group') groups.speakers.push({ group, user: from.user });
    switch (body.kind) {
      case 'sender-key':
        return this.#takeSenderKey(transaction, from, body, groups);
      case 'group-invite':
        await book.invite(transaction, from, body, groups);
        return void (await book.advance(transaction, group, groups));
      case 'group-retry':
        // Without a number it asks where the group is, which each of our devices can tell.
        if (body.device === ownDevice || body.numbers.length === 0) {
          groups.retries.push({ group, user: from.user, numbers: body.numbers });
        }
        return;
      case 'group-knock':
        return this.#takeKnock(transaction, from.user, body, groups);
      case 'group-resent':
        return this.#takeResent(transaction, from.user, from.device, body, draft);
      case 'in-group':
        return this.#takePairwise(transaction, from, body, ordinal, draft);
    }
  }

  /** Kept until its sender is let in, whatever happens to this device meanwhile; of those only who have the present link. */
  async #takeKnock(
    transaction: Transaction,
    user: string,
    { group, secret }: Extract<GroupContentBody, { readonly kind: 'group-knock' }>,
    news: GroupNews,
  ): Promise<void> {
    const { book } = this.#services;
    const record = await book.load(transaction, group);
    if (record === undefined || !book.opensTo(record, secret)) return;
    transaction.put(GROUP_KEYS.knock(group, user), secret);
    news.due.add(group);
  }

  /** Opens a message that was kept unread, if keys and roster allow it now. Those of one device in the order of their ids. */
  async openUnread(transaction: Transaction, place: Place, record: UnreadRecord, draft: IntakeDraft): Promise<void> {
    const { book } = this.#services;
    const isMember = await this.#isAuthor(transaction, await book.load(transaction, place.group), place);
    if (!isMember || record.ciphertext.length === 0) return;
    const outcome = await this.#open(transaction, place, record.ciphertext);
    if (outcome === 'SIG_NO_SENDER_KEY') return this.#show(transaction, place, record, outcome, draft);
    transaction.delete(unreadKey(place));
    if (typeof outcome === 'string') return this.#show(transaction, place, record, outcome, draft);
    await this.#fill(transaction, place, record, outcome, draft);
  }

  /** An author who was not known as a member is one now, and still cannot be read: that shows from here on. */
  async #show(
    transaction: Transaction,
    place: Place,
    record: UnreadRecord,
    code: ErrorCode,
    draft: IntakeDraft,
  ): Promise<void> {
    if (record.code !== 'CLI_GROUP_UNKNOWN') return;
    await this.#putPlaceholder(transaction, place, record.ordinal, code, this.#services.clock.nowMs(), draft);
    if (code === 'SIG_NO_SENDER_KEY') transaction.put(unreadKey(place), UNREAD.encode({ ...record, code }));
  }

  async #open(
    transaction: Transaction,
    { group, from, device }: Place,
    ciphertext: Uint8Array,
  ): Promise<OpenedContent | ErrorCode> {
    const key = GROUP_KEYS.key(group, from, device);
    const stored = await transaction.get(key);
    const opened = decryptFromGroup(stored && GROUP_KEY.decode(stored), ciphertext);
    if (isSignalError(opened)) return opened.code;
    transaction.put(key, GROUP_KEY.encode(opened.record));
    return { content: decodeContent(opened.plaintext), plaintext: opened.plaintext };
  }

  async #takeSenderKey(
    transaction: Transaction,
    { user, device, identityKey }: Speaker,
    { group, distribution, view }: SenderKeyBody,
    news: GroupNews,
  ): Promise<void> {
    const key = GROUP_KEYS.key(group, user, device);
    const stored = await transaction.get(key);
    const accepted = acceptDistribution(stored && GROUP_KEY.decode(stored), distribution);
    if (!isSignalError(accepted)) {
      transaction.put(key, GROUP_KEY.encode(accepted.record));
      await this.#noteSpeaker(transaction, group, { user, device, identityKey });
    }
    if (view !== undefined) await this.#services.book.noteView(transaction, group, { user, device }, view, news);
    news.due.add(group);
  }

  async #takeResent(
    transaction: Transaction,
    from: string,
    device: number,
    { group, number, sentAt, content }: GroupResentBody,
    draft: IntakeDraft,
  ): Promise<void> {
    const stored = await transaction.get(GROUP_KEYS.unread(group, from, device, number));
    const plaintext = envelopeOf({ id: number, sentAt }, content);
    const isMember = this.#isMember(await this.#services.book.load(transaction, group), from);
    if (stored === undefined || plaintext === undefined || !isMember) return;
    const record = UNREAD.decode(stored);
    const place = { group, from, device, id: number, order: record.order };
    transaction.delete(unreadKey(place));
    await this.#fill(transaction, place, record, { content: decodeContent(plaintext), plaintext }, draft);
  }

  /** A group that encrypts for each device: the message is its author's word to us alone. */
  async #takePairwise(
    transaction: Transaction,
    { user: from, device, sentAt: encryptedAt, identityKey }: Speaker,
    { group, number, sentAt = encryptedAt, content: outgoing }: InGroupBody,
    ordinal: number,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, self } = this.#services;
    const plaintext = envelopeOf({ id: number, sentAt }, outgoing);
    if (plaintext === undefined || number < LIMITS.pairwiseNumberBase) return;
    // Whose chain came under another key keeps that: it says whose the chain is.
    const heard = await this.#heard(transaction, { group, from, device });
    if (heard.identityKey === undefined)
      await this.#noteSpeaker(transaction, group, { user: from, device, identityKey });
    const content = decodeContent(plaintext);
    const told = content.kind === 'content' ? content.body : undefined;
    if (told?.kind === 'receipt' && told.state === 'read') return this.#takeRead(transaction, group, from, told, draft);
    const name = { author: from, device, number, sentAt };
    // Its author has come back from a crash, and did not know whether it had been sent.
    if ((await history.find(transaction, nameOfGroup(group), self, name)) !== undefined) return;
    const isOwn = from === self;
    const place = { group, from, device, id: number, order: isOwn ? number : 0 };
    const storedCount = draft.stored.length;
    await this.#takeContent(transaction, place, ordinal, { content, plaintext }, draft);
    if (draft.stored.length > storedCount) PairwiseSender.noteUnread(transaction, group, ordinal, name);
  }

  async #takeRead(
    transaction: Transaction,
    group: string,
    reader: string,
    { targets }: Extract<ContentBody, { readonly kind: 'receipt' }>,
    draft: IntakeDraft,
  ): Promise<void> {
    const { pairwise, showsReads } = this.#services;
    if (showsReads()) draft.groups.reads.push(...(await pairwise.takeRead(transaction, group, reader, targets)));
  }

  /** Puts a message in the place that was kept for it. */
  async #fill(
    transaction: Transaction,
    place: Place,
    { ordinal }: UnreadRecord,
    opened: OpenedContent,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history } = this.#services;
    const name = nameOfGroup(place.group);
    const former = await history.read(transaction, name, ordinal);
    const isPlaceholder = former?.body.kind === 'undecryptable';
    if (isPlaceholder) await history.remove(transaction, name, ordinal, former);
    const [storedCount, transcriptCount] = [draft.stored.length, draft.transcripts.length];
    await this.#takeContent(transaction, place, ordinal, opened, draft);
    const filled = draft.stored[storedCount] ?? draft.transcripts[transcriptCount];
    if (isPlaceholder) draft.changed.push({ user: name, ordinal, record: filled?.record });
  }

  async #takeContent(
    transaction: Transaction,
    place: Place,
    ordinal: number,
    { content, plaintext }: OpenedContent,
    draft: IntakeDraft,
  ): Promise<void> {
    const { group, from, device, id } = place;
    const inside = content.kind === 'content' ? content : content.kind === 'unsupported' ? content.header : undefined;
    if (content.kind === 'malformed') {
      return this.#putPlaceholder(
        transaction,
        place,
        ordinal,
        'CLI_CONTENT_MALFORMED',
        this.#services.clock.nowMs(),
        draft,
      );
    }
    if (inside !== undefined && inside.id !== id) {
      return this.#putPlaceholder(transaction, place, ordinal, 'CLI_CONTENT_MISMATCH', inside.sentAt, draft);
    }
    const heard = await this.#heard(transaction, place);
    if (id < LIMITS.pairwiseNumberBase && heard.lastId < id) {
      transaction.put(GROUP_KEYS.heard(group, from, device), GROUP_HEARD.encode({ ...heard, lastId: id }));
    }
    if (content.kind === 'content') return this.#apply(transaction, place, ordinal, content, draft);
    const sentAt = inside?.sentAt ?? this.#services.clock.nowMs();
    await this.#put(transaction, place, ordinal, { body: { kind: 'unsupported', content: plaintext }, sentAt }, draft);
  }

  /** Stores a message, or does what it says to another one. Other contents have no meaning in a group. */
  async #apply(
    transaction: Transaction,
    place: Place,
    ordinal: number,
    { body, sentAt, timerSeconds, isViewOnce, isForwarded = false, phone }: Content,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, self, clock, directory } = this.#services;
    const { from } = place;
    const name = nameOfGroup(place.group);
    if (isEffect(body)) {
      draft.changed.push(...(await history.apply(transaction, name, self, { body, author: from, sentAt })));
    } else if (isStoredContent(body)) {
      if (body.kind === 'timer') transaction.put(KEYS.timer(name), NUMBER.encode(body.seconds));
      const expiresAt = expiryOf(clock.nowMs(), timerSeconds);
      const what = { sentAt, isViewOnce, isForwarded, expiresAt };
      const isOwn = from === self;
      // What may be viewed once is nowhere kept where it was sent from.
      const shown = isOwn && isViewOnce ? ({ kind: 'view-once' } as const) : body;
      await (isOwn
        ? this.#putOwn(transaction, place, ordinal, { ...what, body: shown }, draft)
        : this.#put(transaction, place, ordinal, { ...what, body }, draft));
    }
    if (await directory.claim(transaction, from, phone)) draft.claims.push({ user: from, phone });
  }

  #putPlaceholder(
    transaction: Transaction,
    place: Place,
    ordinal: number,
    code: ErrorCode,
    sentAt: number,
    draft: IntakeDraft,
  ): Promise<void> {
    return this.#put(transaction, place, ordinal, { body: { kind: 'undecryptable', code }, sentAt }, draft);
  }

  async #put(
    transaction: Transaction,
    { group, from, device, id, order }: Place,
    ordinal: number,
    what: { readonly body: HistoryBody; readonly sentAt: number } & Partial<HistoryRecord>,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, clock, self } = this.#services;
    const name = nameOfGroup(group);
    const head = { direction: 'in', number: id, device, author: from, order, storedAt: clock.nowMs() } as const;
    const record = await history.add(transaction, name, self, ordinal, { ...UNTOUCHED, ...head, ...what });
    transaction.put(KEYS.fresh(ordinal), TEXT.encode(name));
    draft.stored.push({ user: name, ordinal, record });
  }

  /** What another device of ours wrote: ours here as well, and nothing to be read. */
  async #putOwn(
    transaction: Transaction,
    { group, device, id, order }: Place,
    ordinal: number,
    what: { readonly body: HistoryBody; readonly sentAt: number } & Partial<HistoryRecord>,
    draft: IntakeDraft,
  ): Promise<void> {
    const { history, clock, self } = this.#services;
    const name = nameOfGroup(group);
    const head = { direction: 'out', number: id, device, order, storedAt: clock.nowMs() } as const;
    const record = await history.add(transaction, name, self, ordinal, { ...UNTOUCHED, ...head, ...what });
    draft.transcripts.push({ user: name, ordinal, record });
    draft.groups.twins.add(group);
  }

  #keepUnread(transaction: Transaction, place: Place, ordinal: number, code: ErrorCode, ciphertext: Uint8Array): void {
    const { group, from, device, id, order } = place;
    const unread = { ordinal, order, code, tries: 0, askedAt: 0, ciphertext };
    transaction.put(unreadKey(place), UNREAD.encode(unread));
    transaction.delete(GROUP_KEYS.unread(group, from, device, Math.max(0, id - LIMITS.groupUnreadCountMax)));
  }

  async #heard(
    source: RecordSource,
    { group, from, device }: Pick<Place, 'group' | 'from' | 'device'>,
  ): Promise<GroupHeardRecord> {
    const bytes = await source.get(GROUP_KEYS.heard(group, from, device));
    return bytes === undefined ? NEVER_HEARD : GROUP_HEARD.decode(bytes);
  }

  #isMember(record: GroupRecord | undefined, user: string): record is GroupRecord {
    return record !== undefined && this.#services.book.isIn(record) && record.state.roster.members.has(user);
  }

  /** Whether a message under the chain of a device counts: in our own name that of a device of ours only, as the list has it now. */
  async #isAuthor(
    source: RecordSource,
    record: GroupRecord | undefined,
    { group, from, device }: Pick<Place, 'group' | 'from' | 'device'>,
  ): Promise<boolean> {
    const { self } = this.#services;
    if (!this.#isMember(record, from)) return false;
    if (from !== self) return true;
    const { identityKey } = await this.#heard(source, { group, from, device });
    return isTellerListed(await readDevices(source, self), { device, identityKey });
  }

  /** Another identity counts anew, even under an old device id: whoever spoke under it before does not count. */
  async #noteSpeaker(
    transaction: Transaction,
    group: string,
    { user, device, identityKey }: Omit<Speaker, 'sentAt'>,
  ): Promise<void> {
    const heard = await this.#heard(transaction, { group, from: user, device });
    const isSame = heard.identityKey !== undefined && isSameKey(heard.identityKey, identityKey);
    if (isSame) return;
    const lastId = heard.identityKey === undefined ? heard.lastId : 0;
    transaction.put(GROUP_KEYS.heard(group, user, device), GROUP_HEARD.encode({ lastId, identityKey }));
  }
}

interface OpenedContent {
  readonly content: Content | UnsupportedContent | { readonly kind: 'malformed' };
  readonly plaintext: Uint8Array;
}

function unreadKey({ group, from, device, id }: Place): string {
  return GROUP_KEYS.unread(group, from, device, id);
}
