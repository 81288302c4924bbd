/** How `blindbeam reload …` looks: what goes on as it comes, then the report. */

import { formatClusterReport } from '../../actors/nodes/reload-across.ts';
import { formatReport, headline, type ReloadReport } from '../../actors/reload/report.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import type { LiveBehavior } from '../../runtime/reload/index.ts';
import type { AdminClient } from './client.ts';
import type { LiveOptions } from './command.ts';
import { harmless, harmlessJson, table } from './text.ts';

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

export function printBehaviors({ behaviors }: { readonly behaviors: readonly LiveBehavior[] }): string {
  const rows = behaviors.map(({ name, version, loaded }) => [name, String(version), String(loaded)]);
  return table(['BEHAVIOUR', 'VERSION', 'LOADED'], rows, [false, true, true]);
}

export function printHistory({ reports }: { readonly reports: readonly ReloadReport[] }): string {
  if (reports.length === 0) return 'nothing was reloaded yet';
  return reports.map((report) => (report.outcome === 'kept' ? headline(report) : formatReport(report))).join('\n');
}
