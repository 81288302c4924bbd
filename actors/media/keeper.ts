/**
 * The keeper of media: grants upload tickets within an account's quota, and has the store swept.
 *
 * One on each worker, for the accounts of its shards; the one that is told to also sweeps. It never touches a byte of a medium:
 * those pass between socket and store in `http.ts`. Quotas are in memory (`quotas.ts`); those of accounts that have used much are
 * saved now and then, so that a restart of the node does not begin them anew.
 */

import type { Behavior, Context, Pid } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, MediaMessage } from '../messages.ts';
import { Quotas, type SavedQuota } from './quotas.ts';
import { sealTicket } from './ticket.ts';

export interface KeeperArgs {
  readonly ticketKey: Uint8Array;
  /** Runs one slice and sends `swept`. Absent on workers that do not sweep. */
  readonly sweep: ((self: Pid) => void) | undefined;
  /** What was saved before this life of the actor. */
  readonly loadQuotas: () => readonly SavedQuota[];
  /** Saves in the background. */
  readonly saveQuotas: (quotas: readonly SavedQuota[]) => void;
}

export interface KeeperState extends KeeperArgs {
  readonly quotas: Quotas;
  /** Whether a quota was used since the last save; a timer is set then. */
  isUnsaved: boolean;
  /** Removed in the present round. */
  removed: number;
}

const SWEEP = 'sweep';
const SAVE = 'save';

export const keeper: Behavior<KeeperState, KeeperArgs, MediaMessage> = {
  name: 'actors/media/keeper',

  init(args, ctx) {
    // So that `terminate` saves.
    ctx.trapExit(true);
    if (args.sweep !== undefined) ctx.sendAfter(LIMITS.mediaSweepSliceMs, SWEEP);
    const quotas = new Quotas();
    quotas.restore(args.loadQuotas(), ctx.clock.monotonicMs(), ctx.clock.nowMs());
    return { ...args, quotas, isUnsaved: false, removed: 0 };
  },

  handleCast(message, state, ctx) {
    if (message.kind === 'swept') return noteSwept(message, state, ctx);
    const { connection, iq, user, bytes } = message;
    const tell = (answer: ConnectionMessage): void => void ctx.cast(connection, answer);
    const refusal = refuseUpload(user, bytes, state, ctx);
    if (refusal !== undefined) return tell({ kind: 'answer-refused', iq, refusal });
    const id = Buffer.from(ctx.random.bytes(16)).toString('hex');
    const expiresAtMs = Math.floor(ctx.clock.nowMs()) + LIMITS.mediaTicketAgeMs;
    const ticket = sealTicket(state.ticketKey, { expiresAtMs, user, bytes, id });
    tell({ kind: 'answer', iq, answer: { kind: 'media-ticket', ticket, expires: LIMITS.mediaTicketAgeMs / 1000 } });
  },

  handleInfo(info, state, ctx) {
    if (info === SWEEP) state.sweep?.(ctx.self);
    else if (info === SAVE) save(state, ctx);
  },

  terminate(_reason, state, ctx) {
    save(state, ctx);
  },

  // The key of tickets is for nobody's eyes.
  systemGetState: ({ quotas, isUnsaved, removed }) => ({ quotas, isUnsaved, removed }),
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
function refuseUpload(user: string, bytes: number, state: KeeperState, ctx: Context): Refusal | undefined {
  if (bytes > LIMITS.mediaBytesMax) return { code: 'APP_MEDIA_TOO_LARGE' };
  const retryAfter = state.quotas.take(user, bytes, ctx.clock.monotonicMs());
  if (retryAfter > 0) return { code: 'APP_MEDIA_QUOTA', retryAfter };
  if (!state.isUnsaved) ctx.sendAfter(LIMITS.mediaQuotaSaveMs, SAVE);
  state.isUnsaved = true;
  return undefined;
}

function save(state: KeeperState, ctx: Context): void {
  if (!state.isUnsaved) return;
  state.isUnsaved = false;
  state.saveQuotas(state.quotas.heavy(ctx.clock.monotonicMs(), ctx.clock.nowMs()));
}
