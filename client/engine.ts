/**
 * A registered device at work: conversations, inbox, directory and key stock around one account.
 *
 * It exists from registration (or from opening a store that has an account) to `close`. The connection tells it when it
 * may send and what arrived; it knows neither sockets nor backoff. It wires parts that do not know each other, and passes on what
 * one of them says to the others. Read next: `conversations.ts` and `conversation.ts`, `inbox.ts`.
 */

import { authStanza, FEATURES, inboxAckStanza } from '../protocol/wire/index.ts';
import type { ReceiptType, ResumeTicket, ServerMessage, Stanza } from '../protocol/wire/index.ts';
import type { Account } from './account.ts';
import { Composer } from './composer.ts';
import type { Conversation } from './conversation.ts';
import { Conversations } from './conversations.ts';
import { Directory } from './directory.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { Expiry } from './expiry.ts';
import { forgetConversation } from './forgetting.ts';
import { GroupDesk } from './group-desk.ts';
import { groupOfName, nameOfGroup } from './group-layout.ts';
import type { GroupConversation } from './group-conversation.ts';
import { Healer } from './healer.ts';
import { authorIn, bodyOf, idOfOrdinal, requireRecord, toItem, traitsOf } from './history.ts';
import type { ChangedMessage, History, Marks } from './history.ts';
import { Identities } from './identities.ts';
import type { IdentityPolicy } from './identities.ts';
import { Inbox } from './inbox.ts';
import type { IntakeReport } from './intake-report.ts';
import type { Journal, Transaction } from './journal.ts';
import { KeyStock } from './key-stock.ts';
import type { HeldKeys } from './key-stock.ts';
import { KEYS } from './layout.ts';
import { NUMBER, NUMBERS } from './record-codec.ts';
import type { HistoryRecord } from './history-layout.ts';
import { Locks } from './locks.ts';
import type { Media } from './media.ts';
import { loginStatement } from './login-key.ts';
import type { ReceivedMessage } from './messages.ts';
import { Positions } from './positions.ts';
import { Protection } from './protection.ts';
import { Presence } from './presence.ts';
import { ReadReceipts } from './read-receipts.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';
import { TicketHolder } from './resume-ticket.ts';
import { OwnDevices } from './own-devices.ts';
import { Safety } from './safety.ts';
import { Sessions } from './sessions.ts';
import { Strangers } from './strangers.ts';
import { Sync } from './sync.ts';
import { HistoryTransfer } from './transfer.ts';
import { Vouching } from './vouching.ts';

/** What an engine needs of its client. */
export interface EngineServices {
  readonly journal: Journal;
  readonly history: History;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly media: Media;
  readonly policy: IdentityPolicy;
  readonly transmit: (stanza: Stanza) => void;
  readonly emit: (event: ClientEvent) => void;
  /** Leaves the connection; `fatal`: for good. */
  readonly abort: (code: ErrorCode, fatal: boolean) => void;
  /** New messages are in the store. */
  readonly wakeReader: () => void;
}

/** What this client tells the server that it understands, as a sum of `FEATURES`. */
const UNDERSTOOD: number = FEATURES.stagedInbox | FEATURES.resumeTickets | FEATURES.groups | FEATURES.secondGreeting;

/** The working parts of one account. */
export class Engine {
  readonly directory: Directory;
  readonly composer: Composer;
  readonly safety: Safety;
  readonly protection: Protection;
  readonly desk: GroupDesk;
  readonly presence: Presence;
  readReceipts!: ReadReceipts;
  strangers!: Strangers;
  readonly ownDevices: OwnDevices;
  readonly transfer: HistoryTransfer;
  readonly #sync: Sync;
  readonly #vouching: Vouching;
  readonly #services: EngineServices;
  readonly #locks = new Locks();
  readonly #sessions: Sessions;
  readonly #conversations: Conversations;
  readonly #expiry: Expiry;
  readonly #healer: Healer;
  #inbox!: Inbox;
  #tickets!: TicketHolder;
  readonly #stock: KeyStock;
  /** Counts logins: what an earlier connection brought late is told apart by it. */
  #connectionCount = 0;
  /** Claimed numbers that were looked up in this run: once each, whatever comes. */
  readonly #checked = new Set<string>();

  private constructor(services: EngineServices, account: Account) {
    const { journal, history, requests, clock, random, policy, transmit, emit } = services;
    history.ownDevice = account.device;
    const identities = new Identities(policy, clock, account.user);
    const sessions = new Sessions(account.local, random, identities);
    this.#sessions = sessions;
    const self = { phone: account.phone, user: account.user, device: account.device };
    const locks = this.#locks;
    const changed = (changes: readonly ChangedMessage[]): void => this.#announce(changes);
    this.#services = services;
    this.#stock = new KeyStock({ journal, requests, clock, random, emit }, account);
    this.directory = new Directory(journal, requests);
    const strangers = (): Strangers => this.strangers;
    this.protection = new Protection({ requests, directory: this.directory, history, strangers });
    this.presence = new Presence({ requests, clock, random, transmit, emit });
    const { publicKey: identityKey } = account.local.identityKeyPair;
    this.safety = new Safety({ journal, locks, identities, self: { user: account.user, identityKey }, emit });
    const conversation = (user: string): Conversation => this.conversation(user);
    const anyConversation = (name: string): Conversation | GroupConversation => {
      const group = groupOfName(name);
      return group === undefined ? conversation(name) : this.desk.conversation(group);
    };
    const meetGroup = (group: string): Promise<void> => this.desk.meet(group);
    this.composer = new Composer({
      ...{ journal, locks, history, clock, self, strangers, meetGroup },
      isGroupAdmitted: (group) => this.desk.isAdmitted(group),
      mayEncryptFor: (user) => identities.permitsSending(journal, user),
      conversation: anyConversation,
      changed,
    });
    const fail = (error: unknown): void => emit({ type: 'trouble', code: codeOf(error) });
    this.#expiry = new Expiry({ journal, locks, history, clock, changed, fail });
    const common = { journal, locks, history, sessions, requests, clock, random };
    const complain = (error: unknown): void => this.#complain(error);
    this.ownDevices = new OwnDevices({
      ...{ journal, locks, requests, random, account },
      noteTwins: (transaction) => this.desk.noteTwins(transaction),
      twinsChanged: () => void this.#inBackground(() => this.#twinsChanged()),
    });
    this.#sync = new Sync({
      ...{ journal, locks, history, clock, self: account.user, emit, changed, fail: complain },
      noteMet: (transaction, user) => {
        this.strangers.noteMet(transaction, user);
        this.#admitted(user);
      },
      noteTold: (transaction) => this.strangers.noteTold(transaction),
      decided: () => void this.#inBackground(() => this.strangers.renew()),
      conversation: () => this.#conversations.of(account.user),
    });
    this.transfer = new HistoryTransfer({
      ...{ journal, locks, history, media: services.media, clock, random, self, emit, fail: complain },
      conversation: () => this.#conversations.of(account.user),
    });
    const tell = (event: ClientEvent): void => this.#tellOfConversation(event);
    this.#conversations = new Conversations({
      ...{ ...common, self, sync: this.#sync, transmit, emit: tell, changed },
    });
    const conversationOf = (user: string): Conversation => this.#conversations.of(user);
    const healing = { journal, locks, sessions, clock, strangers, conversation: conversationOf };
    this.#healer = new Healer({ ...healing, fail: complain });
    const absorb = (): Promise<void> => this.#absorb();
    this.#vouching = new Vouching({ journal, locks, requests, clock, identities, self: account.user, emit, absorb });
    this.desk = new GroupDesk({
      ...common,
      ...{ self, identityKeyPair: account.local.identityKeyPair, directory: this.directory },
      ...{ conversation: conversationOf, transmit, emit, changed, fail: complain },
      hasTwins: () => this.#sync.isOn,
      report: (draft) => void this.#report(draft),
      receipts: () => this.readReceipts,
      strangers,
    });
  }

  /**
   * Makes the engine of an account from what the store holds.
   *
   * @throws {ClientError} CLI_STORE_CORRUPT.
   */
  static async open(services: EngineServices, account: Account): Promise<Engine> {
    const engine = new Engine(services, account);
    await engine.#conversations.load();
    await engine.desk.load();
    await engine.#loadInbox();
    engine.#sync.isOn = await engine.ownDevices.hasOthers();
    await engine.#loadStrangers();
    await engine.#loadReadReceipts();
    engine.#tickets = await TicketHolder.load(services.journal, account);
    engine.#expiry.schedule();
    await engine.#healer.sweep();
    return engine;
  }

  get account(): Account {
    return this.#stock.account;
  }

  /** Messages that the server has not acknowledged. */
  get waitingCount(): number {
    return this.desk.waitingCount + this.#conversations.waitingCount;
  }

  /** The conversation with a user; made when first asked for. */
  conversation(user: string): Conversation {
    if (user === this.account.user) throw new ClientError('CLI_PEER_SELF');
    return this.#conversations.of(user);
  }

  /** How far our messages to a user, or in a group, have come. */
  marks(name: string): Marks {
    const group = groupOfName(name);
    return group === undefined ? this.#conversations.marks(name) : this.desk.marks(group);
  }

  /** The answer to the server's nonce: by the ticket of an earlier login, unless `signed`. */
  login(nonce: Uint8Array, signed: boolean): Stanza {
    if (signed) this.#tickets.forget();
    const resumed = this.#tickets.login(nonce, this.#services.clock.nowMs(), UNDERSTOOD);
    if (resumed !== undefined) return resumed;
    const { user, device, loginKey } = this.account;
    const signature = loginKey.sign(loginStatement(nonce, user, device));
    return authStanza({ user, device, signature, features: UNDERSTOOD });
  }

  /** Keeps the ticket that a login brought. */
  keepTicket(ticket: ResumeTicket): void {
    void this.#inBackground(() => this.#tickets.keep(ticket, this.#services.clock.nowMs()));
  }

  /** Logged in: the outbox resumes, delivery is asked for, the stock of keys is looked after. */
  opened(held: HeldKeys | undefined): void {
    this.#connectionCount += 1;
    this.#inbox.opened();
    this.#conversations.online();
    const connection = this.#connectionCount;
    const isCurrent = (): boolean => connection === this.#connectionCount;
    void this.#inBackground(() => this.#conversations.askReceipts(isCurrent));
    void this.#openGroups(isCurrent);
    void this.#inBackground(() => this.#resumeVouching());
    void this.#inBackground(() => this.strangers.opened());
    this.presence.opened();
    this.#stock.opened(held);
    this.#healer.tend();
  }

  /**
   * The account's devices first, then its groups: where the answer to an unlinking was lost, the device that is gone would get, with
   * the server's help, what is encrypted before that is known.
   */
  async #openGroups(isCurrent: () => boolean): Promise<void> {
    await this.#inBackground(() => this.#tendDevices());
    if (!isCurrent()) return;
    this.transfer.opened();
    await this.#inBackground(() => this.desk.opened());
  }

  async #twinsChanged(): Promise<void> {
    await this.devicesChanged();
    await this.desk.twinsChanged();
  }

  /** The account's list is at the server, and the other devices hear what they missed. */
  async #tendDevices(): Promise<void> {
    void this.#absorb();
    await this.ownDevices.publish();
    await this.devicesChanged();
  }

  /** The set of the account's devices may be another. */
  async devicesChanged(): Promise<void> {
    this.#sync.isOn = await this.ownDevices.hasOthers();
    this.#sync.pay();
  }

  /** Of the conversation with one's own devices the application hears only what it should act upon. */
  #tellOfConversation(event: ClientEvent): void {
    const isOwn = (event.type === 'progress' || event.type === 'refused') && event.user === this.account.user;
    if (event.type === 'progress') this.desk.memberMoved(event.user);
    if (event.type === 'refused') this.desk.memberRefused();
    if (!isOwn) return this.#services.emit(event);
    if (event.type === 'refused' && event.code !== 'APP_NO_OTHER_DEVICE') {
      this.#services.emit({ type: 'trouble', code: event.code });
    }
  }

  /** Everything that waited in the inbox has been received. */
  drained(): void {
    this.readReceipts.live();
  }

  /** The connection is gone. */
  shut(): void {
    this.transfer.shut();
    this.presence.shut();
    this.readReceipts.shut();
    this.#stock.shut();
    this.#connectionCount += 1;
    this.#conversations.offline();
    this.desk.shut();
  }

  /** Takes what the server said. Its bytes are owned. */
  receive(message: ServerMessage): void {
    switch (message.kind) {
      case 'message':
      case 'group-message':
      case 'group-change':
      case 'group-pruned':
      case 'pruned':
        return this.#inbox.push(message);
      case 'gap':
        return this.#conversations.get(message.to)?.lost([message]);
      case 'group-ack':
      case 'group-error':
      case 'group-receipts':
      case 'group-typing':
        return this.desk.receive(message);
      case 'ack':
        return this.#conversations.get(message.to)?.acknowledged(message.id);
      case 'receipt':
        return this.#conversations.get(message.from)?.received(this.#shownAs(message), message.id);
      case 'error': {
        const connection = this.#connectionCount;
        return this.#conversations.get(message.to)?.refused(message, () => connection === this.#connectionCount);
      }
      case 'presence':
      case 'typing':
        return this.presence.receive(message);
      case 'prekeys-low':
        return this.#stock.low({ oneTime: message.preKeys, kem: message.kemPreKeys });
      case 'iq-result':
      case 'iq-error':
        return this.#services.requests.receive(message);
    }
  }

  /** A stored message as the application sees it. */
  async dress(user: string, ordinal: number, record?: HistoryRecord): Promise<ReceivedMessage> {
    const stored = record ?? requireRecord(await this.#services.history.get(user, ordinal));
    const [from, group] = [authorIn(user, stored.author), groupOfName(user)];
    const { phone, verified } = await this.directory.peer(from);
    const { number, device, sentAt, order } = stored;
    const markRead = (): Promise<void> =>
      group === undefined
        ? this.readReceipts.mark({ user, device, id: number })
        : this.desk.markRead(group, order, ordinal);
    return {
      id: idOfOrdinal(ordinal),
      number,
      sentAt,
      ...bodyOf(stored),
      ...traitsOf(stored),
      from,
      group: group === undefined ? undefined : nameOfGroup(group),
      device,
      phone: phone === '' ? undefined : phone,
      phoneVerified: verified,
      isRequest: group === undefined && this.strangers.isStranger(from),
      markRead,
    };
  }

  /**
   * Stops; what waits in the outbox stays on disk. When this resolves nothing of this engine will be written any more, so
   * that the store may get another device.
   */
  async close(): Promise<void> {
    this.#conversations.close();
    this.desk.close();
    this.transfer.close();
    this.#inbox.close();
    this.presence.close();
    this.#healer.close();
    this.#expiry.close();
    await this.#locks.idle();
  }

  async #loadInbox(): Promise<void> {
    const { journal, history, clock, transmit, abort } = this.#services;
    const [through, ahead] = [await journal.get(KEYS.intake), await journal.get(KEYS.intakeAhead)];
    this.#inbox = new Inbox(
      {
        journal,
        locks: this.#locks,
        history,
        sessions: this.#sessions,
        directory: this.directory,
        groups: this.desk.intake,
        clock,
        self: this.account.user,
        ownDevice: this.account.device,
        acknowledge: (seq) => transmit(inboxAckStanza({ seq })),
        report: (report) => void this.#report(report),
        overflow: () => abort('CLI_INTAKE_FULL', false),
        fail: (code) => abort(code, true),
      },
      new Positions(through === undefined ? 0 : NUMBER.decode(through), ahead && NUMBERS.decode(ahead)),
    );
  }

  async #loadReadReceipts(): Promise<void> {
    const { journal, transmit } = this.#services;
    const isContact = (user: string): boolean => this.#conversations.marks(user).sentId > 0;
    const isStranger = (user: string): boolean => this.strangers.isStranger(user);
    const noteSeen = this.#sync.noteSeen.bind(this.#sync);
    this.readReceipts = await ReadReceipts.open({
      journal,
      locks: this.#locks,
      transmit,
      isContact,
      isStranger,
      noteSeen,
    });
  }

  async #loadStrangers(): Promise<void> {
    const { journal, history, requests } = this.#services;
    const fail = (error: unknown): void => this.#complain(error);
    const emit = (event: ClientEvent): void => {
      this.#services.emit(event);
      if (event.type === 'standing') this.#admitted(event.user);
    };
    const noteDecided = (transaction: Transaction, user: string): void => this.#sync.noteDecided(transaction, user);
    const accepted = (users: ReadonlySet<string>): void =>
      void this.#inBackground(() => this.readReceipts.catchUp(users));
    const self = this.account.user;
    this.strangers = await Strangers.open({ self, journal, history, requests, noteDecided, emit, accepted, fail });
  }

  /** Something was decided about a user: whoever is no stranger any more is asked for what could not be read of them. */
  #admitted(user: string): void {
    if (!this.strangers.isAdmitted(user)) return;
    this.#healer.tend();
    void this.#inBackground(() => this.desk.admitted(user));
  }

  /** Somebody with whom read receipts are not exchanged is shown to have received what they say to have read. */
  #shownAs({ type, from }: ServerMessage & { readonly kind: 'receipt' }): ReceiptType {
    return type === 'read' && !this.readReceipts.isShared(from) ? 'delivered' : type;
  }

  async #report(report: IntakeReport): Promise<void> {
    const { emit, wakeReader } = this.#services;
    wakeReader();
    for (const notice of report.notices) void this.#inBackground(() => this.#vouching.tell(notice));
    for (const { from, device, since, until, code } of report.pruned) {
      emit({ type: 'pruned', user: from, device, firstId: since, lastId: until, code: code as ErrorCode });
    }
    for (const { user, record } of report.stored) {
      const group = groupOfName(user);
      if (group !== undefined) {
        this.desk.typing.heard(group, record.author);
        continue;
      }
      this.presence.heard(user);
      this.strangers.heard(user);
      if (record.body.kind !== 'undecryptable' && user !== this.account.user) {
        this.conversation(user).suggestDevice(record.device);
      }
    }
    this.#announce(report.changed);
    const arrived = [...report.stored, ...report.transcripts];
    if (arrived.some(({ record }) => record.expiresAt !== undefined)) this.#expiry.schedule();
    for (const { user, ordinal, record } of report.transcripts) {
      emit({ type: 'transcript', user, item: toItem(user, ordinal, record, this.marks(user)) });
    }
    for (const device of report.downgrades) emit({ type: 'downgrade', ...device });
    this.#stock.used(report.consumedPreKeyCount, report.consumedKemPreKeyCount);
    if (report.stored.some(({ record }) => record.body.kind === 'undecryptable')) this.#healer.tend();
    for (const request of report.retries) void this.#inBackground(() => this.#healer.answer(request));
    if (report.isSynced) void this.#absorb();
    if (report.isTransferTold) this.transfer.told();
    void this.#inBackground(() => this.desk.attend(report.groups));
    for (const claim of report.claims) void this.#check(claim.user, claim.phone);
    try {
      for (const { user, ordinal, record } of report.stored) {
        emit({ type: 'message', message: await this.dress(user, ordinal, record) });
      }
    } catch (error) {
      emit({ type: 'trouble', code: codeOf(error) });
    }
  }

  /** Does what other devices of the account have said, as far as the list names them. */
  async #absorb(): Promise<void> {
    await this.#sync.absorb();
    await this.desk.absorb();
  }

  async #resumeVouching(): Promise<void> {
    for await (const notice of this.#vouching.unfinished()) void this.#inBackground(() => this.#vouching.tell(notice));
  }

  #announce(changes: readonly ChangedMessage[]): void {
    for (const { user, ordinal, record } of changes) {
      const item = record && toItem(user, ordinal, record, this.marks(user));
      this.#services.emit({ type: 'changed', user, id: idOfOrdinal(ordinal), item });
    }
    if (changes.some(({ record }) => record?.expiresAt !== undefined)) this.#expiry.schedule();
  }

  async #check(user: string, phone: string): Promise<void> {
    const claim = `${user} ${phone}`;
    if (this.#checked.has(claim)) return;
    this.#checked.add(claim);
    await this.#inBackground(async () => {
      const verified = await this.directory.check(user, phone);
      this.#services.emit({ type: 'phone-checked', user, phone, verified });
    });
  }

  /** Deletes a conversation here. */
  async forget(name: string): Promise<void> {
    const { journal, history, emit } = this.#services;
    await forgetConversation({ journal, locks: this.#locks, history }, name);
    emit({ type: 'forgotten', user: name });
  }

  /** Work that nobody waits for: what fails in passing is silent and done again at the next login. */
  async #inBackground(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (isPassing(error) || ClientError.is(error, 'CLI_CLOSED')) return;
    this.#services.emit({ type: 'trouble', code: codeOf(error) });
  }
}
