/**
 * Stopping very many children at once, without a promise for each.
 *
 * A supervisor in its `terminate` handles no messages, so it cannot hear of their ends itself. A reaper does: it monitors
 * them from its `init` on, counts, and ends when they all have; what went wrong is its exit reason. It stops nobody: only
 * their parent can end actors that trap exits. A supervisor that is killed meanwhile takes its reapers along, by the link.
 */

import assert from 'node:assert/strict';

import {
  type Behavior,
  type Context,
  type ExitReason,
  formatExitReason,
  isDown,
  isShutdownWithData,
  type Pid,
} from '../runtime/index.ts';
import { LIMITS } from './limits.ts';
import { endOf, isShutdownError, type StopSpec } from './shutdown.ts';

/** That `count` children ended for `reason`, and should not have. */
export interface ShutdownError {
  readonly reason: ExitReason;
  readonly count: number;
}

/**
 * Ends many children side by side and resolves when all are gone: each has its time, counted together, so a million
 * that take none are gone at once and a million that ignore it are killed when it is over.
 *
 * They are told in batches with a pause in between, in which those of the batch end and sockets are read. A batch is
 * watched by a `reaper`: a monitor for each child and one wait for all.
 *
 * @param children - By pid. If some ignore their time, all are killed; to those that have ended by then that is nothing.
 * @returns Those that ended otherwise than they should, grouped by reason.
 */
export async function stopMany(
  ctx: Context,
  children: ReadonlyMap<Pid, unknown>,
  spec: StopSpec,
): Promise<ShutdownError[]> {
  const request = spec.shutdown === 'brutal_kill' ? 'kill' : 'shutdown';
  const reapers: Pid[] = [];
  const ends: Promise<ExitReason>[] = [];
  for (const batch of batchesOf(children.keys())) {
    if (reapers.length > 0) await ctx.awaitExit(reapers.at(-1)!, LIMITS.stopPauseMs);
    const watching = startReaper(ctx, batch, spec);
    for (const pid of batch) ctx.exit(pid, request);
    reapers.push(watching);
    ends.push(endOf(ctx, watching));
  }
  if (typeof spec.shutdown === 'number' && !(await endWithin(ctx, reapers, spec.shutdown))) {
    for (const pid of children.keys()) ctx.exit(pid, 'kill');
  }
  return (await Promise.all(ends)).flatMap(errorsOf);
}

export interface ReaperArgs {
  readonly pids: readonly Pid[];
  /** Tells which reasons are errors. */
  readonly spec: StopSpec;
}

interface State {
  readonly spec: StopSpec;
  left: number;
  /** By the text of the reason: a million children that fail the same way are one entry. */
  readonly errors: Map<string, ShutdownError>;
}

const reaper: Behavior<State, ReaperArgs> = Object.freeze({
  name: 'reaper',

  init({ pids, spec }: ReaperArgs, ctx: Context): State {
    for (const pid of pids) ctx.monitor(pid);
    return { spec, left: pids.length, errors: new Map() };
  },

  handleInfo(info: unknown, state: State, ctx: Context): void {
    if (!isDown(info)) return;
    state.left -= 1;
    if (isShutdownError(state.spec, info.reason)) addError(state.errors, info.reason);
    if (state.left === 0) ctx.stop({ shutdown: [...state.errors.values()] });
  },
});

/** Waits for all of `reapers` with one wait, on a reaper of reapers. Returns whether they have ended in time. */
async function endWithin(ctx: Context, reapers: readonly Pid[], timeoutMs: number): Promise<boolean> {
  if (reapers.length === 0) return true;
  const last = reapers.length === 1 ? reapers[0]! : startReaper(ctx, reapers, { restart: 'temporary', shutdown: 1 });
  return (await ctx.awaitExit(last, timeoutMs)) !== 'timeout';
}

/** Starts a reaper that watches `pids` from this moment on. */
function startReaper(ctx: Context, pids: readonly Pid[], spec: StopSpec): Pid {
  const started = ctx.startLink(reaper, { pids, spec });
  assert.ok('ok' in started, 'the init of a reaper neither waits nor fails');
  return started.ok;
}

function errorsOf(reason: ExitReason): ShutdownError[] {
  // Otherwise somebody killed the reaper: what it has seen is gone.
  return isShutdownWithData(reason) ? (reason.shutdown as ShutdownError[]) : [];
}

function* batchesOf(pids: Iterable<Pid>): Generator<readonly Pid[]> {
  let batch: Pid[] = [];
  for (const pid of pids) {
    batch.push(pid);
    if (batch.length < LIMITS.stopBatchCount) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function addError(errors: Map<string, ShutdownError>, reason: ExitReason): void {
  const text = formatExitReason(reason);
  errors.set(text, { reason, count: (errors.get(text)?.count ?? 0) + 1 });
}
