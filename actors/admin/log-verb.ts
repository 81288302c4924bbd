/**
 * `log level`: what the node writes to its log, of everything or of one module, until its next reload of settings or restart.
 */

import { isLogModule, LOG_MODULES, type LogLevel } from '../log-levels.ts';
import type { NodeControl } from '../node-control.ts';
import { AdminError } from './errors.ts';
import { defineVerb, type Verb } from './verb.ts';

export const LOG_LEVEL = {
  name: 'log.level',
  summary: 'what is logged, of everything or of one module, until settings are read again',
  changes: true,
  parameters: {
    level: {
      kind: 'choice',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      help: 'the least level to log',
      required: true,
      position: 1,
    },
    module: { kind: 'text', help: 'only of this module, as lines of the log name it: listener, media or push' },
  },
} as const;

export interface LogLevels {
  readonly level: LogLevel;
  readonly modules: Readonly<Record<string, LogLevel>>;
}

export function logVerb(control: NodeControl): Verb {
  return defineVerb(LOG_LEVEL, async ({ level, module }): Promise<LogLevels> => {
    const { logLevel, logModules } = control.config;
    if (module !== undefined && !isLogModule(module)) {
      throw new AdminError('ADM_BAD_PARAMETER', `"module" expected one of ${LOG_MODULES.join(', ')}`);
    }
    const levels: LogLevels =
      module === undefined
        ? { level: level as LogLevel, modules: logModules }
        : { level: logLevel, modules: Object.assign({}, logModules, { [module]: level }) };
    await control.setLevels(levels.level, levels.modules);
    return levels;
  });
}
