/**
 * The log of a node. The only importer of pino.
 *
 * JSON lines for machines, one readable line each for people. Nothing secret reaches it: callers pass events and plain
 * fields, and the fields named in `REDACTED` are cut even if somebody passes them. The development verifier is the
 * one exception, on purpose: it logs the code that it would have sent.
 */

import { createRequire } from 'node:module';
import type { Logger } from '../runtime/index.ts';
import type { LogLevel } from './log-levels.ts';

const pino = createRequire(import.meta.url)('pino') as typeof import('pino').default;

export type LogFormat = 'text' | 'json';
export type { LogLevel } from './log-levels.ts';

export interface LoggerOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** 0 for the main thread. */
  readonly worker: number;
  readonly write: (line: string) => void;
}

const REDACTED = ['ciphertext', 'signature', 'nonce', 'secret', 'loginKey', 'identityKey'];

export function createLogger(options: LoggerOptions): Logger {
  const destination = {
    write: options.format === 'json' ? options.write : (line: string) => options.write(readable(line)),
  };
  const log = pino(
    {
      level: options.level,
      base: { worker: options.worker },
      messageKey: 'event',
      redact: REDACTED,
      formatters: { level: (level) => ({ level }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  );
  return {
    debug: (event, fields) => log.debug(fields ?? {}, event),
    info: (event, fields) => log.info(fields ?? {}, event),
    warn: (event, fields) => log.warn(fields ?? {}, event),
    error: (event, fields) => log.error(fields ?? {}, event),
  };
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
