/**
 * The first half of a QR code: text or bytes to the row of codewords that its picture shows, with their error correction.
 *
 *   content ─▶ mode, length, bits ─▶ padding ─▶ blocks ─▶ Reed–Solomon for each ─▶ interleaved
 *
 * Model 2, the modes for bytes and for capitals, levels L and M, versions 1 to 20: what a device shows to another one, and no more.
 * Knows no picture; that is `qr-code.ts`.
 *
 * Source: ISO/IEC 18004:2015, sections 7.3 to 7.6 and annex A. Vectors: `testing/qr-vectors.json`.
 */

/** How much of a picture may be unreadable: about 7 % with L, 15 % with M. */
export type QrLevel = 'L' | 'M';

/** The largest version: 97 modules on a side, 858 bytes with L. */
const QR_VERSION_MAX: 20 = 20;

/** By level and version, from 1: check codewords of a block (`checks`), and how many blocks. Table 9 of the standard. */
const BLOCKS: Readonly<Record<QrLevel, { readonly checks: readonly number[]; readonly blocks: readonly number[] }>> = {
  L: {
    checks: [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28],
    blocks: [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8],
  },
  M: {
    checks: [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26],
    blocks: [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16],
  },
};

/** What two characters of share eleven bits, by value. */
const CAPITALS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

const MODE_CAPITALS = 0b0010;
const MODE_BYTES = 0b0100;
/** From this version on lengths take more bits. */
const WIDE_VERSION = 10;

/** Bits of a content, before a version is chosen: all but the length, whose width depends on it. */
interface Segment {
  readonly mode: number;
  /** Characters, or bytes. */
  readonly count: number;
  readonly countBits: readonly [narrow: number, wide: number];
  readonly bits: readonly number[];
}

/**
 * @param content - Text is written as capitals where it consists of them, otherwise in UTF-8.
 * @returns The smallest version that holds it, and its codewords; undefined where none does.
 */
export function encodeCodewords(
  content: string | Uint8Array,
  level: QrLevel,
): { readonly version: number; readonly codewords: Uint8Array } | undefined {
  const segment = segmentOf(content);
  for (let version = 1; version <= QR_VERSION_MAX; version += 1) {
    const bits = frame(segment, version);
    const capacity = dataCount(version, level);
    if (bits.length > capacity * 8) continue;
    return { version, codewords: interleave(padded(bits, capacity), version, level) };
  }
  return undefined;
}

/** Codewords of a version, data and checks: its modules without finders, timing, alignment, format and version. */
function codewordCount(version: number): number {
  const alignments = Math.floor(version / 7) + 2;
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) modules -= (25 * alignments - 10) * alignments - 55;
  if (version >= 7) modules -= 36;
  return Math.floor(modules / 8);
}

function dataCount(version: number, level: QrLevel): number {
  const { checks, blocks } = BLOCKS[level];
  return codewordCount(version) - checks[version - 1]! * blocks[version - 1]!;
}

function segmentOf(content: string | Uint8Array): Segment {
  if (typeof content === 'string' && [...content].every((character) => CAPITALS.includes(character))) {
    return { mode: MODE_CAPITALS, count: content.length, countBits: [9, 11], bits: capitalBits(content) };
  }
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const bits: number[] = [];
  for (const byte of bytes) pushBits(bits, byte, 8);
  return { mode: MODE_BYTES, count: bytes.length, countBits: [8, 16], bits };
}

function capitalBits(text: string): number[] {
  const bits: number[] = [];
  for (let index = 0; index < text.length; index += 2) {
    const [first, second] = [CAPITALS.indexOf(text[index]!), CAPITALS.indexOf(text[index + 1] ?? 'x')];
    if (second === -1) pushBits(bits, first, 6);
    else pushBits(bits, first * CAPITALS.length + second, 11);
  }
  return bits;
}

function frame({ mode, count, countBits: [narrow, wide], bits }: Segment, version: number): number[] {
  const framed: number[] = [];
  pushBits(framed, mode, 4);
  pushBits(framed, count, version < WIDE_VERSION ? narrow : wide);
  return framed.concat(bits);
}

/** With up to four zeros as the end, zeros to a whole byte, and two bytes in turn up to the capacity. */
function padded(bits: readonly number[], capacity: number): Uint8Array {
  const bytes = new Uint8Array(capacity);
  bits.forEach((bit, index) => (bytes[index >> 3]! |= bit << (7 - (index & 7))));
  const used = Math.ceil(Math.min(bits.length + 4, capacity * 8) / 8);
  for (let index = used; index < capacity; index += 1) bytes[index] = (index - used) % 2 === 0 ? 0xec : 0x11;
  return bytes;
}

/** Cuts the data into blocks, the shorter ones first, and takes a byte of each in turn: first of the data, then of the checks. */
function interleave(data: Uint8Array, version: number, level: QrLevel): Uint8Array {
  const checkCount = BLOCKS[level].checks[version - 1]!;
  const blockCount = BLOCKS[level].blocks[version - 1]!;
  const shortLength = Math.floor(data.length / blockCount);
  const shortCount = blockCount - (data.length % blockCount);
  const generator = generatorOf(checkCount);
  const blocks: Uint8Array[] = [];
  for (let index = 0, at = 0; index < blockCount; index += 1) {
    const length = index < shortCount ? shortLength : shortLength + 1;
    blocks.push(data.subarray(at, (at += length)));
  }
  const checks = blocks.map((block) => remainder(block, generator));
  return Uint8Array.from([...columns(blocks, shortLength + 1), ...columns(checks, checkCount)]);
}

function columns(rows: readonly Uint8Array[], length: number): number[] {
  const bytes: number[] = [];
  for (let column = 0; column < length; column += 1) {
    for (const row of rows) if (column < row.length) bytes.push(row[column]!);
  }
  return bytes;
}

function pushBits(bits: number[], value: number, count: number): void {
  for (let shift = count - 1; shift >= 0; shift -= 1) bits.push((value >> shift) & 1);
}

/** Product in the field of 256 elements with x⁸ + x⁴ + x³ + x² + 1. */
function multiply(one: number, other: number): number {
  let product = 0;
  for (let shift = 7; shift >= 0; shift -= 1) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    if ((other >> shift) & 1) product ^= one;
  }
  return product;
}

/** Coefficients below the leading 1 of the product of (x − 2ⁱ) for i from 0 to `degree` − 1, the highest first. */
function generatorOf(degree: number): Uint8Array {
  const coefficients = new Uint8Array(degree);
  coefficients[degree - 1] = 1;
  for (let index = 0, root = 1; index < degree; index += 1, root = multiply(root, 2)) {
    for (let at = 0; at < degree; at += 1) {
      coefficients[at] = multiply(coefficients[at]!, root) ^ (coefficients[at + 1] ?? 0);
    }
  }
  return coefficients;
}

/** The check codewords of a block: what is left of it, shifted, after division by the generator. */
function remainder(block: Uint8Array, generator: Uint8Array): Uint8Array {
  const rest = new Uint8Array(generator.length);
  for (const byte of block) {
    const factor = byte ^ rest[0]!;
    rest.copyWithin(0, 1);
    rest[rest.length - 1] = 0;
    generator.forEach((coefficient, index) => (rest[index]! ^= multiply(coefficient, factor)));
  }
  return rest;
}
