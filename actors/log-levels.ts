/**
 * Levels of the log, of everything and of single modules. Pure.
 *
 * A module is the part of the server that writes, as `moduleLogger` of `logger.ts` names it in the lines. What is of none has the level of all.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** From the most talkative to none. */
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

/** The parts that have a level of their own. */
export const LOG_MODULES: readonly LogModule[] = ['listener', 'media', 'push'];

export type LogModule = 'listener' | 'media' | 'push';

export function isLogModule(name: string): name is LogModule {
  return LOG_MODULES.some((each) => each === name);
}

/** What is logged: the level of all, and those of modules that differ. Plain data; it crosses threads. */
export interface LevelTable {
  readonly level: LogLevel;
  readonly modules: Readonly<Record<string, LogLevel>>;
}

/**
 * Reads `push=debug,media=warn`.
 *
 * @returns By module; empty for empty text; undefined if it is no such list, or names a module that there is not.
 */
export function parseLevels(text: string): Readonly<Record<string, LogLevel>> | undefined {
  const levels: Record<string, LogLevel> = {};
  for (const pair of text.split(',').map((each) => each.trim())) {
    if (pair === '') continue;
    const [, module = '', level] = /^([a-z][a-z-]*)=([a-z]+)$/.exec(pair) ?? [];
    if (!isLogModule(module) || !LOG_LEVELS.includes(level as LogLevel)) return undefined;
    levels[module] = level as LogLevel;
  }
  return levels;
}
