/**
 * What a presence actor is made of, as types: what it is given, its state, and its figures.
 *
 * Plain data, which outlives a reload of the code. Read next: `../presence.ts`, the actor; `people.ts`, who may see what.
 */

import type { PrivacySettings } from '../../protocol/wire/index.ts';
import type { Context, Pid } from '../../runtime/index.ts';
import type { Committer } from '../committer.ts';
import { LIMITS } from '../limits.ts';
import type { PresenceMessage } from '../messages.ts';
import { fullBucket, type BucketRule, type TokenBucket } from '../rate-limit.ts';
import type { RemoteName } from '../routes.ts';
import type { InboxStore } from '../store/inbox-store.ts';
import { findPerson, profileOf, type Person, type Visitor } from './people.ts';
import type { Rooms } from './rooms.ts';

/** What the shell gives a presence actor. */
export interface PresenceArgs {
  readonly store: InboxStore;
  /** That of a user's shard, or of a group's. */
  readonly presenceOf: (id: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
  /** Whether the messages of this shard are behind: then nothing here is worth doing. */
  readonly isBusy: () => boolean;
}

/** A change of privacy on its way to the disk. */
interface PendingChange {
  readonly connection: Pid;
  readonly iq: number;
  readonly user: string;
  readonly settings: PrivacySettings;
}

/** What a presence actor remembers. */
export interface PresenceState {
  readonly args: PresenceArgs;
  readonly people: Map<string, Person>;
  /** By pid. */
  readonly visitors: Map<string, Visitor>;
  /** Groups of this shard whose chat somebody shows. */
  readonly rooms: Rooms;
  /** People who are there, with the minute last handed to the disk; the one written longest ago first. */
  readonly present: Map<string, number>;
  /** Minutes that the disk does not have. */
  unsaved: Map<string, number>;
  /** What the commit under way writes. */
  saving: Map<string, number> | undefined;
  /** People whose watchers have something to hear. */
  readonly due: Set<string>;
  readonly changes: Map<number, PendingChange>;
  nextTicket: number;
  readonly budget: TokenBucket;
  /** The same for typing in groups. */
  readonly roomBudget: TokenBucket;
  isTicking: boolean;
  savedAtMs: number;
  /** Of these, not yet in the log. */
  unreportedShed: number;
  readonly counts: { notices: number; typings: number; shed: number };
}

/** Figures of one shard since it started; the first three of now. */
export interface PresenceStatistics {
  readonly present: number;
  readonly people: number;
  readonly subscriptions: number;
  /** Changes told to connections. */
  readonly notices: number;
  readonly typings: number;
  /** What was dropped, refused or put off because the shard was behind, or a connection did not keep up. */
  readonly shed: number;
}

/** One kind of message to it. */
export type Message<Kind extends PresenceMessage['kind']> = Extract<PresenceMessage, { readonly kind: Kind }>;

/** How fast a shard tells changes, and typing in groups. */
export const BUDGET_RULE: BucketRule = {
  perSecond: LIMITS.presenceNoticesPerSecondMax,
  burst: LIMITS.presenceNoticesPerSecondMax,
};

export const ROOM_RULE: BucketRule = {
  perSecond: LIMITS.groupTypingTellsPerSecondMax,
  burst: LIMITS.groupTypingTellsPerSecondMax,
};

/** The ticket of the commit that writes minutes. */
export const MINUTES_TICKET = 0;

/** What the account of a person says of him, with the minute that the disk does not have yet. */
export function profile(user: string, state: PresenceState): ReturnType<typeof profileOf> {
  const { people, unsaved, saving, args } = state;
  return profileOf(findPerson(people, user), args.store, unsaved.get(user) ?? saving?.get(user));
}

/** The state of a life that begins. */
export function firstState(args: PresenceArgs, ctx: Context): PresenceState {
  const now = ctx.clock.monotonicMs();
  return {
    args,
    people: new Map(),
    visitors: new Map(),
    rooms: new Map(),
    present: new Map(),
    unsaved: new Map(),
    saving: undefined,
    due: new Set(),
    changes: new Map(),
    nextTicket: MINUTES_TICKET + 1,
    budget: fullBucket(BUDGET_RULE, now),
    roomBudget: fullBucket(ROOM_RULE, now),
    isTicking: false,
    savedAtMs: now,
    unreportedShed: 0,
    counts: { notices: 0, typings: 0, shed: 0 },
  };
}
