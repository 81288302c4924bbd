/**
 * A QR code in a terminal: two modules in a cell, dark on light whatever the terminal's colours are.
 */

import { encodeQr, QR_QUIET_MODULES } from '../../index.ts';

/** Black on white, both as they are and not as a theme has them. */
const INK = '\u001b[38;5;16m\u001b[48;5;231m';
const RESET = '\u001b[0m';
/** By upper and lower module. */
const HALVES = [' ', '\u2584', '\u2580', '\u2588'] as const;

/** @returns The lines of the picture; undefined where it does not fit, for one that is cut or wrapped cannot be scanned. */
export function drawQr(content: string, columns: number): string[] | undefined {
  const { size, isDark } = encodeQr(content);
  const [from, to] = [-QR_QUIET_MODULES, size + QR_QUIET_MODULES];
  if (to - from > columns) return undefined;
  const lines: string[] = [];
  for (let row = from; row < to; row += 2) {
    let line = '';
    for (let column = from; column < to; column += 1) {
      line += HALVES[(isDark(row, column) ? 2 : 0) + (isDark(row + 1, column) ? 1 : 0)];
    }
    lines.push(`${INK}${line}${RESET}`);
  }
  return lines;
}
