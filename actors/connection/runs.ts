/**
 * What was handed over to recipients, or to groups, and has no answer yet: for each a list of runs of ids, in the order in which they were handed over.
 *
 * A client goes back to what was refused while answers to what followed it are still on their way, so an id may be unanswered twice. Each copy stands for itself: a
 * refusal answers one of them, the oldest, and leaves the others. An acknowledgement is cumulative, and covers all copies of all smaller ids.
 */

import { LIMITS } from '../limits.ts';

/** Ids in a row, all of them unanswered. */
export interface Run {
  first: number;
  last: number;
  /** It was there at the last look. */
  wasSeen: boolean;
  /** Copies beyond what is counted are in it: no refusal shortens it, for others of the same id may be under way. */
  isBlurred?: true;
}

/** By recipient or group; nobody without a run. */
export type Runs = Map<string, Run[]>;

/** `id` is handed over. Of a client that goes back all the time and waits for no answer the last run takes all, until it is acknowledged, or overdue. */
export function handOver(runs: Runs, name: string, id: number): void {
  const own = runs.get(name);
  const run = own?.at(-1);
  if (own === undefined || run === undefined) runs.set(name, [{ first: id, last: id, wasSeen: false }]);
  // What is new to a look must not be taken for what it has seen.
  else if (id === run.last + 1 && !run.wasSeen) run.last = id;
  else if (own.length < LIMITS.unansweredRunsMax) own.push({ first: id, last: id, wasSeen: false });
  else Object.assign(run, { first: Math.min(run.first, id), last: Math.max(run.last, id), isBlurred: true });
}

/** Everything up to `id` is stored. */
export function takeStored(runs: Runs | undefined, name: string, id: number): void {
  const own = runs?.get(name);
  if (own === undefined) return;
  let kept = 0;
  for (const run of own) {
    if (run.last <= id) continue;
    run.first = Math.max(run.first, id + 1);
    own[kept++] = run;
  }
  own.length = kept;
  if (kept === 0) runs!.delete(name);
}

/** A copy of `id` was refused. What was handed over before it and after it has answers of its own. */
export function takeRefused(runs: Runs | undefined, name: string, id: number): void {
  const own = runs?.get(name) ?? [];
  const at = own.findIndex(({ first, last, isBlurred }) => isBlurred !== true && first <= id && id <= last);
  if (at < 0) return;
  const { first, last, wasSeen } = own[at]!;
  const rest: Run[] = [];
  if (first < id) rest.push({ first, last: id - 1, wasSeen });
  if (id < last) rest.push({ first: id + 1, last, wasSeen });
  own.splice(at, 1, ...rest);
  if (own.length === 0) runs!.delete(name);
}

/** The last id before `id` that is unanswered; 0 for none. */
export function lastBefore(runs: Runs | undefined, name: string, id: number): number {
  let before = 0;
  for (const { first, last } of runs?.get(name) ?? [])
    if (first < id) before = Math.max(before, Math.min(last, id - 1));
  return before;
}

/** Whether something was there at the last look and still is. What is there is seen from now on. */
export function seeAll(runs: Runs | undefined): boolean {
  let isOverdue = false;
  for (const own of runs?.values() ?? []) {
    for (const run of own) {
      isOverdue ||= run.wasSeen;
      run.wasSeen = true;
    }
  }
  return isOverdue;
}

/** What is acknowledged up to `id` is not awaited any more. @param awaited - First ids, by recipient or group. */
export function forgetThrough(awaited: Map<string, number> | undefined, name: string, id: number): void {
  if (awaited !== undefined && (awaited.get(name) ?? Infinity) <= id) awaited.delete(name);
}
