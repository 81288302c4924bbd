/**
 * How death travels: what an exit signal does to the actor that receives it. Pure; `exit.ts` carries it out.
 *
 *   reason      sent by exit(pid, …)                    sent along a link
 *   'kill'      ends it with 'killed', trapped or not    (travels as 'killed')
 *   'normal'    ignored; a message if trapped            ignored; a message if trapped
 *   any other   ends it with the reason; a message if trapped
 *
 * and three refinements of the last two rows: a signal along a link that is no longer there is ignored; `'normal'` sent
 * by an actor to itself does end it; and an actor that traps exits is still ended, in order, by its parent, which in
 * OTP is the work of every behaviour and here of the runtime.
 *
 * Source: the Erlang reference manual on processes ("Receiving Exit Signals"), exit/2, and gen_server on parents.
 */

import type { ExitReason, ExitRequest } from './exit-reason.ts';
import type { Pid } from './pid.ts';

export interface ExitSignal {
  readonly from: Pid;
  readonly reason: ExitRequest;
  /** Whether it travels along a link, or was sent by `exit`. */
  readonly byLink: boolean;
  /** Whether the runtime itself ends the actor, which no trap prevents: its mailbox overflowed. */
  readonly byForce?: boolean;
}

/** What the decision depends on. */
export interface ExitReceiver {
  readonly trapsExits: boolean;
  /** The sender is the receiver. */
  readonly fromSelf: boolean;
  /** The sender started the receiver with `startLink`. */
  readonly fromParent: boolean;
  /** A link to the sender exists. */
  readonly linked: boolean;
}

export type ExitEffect =
  | { readonly type: 'ignore' }
  /** It becomes an `Exit` message. */
  | { readonly type: 'message'; readonly reason: ExitReason }
  /** The actor ends now; its `terminate` is not asked. */
  | { readonly type: 'end'; readonly reason: ExitReason }
  /** The actor ends in order: `terminate` runs. */
  | { readonly type: 'terminate'; readonly reason: ExitReason };

const IGNORE: ExitEffect = Object.freeze({ type: 'ignore' });

/** Decides what `signal` does to `receiver`. The link it came along, if any, is gone afterwards in every case. */
export function receiveExit(signal: ExitSignal, receiver: ExitReceiver): ExitEffect {
  if (signal.byLink && !receiver.linked) return IGNORE;
  if (signal.reason === 'kill') return { type: 'end', reason: 'killed' };
  if (signal.byForce === true) return { type: 'end', reason: signal.reason };
  const { reason } = signal;
  if (receiver.trapsExits) return { type: receiver.fromParent ? 'terminate' : 'message', reason };
  if (reason === 'normal' && !(receiver.fromSelf && !signal.byLink)) return IGNORE;
  return { type: 'end', reason };
}
