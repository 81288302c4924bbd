/**
 * Looking after groups: gets what is missing, and sends what is owed. Everything that groups need a network for, but messages.
 *
 *   missing    a change, a roster, the key of somebody who changed the group: `group-catch-up.ts`; the chain of somebody who wrote
 *   owed       invitations of whom we have added, hand-outs of our chain, messages that somebody could not read
 *
 * What is owed stands in the store until it is queued as an ordinary message, so a crash sends it twice rather than never, and
 * twice does no harm. One run for a group at a time; no lock is held while something is asked. Decisions about groups are
 * `group-book.ts`'s.
 */

import { noteLoss } from '../protocol/signal/index.ts';
import { encodeRoster, isUserId } from '../protocol/wire/index.ts';
import { encodeOutgoing } from './content.ts';
import type { ContentBody, GroupInviteBody } from './content-body.ts';
import type { Conversation } from './conversation.ts';
import type { Clock } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { GroupBook } from './group-book.ts';
import { GroupCatchUp } from './group-catch-up.ts';
import type { GroupIntake } from './group-intake.ts';
import type { GroupKnock, GroupNews, GroupRetryRequest, IntakeDraft } from './intake-report.ts';
import { GENERATION, GROUP_KEPT, GROUP_KEYS, GROUP_SENDING, INVITED, UNREAD } from './group-layout.ts';
import type { GroupRecord, UnreadRecord } from './group-layout.ts';
import { beginIntake } from './intake-report.ts';
import type { Journal, Transaction } from './journal.ts';
import { numberOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import type { SentMessage } from './messages.ts';
import { scan } from './renewal.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';
import type { Strangers } from './strangers.ts';

/** What looking after groups needs of its client. */
export interface GroupKeeperServices {
  readonly self: { readonly user: string; readonly device: number };
  /** Whether this account has other devices. */
  readonly hasTwins: () => boolean;
  readonly journal: Journal;
  readonly locks: Locks;
  readonly book: GroupBook;
  readonly intake: GroupIntake;
  /** Takes what was said of groups and has come to count. */
  readonly absorb: () => Promise<void>;
  readonly strangers: () => Pick<Strangers, 'isAdmitted'>;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly conversation: (user: string) => Conversation;
  /** What became of stored messages, and what is to be told. */
  readonly report: (draft: IntakeDraft) => void;
  /** Lets somebody in who has shown the secret of a link. */
  readonly admit: (knock: GroupKnock) => Promise<void>;
  /** Something failed that will be tried again. */
  readonly fail: (error: unknown) => void;
}

interface Unread {
  readonly key: string;
  readonly from: string;
  readonly device: number;
  readonly id: number;
  readonly record: UnreadRecord;
}

/** Why somebody may not be let in for now: a change is missing here, or nobody stands behind it yet. */
const OBSTACLES: readonly ErrorCode[] = ['CLI_CLOSED', 'CLI_GROUP_BUSY', 'CLI_GROUP_GAP', 'CLI_GROUP_DEVICE_GONE'];

/** Looks after the groups of one device. */
export class GroupKeeper {
  readonly #services: GroupKeeperServices;
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #catchUp: GroupCatchUp;
  /** Failures that were told in this run. */
  readonly #told = new Set<string>();
  #timer: unknown;
  /** When the timer runs, monotonic milliseconds. */
  #looksAtMs = Infinity;
  #isClosed = false;

  constructor(services: GroupKeeperServices) {
    this.#services = services;
    const { self, hasTwins, journal, book, strangers, requests, conversation, report } = services;
    this.#catchUp = new GroupCatchUp({
      ...{ self, hasTwins, journal, book, strangers, requests, conversation, report },
      say: (user, body) => this.#say(user, body),
      forget: (key, value) => this.#forget(key, value),
      transact: (work, group) => this.#transact(work, group),
    });
  }

  /** Logged in: looks after every group in which something is due. */
  async opened(): Promise<void> {
    const { journal } = this.#services;
    const due = new Set<string>();
    for (const prefix of [
      GROUP_KEYS.changes,
      GROUP_KEYS.views,
      GROUP_KEYS.behindAll,
      GROUP_KEYS.invites,
      GROUP_KEYS.handOuts,
      GROUP_KEYS.unreadAll,
      GROUP_KEYS.invitedAll,
      GROUP_KEYS.knocks,
    ]) {
      for await (const { key, value } of scan(journal, prefix)) {
        const group = key.split('/')[1]!;
        const mayBe = prefix !== GROUP_KEYS.invitedAll || INVITED.decode(value).epoch >= 1;
        if (mayBe && isUserId(group)) due.add(group);
        // An earlier release kept what a peer had said of a group that cannot be; no server could be asked about it.
        else await this.#forget(key);
      }
    }
    for (const group of due) this.tend(group);
  }

  /** Does what is due for a group, soon; again, where it is under way. @param group - 15 digits. */
  tend(group: string): void {
    if (this.#isClosed) return;
    if (this.#running.has(group)) return void this.#again.add(group);
    const run = this.#run(group)
      .catch((error: unknown) => this.#services.fail(error))
      .finally(() => {
        this.#running.delete(group);
        if (this.#again.delete(group)) this.tend(group);
      });
    this.#running.set(group, run);
  }

  /** As `GroupCatchUp.catchUp`. */
  catchUp(group: string, epoch: number): Promise<ErrorCode | undefined> {
    return this.#catchUp.catchUp(group, epoch);
  }

  close(): void {
    this.#isClosed = true;
    this.#services.clock.clearTimer(this.#timer);
  }

  async #run(group: string): Promise<void> {
    await this.#catchUp.chase(group);
    await this.#openUnread(group);
    await this.#services.absorb();
    await this.#invite(group);
    await this.handOut(group);
    await this.#ask(group);
    await this.#letIn(group);
  }

  // What could not be read

  async #openUnread(group: string): Promise<void> {
    const { intake } = this.#services;
    const unread = await this.#unreadOf(group);
    if (unread.every(({ record }) => record.ciphertext.length === 0)) return;
    await this.#transact(async (transaction, draft) => {
      for (const { key, from, device, id } of unread) {
        const stored = await transaction.get(key);
        if (stored === undefined) continue;
        const record = UNREAD.decode(stored);
        await intake.openUnread(transaction, { group, from, device, id, order: record.order }, record, draft);
      }
    }, group);
  }

  async #unreadOf(group: string): Promise<Unread[]> {
    const found: Unread[] = [];
    for await (const { key, value } of scan(this.#services.journal, GROUP_KEYS.unreadIn(group))) {
      const [, , from, device] = key.split('/') as [string, string, string, string];
      found.push({ key, from, device: Number(device), id: numberOfKey(key), record: UNREAD.decode(value) });
    }
    return found;
  }

  /** Asks authors for what could not be read, once a chain that is on its way has had time to come. */
  async #ask(group: string): Promise<void> {
    const { book, journal, strangers } = this.#services;
    const record = await book.load(journal, group);
    if (record === undefined || !book.isIn(record)) return;
    const { members } = record.state.roster;
    // Whoever is asked learns that somebody is here: a stranger not before the person here decides, and then this runs again.
    const open = (await this.#unreadOf(group)).filter(
      ({ from, record: { tries } }) =>
        tries < LIMITS.retryTryCountMax && members.has(from) && strangers().isAdmitted(from),
    );
    const fresh = open.filter(({ record: { askedAt } }) => askedAt === 0);
    const due = open.filter(({ record: each }) => each.askedAt > 0 && this.#waitMs(each) === 0);
    for (const each of byDevice(due)) await this.#askDevice(group, each);
    if (fresh.length > 0) await this.#noteSeen(fresh);
    // What was asked for just now has its pause before it.
    const waits = open.map(({ record: each }) => this.#waitMs(each) || LIMITS.retryPauseMs);
    this.#lookAgainIn(Math.min(...waits));
  }

  /** How long a message is not asked for yet. `askedAt` is first when it was noticed, and then when it was asked for. */
  #waitMs({ tries, askedAt }: UnreadRecord): number {
    const pauseMs = tries === 0 ? LIMITS.groupAskDelayMs : LIMITS.retryPauseMs;
    const waitedMs = askedAt === 0 ? 0 : Math.max(0, this.#services.clock.nowMs() - askedAt);
    return Math.max(0, pauseMs - waitedMs);
  }

  /** Looks after all groups in which something is due, then or before: groups share the timer, and none puts off another's. */
  #lookAgainIn(delayMs: number): void {
    const { clock, fail } = this.#services;
    const atMs = clock.monotonicMs() + delayMs;
    if (this.#isClosed || atMs >= this.#looksAtMs) return;
    clock.clearTimer(this.#timer);
    this.#looksAtMs = atMs;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#looksAtMs = Infinity;
      void this.opened().catch(fail);
    });
  }

  async #noteSeen(unread: readonly Unread[]): Promise<void> {
    const { journal, clock } = this.#services;
    const transaction = journal.begin();
    for (const { key, record } of unread) transaction.put(key, UNREAD.encode({ ...record, askedAt: clock.nowMs() }));
    await journal.commit(transaction, 'eventual');
  }

  async #askDevice(group: string, unread: readonly Unread[]): Promise<void> {
    const { journal, clock } = this.#services;
    const asked = unread.slice(0, LIMITS.retryNumberCountMax);
    const { from, device, record } = asked[0]!;
    const numbers = asked.map(({ id }) => id);
    if (!(await this.#say(from, { kind: 'group-retry', group, device, code: record.code, numbers }))) return;
    const transaction = journal.begin();
    for (const { key, record: each } of asked) {
      transaction.put(key, UNREAD.encode({ ...each, tries: each.tries + 1, askedAt: clock.nowMs() }));
    }
    await journal.commit(transaction, 'eventual');
  }

  // What is owed

  /** Queues the invitations of whom we have added. */
  async #invite(group: string): Promise<void> {
    const { book, journal } = this.#services;
    for await (const { key } of scan(journal, GROUP_KEYS.invitesOf(group))) {
      const user = key.split('/')[2]!;
      const record = await book.load(journal, group);
      const isMember = record?.state.roster.members.has(user) === true;
      if (isMember && !(await this.#say(user, this.#invitation(record, user)))) continue;
      await this.#forget(key);
    }
  }

  /** Queues the hand-outs of our chain, and waits until the server has them; not longer than `LIMITS.groupHandOutMs`. */
  async handOut(group: string): Promise<void> {
    const { journal, book, clock } = this.#services;
    const record = await book.load(journal, group);
    const entries = [];
    for await (const entry of scan(journal, GROUP_KEYS.handOutsOf(group))) entries.push(entry);
    if (record === undefined || entries.length === 0) return;
    const view = { epoch: record.state.roster.epoch, head: record.state.head };
    const handed = entries.map(async ({ key, value }) => {
      const user = key.split('/')[2]!;
      // Who has left since must not get it; the next message is under another chain.
      const isMember = record.state.roster.members.has(user) && this.#hasListener(user);
      const body = { kind: 'sender-key', group, distribution: value, view } as const;
      const message = isMember ? await this.#enqueue(user, body) : undefined;
      if (isMember && message === undefined) return;
      await this.#forget(key, value);
      await message?.sent.catch(() => undefined);
    });
    let timer: unknown;
    const expired = new Promise<void>((resolve) => (timer = clock.setTimer(LIMITS.groupHandOutMs, resolve)));
    await Promise.race([Promise.all(handed), expired]).finally(() => clock.clearTimer(timer));
  }

  /** Deletes what was owed, unless it has been replaced meanwhile. */
  #forget(key: string, value?: Uint8Array): Promise<void> {
    const { journal, locks } = this.#services;
    return locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      const stored = await transaction.get(key);
      const isSame =
        value === undefined || stored === undefined || stored.every((byte, index) => byte === value[index]);
      if (isSame) transaction.delete(key);
      await journal.commit(transaction);
    });
  }

  /**
   * Answers a member who could not read messages of ours: sends them once more, as far as they were meant for that member, and
   * our chain with the next message. Without a number it asks where the group is now.
   */
  async answer({ group, user, numbers }: GroupRetryRequest): Promise<void> {
    const { book, journal } = this.#services;
    const record = await book.load(journal, group);
    if (record === undefined || !book.isIn(record) || !record.state.roster.members.has(user)) return;
    // A stranger gets again what the person here wrote to them, and no answer that nobody here has given.
    if (numbers.length === 0 && !this.#services.strangers().isAdmitted(user)) return;
    if (numbers.length === 0) return void (await this.#say(user, this.#invitation(record, user)));
    await this.#noteLoss(group, user);
    for (const number of numbers) {
      const bytes = await journal.get(GROUP_KEYS.kept(group, number));
      const kept = bytes && GROUP_KEPT.decode(bytes);
      if (kept === undefined || !(await this.#wasMeant(group, user, kept))) continue;
      const content = encodeOutgoing(kept.content);
      await this.#say(user, { kind: 'group-resent', group, number, sentAt: kept.sentAt, content });
    }
  }

  /** Only who was a member then, and has had no other devices since, gets a message later. */
  async #wasMeant(
    group: string,
    user: string,
    kept: { readonly epoch: number; readonly sentAt: number },
  ): Promise<boolean> {
    const { book, journal, clock } = this.#services;
    const mark = (await book.marks(journal, group)).find((each) => each.user === user);
    const stored = await journal.get(GROUP_KEYS.generation(user));
    const changedAt = stored === undefined ? 0 : GENERATION.decode(stored).changedAt;
    const isYoung = clock.nowMs() - kept.sentAt < LIMITS.keptAgeMsMax;
    return mark !== undefined && mark.epoch <= kept.epoch && changedAt <= kept.sentAt && isYoung;
  }

  #noteLoss(group: string, user: string): Promise<void> {
    return this.#transact(async (transaction) => {
      const key = GROUP_KEYS.sending(group);
      const [stored, generation] = [await transaction.get(key), await transaction.get(GROUP_KEYS.generation(user))];
      if (stored === undefined) return;
      const sending = GROUP_SENDING.decode(stored);
      const count = generation === undefined ? 0 : GENERATION.decode(generation).count;
      const ledger = noteLoss(sending.ledger, `${user}.${count}`);
      transaction.put(key, GROUP_SENDING.encode({ ...sending, ledger }));
    }, group);
  }

  /** Lets in who has shown the secret of the link; what fails for now is tried again when the group is looked after next. */
  async #letIn(group: string): Promise<void> {
    const { journal, admit, fail } = this.#services;
    for await (const { key, value: secret } of scan(journal, GROUP_KEYS.knocksAt(group))) {
      try {
        await admit({ group, user: key.split('/')[2]!, secret });
      } catch (error) {
        if (isPassing(error) || OBSTACLES.some((code) => ClientError.is(error, code))) throw error;
        fail(error);
      }
      // They may have asked anew meanwhile, by another link.
      await this.#forget(key, secret);
    }
  }

  /** Answers what came with messages. */
  async attend({ due, retries }: GroupNews): Promise<void> {
    for (const group of due) this.tend(group);
    for (const request of retries) await this.answer(request).catch(this.#services.fail);
  }

  /** Our word for where a group is now; our own devices also hear who brought us there. */
  #invitation(record: GroupRecord, user: string): ContentBody {
    const body = invitation(record);
    return user === this.#services.self.user ? { ...body, inviter: record.inviter } : body;
  }

  /** @returns False where it could not be queued: what was owed stays so. */
  async #say(user: string, body: ContentBody): Promise<boolean> {
    return !this.#hasListener(user) || (await this.#enqueue(user, body)) !== undefined;
  }

  /** What is said to our own user only our other devices hear. */
  #hasListener(user: string): boolean {
    return user !== this.#services.self.user || this.#services.hasTwins();
  }

  /** A conversation that takes nothing any more holds up nobody else's; it is told once in a run. @returns Undefined there. */
  async #enqueue(user: string, body: ContentBody): Promise<SentMessage | undefined> {
    try {
      return await this.#services.conversation(user).enqueue({ body, isViewOnce: false });
    } catch (error) {
      if (ClientError.is(error, 'CLI_CLOSED') || ClientError.is(error, 'CLI_STORE_FAILED')) throw error;
      const told = `${user} ${codeOf(error)}`;
      if (!this.#told.has(told)) this.#services.fail(error);
      this.#told.add(told);
      return undefined;
    }
  }

  /** Runs `work` under the lock of the groups, in a transaction of its own, and reports what came of it. */
  async #transact<Result>(
    work: (transaction: Transaction, draft: IntakeDraft) => Promise<Result>,
    group: string,
  ): Promise<Result> {
    const { journal, locks, report } = this.#services;
    const draft = beginIntake();
    const result = await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      const outcome = await work(transaction, draft);
      await journal.commit(transaction);
      return outcome;
    });
    // This run goes on with it by itself.
    draft.groups.due.delete(group);
    report(draft);
    return result;
  }
}

function invitation({ state, infoKey }: GroupRecord): GroupInviteBody {
  const { group, epoch } = state.roster;
  const roster = encodeRoster(state.roster);
  const isInline = epoch > 1 && roster.length <= LIMITS.groupInviteRosterBytesMax;
  return {
    kind: 'group-invite',
    group,
    epoch,
    head: state.head,
    key: infoKey,
    roster: isInline ? roster : new Uint8Array(0),
  };
}

function byDevice(unread: readonly Unread[]): Unread[][] {
  const devices = new Map<string, Unread[]>();
  for (const each of unread) {
    const name = `${each.from}/${each.device}`;
    devices.set(name, [...(devices.get(name) ?? []), each]);
  }
  return [...devices.values()];
}
