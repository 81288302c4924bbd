/**
 * What a content can say, kind by kind: messages, what is done to messages, and what devices tell each other.
 *
 * A name has the time beside the number since a device that is registered anew counts anew. Who may do what to which message:
 * `effects.ts`. Bytes: `content-codec.ts`.
 */

/** Which message is meant, the same at both ends. */
export interface MessageName {
  /** User id of whoever wrote it. */
  readonly author: string;
  readonly device: number;
  /** Message id within the author's conversation. */
  readonly number: number;
  /** The author's wall time as it stands in the message, milliseconds. */
  readonly sentAt: number;
}

/** A file, encrypted apart; see the Signal half's MEDIA.md. */
export interface Attachment {
  /** Where the ciphertext is. */
  readonly locator: string;
  /** 32 bytes, secret. */
  readonly key: Uint8Array;
  /** SHA-256 of the ciphertext, 32 bytes. */
  readonly digest: Uint8Array;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Media type, such as image/jpeg; the sender's claim. */
  readonly type: string;
  /** File name, the sender's claim: never a path. */
  readonly name: string;
  readonly caption: string;
  /** Pixels; 0 where there are none. */
  readonly width: number;
  readonly height: number;
  /** 0 where it does not play. */
  readonly durationMs: number;
  /** A small picture, or empty. */
  readonly thumbnail: Uint8Array;
}

export type ReceiptState = 'delivered' | 'read' | 'viewed';

/** What a content says. */
export type ContentBody =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reply'; readonly target: MessageName; readonly quote: string; readonly text: string }
  | { readonly kind: 'reaction'; readonly target: MessageName; readonly emoji: string }
  | { readonly kind: 'edit'; readonly target: MessageName; readonly text: string }
  | { readonly kind: 'delete'; readonly target: MessageName }
  | { readonly kind: 'timer'; readonly seconds: number }
  | ({ readonly kind: 'attachment' } & Attachment)
  | { readonly kind: 'receipt'; readonly state: ReceiptState; readonly targets: readonly MessageName[] }
  | SenderKeyBody
  | { readonly kind: 'profile-key'; readonly key: Uint8Array }
  | SentBody
  | ProgressBody
  | SeenBody
  | DecidedBody
  | TransferRequestBody
  | TransferChunkBody
  | TransferPullBody
  | TransferEndBody
  | RetryBody
  | ResentBody
  | GroupInviteBody
  | GroupRetryBody
  | GroupResentBody
  | InGroupBody
  /** Let me in: I have the link. 32 bytes, secret. */
  | { readonly kind: 'group-knock'; readonly group: string; readonly secret: Uint8Array };

/** Here is what my messages to that group are encrypted with. */
export interface SenderKeyBody {
  readonly kind: 'sender-key';
  /** The group's id, 15 digits. */
  readonly group: string;
  /** Secret. */
  readonly distribution: Uint8Array;
  /** The group as the sender sees it, so that two members whom the server shows two groups find out. */
  readonly view?: GroupView;
}

/** One moment in the history of a group. */
export interface GroupView {
  readonly epoch: number;
  /** Hash of the change that made the epoch, 32 bytes. */
  readonly head: Uint8Array;
}

/** You are a member of this group now. */
export interface GroupInviteBody extends GroupView {
  readonly kind: 'group-invite';
  readonly group: string;
  /** 32 bytes, secret: opens the name of the group. */
  readonly key: Uint8Array;
  /** The roster at that epoch as the wire has it; empty where it fits no message, and where it is in the change itself. */
  readonly roster: Uint8Array;
  /** To one's own other devices: who had let this one in. Undefined to anybody else, and of an earlier release. */
  readonly inviter?: string | undefined;
}

/** To one's own other devices: this went out from here. */
export interface SentBody {
  readonly kind: 'sent';
  /** User id. */
  readonly to: string;
  /** Their number, where the server has confirmed it; empty otherwise. */
  readonly phone: string;
  readonly number: number;
  readonly sentAt: number;
  /** What it said, as in `ResentBody`. */
  readonly content: Uint8Array;
}

/** To one's own other devices: so far have the messages from here to that user come. */
export interface ProgressBody {
  readonly kind: 'progress';
  readonly to: string;
  readonly sentId: number;
  readonly deliveredId: number;
  readonly readId: number;
}

/**
 * To one's own other devices: something was decided about a user, or about strangers. What, the server says: of two decisions at
 * a time it knows the last one.
 */
export interface DecidedBody {
  readonly kind: 'decided';
  /** User id; empty where it is about strangers in general. */
  readonly user: string;
}

/** To one's own other devices: messages of that device have been read up to here. */
export interface SeenBody {
  readonly kind: 'seen';
  readonly user: string;
  readonly device: number;
  readonly id: number;
}

/** Between two devices of one account, about one transfer of the history; see TRANSFER.md. */
export interface TransferHead {
  /** 16 bytes, drawn by the device that asks. */
  readonly transfer: Uint8Array;
  /** Which of one's own devices is meant; the others read past it. */
  readonly to: number;
}

/** May I have the history? */
export interface TransferRequestBody extends TransferHead {
  readonly kind: 'transfer-request';
  /** The newest version of chunks that this device reads. */
  readonly version: number;
}

/** Here is a piece of it: where it lies, sealed, and what opens it. */
export interface TransferChunkBody extends TransferHead {
  readonly kind: 'transfer-chunk';
  /** 1, 2, 3 … */
  readonly number: number;
  /** The cursor for the piece after it. */
  readonly next: number;
  readonly isLast: boolean;
  /** Messages that this piece has dealt with, also those that do not travel; and how many there are in all. */
  readonly count: number;
  readonly total: number;
  readonly locator: string;
  /** 32 bytes, secret. */
  readonly key: Uint8Array;
  /** SHA-256 of the ciphertext, 32 bytes. */
  readonly digest: Uint8Array;
  readonly bytes: number;
}

/** Everything before piece `number` is stored: send it. */
export interface TransferPullBody extends TransferHead {
  readonly kind: 'transfer-pull';
  readonly number: number;
  /** As the piece before it named it; 0 for the first. */
  readonly cursor: number;
}

/** It is over. */
export interface TransferEndBody extends TransferHead {
  readonly kind: 'transfer-end';
  /** Why; empty where everything has come. */
  readonly code: string;
}

/** These messages of yours could not be read: send them once more. */
export interface RetryBody {
  readonly kind: 'retry';
  /** The author's device that wrote them. */
  readonly device: number;
  /** Why the first of them could not be read: SIG_BAD_MAC and the like. For people and statistics. */
  readonly code: string;
  /** Message ids, at most `LIMITS.retryNumberCountMax`. */
  readonly numbers: readonly number[];
}

/** Here is that message once more. */
export interface ResentBody {
  readonly kind: 'resent';
  readonly number: number;
  /** As it stood in the message. */
  readonly sentAt: number;
  /** What it said, as `writeOutgoing` in `content.ts` has it; opened by the inbox, and only if the message is missing. */
  readonly content: Uint8Array;
}

/** These messages of yours to the group could not be read. Without a message: invite me once more. */
export interface GroupRetryBody extends Omit<RetryBody, 'kind'> {
  readonly kind: 'group-retry';
  readonly group: string;
}

/** Here is that message to the group once more. */
export interface GroupResentBody extends Omit<ResentBody, 'kind'> {
  readonly kind: 'group-resent';
  readonly group: string;
}

/** A message to a group that is encrypted for each device on its own. */
export interface InGroupBody {
  readonly kind: 'in-group';
  /** When its author wrote it; undefined of an earlier release: when it was encrypted. */
  readonly sentAt?: number | undefined;
  readonly group: string;
  readonly number: number;
  /** As in `ResentBody`. */
  readonly content: Uint8Array;
}

/** Contents that say something about a group. */
export type GroupContentBody = Extract<ContentBody, { readonly group: string }>;

/** Whether a body says something about a group. */
export function isGroupBody(body: ContentBody): body is GroupContentBody {
  return 'group' in body;
}

/** Which kind of content. */
export type ContentKind = ContentBody['kind'];
