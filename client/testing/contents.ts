/**
 * Contents in vectors: JSON has no byte strings, so they stand there as `{ hex }`.
 */

/** The bytes of a hexadecimal text; blanks are ignored. */
export function bytesOf(hex: string): Uint8Array {
  const digits = hex.replace(/\s/g, '').match(/../g) ?? [];
  return Uint8Array.from(digits, (pair) => parseInt(pair, 16));
}

/** A content of a vector, with its byte strings as bytes. */
export function contentOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(contentOf);
  if (typeof value !== 'object' || value === null) return value;
  if ('hex' in value && typeof value.hex === 'string') return bytesOf(value.hex);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, contentOf(each)]));
}
