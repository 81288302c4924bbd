/**
 * What the end of another worker does to the actors here: OTP's node-down.
 *
 * Every link to an actor there gives an exit signal `'noconnection'`, every monitor a `Down` with it, and a call that
 * waits for one there fails with it. Pids of that life stay dead: the worker's next life begins with another creation.
 */

import type { Kernel } from './kernel.ts';
import { linkKeys } from './links.ts';
import { parsePid, Pid } from './pid.ts';
import type { Process } from './process.ts';
import { dropMonitor, reportDown } from './relations.ts';
import { signalExit } from './exit-signals.ts';

/** A worker that is lost: whose it was, and the place under which the transport had it. */
export interface LostWorker {
  readonly node: string;
  readonly worker: number;
  readonly place: number;
}

/** Carries the loss of a worker of this node out. What it sent before must have been received. */
export function loseWorker(kernel: Kernel, worker: number): void {
  losePlace(kernel, { node: kernel.name, worker, place: worker });
}

/** Carries the loss of any worker out. */
export function losePlace(kernel: Kernel, lost: LostWorker): void {
  // A scan over all actors, some 10 ms for a million of them. An index of links by worker would be paid for by each
  // link that is made and broken, for a thing that hardly ever happens.
  for (const process of kernel.processes.all()) breakLinks(kernel, process, lost);
  for (const made of kernel.expected.all()) {
    if (made.abroad?.worker !== lost.place) continue;
    const { to } = made.abroad;
    reportDown(kernel, made, typeof to === 'string' ? new Pid(lost.node, lost.worker, 0, 0) : to, 'noconnection');
  }
  for (const [pair, told] of kernel.unlinking) if (told.worker === lost.place) kernel.unlinking.delete(pair);
  // Monitors that actors there had made on actors here: nobody is left to be told.
  for (const made of [...kernel.foreign.values()]) if (livedThere(made.watcherPid, lost)) dropMonitor(kernel, made);
}

function breakLinks(kernel: Kernel, process: Process, lost: LostWorker): void {
  for (const key of linkKeys(process.links)) {
    // A link to an actor elsewhere is kept as the text of its pid.
    if (typeof key !== 'string') continue;
    const peer = parsePid(key)!;
    if (livedThere(peer, lost)) signalExit(kernel, process, { from: peer, reason: 'noconnection', byLink: true });
  }
}

function livedThere({ node, worker }: Pid, lost: LostWorker): boolean {
  return worker === lost.worker && node === lost.node;
}
