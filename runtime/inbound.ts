/**
 * Takes in what other workers sent: each packet does here what its function in `routing.ts`, `relations.ts` or
 * `call.ts` would have done if both ends were near.
 */

import { answer } from './call.ts';
import { CallEnvelope, type From, KIND } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { withLink } from './links.ts';
import { attachMonitor, Monitor } from './monitors.ts';
import { formatPid, Pid } from './pid.ts';
import type { Process } from './process.ts';
import { formatRef, type Ref } from './ref.ts';
import { dropMonitor, forgetLink, reportDown, signalExit } from './relations.ts';
import { deliver } from './routing.ts';
import { PACKET, type Packet } from './transport.ts';

// A flooded mailbox drops very many messages; every so many get one line in the log.
const DROPS_PER_REPORT = 10_000;

/** Acts on one packet from another worker. */
export function receivePacket(kernel: Kernel, packet: Packet): void {
  switch (packet[0]) {
    case PACKET.info:
    case PACKET.cast:
      return receiveMessage(kernel, packet[0], packet[1], packet[2]);
    case PACKET.call:
      return receiveCall(kernel, packet[1], packet[2], packet[3]);
    case PACKET.reply:
      return receiveReply(kernel, packet[1], packet[2]);
    case PACKET.refused:
      return kernel.expectedBy(packet[1])?.waiter?.onRefused(packet[2]);
    case PACKET.exit:
      return receiveExit(kernel, packet);
    case PACKET.link:
      return receiveLink(kernel, packet[1], packet[2]);
    case PACKET.unlink:
      return receiveUnlink(kernel, packet[1], packet[2]);
    case PACKET.monitor:
      return receiveMonitor(kernel, packet[1], packet[2], packet[3]);
    case PACKET.demonitor:
      return receiveDemonitor(kernel, packet[1]);
    case PACKET.down:
      return receiveDown(kernel, packet);
  }
}

function receiveMessage(
  kernel: Kernel,
  kind: typeof KIND.info | typeof KIND.cast,
  to: Pid | string,
  message: unknown,
): void {
  const process = find(kernel, to);
  if (process !== undefined && deliver(kernel, process, kind, message) === 'full') countDrop(kernel, process);
}

function receiveCall(kernel: Kernel, to: Pid | string, request: unknown, from: From): void {
  const process = find(kernel, to);
  // If there is none, the monitor that travelled before this call has already been answered.
  if (process === undefined) return;
  const result = deliver(kernel, process, KIND.call, new CallEnvelope(from, request));
  if (result !== 'ok') kernel.transport!.signal(from.pid.worker, [PACKET.refused, from.ref, result]);
}

function receiveReply(kernel: Kernel, ref: Ref, value: unknown): void {
  const found = kernel.expectedBy(ref);
  if (found !== undefined) answer(found, value);
}

function receiveExit(kernel: Kernel, [, to, from, reason, byLink]: Extract<Packet, { 0: typeof PACKET.exit }>): void {
  const process = kernel.processes.get(to);
  if (process !== undefined) signalExit(kernel, process, { from, reason, byLink });
}

function receiveLink(kernel: Kernel, to: Pid, from: Pid): void {
  const process = kernel.processes.get(to);
  if (process !== undefined) process.links = withLink(process.links, formatPid(from));
  else kernel.transport!.signal(from.worker, [PACKET.exit, from, to, 'noproc', true]);
}

function receiveUnlink(kernel: Kernel, to: Pid, from: Pid): void {
  const process = kernel.processes.get(to);
  if (process !== undefined) forgetLink(kernel, process, from);
}

function receiveMonitor(kernel: Kernel, to: Pid | string, ref: Ref, watcher: Pid): void {
  const process = find(kernel, to);
  if (process === undefined) {
    const pid = typeof to === 'string' ? kernel.self : to;
    return kernel.transport!.signal(watcher.worker, [PACKET.down, ref, pid, 'noproc']);
  }
  const made = new Monitor(ref, null, watcher, process, null);
  attachMonitor(made);
  kernel.foreign.set(formatRef(ref), made);
}

function receiveDemonitor(kernel: Kernel, ref: Ref): void {
  const made = kernel.foreign.get(formatRef(ref));
  if (made !== undefined) dropMonitor(kernel, made);
}

function receiveDown(kernel: Kernel, [, ref, pid, reason]: Extract<Packet, { 0: typeof PACKET.down }>): void {
  const made = kernel.expectedBy(ref);
  if (made !== undefined) reportDown(kernel, made, pid, reason);
}

function find(kernel: Kernel, to: Pid | string): Process | undefined {
  return to instanceof Pid ? kernel.processes.get(to) : kernel.registry.whereis(to);
}

function countDrop(kernel: Kernel, process: Process): void {
  if (kernel.droppedCount % DROPS_PER_REPORT === 0) {
    const { behavior } = process;
    kernel.log.warn('mailbox_full', {
      pid: formatPid(process),
      behavior: behavior.name,
      dropped: kernel.droppedCount + 1,
    });
  }
  kernel.droppedCount += 1;
}
