/**
 * What accounts may still upload: a bucket for each that fills steadily. Pure, with time as an argument.
 *
 * Kept in memory, and coarsely beyond a restart: `heavy` gives the accounts that have used so much that a restart must not make them
 * a present of it; `take` of anybody else begins with a full day. Read next: `keeper.ts`, `quota-file.ts`.
 */

import { LIMITS } from '../limits.ts';

/** What outlives the process. */
export interface SavedQuota {
  readonly user: string;
  /** What was left, */
  readonly bytes: number;
  /** and when, in wall time. */
  readonly atMs: number;
}

interface Quota {
  bytes: number;
  refilledAtMs: number;
}

const DAY_MS = 86_400_000;
const BYTES_PER_MS = LIMITS.mediaDayBytesMax / DAY_MS;

export class Quotas {
  /** In the order of use, the one that asked longest ago first. */
  readonly #quotas = new Map<string, Quota>();

  /**
   * Takes `bytes` from the quota of `user`.
   *
   * @param nowMs - Monotonic.
   * @returns 0, or in how many seconds there will be as much.
   */
  take(user: string, bytes: number, nowMs: number): number {
    const quota = this.#use(user, nowMs);
    if (quota.bytes < bytes) return Math.ceil((bytes - quota.bytes) / BYTES_PER_MS / 1000);
    quota.bytes -= bytes;
    return 0;
  }

  #use(user: string, nowMs: number): Quota {
    const quota = this.#quotas.get(user) ?? { bytes: LIMITS.mediaDayBytesMax, refilledAtMs: nowMs };
    refill(quota, nowMs);
    this.#quotas.delete(user);
    this.#quotas.set(user, quota);
    if (this.#quotas.size > LIMITS.mediaQuotaAccountsMax) this.#quotas.delete(this.#quotas.keys().next().value!);
    return quota;
  }

  /** Those who have used much. @param nowMs - Monotonic. @param wallMs - The same moment in wall time. */
  heavy(nowMs: number, wallMs: number): SavedQuota[] {
    const saved: SavedQuota[] = [];
    for (const [user, quota] of this.#quotas) {
      refill(quota, nowMs);
      if (LIMITS.mediaDayBytesMax - quota.bytes < LIMITS.mediaQuotaSavedBytesMin) continue;
      saved.push({ user, bytes: Math.floor(quota.bytes), atMs: Math.floor(wallMs) });
    }
    return saved;
  }

  /** Takes up what was saved; of two records of an account the later. Time that passed meanwhile counts, one that ran back does not. */
  restore(saved: readonly SavedQuota[], nowMs: number, wallMs: number): void {
    for (const { user, bytes, atMs } of [...saved].sort((left, right) => left.atMs - right.atMs)) {
      const quota = { bytes, refilledAtMs: nowMs - Math.max(0, wallMs - atMs) };
      refill(quota, nowMs);
      this.#quotas.set(user, quota);
    }
  }
}

function refill(quota: Quota, nowMs: number): void {
  const refilled = quota.bytes + (nowMs - quota.refilledAtMs) * BYTES_PER_MS;
  quota.bytes = Math.min(LIMITS.mediaDayBytesMax, refilled);
  quota.refilledAtMs = nowMs;
}
