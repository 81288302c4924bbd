/**
 * Messages as the application holds them. Types only; who makes them: `conversation.ts` (outgoing), `reader.ts`
 * (received), `history.ts` (both, from the store).
 */

import type { Attachment } from './content-body.ts';
import type { ErrorCode } from './errors.ts';
import type { GroupName } from './group-layout.ts';
import type { Reaction } from './history-layout.ts';

/**
 * How far an outgoing message has come. Each state implies the ones before it; `refused` is instead of them: by the server at once, or
 * given up later, as after thirty days (`HistoryItem.failure` has the code).
 */
export type MessageState = 'queued' | 'sent' | 'delivered' | 'read' | 'refused';

/** How far a message to a group has come with one member. */
export interface MemberState {
  /** User id. */
  readonly user: string;
  readonly state: 'sent' | 'delivered' | 'read';
}

/** What a message says, or why it cannot say it. */
export type MessageBody =
  | { readonly kind: 'text'; readonly text: string }
  /** An answer to another message; `quote` is the beginning of that one as the sender saw it. */
  | { readonly kind: 'reply'; readonly text: string; readonly quote: string }
  /** A file, encrypted apart: see `Client.downloadMedia`. `text` is the caption. */
  | { readonly kind: 'attachment'; readonly text: string; readonly attachment: Attachment }
  /** From here on messages are forgotten after `seconds`; 0: they stay. */
  | { readonly kind: 'timer'; readonly text: ''; readonly seconds: number }
  /** To be viewed once, or viewed: see `Client.view`. */
  | { readonly kind: 'view-once'; readonly text: '' }
  /** Its author has deleted it for everyone. */
  | { readonly kind: 'deleted'; readonly text: '' }
  /** Written by a later version of this software; an update will show it. */
  | { readonly kind: 'unsupported'; readonly text: '' }
  /** It arrived and could not be opened; `code` says why. Nothing that the application does brings it back. */
  | { readonly kind: 'undecryptable'; readonly text: ''; readonly code: ErrorCode };

/** Identity and time of a message, common to both directions. */
export interface MessageHead {
  /** Name of the message within this store, stable across restarts, ascending in the order of storing. */
  readonly id: string;
  /** Message id within its conversation: 1, 2, 3 … */
  readonly number: number;
  /** The sender's wall time in milliseconds. */
  readonly sentAt: number;
}

/** What has been done to a message since it was sent. */
export interface MessageTraits {
  /** The author's wall time of the last edit; undefined where there was none. */
  readonly editedAt: number | undefined;
  /** At most one of each author. */
  readonly reactions: readonly Reaction[];
  /** When this device forgets the message, in wall time. */
  readonly expiresAt: number | undefined;
  /** When the recipient viewed what may be viewed once. */
  readonly viewedAt: number | undefined;
  /** Its author passed on what they had received, or written elsewhere. */
  readonly isForwarded: boolean;
}

/** What to send: a text, or more than that. */
export type OutgoingMessage =
  | string
  | { readonly kind: 'text'; readonly text: string; readonly viewOnce?: boolean }
  | ({ readonly kind: 'attachment'; readonly viewOnce?: boolean } & Attachment);

/** A message from somebody. `text` is there for every kind, empty where there is none. */
export type ReceivedMessage = MessageHead &
  MessageTraits &
  MessageBody & {
    /** The sender's user id. */
    readonly from: string;
    /** The group that it came in, `g` and 15 digits; undefined between two people. */
    readonly group: GroupName | undefined;
    /** The sending device. */
    readonly device: number;
    /** The sender's phone number, if known. */
    readonly phone: string | undefined;
    /** True when the server has confirmed that number; false for the sender's own claim. */
    readonly phoneVerified: boolean;
    /** A stranger wrote it, about whom nothing is decided: see `Protection.accept`. Nothing is told to them until then. */
    readonly isRequest: boolean;
    /**
     * Tells the sender that this message, and every earlier one of the same device, has been read; in a group, every earlier one of
     * everybody.
     *
     * Resolves when that is noted here. The receipt leaves now, or after the next login, also of a later run; the server relays it
     * and does not keep it, so a sender who is offline then never learns. `Client.setReadReceipts` keeps it from being sent.
     */
    markRead(): Promise<void>;
  };

/** A message to somebody, in the outbox or beyond. */
export interface SentMessage extends MessageHead {
  /** The recipient's user id, or the group's name. */
  readonly to: string;
  /** The text, or the caption; empty where there is none. */
  readonly text: string;
  /** The state now; in a group as far as with the last member. */
  readonly state: MessageState;
  /** In a group, the state with each member who was one then, once it is sent; otherwise empty. */
  readonly members: readonly MemberState[];
  /** Resolves at the server's durable acknowledgement; rejects with the server's code when it is refused for good. */
  readonly sent: Promise<void>;
  /** Resolves when one of the recipient's devices has stored it. Stays pending for as long as that takes, or for ever. */
  readonly delivered: Promise<void>;
  /** Resolves when the recipient has read it; recipients need not say so. */
  readonly read: Promise<void>;
}

/** A stored message of either direction. */
export type HistoryItem = MessageHead &
  MessageTraits &
  MessageBody & {
    readonly direction: 'in' | 'out';
    /** The other side's user id, or the group's name. */
    readonly peer: string;
    /** User id of who wrote an incoming one. */
    readonly from: string | undefined;
    /** The device that it was written on: of an outgoing one, one of this account's. */
    readonly device: number;
    /** As in `SentMessage`. */
    readonly members: readonly MemberState[];
    /** Outgoing only. */
    readonly state: MessageState | undefined;
    /** Set when `state` is `refused`. */
    readonly failure: ErrorCode | undefined;
  };
