/**
 * Who is in the open chat: the presence of the other side, or who types in the group, and what is told of the person at this terminal.
 *
 * Somebody is here while keys come; a terminal that is left alone says so after a while. Knows no terminal and no line of
 * output; `interactive.ts` tells it of keys and draws what it knows.
 */

import type { Client, Clock, GroupTypist, PeerPresence } from '../../index.ts';
import type { Peer } from './model.ts';

/** Without a key for this long nobody is said to be here. */
const AWAY_MS = 120_000;

/** The presence of one chat on a terminal. */
export class Attendance {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #user: string | undefined;
  #feed: AsyncIterableIterator<unknown> | undefined;
  #presence: PeerPresence | undefined;
  #typists: readonly GroupTypist[] = [];
  #timer: unknown;
  #isClosed = false;

  constructor(client: Client, clock: Clock, onChange: () => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#stay();
  }

  /** What is known of the other side. */
  get presence(): PeerPresence | undefined {
    return this.#presence;
  }

  /** Members who type, while the chat of a group is open. */
  get typists(): readonly GroupTypist[] {
    return this.#typists;
  }

  /** The chat with `peer` is on the screen, or none. */
  show(peer: Peer | undefined): void {
    if (peer?.user === this.#user || this.#isClosed) return;
    void this.#feed?.return?.();
    this.#user = peer?.user;
    this.#feed = this.#presence = undefined;
    this.#typists = [];
    if (peer === undefined) return;
    if (peer.members === undefined)
      void this.#read(this.#client.presence(peer.user), (told) => (this.#presence = told));
    else void this.#read(this.#client.groups.typing(peer.user), (told) => (this.#typists = told));
  }

  /** A key came, and this is the line now. */
  key(line: string): void {
    if (this.#isClosed) return;
    this.#stay();
    if (this.#user === undefined || line.startsWith('/')) return;
    void this.#client.setTyping(this.#user, line === '' ? 'paused' : 'composing').catch(() => undefined);
  }

  close(): void {
    this.show(undefined);
    this.#isClosed = true;
    this.#clock.clearTimer(this.#timer);
  }

  #stay(): void {
    this.#client.setAvailable(true);
    this.#clock.clearTimer(this.#timer);
    this.#timer = this.#clock.setTimer(AWAY_MS, () => this.#client.setAvailable(false));
  }

  async #read<Told>(feed: AsyncIterableIterator<Told>, keep: (told: Told) => void): Promise<void> {
    this.#feed = feed;
    try {
      for await (const told of feed) {
        if (feed !== this.#feed) return;
        keep(told);
        this.#onChange();
      }
    } catch {
      // Nothing is shown of somebody of whom nothing can be learned; what else fails for it is told elsewhere.
    }
  }
}
