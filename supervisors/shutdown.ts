/**
 * Stopping children: ask, wait as long as the specification allows, then kill.
 */

import type { Context, ExitReason, Pid } from '../runtime/index.ts';
import type { Shutdown } from './child-spec.ts';
import { LIMITS } from './limits.ts';

/**
 * Ends one child and resolves when it is gone.
 *
 * The wait is a monitor, which also covers a child that unlinked itself. The link stays, so that a supervisor that is
 * killed while it waits takes the child along; the `Exit` that comes of it is from nobody the supervisor still knows.
 *
 * @returns The exit reason; `'noproc'` if the child had already ended.
 * Source: OTP's supervisor, shutdown of a child. Differs: OTP unlinks first and may leave an orphan.
 */
export async function stopChild(ctx: Context, pid: Pid, shutdown: Shutdown): Promise<ExitReason> {
  if (shutdown === 'brutal_kill') {
    ctx.exit(pid, 'kill');
    return endOf(ctx, pid);
  }
  ctx.exit(pid, 'shutdown');
  if (shutdown === 'infinity') return endOf(ctx, pid);
  const reason = await ctx.awaitExit(pid, shutdown);
  if (reason !== 'timeout') return reason;
  ctx.exit(pid, 'kill');
  return endOf(ctx, pid);
}

/** Ends many children side by side, LIMITS.stopBatchCount at a time. `onError` hears of those that ended otherwise. */
export async function stopAll(
  ctx: Context,
  pids: Iterable<Pid>,
  shutdown: Shutdown,
  onError: (pid: Pid, reason: ExitReason) => void,
): Promise<void> {
  const stopOne = async (pid: Pid): Promise<void> => {
    const reason = await stopChild(ctx, pid, shutdown);
    if (isShutdownError(shutdown, reason)) onError(pid, reason);
  };
  let batch: Promise<void>[] = [];
  for (const pid of pids) {
    batch.push(stopOne(pid));
    if (batch.length < LIMITS.stopBatchCount) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
}

/** Whether a child that was told to stop ended in a way that deserves a report. */
export function isShutdownError(shutdown: Shutdown, reason: ExitReason): boolean {
  if (reason === 'shutdown' || reason === 'normal' || reason === 'noproc') return false;
  if (typeof reason === 'object' && 'shutdown' in reason) return false;
  return !(reason === 'killed' && shutdown === 'brutal_kill');
}

async function endOf(ctx: Context, pid: Pid): Promise<ExitReason> {
  return (await ctx.awaitExit(pid, 'infinity')) as ExitReason;
}
