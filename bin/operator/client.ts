/**
 * The operator's end of the admin socket: connects, asks, and reads live views. Says in one sentence what is wrong when no
 * node answers. The language is that of `actors/admin/lines.ts`.
 */

import { connect, type Socket } from 'node:net';
import type { AdminRefusal } from '../../actors/admin/errors.ts';
import { ADMIN_VERSION, LineReader, type AdminAnswer, type Greeting } from '../../actors/admin/lines.ts';
import { LIMITS } from '../../actors/admin/limits.ts';
import { fitSocketPath } from '../../actors/host/unix-socket.ts';

/** What went wrong, for a person. `code` is one of ADM_*, or of this end. */
export class OperatorError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Waiting {
  next(value: object): void;
  end(outcome: { readonly result: object } | { readonly error: Error }): void;
}

export class AdminClient {
  readonly #socket: Socket;
  readonly #reader = new LineReader(LIMITS.answerLineBytesMax);
  readonly #waiting: Map<number, Waiting> = new Map();
  readonly #greeted: Promise<Greeting>;
  #onGreeting: (greeting: Greeting) => void = () => undefined;
  #onRefused: (error: Error) => void = () => undefined;
  #nextId = 1;

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#greeted = new Promise((resolve, reject) => {
      this.#onGreeting = resolve;
      this.#onRefused = reject;
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(explain(error, path)));
    socket.on('close', () => this.#fail(new OperatorError('NODE_GONE', 'the node ended the connection')));
  }

  /**
   * Connects and waits for the greeting.
   *
   * @throws {OperatorError} (as rejection) NO_NODE; NO_ACCESS; BAD_PATH; BAD_ANSWER; OTHER_VERSION; TIMEOUT.
   */
  static async connect(path: string, timeoutMs: number): Promise<AdminClient> {
    const near = fitSocketPath(path);
    if (near === undefined) throw new OperatorError('BAD_PATH', `${path} is too long for the path of a socket`);
    const socket = connect(near);
    const client = new AdminClient(socket, near);
    const greeting = await within(timeoutMs, client.#greeted).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    if (greeting.version === ADMIN_VERSION) return client;
    socket.destroy();
    throw new OperatorError('OTHER_VERSION', `the node speaks version ${greeting.version} of the admin language`);
  }

  /** @throws {OperatorError} (as rejection) the code of the node's refusal; TIMEOUT; NODE_GONE. */
  async request<Result extends object>(verb: string, parameters: object, timeoutMs: number): Promise<Result> {
    const done = new Promise<object>((resolve, reject) => {
      this.#send(verb, parameters, {
        next: () => undefined,
        end: (outcome) => ('result' in outcome ? resolve(outcome.result) : reject(outcome.error)),
      });
    });
    return (await within(timeoutMs, done)) as Result;
  }

  /** The values of a live view, until it ends, the loop is left or `signal` is aborted. */
  async *watch<Value extends object>(verb: string, parameters: object, signal?: AbortSignal): AsyncGenerator<Value> {
    const values: object[] = [];
    let ended: { readonly error?: Error } | undefined;
    let wake = (): void => undefined;
    const id = this.#send(verb, parameters, {
      next: (value) => {
        values.push(value);
        wake();
      },
      end: (outcome) => {
        ended = 'error' in outcome ? outcome : {};
        wake();
      },
    });
    const stop = (): void => wake();
    signal?.addEventListener('abort', stop);
    try {
      while (signal?.aborted !== true) {
        while (values.length > 0) yield values.shift() as Value;
        if (ended?.error !== undefined) throw ended.error;
        if (ended !== undefined) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      if (ended === undefined && !this.#socket.destroyed) this.#write({ id, cancel: true });
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(verb: string, parameters: object, waiting: Waiting): number {
    const id = this.#nextId++;
    this.#waiting.set(id, waiting);
    this.#write({ id, verb, parameters });
    return id;
  }

  #write(message: object): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  #take(chunk: Buffer): void {
    const lines = this.#reader.push(chunk);
    if (lines === undefined)
      return this.#fail(new OperatorError('BAD_ANSWER', 'the node sent a line that is too long'));
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const message = parseMessage(line);
    if (message === undefined)
      return this.#fail(new OperatorError('BAD_ANSWER', 'what answers there does not speak the language of a node'));
    if ('blindbeam' in message) return this.#onGreeting(message);
    if (message.id === null) return 'error' in message ? this.#fail(refused(message.error)) : undefined;
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if ('next' in message) return waiting.next(message.next);
    this.#waiting.delete(message.id);
    waiting.end('result' in message ? message : { error: refused(message.error) });
  }

  #fail(error: Error): void {
    this.#onRefused(error);
    for (const waiting of this.#waiting.values()) waiting.end({ error });
    this.#waiting.clear();
  }
}

/** What stands in a line; `undefined` if another kind of server said it. */
function parseMessage(line: string): Greeting | AdminAnswer | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? (message as Greeting | AdminAnswer) : undefined;
  } catch {
    return undefined;
  }
}

function refused({ code, message }: AdminRefusal): OperatorError {
  return new OperatorError(code, message);
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new OperatorError('TIMEOUT', `no answer within ${timeoutMs} ms; --timeout gives it more`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function explain(error: unknown, path: string): Error {
  if (error instanceof OperatorError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ECONNREFUSED') {
    const hint = 'start one with "blindbeam start", or name its store with --data or its socket with --socket';
    return new OperatorError('NO_NODE', `no node answers on ${path}: ${hint}`);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new OperatorError('NO_ACCESS', `${path} belongs to another user: ask as that user, or as root`);
  }
  return new OperatorError('NO_NODE', `no node can be asked on ${path}: ${message}`);
}
