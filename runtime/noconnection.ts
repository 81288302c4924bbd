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
import { dropMonitor, reportDown, signalExit } from './relations.ts';

/** Carries the loss of `worker` out. What it sent before must have been received. */
export function loseWorker(kernel: Kernel, worker: number): void {
  // A scan over all actors, some 10 ms for a million of them. An index of links by worker would be paid for by each
  // link that is made and broken, for a thing that hardly ever happens.
  for (const process of kernel.processes.all()) breakLinks(kernel, process, worker);
  for (const made of kernel.expected.all()) {
    if (made.abroad?.worker !== worker) continue;
    const { to } = made.abroad;
    reportDown(kernel, made, typeof to === 'string' ? new Pid(kernel.name, worker, 0, 0) : to, 'noconnection');
  }
  for (const [pair, told] of kernel.unlinking) if (told.worker === worker) kernel.unlinking.delete(pair);
  // Monitors that actors there had made on actors here: nobody is left to be told.
  for (const made of [...kernel.foreign.values()]) if (made.watcherPid.worker === worker) dropMonitor(kernel, made);
}

function breakLinks(kernel: Kernel, process: Process, worker: number): void {
  for (const key of linkKeys(process.links)) {
    // A link to an actor elsewhere is kept as the text of its pid.
    if (typeof key !== 'string') continue;
    const peer = parsePid(key)!;
    if (peer.worker !== worker || peer.node !== kernel.name) continue;
    signalExit(kernel, process, { from: peer, reason: 'noconnection', byLink: true });
  }
}
