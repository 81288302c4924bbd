/**
 * A server made slower: a proxy between clients and server that holds one message in a hundred of each connection for 50 ms,
 * and what comes behind it on that connection, as a server does whose actor stands still. Nothing is lost or reordered.
 *
 * It stands outside the server, which therefore needs no hook that somebody could leave on. Adapter to the network.
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock, type Cancel, type Clock } from '../harness/clock.ts';
import { FrameCutter } from './frame-cutter.ts';

export interface Slowness {
  /** One message of a connection in so many is held. */
  readonly every: number;
  readonly delayMs: number;
}

/** Bytes on their way; what is held, and what waits behind it. Order is kept. */
export class DelayLine {
  readonly #slowness: Slowness;
  readonly #clock: Clock;
  readonly #write: (bytes: Buffer) => void;
  readonly #waiting: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #messages: number;
  #cancel: Cancel | undefined = undefined;

  /** @param phase - Which of the first `every` messages is the first that is held: connections must not stall together. */
  constructor(slowness: Slowness, phase: number, clock: Clock, write: (bytes: Buffer) => void) {
    this.#slowness = slowness;
    this.#messages = phase % slowness.every;
    this.#clock = clock;
    this.#write = write;
  }

  take(bytes: Buffer, isMessage: boolean): void {
    const { every, delayMs } = this.#slowness;
    if (isMessage) this.#messages += 1;
    const isHeld = isMessage && this.#messages % every === 0;
    if (!isHeld && this.#waiting.length === 0) return this.#write(bytes);
    this.#waiting.push({ bytes, dueMs: isHeld ? this.#clock.nowMs() + delayMs : 0 });
    this.#await();
  }

  /** Forgets what waits. */
  close(): void {
    this.#cancel?.();
    this.#waiting.length = 0;
  }

  #await(): void {
    const [head] = this.#waiting;
    if (this.#cancel !== undefined || head === undefined) return;
    this.#cancel = this.#clock.after(Math.max(0, head.dueMs - this.#clock.nowMs()), () => this.#release());
  }

  #release(): void {
    this.#cancel = undefined;
    const nowMs = this.#clock.nowMs();
    while (this.#waiting.length > 0 && this.#waiting[0]!.dueMs <= nowMs) this.#write(this.#waiting.shift()!.bytes);
    this.#await();
  }
}

export class SlowProxy {
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();
  #connections = 0;

  constructor(target: URL, slowness: Slowness, clock: Clock = systemClock) {
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client, target, slowness, clock));
  }

  /** Listens on a free port of loopback. Returns the URL to use in place of the server's. */
  listen(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => {
        resolve(`ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`);
      });
    });
  }

  #join(client: Socket, target: URL, slowness: Slowness, clock: Clock): void {
    const server = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    const line = new DelayLine(slowness, this.#connections * PHASE_STEP, clock, (bytes) => void server.write(bytes));
    this.#connections += 1;
    const cutter = new FrameCutter();
    client.on('data', (chunk: Buffer) => {
      for (const { bytes, isMessage } of cutter.take(chunk)) line.take(bytes, isMessage);
    });
    server.on('data', (chunk: Buffer) => void client.write(chunk));
    const end = (): void => {
      line.close();
      for (const socket of [client, server]) {
        this.#sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Prime to a hundred: neighbours are held at different messages. */
const PHASE_STEP = 37;
