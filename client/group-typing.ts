/**
 * Typing in groups, both ways: who types in a group whose chat is on the screen, and what of us is told there.
 *
 * As with presence, everything is of the moment and may be lost: what holds is asked again at each login and every few minutes, and who
 * says nothing more has stopped. The server tells connections that have subscribed, of a few members at a time. Who is told
 * nothing of us: docs/protocol.md, "Presence"; and members of a group into which a stranger has brought us, until we write there.
 */

import { groupUnsubscribeStanza, outgoingGroupTypingStanza } from '../protocol/wire/index.ts';
import type { IncomingGroupTyping, Stanza, TypingState } from '../protocol/wire/index.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { nameOfGroup } from './group-layout.ts';
import { LatestFeed } from './latest-feed.ts';
import { LIMITS } from './limits.ts';
import { OwnTyping } from './own-typing.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';

/** A member who does something in the chat of a group. */
export interface GroupTypist {
  /** User id. */
  readonly user: string;
  readonly state: 'composing' | 'recording';
}

/** What typing in groups needs of its client. */
export interface GroupTypingServices {
  readonly self: string;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
}

type Feed = LatestFeed<readonly GroupTypist[]>;

interface Shown {
  readonly state: 'composing' | 'recording';
  readonly timer: unknown;
}

/** A group whose chat is shown. */
interface Room {
  readonly feeds: Set<Feed>;
  /** Who types, by user; who began first is first. */
  readonly typists: Map<string, Shown>;
}

/** Typing in the groups of one account. */
export class GroupTyping {
  readonly #services: GroupTypingServices;
  readonly #own: OwnTyping;
  readonly #rooms = new Map<string, Room>();
  #isOpen = false;
  #isClosed = false;
  #repeatTimer: unknown;

  constructor(services: GroupTypingServices) {
    this.#services = services;
    this.#own = new OwnTyping(services.clock, (group, state) =>
      services.transmit(outgoingGroupTypingStanza({ group, state })),
    );
  }

  /** Who types in a group, for as long as the feed is read. @param group - 15 digits. */
  watch(group: string): Feed {
    const feed: Feed = new LatestFeed(() => this.#leave(group, feed));
    if (this.#isClosed) feed.end();
    else this.#join(group, feed);
    return feed;
  }

  /** Tells the members who show the chat what the person here does. Only while it is shown here as well. @param group - 15 digits. */
  set(group: string, state: TypingState): void {
    if (this.#isOpen && this.#rooms.has(group)) this.#own.set(group, state);
  }

  /** Logged in: what holds is asked again. */
  opened(): void {
    this.#isOpen = true;
    for (const group of this.#rooms.keys()) void this.#subscribe(group);
    this.#repeatLater();
  }

  /** The connection is gone: nobody is known to type. */
  shut(): void {
    this.#isOpen = false;
    this.#services.clock.clearTimer(this.#repeatTimer);
    this.#own.forget();
    for (const [group, room] of this.#rooms) this.#empty(group, room);
  }

  /** Takes what the server says. */
  receive({ group, user, state }: IncomingGroupTyping): void {
    const room = this.#rooms.get(group);
    if (room === undefined || user === this.#services.self) return;
    if (state === 'paused') return this.#stopShowing(group, user);
    const former = room.typists.get(user);
    this.#services.clock.clearTimer(former?.timer);
    // Who vanishes while typing does not type for ever.
    const timer = this.#services.clock.setTimer(LIMITS.typingShownMs, () => this.#stopShowing(group, user));
    room.typists.set(user, { state, timer });
    if (former?.state !== state) this.#tell(group, room);
  }

  /** A message of a member came: they have finished typing it. */
  heard(group: string, user: string): void {
    this.#stopShowing(group, user);
  }

  close(): void {
    this.#isClosed = true;
    this.shut();
    for (const { feeds } of this.#rooms.values()) for (const feed of feeds) feed.end();
    this.#rooms.clear();
  }

  #join(group: string, feed: Feed): void {
    const present = this.#rooms.get(group);
    const room: Room = present ?? { feeds: new Set(), typists: new Map() };
    room.feeds.add(feed);
    this.#rooms.set(group, room);
    feed.push(typistsIn(room));
    if (present === undefined && this.#isOpen) void this.#subscribe(group);
  }

  #leave(group: string, feed: Feed): void {
    const room = this.#rooms.get(group);
    if (room === undefined || !room.feeds.delete(feed) || room.feeds.size > 0) return;
    this.#own.set(group, 'paused');
    this.#drop(group, room);
  }

  #drop(group: string, room: Room): void {
    for (const { timer } of room.typists.values()) this.#services.clock.clearTimer(timer);
    this.#rooms.delete(group);
    if (this.#isOpen) this.#services.transmit(groupUnsubscribeStanza({ group }));
  }

  async #subscribe(group: string): Promise<void> {
    try {
      await this.#services.requests.askPatiently({ kind: 'group-subscribe', group }, 'group-subscribe');
      // Left while the question was on its way: what it began must not stay.
      if (!this.#rooms.has(group) && this.#isOpen) this.#services.transmit(groupUnsubscribeStanza({ group }));
    } catch (error) {
      // What passes is asked again: at the next login, or at the next repetition.
      if (!isPassing(error)) this.#giveUp(group, error);
    }
  }

  /** Refused for good: we are no member, or show too much at a time. */
  #giveUp(group: string, error: unknown): void {
    const room = this.#rooms.get(group);
    if (room === undefined) return;
    this.#drop(group, room);
    const reason = ClientError.is(error) ? error : new ClientError(codeOf(error), { cause: error });
    for (const feed of room.feeds) feed.end(reason);
  }

  #stopShowing(group: string, user: string): void {
    const room = this.#rooms.get(group);
    const shown = room?.typists.get(user);
    if (room === undefined || shown === undefined) return;
    this.#services.clock.clearTimer(shown.timer);
    room.typists.delete(user);
    this.#tell(group, room);
  }

  #empty(group: string, room: Room): void {
    if (room.typists.size === 0) return;
    for (const { timer } of room.typists.values()) this.#services.clock.clearTimer(timer);
    room.typists.clear();
    this.#tell(group, room);
  }

  #tell(group: string, room: Room): void {
    const typists = typistsIn(room);
    for (const feed of room.feeds) feed.push(typists);
    this.#services.emit({ type: 'group-typing', group: nameOfGroup(group), typists });
  }

  /** A little earlier than the bound, at random: clients that came back together do not go on together. */
  #repeatLater(): void {
    const { clock, random } = this.#services;
    clock.clearTimer(this.#repeatTimer);
    const delayMs = LIMITS.presenceRepeatMs - random.integer(LIMITS.presenceRepeatMs / 4);
    this.#repeatTimer = clock.setTimer(delayMs, () => this.opened());
  }
}

function typistsIn({ typists }: Room): GroupTypist[] {
  return Array.from(typists, ([user, { state }]) => ({ user, state }));
}
