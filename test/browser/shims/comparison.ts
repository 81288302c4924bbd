/**
 * How the assertions of `tap.ts` compare: loosely, strictly, and by pattern. Only what the tests use.
 */

type Keyed = Record<PropertyKey, unknown>;

/** Deep equality of values: `strict` as `Object.is` and with prototypes, otherwise as `==` and by contents alone. */
export function isSame(left: unknown, right: unknown, strict: boolean): boolean {
  if (strict ? Object.is(left, right) : left == right || Object.is(left, right)) return true;
  if (!isObject(left) || !isObject(right)) return false;
  if (strict && Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false;
  if (ArrayBuffer.isView(left) && ArrayBuffer.isView(right))
    return isSameList([...bytes(left)], [...bytes(right)], strict);
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  if (left instanceof Set && right instanceof Set) return isSameList([...left].sort(), [...right].sort(), strict);
  if (left instanceof Map && right instanceof Map) return isSameList([...left], [...right], strict);
  if (left instanceof RegExp || left instanceof Date) return String(left) === String(right);
  const [leftKeys, rightKeys] = [Object.keys(left), Object.keys(right)];
  return (
    leftKeys.length === rightKeys.length &&
    leftKeys.every((key) => key in right && isSame(left[key], right[key], strict))
  );
}

/** Whether everything that `pattern` says holds of `value`. */
export function isMatch(value: unknown, pattern: unknown): boolean {
  if (pattern instanceof RegExp) return value !== undefined && value !== null && pattern.test(String(value));
  if (typeof pattern === 'function') return isOfType(value, pattern as new () => unknown);
  if (typeof pattern === 'string' && typeof value === 'string') return value.includes(pattern);
  if (!isObject(pattern)) return value == pattern || Object.is(value, pattern);
  if (!isObject(value)) return false;
  if (ArrayBuffer.isView(pattern) || pattern instanceof Set || pattern instanceof Map)
    return isSame(value, pattern, false);
  if (Array.isArray(pattern) && (!Array.isArray(value) || value.length < pattern.length)) return false;
  return Object.keys(pattern).every((key) => isMatch(value[key], pattern[key]));
}

function isOfType(value: unknown, type: new () => unknown): boolean {
  if (value === type) return true;
  const primitive = { String: 'string', Number: 'number', Boolean: 'boolean', Function: 'function' }[type.name];
  return primitive === undefined ? value instanceof type : typeof value === primitive;
}

function isSameList(left: readonly unknown[], right: readonly unknown[], strict: boolean): boolean {
  return left.length === right.length && left.every((each, index) => isSame(each, right[index], strict));
}

function isObject(value: unknown): value is Keyed {
  return typeof value === 'object' && value !== null;
}

function bytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A value in a few words, for a message. */
export function show(value: unknown): string {
  const text = isObject(value) && !(value instanceof Error) ? JSON.stringify(value, bigAsText) : String(value);
  return text.length > 300 ? `${text.slice(0, 300)} …` : text;
}

function bigAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
