/**
 * Takes in what other workers sent: each packet does here what its function in `routing.ts`, `relations.ts`,
 * `exit-signals.ts` or `call.ts` would have done if both ends were near.
 */

import { deliverSystem } from './attention.ts';
import { answer } from './call.ts';
import { CallEnvelope, type From, KIND } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { addLink, hasLink } from './links.ts';
import { attachMonitor, Monitor } from './monitors.ts';
import { formatPid, Pid } from './pid.ts';
import type { Process } from './process.ts';
import { formatRef, Ref } from './ref.ts';
import { dropMonitor, forgetLink, pairOf, reportDown } from './relations.ts';
import { signalExit } from './exit-signals.ts';
import { deliver } from './routing.ts';
import { signalTo } from './location.ts';
import { type IncomingPacket, PACKET, type Packet } from './transport.ts';

// A flooded mailbox drops very many messages; every so many get one line in the log.
const DROPS_PER_REPORT = 10_000;

/**
 * Acts on one packet from another worker.
 *
 * @param peer - The node that it is from, if that is another: it speaks for its own actors and for no others, so that who asked, watches or ended can be believed,
 *   and looks into none of ours.
 * @throws {RuntimeError} RT_DECODE if it is not what its kind says.
 */
export function receivePacket(kernel: Kernel, kind: number, packet: IncomingPacket, peer?: string): void {
  if (kind === PACKET.info || kind === PACKET.cast) return receiveMessage(kernel, kind, packet);
  const checked = checkPacket([kind, ...packet.rest()]);
  if (peer !== undefined) checkSpeaker(checked, peer);
  act(kernel, checked);
}

function checkSpeaker(packet: Packet, peer: string): void {
  // States hold keys, and to suspend or end an actor is its own node's affair; on a bus anybody with a node's rights there is a peer.
  if (packet[0] === PACKET.system) throw new RuntimeError('RT_DECODE', 'a system request of another node');
  const speaker = speakerOf(packet);
  if (speaker !== undefined && speaker.node !== peer) {
    throw new RuntimeError('RT_DECODE', 'the packet speaks in the name of another node');
  }
}

/** The actor, or the ref, of the far side in whose name a packet is; of an answer none, its ref is one of ours. */
function speakerOf(packet: Packet): Pid | Ref | undefined {
  switch (packet[0]) {
    case PACKET.call:
      return packet[3].pid;
    case PACKET.exit:
    case PACKET.link:
    case PACKET.unlink:
    case PACKET.unlinked:
      return packet[2];
    case PACKET.monitor:
      return packet[3];
    case PACKET.demonitor:
      return packet[1];
    default:
      return undefined;
  }
}

function receiveMessage(kernel: Kernel, kind: typeof KIND.info | typeof KIND.cast, packet: IncomingPacket): void {
  const name = packet.address();
  const process = name === null ? kernel.processes.find(packet.slot, packet.creation) : kernel.registry.whereis(name);
  // For nobody: what it says need not be read.
  if (process === undefined) return;
  if (deliver(kernel, process, kind, packet.last()) === 'full') countDrop(kernel, process);
}

function act(kernel: Kernel, packet: Packet): void {
  switch (packet[0]) {
    case PACKET.info:
    case PACKET.cast:
      return;
    case PACKET.call:
      return receiveCall(kernel, packet[1], packet[2], packet[3]);
    case PACKET.system:
      return receiveSystem(kernel, packet[1], packet[2], packet[3]);
    case PACKET.reply:
      return receiveReply(kernel, packet[1], packet[2]);
    case PACKET.refused:
      return kernel.expectedBy(packet[1])?.waiter?.onRefused(packet[2]);
    case PACKET.exit:
      return receiveExit(kernel, packet);
    case PACKET.link:
      return receiveLink(kernel, packet[1], packet[2]);
    case PACKET.unlink:
      return receiveUnlink(kernel, packet[1], packet[2], packet[3]);
    case PACKET.unlinked:
      return receiveUnlinked(kernel, packet[1], packet[2], packet[3]);
    case PACKET.monitor:
      return receiveMonitor(kernel, packet[1], packet[2], packet[3]);
    case PACKET.demonitor:
      return receiveDemonitor(kernel, packet[1]);
    case PACKET.down:
      return receiveDown(kernel, packet);
  }
}

function receiveCall(kernel: Kernel, to: Pid | string, request: unknown, from: From): void {
  const process = find(kernel, to);
  // If there is none, the monitor that travelled before this call has already been answered.
  if (process === undefined) return;
  const result = deliver(kernel, process, KIND.call, new CallEnvelope(from, request));
  if (result !== 'ok') signalTo(kernel, from.pid, [PACKET.refused, from.ref, result]);
}

function receiveSystem(kernel: Kernel, to: Pid | string, request: unknown, from: From): void {
  const process = find(kernel, to);
  if (process === undefined) return;
  const result = deliverSystem(kernel, process, new CallEnvelope(from, request));
  if (result !== 'ok') signalTo(kernel, from.pid, [PACKET.refused, from.ref, result]);
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
  if (process === undefined) return signalTo(kernel, from, [PACKET.exit, from, to, 'noproc', true]);
  // Sent before our unlink arrived there, which ends that side too.
  if (kernel.unlinking.has(pairOf(process, from))) return;
  const key = formatPid(from);
  if (!hasLink(process, key)) addLink(process, key);
}

function receiveUnlink(kernel: Kernel, to: Pid, from: Pid, id: number): void {
  const process = kernel.processes.get(to);
  if (process !== undefined) forgetLink(kernel, process, from);
  signalTo(kernel, from, [PACKET.unlinked, from, to, id]);
}

/** Whether or not `to` still lives. */
function receiveUnlinked(kernel: Kernel, to: Pid, from: Pid, id: number): void {
  const pair = pairOf(to, from);
  if (kernel.unlinking.get(pair)?.id === id) kernel.unlinking.delete(pair);
}

function receiveMonitor(kernel: Kernel, to: Pid | string, ref: Ref, watcher: Pid): void {
  const process = find(kernel, to);
  if (process === undefined) {
    const pid = typeof to === 'string' ? kernel.self : to;
    return signalTo(kernel, watcher, [PACKET.down, ref, pid, 'noproc']);
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

type Check = (value: unknown) => boolean;

const isPid: Check = (value) => value instanceof Pid;
const isRef: Check = (value) => value instanceof Ref;
const isTarget: Check = (value) => typeof value === 'string' || value instanceof Pid;
const isNumber: Check = (value) => typeof value === 'number';
const isAnything: Check = () => true;
const isFrom: Check = (value) => isPid((value as From | undefined)?.pid) && isRef((value as From | undefined)?.ref);
const isReason: Check = (value) => typeof value === 'string' || (typeof value === 'object' && value !== null);

/** What the elements of a packet are, after its kind. */
const FORMS: Readonly<Record<number, readonly Check[]>> = Object.freeze({
  [PACKET.call]: [isTarget, isAnything, isFrom],
  [PACKET.system]: [isTarget, isAnything, isFrom],
  [PACKET.reply]: [isRef, isAnything],
  [PACKET.refused]: [isRef, (value) => typeof value === 'string'],
  [PACKET.exit]: [isPid, isPid, isReason, (value) => typeof value === 'boolean'],
  [PACKET.link]: [isPid, isPid],
  [PACKET.unlink]: [isPid, isPid, isNumber],
  [PACKET.unlinked]: [isPid, isPid, isNumber],
  [PACKET.monitor]: [isTarget, isRef, isPid],
  [PACKET.demonitor]: [isRef],
  [PACKET.down]: [isRef, isPid, isReason],
});

// The writer is this code on another thread or node; what it cannot have written would otherwise fail much later, in an actor.
function checkPacket(packet: readonly [kind: number, ...elements: unknown[]]): Packet {
  const form = FORMS[packet[0]];
  const fits = form !== undefined && form.length === packet.length - 1;
  if (!fits || !form.every((check, index) => check(packet[index + 1]))) {
    throw new RuntimeError('RT_DECODE', `the packet is none of kind ${packet[0]}`);
  }
  return packet as unknown as Packet;
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
