/**
 * The admin socket: a Unix socket whose file belongs to the node's user alone, and that is the whole authentication. Who
 * may open it may read the node's memory anyway.
 *
 * Serves lines (`lines.ts`) and hands requests to the desk. Knows no verb.
 */

import { rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import type { Logger } from '../../runtime/index.ts';
import { StartupError } from '../errors.ts';
import { fitSocketPath, listenUnix, SOCKET_PATH_BYTES_MAX } from '../host/unix-socket.ts';
import type { Desk } from './desk.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { LineReader, readRequest, writeAnswer, type AdminAnswer, type Greeting } from './lines.ts';

export interface AdminServerOptions {
  /** Absolute. */
  readonly path: string;
  readonly desk: Desk;
  readonly log: Logger;
  readonly greeting: Greeting;
}

export class AdminServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #operators: Set<Operator>;

  private constructor(server: Server, path: string, operators: Set<Operator>) {
    this.#server = server;
    this.#path = path;
    this.#operators = operators;
  }

  /** @throws {StartupError} (as rejection) APP_ADMIN_SOCKET. */
  static async open(options: AdminServerOptions): Promise<AdminServer> {
    const path = fitSocketPath(options.path);
    if (path === undefined) throw refuse(options.path, `its path has more than ${SOCKET_PATH_BYTES_MAX} bytes`);
    const operators = new Set<Operator>();
    const server = await listenUnix(path, (socket) => welcome(socket, operators, options), true).catch(
      (error: NodeJS.ErrnoException) => {
        throw refuse(path, error.code ?? error.message);
      },
    );
    if (server === 'held') throw refuse(path, 'another process answers there');
    return new AdminServer(server, path, operators);
  }

  /** Ends every connection and removes the file. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const operator of this.#operators) operator.leave();
    await closed;
    rmSync(this.#path, { force: true });
  }
}

function refuse(path: string, why: string): StartupError {
  return new StartupError('APP_ADMIN_SOCKET', `cannot serve operators on ${path}: ${why}`);
}

function welcome(socket: Socket, operators: Set<Operator>, { desk, greeting }: AdminServerOptions): void {
  if (operators.size >= LIMITS.operatorCountMax) return void socket.destroy();
  const operator = new Operator(socket, desk);
  operators.add(operator);
  socket.once('close', () => {
    operators.delete(operator);
    operator.leave();
  });
  socket.write(`${JSON.stringify(greeting)}\n`);
}

/** One connection. */
class Operator {
  readonly #socket: Socket;
  readonly #desk: Desk;
  readonly #reader = new LineReader(LIMITS.requestLineBytesMax);
  /** Requests under way, by their id. */
  readonly #open: Map<number, AbortController> = new Map();

  constructor(socket: Socket, desk: Desk) {
    this.#socket = socket;
    this.#desk = desk;
    socket.unref();
    // What broke the connection is the other end's business; `close` follows.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  leave(): void {
    for (const controller of this.#open.values()) controller.abort();
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const lines = this.#reader.push(chunk);
    if (lines !== undefined) return lines.forEach((line) => this.#takeLine(line));
    this.#tell({ id: null, error: this.#desk.refusalOf(new AdminError('ADM_LINE_TOO_LONG'), '') });
    this.#socket.end();
  }

  #takeLine(line: string): void {
    if (line.trim() === '') return;
    let request;
    try {
      request = readRequest(line);
    } catch (error) {
      return void this.#tell({ id: null, error: this.#desk.refusalOf(error, '') });
    }
    if ('cancel' in request) return this.#open.get(request.id)?.abort();
    void this.#answer(request.id, request.verb, request.parameters);
  }

  async #answer(id: number, verb: string, parameters: object): Promise<void> {
    const controller = new AbortController();
    try {
      if (this.#open.size >= LIMITS.operatorRequestsMax || this.#open.has(id)) throw new AdminError('ADM_BUSY');
      this.#open.set(id, controller);
      const caller = { signal: controller.signal, via: 'socket' } as const;
      const result = await this.#desk.answer(verb, parameters, caller, (value) => this.#tell({ id, next: value }));
      void this.#tell({ id, result: result ?? {} });
    } catch (error) {
      void this.#tell({ id, error: this.#desk.refusalOf(error, verb) });
    } finally {
      if (this.#open.get(id) === controller) this.#open.delete(id);
    }
  }

  /** Resolves when there is room for more: a reader that is slow gets fewer frames of a live view. */
  #tell(answer: AdminAnswer): Promise<void> {
    if (this.#socket.destroyed || this.#socket.write(writeAnswer(answer))) return Promise.resolve();
    return new Promise((resolve) => {
      const go = (): void => {
        this.#socket.off('drain', go);
        this.#socket.off('close', go);
        resolve();
      };
      this.#socket.on('drain', go);
      this.#socket.on('close', go);
    });
  }
}
