/**
 * Levels of the log, of everything and of single modules. Pure.
 *
 * A module is the part of the server that writes: the first word of an event before `:`, as `moduleLogger` of `logger.ts` sets it.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** From the most talkative to none. */
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

/** What is logged: the level of all, and those of modules that differ. Plain data; it crosses threads. */
export interface LevelTable {
  readonly level: LogLevel;
  readonly modules: Readonly<Record<string, LogLevel>>;
}

/**
 * Reads `push=debug,media=warn`.
 *
 * @returns By module; empty for empty text; undefined if it is no such list.
 */
export function parseLevels(text: string): Readonly<Record<string, LogLevel>> | undefined {
  const levels: Record<string, LogLevel> = {};
  for (const pair of text.split(',').map((each) => each.trim())) {
    if (pair === '') continue;
    const [, module, level] = /^([a-z][a-z-]*)=([a-z]+)$/.exec(pair) ?? [];
    if (module === undefined || !LOG_LEVELS.includes(level as LogLevel)) return undefined;
    levels[module] = level as LogLevel;
  }
  return levels;
}
