/**
 * Stopping a child: ask, wait as long as the specification allows, then kill. Read next: `reaper.ts`, for very many.
 */

import { type Context, type ExitReason, isAbnormal, type Pid } from '../runtime/index.ts';
import type { FullChildSpec } from './child-spec.ts';

/** What stopping a child depends on. */
export type StopSpec = Pick<FullChildSpec, 'restart' | 'shutdown'>;

/**
 * Ends one child and resolves when it is gone.
 *
 * The wait is a monitor, which also covers a child that unlinked itself. The link stays, so that a supervisor that is
 * killed while it waits takes the child along; the `Exit` that comes of it is from nobody the supervisor still knows.
 *
 * @returns The exit reason; `'noproc'` if the child had already ended.
 * Source: OTP's supervisor, shutdown of a child. Differs: OTP unlinks first and may leave an orphan.
 */
export async function stopChild(ctx: Context, pid: Pid, { shutdown }: StopSpec): Promise<ExitReason> {
  if (shutdown === 'brutal_kill') {
    ctx.exit(pid, 'kill');
    return endOf(ctx, pid);
  }
  ctx.exit(pid, 'shutdown');
  const reason = await ctx.awaitExit(pid, shutdown);
  if (reason !== 'timeout') return reason;
  ctx.exit(pid, 'kill');
  return endOf(ctx, pid);
}

/**
 * Whether a child that was told to stop ended in a way that deserves a report: `'normal'` and `{ shutdown }` do for a
 * permanent one, which should have waited to be told.
 *
 * Source: OTP's supervisor. Differs: of a child that had already ended (`'noproc'`) the reason is not known here; if it
 * crashed, the runtime has logged that.
 */
export function isShutdownError({ restart, shutdown }: StopSpec, reason: ExitReason): boolean {
  if (reason === 'noproc') return false;
  if (shutdown === 'brutal_kill' ? reason === 'killed' : reason === 'shutdown') return false;
  return restart === 'permanent' || isAbnormal(reason);
}

/** Waits for the end of `pid`, however long it takes. */
export async function endOf(ctx: Context, pid: Pid): Promise<ExitReason> {
  return (await ctx.awaitExit(pid, 'infinity')) as ExitReason;
}
