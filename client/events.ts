/**
 * What the client tells the application on its own: one union, `type` first, and the hub that hands it out.
 *
 * Events are for showing, not for bookkeeping: a slow reader of `events()` loses the oldest ones and is told so. What must
 * not be lost has a surer place: messages in `messages()`, outcomes in the promises of `send`, both in `history()`.
 */

import type { TrustLevel } from '../protocol/signal/index.ts';
import type { GroupAction } from '../protocol/wire/index.ts';
import type { ConnectionState } from './connection.ts';
import type { ErrorCode } from './errors.ts';
import type { GroupName } from './group-layout.ts';
import type { GroupTypist } from './group-typing.ts';
import { LIMITS } from './limits.ts';
import type { HistoryItem, ReceivedMessage } from './messages.ts';
import type { PeerPresence } from './presence.ts';
import type { Standing } from './strangers.ts';
import type { TransferInfo } from './transfer-layout.ts';

/** Something happened. Plain data but for the message's `markRead`. */
export type ClientEvent =
  | { readonly type: 'state'; readonly state: ConnectionState }
  /** The connection was lost, or never came about; the next attempt is in `delayMs`. */
  | { readonly type: 'retrying'; readonly code: ErrorCode; readonly attempt: number; readonly delayMs: number }
  /** The client has given up; `connect()` may be called again where the code's advice says so. */
  | { readonly type: 'stopped'; readonly code: ErrorCode }
  /** A message was stored, also one that could not be opened (`kind` tells). `messages()` yields it as well. */
  | { readonly type: 'message'; readonly message: ReceivedMessage }
  /** Somebody who is no contact yet has written: see `Protection.accept`. Once in a run for each of them. */
  | { readonly type: 'message-request'; readonly user: string }
  /** What somebody is to this account has changed, here or on another device. */
  | { readonly type: 'standing'; readonly user: string; readonly standing: Standing }
  /** The messages of a conversation were deleted here (`Client.forget`). */
  | { readonly type: 'forgotten'; readonly user: string }
  /** A stored message was edited, deleted, reacted to or viewed; `item` is undefined when it was forgotten. */
  | {
      readonly type: 'changed';
      readonly user: string;
      readonly id: string;
      readonly item: HistoryItem | undefined;
    }
  /** Watermarks of a conversation moved: every message up to each number has that state at least. */
  | {
      readonly type: 'progress';
      readonly user: string;
      readonly sentId: number;
      readonly deliveredId: number;
      readonly readId: number;
    }
  /** Somebody who is watched (`Client.presence`) came, went, or types. */
  | ({ readonly type: 'presence' } & PeerPresence)
  /** Messages of a conversation from this number on were refused for good. */
  | { readonly type: 'refused'; readonly user: string; readonly firstId: number; readonly code: ErrorCode }
  /** Messages of ours were given up by the server: no device of the peer gets them. `code` says why: APP_EXPIRED … */
  | {
      readonly type: 'lost';
      readonly user: string;
      readonly firstId: number;
      readonly lastId: number;
      readonly code: ErrorCode;
    }
  /** Messages of a peer's device to this one were given up by the server; `code` says why. */
  | {
      readonly type: 'pruned';
      readonly user: string;
      readonly device: number;
      readonly firstId: number;
      readonly lastId: number;
      readonly code: ErrorCode;
    }
  /** What stood in a group from one place to another is lost for this device; `code` says why. Changes of the group are asked for. */
  | {
      readonly type: 'group-pruned';
      readonly group: GroupName;
      readonly firstOrder: number;
      readonly lastOrder: number;
      readonly code: ErrorCode;
    }
  /** A peer's device has another identity key than before; sessions with it are new. Safety numbers with the peer change. */
  | {
      readonly type: 'identity-changed';
      readonly user: string;
      readonly device: number;
      readonly accepted: boolean;
      /** The former identity had been compared. */
      readonly wasVerified: boolean;
    }
  /**
   * The server's word about the devices of a user is not borne out by what their primary device has signed: `code` says how, `device`
   * which one. Messages to them wait, until it is or they are taken back by nobody: they are not encrypted for a device that its owner does not know.
   */
  | {
      readonly type: 'devices-refused';
      readonly user: string;
      readonly device: number | undefined;
      readonly code: ErrorCode;
    }
  /** A message that another device of this account has sent. */
  | { readonly type: 'transcript'; readonly user: string; readonly item: HistoryItem }
  /** How far the messages of another device of this account have come. */
  | {
      readonly type: 'twin-progress';
      readonly user: string;
      readonly device: number;
      readonly sentId: number;
      readonly deliveredId: number;
      readonly readId: number;
    }
  /**
   * The history on its way between two own devices: `asked` on the primary one is a question to the person there
   * (`approveHistory`, `declineHistory`). `device` is the other one.
   */
  | ({ readonly type: 'history-transfer' } & TransferInfo)
  /** Another device of this account has shown messages of a user's device up to `id`. */
  | { readonly type: 'seen'; readonly user: string; readonly device: number; readonly id: number }
  /** The person at this end has compared safety numbers with a peer, or goes on without. */
  | { readonly type: 'identity-trust'; readonly user: string; readonly level: TrustLevel }
  /**
   * Somebody, most likely the server, keeps the post-quantum part out of the sessions with this device. What would have been
   * weaker for it is refused (SIG_DOWNGRADE), or the session is begun anew with the next message.
   */
  | { readonly type: 'downgrade'; readonly user: string; readonly device: number }
  /** A number that a peer claimed was looked up: it is the peer's, or somebody else's. */
  | { readonly type: 'phone-checked'; readonly user: string; readonly phone: string; readonly verified: boolean }
  /**
   * We are a member of a group that this device did not make: `inviter` has added us, or made it on another device if that is ourselves.
   * With `byLink` because this device had asked by an invitation link.
   */
  | { readonly type: 'group-joined'; readonly group: GroupName; readonly inviter: string; readonly byLink: boolean }
  /**
   * A member changed the group, and the change holds. That of somebody else may have put us out of it. `byLink` are those of who was added
   * that had asked by the invitation link: admins whom it names know, others see an admin add them.
   */
  | {
      readonly type: 'group-changed';
      readonly group: GroupName;
      readonly epoch: number;
      readonly author: string;
      readonly actions: readonly GroupAction[];
      readonly byLink: readonly string[];
    }
  /**
   * What the server, or a member, says of a group does not hold (`CLI_GROUP_…`): it is left aside, and nothing is encrypted for whom it
   * would bring. `user` is the member with whom we disagree, if one is known.
   */
  | {
      readonly type: 'group-alarm';
      readonly group: GroupName;
      readonly code: ErrorCode;
      readonly user: string | undefined;
    }
  /** Members have received or read more of the group; see the states of messages. */
  | { readonly type: 'group-progress'; readonly group: GroupName }
  /** Who types in a group that is watched (`groups.typing`) has changed. */
  | { readonly type: 'group-typing'; readonly group: GroupName; readonly typists: readonly GroupTypist[] }
  | { readonly type: 'prekeys-uploaded'; readonly count: number }
  /** One-time KEM pre-keys; or, with 0, a new signed and last-resort one. */
  | { readonly type: 'kem-prekeys-uploaded'; readonly count: number }
  /** Work in the background failed and will be tried again at the next occasion. */
  | { readonly type: 'trouble'; readonly code: ErrorCode }
  /** The reader of `events()` was too slow for this many events. */
  | { readonly type: 'events-dropped'; readonly count: number };

/** Called in the turn in which the event happens; must not throw. */
export type EventListener = (event: ClientEvent) => void;

/** Hands events to listeners and iterators. */
export class EventHub {
  readonly #listeners = new Set<EventListener>();
  readonly #iterators = new Set<EventQueue>();
  #closed = false;

  emit(event: ClientEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
    for (const queue of this.#iterators) queue.push(event);
  }

  /** @returns How to stop listening. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Every event from now on, until the hub closes or the loop is left. */
  iterate(): AsyncIterableIterator<ClientEvent> {
    const queue = new EventQueue(() => this.#iterators.delete(queue));
    if (this.#closed) queue.end();
    else this.#iterators.add(queue);
    return queue;
  }

  /** Ends all iterators after what they hold. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#iterators) queue.end();
  }
}

type Reader = (result: IteratorResult<ClientEvent>) => void;

/** One reader's bounded queue. */
class EventQueue implements AsyncIterableIterator<ClientEvent> {
  readonly #onLeave: () => void;
  #waiting: ClientEvent[] = [];
  #readers: Reader[] = [];
  #droppedCount = 0;
  #ended = false;

  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  push(event: ClientEvent): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader({ done: false, value: event });
    this.#waiting.push(event);
    if (this.#waiting.length <= LIMITS.eventQueueCountMax) return;
    this.#waiting.shift();
    this.#droppedCount += 1;
  }

  end(): void {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<ClientEvent>> {
    if (this.#droppedCount > 0) {
      const value: ClientEvent = { type: 'events-dropped', count: this.#droppedCount };
      this.#droppedCount = 0;
      return Promise.resolve({ done: false, value });
    }
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<ClientEvent>> {
    this.#onLeave();
    this.#waiting = [];
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<ClientEvent> {
    return this;
  }
}
