/**
 * What travels between actors: the shapes an author sees, and the kinds a mailbox tells apart.
 *
 * A message sent to a neighbour on the same worker has no envelope: the mailbox stores its kind and the message itself
 * side by side. Only a call needs a record of its own, because a reply must find its way back.
 */

import type { RuntimeError } from './errors.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Pid } from './pid.ts';
import type { Ref } from './ref.ts';

/**
 * What became of a send. Only `'ok'` means that the message is on its way; in all other cases nothing was sent and the
 * sender still has the message and decides. A send to another worker cannot know whether the actor there lives: it
 * says `'ok'` and the message is dropped there, as in Erlang; monitor the pid if you must know.
 *
 *   full          mailbox, or the way to that worker, is at its bound
 *   noproc        no such actor on this worker, or no such name
 *   noconnection  the node or worker is not joined to this one
 *   unencodable   the message holds something that cannot leave the thread
 *   too_large     the encoded message exceeds LIMITS.workerPacketBytesMax
 */
export type SendResult = 'ok' | 'full' | 'noproc' | 'noconnection' | 'unencodable' | 'too_large';

/**
 * Whom to send to: a pid, a name on this worker, or a name on another worker (OTP's `{Name, Node}`), of this node or of
 * `node`.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Target<M = any> = Pid<M> | string | { name: string; worker: number; node?: string };

/** What `call` may ask of a target: a pid knows, a name does not. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RequestOf<To> = To extends Pid<any, infer Q, any> ? Q : unknown;

/** What `call` resolves with: what the pid's behaviour replies, or what the caller said that it expects. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type ReplyOf<To, Expected> = To extends Pid<any, any, infer R> ? (unknown extends R ? Expected : R) : Expected;

/** The caller, as handed to `handleCall`; give it to `reply`. Plain data: it may be stored and passed on. */
export interface From {
  readonly pid: Pid;
  readonly ref: Ref;
}

/** The message a monitor delivers, once. */
export interface Down {
  readonly type: 'DOWN';
  readonly ref: Ref;
  readonly pid: Pid;
  readonly reason: ExitReason;
}

/** The message that an exit signal becomes in an actor that traps exits. */
export interface Exit {
  readonly type: 'EXIT';
  readonly pid: Pid;
  readonly reason: ExitReason;
}

/** Whether an info message is a monitor's `Down`. */
export function isDown(info: unknown): info is Down {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'DOWN';
}

/** Whether an info message is a trapped `Exit`. */
export function isExit(info: unknown): info is Exit {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'EXIT';
}

/** What comes to `handleInfo` for a `sendRequest`, once. */
export type Response =
  | { readonly type: 'RESPONSE'; readonly ref: Ref; readonly ok: unknown }
  /** What `call` would have rejected with. */
  | { readonly type: 'RESPONSE'; readonly ref: Ref; readonly error: RuntimeError };

/** Whether an info message is the response to a `sendRequest`. */
export function isResponse(info: unknown): info is Response {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'RESPONSE';
}

/** A request waiting in a mailbox. */
export class CallEnvelope {
  readonly from: From;
  readonly request: unknown;

  constructor(from: From, request: unknown) {
    this.from = from;
    this.request = request;
  }
}

/** The kinds of entries in a mailbox. Small integers, because they are stored beside each message. */
export const KIND: Readonly<{ none: 0; info: 1; cast: 2; call: 3; notice: 4; down: 5; continue: 6 }> = Object.freeze({
  /** An empty place. */
  none: 0,
  /** Anything from `send`. */
  info: 1,
  cast: 2,
  /** A `CallEnvelope`. */
  call: 3,
  /** An info message that the runtime itself delivers and never refuses: a timer's, or a trapped `Exit`. */
  notice: 4,
  /** A `Down`, which is dropped instead of handled if its monitor was removed while it waited. */
  down: 5,
  /** A term for `handleContinue`. Never in a mailbox: it comes before all that wait there. */
  continue: 6,
});
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Whether a mailbox must take and keep an entry of this kind, full or not. */
export function isKept(kind: Kind): boolean {
  return kind >= KIND.notice;
}
