/**
 * What an inbox gives up, and who is told: entries that are too old, too many, or cannot be delivered.
 *
 *   expired        the sweep finds inboxes whose oldest entry waits for thirty days         APP_EXPIRED
 *   pruned         an inbox over its bound: the oldest of the conversation that takes most  APP_PRUNED
 *   undeliverable  one message on which a device breaks off again and again                 APP_UNDELIVERABLE
 *
 * Each is an item of the inbox's queue, planned into a commit like any other, and bounded: what is left comes with the next.
 * With the entries go, in the same commit, a gap into the record of the conversation and a notice into the inbox of the
 * recipient; after its flush the sender is told.
 *
 * Here are the words for it, and who asks for it; `sweep.ts` asks for what has expired. Read next: `plan-losses.ts`, which decides
 * what goes, and `settle-losses.ts`, which tells it.
 */

import type { Context } from '../../runtime/index.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import type { GapRecord } from '../store/loss.ts';
import { enqueue } from './queue.ts';
import type { Conversation, Device, Recipient } from './recipients.ts';
import type { InboxState } from './state.ts';

/** Something that an inbox is to give up. */
export type LossItem =
  | { readonly kind: 'expire' | 'prune'; readonly user: string; readonly device: number }
  | { readonly kind: 'set-aside'; readonly user: string; readonly device: number; readonly seq: number };

interface Removal {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly entry: InboxEntry;
  /** Where it stands in the fresh tier; 0 for a waiting one. */
  readonly arrival: number;
}

/** The losses of one commit. */
export interface Losses {
  /** For planning them again if the commit fails. */
  items: LossItem[];
  /** What is left for the next commit. */
  readonly next: LossItem[];
  removals: Removal[];
  /** Devices from which nothing is removed after all: they are read again. */
  readonly unheld: Map<Device, Recipient>;
  readonly gaps: { readonly conversation: Conversation; readonly to: string; readonly gap: GapRecord }[];
  /** Messages lost, by the name that statistics give them. */
  readonly counts: Record<keyof LossCounts, number>;
}

/** Messages lost by a shard since it started. */
export interface LossCounts {
  readonly expiredMessages: number;
  readonly prunedMessages: number;
  readonly undeliverableMessages: number;
  /** Told as lost by a store that was restored; some of them their recipients may have. */
  readonly restoredMessages: number;
}

/** Where the sweep for expired entries stands. */
export interface Sweep {
  /** The inbox that was looked at last; `undefined` between rounds. */
  after: { readonly user: string; readonly device: number } | undefined;
  lost: LossCounts;
  /** When the oldest entry came that the last whole round saw, and that this one has seen so far; 0 for none. */
  oldestMs: number;
  oldestSoFarMs: number;
}

function noCounts(): Record<keyof LossCounts, number> {
  return { expiredMessages: 0, prunedMessages: 0, undeliverableMessages: 0, restoredMessages: 0 };
}

export function noLosses(): Losses {
  return { items: [], next: [], removals: [], unheld: new Map(), gaps: [], counts: noCounts() };
}

export function newSweep(): Sweep {
  return { after: undefined, lost: noCounts(), oldestMs: 0, oldestSoFarMs: 0 };
}

/** The inbox of a device is over its bound. Planned with the next item, so before the next commit. */
export function requestPrune(recipient: Recipient, device: Device, state: InboxState): void {
  if (device.pruning) return;
  device.pruning = true;
  state.queue.push({ kind: 'prune', user: recipient.user, device: device.id });
}

/** A device got one message alone on many connections and acknowledged it on none. It gets nothing until that is set aside. */
export function setAside(recipient: Recipient, device: Device, state: InboxState, ctx: Context): void {
  if (device.stuckSeq === 0) return;
  // No contents, and nobody's name: which message it was, its two ends are told.
  ctx.log.warn('delivery_loop', { connections: device.fruitless });
  device.fruitless = 0;
  device.moving = true;
  enqueue({ kind: 'set-aside', user: recipient.user, device: device.id, seq: device.stuckSeq }, state, ctx);
}
