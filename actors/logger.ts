/**
 * The log of a node. The only importer of pino.
 *
 * JSON lines for machines, one readable line each for people. Nothing of people reaches it: callers pass events and plain
 * fields, the fields named in `SECRET` are cut even if somebody passes them, and so is whatever looks like a phone number. The
 * development verifier is the one exception, on purpose: it logs the code that it would have sent, and to whom.
 *
 * A warning or error that repeats itself is held back beyond a rate, and the next one tells how many were. Levels, of everything and of
 * single modules, may change while the node runs.
 */

import { createRequire } from 'node:module';
import { systemClock, type Clock, type Logger } from '../runtime/index.ts';
import { noteCrash } from './console/crash-book.ts';
import { LIMITS } from './limits.ts';
import { LOG_LEVELS, type LevelTable, type LogLevel, type LogModule } from './log-levels.ts';
import { CounterByLabel } from './metrics/meter.ts';
import { fullBucket, takeToken, type TokenBucket } from './rate-limit.ts';

const pino = createRequire(import.meta.url)('pino') as typeof import('pino').default;

export type LogFormat = 'text' | 'json';
export type { LogLevel } from './log-levels.ts';

export interface LoggerOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** Levels of single modules. Default: none differs. */
  readonly modules?: Readonly<Record<string, LogLevel>>;
  /** 0 for the main thread. */
  readonly worker: number;
  readonly write: (line: string) => void;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
}

type Fields = Readonly<Record<string, unknown>>;
type Severity = Exclude<LogLevel, 'silent'>;

/** Fields whose values never stand in a log, at any depth. */
const SECRET: ReadonlySet<string> = new Set(
  'phone number ciphertext body text signature nonce secret ticket token code password key loginKey identityKey authorization'.split(
    ' ',
  ),
);
const CUT = '[cut]';
/** E.164, as far as it can be told from other digits. */
const PHONE = /\+\d{7,15}\b/g;
const DEPTH_MAX = 4;
/** What the development verifier writes in place of a message to a phone. */
const SPOKEN = 'verification_code';
const LINES = new CounterByLabel('blindbeam_log_lines_total');
const REPEAT_RULE = { perSecond: LIMITS.logRepeatsPerSecond, burst: LIMITS.logRepeatsBurst };

/** A log whose levels may change. */
export interface NodeLogger extends Logger {
  setLevels(table: LevelTable): void;
  /** The same log, under the level of a module, whose name stands in the lines. */
  module(name: LogModule): Logger;
}

export function createLogger(options: LoggerOptions): NodeLogger {
  return new Log(options);
}

/** The part of `log` that belongs to a module; `log` itself if it knows none, as in tests. */
export function moduleLogger(log: Logger, name: LogModule): Logger {
  return log instanceof Log ? log.module(name) : log;
}

interface Repeats {
  readonly bucket: TokenBucket;
  heldBack: number;
}

class Log implements NodeLogger {
  readonly #pino: import('pino').Logger;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #repeats: Map<string, Repeats> = new Map();
  #table: LevelTable;

  constructor({ format, level, modules = {}, worker, write, clock = systemClock }: LoggerOptions) {
    this.#table = { level, modules };
    this.#clock = clock;
    // Levels are decided here, since pino's are one for all.
    this.#pino = pino(
      {
        level: 'debug',
        base: { worker },
        messageKey: 'event',
        formatters: { level: (label) => ({ level: label }) },
        timestamp: pino.stdTimeFunctions.isoTime,
      },
      { write: format === 'json' ? write : (line: string) => write(readable(line)) },
    );
  }

  setLevels(table: LevelTable): void {
    this.#table = table;
  }

  module(name: LogModule): Logger {
    const at =
      (severity: Severity) =>
      (event: string, fields?: Fields): void =>
        this.#write(severity, event, fields, name);
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  debug(event: string, fields?: Fields): void {
    this.#write('debug', event, fields);
  }

  info(event: string, fields?: Fields): void {
    this.#write('info', event, fields);
  }

  warn(event: string, fields?: Fields): void {
    this.#write('warn', event, fields);
  }

  error(event: string, fields?: Fields): void {
    this.#write('error', event, fields);
  }

  #write(severity: Severity, event: string, fields: Fields = {}, module?: string): void {
    const { level, modules } = this.#table;
    const least = (module === undefined ? undefined : modules[module]) ?? level;
    if (LOG_LEVELS.indexOf(severity) < LOG_LEVELS.indexOf(least)) return;
    LINES.add(severity);
    const heldBack = severity === 'warn' || severity === 'error' ? this.#heldBack(event) : 0;
    if (heldBack === undefined) return;
    const line: Record<string, unknown> = module === undefined ? {} : { module };
    Object.assign(line, event === SPOKEN ? fields : clean(fields, 0));
    if (heldBack > 0) line['heldBack'] = heldBack;
    if (severity === 'error') noteCrash(event, line, systemClock.nowMs());
    this.#pino[severity](line, event);
  }

  /** How many like it were held back before; undefined if this one is, too. */
  #heldBack(event: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (this.#repeats.size > LIMITS.logEventsMax) this.#repeats.clear();
    const repeats = this.#repeats.get(event) ?? { bucket: fullBucket(REPEAT_RULE, nowMs), heldBack: 0 };
    this.#repeats.set(event, repeats);
    if (takeToken(repeats.bucket, REPEAT_RULE, nowMs) > 0) {
      repeats.heldBack += 1;
      return undefined;
    }
    const { heldBack } = repeats;
    repeats.heldBack = 0;
    return heldBack;
  }
}

/** A copy without what must not be seen. */
function clean(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, SECRET.has(name) ? CUT : cleanValue(value, depth)]),
  );
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replaceAll(PHONE, '[number]');
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value) || depth === DEPTH_MAX) return CUT;
  if (Array.isArray(value)) return value.map((each) => cleanValue(each, depth + 1));
  if (value instanceof Error) return (value.stack ?? value.message).replaceAll(PHONE, '[number]');
  return clean(value, depth + 1);
}

/** `12:30:05 info  node_started port=7400`, made from pino's JSON line. */
function readable(line: string): string {
  const { level, time, worker, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${plain(value)}`);
  return [String(time).slice(11, 19), String(level).padEnd(5), event, ...pairs, `(${worker})`].join(' ') + '\n';
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
