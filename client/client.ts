/**
 * The client: what an application holds. It puts the parts together and keeps none of their secrets.
 *
 *   createClient ─▶ Client ─┬─ Connection  (connection.ts decides, connection-driver.ts does)
 *                           ├─ Engine      (conversations, inbox, directory; from registration on)
 *                           ├─ Reader      (the loop over messages())
 *                           └─ Journal     (the only writer of the store)
 *
 * Read next: `engine.ts`; for one message's way out `conversation.ts`, for its way in `inbox.ts`.
 */

import type { ByteStream, SafetyComparison } from '../protocol/signal/index.ts';
import { isPhone, LIMITS as WIRE_LIMITS } from '../protocol/wire/index.ts';
import type { Audience, PrivacySettings, StrangersPolicy, TypingState } from '../protocol/wire/index.ts';
import { confirmRequest, loadAccount, loadRestored, makeKeys, putAccount } from './account.ts';
import type { Account, FreshKeys } from './account.ts';
import { makeBackup } from './backup.ts';
import type { BackupOptions } from './backup.ts';
import type { Composer } from './composer.ts';
import { Connection } from './connection-driver.ts';
import type { ConnectionState } from './connection.ts';
import type { Attachment } from './content-body.ts';
import { Engine } from './engine.ts';
import type { HeldKeys } from './key-stock.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { EventHub } from './events.ts';
import type { ClientEvent, EventListener } from './events.ts';
import { groupOfName } from './group-layout.ts';
import type { Groups } from './groups.ts';
import { History } from './history.ts';
import type { HistoryRange } from './history.ts';
import { cautiousIdentityPolicy } from './identities.ts';
import type { IdentityPolicy } from './identities.ts';
import { Journal } from './journal.ts';
import { KEYS, NUMBER, PEER, TEXT } from './layout.ts';
import type { PeerRecord } from './layout.ts';
import { beginLink } from './linking.ts';
import type { PendingLink, Provision } from './linking.ts';
import { LIMITS } from './limits.ts';
import { Media } from './media.ts';
import type { MediaSource, MediaTransferOptions, UploadOptions } from './media.ts';
import type { Fetch } from './media-http.ts';
import type { HistoryItem, MessageBody, OutgoingMessage, ReceivedMessage, SentMessage } from './messages.ts';
import type { OwnDevice } from './own-devices.ts';
import type { PeerPresence } from './presence-feed.ts';
import { Reader } from './reader.ts';
import { askBeforeLogin, codeRequest } from './registration.ts';
import { retireDevice } from './renewal.ts';
import { Requests } from './requests.ts';
import type { Protection } from './protection.ts';
import type { PeerSafety } from './safety.ts';
import type { Store, StoreSource } from './store.ts';
import { STRANGER_KEYS } from './strangers.ts';
import type { Standing } from './strangers.ts';
import type { HistoryRequestOptions } from './transfer-incoming.ts';
import { TRANSFER_KEYS } from './transfer-layout.ts';
import type { TransferInfo } from './transfer-layout.ts';
import type { Transport } from './transport.ts';

/** What a client is made of. `node/index.ts` fills in all but `url` and `store`. */
export interface ClientOptions {
  /** The server: `ws://host:port` or `wss://…`. */
  readonly url: string;
  /** Where keys and messages live. The client closes it. One store, one account, one client at a time. */
  readonly store: StoreSource;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** Carries media; the platform's if not given. */
  readonly fetch?: Fetch;
  /**
   * Asked when a peer shows a new identity key, and the `identity-changed` event tells. If not given, a change is accepted,
   * but nothing is sent to a peer whose identity had been verified (`confirmSafetyNumber`) until `acceptIdentity`.
   */
  readonly trustIdentity?: IdentityPolicy;
  /**
   * What strangers may do, for an account that this client registers (`confirmCode`): `ask` has them wait for a decision and learn nothing
   * before it. As the account has it if not given; `open` at first. Later: `Protection.setStrangers`.
   */
  readonly strangers?: StrangersPolicy;
}

/** Which account a client speaks for. */
export interface AccountInfo {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
}

/** One line of a list of chats. */
export interface ConversationInfo {
  /** A user id, or the name of a group. */
  readonly peer: string;
  readonly last: HistoryItem;
  /** What the peer is to this account; of a group `open`. */
  readonly standing: Standing;
}

/** A linking that waits for its approval. */
export interface Linking extends Pick<PendingLink, 'code' | 'expires' | 'cancel'> {
  /** The account that this device now belongs to. */
  readonly linked: Promise<AccountInfo>;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
}

/**
 * Opens the store and makes a client on it, offline. Nothing is sent before `connect`, `requestCode` or `confirmCode`.
 *
 * @throws {ClientError} CLI_STORE_LOCKED; CLI_STORE_CORRUPT; CLI_RESTORE_UNFINISHED.
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  const store = typeof options.store === 'function' ? await options.store() : options.store;
  try {
    return await Client.open(options, store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** One device of one account. Made by `createClient`. */
export class Client {
  readonly #options: ClientOptions;
  readonly #journal: Journal;
  readonly #history: History;
  readonly #requests: Requests;
  readonly #connection: Connection;
  readonly #reader: Reader;
  readonly #media: Media;
  readonly #hub = new EventHub();
  #engine: Engine | undefined;
  #liveWaiters: Waiter[] = [];
  #closing: Promise<void> | undefined;

  private constructor(options: ClientOptions, store: Store) {
    this.#options = options;
    this.#journal = new Journal(store, (error) => this.#connection.abort(error.code, true));
    this.#history = new History(this.#journal);
    this.#requests = new Requests((stanza) => this.#connection.send(stanza), options.clock);
    const { url, clock, random } = options;
    // Called as a function of the global object: browsers refuse it as a method of another.
    const fetch = options.fetch ?? ((target, init) => globalThis.fetch(target, init));
    this.#media = new Media({ url, fetch, clock, random, requests: this.#requests });
    this.#connection = new Connection(options, {
      login: (nonce, signed) => this.#requireEngine().login(nonce, signed),
      onTicket: (ticket) => this.#engine?.keepTicket(ticket),
      onState: (state) => this.#onState(state),
      onRetrying: (code, attempt, delayMs) => this.#hub.emit({ type: 'retrying', code, attempt, delayMs }),
      onGaveUp: (code) => this.#onGaveUp(code),
      onOpened: (held) => this.#onOpened(held),
      onShut: () => this.#onShut(),
      onMessage: (message) => this.#engine?.receive(message),
    });
    this.#reader = new Reader(this.#journal, (user, ordinal) => this.#requireEngine().dress(user, ordinal));
  }

  /** For `createClient`. */
  static async open(options: ClientOptions, store: Store): Promise<Client> {
    const client = new Client(options, store);
    await client.#loadEngine();
    return client;
  }

  /** The state of the connection; changes come as `state` events. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** The account of this store, or `undefined` before registration. */
  get account(): AccountInfo | undefined {
    if (this.#engine === undefined) return undefined;
    const { phone, user, device } = this.#engine.account;
    return { phone, user, device };
  }

  /** Blocks, strangers, reports, quotas and push. @throws {ClientError} CLI_NOT_REGISTERED; CLI_CLOSED. */
  get protection(): Protection {
    return this.#requireEngine().protection;
  }

  /** The groups of this account. @throws {ClientError} CLI_NOT_REGISTERED; CLI_CLOSED. */
  get groups(): Groups {
    return this.#requireEngine().desk.groups;
  }

  /** Messages that the server has not acknowledged: sending, or waiting for a connection. */
  get outboxSize(): number {
    return this.#engine?.waitingCount ?? 0;
  }

  /**
   * Has the server send a 6-digit code to `phone`.
   *
   * @returns For how many seconds the code is good.
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_ACCOUNT_EXISTS; CLI_UNREACHABLE; CLI_TIMEOUT; APP_RATE_LIMITED with
   * `retryAfterMs`, and the server's other codes.
   */
  async requestCode(phone: string): Promise<number> {
    await this.#requireRegistrable(phone);
    const answer = await askBeforeLogin(this.#options, codeRequest(phone));
    if (answer.kind !== 'register') throw new ClientError('CLI_PROTOCOL');
    return answer.expires;
  }

  /**
   * Registers this device under `phone`, replacing the number's device if there is one: makes all its keys, publishes the
   * public halves, and stores the account. In a store that had this number before, messages and outbox are kept; in one that a
   * backup of this number was restored into, the identity of the backup is.
   *
   * @param code - The 6 digits, as text.
   * @throws {ClientError} As `requestCode`; APP_BAD_CODE, APP_CODE_EXPIRED.
   */
  async confirmCode(phone: string, code: string): Promise<AccountInfo> {
    const restored = await this.#requireRegistrable(phone);
    if (!/^[0-9]{6}$/.test(code)) throw new ClientError('APP_BAD_CODE');
    const keys = makeKeys(this.#options.random, this.#options.clock.nowMs(), restored);
    const answer = await askBeforeLogin(this.#options, confirmRequest(phone, code, keys));
    if (answer.kind !== 'account') throw new ClientError('CLI_PROTOCOL');
    if (this.#engine !== undefined) this.#connection.stop();
    await this.#engine?.close();
    const transaction = this.#journal.begin();
    if (this.#engine !== undefined) await retireDevice(this.#journal, transaction);
    putAccount(transaction, phone, answer.user, answer.device, keys);
    transaction.delete(KEYS.restored);
    transaction.delete(KEYS.devices(answer.user));
    const { strangers } = this.#options;
    if (strangers !== undefined) transaction.put(STRANGER_KEYS.wish, TEXT.encode(strangers));
    await this.#journal.commit(transaction);
    await this.#loadEngine();
    return this.account!;
  }

  /**
   * Asks to be linked to an account whose primary device is at hand: shows a code, and waits until it is approved there.
   *
   * ```ts
   * const { code, linked } = await client.beginLinking('Kitchen laptop');
   * showAsQr(code);
   * await linked; // the primary has called approveLink(code)
   * await client.connect();
   * ```
   *
   * @param name - What the person who approves is shown, at most `LIMITS.linkNameBytesMax` bytes.
   * @returns The code, how many seconds it is good for, and `linked`, which rejects with CLI_LINK_EXPIRED, CLI_LINK_REFUSED.
   * @throws {ClientError} CLI_ACCOUNT_EXISTS where the store has an account; CLI_UNREACHABLE; CLI_TIMEOUT; APP_OVERLOADED.
   */
  async beginLinking(name = ''): Promise<Linking> {
    this.#assertOpen();
    const isTaken = this.#engine !== undefined || (await loadRestored(this.#journal)) !== undefined;
    if (isTaken) throw new ClientError('CLI_ACCOUNT_EXISTS');
    const { code, expires, provisioned, cancel } = await beginLink(this.#options, name);
    const linked = provisioned.then(({ provision, keys }) => this.#adoptProvision(provision, keys));
    linked.catch(() => undefined);
    return { code, expires, linked, cancel };
  }

  async #adoptProvision(provision: Provision, keys: FreshKeys): Promise<AccountInfo> {
    this.#assertOpen();
    const { phone, user, device, list, contacts } = provision;
    const transaction = this.#journal.begin();
    putAccount(transaction, phone, user, device, keys);
    transaction.put(KEYS.devices(user), list);
    // What was before the linking has room below, should it come: see `transfer.ts`.
    transaction.put(KEYS.ordinal, NUMBER.encode(LIMITS.linkedOrdinalBase));
    transaction.put(TRANSFER_KEYS.floor, NUMBER.encode(LIMITS.linkedOrdinalBase - 1));
    for (const { user: contact, ...peer } of contacts) {
      transaction.put(KEYS.peer(contact), PEER.encode(peer));
      if (peer.verified) transaction.put(KEYS.phone(peer.phone), TEXT.encode(contact));
    }
    await this.#journal.commit(transaction);
    await this.#loadEngine();
    return this.account!;
  }

  /**
   * Links the device that shows `code`, which this primary device has scanned from its screen, to the account.
   *
   * @returns The id of the device. @throws {ClientError} CLI_LINK_CODE_INVALID; CLI_LINK_MISMATCH; CLI_NOT_PRIMARY;
   * CLI_DISCONNECTED; APP_UNKNOWN_LINK where the code has expired; APP_TOO_MANY_DEVICES.
   */
  async approveLink(code: string): Promise<number> {
    const engine = this.#requireEngine();
    const device = await engine.ownDevices.approve(code);
    await engine.devicesChanged();
    return device;
  }

  /** The devices of the account, the primary one first. */
  devices(): Promise<OwnDevice[]> {
    return this.#requireEngine().ownDevices.list();
  }

  /**
   * Removes a linked device: it is disconnected, gets nothing further, and keeps what it has.
   *
   * @throws {ClientError} CLI_NOT_PRIMARY; CLI_DEVICE_UNKNOWN; CLI_DISCONNECTED.
   */
  async unlinkDevice(device: number): Promise<void> {
    const engine = this.#requireEngine();
    await engine.ownDevices.unlink(device);
    await engine.devicesChanged();
  }

  /**
   * Asks the primary device for the history from before this device was linked. The person there has to consent; then it comes newest first,
   * as `history-transfer` events tell, and goes on by itself over restarts of either device. Messages that disappear or may be viewed
   * once stay where they are.
   *
   * @returns When the request is durable here.
   * @throws {ClientError} CLI_TRANSFER_UNSUITABLE on a device that was not linked; CLI_STORE_FAILED.
   */
  requestHistory(options: HistoryRequestOptions = {}): Promise<void> {
    return this.#requireEngine().transfer.request(options);
  }

  /**
   * Hands the history to a linked device that has asked for it (`history-transfer`, state `asked`).
   *
   * @throws {ClientError} CLI_TRANSFER_EXPIRED where it has not asked within a day.
   */
  approveHistory(device: number): Promise<void> {
    return this.#requireEngine().transfer.approve(device);
  }

  /** Tells it that it gets nothing. */
  declineHistory(device: number): Promise<void> {
    return this.#requireEngine().transfer.decline(device);
  }

  /** Breaks off transfers under way to and from this device; what has come stays. */
  cancelHistory(): Promise<void> {
    return this.#requireEngine().transfer.cancel();
  }

  /** Transfers under way, and what became of the last one that this device has asked for. */
  historyTransfers(): Promise<TransferInfo[]> {
    return this.#requireEngine().transfer.list();
  }

  /**
   * Connects, and stays connected: after a loss it comes back by itself, with backoff and jitter.
   *
   * @returns When everything that waited in the inbox has been received. May take long without a network; `retrying`
   * events tell about the attempts.
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_CLOSED; the code of a refusal that repeating would not change.
   */
  connect(): Promise<void> {
    try {
      this.#requireEngine();
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return new Promise((resolve, reject) => {
      if (this.state === 'live') return resolve();
      this.#liveWaiters.push({ resolve, reject });
      this.#requests.started();
      this.#connection.start();
    });
  }

  /**
   * Sends a message: resolves at the server's durable acknowledgement, the first check mark.
   *
   * @throws {ClientError} As `enqueue`; the server's code when it refuses the message for good; CLI_CLOSED when the client is
   * closed before: the message is then still in the outbox, and a client on the same store sends it.
   */
  async send(to: string, message: OutgoingMessage): Promise<SentMessage> {
    const entry = await this.enqueue(to, message);
    await entry.sent;
    return entry;
  }

  /**
   * Puts a message into the outbox: resolves when it is durable here, also without a connection. Messages to one person leave
   * in the order of these calls.
   *
   * @param to - A phone number, a user id, or the name of a group. A number never met before has to be looked up, which waits for a connection.
   * @param message - A text of at most `LIMITS.textBytesMax` bytes of UTF-8, or a file's reference (`Attachment`).
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; CLI_PEER_SELF; CLI_TEXT_TOO_LONG;
   * CLI_OUTBOX_FULL; CLI_STORE_FAILED; CLI_CLOSED.
   */
  async enqueue(to: string, message: OutgoingMessage): Promise<SentMessage> {
    const content = this.#requireEngine().composer.draft(message);
    return this.#compose(to, (composer, user) => composer.send(user, content));
  }

  /**
   * Answers a message. Resolves as `enqueue`; like it also the five below.
   *
   * @param peer - Whose conversation: a phone number or a user id.
   * @param id - The message's `id`, of either direction.
   * @throws {ClientError} As `enqueue`; CLI_MESSAGE_UNKNOWN.
   */
  reply(peer: string, id: string, text: string): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.reply(user, id, text));
  }

  /**
   * Passes a message on to somebody else, marked as forwarded. A file is not sent again: its reference is, and it can be fetched for as
   * long as the server keeps it.
   *
   * @param peer - In whose conversation it is. @param to - As `enqueue`.
   * @throws {ClientError} As `reply`; CLI_MESSAGE_FIXED for what may be viewed once, and for what is no text and no file.
   */
  async forward(peer: string, id: string, to: string): Promise<SentMessage> {
    const content = await this.#compose(peer, (composer, user) => composer.forwarded(user, id));
    return this.#compose(to, (composer, user) => composer.send(user, content));
  }

  /** Reacts to a message; an empty `emoji` takes the reaction back. @throws {ClientError} As `reply`; CLI_MESSAGE_FIXED. */
  react(peer: string, id: string, emoji: string): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.react(user, id, emoji));
  }

  /** Changes the text of an own message, for `LIMITS.editWindowMs`. @throws {ClientError} As `reply`; CLI_MESSAGE_FIXED. */
  edit(peer: string, id: string, text: string): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.edit(user, id, text));
  }

  /**
   * Deletes an own message at both ends, for `LIMITS.deleteWindowMs`. Nobody can take back what was seen.
   *
   * @throws {ClientError} As `reply`; CLI_MESSAGE_FIXED.
   */
  deleteForEveryone(peer: string, id: string): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.delete(user, id));
  }

  /** Has both ends forget messages from now on, `seconds` after storing them; 0: no longer. @throws As `enqueue`. */
  setTimer(peer: string, seconds: number): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.setTimer(user, seconds));
  }

  /**
   * Gives out a message of kind `view-once`, once; the sender is told.
   *
   * @throws {ClientError} CLI_MESSAGE_UNKNOWN where there is nothing to view any more; CLI_STORE_FAILED.
   */
  view(peer: string, id: string): Promise<MessageBody> {
    return this.#compose(peer, (composer, user) => composer.view(user, id));
  }

  /**
   * Received messages, oldest first: those of earlier runs that were not consumed, then new ones as they come, until `close`.
   * A message is consumed when the next one is asked for or the loop is left; see `reader.ts` for what a crash repeats.
   *
   * @throws {TypeError} While another loop runs.
   */
  messages(): AsyncIterableIterator<ReceivedMessage> {
    return this.#reader.iterate();
  }

  /** Events from now on, until `close`. A slow reader loses the oldest; see `events.ts`. */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#hub.iterate();
  }

  /** Calls `listener` at every event. @returns How to stop. */
  onEvent(listener: EventListener): () => void {
    return this.#hub.subscribe(listener);
  }

  /** Calls `listener` at every change of `state`. @returns How to stop. */
  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#hub.subscribe((event) => {
      if (event.type === 'state') listener(event.state);
    });
  }

  /**
   * Messages with a peer from the store, oldest first.
   *
   * @param peer - A user id, or a phone number; the history with a number that was never looked up is empty.
   * @param range - The newest 50 if not given; `before` pages back.
   */
  async history(peer: string, range: HistoryRange = {}): Promise<HistoryItem[]> {
    const engine = this.#requireEngine();
    const user = groupOfName(peer) === undefined ? await engine.directory.resolveLocally(peer) : peer;
    return user === undefined ? [] : this.#history.list(user, range, engine.marks(user));
  }

  /**
   * Every conversation of the store with its newest message, the latest one first: what a list of chats shows.
   *
   * @returns User ids, and names of groups in which something was written.
   */
  async conversations(): Promise<ConversationInfo[]> {
    const engine = this.#requireEngine();
    const found: ConversationInfo[] = [];
    for (const peer of await this.#history.peers()) {
      const [last] = await this.#history.list(peer, { limit: 1 }, engine.marks(peer));
      // Forgotten in between.
      if (last !== undefined) found.push({ peer, last, standing: engine.strangers.standingOf(peer) });
    }
    return found.sort((one, other) => Number(other.last.id) - Number(one.last.id));
  }

  /**
   * Deletes the messages of a conversation on this device, for good; those who wrote them, and other devices of the account, keep
   * theirs. A request is declined by this, or by `Protection.block`: its author learns of neither.
   *
   * @throws {ClientError} CLI_STORE_FAILED.
   */
  async forget(peer: string): Promise<void> {
    const engine = this.#requireEngine();
    const name = groupOfName(peer) === undefined ? await engine.directory.resolveLocally(peer) : peer;
    if (name !== undefined) await engine.forget(name);
  }

  /** Tells a peer that everything received from them has been read, as `markRead` of the last message would. */
  async markRead(peer: string): Promise<void> {
    const engine = this.#requireEngine();
    const group = groupOfName(peer);
    if (group !== undefined) return engine.desk.markRead(group, Infinity, Infinity);
    const user = await engine.directory.resolveLocally(peer);
    if (user !== undefined) await engine.readReceipts.markAll(user);
  }

  /** With whom read receipts are exchanged: `everyone` where nothing was chosen. */
  get readReceipts(): Audience {
    return this.#requireEngine().readReceipts.audience;
  }

  /**
   * Chooses with whom read receipts are exchanged, in both directions: whom this device tells nothing is not shown to have
   * read anything. `contacts` are those to whom it has written. What was read before is not told later.
   *
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_STORE_FAILED.
   */
  setReadReceipts(audience: Audience): Promise<void> {
    return this.#requireEngine().readReceipts.choose(audience);
  }

  /**
   * Says that a person is at this device, or no longer, until it is said otherwise or the client closes; also over reconnections.
   * Nobody is said to be online who does not call this.
   */
  setAvailable(isAvailable: boolean): void {
    this.#requireEngine().presence.setAvailable(isAvailable);
  }

  /**
   * Whether somebody is there and what they do in the chat with us: what is known now, and each change, for as long as the loop
   * is read. Use it while the chat is on the screen. The newest value counts; a slow reader misses what has passed.
   *
   * ```ts
   * for await (const { state, lastSeenAt, typing } of client.presence(peer)) show(state, lastSeenAt, typing);
   * ```
   *
   * @throws {ClientError} (from the loop) CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; APP_TOO_MANY_SUBSCRIPTIONS.
   */
  presence(peer: string): AsyncIterableIterator<PeerPresence> {
    const { presence, directory } = this.#requireEngine();
    return presence.watch(directory.resolve(peer));
  }

  /**
   * Tells a peer who has the chat open what the person here does in it. Call it at every key; sending a message ends it, and so does
   * a pause of a few seconds. It is lost without a connection, and to a number that was never looked up.
   */
  async setTyping(peer: string, state: TypingState): Promise<void> {
    const engine = this.#requireEngine();
    const user = await engine.directory.resolveLocally(peer);
    if (user !== undefined) engine.presence.setTyping(user, state);
  }

  /** Who may see presence and typing of this account. Waits for a connection. */
  async privacy(): Promise<PrivacySettings> {
    this.#requireEngine();
    const { audience, shown, hidden } = await this.#requests.askUntilAnswered({ kind: 'privacy' }, 'privacy');
    return { audience, shown, hidden };
  }

  /**
   * Chooses who may see presence and typing of this account: everyone, its contacts (those to whom it has written, or whom it has accepted) or nobody;
   * and, whatever that says, who may and who may not. Resolves when it holds.
   *
   * @param settings - Phone numbers or user ids, at most 256 in each list, none in both.
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; APP_STORE_FULL.
   * @throws {RangeError} When a list is too long, or somebody is in both.
   */
  async setPrivacy(settings: Partial<PrivacySettings> & Pick<PrivacySettings, 'audience'>): Promise<void> {
    const { directory } = this.#requireEngine();
    const resolve = async (peers: readonly string[]): Promise<string[]> => {
      const users = await Promise.all(peers.map((peer) => directory.resolve(peer)));
      return [...new Set(users)];
    };
    const shown = await resolve(settings.shown ?? []);
    const hidden = await resolve(settings.hidden ?? []);
    assertExceptions(shown, hidden);
    const change = { kind: 'privacy-change', audience: settings.audience, shown, hidden } as const;
    await this.#requests.askUntilAnswered(change, 'privacy');
  }

  /**
   * The user id behind a phone number.
   *
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; CLI_CLOSED. Waits for a connection if it has to ask.
   */
  async resolve(to: string): Promise<string> {
    return this.#requireEngine().directory.resolve(to);
  }

  /** What is known of a user: the phone number, and whether the server has confirmed it. */
  async peer(user: string): Promise<PeerRecord> {
    return this.#requireEngine().directory.peer(user);
  }

  /**
   * Makes a backup of identity, contacts and history; `restoreBackup` reads it. The client may go on meanwhile: each record is
   * as it is when its turn comes.
   *
   * @returns The file in pieces. Keep the secret apart from it: without the secret nobody can open it.
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_BACKUP_SECRET_WEAK; CLI_BACKUP_TOO_LARGE; CLI_STORE_FAILED.
   */
  async *backup(options: BackupOptions): ByteStream<void> {
    const { phone } = this.#requireEngine().account;
    const { clock, random } = this.#options;
    yield* makeBackup(this.#journal, phone, clock, random, options);
  }

  /**
   * The safety number with a peer, to be compared over a channel that both trust; undefined before the first contact.
   *
   * @param peer - A user id, or a phone number that was looked up before.
   */
  async safetyNumber(peer: string): Promise<PeerSafety | undefined> {
    const user = await this.#requireEngine().directory.resolveLocally(peer);
    return user === undefined ? undefined : this.#requireEngine().safety.show(user);
  }

  /**
   * Compares the digits that the peer reads out with ours, and remembers the peer's identity as verified where they agree.
   *
   * @param digits - 60 digits; spaces do not matter.
   */
  async confirmSafetyNumber(peer: string, digits: string): Promise<boolean> {
    const user = await this.#requireEngine().directory.resolveLocally(peer);
    return user !== undefined && this.#requireEngine().safety.confirm(user, digits);
  }

  /** The same for a code that was scanned from the peer's screen: the bytes of `safetyNumber(…).code` there. Borrowed. */
  async compareSafetyCode(peer: string, code: Uint8Array): Promise<SafetyComparison> {
    const user = await this.#requireEngine().directory.resolveLocally(peer);
    return user === undefined ? 'mismatch' : this.#requireEngine().safety.compare(user, code);
  }

  /** Goes on with a peer whose verified identity changed, without comparing; what was refused has to be sent again. */
  async acceptIdentity(peer: string): Promise<void> {
    const user = await this.#requireEngine().directory.resolveLocally(peer);
    if (user !== undefined) await this.#requireEngine().safety.accept(user);
  }

  /**
   * Seals a file and uploads it, holding no more than a slice of it. After a cut it goes on where the server says that it is.
   *
   * ```ts
   * const attachment = await client.uploadMedia(file, { name: file.name, type: file.type, onProgress });
   * await client.send(peer, { kind: 'attachment', ...attachment });
   * ```
   *
   * @throws {ClientError} CLI_NOT_REGISTERED; as `Media.upload`. Waits for a connection.
   */
  async uploadMedia(source: MediaSource, options: UploadOptions = {}): Promise<Attachment> {
    this.#requireEngine();
    return this.#media.upload(source, options);
  }

  /**
   * The file of a received attachment, decrypted, as a stream with back-pressure. It ends only if the file is whole and the one that
   * was sent; otherwise it errors. So keep what came apart until the end.
   */
  downloadMedia(attachment: Attachment, options: MediaTransferOptions = {}): ReadableStream<Uint8Array> {
    this.#assertOpen();
    return this.#media.download(attachment, options);
  }

  /** Disconnects, flushes and releases the store. Waiting calls reject with CLI_CLOSED; the outbox is kept. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #compose<Result>(to: string, work: (composer: Composer, user: string) => Promise<Result>): Promise<Result> {
    const engine = this.#requireEngine();
    if (engine.waitingCount >= LIMITS.outboxCountMax) throw new ClientError('CLI_OUTBOX_FULL');
    const user = groupOfName(to) === undefined ? await engine.directory.resolve(to) : to;
    this.#assertOpen();
    engine.presence.setTyping(user, 'paused');
    return work(engine.composer, user);
  }

  async #close(): Promise<void> {
    const closed = new ClientError('CLI_CLOSED');
    this.#connection.stop();
    this.#requests.stopped(closed);
    this.#rejectWaiters(closed);
    await this.#engine?.close();
    this.#reader.close();
    await this.#journal.close();
    this.#hub.close();
  }

  async #loadEngine(): Promise<void> {
    if ((await this.#journal.get(KEYS.restoring)) !== undefined) throw new ClientError('CLI_RESTORE_UNFINISHED');
    const account = await loadAccount(this.#journal);
    if (account === undefined) return;
    const { clock, random, trustIdentity: policy = cautiousIdentityPolicy } = this.#options;
    this.#engine = await Engine.open(
      {
        journal: this.#journal,
        history: this.#history,
        requests: this.#requests,
        clock,
        random,
        media: this.#media,
        policy,
        transmit: (stanza) => this.#connection.send(stanza),
        emit: (event) => this.#hub.emit(event),
        abort: (code, fatal) => this.#connection.abort(code, fatal),
        wakeReader: () => this.#reader.wake(),
      },
      account,
    );
  }

  #onState(state: ConnectionState): void {
    this.#hub.emit({ type: 'state', state });
    if (state === 'live') this.#engine?.drained();
    if (state === 'live') for (const waiter of this.#liveWaiters.splice(0)) waiter.resolve();
  }

  #onOpened(held: HeldKeys | undefined): void {
    this.#requests.connected();
    this.#engine?.opened(held);
  }

  #onShut(): void {
    this.#requests.disconnected();
    this.#engine?.shut();
  }

  #onGaveUp(code: ErrorCode): void {
    const error = new ClientError(code);
    this.#requests.stopped(error);
    this.#rejectWaiters(error);
    this.#hub.emit({ type: 'stopped', code });
  }

  #rejectWaiters(error: ClientError): void {
    for (const waiter of this.#liveWaiters.splice(0)) waiter.reject(error);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClientError('CLI_CLOSED');
  }

  /** @returns The account of a backup that is waiting to be registered. */
  async #requireRegistrable(phone: string): Promise<Account | undefined> {
    this.#assertOpen();
    if (!isPhone(phone)) throw new ClientError('CLI_PHONE_INVALID');
    const restored = await loadRestored(this.#journal);
    const held = this.#engine?.account ?? restored;
    if (held !== undefined && held.phone !== phone) throw new ClientError('CLI_ACCOUNT_EXISTS');
    return restored;
  }

  #requireEngine(): Engine {
    this.#assertOpen();
    if (this.#engine === undefined) throw new ClientError('CLI_NOT_REGISTERED');
    return this.#engine;
  }
}

function assertExceptions(shown: readonly string[], hidden: readonly string[]): void {
  const max = WIRE_LIMITS.privacyUsersMax;
  if (shown.length > max || hidden.length > max)
    throw new RangeError(`setPrivacy: expected at most ${max} users in a list`);
  if (shown.some((user) => hidden.includes(user))) throw new RangeError('setPrivacy: expected nobody in both lists');
}
