/**
 * What is told of a reload afterwards: one shape for the history, for `--json` and for people.
 */

import {
  percentileUs,
  REFUSALS,
  type Fault,
  type Refusal,
  type SweepReport,
  type TrialCounts,
} from '../../runtime/reload/index.ts';

/** `checked`: it could be applied and was not, as asked. */
export type Outcome = 'checked' | 'refused' | 'kept' | 'rolled_back';

export interface ReloadReport {
  /** Counts up over the life of the store. */
  readonly id: number;
  readonly name: string;
  readonly outcome: Outcome;
  /** Versions; `to` is undefined where it could not be told. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Whether this took an earlier reload back. */
  readonly isBack: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tookMs: number;
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
  readonly fault: Fault | undefined;
  /** From the first sign of the fault that was seen until no actor was left at the version. */
  readonly backMs: number | undefined;
  readonly bundle:
    | {
        readonly bytes: number;
        readonly modules: readonly string[];
        readonly bundleMs: number;
        readonly sha256: string;
      }
    | undefined;
  /** The longest of the workers. */
  readonly compileMs: number;
  readonly check: { readonly sampled: number; readonly replayed: number; readonly checkMs: number } | undefined;
  /** Actors that tried the version first. */
  readonly canaryActors: number;
  readonly sweep: SweepReport | undefined;
  /** The longest that the event loop of a worker was away at a time, from the compilation to the end. */
  readonly stallMs: number;
  /** The step of the worker in which that was, `''` if none was noticed. */
  readonly stallDuring: string;
  readonly counts: TrialCounts | undefined;
}

/** The report for people, without a line feed at its end. */
export function formatReport(report: ReloadReport): string {
  return [headline(report), ...reasons(report), ...details(report)].join('\n');
}

/** One line. What was only checked has no number of its own: nothing was done that a history could name. */
export function headline({ id, name, outcome, from, to, tookMs, isBack, startedAt }: ReloadReport): string {
  const versions = from === undefined ? '' : ` ${from} → ${to ?? '?'}`;
  const word = isBack && outcome === 'kept' ? 'taken back' : OUTCOMES[outcome];
  const number = outcome === 'checked' ? '' : `#${id} `;
  return `${number}${name}${versions}: ${word} in ${Math.round(tookMs)} ms, ${startedAt}`;
}

/** For people. */
export const OUTCOMES: Readonly<Record<Outcome, string>> = {
  checked: 'checked, nothing applied',
  refused: 'REFUSED',
  kept: 'reloaded',
  rolled_back: 'ROLLED BACK',
};

function reasons({ refusals, fault, backMs }: ReloadReport): string[] {
  const lines = refusals.flatMap(({ code, detail }) => {
    const { meaning, fix } = REFUSALS[code];
    return [`  ${code}: ${meaning}`, `    here: ${detail}`, `    fix:  ${fix}`];
  });
  if (fault !== undefined) {
    const back = backMs === undefined ? '' : `; all actors were back after ${Math.round(backMs)} ms`;
    lines.push(`  ${fault.code}: ${fault.detail}${back}`);
  }
  return lines;
}

function details({
  bundle,
  compileMs,
  check,
  canaryActors,
  sweep,
  stallMs,
  stallDuring,
  counts,
  notes,
}: ReloadReport): string[] {
  const lines: string[] = [];
  if (bundle !== undefined) {
    const size = `${(bundle.bytes / 1024).toFixed(0)} KiB of ${bundle.modules.length} modules`;
    lines.push(`  bundle   ${size} in ${bundle.bundleMs.toFixed(0)} ms, compiled in ${compileMs.toFixed(1)} ms`);
  }
  if (check !== undefined) {
    const done = `${check.sampled} states converted, ${check.replayed} messages replayed in a shadow`;
    lines.push(`  check    ${done}, ${check.checkMs.toFixed(0)} ms`);
  }
  if (canaryActors > 0) lines.push(`  canary   ${canaryActors} actors first`);
  if (sweep !== undefined) {
    const killed = sweep.killed > 0 ? `, ${sweep.killed} killed` : '';
    lines.push(`  sweep    ${sweep.moved} actors${killed}, longest slice ${sweep.longestSliceMs.toFixed(1)} ms`);
  }
  if (stallMs > 0) {
    // Reports of an earlier version do not say when.
    const during = stallDuring ? `, in the step ${stallDuring}` : '';
    lines.push(`  stall    no worker was away for longer than ${stallMs.toFixed(1)} ms${during}`);
  }
  if (counts !== undefined) lines.push(...describeCounts(counts));
  return [...lines, ...notes.map((note) => `  note     ${note}`)];
}

function describeCounts({ before, next, conversions, retried }: TrialCounts): string[] {
  const mean = conversions.done === 0 ? 0 : conversions.busyUs / conversions.done;
  const slowest = (conversions.slowestUs / 1_000).toFixed(2);
  const lines = [
    `  convert  ${conversions.done} states, ${mean.toFixed(1)} µs each, at most ${slowest} ms, ${conversions.failed} failed`,
    `  handled  ${next.handled} by the new version (${latency(next)}), ${before.handled} by the one before (${latency(before)})`,
  ];
  if (retried > 0) lines.push(`  retried  ${retried} messages by the version before`);
  return lines;
}

function latency(counts: TrialCounts['next']): string {
  if (counts.handled === 0) return 'none';
  return `${(counts.busyUs / counts.handled).toFixed(0)} µs on average, p99 below ${percentileUs(counts, 0.99)} µs`;
}
