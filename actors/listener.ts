/**
 * The sockets of one worker thread. The only importer of uWebSockets.js.
 *
 * Shell, never reloaded: it turns WebSocket messages into stanzas for the connection's actor, and stanzas into one
 * WebSocket message a turn. It knows the bounds of a frame and, but for the greeting, nothing of what a stanza means.
 *
 * Before anything is made for a connection, `admission.ts` is asked. The greeting leaves in the same write as the answer to
 * the upgrade, before the actor is there: that is one packet, one wake-up of the client and 19 µs of a login less.
 *
 * Writing is batched: `Socket.write` collects, `flush` runs at the end of the scheduler's turn and sends each socket
 * what it was given, as few messages as fit 16 KiB each. So a burst of a hundred receipts costs one system call.
 */

import { createRequire } from 'node:module';
import type { TemplatedApp, WebSocket as UwsWebSocket } from 'uWebSockets.js';
import {
  decodeMessage,
  failureStanza,
  FrameWriter,
  isWireError,
  streamStanza,
  type Stanza,
} from '../protocol/wire/index.ts';
import type { Clock, Logger, Pid, SendResult } from '../runtime/index.ts';
import type { Admission, Deferral } from './admission.ts';
import type { Challenge } from './auth.ts';
import { clientAddress } from './client-address.ts';
import type { TlsFiles } from './config.ts';
import { describe, type AppCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { HttpApp } from './media/exchange.ts';
import type { ConnectionMessage } from './messages.ts';
import { add, CounterByLabel, gauge } from './metrics/meter.ts';
import { fullBucket, takeToken, type TokenBucket } from './rate-limit.ts';

const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

/** The subprotocol that a client offers; the number is the version of `protocol/wire`. */
export const SUBPROTOCOL = 'blindbeam.1';

/** What a connection's actor may do with its socket. */
export interface SocketHandle {
  /** What its client is counted under. */
  readonly address: string;
  /** Queues a stanza for the end of the turn. After the socket has closed it does nothing. */
  write(stanza: Stanza): void;
  /** Sends what is queued, then closes with `code` and a reason of at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Tells the shell which actor takes the frames. */
  attach(pid: Pid<ConnectionMessage>): void;
  /** Queues another greeting. @returns What it asks of the client. */
  greet(): Challenge;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Certificate and key; absent where connections are not encrypted here. */
  readonly tls: TlsFiles | undefined;
  readonly log: Logger;
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
  readonly admission: Admission;
  /** Whether a proxy stands before this node that says whom it speaks for. */
  readonly behindProxy: boolean;
  /** Draws the nonce of a connection: 32 bytes, owned. */
  readonly drawNonce: () => Uint8Array;
  /** Starts an actor for a new socket, whose client has been sent the challenge. It calls `attach`. */
  readonly onOpen: (socket: SocketHandle, challenge: Challenge) => SendResult;
  /** Binds what is served over HTTP beside the socket. */
  readonly bindHttp: (app: HttpApp) => void;
  /** Casts into the runtime from outside an actor. */
  readonly cast: (pid: Pid<ConnectionMessage>, message: ConnectionMessage) => SendResult;
}

/** uWS's user data. It hands back a copy of the properties, without the prototype, hence the one property. */
interface UserData {
  readonly socket: Socket;
}

type Ws = UwsWebSocket<UserData>;
type ListenSocket = import('uWebSockets.js').us_listen_socket;

const REFUSALS = new CounterByLabel('blindbeam_refusals_total');
const LIMITED_PINGS = gauge('blindbeam_limited_total', { limiter: 'ping' });
const PING_RULE = { perSecond: LIMITS.pingsPerSecondMax, burst: LIMITS.pingsBurstMax };

/** Bytes of a slab that copies of messages share: a turn's worth under load, sixteen of the largest messages. */
const SLAB_BYTES = 16 * LIMITS.messageBytesMax;

/** One for each connection: the actor's handle. */
class Socket implements SocketHandle {
  readonly listener: Listener;
  readonly address: string;
  ws: Ws | undefined = undefined;
  pid: Pid<ConnectionMessage> | undefined = undefined;
  outgoing: Stanza[] | undefined = undefined;
  /** What a quick client said before its actor was there. */
  early: Extract<ConnectionMessage, { kind: 'frames' }> | undefined = undefined;
  /** WebSocket pings; made with the first. */
  pings: TokenBucket | undefined = undefined;
  pingRefusals = 0;

  constructor(listener: Listener, address: string) {
    this.listener = listener;
    this.address = address;
  }

  write(stanza: Stanza): void {
    if (this.ws === undefined) return;
    if (this.outgoing !== undefined) {
      this.outgoing.push(stanza);
      return;
    }
    this.outgoing = [stanza];
    this.listener.noteDirty(this);
  }

  close(code: number, reason: string): void {
    if (this.ws === undefined) return;
    this.listener.flushSocket(this);
    this.ws?.end(code, reason);
  }

  attach(pid: Pid<ConnectionMessage>): void {
    this.pid = pid;
    const { early } = this;
    this.early = undefined;
    if (early !== undefined) this.listener.tell(this, early);
    if (this.ws === undefined) this.listener.tell(this, { kind: 'socket-closed' });
  }

  greet(): Challenge {
    const challenge = this.listener.drawChallenge();
    this.write(this.listener.greetingOf(challenge));
    return challenge;
  }
}

/**
 * Where messages are copied to. uWS lends a message until its handler returns, and stanzas keep views into their message, so
 * one copy there must be; but a buffer for each would cost more than the copy. Many share a slab, which lives for as
 * long as one of their stanzas does: until the message is committed and pushed, or refused.
 */
class Intake {
  #slab: Uint8Array = new Uint8Array(SLAB_BYTES);
  #used = 0;

  copy(bytes: Uint8Array): Uint8Array {
    if (this.#used + bytes.length > SLAB_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes.length;
    this.#slab.set(bytes, start);
    return this.#slab.subarray(start, this.#used);
  }
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #writer = new FrameWriter();
  readonly #intake = new Intake();
  /** Those that listened once keep their sockets; the last one listens. */
  readonly #apps: TemplatedApp[] = [];
  #listening: ListenSocket | undefined = undefined;
  #dirty: Socket[] = [];

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#apps.push(this.#makeApp(options.tls));
  }

  /** Listens; several workers share one port. Rejects when the port cannot be had. */
  async listen(): Promise<void> {
    this.#listening = await this.#listenWith(this.#apps.at(-1)!);
  }

  /**
   * Takes another certificate: new connections are shaken hands with under it, those that are open stay as they are.
   *
   * The library reads files once, when an app is made. So another app listens on the same port, and then the one before stops
   * listening; it keeps its sockets, and some kilobytes, until the end. A client that was in its queue just then dials again.
   *
   * Rejects when the files are not taken; then everything is as before.
   */
  async replaceCertificate(tls: TlsFiles): Promise<void> {
    const app = this.#makeApp(tls);
    const before = this.#listening;
    this.#listening = await this.#listenWith(app);
    this.#apps.push(app);
    if (before !== undefined) uws.us_listen_socket_close(before);
  }

  #makeApp(tls: TlsFiles | undefined): TemplatedApp {
    if (tls === undefined) return this.#route(uws.App());
    return this.#route(uws.SSLApp({ cert_file_name: tls.certificate, key_file_name: tls.key }));
  }

  #listenWith(app: TemplatedApp): Promise<ListenSocket> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      app.listen(host, port, (socket) => {
        if (socket) resolve(socket);
        else reject(new Error(`cannot listen on ${host}:${port}`));
      });
    });
  }

  /** Takes no new connections; those that are open go on. */
  stopListening(): void {
    if (this.#listening !== undefined) uws.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  /** Stops listening and closes every socket that is left. A thread must not end without it. */
  close(): void {
    this.#listening = undefined;
    for (const app of this.#apps) app.close();
  }

  #route(app: TemplatedApp): TemplatedApp {
    this.#options.bindHttp(app);
    return app
      .ws<UserData>('/ws', {
        compression: uws.DISABLED,
        maxPayloadLength: LIMITS.payloadBytesMax,
        maxBackpressure: LIMITS.backpressureBytesMax,
        closeOnBackpressureLimit: 1,
        idleTimeout: LIMITS.idleSecondsMax,
        sendPingsAutomatically: true,
        upgrade: (response, request, context) => this.#upgrade(response, request, context),
        open: (ws) => this.#open(ws),
        message: (ws, bytes, isBinary) => this.#message(ws.getUserData().socket, bytes, isBinary),
        ping: (ws) => this.#pinged(ws.getUserData().socket),
        close: (ws) => this.#closed(ws.getUserData().socket),
      })
      .get('/livez', (response) => {
        response.end('ok\n');
      })
      .any('/*', (response) => {
        response.writeStatus('404 Not Found').end(`Nothing here. WebSocket clients connect to /ws (${SUBPROTOCOL}).\n`);
      });
  }

  #upgrade(
    response: Parameters<NonNullable<import('uWebSockets.js').WebSocketBehavior<UserData>['upgrade']>>[0],
    request: import('uWebSockets.js').HttpRequest,
    context: import('uWebSockets.js').us_socket_context_t,
  ): void {
    const offered = request
      .getHeader('sec-websocket-protocol')
      .split(',')
      .map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL)) {
      response.writeStatus('400 Bad Request').end(`Offer the WebSocket subprotocol ${SUBPROTOCOL}.\n`);
      return;
    }
    const address = this.#addressOf(response, request);
    const deferral = this.#options.admission.enter(address);
    if (deferral !== undefined) return putOff(response, deferral);
    const key = request.getHeader('sec-websocket-key');
    const extensions = request.getHeader('sec-websocket-extensions');
    response.upgrade<UserData>({ socket: new Socket(this, address) }, key, SUBPROTOCOL, extensions, context);
  }

  #addressOf(response: import('uWebSockets.js').HttpResponse, request: import('uWebSockets.js').HttpRequest): string {
    const peer = Buffer.from(response.getRemoteAddressAsText()).toString('latin1');
    return clientAddress(peer, this.#options.behindProxy ? request.getHeader('x-forwarded-for') : undefined);
  }

  /** Runs within the upgrade, whose answer is not sent yet: what is written here leaves with it. */
  #open(ws: Ws): void {
    const { socket } = ws.getUserData();
    const challenge = this.drawChallenge();
    socket.ws = ws;
    this.#writer.append(this.greetingOf(challenge));
    this.#send(socket);
    if (this.#options.onOpen(socket, challenge) !== 'ok') refuse(socket, 'APP_OVERLOADED');
  }

  /** @internal */
  drawChallenge(): Challenge {
    const { clock, drawNonce } = this.#options;
    return { nonce: drawNonce(), issuedAtMs: clock.monotonicMs() };
  }

  /** @internal */
  greetingOf({ nonce }: Challenge): Stanza {
    return streamStanza({ ts: Math.floor(this.#options.clock.nowMs()), nonce });
  }

  #message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    if (!isBinary) return refuse(socket, 'APP_TEXT_FRAME');
    if (message.byteLength > LIMITS.messageBytesMax) return socket.close(4413, 'WIRE_FRAME_TOO_LARGE');
    const stanzas = decodeMessage(this.#intake.copy(new Uint8Array(message)));
    if (isWireError(stanzas)) return socket.close(stanzas.closeCode, stanzas.code);
    const frames = { kind: 'frames', stanzas, bytes: message.byteLength } as const;
    if (socket.pid !== undefined) this.tell(socket, frames);
    // A login may be here before the actor; more than it is nobody's, who waits for an answer.
    else if (socket.early === undefined) socket.early = frames;
    else refuse(socket, 'APP_PROTOCOL');
  }

  /** uWS has answered it already. Who goes on beyond the rate wants nothing but our time. */
  #pinged(socket: Socket): void {
    const nowMs = this.#options.clock.monotonicMs();
    socket.pings ??= fullBucket(PING_RULE, nowMs);
    if (takeToken(socket.pings, PING_RULE, nowMs) === 0) socket.pingRefusals = 0;
    else this.#refusePing(socket);
  }

  #refusePing(socket: Socket): void {
    add(LIMITED_PINGS);
    if (++socket.pingRefusals > LIMITS.pingRefusalsMax) refuse(socket, 'APP_RATE_LIMITED');
  }

  #closed(socket: Socket): void {
    socket.ws = undefined;
    socket.outgoing = undefined;
    this.#options.admission.left(socket.address);
    this.tell(socket, { kind: 'socket-closed' });
  }

  /** @internal */
  tell(socket: Socket, message: ConnectionMessage): void {
    if (socket.pid === undefined) return;
    const result = this.#options.cast(socket.pid, message);
    if (result === 'noproc') refuse(socket, 'APP_RESTARTING');
    else if (result !== 'ok') refuse(socket, 'APP_OVERLOADED');
  }

  /** @internal */
  comeBack(): number {
    return this.#options.admission.comeBack();
  }

  /** @internal */
  noteDirty(socket: Socket): void {
    this.#dirty.push(socket);
  }

  /** Sends what sockets were given since the last flush. Called at the end of each turn of the scheduler. */
  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) this.flushSocket(socket);
  }

  /** @internal */
  flushSocket(socket: Socket): void {
    const { outgoing, ws } = socket;
    socket.outgoing = undefined;
    if (outgoing === undefined || ws === undefined) return;
    try {
      const sent = this.#fill(outgoing, 0);
      if (sent === outgoing.length) this.#send(socket);
      // More than one message: corked, they leave in one write.
      else ws.cork(() => this.#sendRest(socket, outgoing, sent));
    } catch (error) {
      this.#flushFailed(socket, error as Error);
    }
  }

  /**
   * A stanza that cannot be written is a mistake of ours, and one client's affair: its socket closes. What the writer
   * holds of it must not stay there, or the next socket would be sent it.
   */
  #flushFailed(socket: Socket, error: Error): void {
    this.#writer.reset();
    this.#options.log.error('socket_flush_failed', { reason: error.stack ?? error.message });
    socket.ws?.end(1011);
  }

  /** Writes stanzas from `at` on into the writer, as many as fit a message; returns where the next one begins. */
  #fill(stanzas: readonly Stanza[], at: number): number {
    let next = at;
    while (next < stanzas.length && this.#writer.append(stanzas[next]!)) next++;
    return next;
  }

  #sendRest(socket: Socket, stanzas: readonly Stanza[], at: number): void {
    let next = at;
    this.#send(socket);
    while (next < stanzas.length) {
      next = this.#fill(stanzas, next);
      this.#send(socket);
    }
  }

  /** A dropped message would leave a hole in what the client thinks it has; uWS closes the socket then by itself. */
  #send(socket: Socket): void {
    if (!this.#writer.isEmpty) socket.ws?.send(this.#writer.bytes(), true);
    this.#writer.reset();
  }
}

/** Tells a client before the upgrade when to come back, and lets go of its descriptor. */
function putOff(response: import('uWebSockets.js').HttpResponse, { code, retryAfter }: Deferral): void {
  REFUSALS.add(code);
  const status = code === 'APP_RATE_LIMITED' ? '429 Too Many Requests' : '503 Service Unavailable';
  response.cork(() => {
    response.writeStatus(status).writeHeader('retry-after', String(retryAfter)).end(`${code}\n`, true);
  });
}

/** Who may come back is told when: no client is ever alone in such a case. */
function refuse(socket: Socket, code: AppCode): void {
  const { closeCode = 4400, text } = describe(code);
  REFUSALS.add(code);
  if (closeCode === 4503) socket.write(failureStanza({ code, text, retryAfter: socket.listener.comeBack() }));
  socket.close(closeCode, code);
}
