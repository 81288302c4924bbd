/**
 * The catalogue of what ends a benchmark without a figure: `BENCH_*` codes.
 *
 * Two kinds stand here. A violation means that the server broke a promise while it was measured: the run fails, however
 * fast it was. The rest means that nothing could be measured. A `BenchError` carries its code; across processes only
 * code and detail travel, as data.
 */

/** One entry of the catalogue. */
export interface BenchErrorEntry {
  readonly meaning: string;
  readonly cause: string;
  readonly action: string;
}

/** A stable code of the benchmark. */
export type BenchCode =
  | 'BENCH_INTERRUPTED'
  | 'BENCH_SERVER'
  | 'BENCH_CHILD'
  | 'BENCH_CONNECT'
  | 'BENCH_REGISTRATION'
  | 'BENCH_UNEXPECTED'
  | 'BENCH_REFUSED'
  | 'BENCH_DUPLICATE'
  | 'BENCH_GAP'
  | 'BENCH_CORRUPT'
  | 'BENCH_FALSE_RECEIPT'
  | 'BENCH_LOST'
  | 'BENCH_OVERRUN'
  | 'BENCH_RESULT'
  | 'BENCH_REPORT'
  | 'BENCH_PREFLIGHT'
  | 'BENCH_MEMORY'
  | 'BENCH_CONTROL';

/** The catalogue, for documentation and tests. */
export const BENCH_ERRORS: Readonly<Record<BenchCode, BenchErrorEntry>> = {
  BENCH_INTERRUPTED: {
    meaning: 'the run was stopped before its end',
    cause: 'Ctrl-C or SIGTERM',
    action: 'the report holds what was measured until then; run again for the rest',
  },
  BENCH_SERVER: {
    meaning: 'the server did not start, ended early or does not answer',
    cause: 'the detail holds its last lines on stderr',
    action: 'start it by hand: blindbeam start --port 0',
  },
  BENCH_CHILD: {
    meaning: 'a process of the benchmark (generator, ceiling, program, peer) failed or ended early',
    cause: 'a bug in the benchmark, or memory that ran out',
    action: 'the detail holds its last lines on stderr',
  },
  BENCH_CONNECT: {
    meaning: 'a connection could not be opened, or was closed by the server',
    cause: 'the detail holds the close code and reason, or the system error',
    action: 'look up the code in docs/protocol.md, "Refusals"',
  },
  BENCH_REGISTRATION: {
    meaning: 'an account could not be registered or logged in',
    cause: 'the detail holds the code of the refusal',
    action: 'look up the code in actors/errors.ts',
  },
  BENCH_UNEXPECTED: {
    meaning: 'violation: the server sent something that the protocol does not allow here',
    cause: 'a stanza that does not decode or does not belong to this connection',
    action: 'the detail names the stanza; compare docs/protocol.md',
  },
  BENCH_REFUSED: {
    meaning: 'the server refused a message, so the load was not the load that was asked for',
    cause: 'a limit of the server; the detail counts the codes',
    action: 'lower --pairs, --in-flight or the rate; see actors/limits.ts',
  },
  BENCH_DUPLICATE: {
    meaning: 'violation: a message was delivered twice on one connection',
    cause: 'the inbox pushed an entry again without a reconnect',
    action: 'a bug of the server: keep the data directory (--keep) and look into the inbox',
  },
  BENCH_GAP: {
    meaning: 'violation: a message was left out, or came before an earlier one',
    cause: 'a lost entry, or order broken between commit and push',
    action: 'a bug of the server: keep the data directory (--keep) and look into the inbox',
  },
  BENCH_CORRUPT: {
    meaning: 'violation: a ciphertext arrived that is not the one sent',
    cause: 'a buffer that was reused while it was borrowed',
    action: 'a bug of the server: compare who owns the bytes on the way',
  },
  BENCH_FALSE_RECEIPT: {
    meaning: 'violation: an acknowledgement or receipt for a message that was not sent or not delivered',
    cause: 'counters of two conversations mixed up, or a receipt before the acknowledgement of the recipient',
    action: 'a bug of the server: look into the receipts of the inbox',
  },
  BENCH_LOST: {
    meaning: 'violation: messages did not complete their cycle in the time allowed after the last send',
    cause: 'a lost message, acknowledgement or receipt, or a server that stands still',
    action: 'the detail says how many stopped at which station',
  },
  BENCH_OVERRUN: {
    meaning: 'the server does not keep up with the rate of an open loop',
    cause: 'the rate is above what the server carries; the queue would grow for ever',
    action: 'lower --rate; at the default this means that the server slowed down since the saturation phase',
  },
  BENCH_REPORT: {
    meaning: 'a report cannot be written, or a saved one is missing, cannot be read, or lacks a figure',
    cause:
      'a folder that is not there or may not be written; a file of something else, or of a run that did not come to its end',
    action: 'the detail says what the system refused, or names the command that makes the report',
  },
  BENCH_RESULT: {
    meaning: 'violation: a program did not do the work that it is measured by',
    cause:
      'a message lost, doubled or out of order, an actor that did not start or end, a text that came back different',
    action: 'the detail names the program; a bug of what it measures, or of the program',
  },
  BENCH_PREFLIGHT: {
    meaning: 'the machine is not set up for so many connections',
    cause: 'a setting of the kernel is too low, a C compiler is missing, or there is too little memory',
    action: 'the detail has the command for each',
  },
  BENCH_MEMORY: {
    meaning: 'the run ended itself because the memory of the machine was nearly used up',
    cause: 'more connections than fit; the report shows how far it went',
    action: 'ask for fewer connections, or lower --memory-floor',
  },
  BENCH_CONTROL: {
    meaning: 'the benchmark did not see a fault that it had planted itself',
    cause: 'a machine so busy that the fault is lost in its noise, or a bug of the benchmark',
    action: 'run the control again on a quiet machine; until it is seen, trust no figure',
  },
};

const BRAND = Symbol.for('blindbeam.bench-error');

/** Ends a run. `detail` says what exactly, for a person. */
export class BenchError extends Error {
  readonly code: BenchCode;
  readonly detail: string;

  constructor(code: BenchCode, detail: string, options?: { readonly cause?: unknown }) {
    super(`${code}: ${detail}`, options);
    Object.defineProperty(this, BRAND, { value: true });
    this.name = 'BenchError';
    this.code = code;
    this.detail = detail;
  }
}

/** Tells a BenchError by its brand; with `code`, one of that code. */
export function isBenchError(error: unknown, code?: BenchCode): error is BenchError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as { code?: unknown }).code === code;
}
