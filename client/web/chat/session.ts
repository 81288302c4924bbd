/**
 * What the page shows, kept in step with the client: the list of chats, the open one, the connection.
 *
 * The store is the truth: whatever happens in the open chat, its newest messages are read again, at most once a frame. So a
 * receipt, an edit and a message that another device sent need no code of their own here. Knows no element; the views
 * subscribe and read. Read next: `chats-view.ts`, `conversation-view.ts`.
 */

import { ClientError } from '../index.ts';
import type {
  Client,
  ClientEvent,
  ConnectionState,
  GroupInfo,
  GroupTypist,
  HistoryItem,
  PeerPresence,
  PeerSafety,
  Standing,
} from '../index.ts';
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
  /** A group of which this device has messages and nothing else: they came with the history, and it was left before. It can be read. */
  readonly isFormerGroup: boolean;
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
  /** Members who type, in a group. */
  readonly typists: readonly GroupTypist[];
  readonly standing: Standing;
  /** Seconds after which messages are forgotten; 0 where they stay. */
  readonly timerSeconds: number;
  /** Whether the other one's keys are those that the person here knows of. */
  readonly keys: KeysState;
  /** As in the list: there is nobody to write to. */
  readonly isFormerGroup: boolean;
}

/**
 * What the person here knows of the other one's keys: `known`; `new`, which nobody here has taken note of; `broken`, where the former ones had
 * been compared: nothing goes out before that is decided.
 */
export type KeysState = 'known' | 'new' | 'broken';

/** Something to be told once, above the page. */
export interface Notice {
  readonly tone: 'info' | 'warning';
  readonly text: string;
  /** What somebody tried and could not do: gone when the next thing is tried. */
  readonly isOfAttempt?: boolean;
}

/** Messages that a chat opens with, and that each look back adds. */
const PAGE_COUNT = 60;
/** What the store gives at once, and enough to scroll. */
const ITEM_COUNT_MAX = 240;
/** What a group is called whose title nobody here knows. */
const FORMER_GROUP_TITLE = 'A former group';

/** Where the newest message that was looked at is noted, for each chat of an account. */
export interface SeenMarks {
  get(peer: string): number;
  set(peer: string, order: number): void;
}

/** Since when the keys of a person are the ones that somebody here took note of, milliseconds of wall time; undefined before the first look. */
export interface KeyMarks {
  get(peer: string): number | undefined;
  set(peer: string, sinceMs: number): void;
}

/** What the session needs of the page. */
export interface SessionHooks {
  readonly seen: SeenMarks;
  readonly keys: KeyMarks;
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
  #watched: AsyncIterableIterator<unknown> | undefined;
  /** Counts what was asked to be opened or closed: the last one counts, whichever is found first. */
  #openCount = 0;
  /** Of people whose chat was opened; a safety number takes a while to compute. */
  readonly #safety = new Map<string, PeerSafety | undefined>();
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
    // A page that goes closes its client first, and is hidden then.
    if (this.connection === 'closed' || this.client.account === undefined) return;
    this.client.setAvailable(this.#hooks.isVisible());
    if (this.#hooks.isVisible() && this.#open !== undefined) this.#markSeen(this.#open);
  }

  /** Opens a chat. @param to - A phone number, a user id, or the name of a group. */
  async openPeer(to: string): Promise<void> {
    const turn = (this.#openCount += 1);
    const peer = isGroup(to) ? to : await this.client.resolve(to);
    const title = await this.titleOf(peer);
    const group = await this.#groupOf(peer);
    // Another one was chosen meanwhile, or this one is not wanted any more: perhaps a message is being typed there.
    if (turn !== this.#openCount) return;
    this.#leaveChat();
    this.#itemCount = PAGE_COUNT;
    const isFormerGroup = isFormer(peer, group);
    this.#open = {
      ...{ peer, title, group, items: [], hasEarlier: false, isFormerGroup },
      ...{ presence: undefined, typists: [], standing: 'open', timerSeconds: 0, keys: 'known' },
    };
    if (!this.#chats.has(peer)) await this.#list(peer, undefined);
    await this.#reload(peer);
    if (isFormerGroup || turn !== this.#openCount) return;
    if (group === undefined) void this.#watch(peer, this.client.presence(peer), (presence) => ({ presence }));
    else void this.#watch(peer, this.client.groups.typing(peer), (typists) => ({ typists }));
  }

  closeChat(): void {
    this.#openCount += 1;
    this.#leaveChat();
  }

  #leaveChat(): void {
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

  /** Chooses the timer of the open chat, which shows at once. */
  async setTimer(seconds: number): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = { ...open, timerSeconds: seconds };
    const went = await this.attempt(() => this.client.setTimer(open.peer, seconds));
    if (!went) this.#refreshSoon(open.peer);
  }

  /** The person here has taken note of somebody's new keys. Nothing of that makes them compared. */
  async noteKeys(peer: string): Promise<void> {
    const safety = await this.client.safetyNumber(peer);
    if (safety !== undefined) this.#hooks.keys.set(peer, safety.sinceMs);
    this.#refreshSoon(peer);
  }

  /** Goes on with somebody whose compared keys have changed, without comparing the new ones. */
  async goOnWith(peer: string): Promise<void> {
    await this.client.acceptIdentity(peer);
    await this.noteKeys(peer);
  }

  /** Does something for the person at the page, and tells what went wrong. @returns Whether it went well. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    this.notices = this.notices.filter(({ isOfAttempt }) => isOfAttempt !== true);
    this.#changed();
    try {
      await work();
      if (this.#open !== undefined) this.#refreshSoon(this.#open.peer);
      return true;
    } catch (error) {
      this.tell(error, true);
      return false;
    }
  }

  /** Shows a notice until it is dismissed. */
  tell(what: unknown, isOfAttempt: boolean = false): void {
    const isText = typeof what === 'string';
    const text = isText ? what : ((what as Error | undefined)?.message ?? 'Something went wrong.');
    this.notices = [...this.notices.slice(-2), { tone: isText ? 'info' : 'warning', text, isOfAttempt }];
    this.#changed();
  }

  /** Shows how far something has come, in the place of what was told of it before. @returns What stands for it now. */
  tellProgress(before: Notice | undefined, text: string): Notice {
    if (before?.text === text) return before;
    const notice: Notice = { tone: 'info', text };
    this.notices = [...this.notices.filter((each) => each !== before).slice(-2), notice];
    this.#changed();
    return notice;
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
    // Not kept: it may become known.
    if (isFormer(peer, group)) return FORMER_GROUP_TITLE;
    const title = group === undefined ? (await this.client.peer(peer)).phone || `User ${peer}` : titleOf(group);
    this.#titles.set(peer, title);
    return title;
  }

  /** The name of who wrote a message of the open chat, as far as it is known by now. */
  authorOf(user: string): string {
    const member = this.#open?.group?.members.find((each) => each.user === user);
    return member?.phone ?? this.#titles.get(user) ?? `User ${user}`;
  }

  /** Undefined for a person, and for a group that this device has never been in. */
  async #groupOf(peer: string): Promise<GroupInfo | undefined> {
    return isGroup(peer) ? this.client.groups.get(peer).catch(unlessUnknown) : undefined;
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
        return void this.#tellFailure(this.#dropChat(event.user));
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
        this.#safety.delete(event.user);
        this.#refreshSoon(event.user);
        return void this.#tellFailure(this.#tellIdentity(event.user, event.wasVerified));
      case 'identity-trust':
        this.#safety.delete(event.user);
        return this.#refreshSoon(event.user);
      case 'history-transfer':
        return this.#tellTransfer(event);
      case 'devices-refused':
      case 'group-alarm':
        return this.tell(new ClientError(event.code));
      default:
        return undefined;
    }
  }

  /** The history on its way between two own devices: a question on the first one, and how it ended. */
  #tellTransfer({
    device,
    direction,
    state,
    transferred,
    code,
  }: ClientEvent & { readonly type: 'history-transfer' }): void {
    if (state === 'asked' && direction === 'out')
      return this.tell(`Device ${device} asks for the history. Open “Devices” to decide.`);
    if (state === 'failed' && code !== undefined) return this.tell(new ClientError(code));
    if (state !== 'done') return;
    this.tell(
      direction === 'in' ? `The history is here: ${transferred} messages.` : `Device ${device} has the history.`,
    );
    if (direction === 'in') void this.#tellFailure(this.#relist());
  }

  /** Chats that came with the history. */
  async #relist(): Promise<void> {
    for (const { peer, last } of await this.client.conversations()) await this.#list(peer, last);
    if (this.#open !== undefined) this.#refreshSoon(this.#open.peer);
    this.#changed();
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
    // One that cannot be read keeps no other from being shown.
    for (const peer of peers) await this.#tellFailure(this.#reload(peer));
  }

  /** Of what nobody at the page waits for. */
  async #tellFailure(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!ClientError.is(error, 'CLI_CLOSED')) this.tell(error);
    }
  }

  async #reload(peer: string): Promise<void> {
    const isOpen = this.#open?.peer === peer;
    const limit = isOpen ? this.#itemCount + 1 : 1;
    const items = await this.client.history(peer, { limit });
    const [title, group] = [await this.titleOf(peer), await this.#groupOf(peer)];
    const standing = await this.#standingOf(peer, group);
    const [timerSeconds, keys] = isOpen
      ? [await this.client.timer(peer), await this.#keysOf(peer)]
      : [0, 'known' as const];
    if (isOpen) for (const { from } of items) if (from !== undefined) await this.titleOf(from);
    // Another chat may have been opened meanwhile: no await from here until this one is shown.
    if (this.#open?.peer === peer && isOpen) {
      const hasEarlier = items.length > this.#itemCount && this.#itemCount < ITEM_COUNT_MAX;
      const shown = items.slice(-this.#itemCount);
      const isFormerGroup = isFormer(peer, group);
      this.#open = {
        ...this.#open,
        title,
        group,
        items: shown,
        hasEarlier,
        standing,
        isFormerGroup,
        timerSeconds,
        keys,
      };
      if (this.#hooks.isVisible()) this.#markSeen(this.#open);
    }
    await this.#list(peer, items.at(-1));
    this.#changed();
  }

  /** In a group, what whoever has brought us there is to us, if a stranger: nobody is told what we read until that is decided. */
  async #standingOf(peer: string, group: GroupInfo | undefined): Promise<Standing> {
    if (isFormer(peer, group)) return 'open';
    const standing = await this.client.protection.standing(group?.inviter ?? peer);
    return group === undefined || standing === 'request' ? standing : 'open';
  }

  /** Keys that are there when a chat is first opened are those that one begins with; who compares takes note as well. */
  async #keysOf(peer: string): Promise<KeysState> {
    if (isGroup(peer)) return 'known';
    if (!this.#safety.has(peer)) this.#safety.set(peer, await this.client.safetyNumber(peer));
    const safety = this.#safety.get(peer);
    if (safety === undefined) return 'known';
    if (safety.level === 'broken') return 'broken';
    const { keys } = this.#hooks;
    const noted = keys.get(peer);
    if (noted !== undefined && noted !== safety.sinceMs && safety.level !== 'verified') return 'new';
    if (noted !== safety.sinceMs) keys.set(peer, safety.sinceMs);
    return 'known';
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
    if (hasNew) void this.#tellFailure(this.client.markRead(peer));
    this.#changed();
  }

  async #list(peer: string, last: HistoryItem | undefined): Promise<void> {
    // Something may be known of somebody without a message: members of a group, and ourselves.
    const group = await this.#groupOf(peer);
    const isChat = last !== undefined || group !== undefined || this.#open?.peer === peer;
    if (!isChat) return void this.#chats.delete(peer);
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
      standing: await this.#standingOf(peer, group),
      isFormerGroup: isFormer(peer, group),
    });
  }

  async #countUnread(peer: string, newest: number): Promise<number> {
    const seen = this.#hooks.seen.get(peer);
    const isLookedAt = this.#open?.peer === peer && this.#hooks.isVisible();
    if (newest <= seen || isLookedAt) return 0;
    const items = await this.client.history(peer, { limit: PAGE_COUNT });
    return items.filter((item) => item.direction === 'in' && orderOf(item) > seen).length;
  }

  async #watch<Told>(
    peer: string,
    watched: AsyncIterableIterator<Told>,
    shown: (told: Told) => Partial<OpenChat>,
  ): Promise<void> {
    this.#watched = watched;
    try {
      for await (const told of watched) {
        if (this.#open?.peer !== peer) return;
        this.#open = { ...this.#open, ...shown(told) };
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

/** Whether something is the name of a group: `g` and its id. */
function isGroup(peer: string): boolean {
  return /^g\d/.test(peer);
}

/** Whether messages are all that there is of a group here. */
function isFormer(peer: string, group: GroupInfo | undefined): boolean {
  return isGroup(peer) && group === undefined;
}

function unlessUnknown(error: unknown): undefined {
  if (!ClientError.is(error, 'CLI_GROUP_UNKNOWN')) throw error;
}

/** Messages are named by ascending numbers. */
function orderOf(item: HistoryItem | undefined): number {
  return item === undefined ? 0 : Number(item.id);
}

function titleOf(group: GroupInfo): string {
  return group.title || 'A group';
}
