/**
 * A part of a test in a process of its own, moved by messages: the test calls operations by name, the other process has them.
 *
 * Why another process: what is killed must not take the test along, and what is to be as fast as in an application must not run within tap, whose
 * hooks on promises cost more than the promises. Arguments and results are plain data.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

/** The operations of a process by name, as the test sees them; there, each may return a promise of its result. */
type Table<Operations> = { readonly [Name in keyof Operations]: (...args: never[]) => unknown };

interface Command {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly code: string; readonly text: string };

/** The test's side. */
export class RemoteProcess<Operations extends Table<Operations>> {
  /** For errors. */
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;
  #hasEnded = false;

  /**
   * Starts it. It ends with the test.
   *
   * @param entry - The compiled module of the other side, which calls `serve`.
   * @param args - For its command line.
   */
  constructor(t: Test, name: string, entry: URL, args: readonly string[]) {
    this.name = name;
    this.#process = fork(fileURLToPath(entry), args, { execArgv: [] });
    this.#process.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer));
    this.#process.once('exit', (status, signal) => {
      this.#hasEnded = true;
      const text = `the process has ended: ${signal ?? status}`;
      for (const [id, answer] of this.#waiting) answer({ id, code: 'ended', text });
    });
    t.teardown(() => this.#end(() => this.#process.disconnect()));
  }

  /** Has it do something. Rejects with what it rejects with, and its code. */
  async do<Name extends keyof Operations & string>(
    name: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<ReturnType<Operations[Name]>> {
    if (this.#hasEnded) throw new Error(`${this.name}, ${name}: the process has ended`);
    const id = this.#next++;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#process.send({ id, name, args } satisfies Command);
    const answer = await answered;
    this.#waiting.delete(id);
    if ('code' in answer)
      throw Object.assign(new Error(`${this.name}, ${name}: ${answer.text}`), { code: answer.code });
    return answer.value as ReturnType<Operations[Name]>;
  }

  /** Ends the process where it stands. */
  kill(): Promise<void> {
    return this.#end(() => this.#process.kill('SIGKILL'));
  }

  async #end(how: () => void): Promise<void> {
    if (this.#hasEnded) return;
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    how();
    await ended;
  }
}

/**
 * The other side: does what it is told, each as it comes, until the test lets go of it.
 */
export function serve<Operations extends Table<Operations>>(operations: {
  readonly [Name in keyof Operations]: (...args: Parameters<Operations[Name]>) => Promise<unknown>;
}): void {
  const table = operations as unknown as Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>;
  process.on('message', ({ id, name, args }: Command) => {
    table[name]!(...args).then(
      (value) => process.send!({ id, value } satisfies Answer),
      (error: Error & { code?: string }) =>
        process.send!({ id, code: error.code ?? 'none', text: error.stack ?? error.message } satisfies Answer),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
