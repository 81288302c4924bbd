/**
 * TCP in the path, for tests: a relay that can stop passing anything, as a cut cable does, and a balancer over several targets.
 *
 * A cut ends no connection: bytes wait, and new connections are taken and say nothing. That is what a program must find out by itself.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';

export interface RelayTarget {
  readonly host: string;
  readonly port: number;
}

export class Relay {
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();
  readonly #pick: () => RelayTarget | undefined;
  #isCut = false;
  #comings = 0;
  port: number = 0;

  private constructor(pick: () => RelayTarget | undefined) {
    this.#pick = pick;
    this.#server = createServer((near) => this.#join(near));
  }

  /** Listens on a free port of the loopback. @param pick - Where the next connection goes; `undefined` refuses it. */
  static async start(pick: () => RelayTarget | undefined): Promise<Relay> {
    const relay = new Relay(pick);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    relay.port = (relay.#server.address() as { port: number }).port;
    return relay;
  }

  /** Connections that were begun, ever. */
  get comings(): number {
    return this.#comings;
  }

  #join(near: Socket): void {
    this.#comings += 1;
    const target = this.#pick();
    if (target === undefined) return void near.destroy();
    const far = connect(target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => void to.write(bytes));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#isCut) from.pause();
    }
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The host and port of a `ws://` or `nats://` address. */
export function targetOf(url: string): RelayTarget {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
