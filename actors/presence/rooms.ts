/**
 * Typing in one group, as plain data and decisions: who shows the chat, who types in it, and whether that is worth telling.
 *
 * A *room* exists while somebody shows the chat of a group. A group has up to 1,024 members, and each of them may type: so a room
 * bounds who is told, of how many, and how often. What is beyond is dropped. Read next: `../presence.ts`, which carries it out.
 */

import { isGroupRefusal, isMemberInRoster, type TypingState } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { fullBucket, takeToken, type TokenBucket } from '../rate-limit.ts';
import type { GroupRecord, GroupStore } from '../store/group-store.ts';

/** A connection that shows the chat. */
export interface RoomWatcher {
  readonly connection: Pid;
  readonly user: string;
}

interface Typist {
  readonly state: TypingState;
  /** Monotonic. */
  readonly atMs: number;
}

/** The chat of a group, while somebody shows it. */
export interface Room {
  /** By the pid of the connection; who has said so longest ago first. */
  readonly watchers: Map<string, RoomWatcher>;
  /** Of whom the watchers were told. */
  readonly typists: Map<string, Typist>;
  readonly budget: TokenBucket;
}

/** By group. */
export type Rooms = Map<string, Room>;

const ROOM_RULE = { perSecond: LIMITS.groupTypingPerSecondMax, burst: LIMITS.groupTypingBurstMax };

/** Why a user may not hear of a group; undefined where they may. The store's word, which is flushed. Anybody may ask, of any group. */
export function refuseRoom(groups: GroupStore, group: string, user: string): AppCode | undefined {
  const record = groups.group(group);
  if (record === undefined) return 'APP_UNKNOWN_GROUP';
  return isMember(record, user) ? undefined : 'APP_NOT_A_MEMBER';
}

/** Those of `users` who are members no more. What was said of them may come late: some may have been let in again. */
export function strangersAmong(groups: GroupStore, group: string, users: readonly string[]): string[] {
  const record = groups.group(group);
  return users.filter((user) => record === undefined || !isMember(record, user));
}

/** Looks for one: to decode a thousand members for each who asks is most of a millisecond in which no message goes. */
function isMember({ roster }: GroupRecord, user: string): boolean {
  const outcome = isMemberInRoster(roster, user);
  // We wrote it: a roster that does not decode is a store that cannot be trusted.
  if (isGroupRefusal(outcome)) throw new RangeError(`the stored roster of a group does not decode: ${outcome.code}`);
  return outcome;
}

/** @returns The connection that made room, the one that has said so longest ago. */
export function joinRoom(
  rooms: Rooms,
  group: string,
  name: string,
  watcher: RoomWatcher,
  nowMs: number,
): string | undefined {
  let room = rooms.get(group);
  if (room === undefined) {
    room = { watchers: new Map(), typists: new Map(), budget: fullBucket(ROOM_RULE, nowMs) };
    rooms.set(group, room);
  }
  const { watchers } = room;
  watchers.delete(name);
  watchers.set(name, watcher);
  if (watchers.size <= LIMITS.groupTypingWatchersMax) return undefined;
  const [oldest] = watchers.keys();
  watchers.delete(oldest!);
  return oldest;
}

export function leaveRoom(rooms: Rooms, group: string, name: string): void {
  const room = rooms.get(group);
  if (room?.watchers.delete(name) && room.watchers.size === 0) rooms.delete(group);
}

/** The connections of users that are members no more. */
export function watchersOf({ watchers }: Room, users: readonly string[]): string[] {
  return [...watchers].flatMap(([name, { user }]) => (users.includes(user) ? [name] : []));
}

/**
 * Notes what somebody does, unless it is nothing new, they do not show the chat themselves, or enough others type.
 *
 * @returns Whether the watchers are to be told.
 */
export function noteTyping(room: Room, user: string, state: TypingState, nowMs: number): boolean {
  const { typists, budget } = room;
  forgetSilent(room, nowMs);
  const known = typists.get(user);
  if (state === 'paused' ? known === undefined : !isNews(room, known, user, state, nowMs)) return false;
  if (takeToken(budget, ROOM_RULE, nowMs) > 0) return false;
  if (state === 'paused') typists.delete(user);
  else typists.set(user, { state, atMs: nowMs });
  return true;
}

function isNews(room: Room, known: Typist | undefined, user: string, state: TypingState, nowMs: number): boolean {
  if (known !== undefined) return known.state !== state || nowMs - known.atMs >= LIMITS.groupTypingRepeatMs;
  return room.typists.size < LIMITS.groupTypistsMax && isShownBy(room, user);
}

function isShownBy({ watchers }: Room, user: string): boolean {
  for (const watcher of watchers.values()) if (watcher.user === user) return true;
  return false;
}

/** Watchers take who says nothing more for one who has stopped, and so do we. */
function forgetSilent({ typists }: Room, nowMs: number): void {
  for (const [user, { atMs }] of typists) if (nowMs - atMs >= LIMITS.groupTypistMsMax) typists.delete(user);
}
