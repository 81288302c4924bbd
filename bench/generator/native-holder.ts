/**
 * The lean generator in C (`native/hold.c`), seen from the parent: given its accounts in a file, driven by lines. It takes 130 bytes for a connection where `generator.ts` takes some kilobytes, so both ends of a million fit
 * into one machine.
 *
 * Everything that it says was encoded here by `protocol/wire`. Read next: `native/hold.c`, `../connections/crowd.ts`.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  encode,
  inboxAckStanza,
  messageStanza,
  pingStanza,
  resumeStanza,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { WORDS } from '../../protocol/wire/tokens.ts';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { LIMITS } from '../limits.ts';
import { SUBPROTOCOL } from './control.ts';
import { readBuckets, type Bucket } from './native-program.ts';
import { upgradeRequest } from './websocket.ts';

/** A device that may log in by ticket. */
export interface Holder {
  /** 15 digits. */
  readonly user: string;
  readonly device: number;
  /** The ticket's token, base64url. */
  readonly token: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

// --- the file of accounts ----------------------------------------------------------------------------------------

const HEADER_BYTES = 836;
const DIGIT_BYTES = 8;
const PROOF_BYTES = 32;
const RESUME_LABEL: Buffer = Buffer.from('blindbeam resume 1\0');
const SAMPLE_USER = '123456789012345';
const FRAME_HEADER_BYTES = 3;

/** Writes the accounts of one process. Layout: `struct header` of hold.c, then a record for each. */
export function writeAccounts(path: string, url: URL, holders: readonly Holder[], ciphertextBytes: number): void {
  const resumes = holders.map(resumeFrame);
  const resumeBytes = resumes[0]?.length ?? 0;
  const recordBytes = DIGIT_BYTES + PROOF_BYTES + resumeBytes;
  const file = Buffer.alloc(HEADER_BYTES + holders.length * recordBytes);
  writeHeader(file, { url, accounts: holders.length, resumeBytes, recordBytes, ciphertextBytes });
  holders.forEach((holder, index) => {
    const frame = resumes[index]!;
    if (frame.length !== resumeBytes) throw new RangeError(`"token" of account ${index} expected text`);
    const at = HEADER_BYTES + index * recordBytes;
    file.write(`${holder.user}f`, at, 'hex');
    file.set(holder.secret, at + DIGIT_BYTES);
    file.set(frame, at + DIGIT_BYTES + PROOF_BYTES);
  });
  writeFileSync(path, file, { mode: 0o600 });
}

function resumeFrame({ user, device, token }: Holder): Uint8Array {
  const stanza = encode(resumeStanza({ user, device, ticket: token, proof: new Uint8Array(PROOF_BYTES) }));
  const frame = new Uint8Array(FRAME_HEADER_BYTES + stanza.length);
  frame.set([stanza.length >> 16, stanza.length >> 8, stanza.length]);
  frame.set(stanza, FRAME_HEADER_BYTES);
  return frame;
}

interface Header {
  readonly url: URL;
  readonly accounts: number;
  readonly resumeBytes: number;
  readonly recordBytes: number;
  readonly ciphertextBytes: number;
}

const TAGS_AND_NAMES = [
  'stream',
  'success',
  'offline',
  'failure',
  'message',
  'ack',
  'receipt',
  'pong',
  'id',
  'seq',
  'retry-after',
] as const;

function writeHeader(file: Buffer, header: Header): void {
  const { beforeUser, beforeId, afterId } = messageParts(header.ciphertextBytes);
  const upgrade = upgradeRequest(header.url, SUBPROTOCOL, Buffer.alloc(16, 7).toString('base64'));
  const pieces = [beforeUser, beforeId, afterId, headOf(pingStanza({ id: 1 })), headOf(inboxAckStanza({ seq: 1 }))];
  file.write('BBHOLD1\0', 0, 'latin1');
  const { accounts, resumeBytes, recordBytes, ciphertextBytes } = header;
  [accounts, resumeBytes, recordBytes, ciphertextBytes].forEach((value, index) =>
    file.writeUInt32LE(value, 8 + 4 * index),
  );
  TAGS_AND_NAMES.forEach((name, index) => file.writeUInt8(wordNumber(name), 24 + index));
  [...pieces.map(({ length }) => length), upgrade.length].forEach((value, index) =>
    file.writeUInt32LE(value, 40 + 4 * index),
  );
  const rooms = [32, 32, 64, 32, 32];
  let at = 64;
  pieces.forEach((piece, index) => {
    file.set(piece, at);
    at += rooms[index]!;
  });
  file.write(upgrade, at, 'latin1');
  file.set(RESUME_LABEL, at + 512);
  file.writeUInt32LE(RESUME_LABEL.length, at + 576);
}

function wordNumber(name: string): number {
  const number = WORDS.indexOf(name) + 1;
  if (number === 0) throw new RangeError(`"${name}" expected a word of the dictionary`);
  return number;
}

/** A message cut where its recipient and its id stand; hold.c puts these in, and the ciphertext behind. */
function messageParts(ciphertextBytes: number): Readonly<Record<'beforeUser' | 'beforeId' | 'afterId', Uint8Array>> {
  const ciphertext = new Uint8Array(ciphertextBytes);
  const bytes = encode(
    messageStanza({ to: SAMPLE_USER, id: 1, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] }),
  );
  const userAt = Buffer.from(bytes).indexOf(Buffer.from(`${SAMPLE_USER}f`, 'hex'));
  const idAt = bytes.indexOf(0xc1, userAt + DIGIT_BYTES);
  return {
    beforeUser: bytes.subarray(0, userAt),
    beforeId: bytes.subarray(userAt + DIGIT_BYTES, idAt),
    afterId: bytes.subarray(idAt + 1, bytes.length - ciphertextBytes),
  };
}

/** A stanza whose last byte is an integer, without it. */
function headOf(stanza: Stanza): Uint8Array {
  return encode(stanza).subarray(0, -1);
}

// --- the process ---------------------------------------------------------------------------------------------------

/** What a generator has counted since it began. */
export interface HolderCounts {
  readonly live: number;
  readonly dialling: number;
  readonly waiting: number;
  readonly sent: number;
  readonly acked: number;
  readonly delivered: number;
  readonly receipts: number;
  readonly pings: number;
  readonly pongs: number;
  readonly closed: number;
  readonly deferred: number;
  readonly unexpected: number;
  readonly duplicates: number;
  readonly gaps: number;
  readonly cpuUs: number;
}

const COUNT_NAMES = [
  'live',
  'dialling',
  'waiting',
  'sent',
  'acked',
  'delivered',
  'receipts',
  'pings',
  'pongs',
  'closed',
  'deferred',
  'unexpected',
  'duplicates',
  'gaps',
  'cpuUs',
] as const satisfies readonly (keyof HolderCounts)[];

/** Latencies by what they are of. `delivery` counts from the intended time, `raw` from the write. */
export const HISTOGRAM_LETTERS = { login: 'G', delivery: 'D', raw: 'R', sending: 'L', heartbeat: 'P' } as const;
export type HistogramName = keyof typeof HISTOGRAM_LETTERS;

/** What a generator reports once a second. */
export interface HolderReport {
  readonly counts: HolderCounts;
  /** Connections that ended, by close status, or 1 to 4; see hold.c. */
  readonly closes: ReadonlyMap<number, number>;
  /** Latencies of the last second, in microseconds, with their number. */
  readonly latencies: ReadonlyMap<HistogramName, readonly Bucket[]>;
}

const NO_COUNTS: HolderCounts = Object.freeze(Object.fromEntries(COUNT_NAMES.map((name) => [name, 0]))) as never;

/** Reads the lines of a generator. Pure; a report is whole at its line T. */
export class HolderLines {
  #counts: HolderCounts = NO_COUNTS;
  #closes: Map<number, number> = new Map();
  #latencies: Map<HistogramName, readonly Bucket[]> = new Map();

  /** @returns A report, what happened (`E`), or nothing yet. */
  take(line: string): HolderReport | string | undefined {
    const [kind, ...words] = line.split(' ');
    switch (kind) {
      case 'S':
        this.#counts = Object.fromEntries(COUNT_NAMES.map((name, index) => [name, Number(words[index])])) as never;
        return undefined;
      case 'C':
        this.#closes.set(Number(words[0]), Number(words[1]));
        return undefined;
      case 'H':
        this.#latencies.set(nameOf(words[0]!), readBuckets(words.slice(1)));
        return undefined;
      case 'T':
        return this.#report();
      case 'E':
        return words.join(' ');
      default:
        return undefined;
    }
  }

  #report(): HolderReport {
    const report = { counts: this.#counts, closes: this.#closes, latencies: this.#latencies };
    this.#closes = new Map();
    this.#latencies = new Map();
    return report;
  }
}

function nameOf(letter: string): HistogramName {
  const found = Object.entries(HISTOGRAM_LETTERS).find(([, each]) => each === letter);
  if (found === undefined) throw new BenchError('BENCH_UNEXPECTED', `histogram ${letter}`);
  return found[0] as HistogramName;
}

/** Adds what a report tells to whole histograms. */
export function addLatencies(
  report: HolderReport,
  histograms: Readonly<Record<HistogramName, LatencyHistogram>>,
  names: readonly HistogramName[] = Object.keys(HISTOGRAM_LETTERS) as HistogramName[],
): void {
  for (const name of names) {
    for (const [us, count] of report.latencies.get(name) ?? []) histograms[name].record(us / 1000, count);
  }
}

export interface HolderOptions {
  readonly program: string;
  readonly accounts: string;
  readonly host: string;
  readonly port: number;
  /** Addresses to connect from. */
  readonly sources: readonly string[];
  readonly onReport: (report: HolderReport) => void;
  /** `live` when all are logged in, `cut` when all were cut off. */
  readonly onEvent: (event: string) => void;
}

/** One generator process. Stop it, whatever happens. */
export class HolderProcess {
  readonly #process: ChildProcess;
  readonly #child: Child;

  constructor({ program, accounts, host, port, sources, onReport, onEvent }: HolderOptions) {
    const argv = [accounts, host, String(port), sources.join(',')];
    this.#process = spawn(program, argv, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    // It may be gone when it is spoken to; `gone` tells.
    this.#process.stdin!.on('error', () => undefined);
    this.#child = new Child(this.#process, 'a native generator', 'BENCH_CHILD');
    const lines = new HolderLines();
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      const taken = lines.take(line);
      if (typeof taken === 'string') onEvent(taken);
      else if (taken !== undefined) onReport(taken);
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Rejects when it has ended. */
  get gone(): Promise<never> {
    return this.#child.gone;
  }

  tell(command: string): void {
    this.#process.stdin!.write(`${command}\n`);
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.tell('quit'), LIMITS.childStopMsMax);
  }
}
