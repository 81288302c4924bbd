/**
 * Presence and typing, both ways: whom we watch, what they are seen to do, and what of us is told.
 *
 * Everything here is of the moment. Nothing is stored; what is lost with a connection is said and asked again on the next
 * one, and every few minutes, since the server may drop it when it is busy. Who may see us is the server's to decide:
 * docs/protocol.md, "Presence". In groups: `group-typing.ts`.
 */

import { availabilityStanza, outgoingTypingStanza, unsubscribeStanza } from '../protocol/wire/index.ts';
import type { IncomingTyping, PresenceMessage, Stanza, TypingState } from '../protocol/wire/index.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { LatestFeed } from './latest-feed.ts';
import { LIMITS } from './limits.ts';
import { OwnTyping } from './own-typing.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';

/** What is known of somebody at this moment. */
export interface PeerPresence {
  /** User id. */
  readonly user: string;
  /** `unknown`: never there, or not to be seen by us, or we have no connection; the server does not say which. */
  readonly state: 'online' | 'away' | 'unknown';
  /** While `away`: when they were last there, in milliseconds of the server's time, to the minute. */
  readonly lastSeenAt: number | undefined;
  /** What they do in the chat with us. */
  readonly typing: 'composing' | 'recording' | undefined;
}

/** What presence needs of its client. */
export interface PresenceServices {
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
}

type PresenceFeed = LatestFeed<PeerPresence>;

/** Somebody who is watched. */
interface Watched {
  readonly feeds: Set<PresenceFeed>;
  presence: PeerPresence;
  typingTimer: unknown;
  /** When a message of theirs last made us ask again. */
  askedAgainAtMs: number;
}

/** The presence of one account's peers, and its own. */
export class Presence {
  readonly #services: PresenceServices;
  readonly #watched = new Map<string, Watched>();
  readonly #ownTyping: OwnTyping;
  /** Feeds whose peer is still being looked up. */
  readonly #starting = new Set<PresenceFeed>();
  #isAvailable = false;
  #isOpen = false;
  #isClosed = false;
  #repeatTimer: unknown;

  constructor(services: PresenceServices) {
    this.#services = services;
    this.#ownTyping = new OwnTyping(services.clock, (to, state) =>
      services.transmit(outgoingTypingStanza({ to, state })),
    );
  }

  /** Somebody is at this device, or no longer; holds over reconnections. */
  setAvailable(isAvailable: boolean): void {
    if (isAvailable === this.#isAvailable) return;
    this.#isAvailable = isAvailable;
    if (this.#isOpen) this.#announce();
  }

  /** Watches somebody for as long as the feed is read. A failed look-up fails the feed. */
  watch(peer: Promise<string>): PresenceFeed {
    let user: string | undefined;
    const feed: PresenceFeed = new LatestFeed(() => {
      this.#starting.delete(feed);
      if (user !== undefined) this.#leave(user, feed);
    });
    if (this.#isClosed) feed.end();
    this.#starting.add(feed);
    peer.then(
      (resolved) => {
        this.#starting.delete(feed);
        if (!feed.isOver) this.#join((user = resolved), feed);
      },
      (error: unknown) => {
        this.#starting.delete(feed);
        feed.end(asError(error));
      },
    );
    return feed;
  }

  /** Tells a peer who shows the chat what the person here does. */
  setTyping(user: string, state: TypingState): void {
    if (this.#isOpen) this.#ownTyping.set(user, state);
  }

  /** Logged in: what holds is said and asked again. */
  opened(): void {
    this.#isOpen = true;
    if (this.#isAvailable) this.#announce();
    for (const user of this.#watched.keys()) void this.#subscribe(user);
    this.#repeatLater();
  }

  /** The connection is gone: nothing is known any more. */
  shut(): void {
    this.#isOpen = false;
    this.#services.clock.clearTimer(this.#repeatTimer);
    this.#ownTyping.forget();
    for (const user of this.#watched.keys()) this.#learn(user, unknownPresence(user));
  }

  /** Takes what the server says unasked. */
  receive(message: PresenceMessage | IncomingTyping): void {
    if (message.kind === 'presence') return this.#learnState(message);
    const watched = this.#watched.get(message.from);
    if (watched === undefined) return;
    const typing = message.state === 'paused' ? undefined : message.state;
    this.#services.clock.clearTimer(watched.typingTimer);
    this.#learn(message.from, { ...watched.presence, typing });
    if (typing === undefined) return;
    // Who vanishes while typing does not type for ever.
    watched.typingTimer = this.#services.clock.setTimer(LIMITS.typingShownMs, () => this.#stopShowing(message.from));
  }

  /**
   * A message of somebody came: they have finished typing it. And if it is their first to us we have become a contact, who may
   * see what was hidden when we asked.
   */
  heard(user: string): void {
    this.#stopShowing(user);
    const watched = this.#watched.get(user);
    const nowMs = this.#services.clock.monotonicMs();
    if (!this.#isOpen || watched?.presence.state !== 'unknown') return;
    if (nowMs - watched.askedAgainAtMs < LIMITS.presenceAskAgainMs) return;
    watched.askedAgainAtMs = nowMs;
    void this.#subscribe(user);
  }

  close(): void {
    this.#isClosed = true;
    this.shut();
    for (const feed of this.#starting) feed.end();
    for (const { feeds } of this.#watched.values()) for (const feed of feeds) feed.end();
    this.#watched.clear();
  }

  #stopShowing(user: string): void {
    const watched = this.#watched.get(user);
    if (watched?.presence.typing !== undefined) this.#learn(user, { ...watched.presence, typing: undefined });
  }

  #announce(): void {
    this.#services.transmit(availabilityStanza({ state: this.#isAvailable ? 'available' : 'unavailable' }));
  }

  #join(user: string, feed: PresenceFeed): void {
    const watched = this.#watched.get(user);
    if (watched !== undefined) {
      watched.feeds.add(feed);
      return feed.push(watched.presence);
    }
    const presence = unknownPresence(user);
    this.#watched.set(user, { feeds: new Set([feed]), presence, typingTimer: undefined, askedAgainAtMs: -Infinity });
    if (this.#isOpen) void this.#subscribe(user);
    else feed.push(presence);
  }

  #leave(user: string, feed: PresenceFeed): void {
    const watched = this.#watched.get(user);
    if (watched === undefined || !watched.feeds.delete(feed) || watched.feeds.size > 0) return;
    this.#services.clock.clearTimer(watched.typingTimer);
    this.#watched.delete(user);
    this.#services.transmit(unsubscribeStanza({ to: user }));
  }

  async #subscribe(user: string): Promise<void> {
    try {
      const answer = await this.#services.requests.askPatiently({ kind: 'subscribe', to: user }, 'presence');
      if (!this.#watched.has(user)) return this.#services.transmit(unsubscribeStanza({ to: user }));
      if (answer.from === user && this.#isOpen) this.#learnState(answer, true);
    } catch (error) {
      // What passes is asked again: at the next login, or at the next repetition.
      if (!isPassing(error)) this.#giveUp(user, asError(error));
    }
  }

  /** @param isAnswer - An answer is passed on even where it is no news: the reader waits for it. */
  #learnState(message: PresenceMessage, isAnswer: boolean = false): void {
    const { state, typing } = this.#watched.get(message.from)?.presence ?? unknownPresence(message.from);
    const next = asPeerPresence(message);
    const goesOn = state === 'online' && next.state === 'online';
    this.#learn(message.from, { ...next, typing: goesOn ? typing : undefined }, isAnswer);
  }

  #giveUp(user: string, error: ClientError): void {
    const watched = this.#watched.get(user);
    this.#watched.delete(user);
    for (const feed of watched?.feeds ?? []) feed.end(error);
  }

  #learn(user: string, next: PeerPresence, isAnswer: boolean = false): void {
    const watched = this.#watched.get(user);
    if (watched === undefined) return;
    if (next.typing === undefined) this.#services.clock.clearTimer(watched.typingTimer);
    const { presence: former } = watched;
    const isSame =
      former.state === next.state && former.lastSeenAt === next.lastSeenAt && former.typing === next.typing;
    watched.presence = next;
    if (isSame && !isAnswer) return;
    for (const feed of watched.feeds) feed.push(next);
    if (!isSame) this.#services.emit({ type: 'presence', ...next });
  }

  /** A little earlier than the bound, at random: clients that came back together do not go on together. */
  #repeatLater(): void {
    const { clock, random } = this.#services;
    clock.clearTimer(this.#repeatTimer);
    const delayMs = LIMITS.presenceRepeatMs - random.integer(LIMITS.presenceRepeatMs / 4);
    this.#repeatTimer = clock.setTimer(delayMs, () => this.opened());
  }
}

function unknownPresence(user: string): PeerPresence {
  return { user, state: 'unknown', lastSeenAt: undefined, typing: undefined };
}

function asPeerPresence({ from: user, state, lastSeen }: PresenceMessage): PeerPresence {
  if (state === 'available') return { user, state: 'online', lastSeenAt: undefined, typing: undefined };
  return { user, state: lastSeen === undefined ? 'unknown' : 'away', lastSeenAt: lastSeen, typing: undefined };
}

function asError(error: unknown): ClientError {
  return ClientError.is(error) ? error : new ClientError(codeOf(error), { cause: error });
}
