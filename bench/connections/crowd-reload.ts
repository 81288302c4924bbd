/**
 * The code of connections is replaced on every node of a crowd while it is held: one node after the other, as an operator would do it.
 * Who is dropped by it counts among the unexpected closes, what is lost among the lost messages.
 */

import type { ReloadReport } from '../../actors/reload/report.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { interrupted } from '../harness/clock.ts';
import type { Recorder } from '../harness/report.ts';
import { LIMITS } from '../limits.ts';
import { reloadOnce, versionsOfBuild } from '../workloads/reload-versions.ts';

/** Each stage is watched for a moment; the whole of a node takes a second or two. */
const STAGES = { canary: '5%', observe: 80, record: 30 } as const;

/** Replaces the code on each node `rounds` times. @param sockets - Of the nodes' operators. */
export async function reloadAll(
  sockets: readonly string[],
  rounds: number,
  signal: AbortSignal,
): Promise<ReloadReport[]> {
  const versions = versionsOfBuild();
  const reports: ReloadReport[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const socket of sockets) {
        if (signal.aborted) throw interrupted();
        const admin = await AdminClient.connect(socket, LIMITS.statisticsMsMax);
        try {
          reports.push(await reloadOnce(admin, versions.file(round), STAGES));
        } finally {
          admin.close();
        }
      }
    }
  } finally {
    versions.remove();
  }
  return reports;
}

export function recordReloads(reports: readonly ReloadReport[], recorder: Recorder): void {
  if (reports.length === 0) return;
  const stalls = reports.map(({ stallMs }) => stallMs).sort((left, right) => left - right);
  recorder.metric('reloads', reports.length, 'op');
  recorder.metric('median_stall_ms', stalls[Math.floor(stalls.length / 2)], 'ms');
  recorder.metric('max_stall_ms', stalls.at(-1), 'ms');
  const converted = reports.reduce((sum, { counts }) => sum + (counts?.conversions.done ?? 0), 0);
  recorder.metric('converted_states', converted, 'op');
}
