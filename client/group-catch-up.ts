/**
 * Catching up with a group: goes on to the epoch that members speak of, and gets what stands in the way: a change, a roster, the keys of somebody
 * who changed the group.
 *
 * No lock is held while something is asked. What leads on, and what does not, `group-book.ts` decides. Read next: `group-keeper.ts`, which says
 * when; it also has what is owed to others.
 */

import { decodeRoster, isGroupRefusal } from '../protocol/wire/index.ts';
import type { Answer } from '../protocol/wire/index.ts';
import type { ContentBody } from './content-body.ts';
import type { Conversation } from './conversation.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { GroupBook, Obstacle } from './group-book.ts';
import { GROUP_KEYS, INVITED, nameOfGroup } from './group-layout.ts';
import { beginIntake } from './intake-report.ts';
import type { IntakeDraft } from './intake-report.ts';
import type { Journal, Transaction } from './journal.ts';
import { LIMITS } from './limits.ts';
import type { Requests } from './requests.ts';
import type { Strangers } from './strangers.ts';

/** What catching up needs of its keeper. */
export interface GroupCatchUpServices {
  readonly self: { readonly user: string };
  /** Whether this account has other devices. */
  readonly hasTwins: () => boolean;
  readonly journal: Journal;
  readonly book: GroupBook;
  readonly strangers: () => Pick<Strangers, 'isAdmitted'>;
  readonly requests: Requests;
  readonly conversation: (user: string) => Conversation;
  readonly report: (draft: IntakeDraft) => void;
  /** Says something to somebody, soon. @returns (as resolution) False where it could not be queued. */
  readonly say: (user: string, body: ContentBody) => Promise<boolean>;
  /** Deletes a record, unless it has been replaced meanwhile by another one than `value`. */
  readonly forget: (key: string, value?: Uint8Array) => Promise<void>;
  /** Runs `work` under the lock of the groups, in a transaction of its own, and reports what came of it. */
  readonly transact: <Result>(
    work: (transaction: Transaction, draft: IntakeDraft) => Promise<Result>,
    group: string,
  ) => Promise<Result>;
}

/** Catches up with the groups of one device. */
export class GroupCatchUp {
  readonly #services: GroupCatchUpServices;
  /** Alarms that were given in this run, and changes of unlinked devices about which others were asked. */
  readonly #told = new Set<string>();
  readonly #asked = new Set<string>();

  constructor(services: GroupCatchUpServices) {
    this.#services = services;
  }

  /** Goes on to the newest epoch that anything speaks of: that nothing leads there from here is told once. */
  async chase(group: string): Promise<void> {
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
    await this.#services.forget(GROUP_KEYS.behind(group));
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
      if (await this.#services.say(backer, body)) this.#asked.add(asked);
    }
    return 'CLI_GROUP_DEVICE_GONE';
  }

  /** @returns What stands in the way, and what was told about the group on the way. */
  async #advance(group: string): Promise<{ readonly obstacle: Obstacle; readonly alarm: ErrorCode | undefined }> {
    const { book } = this.#services;
    return this.#services.transact(async (transaction, { groups }) => {
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
      await this.#services.forget(key, stored);
      return undefined;
    }
  }

  async #fetchChanges(group: string, after: number): Promise<boolean> {
    const { book } = this.#services;
    const answer = await this.#askServer({ kind: 'group', group, after });
    if (answer === undefined || answer.changes.length === 0) return false;
    const { changes, order } = answer;
    await this.#services.transact(async (transaction, { groups }) => {
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
      await this.#services.transact(async (transaction) => {
        transaction.put(GROUP_KEYS.invited(group), INVITED.encode({ ...invited, roster: bytes! }));
      }, group);
      return true;
    }
    const body = { kind: 'group-retry', group, device: 0, code: 'CLI_GROUP_GAP', numbers: [] } as const;
    if (strangers().isAdmitted(invited.inviter)) await this.#services.say(invited.inviter, body);
    return false;
  }
}
