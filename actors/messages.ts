/**
 * What the server's actors say to each other, as types. Plain data: each may cross a thread.
 *
 *   connection ──InboxMessage──▶ inbox (one for each shard)      ──ConnectionMessage──▶ connection
 *   connection ──AccountsMessage─▶ accounts (one for each shard) ──ConnectionMessage──▶ connection
 *   connection ──PresenceMessage─▶ presence (one for each shard) ──ConnectionMessage──▶ connection
 *
 *
 * Groups have a page of their own, `groups/messages.ts`.
 *
 * No message waits for an answer inside a handler: an answer is a message of its own, so that an actor never stands
 * still for another and any of them may be replaced in between.
 */

import type {
  Answer,
  ConfirmRequest,
  Envelope,
  IncomingGroupTyping,
  IncomingTyping,
  Limit,
  PreKeyUploadRequest,
  PresenceMessage as PresenceNotice,
  PresenceState,
  PrivacySettings,
  PushTarget,
  RelationState,
  Stanza,
  StrangersPolicy,
  TypingState,
  DeviceKeys,
} from '../protocol/wire/index.ts';
import type { Pid } from '../runtime/index.ts';
import type { Committed } from './committer.ts';
import type { Refusal } from './errors.ts';
import type { FanOut, FindMarks, GroupConnectionMessage } from './groups/messages.ts';
import type { Detour, DetourEnded, Forward } from './outbox/messages.ts';
import type { PushOutcome } from './push/provider.ts';
import type { RemoteName } from './routes.ts';
import type { PushRegistration } from './store/protection-store.ts';
import type { DeviceRecord, InboxEntry, SenderAddress } from './store/inbox-store.ts';
import type { LossCode } from './store/loss.ts';

/** A message on its way into an inbox. `connection` is told the outcome. */
export interface Submit {
  readonly kind: 'submit';
  readonly connection: Pid;
  readonly sender: SenderAddress;
  /** `user.device.creation` of the sender, made once for each connection: the conversation's key in memory. */
  readonly senderKey: string;
  readonly to: string;
  readonly id: number;
  /**
   * The last message before it of which its connection does not know that it is stored; 0 where all are. Who takes `id` must have taken that one, and a record says whether it
   * has: this is for conversations without one. Missing where an outbox forwards, and from a node of a version that did not say.
   */
  readonly after?: number;
  readonly envelopes: readonly Envelope[];
  /** Of a message that an outbox forwards, which stands as its `connection`; missing otherwise. */
  readonly forward?: Forward;
}

/** A message that an outbox forwards. */
export type Forwarded = Submit & { readonly forward: Forward };

/** A device has stored `seq` and everything that was pushed before it on `connection`. */
export interface Acknowledge {
  readonly kind: 'acknowledge';
  /** Acknowledgements of a connection that another has replaced say nothing about what that one pushed. */
  readonly connection: Pid;
  readonly user: string;
  readonly device: number;
  readonly seq: number;
}

/** A device has logged in: push what waits and what comes to `connection`. */
export interface Attach {
  readonly kind: 'attach';
  readonly user: string;
  readonly device: number;
  /** Of the registration that logged in. A ticket may be of an earlier one. */
  readonly creation: number;
  readonly connection: Pid;
  /** The client understands messages ahead of their turn, and gaps. */
  readonly staged: boolean;
  /** Whether the client knows groups: to one that does not, their entries are as good as stored. */
  readonly groups?: boolean;
  /**
   * Whether the login has waited for a shard between two owners: then it replaces nobody, who may have come after it. Absent
   * from a node of a version that did not say.
   */
  readonly isLate?: boolean;
}

/** A device has read the conversation from `sender` up to `id`. Checked and relayed, never stored. */
export interface MarkRead {
  readonly kind: 'mark-read';
  readonly user: string;
  /** A group stands here as itself, with device 0, and its place as the id. */
  readonly sender: { readonly user: string; readonly device: number };
  readonly id: number;
}

/** A receipt for a device of `to` that another shard could not hand to its connection. */
export interface RelayReceipt {
  readonly kind: 'relay-receipt';
  readonly to: string;
  readonly device: number;
  readonly receipt: Receipt | GapTold;
}

/** What is known of the conversation from `sender` to `to`? Answered with the `receipts` answer. */
export interface QueryConversation {
  readonly kind: 'query-conversation';
  readonly connection: Pid;
  readonly iq: number;
  readonly sender: SenderAddress;
  readonly senderKey: string;
  readonly to: string;
  /** Whether the answer may name gaps. */
  readonly withGaps: boolean;
}

/** A registration replaced `device`: forget its inbox and close its connection. */
export interface ForgetDevice {
  readonly kind: 'forget-device';
  readonly user: string;
  readonly device: number;
}

/**
 * `user` has decided something about `sender`, or about everybody: look again what they are to each other, then answer.
 */
export interface Reconsider {
  readonly kind: 'reconsider';
  readonly user: string;
  readonly sender: string | undefined;
  readonly answered: { readonly connection: Pid; readonly message: ConnectionMessage };
}

/** Tells a device something, if it is there. */
export interface TellDevice {
  readonly kind: 'tell-device';
  readonly user: string;
  readonly device: number;
  readonly message: ConnectionMessage;
}

/** A device was linked: take the devices that the store now names. */
export interface ReloadDevices {
  readonly kind: 'reload-devices';
  readonly user: string;
}

export type InboxMessage =
  | Submit
  | Detour
  | Acknowledge
  | Attach
  | MarkRead
  | RelayReceipt
  | QueryConversation
  | ForgetDevice
  | Reconsider
  | TellDevice
  | ReloadDevices
  | Committed
  | FanOut
  | FindMarks;

export interface Receipt {
  readonly kind: 'receipt';
  readonly type: 'delivered' | 'read';
  /** The recipient of the messages: who received or read them. */
  readonly from: string;
  readonly id: number;
  readonly ts: number;
}

/** Messages of a conversation are lost; told to its sender. */
export interface GapTold {
  readonly kind: 'gap';
  readonly to: string;
  readonly since: number;
  readonly until: number;
  readonly code: LossCode;
  readonly ts: number;
}

interface AccountsRequest {
  readonly connection: Pid;
  readonly iq: number;
}

/** Who changes the devices of which account. */
interface DeviceChange {
  readonly user: string;
  readonly by: number;
}

/** A device that waits to be linked, as its future account sees it. */
export interface LinkOffer {
  readonly id: string;
  readonly registration: number;
  readonly identity: Uint8Array;
}

/** What the keeper of pending links is told; see `links.ts`. */
export type LinksMessage =
  | (AccountsRequest & { readonly kind: 'begin-link'; readonly id: string; readonly keys: DeviceKeys })
  | (AccountsRequest & DeviceChange & { readonly kind: 'find-link'; readonly id: string })
  | (AccountsRequest &
      DeviceChange & {
        readonly kind: 'approve-link';
        readonly id: string;
        readonly device: number;
        readonly list: Uint8Array;
        readonly envelope: Uint8Array;
      })
  /** What came of a `link-device`. */
  | {
      readonly kind: 'link-settled';
      readonly id: string;
      readonly user: string;
      readonly device: number;
      readonly linked: boolean;
    };

export type AccountsMessage =
  | (AccountsRequest & { readonly kind: 'request-code'; readonly phone: string })
  | (AccountsRequest & { readonly kind: 'confirm'; readonly request: ConfirmRequest })
  | (AccountsRequest & { readonly kind: 'find-contact'; readonly phone: string })
  | (AccountsRequest & {
      readonly kind: 'take-bundle';
      readonly user: string;
      /** Who asks. */
      readonly requester: string;
      /** With the signed device list. */
      readonly withList?: boolean;
      /** The asker's own device, where it asks for its own account. */
      readonly except?: number | undefined;
    })
  /** What would a device be that waits to be linked? Asked by device `by` of `user`. */
  | (AccountsRequest & DeviceChange & { readonly kind: 'offer-device'; readonly link: LinkOffer })
  | (AccountsRequest &
      DeviceChange & {
        readonly kind: 'link-device';
        readonly id: string;
        readonly device: number;
        readonly keys: DeviceKeys;
        readonly list: Uint8Array;
      })
  | (AccountsRequest &
      DeviceChange & { readonly kind: 'unlink-device'; readonly device: number; readonly list: Uint8Array })
  | (AccountsRequest & DeviceChange & { readonly kind: 'publish-list'; readonly list: Uint8Array })
  | (AccountsRequest & { readonly kind: 'list-devices'; readonly user: string; readonly asker: string })
  | (AccountsRequest & {
      readonly kind: 'add-prekeys';
      readonly user: string;
      readonly device: number;
      readonly request: PreKeyUploadRequest;
    })
  | (AccountsRequest & { readonly kind: 'count-prekeys'; readonly user: string; readonly device: number })
  | { readonly kind: 'find-device'; readonly connection: Pid; readonly user: string; readonly device: number }
  | { readonly kind: 'code-sent'; readonly ticket: number; readonly ok: boolean }
  | Committed;

/** A question about the presence of `owner`. `keep`: and a subscription. */
interface PresenceQuestion {
  readonly connection: Pid;
  readonly iq: number;
  readonly viewer: string;
  readonly owner: string;
  readonly keep: boolean;
}

/** What a presence actor is told; see `presence.ts`. */
export type PresenceMessage =
  /** Somebody is at this connection, or no longer. */
  | { readonly kind: 'announce'; readonly connection: Pid; readonly user: string; readonly state: PresenceState }
  /** To the viewer's shard. */
  | (PresenceQuestion & { readonly kind: 'look-up' })
  /** To the owner's shard. `hasWritten`: the owner has written to the viewer. */
  | (PresenceQuestion & { readonly kind: 'watch'; readonly hasWritten: boolean })
  /** What the owner decided about the viewer has changed, and is flushed. */
  | { readonly kind: 'reconsider'; readonly owner: string; readonly viewer: string }
  | { readonly kind: 'unwatch'; readonly connection: Pid; readonly owner: string }
  | { readonly kind: 'typing'; readonly user: string; readonly to: string; readonly state: TypingState }
  /** To the shard of a group: this connection shows its chat, or no longer. */
  | {
      readonly kind: 'watch-group';
      readonly connection: Pid;
      readonly iq: number;
      readonly user: string;
      readonly group: string;
    }
  | { readonly kind: 'unwatch-group'; readonly connection: Pid; readonly group: string }
  /** To the shard of who types. */
  | { readonly kind: 'group-typing'; readonly user: string; readonly group: string; readonly state: TypingState }
  /** To the shard of the group. `shown`: to these alone, where it is not missing; `hidden`: not to these. */
  | {
      readonly kind: 'relay-typing';
      readonly user: string;
      readonly group: string;
      readonly state: TypingState;
      readonly shown: readonly string[] | undefined;
      readonly hidden: readonly string[];
    }
  /** These have left the group; it is flushed. Said until it is heard, so maybe twice, and after they were let in again. */
  | { readonly kind: 'members-left'; readonly group: string; readonly users: readonly string[] }
  | { readonly kind: 'read-privacy'; readonly connection: Pid; readonly iq: number; readonly user: string }
  | {
      readonly kind: 'change-privacy';
      readonly connection: Pid;
      readonly iq: number;
      readonly user: string;
      readonly settings: PrivacySettings;
    }
  | Committed;
interface AccountRequest extends AccountsRequest {
  /** The account that asks. */
  readonly user: string;
}

/** What the keeper of decisions of a shard is told; see `relations.ts`. */
export type RelationsMessage =
  | (AccountRequest & { readonly kind: 'list-relations'; readonly after: string | undefined })
  | (AccountRequest & { readonly kind: 'show-strangers' })
  | (AccountRequest & { readonly kind: 'set-relation'; readonly other: string; readonly state: RelationState })
  | (AccountRequest & { readonly kind: 'set-strangers'; readonly policy: StrangersPolicy })
  | (AccountRequest & {
      readonly kind: 'report';
      readonly sender: string;
      readonly device: number;
      readonly id: number;
      readonly evidence: Uint8Array | undefined;
    })
  | Committed;

/** What wakes the silent devices of a shard; see `wakeups.ts`. */
export type WakeupsMessage =
  /** Something waits for the device, which has acknowledged nothing since `sinceMs`, monotonic. */
  | { readonly kind: 'silent'; readonly user: string; readonly device: number; readonly sinceMs: number }
  /** It is there again. */
  | { readonly kind: 'awake'; readonly user: string; readonly device: number }
  | {
      readonly kind: 'woken';
      readonly user: string;
      readonly device: number;
      readonly outcome: PushOutcome;
      /** Where the wake-up went. */
      readonly registration: PushRegistration;
    }
  | (AccountRequest & { readonly kind: 'show-push'; readonly device: number })
  | (AccountRequest & { readonly kind: 'set-push'; readonly device: number; readonly target: PushTarget })
  | Committed;

/** What the keeper of quotas of a worker is told; see `quotas.ts`. */
export type QuotasMessage =
  | (AccountRequest & {
      readonly kind: 'show-limits';
      /** What the connection itself bounds. */ readonly own: readonly Limit[];
    })
  | {
      readonly kind: 'spend';
      readonly action: 'contact' | 'bundle' | 'report';
      readonly user: string;
      /** Where the question goes if there is a token. */
      readonly target: RemoteName;
      readonly question: AccountsMessage | RelationsMessage;
    };

/** What the keeper of media is told; see `media/keeper.ts`. */
export type MediaMessage =
  | {
      readonly kind: 'grant-ticket';
      readonly connection: Pid;
      readonly iq: number;
      readonly user: string;
      /** Ciphertext bytes of the upload. */
      readonly bytes: number;
    }
  | { readonly kind: 'swept'; readonly removed: number; readonly done: boolean };

export type ConnectionMessage =
  /** What a client says in one WebSocket message, and how long that is. */
  | { readonly kind: 'frames'; readonly stanzas: readonly Stanza[]; readonly bytes: number }
  | { readonly kind: 'socket-closed' }
  | { readonly kind: 'sent'; readonly to: string; readonly id: number; readonly ts: number }
  | { readonly kind: 'refused'; readonly to: string; readonly id: number; readonly refusal: Refusal }
  /**
   * `push` counts what an inbox pushes on one attachment, from 1: a connection that misses one ends, for the next acknowledgement would
   * cover what its client never got. `after` is set on entries that come ahead of their turn: the position up to which the
   * inbox has been gone through.
   */
  | {
      readonly kind: 'deliver';
      readonly push: number;
      readonly entries: readonly InboxEntry[];
      readonly after?: number;
    }
  | GapTold
  | { readonly kind: 'drained'; readonly push: number }
  | GroupConnectionMessage
  | Receipt
  | {
      readonly kind: 'device-found';
      readonly record: DeviceRecord | undefined;
      readonly preKeys: number;
      readonly kemPreKeys: number;
    }
  | { readonly kind: 'answer'; readonly iq: number; readonly answer: Answer }
  | PresenceNotice
  | IncomingTyping
  | IncomingGroupTyping
  | { readonly kind: 'answer-refused'; readonly iq: number; readonly refusal: Refusal }
  /**
   * The inbox pushes to this connection from now on. `detours`: for whom something of the device is in the outbox of its shard; missing for nobody. `isDoubted`: what
   * had been there may be lost.
   */
  | {
      readonly kind: 'attached';
      readonly inbox: Pid;
      readonly detours?: readonly string[];
      readonly isDoubted?: boolean;
    }
  | DetourEnded
  | { readonly kind: 'prekeys-low'; readonly preKeys: number; readonly kemPreKeys: number }
  /** This connection's device, which is not logged in, was linked to an account. */
  | {
      readonly kind: 'linked';
      readonly user: string;
      readonly device: number;
      readonly envelope: Uint8Array;
    }
  | { readonly kind: 'replaced' }
  /** Another login of the device was taken while this one waited for its shard: the client comes again. Told to who said `isLate` only. */
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'unregistered' }
  /** The node sends its clients away. */
  | { readonly kind: 'drain' }
  /** A shard whose owner was lost is served again, or not for a while; see `Routes.waitForOwner`. */
  | { readonly kind: 'shard-served'; readonly shard: number }
  | { readonly kind: 'shard-missing'; readonly shard: number };
