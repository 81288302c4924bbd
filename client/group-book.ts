/**
 * What a device knows of its groups, kept in the store: invitations become states, changes that hold become the next ones, and what
 * does not hold is told and left aside.
 *
 *   invitation ─┐
 *   change ─────┴─▶ begin ─▶ advance, as long as the next change is there and its author's device is on the newest list
 *
 * A change of a device that has been unlinked since holds if somebody who could have made it stands behind it: its author, or who was an
 * admin then, by a later change that builds on it or by saying that the group is there. So a key that was taken out of an account
 * changes no group, and who was away misses nothing that it did before.
 *
 * Works inside a transaction of the caller's, who holds the lock of the groups: a change becomes durable with the inbox position that it
 * came with. It asks nobody: what is missing (a key, a change, a roster) is named in the findings, and `group-catch-up.ts` gets it.
 */

import type { GroupAction, GroupState, SignedGroupChange } from '../protocol/wire/index.ts';
import { decodeGroupChange, hashOfChange, isGroupRefusal, isUserId } from '../protocol/wire/index.ts';
import type { GroupInviteBody, GroupView } from './content-body.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { CHANGE, GROUP, GROUP_KEYS, INVITED, MEMBERS, nameOfGroup, VIEW } from './group-layout.ts';
import type { GroupRecord, InvitedRecord, MemberMark, ViewRecord } from './group-layout.ts';
import { publicHalfOf } from './group-link.ts';
import { judgeChange, sha512, stateOfInvitation } from './group-verifier.ts';
import type { AcceptedChange, StrangersChange } from './group-verifier.ts';
import { isSameKey } from './public-keys.ts';
import type { Journal, RecordSource, Transaction } from './journal.ts';
import type { DeviceIdentity } from './layout.ts';
import { numberOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import { scan } from './renewal.ts';

/** What looking at groups has shown, beside what was written. */
export interface GroupFindings {
  readonly events: ClientEvent[];
  /** Groups that want looking after: something is due, or missing. */
  readonly due: Set<string>;
}

/** What stands in the way of the next change, if anything does. */
export type Obstacle =
  /** A device made the change of `epoch` that the list known of its user does not name, and nobody stands behind it. */
  | { readonly kind: 'stranger'; readonly user: string; readonly device: number; readonly epoch: number }
  /** The change that made `epoch` is missing. */
  | { readonly kind: 'change'; readonly epoch: number }
  | { readonly kind: 'roster'; readonly epoch: number }
  | { readonly kind: 'none' };

/** What the book needs of its client. */
export interface BookServices {
  readonly self: { readonly user: string; readonly device: number; readonly identityKey: Uint8Array };
  /** The devices whose signature counts for a user now. */
  readonly signers: (source: RecordSource, user: string) => Promise<DeviceIdentity[]>;
  readonly journal: Journal;
}

/** A member's word for where a group is, and whether a device said it that counts. */
interface MemberView extends ViewRecord {
  readonly key: string;
  readonly user: string;
}

const NONE: Obstacle = Object.freeze({ kind: 'none' });

/** The groups of one store. */
export class GroupBook {
  readonly #services: BookServices;

  constructor(services: BookServices) {
    this.#services = services;
  }

  /** A group, whether or not we are still in it. @param group - 15 digits. */
  async load(source: RecordSource, group: string): Promise<GroupRecord | undefined> {
    const bytes = await source.get(GROUP_KEYS.group(group));
    return bytes && GROUP.decode(bytes);
  }

  /** How far the members have come. */
  async marks(source: RecordSource, group: string): Promise<readonly MemberMark[]> {
    const bytes = await source.get(GROUP_KEYS.members(group));
    return bytes === undefined ? [] : MEMBERS.decode(bytes);
  }

  /** Whether we may let in who shows this secret: it is that of the present link, and we are an admin. */
  opensTo({ state: { roster } }: Pick<GroupRecord, 'state'>, secret: Uint8Array): boolean {
    if (roster.link === undefined || roster.members.get(this.#services.self.user) !== 'admin') return false;
    return isSameKey(publicHalfOf(secret).gateHash, roster.link.gateHash);
  }

  /** Whether we are a member now. */
  isIn({ state }: GroupRecord): boolean {
    return state.roster.members.has(this.#services.self.user);
  }

  /**
   * Keeps a change until it can be judged. One of an epoch that we have passed tells nothing new; if it is another one than we
   * know, the server tells two histories.
   *
   * @param order - Its place; of one that was asked for, the newest place.
   * @param bytes - Owned from now on.
   */
  async keepChange(
    transaction: Transaction,
    group: string,
    order: number,
    bytes: Uint8Array,
    findings: GroupFindings,
  ): Promise<void> {
    const change = decodeGroupChange(bytes);
    const isOfGroup = !isGroupRefusal(change) && change.group === group;
    if (!isOfGroup) return alarm(findings, group, 'CLI_GROUP_UNREADABLE');
    const record = await this.load(transaction, group);
    const known = record?.state.roster.epoch ?? 0;
    findings.due.add(group);
    if (record !== undefined && change.epoch <= known) {
      const view = { epoch: change.epoch, head: hashOfChange(change, sha512) };
      return this.#compare(transaction, group, record, view, undefined, findings);
    }
    // Nobody can make us keep more than a server may have to say at once.
    if (record !== undefined && change.epoch > known + LIMITS.groupChangesAheadMax) return;
    transaction.put(GROUP_KEYS.change(group, change.epoch), CHANGE.encode({ order, bytes }));
  }

  /** Notes the place of something that came to us in the group's row. */
  async notePlace(transaction: Transaction, group: string, order: number): Promise<GroupRecord | undefined> {
    const record = await this.load(transaction, group);
    if (record === undefined || order <= record.lastOrder) return record;
    const moved = { ...record, lastOrder: order };
    transaction.put(GROUP_KEYS.group(group), GROUP.encode(moved));
    return moved;
  }

  /** Takes note that we have asked to be let in: whoever does so does not add us unasked. */
  async noteAsked(group: string): Promise<void> {
    const { journal } = this.#services;
    const transaction = journal.begin();
    transaction.put(GROUP_KEYS.asked(group), new Uint8Array(0));
    await journal.commit(transaction);
  }

  /** Takes note of an invitation. One into a group that we are in says only how the inviter sees it. */
  async invite(
    transaction: Transaction,
    from: { readonly user: string; readonly device: number },
    body: GroupInviteBody,
    findings: GroupFindings,
  ): Promise<void> {
    const { group, epoch, head, key, roster } = body;
    const origin = from.user === this.#services.self.user ? (body.inviter ?? '') : '';
    const record = await this.load(transaction, group);
    findings.due.add(group);
    if (record !== undefined && this.isIn(record)) {
      this.#mendInviter(transaction, record, origin);
      return this.noteView(transaction, group, from, body, findings);
    }
    if (record !== undefined && epoch <= record.state.roster.epoch) return;
    transaction.put(
      GROUP_KEYS.invited(group),
      INVITED.encode({ inviter: from.user, origin, epoch, head, key, roster }),
    );
  }

  /** A device that was let in by another of ours, which did not say who had let that in, took ourselves for the inviter. */
  #mendInviter(transaction: Transaction, record: GroupRecord, origin: string): void {
    const { user } = this.#services.self;
    if (origin === '' || origin === user || record.inviter !== user) return;
    transaction.put(GROUP_KEYS.group(record.state.roster.group), GROUP.encode({ ...record, inviter: origin }));
  }

  /** Compares how a member sees the group with how we do; what we have not come to is kept until then. */
  async noteView(
    transaction: Transaction,
    group: string,
    { user, device }: { readonly user: string; readonly device: number },
    { epoch, head }: GroupView,
    findings: GroupFindings,
  ): Promise<void> {
    const record = await this.load(transaction, group);
    if (record === undefined || !record.state.roster.members.has(user)) return;
    const known = record.state.roster.epoch;
    if (epoch <= known) return this.#compare(transaction, group, record, { epoch, head }, user, findings);
    if (epoch > known + LIMITS.groupChangesAheadMax) return;
    transaction.put(GROUP_KEYS.view(group, user), VIEW.encode({ device, epoch, head }));
    findings.due.add(group);
  }

  /** What members say of a group beyond where we are, as far as it is in the store. */
  async #views(group: string): Promise<MemberView[]> {
    const views: MemberView[] = [];
    for await (const { key, value } of scan(this.#services.journal, GROUP_KEYS.viewsOf(group))) {
      const user = key.slice(key.lastIndexOf('/') + 1);
      // An earlier release kept one for each epoch, and not who had said it.
      if (isUserId(user)) views.push({ key, user, ...VIEW.decode(value) });
    }
    return views;
  }

  /**
   * The newest epoch that a change here or a member speaks of, where we are not there: what is between is being withheld from us, or
   * on its way, and nothing is encrypted before it has come.
   *
   * @returns 0 where nothing speaks of a newer one than ours, and where we are not a member.
   */
  async newestEpoch(group: string): Promise<number> {
    const { journal } = this.#services;
    const record = await this.load(journal, group);
    if (record === undefined || !this.isIn(record)) return 0;
    const { members, epoch } = record.state.roster;
    const [change] = await journal.list({ prefix: GROUP_KEYS.changesOf(group), limit: 1, newestFirst: true });
    const views = (await this.#views(group)).filter(({ user }) => members.has(user));
    const newest = Math.max(change === undefined ? 0 : numberOfKey(change.key), ...views.map((view) => view.epoch));
    return newest > epoch ? newest : 0;
  }

  async #compare(
    transaction: Transaction,
    group: string,
    { state }: GroupRecord,
    { epoch, head }: GroupView,
    user: string | undefined,
    findings: GroupFindings,
  ): Promise<void> {
    const known = epoch === state.roster.epoch ? state.head : await transaction.get(GROUP_KEYS.head(group, epoch));
    if (known !== undefined && !isSameKey(known, head)) alarm(findings, group, 'CLI_GROUP_FORKED', user);
  }

  /**
   * Goes as far as what is in the store allows: begins a group that we are invited to, and takes the changes that hold.
   *
   * @returns What is missing to go on, or `none`.
   */
  async advance(transaction: Transaction, group: string, findings: GroupFindings): Promise<Obstacle> {
    const invited = await transaction.get(GROUP_KEYS.invited(group));
    if (invited !== undefined) {
      const obstacle = await this.#begin(transaction, group, INVITED.decode(invited), findings);
      if (obstacle.kind !== 'none') return obstacle;
    }
    for (;;) {
      const record = await this.load(transaction, group);
      if (record === undefined) return NONE;
      const step = await this.#step(transaction, group, record, findings);
      if (step === undefined) continue;
      await this.#settleViews(transaction, group, findings);
      return step;
    }
  }

  /** Holds what members have said against what we have come to. */
  async #settleViews(transaction: Transaction, group: string, findings: GroupFindings): Promise<void> {
    const record = await this.load(transaction, group);
    if (record === undefined) return;
    const { epoch, members } = record.state.roster;
    for (const { key, user, ...view } of await this.#views(group)) {
      const isPassed = view.epoch <= epoch;
      if (isPassed) await this.#compare(transaction, group, record, view, user, findings);
      if (isPassed || !members.has(user)) transaction.delete(key);
    }
  }

  /** @returns Undefined where a change was dealt with and there may be another one. */
  async #step(
    transaction: Transaction,
    group: string,
    record: GroupRecord,
    findings: GroupFindings,
  ): Promise<Obstacle | undefined> {
    const epoch = record.state.roster.epoch + 1;
    const key = GROUP_KEYS.change(group, epoch);
    const stored = await transaction.get(key);
    if (stored === undefined) return NONE;
    const { order, bytes } = CHANGE.decode(stored);
    const change = decodeGroupChange(bytes);
    const author = isGroupRefusal(change) ? '' : change.author;
    const verdict = judgeChange(record.state, bytes, await this.#signersOf(transaction, author));
    if (verdict.kind === 'stranger' && !(await this.#isBacked(transaction, group, record.state, verdict))) {
      return { kind: 'stranger', user: author, device: verdict.change.device, epoch };
    }
    transaction.delete(key);
    if (verdict.kind === 'refused') {
      alarm(findings, group, verdict.code);
      return NONE;
    }
    await this.#accept(transaction, group, record, verdict, order, findings);
    return undefined;
  }

  /** Our own key is the one that we have; what the server says of us does not matter. */
  async #signersOf(source: RecordSource, user: string): Promise<readonly DeviceIdentity[]> {
    const { self, signers } = this.#services;
    const known = await signers(source, user);
    return user === self.user ? [{ device: self.device, identityKey: self.identityKey }, ...known] : known;
  }

  /**
   * Whether somebody who could have made a change himself stands behind it. The hash covers all of the change and of what was before
   * it, so whoever names it, or builds on it, has judged it; an invitation is believed for the same reason.
   */
  async #isBacked(
    transaction: Transaction,
    group: string,
    before: GroupState,
    { change, state }: StrangersChange,
  ): Promise<boolean> {
    const { members } = before.roster;
    const counts = (user: string): boolean => user === change.author || members.get(user) === 'admin';
    const views = (await this.#views(group)).filter(({ user }) => counts(user));
    for (let at = state; ;) {
      const { epoch } = at.roster;
      for (const view of views) {
        const isMeant = view.epoch === epoch && isSameKey(view.head, at.head);
        if (isMeant && (await this.#isListed(transaction, view))) return true;
      }
      const stored = await transaction.get(GROUP_KEYS.change(group, epoch + 1));
      const next = stored && decodeGroupChange(CHANGE.decode(stored).bytes);
      if (next === undefined || isGroupRefusal(next)) return false;
      const verdict = judgeChange(at, CHANGE.decode(stored!).bytes, await this.#signersOf(transaction, next.author));
      if (verdict.kind === 'refused') return false;
      if (verdict.kind === 'accepted' && counts(next.author)) return true;
      at = verdict.state;
    }
  }

  async #isListed(source: RecordSource, { user, device }: { user: string; device: number }): Promise<boolean> {
    return (await this.#signersOf(source, user)).some((signer) => signer.device === device);
  }

  async #accept(
    transaction: Transaction,
    group: string,
    record: GroupRecord,
    { state, change }: Pick<AcceptedChange, 'state' | 'change'>,
    order: number,
    findings: GroupFindings,
  ): Promise<void> {
    const { link } = state.roster;
    const isOurLink =
      link !== undefined && record.state.roster.link !== undefined && isSameKey(link.key, record.state.roster.link.key);
    const linkSecret = isOurLink ? record.linkSecret : new Uint8Array(0);
    await this.#enter(transaction, { ...record, state, linkSecret }, order);
    this.#noteInvites(transaction, change);
    const { epoch, author, actions } = change;
    const byLink: string[] = [];
    for (const user of addedBy(actions)) {
      if ((await transaction.get(GROUP_KEYS.knock(group, user))) !== undefined) byLink.push(user);
    }
    findings.events.push({ type: 'group-changed', group: nameOfGroup(group), epoch, author, actions, byLink });
    findings.due.add(group);
  }

  /** Whom we have added needs an invitation from us; until it is queued, it is owed. */
  #noteInvites(transaction: Transaction, { group, author, device, actions }: SignedGroupChange): void {
    const { self } = this.#services;
    if (author !== self.user || device !== self.device) return;
    for (const user of addedBy(actions)) this.#oweInvite(transaction, group, user);
    // Our own other devices are members by our name; what a new one lacks, `inviteTwins` brings.
    if (actions.some(({ kind }) => kind === 'create')) this.#oweInvite(transaction, group, self.user);
  }

  #oweInvite(transaction: Transaction, group: string, user: string): void {
    transaction.put(GROUP_KEYS.invite(group, user), new Uint8Array(0));
  }

  /** Owes our own other devices an invitation to a group. */
  inviteTwins(transaction: Transaction, group: string): void {
    this.#oweInvite(transaction, group, this.#services.self.user);
  }

  /** Makes `record` the group's present state. */
  async #enter(transaction: Transaction, record: GroupRecord, order: number): Promise<void> {
    const { roster, head } = record.state;
    const { group, epoch } = roster;
    if (roster.members.size === 0) await this.#keepInfo(transaction, group);
    transaction.put(GROUP_KEYS.group(group), GROUP.encode(record));
    transaction.put(GROUP_KEYS.head(group, epoch), head);
    transaction.delete(GROUP_KEYS.head(group, Math.max(0, epoch - LIMITS.groupHeadsMax)));
    await this.#putMarks(transaction, record.state, order);
  }

  /** A group without members has no title any more, by the protocol; here it is still called what it was. */
  async #keepInfo(transaction: Transaction, group: string): Promise<void> {
    const former = await this.load(transaction, group);
    if (former !== undefined) transaction.put(GROUP_KEYS.lastInfo(group), former.state.roster.info);
  }

  async #putMarks(transaction: Transaction, { roster }: GroupState, order: number): Promise<void> {
    const known = new Map((await this.marks(transaction, roster.group)).map((mark) => [mark.user, mark]));
    const marks = [...roster.members.keys()]
      .filter((user) => user !== this.#services.self.user)
      .map((user) => known.get(user) ?? { user, epoch: roster.epoch, since: order, delivered: 0, read: 0 });
    transaction.put(GROUP_KEYS.members(roster.group), MEMBERS.encode(marks));
  }

  /** An invitation of our own is a group that we are just making. */
  async #begin(
    transaction: Transaction,
    group: string,
    invited: InvitedRecord,
    findings: GroupFindings,
  ): Promise<Obstacle> {
    const { epoch, inviter, key: infoKey } = invited;
    const stored = await transaction.get(GROUP_KEYS.change(group, epoch));
    if (stored === undefined) return { kind: 'change', epoch };
    const { order, bytes } = CHANGE.decode(stored);
    if (epoch > 1 && invited.roster.length === 0) return { kind: 'roster', epoch };
    const state = stateOfInvitation(group, invited, bytes, invited.roster);
    if ('code' in state) return this.#refuse(transaction, group, invited, state.code, findings);
    const { members } = state.roster;
    if (!members.has(inviter) || !members.has(this.#services.self.user)) {
      return this.#refuse(transaction, group, invited, 'CLI_GROUP_UNLAWFUL', findings);
    }
    transaction.delete(GROUP_KEYS.invited(group));
    transaction.delete(GROUP_KEYS.change(group, epoch));
    const places = { lastOrder: order, readOrder: order };
    const record = { state, infoKey, inviter: invited.origin || inviter, linkSecret: new Uint8Array(0), ...places };
    await this.#enter(transaction, record, order);
    this.#noteInvites(transaction, decodeGroupChange(bytes) as SignedGroupChange);
    // What has no origin and is ours was made here: the application knows.
    const isMadeHere = inviter === this.#services.self.user && invited.origin === '';
    const byLink = (await transaction.get(GROUP_KEYS.asked(group))) !== undefined;
    transaction.delete(GROUP_KEYS.asked(group));
    if (!isMadeHere) {
      findings.events.push({ type: 'group-joined', group: nameOfGroup(group), inviter: record.inviter, byLink });
    }
    findings.due.add(group);
    return NONE;
  }

  /** A wrong roster is asked for again at the next login; of anything else the inviter has to send a new invitation. */
  #refuse(
    transaction: Transaction,
    group: string,
    invited: InvitedRecord,
    code: ErrorCode,
    findings: GroupFindings,
  ): Obstacle {
    alarm(findings, group, code, invited.inviter);
    if (code === 'CLI_GROUP_ROSTER') {
      transaction.put(GROUP_KEYS.invited(group), INVITED.encode({ ...invited, roster: new Uint8Array(0) }));
    } else {
      transaction.delete(GROUP_KEYS.invited(group));
      transaction.delete(GROUP_KEYS.change(group, invited.epoch));
    }
    return NONE;
  }

  /** Moves the marks of members. @returns The marks, or undefined where nothing moved. */
  async receive(
    transaction: Transaction,
    group: string,
    type: 'delivered' | 'read',
    news: readonly { readonly user: string; readonly order: number }[],
  ): Promise<readonly MemberMark[] | undefined> {
    const places = new Map(news.map(({ user, order }) => [user, order]));
    const before = await this.marks(transaction, group);
    const after = before.map((mark) => moved(mark, type, places.get(mark.user) ?? 0));
    if (after.every((mark, index) => mark === before[index])) return undefined;
    transaction.put(GROUP_KEYS.members(group), MEMBERS.encode(after));
    return after;
  }
}

/** Read implies delivered; neither goes back. */
function moved(mark: MemberMark, type: 'delivered' | 'read', order: number): MemberMark {
  const delivered = Math.max(mark.delivered, order);
  const read = type === 'read' ? Math.max(mark.read, order) : mark.read;
  return delivered === mark.delivered && read === mark.read ? mark : { ...mark, delivered, read };
}

/** The users whom a change brings in by somebody else's hand. */
function addedBy(actions: readonly GroupAction[]): string[] {
  return actions.flatMap((action) => (action.kind === 'add' ? [action.user] : []));
}

function alarm(findings: GroupFindings, group: string, code: ErrorCode, user?: string): void {
  findings.events.push({ type: 'group-alarm', group: nameOfGroup(group), code, user });
}
