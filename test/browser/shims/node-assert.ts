/** What property tests take from `node:assert/strict`. */

import { isSame, show } from './comparison.ts';

function fail(message: string): never {
  throw new Error(message);
}

function ok(value: unknown, message: string = 'expected a true value'): void {
  if (!value) fail(message);
}

function equal(left: unknown, right: unknown, message?: string): void {
  if (!Object.is(left, right)) fail(message ?? `${show(left)} is not ${show(right)}`);
}

function deepStrictEqual(left: unknown, right: unknown, message?: string): void {
  if (!isSame(left, right, true)) fail(message ?? `${show(left)} is not ${show(right)}`);
}

type Assert = typeof ok & {
  readonly ok: typeof ok;
  readonly equal: typeof equal;
  readonly deepStrictEqual: typeof deepStrictEqual;
};

const assert: Assert = Object.assign((value: unknown, message?: string) => ok(value, message), {
  ok,
  equal,
  deepStrictEqual,
});

export default assert;
