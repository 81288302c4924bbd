/**
 * Looking after groups: gets what is missing, and sends what is owed. Everything that groups need a network for, but messages.
 *
 *   missing    a change, a roster, the key of somebody who changed the group, the chain of somebody who wrote
 *   owed       invitations of whom we have added, hand-outs of our chain, messages that somebody could not read
 *
 * What is owed stands in the store until it is queued as an ordinary message, so a crash sends it twice rather than never, and
 * twice does no harm. One run for a group at a time; no lock is held while something is asked. Decisions about groups are
 * `group-book.ts`'s.
 */

import { noteLoss } from '../protocol/signal/index.ts';
import { decodeRoster, encodeRoster, isGroupRefusal, isUserId } from '../protocol/wire/index.ts';
import type { Answer } from '../protocol/wire/index.ts';
import { encodeOutgoing } from './content.ts';
import type { ContentBody, GroupInviteBody } from './content-body.ts';
import type { Conversation } from './conversation.ts';
import type { Clock } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { GroupBook, Obstacle } from './group-book.ts';
import type { GroupIntake, GroupKnock, GroupNews, GroupRetryRequest } from './group-intake.ts';
import { GENERATION, GROUP_KEPT, GROUP_KEYS, GROUP_SENDING, INVITED, nameOfGroup, UNREAD } from './group-layout.ts';
import type { GroupRecord, UnreadRecord } from './group-layout.ts';
import { beginIntake } from './inbox.ts';
import type { IntakeDraft } from './inbox.ts';
import type { Journal, Transaction } from './journal.ts';
import { numberOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';
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

/** Looks after the groups of one device. */
export class GroupKeeper {
  readonly #services: GroupKeeperServices;
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  /** Alarms that were given in this run, and changes of unlinked devices about which others were asked. */
  readonly #told = new Set<string>();
  readonly #asked = new Set<string>();
  #timer: unknown;
  #isClosed = false;

  constructor(services: GroupKeeperServices) {
    this.#services = services;
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

  close(): void {
    this.#isClosed = true;
    this.#services.clock.clearTimer(this.#timer);
  }

  async #run(group: string): Promise<void> {
    await this.#chase(group);
    await this.#openUnread(group);
    await this.#services.absorb();
    await this.#invite(group);
    await this.handOut(group);
    await this.#ask(group);
  }

  // What is missing

  /** Goes on to the newest epoch that anything speaks of: that nothing leads there from here is told once. */
  async #chase(group: string): Promise<void> {
    await this.catchUp(group, 0);
    await this.#lookBehind(group);
    const epoch = await this.#services.book.newestEpoch(group);
    const obstacle = epoch === 0 ? undefined : await this.catchUp(group, epoch);
    // Busy: what the server hands out does not lead on either.
    if (obstacle === 'CLI_GROUP_GAP' || obstacle === 'CLI_GROUP_BUSY') this.#alarmOnce(group, epoch, 'CLI_GROUP_GAP');
  }

  /** Entries of the group were lost on their way to us: whether changes were among them, the server has to be asked. */
  async #lookBehind(group: string): Promise<void> {
    const { book, journal } = this.#services;
    if ((await journal.get(GROUP_KEYS.behind(group))) === undefined) return;
    const record = await book.load(journal, group);
    if (record !== undefined && book.isIn(record)) await this.#fetchChanges(group, record.state.roster.epoch);
    await this.#forget(GROUP_KEYS.behind(group));
    await this.catchUp(group, 0);
  }

  #alarmOnce(group: string, epoch: number, code: ErrorCode, user?: string): void {
    const told = `${group} ${epoch} ${code}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    const draft = beginIntake();
    draft.groups.events.push({ type: 'group-alarm', group: nameOfGroup(group), code, user });
    this.#services.report(draft);
  }

  /**
   * Goes on to an epoch, or as far as what is here leads if that is 0: asks for the keys of strangers and for changes.
   *
   * @returns Why it did not come there.
   */
  async catchUp(group: string, epoch: number): Promise<ErrorCode | undefined> {
    const { book, journal } = this.#services;
    let metEpoch = 0;
    for (let tries = 0; tries < LIMITS.groupTryCountMax; tries += 1) {
      const { obstacle, alarm } = await this.#advance(group);
      const known = (await book.load(journal, group))?.state.roster.epoch ?? 0;
      if (obstacle.kind === 'none' && known >= epoch) return undefined;
      if (alarm !== undefined) return alarm;
      if (obstacle.kind === 'stranger' && obstacle.epoch === metEpoch) return this.#askBackers(group, obstacle);
      if (obstacle.kind === 'stranger') metEpoch = obstacle.epoch;
      if (!(await this.#overcome(group, known, obstacle))) return 'CLI_GROUP_GAP';
    }
    return 'CLI_GROUP_BUSY';
  }

  /**
   * Its author's newest list does not name the device that made a change: it was unlinked since, or the server has its key. The author and
   * an admin are asked where the group is; the word of either decides. Once in a run.
   */
  async #askBackers(group: string, { user, epoch }: Obstacle & { readonly kind: 'stranger' }): Promise<ErrorCode> {
    const { book, journal, self, strangers } = this.#services;
    const asked = `${group} ${epoch}`;
    const record = await book.load(journal, group);
    if (record === undefined || this.#asked.has(asked)) return 'CLI_GROUP_DEVICE_GONE';
    this.#alarmOnce(group, epoch, 'CLI_GROUP_DEVICE_GONE', user);
    const { members } = record.state.roster;
    const [admin] = [...members].flatMap(([each, role]) => (role === 'admin' && each !== self.user ? [each] : []));
    const body = { kind: 'group-retry', group, device: 0, code: 'CLI_GROUP_DEVICE_GONE', numbers: [] } as const;
    for (const backer of new Set([user, admin])) {
      if (backer === undefined || !members.has(backer) || !strangers().isAdmitted(backer)) continue;
      this.#asked.add(asked);
      await this.#say(backer, body);
    }
    return 'CLI_GROUP_DEVICE_GONE';
  }

  /** @returns What stands in the way, and what was told about the group on the way. */
  async #advance(group: string): Promise<{ readonly obstacle: Obstacle; readonly alarm: ErrorCode | undefined }> {
    const { book } = this.#services;
    return this.#transact(async (transaction, { groups }) => {
      const obstacle = await book.advance(transaction, group, groups);
      const alarm = groups.events.find((event) => event.type === 'group-alarm');
      return { obstacle, alarm: alarm?.type === 'group-alarm' ? alarm.code : undefined };
    }, group);
  }

  /** Gets what stands in the way. @returns False where the server has nothing that leads on. */
  async #overcome(group: string, known: number, obstacle: Obstacle): Promise<boolean> {
    switch (obstacle.kind) {
      case 'stranger': {
        const { self, hasTwins, conversation } = this.#services;
        // Of our own devices, while there is one, the list is ours.
        if (obstacle.user !== self.user || hasTwins()) await conversation(obstacle.user).meet();
        return true;
      }
      case 'change':
        return this.#fetchChanges(group, obstacle.epoch - 1);
      case 'roster':
        return this.#fetchRoster(group, obstacle.epoch);
      case 'none':
        return this.#fetchChanges(group, known);
    }
  }

  /** @returns Undefined where there is no such group and we knew of it by an invitation only: that is forgotten. */
  async #askServer(request: {
    readonly kind: 'group';
    readonly group: string;
    readonly after?: number;
  }): Promise<Extract<Answer, { readonly kind: 'group' }> | undefined> {
    const { requests, journal, self } = this.#services;
    const key = GROUP_KEYS.invited(request.group);
    const stored = await journal.get(key);
    try {
      return await requests.askUntilAnswered(request, 'group');
    } catch (error) {
      const isGone = ClientError.is(error, 'APP_UNKNOWN_GROUP') || ClientError.is(error, 'APP_NOT_A_MEMBER');
      // Our own notes a group that we are making: the server may be about to hear of it.
      if (!isGone || stored === undefined || INVITED.decode(stored).inviter === self.user) throw error;
      await this.#forget(key, stored);
      return undefined;
    }
  }

  async #fetchChanges(group: string, after: number): Promise<boolean> {
    const { book } = this.#services;
    const answer = await this.#askServer({ kind: 'group', group, after });
    if (answer === undefined || answer.changes.length === 0) return false;
    const { changes, order } = answer;
    await this.#transact(async (transaction, { groups }) => {
      for (const change of changes) await book.keepChange(transaction, group, order, change, groups);
    }, group);
    return true;
  }

  /** The roster of the invitation's epoch, if the group has not changed since; otherwise the inviter has to say where it is now. */
  async #fetchRoster(group: string, epoch: number): Promise<boolean> {
    const { journal, strangers } = this.#services;
    const bytes = (await this.#askServer({ kind: 'group', group }))?.roster;
    const roster = bytes && decodeRoster(bytes);
    const isRight = roster !== undefined && !isGroupRefusal(roster) && roster.epoch === epoch;
    const stored = await journal.get(GROUP_KEYS.invited(group));
    if (stored === undefined) return false;
    const invited = INVITED.decode(stored);
    if (isRight) {
      await this.#transact(async (transaction) => {
        transaction.put(GROUP_KEYS.invited(group), INVITED.encode({ ...invited, roster: bytes! }));
      }, group);
      return true;
    }
    const body = { kind: 'group-retry', group, device: 0, code: 'CLI_GROUP_GAP', numbers: [] } as const;
    if (strangers().isAdmitted(invited.inviter)) await this.#say(invited.inviter, body);
    return false;
  }

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
    const { clock, book, journal, strangers } = this.#services;
    const record = await book.load(journal, group);
    if (record === undefined || !book.isIn(record)) return;
    const { members } = record.state.roster;
    // Whoever is asked learns that somebody is here: a stranger not before the person here decides, and then this runs again.
    const open = (await this.#unreadOf(group)).filter(
      ({ from, record: { tries } }) =>
        tries < LIMITS.retryTryCountMax && members.has(from) && strangers().isAdmitted(from),
    );
    const fresh = open.filter(({ record: { askedAt } }) => askedAt === 0);
    const due = open.filter(({ record: { tries, askedAt } }) => this.#isDue(tries, askedAt));
    for (const each of byDevice(due)) await this.#askDevice(group, each);
    if (fresh.length > 0) await this.#noteSeen(fresh);
    if (open.length === 0 || this.#isClosed) return;
    clock.clearTimer(this.#timer);
    const delayMs = fresh.length > 0 ? LIMITS.groupAskDelayMs : LIMITS.retryPauseMs;
    this.#timer = clock.setTimer(delayMs, () => void this.opened().catch(this.#services.fail));
  }

  /** `askedAt` is first when it was noticed, and then when it was asked for. */
  #isDue(tries: number, askedAt: number): boolean {
    const pauseMs = tries === 0 ? LIMITS.groupAskDelayMs : LIMITS.retryPauseMs;
    return askedAt > 0 && this.#services.clock.nowMs() - askedAt >= pauseMs;
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
    await this.#say(from, { kind: 'group-retry', group, device, code: record.code, numbers });
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
      if (record?.state.roster.members.has(user)) await this.#say(user, this.#invitation(record, user));
      await this.#forget(key);
    }
  }

  /** Queues the hand-outs of our chain, and waits until the server has them; not longer than `LIMITS.groupHandOutMs`. */
  async handOut(group: string): Promise<void> {
    const { journal, book, clock, self, hasTwins } = this.#services;
    const record = await book.load(journal, group);
    const entries = [];
    for await (const entry of scan(journal, GROUP_KEYS.handOutsOf(group))) entries.push(entry);
    if (record === undefined || entries.length === 0) return;
    const view = { epoch: record.state.roster.epoch, head: record.state.head };
    const handed = entries.map(async ({ key, value }) => {
      const user = key.split('/')[2]!;
      // Who has left since must not get it; the next message is under another chain.
      const isMember = record.state.roster.members.has(user) && (user !== self.user || hasTwins());
      const body = { kind: 'sender-key', group, distribution: value, view } as const;
      const message = isMember
        ? await this.#services.conversation(user).enqueue({ body, isViewOnce: false })
        : undefined;
      await this.#forget(key, value);
      await message?.sent.catch(() => undefined);
    });
    const expired = new Promise<void>((resolve) => void clock.setTimer(LIMITS.groupHandOutMs, resolve));
    await Promise.race([Promise.all(handed), expired]);
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
    if (numbers.length === 0) return this.#say(user, this.#invitation(record, user));
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

  /** Answers what came with messages. @param admit - Lets somebody in who has shown the secret of a link. */
  async attend({ due, retries, knocks }: GroupNews, admit: (knock: GroupKnock) => Promise<void>): Promise<void> {
    for (const group of due) this.tend(group);
    for (const request of retries) await this.answer(request).catch(this.#services.fail);
    for (const knock of knocks) await admit(knock).catch(this.#services.fail);
  }

  /** Our word for where a group is now; our own devices also hear who brought us there. */
  #invitation(record: GroupRecord, user: string): ContentBody {
    const body = invitation(record);
    return user === this.#services.self.user ? { ...body, inviter: record.inviter } : body;
  }

  async #say(user: string, body: ContentBody): Promise<void> {
    if (user === this.#services.self.user && !this.#services.hasTwins()) return;
    await this.#services.conversation(user).enqueue({ body, isViewOnce: false });
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
