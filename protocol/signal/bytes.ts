/**
 * Byte strings: joining, comparing in public, and the check that every exported function makes of its arguments.
 *
 * Comparison here is for public values only and stops at the first difference; secrets are compared by
 * `Primitives.equal`. Hex and base64 are nobody's business in this folder.
 */

/** Joins `parts` into one new array, owned by the caller. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** A copy in its own buffer: a plain Uint8Array even where `source` is a Node Buffer or a view of a pool. */
export function copyOf(source: Uint8Array): Uint8Array {
  return new Uint8Array(source);
}

/** Whether two **public** values are equal. Not constant time. */
export function samePublicBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left === right) return true;
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

/**
 * Checks a developer's argument.
 *
 * @throws {TypeError} not a Uint8Array. @throws {RangeError} not `length` bytes long.
 */
export function requireBytes(field: string, value: Uint8Array, length?: number): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`"${field}" expected a Uint8Array, got ${typeof value}`);
  if (length !== undefined && value.length !== length) {
    throw new RangeError(`"${field}" expected ${length} bytes, got ${value.length}`);
  }
}

/** Checks that a developer's number is an integer from `min` to `max`. @throws {RangeError} otherwise. */
export function requireInteger(field: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`"${field}" expected an integer from ${min} to ${max}, got ${String(value)}`);
  }
}
