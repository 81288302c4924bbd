/**
 * What the two halves of a transfer have in common: the conversation with one's own devices, the lock, and reasons on the wire.
 */

import { asProtocolCode } from './close-reason.ts';
import type { Conversation } from './conversation.ts';
import type { Clock, Random } from './environment.ts';
import { CLIENT_CODES } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import type { Locks } from './locks.ts';
import type { Media } from './media.ts';
import type { TransferBody, TransferInfo } from './transfer-layout.ts';

/** What a transfer needs of its client. */
export interface TransferServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
  readonly media: Media;
  readonly clock: Clock;
  readonly random: Random;
  readonly self: { readonly user: string; readonly device: number };
  /** The conversation with one's own other devices. */
  readonly conversation: () => Conversation;
  readonly emit: (event: ClientEvent) => void;
  readonly fail: (error: unknown) => void;
}

/** What follows when what was said is noted. */
export type Reply = (() => Promise<void> | void) | undefined;

/** The name under which records of transfers are locked. */
export const TRANSFER_LOCK = 'transfer';

/** The services, and what is made of them for both halves. */
export interface TransferLink extends TransferServices {
  /** Resolves when it is in the outbox. */
  say(body: TransferBody): Promise<void>;
  tell(info: TransferInfo): void;
  /** Runs `work` under the lock, in a transaction of its own. */
  locked<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>;
}

export function linkOf(services: TransferServices): TransferLink {
  const { journal, locks, conversation, emit } = services;
  return {
    ...services,
    async say(body) {
      await conversation().enqueue({ body, isViewOnce: false, timerSeconds: 0 });
    },
    tell: (info) => emit({ type: 'history-transfer', ...info }),
    locked: (work) =>
      locks.run([TRANSFER_LOCK], async () => {
        const transaction = journal.begin();
        const result = await work(transaction);
        await journal.commit(transaction);
        return result;
      }),
  };
}

/** A reason as the other device names it: one that this release knows, or one of the server's. */
export function codeOfWire(code: string): ErrorCode {
  if (Object.hasOwn(CLIENT_CODES, code)) return code as ErrorCode;
  return asProtocolCode(code) ?? 'CLI_TRANSFER_CANCELLED';
}
