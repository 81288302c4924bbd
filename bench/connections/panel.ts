/**
 * The live panel of a crowd: some lines of a terminal that are written over each other. Where there is no terminal, one
 * line every ten seconds. Text in, text out; `crowd.ts` knows the figures.
 */

/** What is shown. */
export interface PanelView {
  readonly phase: string;
  readonly elapsedS: number;
  readonly connected: number;
  readonly target: number;
  readonly perSecond: number;
  readonly messagesPerSecond: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly p999Ms: number | undefined;
  readonly serverCores: number | undefined;
  readonly generatorCores: number | undefined;
  readonly serverBytes: number | undefined;
  readonly generatorBytes: number | undefined;
  readonly availableBytes: number | undefined;
  /** By cause. */
  readonly errors: Readonly<Record<string, number>>;
}

const BAR = 40;
const BAR_MIN = 10;
/** Between two parts of a line. */
const GAP = '   ';

/** The panel in lines that are shorter than `columns`: a line that wraps by itself could not be written over. */
export function formatPanel(view: PanelView, columns: number = Infinity): string[] {
  return partsOf(view, columns).flatMap((parts) => wrap(parts, columns - 1));
}

/** What stands in a line where there is room. */
function partsOf(view: PanelView, columns: number): string[][] {
  const errors = Object.entries(view.errors).map(([cause, count]) => `${cause} ${count}`);
  return [
    [`${view.phase}, ${Math.round(view.elapsedS)} s`],
    formatBar(view, columns),
    [
      `messages ${count(view.messagesPerSecond)}/s`,
      `p50 ${ms(view.p50Ms)}`,
      `p99 ${ms(view.p99Ms)}`,
      `p99.9 ${ms(view.p999Ms)}`,
    ],
    [
      `server ${cores(view.serverCores)}, ${mib(view.serverBytes)}`,
      `generators ${cores(view.generatorCores)}, ${mib(view.generatorBytes)}`,
      `available ${mib(view.availableBytes)}`,
    ],
    [`errors ${errors.length === 0 ? 'none' : errors.join(', ')}`],
  ];
}

/** The bar is what gives way, as far as it stays one. */
function formatBar({ connected, target, perSecond }: PanelView, columns: number): string[] {
  const text = `${count(connected)} of ${count(target)}, ${count(perSecond)} logins/s`;
  const room = columns - 1 - text.length - GAP.length;
  const width = Math.max(BAR_MIN, Math.min(BAR, room));
  const share = target === 0 ? 0 : Math.min(1, connected / target);
  return ['█'.repeat(Math.round(share * width)).padEnd(width, '░'), text];
}

/** As many parts in a line as fit; one that does not fit alone is cut. */
function wrap(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const joined = last === undefined ? part : `${last}${GAP}${part}`;
    if (last === undefined) lines.push(part.slice(0, columns));
    else if (joined.length <= columns) lines[lines.length - 1] = joined;
    else lines.push(part.slice(0, columns));
  }
  return lines;
}

/** The same in one line, for a log. */
export function formatPanelLine(view: PanelView): string {
  const [phase, , messages, use, errors] = formatPanel(view);
  return `${phase}: ${count(view.connected)} of ${count(view.target)}; ${messages}; ${use}; ${errors}`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function ms(value: number | undefined): string {
  if (value === undefined) return '–';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

function cores(value: number | undefined): string {
  return value === undefined ? '– cores' : `${value.toFixed(2)} cores`;
}

function mib(bytes: number | undefined): string {
  if (bytes === undefined) return '– MiB';
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** Writes panels over each other. */
export class Panel {
  readonly #write: ((text: string) => void) | undefined;
  readonly #columns: () => number;
  #lines = 0;

  /**
   * @param write - To the terminal; `undefined` when there is none.
   * @param columns - Of the terminal, which may change.
   */
  constructor(write: ((text: string) => void) | undefined, columns: () => number = () => Infinity) {
    this.#write = write;
    this.#columns = columns;
  }

  show(view: PanelView): void {
    if (this.#write === undefined) return;
    const lines = formatPanel(view, this.#columns());
    // The panel before may have had more lines: what is below is erased with it.
    this.#write(`${this.#up()}\x1b[J${lines.join('\n')}\n`);
    this.#lines = lines.length;
  }

  #up(): string {
    return this.#lines === 0 ? '\r\x1b[2K' : `\x1b[${this.#lines}F`;
  }
}
