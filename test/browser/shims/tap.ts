/**
 * Stands in for `tap` in a browser: the part of it that the tests use, counting what it asserts.
 *
 * The runner takes `globalThis.blindbeamTests.finish()` when the test file has been imported. Nothing here decides what
 * counts: the runner compares the number of assertions of each test with what the real tap counted in Node.
 */

import { isMatch, isSame, show } from './comparison.ts';

/** What one top-level test came to. */
export interface TestReport {
  readonly name: string;
  readonly assertions: number;
  readonly failures: readonly string[];
}

type Body = (t: Test) => unknown;
type Thrower = (() => unknown) | Promise<unknown>;

export class Test {
  readonly name: string;
  readonly failures: string[] = [];
  readonly children: Test[] = [];
  assertions = 0;
  readonly #teardowns: (() => unknown)[] = [];
  #running: Promise<void> = Promise.resolve();
  #end!: () => void;
  readonly #ended: Promise<void> = new Promise((resolve) => (this.#end = resolve));

  constructor(name: string) {
    this.name = name;
  }

  /** Runs `body` after the tests before it. */
  test(name: string, ...rest: [Body] | [{ readonly skip?: unknown }, Body]): Promise<void> {
    const [options] = rest;
    if (typeof options === 'object' && Boolean(options.skip)) return Promise.resolve();
    const child = new Test(name);
    this.children.push(child);
    this.#running = this.#running.then(() => child.run(rest.at(-1) as Body));
    return this.#running;
  }

  async run(body: Body): Promise<void> {
    if (isLeftOut(this.name)) return;
    try {
      const outcome = body(this);
      if (outcome instanceof Promise) await outcome;
      else await this.#ended;
      await this.#running;
    } catch (error) {
      this.#fail('threw', error instanceof Error ? `${error.message}\n${error.stack}` : show(error));
    }
    for (const teardown of this.#teardowns.reverse()) await teardown();
  }

  /** Waits for every test that was begun. */
  async settle(): Promise<void> {
    await this.#running;
  }

  end(): void {
    this.#end();
  }

  teardown(work: () => unknown): void {
    this.#teardowns.push(work);
  }

  comment(): void {}

  /** The runner has its own limit. */
  setTimeout(): void {}

  pass(): boolean {
    return this.#assert(true, 'pass');
  }

  fail(message = 'fail'): boolean {
    return this.#assert(false, message);
  }

  ok(value: unknown, message = 'ok'): boolean {
    return this.#assert(Boolean(value), message, value);
  }

  notOk(value: unknown, message = 'not ok'): boolean {
    return this.#assert(!value, message, value);
  }

  equal(left: unknown, right: unknown, message = 'equal'): boolean {
    return this.#assert(Object.is(left, right), message, left, right);
  }

  not(left: unknown, right: unknown, message = 'not'): boolean {
    return this.#assert(!Object.is(left, right), message, left, right);
  }

  same(left: unknown, right: unknown, message = 'same'): boolean {
    return this.#assert(isSame(left, right, false), message, left, right);
  }

  notSame(left: unknown, right: unknown, message = 'not same'): boolean {
    return this.#assert(!isSame(left, right, false), message, left, right);
  }

  strictSame(left: unknown, right: unknown, message = 'strictly the same'): boolean {
    return this.#assert(isSame(left, right, true), message, left, right);
  }

  match(value: unknown, pattern: unknown, message = 'match'): boolean {
    return this.#assert(isMatch(value, pattern), message, value, pattern);
  }

  notMatch(value: unknown, pattern: unknown, message = 'no match'): boolean {
    return this.#assert(!isMatch(value, pattern), message, value, pattern);
  }

  type(value: unknown, type: string, message = 'type'): boolean {
    return this.#assert(typeof value === type, message, value, type);
  }

  doesNotThrow(work: () => unknown, message = 'does not throw'): boolean {
    try {
      work();
      return this.#assert(true, message);
    } catch (error) {
      return this.#assert(false, message, error);
    }
  }

  throws(work: () => unknown, ...expected: unknown[]): boolean {
    try {
      work();
    } catch (error) {
      return this.#assertError(error, expected);
    }
    return this.#assert(false, 'expected to throw');
  }

  async rejects(work: Thrower, ...expected: unknown[]): Promise<boolean> {
    try {
      await (typeof work === 'function' ? work() : work);
    } catch (error) {
      return this.#assertError(error, expected);
    }
    return this.#assert(false, 'expected to reject');
  }

  /** What was asserted here and below, and what failed. */
  report(): TestReport {
    const below = this.children.map((child) => child.report());
    return {
      name: this.name,
      assertions: below.reduce((sum, { assertions }) => sum + assertions, this.assertions),
      failures: [
        ...this.failures,
        ...below.flatMap(({ name, failures }) => failures.map((each) => `${name} > ${each}`)),
      ],
    };
  }

  #assertError(error: unknown, [expected]: unknown[]): boolean {
    const holds = expected === undefined || typeof expected === 'string' || isErrorMatch(error, expected);
    return this.#assert(holds, 'the error that was expected', error, expected);
  }

  #assert(holds: boolean, message: string, ...values: unknown[]): boolean {
    this.assertions += 1;
    if (!holds) this.#fail(message, values.map(show).join(' | '));
    return holds;
  }

  #fail(message: string, detail: string): void {
    this.failures.push(`${message}: ${detail}`);
  }
}

function isErrorMatch(error: unknown, expected: unknown): boolean {
  return expected instanceof RegExp ? expected.test((error as Error).message) : isMatch(error, expected);
}

declare global {
  var blindbeamTests: {
    /** Names of top-level tests that are left out, set before the file is imported. */
    leftOut?: readonly string[];
    finish?: () => Promise<readonly TestReport[]>;
  };
}

function isLeftOut(name: string): boolean {
  return globalThis.blindbeamTests?.leftOut?.includes(name) === true;
}

const root: Test = new Test('');

globalThis.blindbeamTests ??= {};
globalThis.blindbeamTests.finish = async () => {
  await root.settle();
  const own = { name: '', assertions: root.assertions, failures: root.failures };
  return [own, ...root.children.map((child) => child.report())];
};

export default root;
