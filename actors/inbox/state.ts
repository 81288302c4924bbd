/**
 * What an inbox actor is made of, as types: what it is given, what waits in its queue, what one commit changes, and its state.
 *
 * Plain data, which outlives a reload of the code. Read next: `../inbox.ts`, the actor; `plan.ts`, from queue to commit.
 */

import type { Pid, Ref } from '../../runtime/index.ts';
import { emptyCatchUp, type CatchUp } from './catch-up.ts';
import type { Committer } from '../committer.ts';
import type { GroupPart, GroupPlaces, KnownBodies } from './group-entries.ts';
import type { FanOut } from '../groups/messages.ts';
import { newSweep, type Losses, type LossItem, type Sweep } from './losses.ts';
import type { Acknowledge, Attach, ConnectionMessage, Forwarded, MarkRead, Submit } from '../messages.ts';
import type { Buckets } from '../rate-limit.ts';
import type { Pacing } from './pacing.ts';
import type { Conversation, Device, Online, Pin, Recipient, Recipients } from './recipients.ts';
import type { OutboxLoad } from '../outbox/load.ts';
import type { ForwardAnswer } from '../outbox/messages.ts';
import type { RemoteName } from '../routes.ts';
import type { InboxEntry, InboxStore } from '../store/inbox-store.ts';
import type { StrangerRequest } from '../store/protection-store.ts';
import type { Touched } from './waiting-runs.ts';

/** What actors of a shard know of each other without asking. */
export interface ShardLoad {
  /** Operations that wait for the next commit of the inbox. */
  queuedCount: number;
  readonly outbox: OutboxLoad;
}

/** What the shell gives an inbox. */
export interface InboxArgs {
  readonly store: InboxStore;
  /** What waits for the next commit, for those who give way when it is much: written here. And what is in the outbox. */
  readonly load: ShardLoad;
  /** Bytes of undelivered messages that this shard may hold. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** The actor that owns a group. */
  readonly groupsOf: (group: string) => RemoteName;
  /** The outbox of this shard; missing where the node is on its own, so that everybody is in reach. */
  readonly outbox?: RemoteName | undefined;
  /** Who is told of silent devices; absent where the node wakes nobody. */
  readonly wakeups: RemoteName | undefined;
  /** Whether processors are scarce on this machine; see `company.ts`. Default: they are not. */
  readonly isCrowded?: () => boolean;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

/** A device is no more: what is kept for it goes. */
export interface Forget {
  readonly kind: 'forget-device';
  readonly user: string;
  readonly device: number;
  /** As it was in memory, with its fresh entries; `undefined` where it was not. */
  readonly known: Device | undefined;
}

/** A device has gone: what it has in the fresh tier is to wait for it. */
export interface MoveFresh {
  readonly kind: 'move-fresh';
  readonly user: string;
  readonly device: number;
}

/** A connection has ended. */
export interface Gone {
  readonly kind: 'gone';
  /** The monitor that said so. */
  readonly monitor: Ref;
}

export type Queued = Submit | Acknowledge | Attach | Gone | Forget | MarkRead | MoveFresh | FanOut | LossItem;

/** Entries of one device that the commit under way adds, each with its conversation. The first ones may be fresh. */
export interface Push {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly entries: InboxEntry[];
  readonly conversations: Conversation[];
  /** Arrivals of the fresh entries, which stand before the waiting ones. */
  readonly arrivals: number[];
  bytes: number;
  /** Of the entries with the bodies that they stand for: what they add to the window. */
  pushedBytes: number;
}

/** An acknowledgement that a commit carries out. */
export interface Acknowledged {
  readonly recipient: Recipient;
  /** The connection that it came on. */
  readonly online: Online;
  /** Entries at the front of its window. */
  count: number;
  /** Everything up to here is gone then. */
  mark: number;
  bytes: number;
}

/** A request of a stranger as the commit under way leaves it. */
interface RequestCount {
  readonly owner: string;
  readonly stranger: string;
  readonly request: StrangerRequest;
}

/** Fresh entries that the commit under way moves to the waiting tier. */
export interface Move {
  readonly recipient: Recipient;
  readonly through: number;
}

/** What a connection is to be told, whatever becomes of the commit: planning itself tells nobody. */
export interface Told<Message = ConnectionMessage> {
  readonly connection: Pid;
  readonly message: Message;
}

/** The time at which something is planned. */
export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Everything that one commit will change, kept until its outcome is known. */
export interface Commit {
  readonly now: Now;
  /** Server time of what it accepts. */
  readonly ts: number;
  /** Refusals, which change nothing. */
  readonly told: Told<ConnectionMessage | ForwardAnswer>[];
  /** Bytes of undelivered messages that the shard may hold. */
  readonly bytesMax: number;
  /** Holds the recipients whose numbers it has in memory ahead of the store. */
  readonly pin: Pin;
  /** Submissions of this commit, for refusing them if it fails. */
  readonly submits: Submit[];
  /** Conversations to acknowledge, with what they had accepted before. */
  readonly accepted: Map<
    Conversation,
    { readonly before: number; readonly known: boolean; readonly recipient: Recipient }
  >;
  readonly pushes: Map<Device, Push>;
  /** What each device has acknowledged. */
  readonly acknowledged: Map<Device, Acknowledged>;
  /** Conversations whose delivered mark moves, with the new mark. */
  readonly delivered: Map<Conversation, { readonly recipient: Recipient; id: number }>;
  readonly moves: Map<Device, Move>;
  /** Conversations whose runs or gaps change, with what they were. */
  readonly touched: Touched;
  readonly losses: Losses;
  readonly forgotten: Forget[];
  /** Strangers' requests to be counted, by `recipient<sender`. */
  readonly requests: Map<string, RequestCount>;
  /** Fresh entries of forgotten devices. */
  readonly forgottenArrivals: number[];
  /** Read marks that came before or with the acknowledgements of this commit, so that they are capped after these. */
  readonly reads: MarkRead[];
  /** Who comes or goes once it is written: what their connections had acknowledged is in it. */
  readonly passages: (Attach | Gone)[];
  bytes: number;
  /** What it changes of groups, if anything. */
  groups: GroupPart | undefined;
  /** Conversations of which an outbox has forwarded something, with the last of it; missing where none has. */
  forwarded?: Map<Conversation, Forwarded> | undefined;
  /** Entries that it removes because they were acknowledged. */
  removals: number;
}

/** An acknowledgement that is due. */
interface Sent {
  readonly conversation: Conversation;
  readonly to: string;
  readonly id: number;
  readonly ts: number;
}

export interface InboxState {
  readonly args: InboxArgs;
  readonly recipients: Recipients;
  readonly bodies: KnownBodies;
  readonly places: GroupPlaces;
  queue: Queued[];
  commit: Commit | undefined;
  queuedBytes: number;
  /** Since when removals wait for company, monotonic; `undefined` while none do. */
  aloneSinceMs: number | undefined;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  /** Connected devices, by the id of the monitor on their connection. */
  readonly attached: Map<number, Online>;
  /** Devices that come back to a full inbox: so many are read out at a time. */
  readonly catchUp: CatchUp;
  /** Whether a look at those that wait is under way. */
  looksAgain: boolean;
  /** Made with the first that is held. A state from an earlier version has none. */
  pacing: Pacing | undefined;
  lastTs: number;
  readonly sweep: Sweep;
  /** The present round over the connected devices; see `silence.ts`. */
  silenceRound: IterableIterator<{ readonly user: string; readonly device: number }> | undefined;
  /** Conversations that senders begin here. */
  readonly firstContacts: Buckets;
  /** Next place in the fresh tier. */
  nextArrival: number;
  /** Conversations to acknowledge at the end of this turn. */
  sent: Sent[];
  commits: number;
  committedMessages: number;
}

/** The state of a life that begins, once the store says everything. */
export function firstState(args: InboxArgs): InboxState {
  return {
    args,
    recipients: new Map(),
    bodies: new Map(),
    places: new Map(),
    queue: [],
    commit: undefined,
    queuedBytes: args.store.queuedBytes(),
    aloneSinceMs: undefined,
    fullUntilMs: 0,
    attached: new Map(),
    catchUp: emptyCatchUp(),
    looksAgain: false,
    pacing: undefined,
    lastTs: 0,
    sweep: newSweep(),
    silenceRound: undefined,
    firstContacts: new Map(),
    nextArrival: 1,
    sent: [],
    commits: 0,
    committedMessages: 0,
  };
}

/** Server time, made monotone: two messages of one shard never carry times that contradict their order. */
export function stamp(state: InboxState, wallMs: number): number {
  state.lastTs = Math.max(state.lastTs, Math.floor(wallMs));
  return state.lastTs;
}
