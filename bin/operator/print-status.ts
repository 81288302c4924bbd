/** How `blindbeam status` looks. */

import type { NodeStatus, WorkerFigures } from '../../actors/admin/status.ts';
import { bytes, count, percent, span, table } from './text.ts';

const HEAD = ['WORKER', 'CONNECTIONS', 'ACTORS', 'READY', 'BUSY', 'HEAP', 'STORED', 'QUEUED', 'DEFERRED', 'LOST'];

export function printStatus(status: NodeStatus): string {
  const rows = status.workers.map((each) =>
    'ok' in each ? row(each.worker, each.ok) : failed(each.worker, each.error),
  );
  const right = HEAD.map((_, column) => column > 0);
  return [
    `${status.node} ${status.version} on Node.js ${status.nodeVersion}, process ${status.pid}, up ${span(status.uptimeMs)}`,
    `${status.url}, store ${status.data}, ${bytes(status.memoryBytes)} of memory`,
    '',
    table(HEAD, rows, right),
  ].join('\n');
}

function row(worker: number, figures: WorkerFigures): string[] {
  return [
    String(worker),
    count(figures.connections),
    count(figures.actors),
    count(figures.ready),
    percent(figures.busyMs / Math.max(1, figures.monotonicMs)),
    `${bytes(figures.heapBytes)} of ${bytes(figures.heapBytesMax)}`,
    count(figures.committedMessages),
    bytes(figures.queuedBytes),
    count(figures.deferred),
    count(figures.dropped),
  ];
}

function failed(worker: number, error: string): string[] {
  return [String(worker), error];
}
