/**
 * The transport over the `ws` package: the only file that imports it.
 *
 * It adds nothing to a WebSocket but the promises of `../transport.ts`: one `onClose`, none after `close()`, binary only.
 */

import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import { endpointOf, SUBPROTOCOL } from '../endpoint.ts';
import { LIMITS } from '../limits.ts';
import type { Transport, TransportListener, TransportSocket } from '../transport.ts';

/** How long a peer may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Dials with Node's TCP and TLS. */
export const wsTransport: Transport = transportUnder(undefined);

/** The same, trusting the authorities of `ca` (PEM) in place of the platform's. */
export function transportUnder(ca: string | undefined): Transport {
  return Object.freeze({
    dial(url: string, listener: TransportListener): TransportSocket {
      return new WsSocket(endpointOf(url), ca, listener);
    },
  });
}

class WsSocket implements TransportSocket {
  readonly #socket: WebSocket;
  /** What an HTTP answer in place of the upgrade said. */
  #refusal: { readonly reason: string; readonly retryAfterMs: number | undefined } | undefined;
  #isUntrusted = false;

  constructor(url: URL, ca: string | undefined, listener: TransportListener) {
    const socket = new WebSocket(url, SUBPROTOCOL, {
      maxPayload: LIMITS.transportMessageBytesMax,
      // The bytes are ciphertext: compressing them costs memory on both sides and gains nothing.
      perMessageDeflate: false,
      handshakeTimeout: LIMITS.handshakeTimeoutMs,
      ...(ca === undefined ? undefined : { ca }),
    });
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) listener.onMessage(data as Buffer);
      else socket.close(4400, 'APP_PROTOCOL');
    });
    // An error is always followed by `close`, which says all that is needed but this; unheard, it would end the process.
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== undefined && CERTIFICATE_REFUSED.test(code)) this.#isUntrusted = true;
    });
    socket.on('unexpected-response', (_request, response) => {
      this.#refusal = readRefusal(response);
      socket.terminate();
    });
    socket.on('close', (code: number, reason: Buffer) =>
      listener.onClose({
        code,
        reason: reason.toString('utf8'),
        ...this.#refusal,
        ...(this.#isUntrusted && { isUntrusted: true }),
      }),
    );
    this.#socket = socket;
  }

  send(bytes: Uint8Array): void {
    // A copy: ws masks into a buffer of its own, except for the one mask in 2^32 that is zero.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes.slice());
  }

  close(): void {
    const socket = this.#socket.removeAllListeners('message').removeAllListeners('close');
    if (socket.readyState === WebSocket.CLOSED) return;
    if (socket.readyState === WebSocket.CONNECTING) return socket.terminate();
    // ws waits 30 s for the answer to a close frame, and the process with it: too long for somebody who has typed /quit.
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
    socket.on('close', () => clearTimeout(timer)).close(1000);
  }
}

/** How OpenSSL and Node name what is wrong with a certificate. Source: Node.js, "X509 certificate error codes" and "ERR_TLS_CERT_…". */
const CERTIFICATE_REFUSED = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;

/** Statuses with which a server, or a proxy before it, asks to be left alone for a while. */
const REFUSALS: ReadonlyMap<number | undefined, string> = new Map([
  [429, 'APP_RATE_LIMITED'],
  [503, 'APP_OVERLOADED'],
]);

/** Reads the status and `Retry-After`, in seconds; a date there is not worth a parser, the backoff does without. */
function readRefusal({ statusCode, headers }: IncomingMessage): {
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
} {
  const seconds = /^\d{1,6}$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : undefined;
  return { reason: REFUSALS.get(statusCode) ?? '', retryAfterMs: seconds === undefined ? undefined : seconds * 1000 };
}
