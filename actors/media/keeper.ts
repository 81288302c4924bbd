/**
 * The keeper of media: grants upload tickets within an account's quota, and has the store swept.
 *
 * One on each worker, for the accounts of its shards; the one that is told to also sweeps. It never touches a byte of a medium:
 * those pass between socket and store in `http.ts`. Quotas are kept in memory, so a restart of the node begins them anew; what
 * bounds the disk is the store's reserve.
 */

import type { Behavior, Context, Pid } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, MediaMessage } from '../messages.ts';
import { sealTicket } from './ticket.ts';

export interface KeeperArgs {
  readonly ticketKey: Uint8Array;
  /** Runs one slice and sends `swept`. Absent on workers that do not sweep. */
  readonly sweep: ((self: Pid) => void) | undefined;
}

/** What an account may still upload. */
interface Quota {
  bytes: number;
  refilledAtMs: number;
}

export interface KeeperState extends KeeperArgs {
  /** In the order of use, the one that asked longest ago first. */
  readonly quotas: Map<string, Quota>;
  /** Removed in the present round. */
  removed: number;
}

const SWEEP = 'sweep';
const DAY_MS = 86_400_000;
const BYTES_PER_MS = LIMITS.mediaDayBytesMax / DAY_MS;

export const keeper: Behavior<KeeperState, KeeperArgs, MediaMessage> = {
  name: 'actors/media/keeper',

  init({ ticketKey, sweep }, ctx) {
    if (sweep !== undefined) ctx.sendAfter(LIMITS.mediaSweepSliceMs, SWEEP);
    return { ticketKey, sweep, quotas: new Map(), removed: 0 };
  },

  handleCast(message, state, ctx) {
    if (message.kind === 'swept') return noteSwept(message, state, ctx);
    const { connection, iq, user, bytes } = message;
    const tell = (answer: ConnectionMessage): void => void ctx.cast(connection, answer);
    const refusal = refuseUpload(user, bytes, state, ctx.clock.monotonicMs());
    if (refusal !== undefined) return tell({ kind: 'answer-refused', iq, refusal });
    const id = Buffer.from(ctx.random.bytes(16)).toString('hex');
    const expiresAtMs = Math.floor(ctx.clock.nowMs()) + LIMITS.mediaTicketAgeMs;
    const ticket = sealTicket(state.ticketKey, { expiresAtMs, user, bytes, id });
    tell({ kind: 'answer', iq, answer: { kind: 'media-ticket', ticket, expires: LIMITS.mediaTicketAgeMs / 1000 } });
  },

  handleInfo(info, state, ctx) {
    if (info === SWEEP) state.sweep?.(ctx.self);
  },
};

type Swept = Extract<MediaMessage, { kind: 'swept' }>;

function noteSwept({ removed, done }: Swept, state: KeeperState, ctx: Context): void {
  state.removed += removed;
  ctx.sendAfter(done ? LIMITS.mediaSweepRoundMs : LIMITS.mediaSweepSliceMs, SWEEP);
  if (!done) return;
  if (state.removed > 0) ctx.log.info('media_swept', { removed: state.removed });
  state.removed = 0;
}

/** Takes `bytes` from the quota of `user`, or says why not. */
function refuseUpload(user: string, bytes: number, state: KeeperState, nowMs: number): Refusal | undefined {
  if (bytes > LIMITS.mediaBytesMax) return { code: 'APP_MEDIA_TOO_LARGE' };
  const quota = useQuota(user, state, nowMs);
  if (quota.bytes < bytes) {
    return { code: 'APP_MEDIA_QUOTA', retryAfter: Math.ceil((bytes - quota.bytes) / BYTES_PER_MS / 1000) };
  }
  quota.bytes -= bytes;
  return undefined;
}

function useQuota(user: string, { quotas }: KeeperState, nowMs: number): Quota {
  const quota = quotas.get(user) ?? { bytes: LIMITS.mediaDayBytesMax, refilledAtMs: nowMs };
  const refilled = quota.bytes + (nowMs - quota.refilledAtMs) * BYTES_PER_MS;
  quota.bytes = Math.min(LIMITS.mediaDayBytesMax, refilled);
  quota.refilledAtMs = nowMs;
  quotas.delete(user);
  quotas.set(user, quota);
  if (quotas.size > LIMITS.mediaQuotaAccountsMax) quotas.delete(quotas.keys().next().value!);
  return quota;
}
