/**
 * A report as one page that needs nothing else: figures, charts of what moved, thresholds, doubts, and the environment that
 * shows the same again. Text in, text out; charts are SVG. No script: it opens anywhere, for as long as there are browsers.
 */

import { describeGaveOut, type Report, type Series, type ThresholdOutcome, type Unit } from './report.ts';
import { formatOutcome, formatValue } from './table.ts';

const WIDTH = 860;
const HEIGHT = 260;
const LEFT = 76;
const BOTTOM = 34;
const TOP = 12;
const COLOURS = ['#1f6feb', '#d1570b', '#2b8a3e', '#8250df', '#b42318', '#0b7285'] as const;
const TICKS = 5;

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:920px;margin:2rem auto;padding:0 1rem;color:#1c2128;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{padding:.25rem .6rem;border-bottom:1px solid #d8dee4;text-align:right}td:first-child,th:first-child{text-align:left;font-family:ui-monospace,monospace;font-size:.9em}
.met{color:#2b8a3e}.missed{color:#b42318}svg{width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#57606a}code{font-size:.85em;overflow-wrap:anywhere}`;

/** The whole page. */
export function formatPage(report: Report, outcomes: readonly ThresholdOutcome[]): string {
  const title = escape(`bench ${report.workload} at ${report.commit}`);
  const sections = [formatHead(report), formatFigures(report), formatCharts(report), formatOutcomes(outcomes)];
  const body = [...sections, formatGaveOut(report), formatNotes(report), formatEnvironment(report)].join('\n');
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>`;
  return `<!doctype html>\n<html lang="en"><head>${head}<style>${STYLE}</style></head>\n<body><h1>${title}</h1>\n${body}\n</body></html>\n`;
}

function formatHead({ machine, date }: Report): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const line = `${date}; ${machine.cores} × ${machine.cpu}, ${memory}, ${machine.kernel}, Node ${machine.node}`;
  return `<p>${escape(line)}</p>`;
}

function formatFigures({ metrics }: Report): string {
  const peers = [...new Set(Object.values(metrics).flatMap((metric) => Object.keys(metric.peers)))];
  const head = ['figure', 'value', 'unit', ...peers.map((peer) => `${peer} (ratio)`)];
  const rows = Object.entries(metrics).map(([name, { value, unit, peers: figures }]) => [
    name,
    formatValue(value, unit),
    unit,
    ...peers.map((peer) => {
      const figure = figures[peer];
      return figure === undefined ? '' : `${formatValue(figure.value, unit)} (${figure.ratio.toFixed(2)})`;
    }),
  ]);
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  return `<h2>Figures</h2><table>${line(head, 'th')}${rows.map((row) => line(row, 'td')).join('')}</table>`;
}

function formatOutcomes(outcomes: readonly ThresholdOutcome[]): string {
  if (outcomes.length === 0) return '';
  const items = outcomes.map((outcome) => {
    return `<li class="${outcome.isMet ? 'met' : 'missed'}">${escape(formatOutcome(outcome))}</li>`;
  });
  return `<h2>Thresholds</h2><ul>${items.join('')}</ul>`;
}

/** A mark was missed: what of the machine was short, in the order in which it gave out. */
function formatGaveOut({ gaveOut = [] }: Report): string {
  if (gaveOut.length === 0) return '';
  const items = gaveOut.map((found) => `<li>${escape(describeGaveOut(found))}</li>`);
  return `<h2>What gave out first</h2><ol>${items.join('')}</ol>`;
}

function formatNotes({ notes = [], distrusted = [], params }: Report): string {
  const failed = params.failed === undefined ? [] : [`The run ended early: ${params.failed}.`];
  const items = [...failed, ...distrusted, ...notes].map((note) => `<li>${escape(String(note))}</li>`);
  return items.length === 0 ? '' : `<h2>Doubts</h2><ul>${items.join('')}</ul>`;
}

function formatEnvironment({ environment, params }: Report): string {
  if (environment === undefined) return '';
  const { command, descriptors, settings, nodeOptions, loadBefore } = environment;
  const rows = { ...params, descriptors, NODE_OPTIONS: nodeOptions, 'load before': loadBefore, ...settings };
  const lines = Object.entries(rows).map(([name, value]) => {
    return `<tr><td>${escape(name)}</td><td>${escape(String(value))}</td></tr>`;
  });
  return `<h2>To repeat it</h2><p><code>npx blindbeam ${escape(command)}</code></p><table>${lines.join('')}</table>`;
}

// --- charts --------------------------------------------------------------------------------------------------------

function formatCharts({ series = {} }: Report): string {
  const charts = [...new Set(Object.values(series).map(({ chart }) => chart))];
  return charts.map((chart) => formatChart(chart, series)).join('\n');
}

function formatChart(chart: string, all: Readonly<Record<string, Series>>): string {
  const shown = Object.entries(all).filter(([, series]) => series.chart === chart);
  const unit = shown[0]![1].unit;
  const points = shown.flatMap(([, series]) => series.points);
  const scale = scaleOf(points);
  const lines = shown.map(([, series], index) => formatLine(series, scale, colourOf(index)));
  const keys = shown.map(([name], index) => formatKey(name, index));
  const frame = `${formatGrid(scale, unit)}${lines.join('')}${keys.join('')}`;
  const label = escape(chart);
  return `<h2>${label}</h2><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${frame}</svg>`;
}

interface Scale {
  readonly secondsMax: number;
  readonly valueMax: number;
}

/** From zero, up to a round number above the largest value. */
function scaleOf(points: readonly (readonly [number, number])[]): Scale {
  const largest = points.reduce((max, [, value]) => Math.max(max, value), 0);
  const power = 10 ** Math.floor(Math.log10(largest || 1));
  const valueMax = [1, 2, 2.5, 5, 10].map((step) => step * power).find((value) => value >= largest) ?? 1;
  return { valueMax, secondsMax: points.reduce((max, [seconds]) => Math.max(max, seconds), 1) };
}

function place([seconds, value]: readonly [number, number], { secondsMax, valueMax }: Scale): string {
  const x = LEFT + (seconds / secondsMax) * (WIDTH - LEFT - 8);
  const y = HEIGHT - BOTTOM - (value / valueMax) * (HEIGHT - BOTTOM - TOP);
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function formatLine({ points }: Series, scale: Scale, colour: string): string {
  const path = points.map((point) => place(point, scale)).join(' ');
  return `<polyline fill="none" stroke="${colour}" stroke-width="1.6" points="${path}"/>`;
}

function formatKey(name: string, index: number): string {
  const x = LEFT + 8 + index * 150;
  return `<rect x="${x}" y="${HEIGHT - 12}" width="10" height="3" fill="${colourOf(index)}"/><text x="${x + 14}" y="${HEIGHT - 7}">${escape(name)}</text>`;
}

function formatGrid(scale: Scale, unit: Unit): string {
  const rows = Array.from({ length: TICKS + 1 }, (_, index) => {
    const value = (scale.valueMax * index) / TICKS;
    const [, y] = place([0, value], scale).split(',');
    return `<line x1="${LEFT}" x2="${WIDTH - 8}" y1="${y}" y2="${y}" stroke="#d8dee4"/><text x="${LEFT - 6}" y="${Number(y) + 4}" text-anchor="end">${escape(formatTick(value, unit))}</text>`;
  });
  const columns = Array.from({ length: TICKS + 1 }, (_, index) => {
    const seconds = (scale.secondsMax * index) / TICKS;
    const [x] = place([seconds, 0], scale).split(',');
    const anchor = index === TICKS ? 'end' : 'middle';
    return `<text x="${x}" y="${HEIGHT - BOTTOM + 14}" text-anchor="${anchor}">${Math.round(seconds)} s</text>`;
  });
  return rows.join('') + columns.join('');
}

/** Short enough for the margin: `1.00M client`, `9.3 GiB`. */
function formatTick(value: number, unit: Unit): string {
  if (unit === 'bytes' && value >= 2 ** 30) return `${(value / 2 ** 30).toFixed(1)} GiB`;
  if (unit === 'bytes' && value >= 2 ** 20) return `${formatValue(value, unit)}B`;
  if (value >= 1e6) return `${formatValue(value / 1e6, unit)}M ${unit}`;
  if (value >= 1e4) return `${formatValue(value / 1e3, unit)}k ${unit}`;
  return `${formatValue(value, unit)} ${unit}`;
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
