/** How the answers about actors look. */

import type { ActorDetails, TreeActor, TreeAnswer } from '../../actors/admin/actor-questions.ts';
import type { KillResult, TraceLine } from '../../actors/admin/actor-verbs.ts';
import type { EachAnswer } from '../../actors/admin/ask.ts';
import type { LineageNode } from '../../runtime/index.ts';
import type { AdminClient } from './client.ts';
import type { LiveOptions } from './command.ts';
import { count, harmless, harmlessJson, table } from './text.ts';

export function printTree({ workers }: { readonly workers: readonly EachAnswer<TreeAnswer>[] }): string {
  return workers.map(printWorkerTree).join('\n\n');
}

function printWorkerTree(each: EachAnswer<TreeAnswer>): string {
  if ('error' in each) return `worker ${each.worker}: ${each.error}`;
  const { roots, orphans } = each.ok;
  const lines = roots.flatMap((root) => treeLines(root, '', ''));
  const loose = orphans > 0 ? [`and ${count(orphans)} that nobody supervises`] : [];
  return [`worker ${each.worker}`, ...lines, ...loose].join('\n');
}

function treeLines({ shown, childCount, children }: LineageNode<TreeActor>, first: string, rest: string): string[] {
  const missing = childCount - children.length;
  const below = children.flatMap((child, index) => {
    const isLast = index === children.length - 1 && missing === 0;
    return treeLines(child, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`);
  });
  const more = missing > 0 ? [`${rest}└─ … ${count(missing)}${children.length > 0 ? ' more' : ''}`] : [];
  return [`${first}${actorLine(shown)}`, ...below, ...more];
}

function actorLine({ pid, name, behavior, status, queue }: TreeActor): string {
  const busy = queue > 0 ? `, ${count(queue)} waiting` : '';
  const state = status === 'waiting' ? '' : `, ${status}`;
  return `${name ?? behavior}  ${pid}${name === undefined ? '' : `  ${behavior}`}${state}${busy}`;
}

export function printDetails(details: ActorDetails): string {
  const { pid, name, behavior, version, status, ancestors } = details;
  const rows: [string, string][] = [
    ['pid', pid],
    ['name', name ?? 'none'],
    ['behaviour', `${behavior}, version ${version}`],
    ['status', status],
    ['parents', ancestors.length > 0 ? ancestors.join(' < ') : 'none'],
    ['mailbox', `${count(details.messageQueueLen)} of ${count(details.messageQueueMax)}`],
    ['oldest waits', `${Math.round(details.messageQueueAgeMs)} ms`],
    ['refused, lost', `${count(details.refusedCount)}, ${count(details.droppedCount)}`],
    ['handled', `${count(details.reductions)} messages, in turns of about ${count(details.runtimeMs)} ms in all`],
    ['links', count(details.linkCount)],
    ['monitors', `${count(details.monitorCount)} made, ${count(details.monitoredByCount)} on it`],
    ['timers', count(details.timerCount)],
    ['traps exits', details.trapsExits ? 'yes' : 'no'],
  ];
  return table(rows[0]!, rows.slice(1));
}

export function printState({ pid, state }: { readonly pid: string; readonly state: unknown }): string {
  return `${pid}\n${JSON.stringify(state, null, 2)}`;
}

export function printSuspended({ pid, forMs }: { readonly pid: string; readonly forMs: number }): string {
  const until = forMs === 0 ? 'until "actor resume"' : `for ${forMs / 1000} s, or until "actor resume"`;
  return `${pid} is suspended ${until}`;
}

export function printResumed({ pid }: { readonly pid: string }): string {
  return `${pid} goes on`;
}

export function printKilled({ pid, ended }: KillResult): string {
  return ended === 'timeout' ? `${pid} has not ended yet` : `${pid} ended: ${ended}`;
}

/** Prints a trace as it comes. */
export async function followTrace(client: AdminClient, parameters: object, { json }: LiveOptions): Promise<number> {
  for await (const line of client.watch<TraceLine>('actor.trace', parameters)) {
    process.stdout.write(`${json ? harmlessJson(line) : harmless(traceText(line))}\n`);
  }
  return 0;
}

const ENDS: Readonly<Record<string, string>> = { cap: 'all events', deadline: 'time is over', stopped: 'stopped' };

function traceText(line: TraceLine): string {
  if ('lost' in line) return `… ${count(line.lost)} lost: this terminal is slower than the actor`;
  const { number, event, tookMs, why } = line;
  if (event === 'end') return `end: ${ENDS[why ?? ''] ?? why ?? ''}`;
  return `${String(number).padStart(6)}  ${event.padEnd(8)} ${tookMs === undefined ? '' : `${tookMs.toFixed(3)} ms`}`;
}
