/**
 * What a presence actor keeps in memory: people, who watches them, and the connections of both. Plain data and functions.
 *
 * Who may see what is decided here and nowhere else. What somebody may not see has the same value as what is not known, so
 * that the two cannot be told apart by what is answered. Read next: `../presence.ts`, which decides when to tell.
 */

import type { PrivacySettings } from '../../protocol/wire/index.ts';
import type { Pid, Ref } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { InboxStore } from '../store/inbox-store.ts';

/**
 * What a viewer sees of a person, as one number: `HERE`, `UNKNOWN`, or the minute since 1970 in which the person was last there.
 */
export type View = number;

export const UNKNOWN: View = -1;
export const HERE: View = 0;

/** What a viewer is to a person: nobody special, somebody written to or accepted, somebody blocked. */
export type Tie = 'stranger' | 'contact' | 'blocked';

/** A connection that has subscribed to a person. */
export interface Watcher {
  readonly connection: Pid;
  /** The user behind the connection. */
  readonly viewer: string;
  /** Whether the person had written to the viewer when the subscription was made, or last repeated. */
  readonly hasWritten: boolean;
  tie: Tie;
  /** What the connection was told last. */
  told: View;
}

/** What the store says of a person; read when first somebody asks. */
export interface Profile {
  privacy: PrivacySettings;
  /** `UNKNOWN` for somebody who was never there. */
  seenMinute: View;
}

export interface Person {
  readonly user: string;
  /** Connections on which somebody is there, by pid. */
  readonly devices: Set<string>;
  /** By the pid of the connection. */
  readonly watchers: Map<string, Watcher>;
  /** Missing until it is needed: coming and going alone reads nothing from the store. */
  profile: Profile | undefined;
  /** Monotonic time of the last change that watchers were told. */
  toldAtMs: number;
}

/** A connection known to this actor: somebody is there on it, or it watches. Monitored while it stands here. */
export interface Visitor {
  readonly monitor: Ref;
  /** The user who is there on it. */
  present: string | undefined;
  readonly watched: Set<string>;
  /** Groups whose chat it shows; made with the first. */
  rooms: Set<string> | undefined;
}

/** Who has not chosen is seen by those to whom he has written: a stranger who knows a number learns nothing. */
const DEFAULT_PRIVACY: PrivacySettings = Object.freeze({ audience: 'contacts', shown: [], hidden: [] });

/** The person, remembered or new. */
export function findPerson(people: Map<string, Person>, user: string): Person {
  let person = people.get(user);
  if (person !== undefined) return person;
  person = { user, devices: new Set(), watchers: new Map(), profile: undefined, toldAtMs: -Infinity };
  people.set(user, person);
  if (people.size > LIMITS.presenceCacheMax) forgetIdle(people, person);
  return person;
}

// Looks at a few of the oldest only: people who are there, or watched, must not all be scanned for each newcomer.
const EVICTION_LOOKS = 8;

function forgetIdle(people: Map<string, Person>, keep: Person): void {
  let looks = 0;
  for (const [user, person] of people) {
    if (++looks > EVICTION_LOOKS) return;
    people.delete(user);
    if (person === keep || person.devices.size > 0 || person.watchers.size > 0) people.set(user, person);
    else return;
  }
}

/** What the store says of a person; `unsavedMinute` is newer where there is one. Reads the store once for each stay in memory. */
export function profileOf(person: Person, store: InboxStore, unsavedMinute: number | undefined): Profile {
  person.profile ??= {
    privacy: store.privacy(person.user) ?? DEFAULT_PRIVACY,
    seenMinute: unsavedMinute ?? store.seenMinute(person.user) ?? UNKNOWN,
  };
  return person.profile;
}

/** What `viewer` is to `owner`, by the decisions that stand in the owner's shard. */
export function tieOf({ protection }: InboxStore, owner: string, viewer: string, hasWritten: boolean): Tie {
  const { accepted = false, blocked = false } = protection.relation(owner, viewer) ?? {};
  if (blocked) return 'blocked';
  return hasWritten || accepted ? 'contact' : 'stranger';
}

/** Whether `viewer` may see the presence and the typing of `owner`. A block goes before everything that was chosen. */
export function maySee(privacy: PrivacySettings, owner: string, viewer: string, tie: Tie): boolean {
  if (viewer === owner) return true;
  if (tie === 'blocked') return false;
  if (privacy.hidden.includes(viewer)) return false;
  if (privacy.shown.includes(viewer)) return true;
  return privacy.audience === 'everyone' || (privacy.audience === 'contacts' && tie === 'contact');
}

/** What `viewer` sees of `person`. */
export function viewOf(person: Person, profile: Profile, viewer: string, tie: Tie): View {
  if (!maySee(profile.privacy, person.user, viewer, tie)) return UNKNOWN;
  return person.devices.size > 0 ? HERE : profile.seenMinute;
}
