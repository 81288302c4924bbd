/**
 * The bus of production: a connection to NATS. The only importer of `nats`.
 *
 * A connection that breaks is made again for ever, to the next of the servers; what was published meanwhile is dropped,
 * which `channel.ts` makes up for. Who needs more of NATS than subjects (JetStream, for logs and leases) takes the
 * client's own connection from `connection`.
 */

import { readFileSync } from 'node:fs';

import {
  connect,
  createInbox,
  credsAuthenticator,
  ErrorCode,
  Events,
  type ConnectionOptions,
  type NatsConnection,
} from 'nats';
import { NodeTransport } from 'nats/lib/src/node_transport.js';

import type { Logger } from '../contracts.ts';
import { RuntimeError } from '../errors.ts';
import type { Bus } from './bus.ts';
import { writeGreeting } from './greeting.ts';
import { LIMITS } from './limits.ts';
import { RefusedMessages } from './refused-messages.ts';

/** Where the servers are and who we are to them. Plain data: it travels to worker threads. */
export interface NatsAddress {
  /** `nats://host:port` or `tls://host:port`; any of them will do. */
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Path of a credentials file, in place of user and password. */
  readonly credentials?: string | undefined;
  /** Paths of PEM files. With `ca` alone the servers are checked; with `cert` and `key` so are we. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Ends a connection before the library makes the next one.
 *
 * It leaves one that was not made in time as it is (2.29.3: `_closed` in `node_transport.ts` passes over what is not connected), and calls `discard`, which does nothing there. When the way is
 * free again such a connection is made after all; when it ends, the library takes that for the end of the one that it uses, makes another one beside it, and reads both with one
 * parser, which puts messages together from the bytes of two connections. One was applied to a copy of a shard, which could not read it.
 */
NodeTransport.prototype.discard = function (this: NodeTransport): void {
  // Its end is told to nobody from here on.
  this.done = true;
  const end = (): void => {
    this.socket?.removeAllListeners();
    // What goes wrong with it concerns nobody either.
    this.socket?.on('error', () => undefined).destroy();
  };
  end();
  // Called once a connection that is still being made has heard of its server.
  Object.assign(this, { setupHandlers: end });
};

/** What a server takes in one message unless it says otherwise. */
const MESSAGE_BYTES_DEFAULT = 1024 * 1024;

export class NatsBus implements Bus {
  /** The client's own, for what is no bus. */
  readonly connection: NatsConnection;
  readonly #log: Logger;
  readonly #refused: RefusedMessages;
  readonly #listeners: Set<(isUp: boolean) => void> = new Set();
  #isUp: boolean = true;

  /** Use `openNatsBus`. */
  constructor(connection: NatsConnection, log: Logger) {
    this.connection = connection;
    this.#log = log;
    this.#refused = new RefusedMessages(log);
    void this.#follow();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get messageBytesMax(): number {
    return this.connection.info?.max_payload ?? MESSAGE_BYTES_DEFAULT;
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (this.#isUp && !this.connection.isClosed()) this.connection.publish(subject, bytes);
  }

  subscribe(subject: string, onMessage: (bytes: Uint8Array) => void): () => void {
    const subscription = this.connection.subscribe(subject, {
      callback: (error, { data }) => {
        if (error !== null) this.#log.error('bus_refused', { subject, code: error.code });
        else this.#hand(subject, data, onMessage);
      },
    });
    return () => void (this.connection.isClosed() || subscription.unsubscribe());
  }

  #hand(subject: string, data: Uint8Array, onMessage: (bytes: Uint8Array) => void): void {
    try {
      onMessage(data);
    } catch (error) {
      this.#refused.note(subject, error);
    }
  }

  /** A server that knows no listener, also none of the other servers, says so at once (NATS: "no responders"). */
  async isDeserted(subject: string): Promise<boolean> {
    if (!this.#isUp || this.connection.isClosed()) return false;
    try {
      await this.connection.request(subject, writeGreeting({ kind: 'nothing' }), { timeout: LIMITS.desertedAnswerMs });
      return false;
    } catch (error) {
      return (error as { readonly code?: unknown }).code === ErrorCode.NoResponders;
    }
  }

  /** A new subject for answers to this connection alone. Its last part is unique, and of letters and digits. */
  createInbox(): string {
    return createInbox();
  }

  watch(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    // A connection that is not there has nothing to send, and the client would wait for it.
    if (this.#isUp) await this.connection.flush().catch(() => undefined);
    await this.connection.close();
  }

  async #follow(): Promise<void> {
    for await (const { type, data } of this.connection.status()) {
      if (type === Events.Disconnect) this.#set(false);
      else if (type === Events.Reconnect) this.#set(true);
      else if (type === Events.Error) this.#log.warn('bus_error', { code: String(data) });
    }
    this.#set(false);
  }

  #set(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    for (const listener of [...this.#listeners]) listener(isUp);
  }
}

/**
 * Connects, trying for as long as it takes: a node may be started before its NATS servers.
 *
 * @param name - Of this connection, shown by the servers' monitoring.
 * @throws {RuntimeError} (as rejection) RT_BUS if the servers know us and will not have us, or a file cannot be read.
 */
export async function openNatsBus(address: NatsAddress, name: string, log: Logger): Promise<NatsBus> {
  try {
    return new NatsBus(await connect(optionsOf(address, name)), log);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    throw new RuntimeError('RT_BUS', `NATS at ${address.servers.join(', ')} refuses: ${code ?? message}`, { cause });
  }
}

function optionsOf(address: NatsAddress, name: string): ConnectionOptions {
  const { servers, user, password, credentials } = address;
  const options: ConnectionOptions = {
    servers: [...servers],
    name,
    noEcho: true,
    // The library would note the stack of each request, for the message of an error that nobody prints.
    noAsyncTraces: true,
    timeout: LIMITS.busConnectMsMax,
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: LIMITS.busReconnectMs,
    reconnectJitter: LIMITS.busReconnectMs,
    reconnectJitterTLS: LIMITS.busReconnectMs,
    pingInterval: LIMITS.busPingMs,
    maxPingOut: 2,
    tls: tlsOf(address),
  };
  if (credentials !== undefined) options.authenticator = credsAuthenticator(readFileSync(credentials));
  else if (user !== undefined) Object.assign(options, { user, pass: password });
  return options;
}

function tlsOf({ servers, ca, cert, key }: NatsAddress): ConnectionOptions['tls'] {
  if (ca === undefined && cert === undefined && !servers.some((server) => server.startsWith('tls:'))) return null;
  return {
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(cert === undefined ? {} : { certFile: cert }),
    ...(key === undefined ? {} : { keyFile: key }),
  };
}
