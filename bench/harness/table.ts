/**
 * A report for people: one line a figure, the peers beside it, thresholds and doubts below.
 */

import { describeGaveOut, type GaveOut, type Metric, type Report, type ThresholdOutcome, type Unit } from './report.ts';

const COLUMN_GAP = '  ';

/** The whole table, ending in a newline. */
export function formatReport(report: Report, outcomes: readonly ThresholdOutcome[], notes: readonly string[]): string {
  const sections = [
    formatHead(report),
    formatMetrics(report.metrics),
    ...outcomes.map(formatOutcome),
    ...(report.gaveOut ?? []).map(formatGaveOut),
    ...(report.distrusted ?? []).map(formatDoubt),
    ...notes.map(formatNote),
  ];
  return `${sections.filter((section) => section !== '').join('\n')}\n`;
}

function formatHead({ workload, commit, machine, params }: Report): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const settings = Object.entries(params).map(([name, value]) => `${name} ${value}`);
  return [
    `${workload} at ${commit}`,
    `${machine.cores} × ${machine.cpu}, ${memory}, ${machine.kernel}, Node ${machine.node}`,
    `${settings.join(', ')}\n`,
  ].join('\n');
}

function formatMetrics(metrics: Readonly<Record<string, Metric>>): string {
  const peers = [...new Set(Object.values(metrics).flatMap((metric) => Object.keys(metric.peers)))];
  const head = ['metric', 'value', 'unit', ...peers.map((peer) => `${peer} (ratio)`)];
  const rows = Object.entries(metrics).map(([name, { value, unit, peers: figures }]) => [
    name,
    formatValue(value, unit),
    unit,
    ...peers.map((peer) => formatPeer(figures[peer], unit)),
  ]);
  return alignColumns([head, ...rows]);
}

function formatPeer(figure: Metric['peers'][string] | undefined, unit: Unit): string {
  return figure === undefined ? '' : `${formatValue(figure.value, unit)} (${figure.ratio.toFixed(2)})`;
}

/** Figures are good to two or three digits; more would claim what a shared machine cannot give. */
export function formatValue(value: number, unit: Unit): string {
  if (unit === 'bytes' && value >= 2 ** 20) return `${(value / 2 ** 20).toFixed(1)} Mi`;
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Pads columns: the first to the left, the others to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join(COLUMN_GAP),
  );
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

const SIGNS = { 'at-least': '≥', 'at-most': '≤', below: '<' } as const;

/** A threshold and what became of it, in one line. */
export function formatOutcome({ metric, peer, bound, value, isMet, measured }: ThresholdOutcome): string {
  const subject = peer === undefined ? metric : `${metric}, ratio to ${peer},`;
  const promise = `${subject} ${SIGNS[bound]} ${value.toLocaleString('en')}`;
  if (isMet) return `met     ${promise}`;
  return `missed  ${promise}${measured === undefined ? ' (not measured)' : ''}`;
}

/** They stand in order: what gave out first is the first of its phase. */
function formatGaveOut(found: GaveOut, index: number, all: readonly GaveOut[]): string {
  const isFirst = all.findIndex(({ phase }) => phase === found.phase) === index;
  return `${isFirst ? 'short' : 'then '}   ${describeGaveOut(found)}`;
}

function formatDoubt(doubt: string): string {
  return `doubt   ${doubt}`;
}

function formatNote(note: string): string {
  return `note    ${note}`;
}
