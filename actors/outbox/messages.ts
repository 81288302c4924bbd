/**
 * What is said about messages that take the detour over the shard of their sender, as types. Plain data: each may cross a thread.
 *
 *   connection ──Detour──▶ inbox (sender's shard) ──Detour──▶ outbox (the same shard) ──Submit──▶ inbox (recipient's shard)
 *   connection ◀──sent, refused, detour-ended── outbox ◀──────────────ForwardAnswer──────────────────┘
 */

import type { Envelope } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { Committed } from '../committer.ts';
import type { Refusal } from '../errors.ts';
import type { SenderAddress } from '../store/inbox-store.ts';
import type { LossCode } from '../store/loss.ts';

/** A message to somebody whose shard is out of reach, or behind one that was. `connection` is told the outcome. */
export interface Detour {
  readonly kind: 'detour';
  readonly connection: Pid;
  readonly sender: SenderAddress;
  /** As in `Submit`. */
  readonly senderKey: string;
  readonly to: string;
  readonly id: number;
  /**
   * The last message of this connection to `to` that took the same way and has no answer yet; 0 when everything before `id` has its
   * check mark. Who takes `id` has to have taken this one.
   */
  readonly after: number;
  readonly envelopes: readonly Envelope[];
}

/** Of a message that an outbox forwards. */
export interface Forward {
  /**
   * Everything before it has arrived, as far as its outbox knows, so it may come whatever id is expected: what is missing between is lost. Said of one
   * message in flight alone. Of the others, only the next one is taken.
   */
  readonly opens: boolean;
  /** Why it was given up: nothing is delivered, and the hole is told. */
  readonly lost?: LossCode | undefined;
}

/** What the recipient's shard says to the outbox: cumulative, up to `id`; or of one message. */
export type ForwardAnswer =
  | { readonly kind: 'forwarded'; readonly senderKey: string; readonly to: string; readonly id: number }
  | {
      readonly kind: 'forward-refused';
      readonly senderKey: string;
      readonly to: string;
      readonly id: number;
      readonly refusal: Refusal;
    };

export type OutboxMessage = Detour | ForwardAnswer | Committed;

/** Nothing of the client to `to` is in the outbox any more: what follows goes to the recipient's shard. */
export interface DetourEnded {
  readonly kind: 'detour-ended';
  readonly to: string;
}
