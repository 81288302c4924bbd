/**
 * One WebSocket of a generator over node:net, and the outbox that writes to all of them. Adapter to the network.
 *
 * Reading: all sockets share one buffer, into which libuv reads just before it calls back; nothing is allocated for a read.
 * Writing: who has something to say is woken, and at the end of the event loop's turn each of these sockets gets one write with
 * everything that has come together. A write is the most expensive thing that a generator does.
 *
 * What is said is up to the speaker of a connection; it changes from registration to load. Read next: `opening.ts`,
 * `pair-load.ts`.
 */

import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import {
  ClientFrameWriter,
  OPCODE,
  parseClose,
  parseUpgradeAnswer,
  ServerFrameReader,
  upgradeRequest,
  type FrameTaker,
} from './websocket.ts';

/** What a connection is used for at the moment. */
export interface Speaker {
  /**
   * Writes what there is to say as whole frames.
   *
   * @returns True when there is more than the writer had room for: it is asked again in the next turn.
   */
  speak(writer: ClientFrameWriter): boolean;
  /** Takes one message, borrowed until this returns. What it throws ends the connection. */
  hear(bytes: Uint8Array, start: number, end: number): void;
  /** The connection has ended other than by `close()`. Called once. */
  ended(error: Error): void;
  /** The upgrade was answered by another status. Without this method it is an end like every other. */
  refused?(status: number, retryAfterSeconds: number | undefined): void;
}

/** Writes once a turn to every connection that was woken. One for each generator. */
export class Outbox {
  readonly #clock: Clock;
  readonly #writer: ClientFrameWriter = new ClientFrameWriter();
  #awake: Connection[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @internal Called by connections. */
  add(connection: Connection): void {
    if (this.#awake.length === 0) this.#clock.atTurnEnd(() => this.#flush());
    this.#awake.push(connection);
  }

  #flush(): void {
    const awake = this.#awake;
    this.#awake = [];
    for (const connection of awake) connection.flush(this.#writer);
  }
}

export interface ConnectOptions {
  /** `ws://host:port/path`. */
  readonly url: URL;
  readonly subprotocol: string;
  readonly outbox: Outbox;
  /** The address to connect from: each loopback address has ports of its own. */
  readonly source?: string | undefined;
  /** Shared by all connections of the thread: holds one read at a time. */
  readonly readBuffer: Uint8Array;
  readonly speaker: Speaker;
}

export class Connection implements FrameTaker {
  speaker: Speaker;
  readonly #outbox: Outbox;
  readonly #socket: Socket;
  readonly #reader: ServerFrameReader = new ServerFrameReader();
  /** Bytes of the upgrade's answer so far; `undefined` once it is read. */
  #answer: Uint8Array | undefined = new Uint8Array(0);
  #isAwake = false;
  #isEnded = false;
  #pong: Uint8Array | undefined = undefined;

  constructor({ url, subprotocol, outbox, readBuffer, speaker, source }: ConnectOptions) {
    this.speaker = speaker;
    this.#outbox = outbox;
    const key = KEY;
    const read = (length: number, buffer: Uint8Array): boolean => {
      this.#received(buffer.subarray(0, length), subprotocol, key);
      return true;
    };
    const onread = { buffer: readBuffer, callback: read };
    const local = source === undefined ? {} : { localAddress: source };
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true, onread, ...local });
    this.#socket.on('connect', () => this.#socket.write(upgradeRequest(url, subprotocol, key)));
    this.#socket.on('error', (error) => this.#lost(error.message, error));
    this.#socket.on('close', () => this.#lost('the server closed the connection'));
  }

  /** Asks for a turn to speak. Any number of calls in a turn of the event loop lead to one write. */
  wake(): void {
    if (this.#isAwake || this.#isEnded) return;
    this.#isAwake = true;
    this.#outbox.add(this);
  }

  /** Takes nothing out of the socket any more, as a client that hangs: what comes stays with the kernel, and then with the server. */
  stopReading(): void {
    this.#socket.pause();
  }

  readOn(): void {
    this.#socket.resume();
  }

  /**
   * Gives the socket away, to be inherited by a child process: nothing is read, written or said here any more but `close`.
   *
   * @throws {BenchError} BENCH_UNEXPECTED when a frame has been read in part: the rest would make no sense to anybody else.
   */
  release(): Socket {
    if (!this.#reader.isBetweenMessages || this.#answer !== undefined)
      throw new BenchError('BENCH_UNEXPECTED', 'a connection was given away in the middle of a frame');
    this.#isEnded = true;
    this.#socket.pause();
    return this.#socket;
  }

  /** Ends the connection without a word to the speaker. */
  close(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }

  /** Ends the connection as a cut network does for the server: by a reset. */
  cut(): void {
    this.#isEnded = true;
    this.#socket.resetAndDestroy();
  }

  /** @internal Called by the outbox, once for each `wake`. */
  flush(writer: ClientFrameWriter): void {
    this.#isAwake = false;
    // Before the upgrade is answered there is nothing to write to.
    if (this.#isEnded || this.#answer !== undefined) return;
    if (this.#pong !== undefined) writer.frame(OPCODE.pong, this.#pong);
    this.#pong = undefined;
    const hasMore = this.speaker.speak(writer);
    if (writer.length > 0) this.#write(writer);
    if (hasMore) this.wake();
  }

  #write(writer: ClientFrameWriter): void {
    this.#socket.write(writer.bytes());
    // The kernel has copied the bytes, unless some are still counted as waiting: those stay where they are. How many that
    // can be is bounded by what a pair may have outstanding.
    if (this.#socket.writableLength === 0) writer.reset();
    else writer.detach();
  }

  #received(chunk: Uint8Array, subprotocol: string, key: string): void {
    if (this.#isEnded) return;
    try {
      const frames = this.#answer === undefined ? chunk : this.#upgrade(chunk, subprotocol, key);
      if (frames.length === 0) return;
      const fault = this.#reader.read(frames, this);
      if (fault !== undefined) throw new BenchError('BENCH_UNEXPECTED', `the server's bytes are no frames: ${fault}`);
    } catch (error) {
      this.#end(error as Error);
    }
  }

  /** Reads the answer to the upgrade; returns the bytes behind it. */
  #upgrade(chunk: Uint8Array, subprotocol: string, key: string): Uint8Array {
    const received = Buffer.concat([this.#answer ?? NOTHING, chunk]);
    const answer = parseUpgradeAnswer(received, subprotocol, key);
    if (answer === 'need-more') {
      this.#answer = received;
      return NOTHING;
    }
    if ('fault' in answer && answer.status !== undefined && this.speaker.refused !== undefined) {
      this.close();
      this.speaker.refused(answer.status, answer.retryAfterSeconds);
      return NOTHING;
    }
    if ('fault' in answer) throw new BenchError('BENCH_CONNECT', `the upgrade was answered by ${answer.fault}`);
    this.#answer = undefined;
    this.wake();
    return received.subarray(answer.bytes);
  }

  /** @internal Called by the frame reader. */
  message(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#isEnded) this.speaker.hear(bytes, start, end);
  }

  /** @internal Called by the frame reader. */
  control(opcode: number, payload: Uint8Array): void {
    if (opcode === OPCODE.ping) {
      this.#pong = payload.slice();
      this.wake();
    } else if (opcode === OPCODE.close) {
      const { code, reason } = parseClose(payload);
      throw new BenchError('BENCH_CONNECT', `the server closed with ${code} ${reason}`.trim());
    }
  }

  /** An error is dear to make, and most connections are ended by us. */
  #lost(detail: string, cause?: Error): void {
    if (!this.#isEnded) this.#end(new BenchError('BENCH_CONNECT', detail, { cause }));
  }

  #end(error: Error): void {
    if (this.#isEnded) return;
    this.close();
    this.speaker.ended(error);
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** One for the process: the server hashes it all the same, and nothing lies between that it would protect. */
const KEY: string = randomBytes(16).toString('base64');

/** Memory into which all connections of a thread read. */
export function createReadBuffer(): Uint8Array {
  return new Uint8Array(LIMITS.turnBytesMax);
}
