/**
 * How text from strangers becomes cells of a terminal: what is safe to print, and how wide it is.
 */

const segmenter = new Intl.Segmenter();

/**
 * Control characters (escape sequences begin with one) and the marks that turn the direction of writing around: a
 * message must not be able to move the cursor, colour the screen, or make a number look like another.
 */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Ranges of code points that take two cells. Coarse on purpose: a wrong guess costs a crooked edge, not a crash. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

/** Text that may be printed: line feeds stay, a tab becomes a blank, other control characters a replacement mark. */
export function printable(text: string): string {
  return text.replace(/\r\n?/g, '\n').replaceAll('\t', ' ').replace(UNSAFE, '\u{fffd}');
}

/** The text's grapheme clusters: what a person calls characters. */
export function clustersOf(text: string): string[] {
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** Cells that one cluster takes. */
export function clusterWidth(cluster: string): number {
  const point = cluster.codePointAt(0) ?? 0;
  // A variation selector 16 asks for the emoji form, which is wide.
  if (cluster.includes('\u{fe0f}')) return 2;
  return WIDE.some(([first, last]) => point >= first && point <= last) ? 2 : 1;
}

/** Cells that a text takes in one line. */
export function widthOf(text: string): number {
  return clustersOf(text).reduce((width, cluster) => width + clusterWidth(cluster), 0);
}

/** As much of a text as fits into `columns` cells. */
export function cut(text: string, columns: number): string {
  let width = 0;
  let fitting = '';
  for (const cluster of clustersOf(text)) {
    width += clusterWidth(cluster);
    if (width > columns) break;
    fitting += cluster;
  }
  return fitting;
}

/** The same, with a mark where something is missing. */
export function shorten(text: string, columns: number): string {
  return widthOf(text) <= columns ? text : `${cut(text, columns - 1)}\u2026`;
}

/** Breaks a text into lines of at most `columns` cells: at line feeds, else at blanks, else anywhere. */
export function wrap(text: string, columns: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, Math.max(2, columns)));
}

function wrapLine(line: string, columns: number): string[] {
  const lines: string[] = [];
  let current = '';
  let width = 0;
  for (const cluster of clustersOf(line)) {
    const cells = clusterWidth(cluster);
    if (width + cells > columns) {
      const blank = cluster === ' ' ? current.length : current.lastIndexOf(' ');
      const cut = blank > 0 ? blank : current.length;
      lines.push(current.slice(0, cut));
      current = current.slice(cut).trimStart();
      width = widthOf(current);
      if (cluster === ' ' && current === '') continue;
    }
    current += cluster;
    width += cells;
  }
  return [...lines, current];
}
