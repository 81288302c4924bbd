/**
 * What the client asks of a network: a socket that carries whole binary messages. The interface only.
 *
 * Adapters: `node/ws-transport.ts`; a browser wraps its own WebSocket in as many lines; `testing/fake-server.ts` is the
 * other side of it in tests. A transport knows no stanza and never reconnects: that is `connection.ts`.
 */

import type { TransportClose } from './close-reason.ts';

/** What a socket tells. After `onClose` nothing more comes; `onClose` comes exactly once, also when dialling failed. */
export interface TransportListener {
  /** One binary message. `bytes` is borrowed: valid until the call returns. */
  onMessage(bytes: Uint8Array): void;
  /** The socket is gone, by whichever side. Never called before `dial` has returned. */
  onClose(close: TransportClose): void;
}

/** One socket, dialling or open. */
export interface TransportSocket {
  /** Sends one binary message of at most `LIMITS.transportMessageBytesMax`. Dropped unless open; `bytes` is borrowed. */
  send(bytes: Uint8Array): void;
  /** Closes at once, as seen from here: neither listener method is called again. */
  close(): void;
}

/** Opens sockets. */
export interface Transport {
  /**
   * Dials `url` with the subprotocol `blindbeam.1`. Failure arrives as `onClose` with code 1006.
   *
   * @throws {TypeError} When `url` is no ws: or wss: address.
   */
  dial(url: string, listener: TransportListener): TransportSocket;
}
