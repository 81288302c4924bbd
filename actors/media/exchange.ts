/**
 * One HTTP request and its answer, as the media routes see them.
 *
 * The shapes below are the part of uWebSockets.js that is used here, written down so that `../listener.ts` stays its only
 * importer. Two rules of that library are kept in this file and nowhere else: a request may be read only before its handler
 * returns, and a response must not be touched after it was aborted or ended. Read next: `http.ts`.
 */

import { describe, type AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** A response; every method must be called before its end, and outside of a handler within `cork`. */
export interface HttpResponse {
  cork(work: () => void): unknown;
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body: string, closeConnection?: boolean): unknown;
  endWithoutBody(): unknown;
  /** @returns Whether all of the chunk was taken, and whether the response is at its end. */
  tryEnd(chunk: Uint8Array, totalBytes: number): [boolean, boolean];
  getWriteOffset(): number;
  onWritable(handler: (offset: number) => boolean): unknown;
  onAborted(handler: () => void): unknown;
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): unknown;
  pause(): void;
  resume(): void;
  close(): unknown;
}

export interface HttpRequest {
  getHeader(lowerCaseName: string): string;
  getParameter(index: number): string;
}

type Handler = (response: HttpResponse, request: HttpRequest) => void;

/** An app that routes can be bound to. */
export interface HttpApp {
  post(pattern: string, handler: Handler): unknown;
  patch(pattern: string, handler: Handler): unknown;
  head(pattern: string, handler: Handler): unknown;
  get(pattern: string, handler: Handler): unknown;
}

export type Headers = Readonly<Record<string, string | number>>;

/** An answer under way. After the client has gone, or the answer is out, every method does nothing. */
export class Exchange {
  readonly #response: HttpResponse;
  #onGone: () => void = () => undefined;
  #isOver = false;

  /** Made in the handler, before it returns. */
  constructor(response: HttpResponse) {
    this.#response = response;
    response.onAborted(() => {
      this.#isOver = true;
      this.#onGone();
    });
  }

  /** Whether the client has gone, or has its answer. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Has `listener` told that the client has gone, at once if it has. */
  whenGone(listener: () => void): void {
    this.#onGone = listener;
    if (this.#isOver) listener();
  }

  /** Answers without a body. */
  reply(status: string, headers: Headers): void {
    this.#finish(() => {
      writeHead(this.#response, status, headers);
      this.#response.endWithoutBody();
    });
  }

  /** Answers with the code as its text. */
  refuse(code: AppCode, headers: Headers = {}, closeConnection = false): void {
    this.#finish(() => {
      writeHead(this.#response, describe(code).httpStatus ?? '500 Internal Server Error', headers);
      this.#response.end(`${code}\n`, closeConnection);
    });
  }

  /** Ends the connection without an answer: for a body that breaks off, which no status could tell any more. */
  abort(): void {
    this.#finish(() => this.#response.close());
  }

  /** Begins an answer with a body of `totalBytes`, to be sent piece by piece. */
  begin(status: string, headers: Headers): void {
    if (!this.#isOver) this.#response.cork(() => writeHead(this.#response, status, headers));
  }

  /**
   * Sends a piece of the body. Resolves when the socket has taken it, or the client has gone.
   *
   * @param piece - Borrowed until then.
   */
  send(piece: Uint8Array, totalBytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.whenGone(resolve);
      if (!this.#isOver) this.#response.cork(() => this.#push(piece, totalBytes, resolve));
    });
  }

  #push(piece: Uint8Array, totalBytes: number, taken: () => void): void {
    const start = this.#response.getWriteOffset();
    const offer = (from: number): boolean => {
      const [isTaken, isDone] = this.#response.tryEnd(piece.subarray(from - start), totalBytes);
      if (isDone) this.#isOver = true;
      if (isTaken || isDone) taken();
      return isTaken || isDone;
    };
    if (!offer(start)) this.#response.onWritable(offer);
  }

  #finish(write: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.cork(write);
  }
}

function writeHead(response: HttpResponse, status: string, headers: Headers): void {
  response.writeStatus(status);
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, String(value));
}

/**
 * The body of a request, taken batch by batch. While the taker is behind, the socket is not read, and the client's kernel
 * holds what it has: a fast sender and a slow disk cost a fixed amount of memory.
 */
export class Body {
  readonly #response: HttpResponse;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isPaused = false;
  #isGone = false;
  #isWhole = false;
  #wake: () => void = () => undefined;

  /** Made in the handler, before it returns. */
  constructor(response: HttpResponse, exchange: Exchange) {
    this.#response = response;
    exchange.whenGone(() => {
      this.#isGone = true;
      this.#wake();
    });
    response.onData((chunk, isLast) => this.#take(chunk, isLast));
  }

  /** Whether the body has come to its end. */
  get isWhole(): boolean {
    return this.#isWhole && this.#chunks.length === 0;
  }

  /** What has come since the last call, owned; `undefined` at the end of the body, or when the client has gone. */
  async next(): Promise<readonly Uint8Array[] | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#isGone || this.#isWhole) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const batch = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    if (this.#isPaused && !this.#isGone) this.#response.resume();
    this.#isPaused = false;
    return batch;
  }

  /** Lets the rest of the body go by, so that the client hears the answer; false where that would take too much of it. */
  async discard(): Promise<boolean> {
    let discarded = 0;
    for (let batch = await this.next(); batch !== undefined; batch = await this.next()) {
      for (const chunk of batch) discarded += chunk.length;
      if (discarded > LIMITS.mediaDiscardBytesMax) return false;
    }
    return true;
  }

  #take(chunk: ArrayBuffer, isLast: boolean): void {
    // uWS lends the bytes until this returns.
    if (chunk.byteLength > 0) this.#chunks.push(new Uint8Array(chunk.slice(0)));
    this.#bytes += chunk.byteLength;
    this.#isWhole = isLast;
    if (this.#bytes >= LIMITS.mediaIntakeBytesMax && !this.#isPaused && !isLast) {
      this.#isPaused = true;
      this.#response.pause();
    }
    this.#wake();
  }
}
