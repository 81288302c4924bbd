/**
 * The adapter to a terminal: keys in, frames out, and everything put back at the end.
 *
 * It draws on the alternate screen, so that the shell's text is there again afterwards, and writes only the lines that
 * changed since the last frame: a check mark that turns into two is a rewrite of one line. It knows no chat.
 */

import { emitKeypressEvents } from 'node:readline';
import type { Key } from './editor.ts';
import type { Frame } from './screen.ts';

/** What the terminal tells. */
export interface TerminalListener {
  onKey(input: string | undefined, key: Key): void;
  /** The size changed, or the picture was lost: draw anew. */
  onResize(): void;
  /** The input has ended. */
  onEnd(): void;
}

const ENTER = '\u001b[?1049h\u001b[?2004h';
const LEAVE = '\u001b[?2004l\u001b[?1049l\u001b[?25h';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

/** One terminal, taken over until `close`. */
export class Terminal {
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #onKeypress: (input: string | undefined, key: Key) => void;
  readonly #onResize: () => void;
  readonly #onEnd: () => void;
  #shown: readonly string[] = [];
  #isClosed = false;

  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream, listener: TerminalListener) {
    this.#input = input;
    this.#output = output;
    this.#onKeypress = (text, key) => listener.onKey(text, key);
    this.#onEnd = () => listener.onEnd();
    this.#onResize = () => {
      this.#shown = [];
      listener.onResize();
    };
    emitKeypressEvents(input);
    input.setRawMode(true);
    input.on('keypress', this.#onKeypress).on('end', this.#onEnd).resume();
    output.on('resize', this.#onResize).write(ENTER);
  }

  get rows(): number {
    return this.#output.rows;
  }

  get columns(): number {
    return this.#output.columns;
  }

  /** Shows a frame; only what differs from the last one is written. */
  draw(frame: Frame): void {
    if (this.#isClosed) return;
    let changes = '';
    frame.lines.forEach((line, row) => {
      if (this.#shown[row] !== line) changes += `${moveTo(row, 0)}${line}\u001b[K`;
    });
    const { row, column } = frame.cursor;
    this.#shown = frame.lines;
    this.#output.write(HIDE_CURSOR + changes + moveTo(row, column) + SHOW_CURSOR);
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#input.off('keypress', this.#onKeypress).off('end', this.#onEnd);
    this.#output.off('resize', this.#onResize);
    this.#output.write(LEAVE);
    // A terminal that was hung up has no mode left to set.
    if (!this.#input.destroyed) this.#input.setRawMode(false);
    this.#input.pause();
  }
}

function moveTo(row: number, column: number): string {
  return `\u001b[${row + 1};${column + 1}H`;
}
