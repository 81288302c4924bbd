/**
 * Sizes and spans of time as people read and type them: the same words in every chat. Pure.
 */

const SIZES = ['bytes', 'KB', 'MB', 'GB'] as const;

/** A size, in steps of a thousand, as files are listed: 999 bytes, 1.5 MB. */
export function sizeOf(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would be written as 1000.0 is one of the next unit.
  while (unit < SIZES.length - 1 && (unit === 0 ? value >= 1_000 : value >= 999.95)) {
    value /= 1_000;
    unit += 1;
  }
  if (unit === 0) return `${value} ${value === 1 ? 'byte' : 'bytes'}`;
  return `${value.toFixed(1)} ${SIZES[unit]}`;
}

const SPANS: readonly (readonly [letter: string, seconds: number, word: string])[] = [
  ['d', 86_400, 'day'],
  ['h', 3_600, 'hour'],
  ['m', 60, 'minute'],
  ['s', 1, 'second'],
];

/** A span of time in the largest unit that it is whole in. */
export function spanOf(seconds: number): string {
  const [, unit, word] = SPANS.find(([, unit]) => seconds % unit === 0)!;
  const count = seconds / unit;
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** The seconds of a span such as 30s, 5m, 8h, 7d or off; undefined for anything else. */
export function parseSpan(text: string): number | undefined {
  if (text === 'off') return 0;
  const [, count, letter] = /^(\d{1,8})([smhd])$/.exec(text) ?? [];
  const unit = SPANS.find(([each]) => each === letter)?.[1];
  return unit === undefined ? undefined : Number(count) * unit;
}
