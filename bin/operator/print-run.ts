/** How the answers of `config reload`, `backup` and `drain` look. */

import type { ReloadAnswer } from '../../actors/admin/run-verbs.ts';
import type { BackupResult } from '../../actors/backup.ts';
import type { DrainResult } from '../../actors/drain.ts';
import { count, table } from './text.ts';

export function printReload({ changes }: ReloadAnswer): string {
  if (changes.length === 0) return 'No setting has changed.';
  const rows = changes.map(({ name, before, now, live }) => [name, before, now, live ? 'taken' : 'needs a restart']);
  return table(['SETTING', 'BEFORE', 'NOW', ''], rows, []);
}

export function printBackup({ directory, shards, tookMs }: BackupResult): string {
  return `${directory} has the store with its ${shards} ${shards === 1 ? 'shard' : 'shards'}, taken in ${tookMs} ms. Media are not in it.`;
}

export function printDrain({ told, left }: DrainResult): string {
  const clients = told === 1 ? '1 client was' : `${count(told)} clients were`;
  const connections = left === 1 ? '1 connection is' : `${count(left)} connections are`;
  return `${clients} sent away; ${connections} still open.`;
}
