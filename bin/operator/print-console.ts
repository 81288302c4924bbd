/** How the answers about the page, crashes and the audit log look. */

import type { AuditLine } from '../../actors/admin/audit.ts';
import type { ConsoleAddress, CrashRow } from '../../actors/console/verbs.ts';
import { table } from './text.ts';

export function printConsole({ url, token }: ConsoleAddress): string {
  const { port } = new URL(url);
  return [
    `${url}#token=${token}`,
    '',
    `Open it in a browser of this machine. From elsewhere: ssh -L ${port}:127.0.0.1:${port} HOST, then the same address there.`,
    'The token changes whenever the node starts.',
  ].join('\n');
}

export function printCrashes({ crashes }: { readonly crashes: readonly CrashRow[] }): string {
  if (crashes.length === 0) return 'Nothing has crashed since the node was started.';
  return crashes.map(crashText).join('\n\n');
}

function crashText({ atMs, worker, event, fields }: CrashRow): string {
  const { stack, ...rest } = fields as { readonly stack?: string } & Readonly<Record<string, unknown>>;
  const pairs = Object.entries(rest).map(
    ([name, value]) => `  ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const head = `${new Date(atMs).toISOString()}  worker ${worker}  ${event}`;
  return [head, ...pairs, ...(stack === undefined ? [] : [`  ${stack.replaceAll('\n', '\n  ')}`])].join('\n');
}

export function printAudit({ lines }: { readonly lines: readonly AuditLine[] }): string {
  const rows = lines.map((line) => [
    String(line['time'] ?? ''),
    String(line['entry'] ?? ''),
    String(line['verb'] ?? ''),
    String(line['via'] ?? ''),
    line['outcome'] === undefined ? JSON.stringify(line['parameters'] ?? {}) : String(line['outcome']),
  ]);
  return table(['TIME', 'ENTRY', 'VERB', 'VIA', 'PARAMETERS OR OUTCOME'], rows);
}
