/**
 * The verbs about reported messages: `report list`, `report show`. The first tells metadata; the second also what the reporter disclosed,
 * and each look at that is in the audit log.
 */

import { askEach, type Askable } from './ask.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkId } from './parameters.ts';
import type { ReportDetails, ReportRow } from './report-questions.ts';
import { defineVerb, type Verb } from './verb.ts';

export const REPORT_LIST = {
  name: 'report.list',
  summary: 'reported messages, the newest first: who reported whom, and when; never what was said',
  changes: false,
  parameters: {
    sender: { kind: 'text', help: 'only of this sender, by id', position: 1 },
    rows: { kind: 'integer', min: 1, max: 200, default: 50, help: 'reports shown' },
  },
} as const;

export const REPORT_SHOW = {
  name: 'report.show',
  summary: 'one report, with what the reporter disclosed of the message',
  // Nothing is changed, but somebody has looked at what a person showed: that is recorded as a change is.
  changes: true,
  parameters: {
    report: { kind: 'text', help: 'the report, as "report list" names it', required: true, position: 1 },
  },
} as const;

/** Reports of the whole node. */
export interface ReportList {
  readonly rows: readonly ReportRow[];
  /** Different accounts among the reporters shown, by sender: it is their number that counts. */
  readonly reporters: Readonly<Record<string, number>>;
  /** Which workers did not say. */
  readonly errors?: readonly string[];
}

export function reportVerbs(workers: Askable): Verb[] {
  return [
    defineVerb(REPORT_LIST, ({ sender, rows }) => list(workers, sender, rows)),
    defineVerb(REPORT_SHOW, ({ report }) => show(workers, report)),
  ];
}

async function list(workers: Askable, sender: string | undefined, rows: number): Promise<ReportList> {
  if (sender !== undefined) checkId('sender', sender);
  const answerMs = sender === undefined ? LIMITS.workerAnswerMs : LIMITS.searchAnswerMs;
  const each = await askEach<{ readonly rows: ReportRow[] }>(workers, 'reports', { sender, rows }, answerMs);
  const found = each.flatMap((answer) => ('ok' in answer ? answer.ok.rows : []));
  const shown = found.sort((one, other) => other.at - one.at).slice(0, rows);
  const errors = each.flatMap((answer) => ('error' in answer ? [answer.error] : []));
  const result = { rows: shown, reporters: countReporters(shown) };
  return errors.length === 0 ? result : Object.assign(result, { errors });
}

function countReporters(rows: readonly ReportRow[]): Record<string, number> {
  const known = new Map<string, Set<string>>();
  for (const { sender, reporter } of rows) known.set(sender, (known.get(sender) ?? new Set()).add(reporter));
  return Object.fromEntries([...known].map(([sender, reporters]) => [sender, reporters.size]));
}

async function show(workers: Askable, report: string): Promise<ReportDetails> {
  const [, shard, place] = /^(\d{1,6})\.(\d{1,15})$/.exec(report) ?? [];
  if (place === undefined)
    throw new AdminError('ADM_BAD_PARAMETER', '"report" expected what "report list" tells, such as 3.41');
  const question = { shard: Number(shard), place: Number(place) };
  const each = await askEach<{ here: false } | ({ here: true } & ReportDetails)>(workers, 'report', question);
  for (const answer of each) {
    if (!('ok' in answer) || !answer.ok.here) continue;
    const { here: _, ...details } = answer.ok;
    return details;
  }
  const failed = each.find((answer) => 'error' in answer);
  if (failed !== undefined && 'error' in failed) throw new AdminError('ADM_NO_ANSWER', failed.error);
  throw new AdminError('ADM_NOT_FOUND', 'no such report on this node: the oldest ones make room');
}
