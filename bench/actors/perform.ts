/**
 * How the programs run their actors: a root that is called once and answers when the work is done. What it started is
 * linked to it and ends with it.
 */

import type { Behavior, Pid, RuntimeNode } from '../../runtime/index.ts';
import { BenchError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** The one request of a root. */
export type Start = 'start';

/** What a root answered, and how long it took from the request. */
export interface Performance<Reply> {
  readonly reply: Reply;
  readonly elapsedMs: number;
}

/** Spawns a root, has it do its work, and ends it with everything that is linked to it. */
export async function perform<State, Args, Cast, Reply>(
  node: RuntimeNode,
  root: Behavior<State, Args, Cast, Start, Reply>,
  args: Args,
  endMsMax: number = LIMITS.programEndMsMax,
): Promise<Performance<Reply>> {
  const before = node.info().processCount;
  const pid = node.spawn(root, args);
  const performance = await request<Reply>(node, pid);
  await endRoot(node, pid, before, endMsMax);
  return performance;
}

/** Asks a root for its work. */
export async function request<Reply>(
  node: RuntimeNode,
  root: Pid,
  what: unknown = 'start',
): Promise<Performance<Reply>> {
  const startMs = node.clock.monotonicMs();
  const reply = await node.call<Reply>(root, what, LIMITS.programMsMax);
  return { reply, elapsedMs: node.clock.monotonicMs() - startMs };
}

/**
 * Ends a root and waits until no more than `count` actors are left.
 *
 * @throws {BenchError} BENCH_RESULT if some stay.
 */
export async function endRoot(
  node: RuntimeNode,
  root: Pid,
  count: number,
  endMsMax: number = LIMITS.programEndMsMax,
): Promise<void> {
  node.exit(root, 'shutdown');
  await node.awaitExit(root, LIMITS.programMsMax);
  const deadlineMs = node.clock.monotonicMs() + endMsMax;
  while (node.info().processCount > count) {
    if (node.clock.monotonicMs() > deadlineMs) {
      throw new BenchError('BENCH_RESULT', `${node.info().processCount - count} actors outlived their program`);
    }
    await new Promise<void>((resolve) => void node.clock.setTimer(1, resolve));
  }
}
