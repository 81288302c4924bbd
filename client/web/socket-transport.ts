/**
 * The transport over a browser's own WebSocket.
 *
 * A browser hides what an HTTP answer in place of the upgrade said, and so a busy server's `Retry-After`: such a refusal is
 * a close with 1006 here, and the client's backoff has to do. Read next: `../transport.ts` for the promises kept.
 */

import { endpointOf, SUBPROTOCOL } from '../endpoint.ts';
import type { Transport, TransportListener, TransportSocket } from '../transport.ts';

/** Dials with the browser's network. */
export const socketTransport: Transport = Object.freeze({
  dial(url: string, listener: TransportListener): TransportSocket {
    return new BrowserSocket(endpointOf(url), listener);
  },
});

class BrowserSocket implements TransportSocket {
  readonly #socket: WebSocket;

  constructor(url: URL, listener: TransportListener) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) listener.onMessage(new Uint8Array(data));
      // A page may close with 1000 and 3000 to 4999.
      else socket.close(4400, 'APP_PROTOCOL');
    };
    // An error is always followed by `close`, and says nothing by itself.
    socket.onclose = ({ code, reason }: CloseEvent) => listener.onClose({ code, reason });
    this.#socket = socket;
  }

  send(bytes: Uint8Array): void {
    // Of the socket's states only OPEN sends; CLOSING and CLOSED would be counted as buffered for ever.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  close(): void {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(1000);
  }
}
