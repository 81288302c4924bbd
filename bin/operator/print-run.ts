/** How the answers of `config reload` and `drain` look. */

import type { ReloadAnswer } from '../../actors/admin/run-verbs.ts';
import type { BackupResult } from '../../actors/backup.ts';
import type { DrainResult } from '../../actors/drain.ts';
import { table } from './text.ts';

export function printReload({ changes }: ReloadAnswer): string {
  if (changes.length === 0) return 'No setting has changed.';
  const rows = changes.map(({ name, before, now, live }) => [name, before, now, live ? 'taken' : 'needs a restart']);
  return table(['SETTING', 'BEFORE', 'NOW', ''], rows, []);
}

export function printBackup({ directory, shards, tookMs }: BackupResult): string {
  return `${directory} has the store with its ${shards} shards, taken in ${tookMs} ms. Media are not in it.`;
}

export function printDrain({ told, left }: DrainResult): string {
  return `${told} clients were sent away; ${left} connections are still open.`;
}
