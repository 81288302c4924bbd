/**
 * The verbs that run a node: `config.reload`, `drain`, `resume`, `backup`. What they do is in `../node-control.ts`.
 */

import type { BackupResult } from '../backup.ts';
import type { DrainResult } from '../drain.ts';
import { isStartupError } from '../errors.ts';
import type { SettingChange } from '../config/live.ts';
import type { NodeControl } from '../node-control.ts';
import { AdminError } from './errors.ts';
import { defineVerb, type Verb } from './verb.ts';

export const CONFIG_RELOAD = {
  name: 'config.reload',
  summary: 'read the settings again and take what a running node can take',
  changes: true,
  parameters: {},
} as const;

export const DRAIN = {
  name: 'drain',
  summary: 'send every client away, at a rate, and let nobody in',
  changes: true,
  parameters: {
    rate: { kind: 'integer', min: 1, max: 1_000_000, help: 'connections in a second; else the setting drain-rate' },
    withinMs: { kind: 'integer', min: 0, max: 3_600_000, default: 600_000, help: 'then all that are left go at once' },
  },
} as const;

export const RESUME = {
  name: 'resume',
  summary: 'let clients in again after a drain',
  changes: true,
  parameters: {},
} as const;

export const BACKUP = {
  name: 'backup',
  summary: 'copy the store while the node runs',
  changes: true,
  parameters: {
    directory: {
      kind: 'text',
      required: true,
      position: 1,
      help: 'where to, as a whole path; it must not be there yet',
    },
  },
} as const;

/** What `config.reload` answers. */
export interface ReloadAnswer {
  readonly changes: readonly SettingChange[];
}

/** Makes a backup in a directory. */
export type BackUp = (directory: string) => Promise<BackupResult>;

export function runVerbs(control: NodeControl, backUp: BackUp): Verb[] {
  return [
    defineVerb(BACKUP, ({ directory }) => backUp(directory)),
    defineVerb(CONFIG_RELOAD, async (): Promise<ReloadAnswer> => ({ changes: await reload(control) })),
    defineVerb(DRAIN, ({ rate, withinMs }): Promise<DrainResult> =>
      control.drain(rate ?? control.config.drainRate, withinMs),
    ),
    defineVerb(RESUME, async () => {
      await control.resume();
      return {};
    }),
  ];
}

async function reload(control: NodeControl): Promise<SettingChange[]> {
  try {
    return await control.reload();
  } catch (error) {
    if (!isStartupError(error)) throw error;
    throw new AdminError('ADM_REFUSED', error.message);
  }
}
