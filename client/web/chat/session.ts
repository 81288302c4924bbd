/**
 * What the page shows, kept in step with the client: the list of chats, the open one, the connection.
 *
 * The store is the truth: whatever happens in the open chat, its newest messages are read again, at most once a frame. So a
 * receipt, an edit and a message that another device sent need no code of their own here. Knows no element; the views
 * subscribe and read. Read next: `chats-view.ts`, `conversation-view.ts`.
 */

import { ClientError } from '../index.ts';
import type { Client, ClientEvent, ConnectionState, GroupInfo, HistoryItem, PeerPresence, Standing } from '../index.ts';
import type { ErrorCode } from '../index.ts';
import { previewOf } from './words.ts';

/** One line of the list. */
export interface Chat {
  /** User id, or the name of a group. */
  readonly peer: string;
  readonly title: string;
  readonly preview: string;
  /** Wall time of the newest message; 0 without one. */
  readonly atMs: number;
  /** Newest of all: the order of the list. */
  readonly order: number;
  readonly unreadCount: number;
  readonly standing: Standing;
}

/** The chat on the screen. */
export interface OpenChat {
  readonly peer: string;
  readonly title: string;
  readonly group: GroupInfo | undefined;
  readonly items: readonly HistoryItem[];
  /** Whether the store has older ones. */
  readonly hasEarlier: boolean;
  readonly presence: PeerPresence | undefined;
  readonly standing: Standing;
}

/** Something to be told once, above the page. */
export interface Notice {
  readonly tone: 'info' | 'warning';
  readonly text: string;
}

/** Messages that a chat opens with, and that each look back adds. */
const PAGE_COUNT = 60;
/** What the store gives at once, and enough to scroll. */
const ITEM_COUNT_MAX = 240;

/** Where the newest message that was looked at is noted, for each chat of an account. */
export interface SeenMarks {
  get(peer: string): number;
  set(peer: string, order: number): void;
}

/** What the session needs of the page. */
export interface SessionHooks {
  readonly seen: SeenMarks;
  /** Calls back before the next picture is drawn. */
  readonly nextFrame: (callback: () => void) => void;
  /** Whether somebody can see the page. */
  readonly isVisible: () => boolean;
}

export class Session {
  readonly client: Client;
  readonly #hooks: SessionHooks;
  readonly #listeners = new Set<() => void>();
  readonly #chats = new Map<string, Chat>();
  readonly #titles = new Map<string, string>();
  #open: OpenChat | undefined;
  #itemCount = PAGE_COUNT;
  #watched: AsyncIterableIterator<PeerPresence> | undefined;
  #stale = new Set<string>();
  #isRefreshing = false;
  connection: ConnectionState = 'offline';
  trouble: ErrorCode | undefined;
  notices: readonly Notice[] = [];

  constructor(client: Client, hooks: SessionHooks) {
    this.client = client;
    this.#hooks = hooks;
  }

  /** The list, newest first. */
  get chats(): readonly Chat[] {
    return [...this.#chats.values()].sort((one, other) => other.order - one.order || other.atMs - one.atMs);
  }

  get openChat(): OpenChat | undefined {
    return this.#open;
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Fills the list from the store, then connects, and stays connected. */
  async start(): Promise<void> {
    this.client.onEvent((event) => this.#onEvent(event));
    for (const { peer, last } of await this.client.conversations()) await this.#list(peer, last);
    for (const group of await this.client.groups.list()) {
      this.#titles.set(group.name, titleOf(group));
      if (!this.#chats.has(group.name)) await this.#list(group.name, undefined);
    }
    this.#changed();
    void this.#consume();
    await this.connect();
  }

  /** Connects again after the client gave up. */
  async connect(): Promise<void> {
    try {
      await this.client.connect();
      this.client.setAvailable(this.#hooks.isVisible());
    } catch (error) {
      if (!ClientError.is(error, 'CLI_CLOSED')) this.tell(error);
    }
  }

  /** The page was shown or hidden. */
  visibilityChanged(): void {
    if (this.client.account === undefined) return;
    this.client.setAvailable(this.#hooks.isVisible());
    if (this.#hooks.isVisible() && this.#open !== undefined) this.#markSeen(this.#open);
  }

  /** Opens a chat. @param to - A phone number, a user id, or the name of a group. */
  async openPeer(to: string): Promise<void> {
    const peer = /^g\d/.test(to) ? to : await this.client.resolve(to);
    this.closeChat();
    this.#itemCount = PAGE_COUNT;
    const title = await this.titleOf(peer);
    const group = await this.#groupOf(peer);
    this.#open = { peer, title, group, items: [], hasEarlier: false, presence: undefined, standing: 'open' };
    if (!this.#chats.has(peer)) await this.#list(peer, undefined);
    await this.#reload(peer);
    if (group === undefined) void this.#watch(peer);
  }

  closeChat(): void {
    this.#open = undefined;
    void this.#watched?.return?.();
    this.#watched = undefined;
    this.#changed();
  }

  /** Shows older messages of the open chat. */
  async showEarlier(): Promise<void> {
    this.#itemCount = Math.min(this.#itemCount + PAGE_COUNT, ITEM_COUNT_MAX);
    if (this.#open !== undefined) await this.#reload(this.#open.peer);
  }

  /** Does something for the person at the page, and tells what went wrong. @returns Whether it went well. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      if (this.#open !== undefined) this.#refreshSoon(this.#open.peer);
      return true;
    } catch (error) {
      this.tell(error);
      return false;
    }
  }

  /** Shows a notice until it is dismissed. */
  tell(what: unknown): void {
    const isText = typeof what === 'string';
    const text = isText ? what : ((what as Error | undefined)?.message ?? 'Something went wrong.');
    this.notices = [...this.notices.slice(-2), { tone: isText ? 'info' : 'warning', text }];
    this.#changed();
  }

  dismiss(notice: Notice): void {
    this.notices = this.notices.filter((each) => each !== notice);
    this.#changed();
  }

  /** What somebody, or a group, is called here. */
  async titleOf(peer: string): Promise<string> {
    const known = this.#titles.get(peer);
    if (known !== undefined) return known;
    const group = await this.#groupOf(peer);
    const title = group === undefined ? (await this.client.peer(peer)).phone || `User ${peer}` : titleOf(group);
    this.#titles.set(peer, title);
    return title;
  }

  /** The name of who wrote a message of the open chat, as far as it is known by now. */
  authorOf(user: string): string {
    const member = this.#open?.group?.members.find((each) => each.user === user);
    return member?.phone ?? this.#titles.get(user) ?? `User ${user}`;
  }

  async #groupOf(peer: string): Promise<GroupInfo | undefined> {
    return /^g\d/.test(peer) ? this.client.groups.get(peer) : undefined;
  }

  /** Messages are events here; the loop is what tells the client that they were taken. */
  async #consume(): Promise<void> {
    try {
      for await (const _ of this.client.messages()) void _;
    } catch (error) {
      this.tell(error);
    }
  }

  #onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'state':
        this.connection = event.state;
        if (event.state === 'live') this.trouble = undefined;
        return this.#changed();
      case 'retrying':
        this.trouble = event.code;
        return this.#changed();
      case 'stopped':
        this.trouble = event.code;
        return this.tell(new ClientError(event.code));
      case 'message':
        return this.#refreshSoon(event.message.group ?? event.message.from);
      case 'changed':
      case 'progress':
      case 'transcript':
      case 'twin-progress':
      case 'refused':
      case 'lost':
      case 'pruned':
      case 'seen':
      case 'standing':
      case 'message-request':
        return this.#refreshSoon(event.user);
      case 'forgotten':
        return void this.#dropChat(event.user);
      case 'phone-checked':
        this.#titles.delete(event.user);
        return this.#refreshSoon(event.user);
      case 'group-joined':
      case 'group-changed':
        this.#titles.delete(event.group);
        return this.#refreshSoon(event.group);
      case 'group-progress':
        return this.#refreshSoon(event.group);
      case 'identity-changed':
        return void this.#tellIdentity(event.user, event.wasVerified);
      case 'devices-refused':
      case 'group-alarm':
        return this.tell(new ClientError(event.code));
      default:
        return undefined;
    }
  }

  async #tellIdentity(user: string, wasVerified: boolean): Promise<void> {
    const title = await this.titleOf(user);
    const advice = wasVerified
      ? 'You had compared it: compare it again before you write.'
      : 'They may have a new device.';
    this.tell(`The safety number with ${title} has changed. ${advice}`);
  }

  #refreshSoon(peer: string): void {
    this.#stale.add(peer);
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#hooks.nextFrame(() => void this.#refresh());
  }

  async #refresh(): Promise<void> {
    const peers = this.#stale;
    this.#stale = new Set();
    this.#isRefreshing = false;
    try {
      for (const peer of peers) await this.#reload(peer);
    } catch (error) {
      if (!ClientError.is(error, 'CLI_CLOSED')) this.tell(error);
    }
  }

  async #reload(peer: string): Promise<void> {
    const isOpen = this.#open?.peer === peer;
    const limit = isOpen ? this.#itemCount + 1 : 1;
    const items = await this.client.history(peer, { limit });
    const [title, group] = [await this.titleOf(peer), await this.#groupOf(peer)];
    const standing = await this.client.protection.standing(peer);
    // Another chat may have been opened meanwhile.
    if (this.#open?.peer === peer && isOpen) {
      for (const { from } of items) if (from !== undefined) await this.titleOf(from);
      const hasEarlier = items.length > this.#itemCount && this.#itemCount < ITEM_COUNT_MAX;
      const shown = items.slice(-this.#itemCount);
      this.#open = { ...this.#open, title, group, items: shown, hasEarlier, standing };
      if (this.#hooks.isVisible()) this.#markSeen(this.#open);
    }
    await this.#list(peer, items.at(-1));
    this.#changed();
  }

  /** The messages of a chat are gone; a group stays in the list. */
  async #dropChat(peer: string): Promise<void> {
    if (this.#open?.peer === peer) this.closeChat();
    this.#chats.delete(peer);
    if ((await this.#groupOf(peer)) !== undefined) await this.#list(peer, undefined);
    this.#changed();
  }

  #markSeen({ peer, items }: OpenChat): void {
    const newest = orderOf(items.at(-1));
    const hasNew = items.some((item) => item.direction === 'in' && orderOf(item) > this.#hooks.seen.get(peer));
    this.#hooks.seen.set(peer, newest);
    const chat = this.#chats.get(peer);
    if (chat !== undefined) this.#chats.set(peer, { ...chat, unreadCount: 0 });
    if (hasNew) this.client.markRead(peer).catch((error: unknown) => this.tell(error));
    this.#changed();
  }

  async #list(peer: string, last: HistoryItem | undefined): Promise<void> {
    const title = await this.titleOf(peer);
    const preview = last === undefined ? '' : previewOf(last);
    const order = orderOf(last);
    this.#chats.set(peer, {
      peer,
      title,
      preview,
      atMs: last?.sentAt ?? 0,
      order,
      unreadCount: await this.#countUnread(peer, order),
      standing: await this.client.protection.standing(peer),
    });
  }

  async #countUnread(peer: string, newest: number): Promise<number> {
    const seen = this.#hooks.seen.get(peer);
    const isLookedAt = this.#open?.peer === peer && this.#hooks.isVisible();
    if (newest <= seen || isLookedAt) return 0;
    const items = await this.client.history(peer, { limit: PAGE_COUNT });
    return items.filter((item) => item.direction === 'in' && orderOf(item) > seen).length;
  }

  async #watch(peer: string): Promise<void> {
    const watched = this.client.presence(peer);
    this.#watched = watched;
    try {
      for await (const presence of watched) {
        if (this.#open?.peer !== peer) return;
        this.#open = { ...this.#open, presence };
        this.#changed();
      }
    } catch {
      // Presence is a courtesy: the chat goes on without it.
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Messages are named by ascending numbers. */
function orderOf(item: HistoryItem | undefined): number {
  return item === undefined ? 0 : Number(item.id);
}

function titleOf(group: GroupInfo): string {
  return group.title || 'A group';
}
