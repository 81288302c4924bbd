/**
 * One line on a terminal that says what is going on. Where there is no terminal there is no line.
 */

export class ProgressLine {
  readonly #write: ((text: string) => void) | undefined;
  #isShown = false;

  /** @param write - To the terminal; `undefined` when there is none. */
  constructor(write: ((text: string) => void) | undefined) {
    this.#write = write;
  }

  /** Shows `text` in place of what is shown. */
  show(text: string): void {
    this.#write?.(`${ERASE_LINE}${text} …`);
    this.#isShown = true;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isShown) this.#write?.(ERASE_LINE);
    this.#isShown = false;
  }
}

/** To the start of the line, and erase what stands there. */
const ERASE_LINE = '\r\x1b[2K';
