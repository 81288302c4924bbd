/**
 * The seam between an actor's worker and all others: which packets travel, and what carries them.
 *
 * `routing.ts` and its friends make packets, `inbound.ts` takes them in; a transport only moves them, in order for each
 * pair of workers. Between the threads of a node it uses rings of shared memory (`worker/transport.ts`), between nodes a
 * bus (`cluster/transport.ts`).
 *
 * A worker is named by its *place*: for one of this node its number, for one of another node a number that the transport
 * gave to this life of it. So what is far away is one integer to everybody but the transport.
 */

import type { From, SendResult } from './envelope.ts';
import type { ExitReason, ExitRequest } from './exit-reason.ts';
import type { Pid } from './pid.ts';
import type { Ref } from './ref.ts';

/** First element of a packet. The first three are the kinds of `KIND`, so a mailbox takes them as they are. */
export const PACKET: Readonly<{
  info: 1;
  cast: 2;
  call: 3;
  reply: 4;
  refused: 5;
  exit: 6;
  link: 7;
  unlink: 8;
  monitor: 9;
  demonitor: 10;
  down: 11;
  system: 12;
  unlinked: 13;
}> = Object.freeze({
  info: 1,
  cast: 2,
  call: 3,
  reply: 4,
  /** A call reached its worker and was not taken, because the mailbox is full; or its reply could not travel. */
  refused: 5,
  exit: 6,
  link: 7,
  unlink: 8,
  monitor: 9,
  demonitor: 10,
  down: 11,
  /** A request of `sys.ts`. */
  system: 12,
  /** An unlink has arrived. */
  unlinked: 13,
});

/** Tuples, as they are written: one value after the other. `to` is a name if the sender addressed one. */
export type Packet =
  | readonly [type: typeof PACKET.info, to: Pid | string, message: unknown]
  | readonly [type: typeof PACKET.cast, to: Pid | string, message: unknown]
  | readonly [type: typeof PACKET.call, to: Pid | string, request: unknown, from: From]
  | readonly [type: typeof PACKET.system, to: Pid | string, request: unknown, from: From]
  | readonly [type: typeof PACKET.reply, ref: Ref, value: unknown]
  | readonly [type: typeof PACKET.refused, ref: Ref, result: SendResult]
  | readonly [type: typeof PACKET.exit, to: Pid, from: Pid, reason: ExitRequest, byLink: boolean]
  | readonly [type: typeof PACKET.link, to: Pid, from: Pid]
  | readonly [type: typeof PACKET.unlink, to: Pid, from: Pid, id: number]
  | readonly [type: typeof PACKET.unlinked, to: Pid, from: Pid, id: number]
  | readonly [type: typeof PACKET.monitor, to: Pid | string, ref: Ref, watcher: Pid]
  | readonly [type: typeof PACKET.demonitor, ref: Ref]
  | readonly [type: typeof PACKET.down, ref: Ref, pid: Pid, reason: ExitReason];

export interface Transport {
  /** Whether the worker at a place is joined to this one. */
  reaches(worker: number): boolean;
  /** The place of a worker of another node; `undefined` if it is not joined to this one. */
  placeOf(node: string, worker: number): number | undefined;
  /** Sends an info message or a cast: as `send`, without a packet in between, because there are so many. */
  message(
    worker: number,
    kind: typeof PACKET.info | typeof PACKET.cast,
    to: Pid | string,
    message: unknown,
  ): SendResult;
  /**
   * Sends what may be refused: `full`, `unencodable`, `too_large`, `noconnection`. The packet is encoded before this
   * returns.
   */
  send(worker: number, packet: Packet): SendResult;
  /**
   * Sends a reply, which is bounded by the calls that wait and so never refused as `full`. If the value cannot travel the
   * caller is told instead, and waits no longer; the result says why.
   */
  reply(worker: number, ref: Ref, value: unknown): SendResult;
  /**
   * Sends what must arrive, if that worker lives. A reason that cannot be encoded is replaced by one that says so.
   */
  signal(worker: number, packet: Packet): void;
}

/** A packet that has arrived, read in the order of its elements after the kind. Each throws RT_DECODE. */
export interface IncomingPacket {
  /** The next element as whom the packet is for: a name, or null for the pid that `slot` and `creation` then name. */
  address(): string | null;
  readonly slot: number;
  readonly creation: number;
  /** The last element. */
  last(): unknown;
  /** All elements that are left. */
  rest(): unknown[];
}

/** The packet with a reason that can travel in place of one that cannot. */
export function withoutReason(packet: Packet): Packet {
  const reason = { error: { name: 'RuntimeError', code: 'RT_ENCODE', message: 'the exit reason cannot be encoded' } };
  if (packet[0] === PACKET.down) return [packet[0], packet[1], packet[2], reason];
  if (packet[0] === PACKET.exit) return [packet[0], packet[1], packet[2], reason, packet[4]];
  return packet;
}
