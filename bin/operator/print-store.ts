/** How the answers about connections, inboxes, pre-keys, groups and limits look. */

import type { EachAnswer } from '../../actors/admin/ask.ts';
import type { LogLevels } from '../../actors/admin/log-verb.ts';
import type { GroupStat, InboxRow, PeekRow, PreKeysRow, ShardRow } from '../../actors/admin/store-questions.ts';
import type { LimitSet, SessionPage } from '../../actors/admin/store-verbs.ts';
import type { LimitView } from '../../actors/live-limits.ts';
import { bytes, count, span, table } from './text.ts';

export function printSessions({ rows, next }: SessionPage): string {
  const cells = rows.map(({ pid, phase, user, device, queue, handled }) => [
    user ?? '',
    device === undefined ? '' : String(device),
    phase,
    count(queue),
    count(handled),
    pid,
  ]);
  const more = next === undefined ? [] : ['', `more: --after ${next}`];
  const head = ['USER', 'DEVICE', 'PHASE', 'QUEUE', 'HANDLED', 'PID'];
  return [table(head, cells, [false, true, false, true, true]), ...more].join('\n');
}

export function printKicked({
  kicked,
  errors = [],
}: {
  readonly kicked: number;
  readonly errors?: readonly string[];
}): string {
  return [`${count(kicked)} ${kicked === 1 ? 'connection has' : 'connections have'} been ended`, ...errors].join('\n');
}

type InboxStat =
  | { readonly workers: readonly EachAnswer<{ readonly shards: readonly ShardRow[] }>[] }
  | { readonly user: string; readonly devices: readonly InboxRow[] };

export function printInboxes(stat: InboxStat): string {
  return 'workers' in stat ? printShards(stat.workers) : printDevices(stat.devices);
}

function printShards(workers: readonly EachAnswer<{ readonly shards: readonly ShardRow[] }>[]): string {
  const rows = workers.flatMap((each) =>
    'error' in each
      ? [[String(each.worker), each.error]]
      : each.ok.shards.map(({ shard, online, commits, committedMessages, queuedBytes, outbox }) => [
          String(each.worker),
          String(shard),
          count(online),
          count(commits),
          count(committedMessages),
          bytes(queuedBytes),
          count(outbox),
        ]),
  );
  const head = ['WORKER', 'SHARD', 'ONLINE', 'COMMITS', 'STORED', 'QUEUED', 'OUTBOX'];
  return table(head, rows, [false, false, true, true, true, true, true]);
}

function printDevices(devices: readonly InboxRow[]): string {
  const rows = devices.map((each) => [
    `${each.device}${each.isPrimary ? ' primary' : ''}`,
    count(each.waiting),
    bytes(each.waitingBytes),
    count(each.conversations),
    each.oldestAgeMs === undefined ? '' : span(each.oldestAgeMs),
    count(each.acknowledged),
    count(each.lastSeq),
  ]);
  const head = ['DEVICE', 'WAITING', 'BYTES', 'FROM', 'OLDEST', 'ACKNOWLEDGED', 'LAST'];
  return table(head, rows, [false, true, true, true, true, true, true]);
}

export function printPeek({ entries }: { readonly entries: readonly PeekRow[] }): string {
  const rows = entries.map(({ seq, from, fromDevice, id, ageMs, type, bytes: size }) => [
    count(seq),
    fromDevice === 0 ? from : `${from}.${fromDevice}`,
    count(id),
    type,
    bytes(size),
    span(ageMs),
  ]);
  return table(['POSITION', 'FROM', 'ID', 'TYPE', 'BYTES', 'AGE'], rows, [true, false, true, false, true, true]);
}

export function printPreKeys({ devices }: { readonly devices: readonly PreKeysRow[] }): string {
  const rows = devices.map(({ device, oneTime, kem, hasLastResort, signedPreKeyId }) => [
    String(device),
    count(oneTime),
    count(kem),
    hasLastResort ? 'yes' : 'no',
    String(signedPreKeyId),
  ]);
  return table(['DEVICE', 'ONE-TIME', 'KEM', 'LAST RESORT', 'SIGNED'], rows, [true, true, true, false, true]);
}

export function printGroup({ group, epoch, members, admins, order, bodies }: GroupStat): string {
  const rows: [string, string][] = [
    ['epoch', count(epoch)],
    ['members', `${count(members)}, ${count(admins)} of them admins`],
    ['last place', count(order)],
    ['stored here', `${count(bodies)} messages and changes that somebody has not taken`],
  ];
  return table(['group', group], rows);
}

export function printLimits({ limits }: { readonly limits: readonly LimitView[] }): string {
  const rows = limits.map(({ name, value, default: preset, min, max, help }) => [
    name,
    count(value),
    value === preset ? '' : count(preset),
    `${count(min)} to ${count(max)}`,
    help,
  ]);
  return table(['LIMIT', 'VALUE', 'DEFAULT', 'BOUNDS', ''], rows, [false, true, true]);
}

export function printLimitSet({ name, value, before }: LimitSet): string {
  return `${name} is ${count(value)}, was ${count(before)}; it is not stored and ends with the process`;
}

export function printLevels({ level, modules }: LogLevels): string {
  const differing = Object.entries(modules).map(([module, each]) => `${module} ${each}`);
  return [`log level ${level}`, ...differing].join(', ');
}
