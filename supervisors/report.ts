/**
 * Structured reports of what supervisors meet: OTP's supervisor report, as data. Each says which supervisor, in which
 * context, why, and about whom; it goes to the log, and to an actor if the supervisor was given one.
 *
 * No arguments and no state of a child: they may hold what users wrote.
 */

import { type Context, type ExitReason, formatExitReason, formatPid, type Pid, type Target } from '../runtime/index.ts';
import type { FullChildSpec } from './child-spec.ts';
import type { ErrorContext, ReportReason } from './decision.ts';

/** What the actor behind `reportTo` gets by `send`. Plain data, the same on every worker. */
export interface SupervisorReport {
  readonly type: 'SUPERVISOR_REPORT';
  /** The supervisor's name. */
  readonly supervisor: string;
  readonly supervisorPid: Pid;
  readonly errorContext: ErrorContext;
  readonly reason: ReportReason;
  readonly offender: Offender;
}

/** The child that a report is about. */
export interface Offender extends Pick<FullChildSpec, 'id' | 'restart' | 'shutdown' | 'type' | 'significant'> {
  /** Undefined if it does not run or there are several. */
  readonly pid: Pid | undefined;
  /** How many children of a dynamic supervisor it stands for. */
  readonly count: number;
  /** The name of its behaviour. */
  readonly behavior: string;
}

/** Who reports, and where to besides the log. */
export interface Reporter {
  readonly name: string;
  readonly reportTo: Target | undefined;
}

/** What is known of an offender. */
export interface Reported {
  readonly spec: FullChildSpec;
  readonly pid: Pid | undefined;
  readonly count?: number;
}

/** Whether a message is a report. */
export function isSupervisorReport(info: unknown): info is SupervisorReport {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'SUPERVISOR_REPORT';
}

/**
 * Writes one report, as `supervisor_report`, at error level: a child that ends unexpectedly is worth a look. If the actor
 * behind `reportTo` takes no more, it misses this report; the log has it.
 *
 * Source: OTP's supervisor report, with its keys `errorContext`, `reason`, `offender`.
 */
export function reportChild(
  ctx: Context,
  { name, reportTo }: Reporter,
  errorContext: ErrorContext,
  reason: ReportReason,
  child: Reported,
): void {
  const offender = offenderOf(child);
  const report = { supervisor: name, supervisorPid: ctx.self, errorContext, reason, offender };
  ctx.log.error('supervisor_report', {
    ...report,
    supervisorPid: formatPid(ctx.self),
    reason: formatReason(reason),
    offender: { ...offender, pid: offender.pid === undefined ? undefined : formatPid(offender.pid) },
  });
  if (reportTo !== undefined) ctx.send(reportTo, { type: 'SUPERVISOR_REPORT', ...report } satisfies SupervisorReport);
}

function offenderOf({ spec, pid, count = 1 }: Reported): Offender {
  const { id, restart, shutdown, type, significant, start } = spec;
  return { id, pid, count, behavior: start.behavior.name, restart, shutdown, type, significant };
}

function formatReason(reason: ReportReason): string {
  return reason === 'reached_max_restart_intensity' ? reason : formatExitReason(reason as ExitReason);
}
