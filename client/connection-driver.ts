/**
 * Carries out what `connection.ts` decides: dials, logs in, sets timers, and turns bytes into messages and back.
 *
 * One instance lives as long as the client and holds at most one socket. Events are handled one after the other even if
 * a handler causes the next one, so the machine never sees itself half-way. Frames of one turn share a WebSocket message.
 */

import { eachStanza, FrameWriter, isWireError, parseServerMessage, pingStanza } from '../protocol/wire/index.ts';
import type { FailureMessage, ResumeTicket, ServerMessage, Stanza, SuccessMessage } from '../protocol/wire/index.ts';
import { asProtocolCode } from './close-reason.ts';
import { drawDelayMs } from './backoff.ts';
import { CONNECTION_INITIAL, isOpen, stepConnection } from './connection.ts';
import type { ConnectionAction, ConnectionEvent, ConnectionState, ConnectionTimer } from './connection.ts';
import type { Clock, Random } from './environment.ts';
import type { ErrorCode } from './errors.ts';
import type { HeldKeys } from './key-stock.ts';
import type { Transport, TransportSocket } from './transport.ts';

/** What the driver needs. */
export interface ConnectionOptions {
  readonly url: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
}

/** Whom the driver tells. */
export interface ConnectionListener {
  /** The stanza that answers the server's nonce; `signed`: a ticket was refused, or there is none to be shown. */
  login(nonce: Uint8Array, signed: boolean): Stanza;
  /** A login brought a ticket for the next one. Owned. */
  onTicket(ticket: ResumeTicket): void;
  onState(state: ConnectionState): void;
  onRetrying(code: ErrorCode, attempt: number, delayMs: number): void;
  /** The state is `closed`, and nothing will be tried until `start`. */
  onGaveUp(code: ErrorCode): void;
  /** Logged in: `send` works. */
  onOpened(held: HeldKeys | undefined): void;
  /** `send` does nothing any more. */
  onShut(): void;
  /** A message beyond the handshake. Its bytes are owned. */
  onMessage(message: ServerMessage): void;
}

/** One writer serves every client of the thread: it is filled and emptied within one turn. */
const writer = new FrameWriter();

/** The connection of one client. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  readonly #timers = new Map<ConnectionTimer, unknown>();
  #model = CONNECTION_INITIAL;
  #socket: TransportSocket | undefined;
  #events: ConnectionEvent[] = [];
  #isStepping = false;
  #outgoing: Stanza[] = [];
  #pingId = 0;
  /** The last action that wants a timer also names its delay to the listener. */
  #retry: { readonly code: ErrorCode; readonly attempt: number } | undefined;

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
  }

  get state(): ConnectionState {
    return this.#model.state;
  }

  /** Connects, and stays connected until `stop`. */
  start(): void {
    this.#dispatch({ type: 'start' });
  }

  /** Closes; `start` may follow. */
  stop(): void {
    this.#flush();
    this.#dispatch({ type: 'stop' });
  }

  /** Leaves a connection that is of no use any more; `fatal`: without coming back. */
  abort(code: ErrorCode, fatal: boolean): void {
    this.#dispatch({ type: 'broken', code, fatal, nowMs: this.#nowMs() });
  }

  /** Sends a stanza with the others of this turn, in order. Dropped when not logged in: what matters is resent. */
  send(stanza: Stanza): void {
    if (isOpen(this.#model.state)) this.#enqueue(stanza);
  }

  #dispatch(event: ConnectionEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#step(next);
    } finally {
      this.#isStepping = false;
    }
  }

  #step(event: ConnectionEvent): void {
    const { model, actions } = stepConnection(this.#model, event);
    this.#model = model;
    for (const action of actions) this.#perform(action);
  }

  #perform(action: ConnectionAction): void {
    switch (action.type) {
      case 'dial':
        return this.#dial(action.epoch);
      case 'hang-up':
        return this.#hangUp();
      case 'login':
        return this.#enqueue(this.#listener.login(action.nonce, action.signed));
      case 'ping':
        return this.#enqueue(pingStanza({ id: (this.#pingId += 1) }));
      case 'set-timer':
        return this.#setTimer(action.timer, drawDelayMs(action.delay, this.#options.random));
      case 'clear-timer':
        return this.#clearTimer(action.timer);
      case 'state-changed':
        return this.#listener.onState(action.state);
      case 'opened':
        return this.#listener.onOpened(action.held);
      case 'shut':
        return this.#listener.onShut();
      case 'retrying':
        this.#retry = action;
        return;
      case 'gave-up':
        return this.#listener.onGaveUp(action.code);
    }
  }

  #dial(epoch: number): void {
    this.#socket = this.#options.transport.dial(this.#options.url, {
      onMessage: (bytes) => this.#read(epoch, bytes),
      onClose: (close) => this.#dispatch({ type: 'lost', epoch, close, nowMs: this.#nowMs() }),
    });
  }

  #hangUp(): void {
    this.#outgoing = [];
    this.#socket?.close();
    this.#socket = undefined;
  }

  #read(epoch: number, bytes: Uint8Array): void {
    if (epoch !== this.#model.epoch) return;
    this.#dispatch({ type: 'heard', epoch, nowMs: this.#nowMs() });
    let isBroken = false;
    // One copy of the whole instead of one of each field: what is read from it may then be kept.
    const refusal = eachStanza(new Uint8Array(bytes), (stanza) => {
      const message = parseServerMessage(stanza);
      if (isWireError(message)) isBroken = true;
      else if (epoch === this.#model.epoch) this.#receive(epoch, message);
    });
    if ((isBroken || refusal !== undefined) && epoch === this.#model.epoch) this.abort('CLI_PROTOCOL', false);
  }

  #receive(epoch: number, message: ServerMessage): void {
    const nowMs = this.#nowMs();
    switch (message.kind) {
      case 'stream':
        return this.#dispatch({ type: 'greeted', epoch, nonce: message.nonce });
      case 'success':
        return this.#admitted(epoch, message, nowMs);
      case 'failure':
        return this.#refused(epoch, message, nowMs);
      case 'offline':
        return this.#dispatch({ type: 'drained', epoch });
      case 'pong':
        return;
      default:
        // Before login nothing else is due; a server that says it anyway gets no hearing.
        if (isOpen(this.#model.state)) this.#listener.onMessage(message);
    }
  }

  #admitted(epoch: number, { preKeys, kemPreKeys, ticket }: SuccessMessage, nowMs: number): void {
    if (ticket !== undefined && this.#model.state === 'authenticating') this.#listener.onTicket(ticket);
    const held = preKeys === undefined ? undefined : { oneTime: preKeys, kem: kemPreKeys };
    this.#dispatch({ type: 'admitted', epoch, held, nowMs });
  }

  #refused(epoch: number, { code: named, retryAfter }: FailureMessage, nowMs: number): void {
    const code = asProtocolCode(named) ?? 'CLI_PROTOCOL';
    const retryAfterMs = retryAfter === undefined ? undefined : retryAfter * 1000;
    this.#dispatch({ type: 'refused', epoch, code, retryAfterMs, nowMs });
  }

  #enqueue(stanza: Stanza): void {
    this.#outgoing.push(stanza);
    if (this.#outgoing.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const stanzas = this.#outgoing;
    this.#outgoing = [];
    for (const stanza of stanzas) {
      if (writer.append(stanza)) continue;
      this.#sendWritten();
      writer.append(stanza);
    }
    if (!writer.isEmpty) this.#sendWritten();
  }

  #sendWritten(): void {
    this.#socket?.send(writer.bytes());
    writer.reset();
  }

  #setTimer(timer: ConnectionTimer, delayMs: number): void {
    this.#clearTimer(timer);
    const { clock } = this.#options;
    this.#timers.set(
      timer,
      clock.setTimer(delayMs, () => {
        this.#timers.delete(timer);
        this.#dispatch({ type: 'elapsed', timer, nowMs: this.#nowMs() });
      }),
    );
    if (timer === 'redial' && this.#retry !== undefined) {
      this.#listener.onRetrying(this.#retry.code, this.#retry.attempt, delayMs);
    }
  }

  #clearTimer(timer: ConnectionTimer): void {
    this.#options.clock.clearTimer(this.#timers.get(timer));
    this.#timers.delete(timer);
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
