/** A device in a process of its own, as `device.fixture.ts` runs it, and how to end it with and without a warning. */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Answer, Command, OperationName, Operations } from './device.fixture.ts';

/** One device, in its process. */
export class RemoteDevice {
  readonly name: string;
  readonly owner: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;
  #hasEnded = false;

  /** @param directory - Of its store; what an earlier process of it has left there is taken up. */
  constructor(t: Test, owner: string, kind: string, url: string, directory: string) {
    this.owner = owner;
    this.name = `${owner}'s ${kind}`;
    const fixture = fileURLToPath(new URL('./device.fixture.js', import.meta.url));
    this.#process = fork(fixture, [url, directory], { execArgv: [] });
    this.#process.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer));
    t.teardown(() => this.#end(() => this.#process.disconnect()));
  }

  /** Has the device do something. */
  async do<Name extends OperationName>(
    name: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<ReturnType<Operations[Name]>> {
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
    this.#hasEnded = true;
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    how();
    await ended;
  }
}
