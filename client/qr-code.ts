/**
 * The picture of a QR code, as modules: for a linking code or a safety code that another device is to scan from the screen.
 *
 * ```ts
 * const code = encodeQr(linking.code);
 * for (let row = 0; row < code.size; row += 1) draw(row, (column) => code.isDark(row, column));
 * ```
 *
 * Who draws leaves four modules free on all sides. Knows no screen. Read first: `qr-codewords.ts`, which says what is in it.
 *
 * Source: ISO/IEC 18004:2015, sections 7.7 to 7.10. Vectors: `testing/qr-vectors.json`.
 */

import { encodeCodewords } from './qr-codewords.ts';
import type { QrLevel } from './qr-codewords.ts';

export type { QrLevel };

/** Modules that are to stay light around the picture, so that it is found. */
export const QR_QUIET_MODULES: 4 = 4;

/** A picture. */
export interface QrCode {
  /** 1 to 20. */
  readonly version: number;
  /** 0 to 7. */
  readonly mask: number;
  /** Modules on a side, 17 + 4 × version. */
  readonly size: number;
  /** From the upper left corner, from 0. Everything outside of the picture is light. */
  readonly isDark: (row: number, column: number) => boolean;
}

/** How a picture is made. */
export interface QrOptions {
  /** L unless said otherwise: a screen is neither torn nor dirty, and a small picture is easier to scan. */
  readonly level?: QrLevel;
  /** 0 to 7; the one that reads best unless said otherwise. */
  readonly mask?: number;
}

/** Modules of one picture while it is drawn. */
interface Grid {
  readonly size: number;
  /** 1: dark. */
  readonly modules: Uint8Array;
  /** 1: part of what every picture of the version has; no data, never masked. */
  readonly fixed: Uint8Array;
}

/** Whether a mask turns the module of a row and a column. Table 10 of the standard. */
const MASKS: readonly ((row: number, column: number) => boolean)[] = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

const LEVEL_BITS: Readonly<Record<QrLevel, number>> = { L: 0b01, M: 0b00 };

/**
 * Makes the picture of a content.
 *
 * @param content - Text of digits, capitals and a few signs takes least; other text is written in UTF-8. Bytes are borrowed.
 * @throws {RangeError} When it is longer than a picture of version 20 holds: 858 bytes, or 1,249 capitals, with level L.
 */
export function encodeQr(content: string | Uint8Array, { level = 'L', mask }: QrOptions = {}): QrCode {
  const encoded = encodeCodewords(content, level);
  if (encoded === undefined) throw new RangeError('"content" expected to fit a QR code of version 20');
  if (mask !== undefined && MASKS[mask] === undefined) throw new RangeError('"mask" expected 0 to 7');
  const { version, codewords } = encoded;
  const plain = drawFixed(version);
  drawCodewords(plain, codewords);
  const candidates = mask === undefined ? MASKS.map((_, each) => each) : [mask];
  const drawn = candidates.map((each) => ({ mask: each, grid: masked(plain, each, level) }));
  const best = drawn.length === 1 ? drawn[0]! : leastOf(drawn);
  const { size, modules } = best.grid;
  const isInside = (at: number): boolean => at >= 0 && at < size;
  const isDark = (row: number, column: number): boolean =>
    isInside(row) && isInside(column) && modules[row * size + column] === 1;
  return { version, mask: best.mask, size, isDark };
}

interface Drawn {
  readonly mask: number;
  readonly grid: Grid;
}

function leastOf(drawn: readonly Drawn[]): Drawn {
  const rated = drawn.map((each) => ({ each, penalty: penaltyOf(each.grid) }));
  return rated.reduce((best, other) => (other.penalty < best.penalty ? other : best)).each;
}

// --- what every picture of a version has ------------------------------------------------------------------------

function drawFixed(version: number): Grid {
  const size = 17 + 4 * version;
  const grid: Grid = { size, modules: new Uint8Array(size * size), fixed: new Uint8Array(size * size) };
  for (let at = 0; at < size; at += 1) {
    setFixed(grid, 6, at, at % 2 === 0);
    setFixed(grid, at, 6, at % 2 === 0);
  }
  for (const [row, column] of [
    [3, 3],
    [3, size - 4],
    [size - 4, 3],
  ] as const) {
    drawFinder(grid, row, column);
  }
  drawAlignments(grid, version);
  // Kept free; what stands there depends on the mask.
  drawFormat(grid, 0);
  if (version >= 7) drawVersion(grid, version);
  return grid;
}

function setFixed({ size, modules, fixed }: Grid, row: number, column: number, isDark: boolean): void {
  if (row < 0 || row >= size || column < 0 || column >= size) return;
  modules[row * size + column] = isDark ? 1 : 0;
  fixed[row * size + column] = 1;
}

/** Three nested squares, with the light border that parts them from the data. */
function drawFinder(grid: Grid, centreRow: number, centreColumn: number): void {
  for (let row = -4; row <= 4; row += 1) {
    for (let column = -4; column <= 4; column += 1) {
      const ring = Math.max(Math.abs(row), Math.abs(column));
      setFixed(grid, centreRow + row, centreColumn + column, ring !== 2 && ring !== 4);
    }
  }
}

function drawAlignments(grid: Grid, version: number): void {
  const centres = alignmentCentres(version, grid.size);
  const last = centres.length - 1;
  for (const [i, row] of centres.entries()) {
    for (const [j, column] of centres.entries()) {
      // A finder is there.
      if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) continue;
      drawAlignment(grid, row, column);
    }
  }
}

/** Evenly spread from the far edge, in even steps; the first one stands in the timing row. Annex E of the standard. */
function alignmentCentres(version: number, size: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((size - 13) / (2 * count - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, index) => size - 7 - step * (count - 2 - index))];
}

function drawAlignment(grid: Grid, centreRow: number, centreColumn: number): void {
  for (let row = -2; row <= 2; row += 1) {
    for (let column = -2; column <= 2; column += 1) {
      setFixed(grid, centreRow + row, centreColumn + column, Math.max(Math.abs(row), Math.abs(column)) !== 1);
    }
  }
}

/** Level and mask, twice: around the upper left finder, and split between the two others. */
function drawFormat(grid: Grid, bits: number): void {
  const { size } = grid;
  for (let index = 0; index < 15; index += 1) {
    const isDark = ((bits >> index) & 1) === 1;
    // Around the timing row and column, which lie within.
    const near = index < 6 ? index : index < 8 ? index + 1 : 14 - index;
    if (index < 8) setFixed(grid, near, 8, isDark);
    else setFixed(grid, 8, index === 8 ? 7 : near, isDark);
    if (index < 8) setFixed(grid, 8, size - 1 - index, isDark);
    else setFixed(grid, size - 15 + index, 8, isDark);
  }
  setFixed(grid, size - 8, 8, true);
}

function drawVersion(grid: Grid, version: number): void {
  const bits = (version << 12) | checkBits(version, 12, 0x1f25);
  for (let index = 0; index < 18; index += 1) {
    const [near, far] = [Math.floor(index / 3), grid.size - 11 + (index % 3)];
    const isDark = ((bits >> index) & 1) === 1;
    setFixed(grid, near, far, isDark);
    setFixed(grid, far, near, isDark);
  }
}

/** The remainder of `value`, shifted by `count` bits, by a polynomial of that degree over two elements. */
function checkBits(value: number, count: number, polynomial: number): number {
  let rest = value;
  for (let index = 0; index < count; index += 1) rest = (rest << 1) ^ ((rest >> (count - 1)) * polynomial);
  return rest;
}

// --- data, and the mask over it ---------------------------------------------------------------------------------

/** In columns of two from the right, upwards and downwards in turn, around everything that is fixed. */
function drawCodewords({ size, modules, fixed }: Grid, codewords: Uint8Array): void {
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    // The timing column is no half of a pair.
    if (right === 6) right = 5;
    const isUpwards = ((right + 1) & 2) === 0;
    for (let step = 0; step < size * 2; step += 1) {
      const row = isUpwards ? size - 1 - (step >> 1) : step >> 1;
      const index = row * size + right - (step & 1);
      if (fixed[index] === 1 || at >= codewords.length * 8) continue;
      modules[index] = (codewords[at >> 3]! >> (7 - (at & 7))) & 1;
      at += 1;
    }
  }
}

function masked(plain: Grid, mask: number, level: QrLevel): Grid {
  const { size, fixed } = plain;
  const grid = { size, fixed, modules: plain.modules.slice() };
  const turns = MASKS[mask]!;
  for (let index = 0; index < size * size; index += 1) {
    if (fixed[index] === 0 && turns(Math.floor(index / size), index % size)) grid.modules[index]! ^= 1;
  }
  const format = (LEVEL_BITS[level] << 3) | mask;
  drawFormat(grid, ((format << 10) | checkBits(format, 10, 0x537)) ^ 0x5412);
  return grid;
}

// --- which mask reads best --------------------------------------------------------------------------------------

/** What makes a picture hard to read, weighed: long runs, blocks, what looks like a finder, and too much of one shade. */
function penaltyOf({ size, modules }: Grid): number {
  const row = (at: number): Uint8Array => modules.subarray(at * size, (at + 1) * size);
  const column = (at: number): Uint8Array =>
    Uint8Array.from({ length: size }, (_, index) => modules[index * size + at]!);
  let penalty = 0;
  for (let at = 0; at < size; at += 1) {
    for (const line of [row(at), column(at)]) penalty += penaltyOfRuns(line) + penaltyOfFinders(line);
  }
  const dark = modules.reduce((sum, module) => sum + module, 0);
  const steps = Math.floor(Math.abs(dark * 20 - modules.length * 10) / modules.length);
  return penalty + penaltyOfBlocks(modules, size) + 10 * steps;
}

function penaltyOfRuns(line: Uint8Array): number {
  let [penalty, run] = [0, 0];
  line.forEach((module, index) => {
    run = index > 0 && module === line[index - 1] ? run + 1 : 1;
    if (run === 5) penalty += 3;
    else if (run > 5) penalty += 1;
  });
  return penalty;
}

/** Dark, light, three dark, light, dark, with four light ones before or after. */
function penaltyOfFinders(line: Uint8Array): number {
  const text = line.join('');
  let penalty = 0;
  for (const pattern of ['10111010000', '00001011101']) {
    for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + 1)) penalty += 40;
  }
  return penalty;
}

function penaltyOfBlocks(modules: Uint8Array, size: number): number {
  let penalty = 0;
  for (let row = 0; row < size - 1; row += 1) {
    for (let at = row * size; at < (row + 1) * size - 1; at += 1) {
      const sum = modules[at]! + modules[at + 1]! + modules[at + size]! + modules[at + size + 1]!;
      if (sum === 0 || sum === 4) penalty += 3;
    }
  }
  return penalty;
}
