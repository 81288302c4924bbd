/**
 * What was said about groups in conversations of two and does not count yet, kept as it came until it does.
 *
 *   said in our own name             by a device that the list of our devices does not name with that key: the server can add one
 *   said to each member (`in-group`) before we are in the group, or its author is: it may overtake an invitation, or a change
 *
 *   inbox, in its batch ──▶ group-told/… ──▶ absorb, when a list or a group has changed ──▶ the intake, as if it came now
 *
 * It keeps the place that it had in our history. A bounded number of each device: of who goes on about groups that we are not in, the
 * newest. What says whether something counts is `group-intake.ts`.
 */

import type { GroupContentBody } from './content-body.ts';
import type { GroupIntake, Speaker } from './group-intake.ts';
import { GROUP_KEYS, GROUP_TOLD } from './group-layout.ts';
import { beginIntake } from './intake-report.ts';
import type { IntakeDraft } from './intake-report.ts';
import type { Journal, Transaction } from './journal.ts';
import { numberOfKey, userOfKey } from './layout.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { isSameKey } from './public-keys.ts';
import { scan } from './renewal.ts';

/** What absorbing needs of its client. */
export interface GroupWaitingServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly intake: Pick<GroupIntake, 'counts' | 'takeBody'>;
  /** What became of stored messages, and what is to be told. */
  readonly report: (draft: IntakeDraft) => void;
  /** Something failed that will be tried again. */
  readonly fail: (error: unknown) => void;
}

/** Keeps what a device says until it counts. @param ordinal - Its place in our history, if it gets one. */
export async function keepTold(
  journal: Journal,
  transaction: Transaction,
  { user, device, sentAt, identityKey }: Speaker,
  body: GroupContentBody,
  ordinal: number,
): Promise<void> {
  const kept = await journal.list({ prefix: GROUP_KEYS.toldBy(user, device), limit: LIMITS.scanCountMax });
  const surplus = Math.max(0, kept.length + 1 - LIMITS.groupUnreadCountMax);
  for (const { key } of kept.slice(0, surplus)) transaction.delete(key);
  transaction.put(GROUP_KEYS.told(user, device, ordinal), GROUP_TOLD.encode({ device, sentAt, identityKey, body }));
}

/** Forgets what was said in the name of a user under a key that turned out to be none of theirs. */
export async function forgetTold(
  journal: Journal,
  transaction: Transaction,
  user: string,
  identityKey: Uint8Array,
): Promise<void> {
  for await (const { key, value } of scan(journal, GROUP_KEYS.toldOf(user))) {
    if (isSameKey(GROUP_TOLD.decode(value).identityKey, identityKey)) transaction.delete(key);
  }
}

/** Takes what has come to count. */
export class GroupWaiting {
  readonly #services: GroupWaitingServices;
  #absorbing: Promise<void> = Promise.resolve();

  constructor(services: GroupWaitingServices) {
    this.#services = services;
  }

  /** Looks at all of it, in the order in which each device said it. */
  absorb(): Promise<void> {
    this.#absorbing = this.#absorbing.then(() => this.#absorbAll()).catch(this.#services.fail);
    return this.#absorbing;
  }

  async #absorbAll(): Promise<void> {
    const { journal, locks, report } = this.#services;
    for await (const { key } of scan(journal, GROUP_KEYS.tolds)) {
      const draft = await locks.run([GROUPS_LOCK], () => this.#absorb(key));
      if (draft !== undefined) report(draft);
    }
  }

  /** @returns Undefined where it still does not count. */
  async #absorb(key: string): Promise<IntakeDraft | undefined> {
    const { journal, intake } = this.#services;
    const transaction = journal.begin();
    const stored = await transaction.get(key);
    if (stored === undefined) return undefined;
    const { body, ...said } = GROUP_TOLD.decode(stored);
    const from = { ...said, user: userOfKey(key) };
    if (!(await intake.counts(transaction, from, body))) return undefined;
    const draft = beginIntake();
    transaction.delete(key);
    await intake.takeBody(transaction, from, body, numberOfKey(key), draft);
    await journal.commit(transaction);
    return draft;
  }
}
