/**
 * The `Range` header of a download. Pure.
 *
 * One range of bytes is understood; a header with another unit or several ranges is ignored, as the specification allows, and
 * the whole is sent. Source: RFC 9110, sections 14.1.2 and 14.2.
 */

/** From `start`, up to and without `end`. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/** @returns The span; `undefined` for the whole; `'unsatisfiable'` where the range lies beyond the end. */
export function readRange(header: string, bytes: number): ByteSpan | undefined | 'unsatisfiable' {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (found === null) return undefined;
  const [, first = '', last = ''] = found;
  if (first === '') return last === '' ? undefined : lastBytes(Number(last), bytes);
  const start = Number(first);
  const end = last === '' ? bytes : Math.min(Number(last) + 1, bytes);
  if (last !== '' && Number(last) < start) return undefined;
  return start < bytes ? { start, end } : 'unsatisfiable';
}

function lastBytes(count: number, bytes: number): ByteSpan | 'unsatisfiable' {
  return count === 0 || bytes === 0 ? 'unsatisfiable' : { start: Math.max(0, bytes - count), end: bytes };
}
