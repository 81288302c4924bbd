/**
 * A reconnect storm: every client loses its connection at one moment and comes back as the SDK does, by ticket, after a
 * random delay; one that is told to wait, waits, and a bit longer.
 *
 *   live ──cut──▶ waiting ──delay drawn──▶ dialling ──nonce, ticket──▶ live
 *                    ▲                        │
 *                    └── told when to come ───┘   (503 at the upgrade, or <failure retry-after>)
 *
 * A login counts from the dialling that led to it, until `<success>`; a return from when the last connection was cut. A connection that ends without a word
 * on when to come back is counted as dropped.
 *
 * The same clients may also leave and stay away, and come back so many at a time: what a server has of connections is the
 * difference. Read next: `connection.ts`.
 */

import { backoff, drawDelayMs } from '../../client/backoff.ts';
import {
  FrameWriter,
  resumeStanza,
  type FailureMessage,
  type ResumeTicket,
  type ServerMessage,
} from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import { LatencyHistogram, type EncodedHistogram } from '../harness/histogram.ts';
import { LIMITS } from '../limits.ts';
import { drawInteger, opaqueBytes, resumeProof } from './account-keys.ts';
import { Connection, type ConnectOptions, type Speaker } from './connection.ts';
import type { Account } from './opening.ts';
import { readServerMessages } from './server-words.ts';
import { OPCODE, type ClientFrameWriter } from './websocket.ts';

export interface StormPlan {
  readonly stormMsMax: number;
}

/** How clients that have left come back without a storm. */
export interface ReturnPlan {
  /** Clients of a generator that are on their way at a time. */
  readonly parallelMax: number;
  readonly returnMsMax: number;
}

/** What one storm was for one generator. Plain data: it crosses processes. */
export interface StormResult {
  readonly clients: number;
  /** From the dialling that led to it, until `<success>`. */
  readonly login: EncodedHistogram;
  /** From the cut until `<success>`. */
  readonly back: EncodedHistogram;
  /** Times that a client was told when to come back. */
  readonly toldToWait: number;
  /** Connections that ended without a word on when to come back. */
  readonly dropped: number;
  /** Why the last of them ended. */
  readonly lastDrop: string | undefined;
  readonly cpuMs: number;
  readonly durationMs: number;
}

type Line = Omit<ConnectOptions, 'speaker' | 'source'>;

/** A client that takes part. */
export interface StormAccount {
  /** `undefined` at an echo server: then one message there and back takes the place of a login. */
  readonly account: Account | undefined;
  readonly line: Connection;
}

/** As long as a login by ticket. */
const BARE_MESSAGE: Uint8Array = opaqueBytes(80);

/** One writer serves all clients: it is filled and emptied within one call. */
const frames: FrameWriter = new FrameWriter();

class StormClient implements Speaker {
  readonly #load: StormLoad;
  readonly #account: Account | undefined;
  readonly #source: string | undefined;
  #ticket: ResumeTicket | undefined;
  #line: Connection;
  #proof: Uint8Array | undefined = undefined;
  #dialledMs = 0;
  #attempt = 0;
  #cancel: Cancel | undefined = undefined;
  isLive = true;

  constructor(load: StormLoad, { account, line }: StormAccount, source: string | undefined) {
    if (account !== undefined && account.ticket === undefined)
      throw new BenchError('BENCH_UNEXPECTED', 'a login without the ticket asked for');
    this.#load = load;
    this.#account = account;
    this.#ticket = account?.ticket;
    this.#source = source;
    this.#line = line;
    line.speaker = this;
  }

  cut(): void {
    this.#line.cut();
    this.isLive = false;
  }

  /** Plans to come back. */
  leave(): void {
    this.#attempt = 0;
    this.#wait(0);
  }

  /** Comes back now. */
  comeBack(): void {
    this.#attempt = 0;
    this.#dial();
  }

  close(): void {
    this.#cancel?.();
    this.#line.close();
  }

  #wait(floorMs: number): void {
    const delayMs = drawDelayMs(backoff(this.#attempt++, floorMs), RANDOM);
    this.#cancel = this.#load.clock.after(delayMs, () => this.#dial());
  }

  #dial(): void {
    this.#cancel = undefined;
    this.#dialledMs = this.#load.clock.nowMs();
    this.#line = new Connection({ ...this.#load.line, speaker: this, source: this.#source });
  }

  speak(writer: ClientFrameWriter): boolean {
    if (this.#account === undefined) return this.#speakBarely(writer);
    if (this.#proof === undefined || this.#ticket === undefined) return false;
    const { user, device } = this.#account;
    frames.append(resumeStanza({ user, device, ticket: this.#ticket.token, proof: this.#proof }));
    writer.frame(OPCODE.binary, frames.bytes());
    frames.reset();
    this.#proof = undefined;
    return false;
  }

  #speakBarely(writer: ClientFrameWriter): false {
    writer.frame(OPCODE.binary, BARE_MESSAGE);
    return false;
  }

  #live(): void {
    this.isLive = true;
    this.#load.noteLive(this.#dialledMs);
  }

  hear(bytes: Uint8Array, start: number, end: number): void {
    if (this.#account === undefined) return this.#live();
    for (const message of readServerMessages(bytes, start, end)) this.#take(message);
  }

  #take(message: ServerMessage): void {
    switch (message.kind) {
      case 'stream':
        this.#proof = this.#ticket && resumeProof(this.#ticket.secret, message.nonce);
        return this.#line.wake();
      case 'success':
        if (message.ticket !== undefined) this.#ticket = { ...message.ticket, secret: message.ticket.secret.slice() };
        return this.#live();
      case 'failure':
        return this.#refused(message);
      case 'offline':
        return;
      default:
        throw new BenchError('BENCH_UNEXPECTED', `${message.kind} in a storm`);
    }
  }

  #refused({ code, retryAfter }: FailureMessage): void {
    if (retryAfter === undefined) return this.#load.fail(new BenchError('BENCH_REGISTRATION', code));
    this.#line.close();
    this.#comeLater(retryAfter);
  }

  refused(_status: number, retryAfterSeconds: number | undefined): void {
    this.#comeLater(retryAfterSeconds);
  }

  #comeLater(retryAfterSeconds: number | undefined): void {
    if (retryAfterSeconds === undefined) this.#load.noteDropped('a refusal without a time');
    else this.#load.noteToldToWait();
    this.#wait((retryAfterSeconds ?? 0) * 1000);
  }

  ended(error: Error): void {
    if (this.isLive) return this.#load.fail(error);
    this.#load.noteDropped(error.message);
    this.#wait(LIMITS.stormRedialMs);
  }
}

const RANDOM = { integer: drawInteger, bytes: (): never => unreachable() };

function unreachable(): never {
  throw new TypeError('a delay is an integer');
}

/** The clients of one generator. */
export class StormLoad {
  readonly clock: Clock;
  readonly line: Line;
  readonly #clients: readonly StormClient[];
  readonly #login: LatencyHistogram = new LatencyHistogram();
  readonly #back: LatencyHistogram = new LatencyHistogram();
  #cutMs = 0;
  #missing = 0;
  #toldToWait = 0;
  #dropped = 0;
  #lastDrop: string | undefined = undefined;
  /** Clients that have left and have not begun to come back: those from here on. */
  #awayFrom: number = Infinity;
  #over: (error?: Error) => void = () => undefined;

  constructor(accounts: readonly StormAccount[], sources: readonly string[], line: Line, clock: Clock) {
    this.clock = clock;
    this.line = line;
    this.#clients = accounts.map((each, index) => new StormClient(this, each, sources[index % sources.length]));
  }

  /**
   * One storm.
   *
   * @throws {BenchError} (as rejection) BENCH_LOST when not all are back in time.
   */
  run({ stormMsMax }: StormPlan): Promise<StormResult> {
    return this.#measure(stormMsMax, () => {
      for (const client of this.#clients) client.cut();
      // Cutting costs this process what no client would have to do, so time begins when it is done.
      this.#cutMs = this.clock.nowMs();
      for (const client of this.#clients) client.leave();
    });
  }

  /** Cuts every connection; nobody comes back before `comeBack`. */
  depart(): void {
    for (const client of this.#clients) client.cut();
    this.#awayFrom = 0;
  }

  /**
   * Brings back those who have departed, so many at a time.
   *
   * @throws {BenchError} (as rejection) BENCH_LOST when not all are back in time.
   */
  comeBack({ parallelMax, returnMsMax }: ReturnPlan): Promise<StormResult> {
    return this.#measure(returnMsMax, () => {
      this.#cutMs = this.clock.nowMs();
      for (let count = 0; count < parallelMax; count += 1) this.#bringBackOne();
    });
  }

  #bringBackOne(): void {
    const client = this.#clients[this.#awayFrom];
    if (client === undefined) return;
    this.#awayFrom += 1;
    client.comeBack();
  }

  async #measure(msMax: number, begin: () => void): Promise<StormResult> {
    this.#login.reset();
    this.#back.reset();
    [this.#toldToWait, this.#dropped, this.#missing] = [0, 0, this.#clients.length];
    const before = process.cpuUsage();
    await this.#untilAllAreBack(msMax, begin);
    const { user, system } = process.cpuUsage(before);
    return {
      clients: this.#clients.length,
      login: this.#login.encode(),
      back: this.#back.encode(),
      toldToWait: this.#toldToWait,
      dropped: this.#dropped,
      lastDrop: this.#lastDrop,
      cpuMs: (user + system) / 1000,
      durationMs: this.clock.nowMs() - this.#cutMs,
    };
  }

  #untilAllAreBack(msMax: number, begin: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void =>
        this.#over(new BenchError('BENCH_LOST', `${this.#missing} clients are not back after ${msMax} ms`));
      const cancel = this.clock.after(msMax, late);
      this.#over = (error) => {
        cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      begin();
    });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** @internal */
  noteLive(dialledMs: number): void {
    const nowMs = this.clock.nowMs();
    this.#login.record(nowMs - dialledMs);
    this.#back.record(nowMs - this.#cutMs);
    this.#missing -= 1;
    if (this.#missing === 0) this.#over();
    else this.#bringBackOne();
  }

  /** @internal */
  noteToldToWait(): void {
    this.#toldToWait += 1;
  }

  /** @internal */
  noteDropped(why: string): void {
    this.#dropped += 1;
    this.#lastDrop = why;
  }

  /** @internal */
  fail(error: Error): void {
    this.#over(error);
  }
}
