/**
 * The client: what an application holds, and what it may ask. It keeps none of the secrets of its parts.
 *
 *   createClient ─▶ Client ─▶ Lifetime ─┬─ Enrolment   (how the store gets its account)
 *                                       ├─ Connection  (connection.ts decides, connection-driver.ts does)
 *                                       ├─ Engine      (conversations, inbox, directory; from registration on)
 *                                       ├─ Reader      (the loop over messages())
 *                                       └─ Journal     (the only writer of the store)
 *
 * Read next: `lifetime.ts`, how they are joined; `engine.ts`; for one message's way out `conversation.ts`, for its way in `inbox.ts`.
 */

import type { ByteStream, SafetyComparison } from '../protocol/signal/index.ts';
import type { Audience, PrivacySettings, StrangersPolicy, TypingState } from '../protocol/wire/index.ts';
import { Lifetime } from './lifetime.ts';
import { makeBackup } from './backup.ts';
import type { BackupOptions } from './backup.ts';
import type { Composer } from './composer.ts';
import type { ConnectionState } from './connection.ts';
import type { Attachment } from './content-body.ts';
import type { AccountInfo, Linking } from './enrolment.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ClientEvent, EventListener } from './events.ts';
import { groupOfName } from './group-layout.ts';
import type { Groups } from './groups.ts';
import type { HistoryRange } from './history.ts';
import type { IdentityPolicy } from './identities.ts';
import type { PeerRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { MediaSource, MediaTransferOptions, UploadOptions } from './media.ts';
import type { Fetch } from './media-http.ts';
import type { HistoryItem, MessageBody, OutgoingMessage, ReceivedMessage, SentMessage } from './messages.ts';
import type { OwnDevice } from './own-devices.ts';
import type { PeerPresence } from './presence.ts';
import { choosePrivacy, readPrivacy } from './privacy.ts';
import type { PrivacyChoice } from './privacy.ts';
import type { Protection } from './protection.ts';
import type { PeerSafety } from './safety.ts';
import type { StoreSource } from './store.ts';
import type { Standing } from './strangers.ts';
import type { HistoryRequestOptions } from './transfer-incoming.ts';
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

/** One line of a list of chats. */
export interface ConversationInfo {
  /** A user id, or the name of a group. */
  readonly peer: string;
  readonly last: HistoryItem;
  /** What the peer is to this account; of a group `open`. */
  readonly standing: Standing;
}

/**
 * Opens the store and makes a client on it, offline. Nothing is sent before `connect`, `requestCode` or `confirmCode`.
 *
 * @throws {ClientError} CLI_STORE_LOCKED; CLI_STORE_UNUSABLE; CLI_STORE_CORRUPT; CLI_RESTORE_UNFINISHED.
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  const store = typeof options.store === 'function' ? await options.store() : options.store;
  try {
    return new Client(await Lifetime.open(options, store));
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** One device of one account. Made by `createClient`. */
export class Client {
  readonly #life: Lifetime;

  /** For `createClient`. */
  constructor(life: Lifetime) {
    this.#life = life;
  }

  /** The state of the connection; changes come as `state` events. */
  get state(): ConnectionState {
    return this.#life.connection.state;
  }

  /** The account of this store, or `undefined` before registration. */
  get account(): AccountInfo | undefined {
    const { engine } = this.#life;
    if (engine === undefined) return undefined;
    const { phone, user, device } = engine.account;
    return { phone, user, device };
  }

  /** Blocks, strangers, reports, quotas and push. @throws {ClientError} CLI_NOT_REGISTERED; CLI_CLOSED. */
  get protection(): Protection {
    return this.#life.requireEngine().protection;
  }

  /** The groups of this account. @throws {ClientError} CLI_NOT_REGISTERED; CLI_CLOSED. */
  get groups(): Groups {
    return this.#life.requireEngine().desk.groups;
  }

  /** Messages that the server has not acknowledged: sending, or waiting for a connection. */
  get outboxSize(): number {
    return this.#life.engine?.waitingCount ?? 0;
  }

  /**
   * Has the server send a 6-digit code to `phone`.
   *
   * @returns For how many seconds the code is good.
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_ACCOUNT_EXISTS; CLI_UNREACHABLE; CLI_TIMEOUT; APP_RATE_LIMITED with
   * `retryAfterMs`, and the server's other codes.
   */
  async requestCode(phone: string): Promise<number> {
    this.#life.assertOpen();
    return this.#life.enrolment.requestCode(phone);
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
    this.#life.assertOpen();
    return this.#life.enrolment.confirmCode(phone, code);
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
    this.#life.assertOpen();
    return this.#life.enrolment.beginLinking(name);
  }

  /**
   * Links the device that shows `code`, which this primary device has scanned from its screen, to the account.
   *
   * @returns The id of the device. @throws {ClientError} CLI_LINK_CODE_INVALID; CLI_LINK_MISMATCH; CLI_NOT_PRIMARY;
   * CLI_DISCONNECTED; APP_UNKNOWN_LINK where the code has expired; APP_TOO_MANY_DEVICES.
   */
  async approveLink(code: string): Promise<number> {
    const engine = this.#life.requireEngine();
    const device = await engine.ownDevices.approve(code);
    await engine.devicesChanged();
    return device;
  }

  /** The devices of the account, the primary one first. */
  devices(): Promise<OwnDevice[]> {
    return this.#life.requireEngine().ownDevices.list();
  }

  /**
   * Removes a linked device: it is disconnected, gets nothing further, and keeps what it has.
   *
   * @throws {ClientError} CLI_NOT_PRIMARY; CLI_DEVICE_UNKNOWN; CLI_DISCONNECTED.
   */
  async unlinkDevice(device: number): Promise<void> {
    const engine = this.#life.requireEngine();
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
    return this.#life.requireEngine().transfer.request(options);
  }

  /**
   * Hands the history to a linked device that has asked for it (`history-transfer`, state `asked`).
   *
   * @throws {ClientError} CLI_TRANSFER_EXPIRED where it has not asked within a day.
   */
  approveHistory(device: number): Promise<void> {
    return this.#life.requireEngine().transfer.approve(device);
  }

  /** Tells it that it gets nothing. */
  declineHistory(device: number): Promise<void> {
    return this.#life.requireEngine().transfer.decline(device);
  }

  /** Breaks off transfers under way to and from this device; what has come stays. */
  cancelHistory(): Promise<void> {
    return this.#life.requireEngine().transfer.cancel();
  }

  /** Transfers under way, and what became of the last one that this device has asked for. */
  historyTransfers(): Promise<TransferInfo[]> {
    return this.#life.requireEngine().transfer.list();
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
      this.#life.requireEngine();
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return this.#life.connect();
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
    const content = this.#life.requireEngine().composer.draft(message);
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

  /**
   * Sends a message of ours that was refused once more, with its text or its file: it stands at the end of the conversation then, and no more
   * where it was.
   *
   * @throws {ClientError} As `enqueue`; CLI_MESSAGE_UNKNOWN for what was not refused; CLI_MESSAGE_FIXED for what may be viewed once;
   * CLI_IDENTITY_REFUSED as long as the peer's changed keys are neither compared nor accepted.
   */
  resend(peer: string, id: string): Promise<SentMessage> {
    return this.#compose(peer, (composer, user) => composer.resend(user, id));
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

  /** The seconds after which messages of a conversation are forgotten; 0 where they stay. */
  async timer(peer: string): Promise<number> {
    const { composer, directory } = this.#life.requireEngine();
    const user = groupOfName(peer) === undefined ? await directory.resolveLocally(peer) : peer;
    return user === undefined ? 0 : composer.timer(user);
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
    return this.#life.reader.iterate();
  }

  /** Events from now on, until `close`. A slow reader loses the oldest; see `events.ts`. */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#life.hub.iterate();
  }

  /** Calls `listener` at every event. @returns How to stop. */
  onEvent(listener: EventListener): () => void {
    return this.#life.hub.subscribe(listener);
  }

  /** Calls `listener` at every change of `state`. @returns How to stop. */
  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#life.hub.subscribe((event) => {
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
    const engine = this.#life.requireEngine();
    const user = groupOfName(peer) === undefined ? await engine.directory.resolveLocally(peer) : peer;
    return user === undefined ? [] : this.#life.history.list(user, range, engine.marks(user));
  }

  /**
   * Every conversation of the store with its newest message, the latest one first: what a list of chats shows.
   *
   * @returns User ids, and names of groups in which something was written.
   */
  async conversations(): Promise<ConversationInfo[]> {
    const engine = this.#life.requireEngine();
    const found: ConversationInfo[] = [];
    for (const peer of await this.#life.history.peers()) {
      const [last] = await this.#life.history.list(peer, { limit: 1 }, engine.marks(peer));
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
    const engine = this.#life.requireEngine();
    const name = groupOfName(peer) === undefined ? await engine.directory.resolveLocally(peer) : peer;
    if (name !== undefined) await engine.forget(name);
  }

  /** Tells a peer that everything received from them has been read, as `markRead` of the last message would. */
  async markRead(peer: string): Promise<void> {
    const engine = this.#life.requireEngine();
    const group = groupOfName(peer);
    if (group !== undefined) return engine.desk.markRead(group, Infinity, Infinity);
    const user = await engine.directory.resolveLocally(peer);
    if (user !== undefined) await engine.readReceipts.markAll(user);
  }

  /** With whom read receipts are exchanged: `everyone` where nothing was chosen. */
  get readReceipts(): Audience {
    return this.#life.requireEngine().readReceipts.audience;
  }

  /**
   * Chooses with whom read receipts are exchanged, in both directions: whom this device tells nothing is not shown to have
   * read anything. `contacts` are those to whom it has written. What was read before is not told later.
   *
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_STORE_FAILED.
   */
  setReadReceipts(audience: Audience): Promise<void> {
    return this.#life.requireEngine().readReceipts.choose(audience);
  }

  /**
   * Says that a person is at this device, or no longer, until it is said otherwise or the client closes; also over reconnections.
   * Nobody is said to be online who does not call this.
   */
  setAvailable(isAvailable: boolean): void {
    this.#life.requireEngine().presence.setAvailable(isAvailable);
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
    const { presence, directory } = this.#life.requireEngine();
    return presence.watch(directory.resolve(peer));
  }

  /**
   * Tells a peer who has the chat open what the person here does in it. Call it at every key; sending a message ends it, and so does
   * a pause of a few seconds. It is lost without a connection, and to a number that was never looked up.
   *
   * @param peer - Also the name of a group, while `groups.typing` of it is read: members who do the same are told, some of them in a
   * large group.
   */
  async setTyping(peer: string, state: TypingState): Promise<void> {
    const engine = this.#life.requireEngine();
    const group = groupOfName(peer);
    if (group !== undefined) return engine.desk.setTyping(group, state);
    const user = await engine.directory.resolveLocally(peer);
    if (user !== undefined) engine.presence.setTyping(user, state);
  }

  /** Who may see presence and typing of this account. Waits for a connection. */
  async privacy(): Promise<PrivacySettings> {
    this.#life.requireEngine();
    return readPrivacy(this.#life.requests);
  }

  /**
   * Chooses who may see presence and typing of this account: everyone, its contacts (those to whom it has written, or whom it has accepted) or nobody;
   * and, whatever that says, who may and who may not. Resolves when it holds.
   *
   * @param choice - Phone numbers or user ids, at most 256 in each list, none in both.
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; APP_STORE_FULL.
   * @throws {RangeError} When a list is too long, or somebody is in both.
   */
  async setPrivacy(choice: PrivacyChoice): Promise<void> {
    return choosePrivacy(this.#life.requests, this.#life.requireEngine().directory, choice);
  }

  /**
   * The user id behind a phone number.
   *
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; CLI_CLOSED. Waits for a connection if it has to ask.
   */
  async resolve(to: string): Promise<string> {
    return this.#life.requireEngine().directory.resolve(to);
  }

  /** What is known of a user: the phone number, and whether the server has confirmed it. */
  async peer(user: string): Promise<PeerRecord> {
    return this.#life.requireEngine().directory.peer(user);
  }

  /**
   * Makes a backup of identity, contacts and history; `restoreBackup` reads it. The client may go on meanwhile: each record is
   * as it is when its turn comes.
   *
   * @returns The file in pieces. Keep the secret apart from it: without the secret nobody can open it.
   * @throws {ClientError} CLI_NOT_REGISTERED; CLI_BACKUP_SECRET_WEAK; CLI_BACKUP_TOO_LARGE; CLI_STORE_FAILED.
   */
  async *backup(options: BackupOptions): ByteStream<void> {
    const { phone } = this.#life.requireEngine().account;
    const { clock, random } = this.#life.options;
    yield* makeBackup(this.#life.journal, phone, clock, random, options);
  }

  /**
   * The safety number with a peer, to be compared over a channel that both trust; undefined before the first contact.
   *
   * @param peer - A user id, or a phone number that was looked up before.
   */
  async safetyNumber(peer: string): Promise<PeerSafety | undefined> {
    const user = await this.#life.requireEngine().directory.resolveLocally(peer);
    return user === undefined ? undefined : this.#life.requireEngine().safety.show(user);
  }

  /**
   * Compares the digits that the peer reads out with ours, and remembers the peer's identity as verified where they agree.
   *
   * @param digits - 60 digits; spaces do not matter.
   */
  async confirmSafetyNumber(peer: string, digits: string): Promise<boolean> {
    const user = await this.#life.requireEngine().directory.resolveLocally(peer);
    return user !== undefined && this.#life.requireEngine().safety.confirm(user, digits);
  }

  /** The same for a code that was scanned from the peer's screen: the bytes of `safetyNumber(…).code` there. Borrowed. */
  async compareSafetyCode(peer: string, code: Uint8Array): Promise<SafetyComparison> {
    const user = await this.#life.requireEngine().directory.resolveLocally(peer);
    return user === undefined ? 'mismatch' : this.#life.requireEngine().safety.compare(user, code);
  }

  /** Goes on with a peer whose verified identity changed, without comparing; what was refused goes by `resend`. */
  async acceptIdentity(peer: string): Promise<void> {
    const user = await this.#life.requireEngine().directory.resolveLocally(peer);
    if (user !== undefined) await this.#life.requireEngine().safety.accept(user);
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
    this.#life.requireEngine();
    return this.#life.media.upload(source, options);
  }

  /**
   * The file of a received attachment, decrypted, as a stream with back-pressure. It ends only if the file is whole and the one that
   * was sent; otherwise it errors. So keep what came apart until the end.
   */
  downloadMedia(attachment: Attachment, options: MediaTransferOptions = {}): ReadableStream<Uint8Array> {
    this.#life.assertOpen();
    return this.#life.media.download(attachment, options);
  }

  /** Disconnects, flushes and releases the store. Waiting calls reject with CLI_CLOSED; the outbox is kept. */
  close(): Promise<void> {
    return this.#life.close();
  }

  async #compose<Result>(to: string, work: (composer: Composer, user: string) => Promise<Result>): Promise<Result> {
    const engine = this.#life.requireEngine();
    if (engine.waitingCount >= LIMITS.outboxCountMax) throw new ClientError('CLI_OUTBOX_FULL');
    const group = groupOfName(to);
    const user = group === undefined ? await engine.directory.resolve(to) : to;
    this.#life.assertOpen();
    if (group === undefined) engine.presence.setTyping(user, 'paused');
    else await engine.desk.setTyping(group, 'paused');
    return work(engine.composer, user);
  }
}
