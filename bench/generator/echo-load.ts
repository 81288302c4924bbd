/**
 * The load of the echo ceiling: messages of opaque bytes that come back, over the same connections, framing and batching
 * as `pair-load.ts`, so that what the two figures differ by is the server.
 */

import { BenchError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Speaker } from './connection.ts';
import { Tally, type LoadShape, type Subject } from './measured-run.ts';
import type { Line } from './pair-load.ts';
import { OPCODE, type ClientFrameWriter } from './websocket.ts';

/** Room for a frame's header beside its payload. */
const HEADER_BYTES_MAX = 8;

export class EchoLoad implements Subject {
  readonly tally: Tally = new Tally();
  readonly failed: Promise<never>;
  readonly #speakers: EchoSpeaker[];
  inFlight = 0;

  /**
   * Takes over the connections.
   *
   * @param message - What is sent; at most a WebSocket message of this protocol.
   */
  constructor(lines: readonly Line[], message: Uint8Array) {
    if (message.length > LIMITS.webSocketPayloadBytesMax)
      throw new RangeError('"message" is longer than a message may be');
    let fail: (error: Error) => void = ignore;
    this.failed = new Promise<never>((_resolve, reject) => (fail = reject));
    this.failed.catch(ignore);
    this.#speakers = lines.map((line) => new EchoSpeaker(this, line, message, fail));
  }

  /** @throws {RangeError} An open loop: a ceiling is what is possible at most. */
  begin(shape: LoadShape): void {
    if (shape.kind !== 'closed') throw new RangeError('"shape" expected a closed loop');
    this.inFlight = shape.inFlight;
    for (const speaker of this.#speakers) speaker.wake();
  }

  stop(): void {
    this.inFlight = 0;
  }

  isIdle(): boolean {
    return this.#speakers.every((speaker) => speaker.waiting === 0);
  }

  describe(): string {
    const waiting = this.#speakers.reduce((total, speaker) => total + speaker.waiting, 0);
    return `${waiting} echoes are missing`;
  }
}

function ignore(): void {}

class EchoSpeaker implements Speaker {
  readonly #load: EchoLoad;
  readonly #line: Line;
  readonly #message: Uint8Array;
  readonly #fail: (error: Error) => void;
  /** Echoes that have not come. */
  waiting = 0;

  constructor(load: EchoLoad, line: Line, message: Uint8Array, fail: (error: Error) => void) {
    this.#load = load;
    this.#line = line;
    this.#message = message;
    this.#fail = fail;
    line.speaker = this;
  }

  wake(): void {
    this.#line.wake();
  }

  speak(writer: ClientFrameWriter): boolean {
    const frameBytes = this.#message.length + HEADER_BYTES_MAX;
    for (; this.waiting < this.#load.inFlight; this.waiting += 1) {
      if (writer.room < frameBytes) return true;
      writer.frame(OPCODE.binary, this.#message);
    }
    return false;
  }

  hear(_bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== this.#message.length || this.waiting === 0) {
      throw new BenchError('BENCH_CORRUPT', 'an echo is not what was sent');
    }
    this.waiting -= 1;
    this.#load.tally.completed += 1;
    this.#line.wake();
  }

  ended(error: Error): void {
    this.#fail(error);
  }
}
