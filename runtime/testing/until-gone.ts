/** For tests of processes that must not outlive others: whether one is there, and a patient wait for its end. */

import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 60_000;

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** @returns Whether it has ended within a minute. */
export async function untilGone(pid: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 20) {
    if (!isAlive(pid)) return true;
    await delay(20);
  }
  return false;
}
