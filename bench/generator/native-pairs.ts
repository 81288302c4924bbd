/**
 * The load of pairs in C (`native/pairs.c`), seen from the generator process that has opened the connections: hands them
 * over, gives the runs, and turns lines into a result. `pair-load.ts` is the same load in TypeScript.
 *
 * Everything that is said and expected was encoded here by `protocol/wire`; a stanza that the C program does not expect comes back
 * and is read by the real decoder.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  decodeStanza,
  encode,
  inboxAckStanza,
  isWireError,
  messageStanza,
  parseServerMessage,
} from '../../protocol/wire/index.ts';
import { BENCH_ERRORS, BenchError, type BenchCode } from '../errors.ts';
import { Child } from '../harness/child.ts';
import type { Clock } from '../harness/clock.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { SecondCounts } from '../harness/second-counts.ts';
import { LIMITS } from '../limits.ts';
import type { Load, LookOn, RunPlan, RunResult } from './measured-run.ts';
import { readBuckets, type Bucket } from './native-program.ts';
import type { Account } from './opening.ts';
import { REFUSALS_GATHER_MS } from './pair-load.ts';
import { patternsOf } from './stanza-scanner.ts';

const MAGIC: Buffer = Buffer.from('BBPAIR1\0');
/** Descriptors of a child in front of its connections: standard input, output and error. */
const STANDARD_STREAMS = 3;

/** A connection that can be given away, with no byte of it read and not understood. */
export interface HandedLine {
  release(): Socket;
  close(): void;
}

export interface HandedPair {
  readonly sender: { readonly account: Account; readonly line: HandedLine };
  readonly recipient: { readonly account: Account; readonly line: HandedLine };
  readonly ciphertext: Uint8Array;
}

// --- the file of pairs -------------------------------------------------------------------------------------------

/** The file that pairs.c loads: a header, then seven pieces for each pair, a length in two bytes before each. */
function encodePairs(pairs: readonly HandedPair[]): Buffer {
  const header = Buffer.alloc(18);
  MAGIC.copy(header);
  header.writeUInt32LE(pairs.length, 8);
  header.writeUInt32LE(LIMITS.outstandingCountMax, 12);
  const pieces: Uint8Array[] = [encode(inboxAckStanza({ seq: 1 })).slice(0, -1)];
  for (const { sender, recipient, ciphertext } of pairs) {
    const heard = patternsOf(sender.account);
    const marks = patternsOf(recipient.account);
    header.writeUInt8(heard.seqName, 16);
    header.writeUInt8(heard.tsName, 17);
    pieces.push(...messageParts(recipient.account, ciphertext), ciphertext);
    pieces.push(heard.delivery, heard.envelope, marks.ack, marks.receipt);
  }
  return Buffer.concat([header, ...pieces.flatMap(withLength)]);
}

function withLength(piece: Uint8Array): Uint8Array[] {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(piece.length);
  return [length, piece];
}

/** A message in front of its id and between id and ciphertext: where the encodings of two ids differ, the id stands. */
function messageParts({ user: to, device }: Account, ciphertext: Uint8Array): [Uint8Array, Uint8Array] {
  const encoded = (id: number): Uint8Array =>
    encode(messageStanza({ to, id, envelopes: [{ device, type: 'ratchet', ciphertext }] }));
  const [first, second] = [encoded(1), encoded(2)];
  const idAt = first.findIndex((byte, index) => byte !== second[index]);
  return [first.slice(0, idAt), first.slice(idAt + 1, first.length - ciphertext.length)];
}

// --- the process -------------------------------------------------------------------------------------------------

/** A run that goes on, and what it has said so far. */
interface Running {
  readonly looker: LookOn;
  readonly histograms: Readonly<Record<HistogramLetter, LatencyHistogram>>;
  /** Of this process, when the window began; and within the window. */
  ownUse: NodeJS.CpuUsage;
  readonly resolve: (result: RunResult) => void;
  seconds: number;
}

/** D delivery, R raw, C receipt, L sending, G lateness of its loop. */
const HISTOGRAM_LETTERS = ['D', 'R', 'C', 'L', 'G'] as const;
type HistogramLetter = (typeof HISTOGRAM_LETTERS)[number];

export class NativePairs implements Load {
  readonly #process: ChildProcess;
  readonly #child: Child;
  readonly #pairs: readonly HandedPair[];
  readonly #clock: Clock;
  readonly #directory: string;
  readonly #failed: Promise<never>;
  readonly #fail: (error: BenchError) => void;
  readonly #refusals: Map<string, number> = new Map();
  #running: Running | undefined = undefined;

  /**
   * Gives the connections away to a new process.
   *
   * @param program - What `buildNative('pairs')` made.
   */
  constructor(program: string, pairs: readonly HandedPair[], clock: Clock) {
    this.#pairs = pairs;
    this.#clock = clock;
    this.#directory = mkdtempSync(join(tmpdir(), 'blindbeam-pairs-'));
    const file = join(this.#directory, 'pairs');
    writeFileSync(file, encodePairs(pairs), { mode: 0o600 });
    const sockets = pairs.flatMap(({ sender, recipient }) => [sender.line.release(), recipient.line.release()]);
    this.#process = spawn(program, [file], { stdio: ['pipe', 'pipe', 'pipe', ...sockets] });
    // It may be gone when it is spoken to; `gone` tells.
    this.#process.stdin!.on('error', () => undefined);
    this.#child = new Child(this.#process, 'the native generator', 'BENCH_CHILD');
    let fail: (error: BenchError) => void = () => undefined;
    this.#failed = new Promise<never>((_resolve, reject) => (fail = reject));
    this.#failed.catch(() => undefined);
    this.#fail = fail;
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#take(line));
  }

  get pid(): number {
    return this.#child.pid;
  }

  run(plan: RunPlan, looker: LookOn): Promise<RunResult> {
    const result = new Promise<RunResult>((resolve) => {
      const histograms = Object.fromEntries(HISTOGRAM_LETTERS.map((letter) => [letter, new LatencyHistogram()]));
      const ownUse = process.cpuUsage();
      this.#running = { looker, histograms: histograms as Running['histograms'], ownUse, resolve, seconds: 0 };
    });
    this.#process.stdin!.write(`${commandOf(plan)}\n`);
    return Promise.race([result, this.#failed, this.#child.gone]);
  }

  /** Ends the process, and with it the connections. */
  async close(): Promise<void> {
    for (const { sender, recipient } of this.#pairs) {
      sender.line.close();
      recipient.line.close();
    }
    await this.#child.stop(() => this.#process.stdin!.end(), LIMITS.childStopMsMax);
  }

  #take(line: string): void {
    const [kind, ...words] = line.split(' ');
    // What follows a refusal, a gap in most cases, is its consequence.
    if (kind === 'F') return this.#fail(this.#refusals.size > 0 ? this.#refusalError() : failureOf(words));
    if (kind === 'L') return rmSync(this.#directory, { recursive: true, force: true });
    if (kind === 'O') return this.#takeOther(Number(words[0]), Buffer.from(words[1] ?? '', 'hex'));
    const running = this.#running;
    if (running === undefined) return;
    if (kind === 'B') beginWindow(running);
    else if (kind === 'W') endWindow(running);
    else if (kind === 'H' && words[0] === 'Y') lookAtSecond(running, readBuckets(words.slice(1)));
    else if (kind === 'Y') running.seconds += 1;
    else if (kind === 'H') addBuckets(running.histograms[words[0] as HistogramLetter], readBuckets(words.slice(1)));
    else if (kind === 'R') this.#end(running, words.map(Number) as [number, number, number, number]);
  }

  #end(running: Running, [accepted, completed, windowNs, cpuUs]: [number, number, number, number]): void {
    this.#running = undefined;
    const { D, R, C, L, G } = running.histograms;
    const own = (running.ownUse.user + running.ownUse.system) / 1000;
    running.resolve({
      windowMs: windowNs / 1e6,
      accepted,
      completed,
      delivery: D.encode(),
      raw: R.encode(),
      receipt: C.encode(),
      sending: L.encode(),
      cpuMs: cpuUs / 1000 + own,
      loopLagMs: G.percentileMs(99) ?? 0,
    });
  }

  /** What was not expected by a byte: a refusal, or something that does not belong here. */
  #takeOther(line: number, bytes: Uint8Array): void {
    const stanza = decodeStanza(bytes);
    const message = isWireError(stanza) ? stanza : parseServerMessage(stanza);
    const name = `pair ${line >> 1}`;
    if (isWireError(message)) return this.#fail(new BenchError('BENCH_UNEXPECTED', `${name}: ${message.message}`));
    if (message.kind !== 'error')
      return this.#fail(new BenchError('BENCH_UNEXPECTED', `${name}: <${message.kind}> in an unusual form`));
    if (this.#refusals.size === 0) this.#clock.after(REFUSALS_GATHER_MS, () => this.#fail(this.#refusalError()));
    this.#refusals.set(message.code, (this.#refusals.get(message.code) ?? 0) + 1);
  }

  #refusalError(): BenchError {
    const counts = Array.from(this.#refusals, ([code, count]) => `${code} ${count} times`);
    return new BenchError('BENCH_REFUSED', counts.join(', '));
  }
}

function commandOf({ shape, warmUpMs, windowMs, drainMsMax }: RunPlan): string {
  const times = [warmUpMs, windowMs, drainMsMax].map(Math.round).join(' ');
  if (shape.kind === 'closed') return `run closed ${shape.inFlight} ${times}`;
  return `run open ${shape.ratePerSecond} ${shape.index} ${shape.count} ${times}`;
}

function beginWindow(running: Running): void {
  running.ownUse = process.cpuUsage();
  running.looker.announce('window-begun');
}

function endWindow(running: Running): void {
  running.ownUse = process.cpuUsage(running.ownUse);
  running.looker.announce('window-ended');
}

function lookAtSecond(running: Running, buckets: readonly Bucket[]): void {
  const counts = new SecondCounts();
  for (const [us, count] of buckets) counts.record(us / 1000, count);
  running.looker.look({ index: running.seconds - 1, buckets: counts.take() });
}

function addBuckets(histogram: LatencyHistogram, buckets: readonly Bucket[]): void {
  for (const [us, count] of buckets) histogram.record(us / 1000, count);
}

function failureOf([code, ...detail]: readonly string[]): BenchError {
  const known = code !== undefined && code in BENCH_ERRORS ? (code as BenchCode) : 'BENCH_CHILD';
  return new BenchError(known, detail.join(' '));
}

/** Descriptors that a process needs to hand over so many pairs: its own, and the copies that the child inherits. */
export function descriptorsToHandOver(pairs: number): number {
  return STANDARD_STREAMS + 4 * pairs;
}
