/** How `blindbeam reload …` looks: what goes on as it comes, then the report. */

import { formatClusterReport } from '../../actors/nodes/reload-across.ts';
import type { EndedReload } from '../../actors/reload/history.ts';
import { formatReport, headline, type ReloadReport } from '../../actors/reload/report.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import type { LiveBehavior, ReloadMemory } from '../../runtime/reload/index.ts';
import type { AdminClient } from './client.ts';
import type { LiveOptions } from './command.ts';
import { bytes, harmless, harmlessJson, table } from './text.ts';

/** Runs a verb that reloads. Resolves to the exit code: 1 if it was refused or rolled back. */
export function liveReload(
  verb: string,
): (client: AdminClient, parameters: object, options: LiveOptions) => Promise<number> {
  return async (client, parameters, { json }) => {
    for await (const value of client.watch<ReloadProgress>(verb, parameters)) {
      if ('stage' in value) {
        if (!json) process.stderr.write(`  … ${harmless(value.stage)}\n`);
        continue;
      }
      const report = 'report' in value ? value.report : value.clusterReport;
      const text = 'report' in value ? formatReport(value.report) : formatClusterReport(value.clusterReport);
      process.stdout.write(`${json ? harmlessJson(report, 2) : harmless(text)}\n`);
      return report.outcome === 'kept' || report.outcome === 'checked' ? 0 : 1;
    }
    return 1;
  };
}

interface Behaviors {
  readonly behaviors: readonly LiveBehavior[];
  readonly ended: readonly EndedReload[];
}

export function printBehaviors({ behaviors, ended }: Behaviors): string {
  const rows = behaviors.map(({ name, version, loaded }) => [name, String(version), String(loaded)]);
  const notes = ended.map(
    ({ behavior, ran, runs }) =>
      `${behavior} ran version ${ran} before the node was started anew, and runs ${runs} as it was built: build it, or reload it again`,
  );
  return [table(['BEHAVIOUR', 'VERSION', 'IN MEMORY'], rows, [false, true, true]), ...notes].join('\n');
}

/** What `reload memory` found, worker by worker. */
export function printMemory({ workers }: { readonly workers: readonly ReloadMemory[] }): string {
  const rows = workers.map(({ heapBytes, loaded }, index) => [String(index + 1), bytes(heapBytes), String(loaded)]);
  return table(['WORKER', 'HEAP', 'RELOADED VERSIONS IN MEMORY'], rows, [true, true, true]);
}

/** How long each worker was away at a time. */
export function printStalls({ stallMs }: { readonly stallMs: readonly number[] }): string {
  const rows = stallMs.map((ms, index) => [String(index + 1), `${ms.toFixed(1)} ms`]);
  return table(['WORKER', 'LONGEST STALL'], rows, [true, true]);
}

interface History {
  /** Newest first. */
  readonly reports: readonly ReloadReport[];
  readonly lastIdBefore: number;
}

export function printHistory({ reports, lastIdBefore }: History): string {
  if (reports.length === 0) return 'nothing was reloaded yet';
  const lines = reports.map((report) => (report.outcome === 'kept' ? headline(report) : formatReport(report)));
  const before = reports.findIndex(({ id }) => id <= lastIdBefore);
  if (before >= 0) lines.splice(before, 0, '— the node was started anew, with what was built —');
  return lines.join('\n');
}
