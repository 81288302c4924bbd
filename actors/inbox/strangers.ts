/**
 * What a sender is to a recipient, and what a stranger may do: the rules that an inbox asks before it accepts. Pure but for
 * the reads of the store.
 *
 *   standing   the recipient has                         messages   receipts   what the sender can see of it
 *   open       nothing against the sender                delivered  yes
 *   stranger   not decided, and wants to be asked        delivered  none       a few messages, then APP_REQUEST_PENDING
 *   blocked    blocked somebody it did not have to ask   dropped    none       a recipient who is away
 *   ignored    blocked a stranger                        dropped    none       what a stranger sees
 *
 * Blocking must not show, so a sender who is blocked goes on seeing what it would have seen without. An account that never
 * decided anything has no guard, and nothing here costs it more than one look-up when it enters the cache.
 *
 * `../relations.ts` writes the decisions; `submit.ts` keeps to them.
 */

import type { Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { takeFrom, type BucketRule, type Buckets } from '../rate-limit.ts';
import type { Guard, ProtectionStore, StrangerRequest } from '../store/protection-store.ts';

export type Standing = 'open' | 'stranger' | 'blocked' | 'ignored';

/** What `other` is to `owner`. Devices of one account are never strangers to each other. */
export function standingOf(store: ProtectionStore, guard: Guard | undefined, owner: string, other: string): Standing {
  if (guard === undefined || owner === other) return 'open';
  const { accepted = false, blocked = false } = store.relation(owner, other) ?? {};
  const isStranger = guard.policy === 'ask' && !accepted;
  if (blocked) return isStranger ? 'ignored' : 'blocked';
  return isStranger ? 'stranger' : 'open';
}

/** Whether the sender has to be accepted first, as far as it can see. */
export function isUnasked(standing: Standing): boolean {
  return standing === 'stranger' || standing === 'ignored';
}

/** Whether its messages are dropped. */
export function isBlocked(standing: Standing): boolean {
  return standing === 'blocked' || standing === 'ignored';
}

/** The request after one more message, or the refusal of that message. */
export function nextRequest(before: StrangerRequest | undefined, ts: number): StrangerRequest | Refusal {
  if (before === undefined) return { count: 1, ts };
  if (before.count < LIMITS.strangerMessagesMax) return { ...before, count: before.count + 1 };
  return { code: 'APP_REQUEST_PENDING', retryAfter: LIMITS.strangerRetrySeconds };
}

const FIRST_CONTACT_RULE: BucketRule = {
  burst: LIMITS.firstContactsBurstMax,
  perSecond: LIMITS.firstContactsPerDayMax / 86_400,
};

/**
 * Counts a conversation that `sender` begins, for those who write to everybody.
 *
 * @returns The refusal, where it has begun as many as it may. Counted in each shard by itself: the sender's own shard
 * would be a question on the way of a message.
 */
export function countFirstContact(buckets: Buckets, sender: string, nowMs: number): Refusal | undefined {
  const waitMs = takeFrom(buckets, sender, FIRST_CONTACT_RULE, nowMs, LIMITS.quotaAccountsMax);
  return waitMs > 0 ? { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) } : undefined;
}
