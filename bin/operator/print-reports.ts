/** How reported messages look. */

import type { ReportDetails } from '../../actors/admin/report-questions.ts';
import type { ReportList } from '../../actors/admin/report-verbs.ts';
import { bytes, count, harmless, table } from './text.ts';

export function printReports({ rows, reporters, errors = [] }: ReportList): string {
  if (rows.length === 0) return ['nothing has been reported', ...errors].join('\n');
  const cells = rows.map(({ report, at, sender, senderDevice, reporter, id, evidenceBytes }) => [
    report,
    new Date(at).toISOString(),
    `${sender}.${senderDevice}`,
    count(reporters[sender] ?? 0),
    reporter,
    count(id),
    evidenceBytes === 0 ? '' : bytes(evidenceBytes),
  ]);
  const head = ['REPORT', 'AT', 'SENDER', 'REPORTERS', 'REPORTER', 'ID', 'DISCLOSED'];
  return [table(head, cells, [false, false, false, true, false, true, true]), ...errors].join('\n');
}

export function printReport(details: ReportDetails): string {
  const { report, at, sender, senderDevice, senderCreation, reporter, id, evidence } = details;
  const rows: [string, string][] = [
    ['at', new Date(at).toISOString()],
    ['sender', `${sender}, device ${senderDevice}, registration ${senderCreation}`],
    ['reporter', reporter],
    ['message', count(id)],
  ];
  return [table(['report', report], rows), '', ...disclosure(evidence)].join('\n');
}

/** Text as text, for a terminal: it is a stranger's, so nothing in it may steer one. */
function disclosure(evidence: string): string[] {
  if (evidence === '') return ['The reporter disclosed nothing of it.'];
  const raw = Buffer.from(evidence, 'base64');
  const text = raw.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(raw);
  const shown = isText ? harmless(text) : evidence;
  return [`Disclosed by the reporter, who alone vouches for it${isText ? '' : ', base64'}:`, '', shown];
}
