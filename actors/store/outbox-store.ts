/**
 * What a shard keeps of messages that its own people have written to somebody whose shard was out of reach, as a contract: part of
 * `inbox-store.ts`, with the same promises.
 *
 * A *detour* is a row of such messages: of one life of a sender's device, to one recipient, by ascending ids. Bytes on disk: `outbox-layout.ts`.
 * Implementations: `outbox-tables.ts` for lmdb, `memory-outbox.ts`. Who fills it and forwards what is in it: `../outbox.ts`.
 */

import type { Envelope } from '../../protocol/wire/index.ts';
import type { SenderAddress } from './inbox-store.ts';
import type { LossCode } from './loss.ts';

/** A message that was acknowledged to its sender and has not arrived. */
export interface OutboxEntry {
  readonly sender: SenderAddress;
  readonly to: string;
  readonly id: number;
  /** Server time at which it was taken, milliseconds. */
  readonly ts: number;
  /** One for each device that it was encrypted for; none where it was given up. */
  readonly envelopes: readonly Envelope[];
  /** Why it was given up. The entry stays, for the recipient's shard has to hear of the hole. */
  readonly lost?: LossCode | undefined;
}

/** Where an entry stands. */
export interface OutboxPlace {
  readonly sender: SenderAddress;
  readonly to: string;
  readonly id: number;
}

/** An entry without its contents. */
export interface OutboxHead extends OutboxPlace {
  readonly ts: number;
  /** What it counts against the bounds. */
  readonly bytes: number;
  readonly isLost: boolean;
}

/** Writes of one commit. Bytes must not change until it has resolved. */
export interface OutboxBatch {
  /** Adds an entry, or replaces the one with its id. */
  put(entry: OutboxEntry): void;
  remove(sender: SenderAddress, to: string, id: number): void;
}

/** Reads. What they return is owned by the caller. */
export interface OutboxStore {
  /** A page of what waits: detour after detour, each by ascending ids, from the first behind `after`. All of them are read once in the life of an outbox. */
  heads(after: OutboxPlace | undefined, countMax: number): OutboxHead[];
  /** Entries of one detour with `after < id <= through`, ascending, until `countMax` or `bytesMax` is reached; at least one if there is one. */
  entries(
    sender: SenderAddress,
    to: string,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): OutboxEntry[];
  /** When this store was last put in doubt, wall time in milliseconds: what it had taken before may be missing. 0 for never. */
  doubtedMs(): number;
}

/** What an entry takes on the disk beside its ciphertexts. Used for the bounds. */
const OUTBOX_OVERHEAD_BYTES = 64;

/** What a message counts against the bounds. */
export function outboxBytes(envelopes: readonly Envelope[]): number {
  return envelopes.reduce((sum, { ciphertext }) => sum + ciphertext.length, OUTBOX_OVERHEAD_BYTES);
}
