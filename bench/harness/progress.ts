/**
 * One line on a terminal that says what is going on. Where there is no terminal there is no line.
 */

export class ProgressLine {
  readonly #write: ((text: string) => void) | undefined;
  readonly #columns: () => number;
  #isShown = false;

  /**
   * @param write - To the terminal; `undefined` when there is none.
   * @param columns - Of the terminal, which may change: what is longer is cut, since a line that wraps cannot be erased.
   */
  constructor(write: ((text: string) => void) | undefined, columns: () => number = () => Infinity) {
    this.#write = write;
    this.#columns = columns;
  }

  /** Shows `text` in place of what is shown. */
  show(text: string): void {
    const room = Math.max(0, this.#columns() - ELLIPSIS.length - 1);
    this.#write?.(`${ERASE_LINE}${text.slice(0, room)}${ELLIPSIS}`);
    this.#isShown = true;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isShown) this.#write?.(ERASE_LINE);
    this.#isShown = false;
  }
}

const ELLIPSIS = ' …';

/** To the start of the line, and erase what stands there. */
const ERASE_LINE = '\r\x1b[2K';
