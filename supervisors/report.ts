/**
 * Structured reports of what supervisors meet. Each says which supervisor, in which context, why, and about whom.
 *
 * No arguments and no state of a child: they may hold what users wrote.
 */

import { type Context, type ExitReason, formatExitReason, formatPid, type Pid } from '../runtime/index.ts';
import type { FullChildSpec } from './child-spec.ts';
import type { ReportContext } from './decision.ts';

/** The child a report is about. */
export interface Offender {
  readonly pid: Pid | undefined;
  readonly spec: Pick<FullChildSpec, 'id' | 'restart' | 'shutdown' | 'type'> & {
    start: { behavior: { name: string } };
  };
}

/** The field `supervisor` of a report. */
export interface Reporter {
  readonly name: string;
}

/** Writes one report, as `supervisor_report`, at error level: a child that ends unexpectedly is worth a look. */
export function reportChild(
  ctx: Context,
  supervisor: Reporter,
  context: ReportContext,
  reason: ExitReason,
  offender: Offender,
): void {
  const { spec, pid } = offender;
  ctx.log.error('supervisor_report', {
    supervisor: supervisor.name,
    supervisorPid: formatPid(ctx.self),
    context,
    reason: context === 'shutdown' ? 'reached_max_restart_intensity' : formatExitReason(reason),
    offender: {
      id: spec.id,
      pid: pid === undefined ? undefined : formatPid(pid),
      behavior: spec.start.behavior.name,
      restart: spec.restart,
      shutdown: spec.shutdown,
      type: spec.type,
    },
  });
}
