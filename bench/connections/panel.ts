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

export function formatPanel(view: PanelView): string[] {
  const share = view.target === 0 ? 0 : Math.min(1, view.connected / view.target);
  const bar = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░');
  const errors = Object.entries(view.errors).map(([cause, count]) => `${cause} ${count}`);
  return [
    `${view.phase}, ${Math.round(view.elapsedS)} s`,
    `${bar} ${count(view.connected)} of ${count(view.target)}, ${count(view.perSecond)} logins/s`,
    `messages ${count(view.messagesPerSecond)}/s   p50 ${ms(view.p50Ms)}   p99 ${ms(view.p99Ms)}   p99.9 ${ms(view.p999Ms)}`,
    `server ${cores(view.serverCores)}, ${mib(view.serverBytes)}   generators ${cores(view.generatorCores)}, ${mib(view.generatorBytes)}   available ${mib(view.availableBytes)}`,
    `errors ${errors.length === 0 ? 'none' : errors.join(', ')}`,
  ];
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
  #lines = 0;

  /** @param write - To the terminal; `undefined` when there is none. */
  constructor(write: ((text: string) => void) | undefined) {
    this.#write = write;
  }

  show(view: PanelView): void {
    if (this.#write === undefined) return;
    const lines = formatPanel(view);
    this.#write(`${this.#up()}${lines.map((line) => `\x1b[2K${line}`).join('\n')}\n`);
    this.#lines = lines.length;
  }

  #up(): string {
    return this.#lines === 0 ? '\r\x1b[2K' : `\x1b[${this.#lines}F`;
  }
}
