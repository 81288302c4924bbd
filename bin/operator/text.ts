/** Figures and tables for people in a terminal. Nothing that came from elsewhere can steer one. */

/** Everything that a terminal might obey instead of showing it: control characters, and marks that turn the order of what is shown. */
const STEERING = /[\p{Cc}\p{Cf}]/gu;

/** Text of whoever, as a terminal may have it: with a dot for each sign that would steer it. Lines stay lines. */
export function harmless(text: string): string {
  return text.replace(STEERING, (sign) => (sign === '\n' ? sign : '\u00b7'));
}

/** The same within a line. */
function harmlessLine(text: string): string {
  return text.replace(STEERING, '\u00b7');
}

/** JSON of whatever, with escapes for those signs: to a program it is the same. */
export function harmlessJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(STEERING, (sign) => (sign === '\n' ? sign : escapes(sign)));
}

function escapes(sign: string): string {
  return Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  );
}

/** Columns as wide as they must be; numbers are written by the caller and stand to the right where `right` says so. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly boolean[] = [],
): string {
  const all = [head, ...rows].map((row) => row.map(harmlessLine));
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (right[column] === true ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `12.3 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let amount = value;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

/** `3 d 04:05:06`, or less. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}

/** `7 %`, with a digit more where it is small. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}
