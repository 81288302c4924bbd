/**
 * The other side of the transport, in memory: what `docs/protocol.md` lets a client expect of a server, and faults on
 * demand. It speaks real bytes through the real codec; only the network, the disk and the other users are missing.
 *
 * Faithful where a client could tell: idempotent ids, cumulative acknowledgements and receipts, device lists, one-time
 * keys handed out once, entries kept until acknowledged, replaced and unregistered devices. It never forgets, and it
 * answers at once, or as late as `answersAfterMs` says; presence is seen by everyone and told as it changes. Faults: `isDown`, `dropAll`, `onReceive` (drop before or after a
 * stanza took effect), `refuseNext`, `holdsAcks`.
 */

import {
  eachStanza,
  FEATURES,
  FrameWriter,
  isWireError,
  parseClientMessage,
  serverStanza,
} from '../../protocol/wire/index.ts';
import type {
  Answer,
  AuthMessage,
  ClientMessage,
  ConfirmRequest,
  DeviceBundle,
  DeviceKeys,
  ErrorMessage,
  GetRequest,
  IncomingMessage,
  KemKey,
  OutgoingMessage,
  PreKeyUploadRequest,
  PrivacySettings,
  ResumeMessage,
  ResumeTicket,
  ServerMessage,
  SetRequest,
  SuccessMessage,
} from '../../protocol/wire/index.ts';
import { primitives } from '../../protocol/signal/primitives.ts';
import type { Clock, Random } from '../environment.ts';
import type { InboxEntry } from '../inbox.ts';
import { loginStatement } from '../login-key.ts';
import type { Transport, TransportListener, TransportSocket } from '../transport.ts';
import { FakeGroups } from './fake-groups.ts';
import type { GroupEntry } from './fake-groups.ts';
import { FakeProtection } from './fake-protection.ts';

/** The code that every number gets. */
export const CODE = '123456';

type Refusal = Omit<ErrorMessage, 'kind' | 'to' | 'id' | 'text'>;

/** What becomes of a stanza that arrives: it works, or the connection is lost before or after it took effect, or it comes to nothing. */
export type Fate = 'ok' | 'drop-before' | 'drop-after' | 'ignore';

interface Device {
  readonly user: string;
  readonly id: number;
  readonly keys: DeviceKeys;
  signed: ConfirmRequest['signed'];
  lastResort: DeviceKeys['lastResort'];
  oneTime: ConfirmRequest['oneTime'];
  kem: readonly KemKey[];
  seq: number;
  inbox: InboxEntry[];
  peer: ServerConnection | undefined;
  ticket?: { readonly token: string; readonly secret: Uint8Array } | undefined;
}

interface ConversationRecord {
  accepted: number;
  delivered: number;
}

/** A server for tests. */
export class FakeServer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #users = new Map<string, string>();
  readonly #devices = new Map<string, Device>();
  /** Devices beside the primary one, which is in `#devices`. */
  #linked: Device[] = [];
  readonly #lists = new Map<string, Uint8Array>();
  /** Lists from before a number was registered anew, for their owners to go on from. */
  readonly #formerLists = new Map<string, Uint8Array>();
  readonly #links = new Map<string, { readonly connection: ServerConnection; readonly keys: DeviceKeys }>();
  readonly #conversations = new Map<string, ConversationRecord>();
  readonly #connections = new Set<ServerConnection>();
  /** By user: the wall time of the last change, and whether somebody is there. */
  readonly #presence = new Map<string, { isHere: boolean; atMs: number }>();
  readonly #privacy = new Map<string, PrivacySettings>();
  #nextDevice = 1;
  #refusals: { readonly to: string; readonly id: number | undefined; readonly refusal: Refusal }[] = [];
  /** Dialling fails while true. */
  isDown = false;
  /** What clients say is lost while true, though their connections stand: a half-open network. */
  isMute = false;
  /** Hands out bundles with the primary device last. */
  showsPrimaryLast = false;
  /** Says nothing of KEM pre-keys and hands none out: a server of a release before them. */
  knowsKem = true;
  /** Takes KEM pre-keys out of the bundles that it hands out, and says nothing of it. */
  stripsKem = false;
  /** The logins that came, as `auth` and `resume`. */
  readonly logins: ('auth' | 'resume')[] = [];
  /** While above 0: every login is refused with APP_OVERLOADED and this many seconds to wait. */
  putOff = 0;
  /** Seconds for which the tickets that it gives out are good; 0: a server of a release before them. */
  ticketSeconds = 604_800;
  /** Decides the fate of each stanza of a logged-in client. */
  onReceive: (message: ClientMessage, user: string) => Fate = () => 'ok';
  readonly groups: FakeGroups;
  /** What accounts have decided about each other. */
  readonly protection: FakeProtection = new FakeProtection();
  /** Kinds of requests that are left without an answer. */
  readonly silentOn: Set<string> = new Set();
  /** How long the answer to a request takes, by its kind; what it asks for is done at once. */
  readonly answersAfterMs: Map<string, number> = new Map();
  /** Acknowledgements of messages wait for `flush` while true, as for a slow disk; refusals do not. */
  holdsAcks = false;
  #heldAcks: (() => void)[] = [];
  /** Every stanza that took effect, with the user that sent it. */
  readonly log: { readonly user: string; readonly message: ClientMessage }[] = [];

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.groups = new FakeGroups({
      now: () => clock.nowMs(),
      deliver: (users, entry, except) => this.#deliverToAll(users, entry, except),
    });
  }

  /** The way to this server. */
  get transport(): Transport {
    return { dial: (_url, listener) => this.#accept(listener) };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Cuts every connection, or those of one user, as a network does. */
  dropAll(user?: string): void {
    for (const connection of [...this.#connections]) {
      if (user === undefined || connection.device?.user === user) connection.end({ code: 1006, reason: '' });
    }
  }

  /** Closes the connection of a user with a code of the protocol. */
  closeWith(user: string, code: number, reason: string): void {
    for (const connection of [...this.#connections]) {
      if (connection.device?.user === user) connection.end({ code, reason });
    }
  }

  /** Greets a user's connections a second time: what is under way to the server then is lost, and what waits for an answer has none. */
  greetAgain(user: string): void {
    for (const connection of this.#connections) {
      if (connection.device?.user !== user || connection.isGreetedAgain) continue;
      connection.nonce = this.#random.bytes(32);
      connection.isGreetedAgain = true;
      connection.say({ kind: 'stream', version: 1, ts: this.#clock.nowMs(), nonce: connection.nonce });
    }
  }

  /** Refuses the next message to a user, or the one with `id`, once. */
  refuseNext(to: string, refusal: Refusal, id?: number): void {
    this.#refusals.push({ to, id, refusal });
  }

  /** Says the acknowledgements that were held back. */
  flush(): void {
    for (const say of this.#heldAcks.splice(0)) say();
  }

  /** Forgets every ticket, as a server does whose secret was replaced. */
  forgetTickets(): void {
    for (const device of this.#devices.values()) device.ticket = undefined;
  }

  userOf(phone: string): string {
    return this.#users.get(phone)!;
  }

  /** Entries that wait for a user's device. */
  inboxCount(user: string): number {
    return this.#devices.get(user)?.inbox.length ?? 0;
  }

  /** One-time pre-keys left of a user's device. */
  preKeyCount(user: string): number {
    return this.#devices.get(user)?.oneTime.length ?? 0;
  }

  /** The same of KEM pre-keys. */
  kemPreKeyCount(user: string): number {
    return this.#devices.get(user)?.kem.length ?? 0;
  }

  /** The signed pre-key that bundles of a user have now. */
  signedPreKeyId(user: string): number | undefined {
    return this.#devices.get(user)?.signed.id;
  }

  /** Says how many pre-keys of a user are left, as after a stranger's request. */
  noticePreKeys(user: string): void {
    const device = this.#devices.get(user)!;
    device.peer?.say({ kind: 'prekeys-low', preKeys: device.oneTime.length, kemPreKeys: device.kem.length });
  }

  /** Takes one-time pre-keys away, as requests of strangers do. */
  consumePreKeys(user: string, count: number): void {
    const device = this.#devices.get(user)!;
    device.oneTime = device.oneTime.slice(count);
    device.kem = device.kem.slice(count);
  }

  /** Forgets what it accepted: a server that lost its disk. `accepted` pretends another state. */
  rewriteConversation(from: string, to: string, accepted: number): void {
    const device = this.#devices.get(from)!;
    this.#conversations.set(conversationKey(device, to), { accepted, delivered: accepted });
  }

  /** Gives up messages of a conversation, as after thirty days: tells the sender, and puts a notice into the recipient's inbox. */
  giveUp(from: string, to: string, since: number, until: number, code: string): void {
    const [sender, device] = [this.#devices.get(from)!, this.#devices.get(to)!];
    const isGone = (entry: InboxEntry): boolean => entry.kind === 'message' && entry.from === from && entry.id <= until;
    device.inbox = device.inbox.filter((entry) => !isGone(entry));
    const [ts, seq] = [this.#clock.nowMs(), (device.seq += 1)];
    const notice = { kind: 'pruned', from, device: sender.id, since, until, seq, ts, code } as const;
    device.inbox.push(notice);
    device.peer?.say(notice);
    sender.peer?.say({ kind: 'gap', to, since, until, ts, code });
  }

  /** Loses what a user's device has not got of a group, as after thirty days, and puts a notice in its place. */
  loseOfGroup(user: string, group: string, code: string): void {
    const device = this.#devices.get(user)!;
    const isOfGroup = (entry: InboxEntry): boolean => 'group' in entry && entry.group === group;
    const orders = device.inbox.filter(isOfGroup).map((entry) => ('order' in entry ? entry.order : 0));
    device.inbox = device.inbox.filter((entry) => !isOfGroup(entry));
    const [ts, seq] = [this.#clock.nowMs(), (device.seq += 1)];
    const notice = { kind: 'group-pruned', group, since: Math.min(...orders), until: Math.max(...orders) } as const;
    device.inbox.push({ ...notice, seq, ts, code });
  }

  /** Puts bytes into a user's inbox as if `from` had sent them. */
  inject(
    to: string,
    from: string,
    message: Pick<IncomingMessage, 'id' | 'type' | 'ciphertext' | 'device'>,
    device?: number,
  ): void {
    this.#deliver(device === undefined ? this.#devices.get(to)! : this.#find(to, device)!, from, message);
  }

  /** Sends all that waits for a user once more, as after a lost acknowledgement. */
  redeliver(user: string, entries: readonly InboxEntry[]): void {
    const device = this.#devices.get(user)!;
    for (const entry of entries) device.peer?.say(entry);
  }

  /** What waits for a user. */
  inboxOf(user: string): readonly InboxEntry[] {
    return [...this.#devices.get(user)!.inbox];
  }

  #accept(listener: TransportListener): TransportSocket {
    const connection = new ServerConnection(listener, this.#random.bytes(32), {
      receive: (message) => this.#receive(connection, message),
      ended: () => this.#forget(connection),
    });
    if (this.isDown) connection.end({ code: 1006, reason: '' });
    else {
      this.#connections.add(connection);
      connection.say({ kind: 'stream', version: 1, ts: this.#clock.nowMs(), nonce: connection.nonce });
    }
    return connection.socket;
  }

  #forget(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (connection.device?.peer === connection) this.#announce(connection.device.user, false);
    if (connection.device?.peer === connection) connection.device.peer = undefined;
  }

  #receive(connection: ServerConnection, message: ClientMessage): void {
    if (this.isMute) return;
    const isLogin = message.kind === 'auth' || message.kind === 'resume';
    if (connection.isGreetedAgain && !isLogin) return;
    const user = connection.device?.user;
    const fate = user === undefined ? 'ok' : this.onReceive(message, user);
    if (fate === 'ignore') return;
    if (fate === 'drop-before') return connection.end({ code: 1006, reason: '' });
    if (user !== undefined) this.log.push({ user, message });
    this.#handle(connection, message);
    if (fate === 'drop-after') connection.end({ code: 1006, reason: '' });
  }

  #handle(connection: ServerConnection, message: ClientMessage): void {
    switch (message.kind) {
      case 'auth':
      case 'resume':
        return this.#admit(connection, message);
      case 'iq-get':
      case 'iq-set':
        return this.#answer(connection, message.id, message.request);
      case 'message':
        return this.#take(connection, connection.device!, message);
      case 'inbox-ack':
        return this.#acknowledge(connection.device!, message.seq);
      case 'receipt': {
        const sender = this.#find(message.to, message.device);
        const from = connection.device!.user;
        const { delivered = 0 } = (sender && this.#conversations.get(conversationKey(sender, from))) ?? {};
        const id = Math.min(message.id, delivered);
        if (id > 0) sender?.peer?.say({ kind: 'receipt', type: 'read', from, id, ts: this.#clock.nowMs() });
        return;
      }
      case 'group-message': {
        const { user: from, id: device } = connection.device!;
        const { group, id } = message;
        const outcome = this.groups.take(from, device, message);
        if ('code' in outcome) return connection.say({ kind: 'group-error', group, id, text: '', ...outcome });
        return connection.say({ kind: 'group-ack', group, id, order: outcome.order, ts: this.#clock.nowMs() });
      }
      case 'group-read':
        return this.#tellMarks('read', message.group, connection.device!.user, message.order);
      case 'ping':
        return connection.say({ kind: 'pong', id: message.id });
      case 'availability':
        return this.#announce(connection.device!.user, message.state === 'available');
      case 'unsubscribe':
        return void connection.subscriptions.delete(message.to);
      case 'group-unsubscribe':
        return void connection.rooms.delete(message.group);
      case 'group-typing': {
        const { user } = connection.device!;
        if (!connection.rooms.has(message.group)) return;
        for (const other of this.#connections) {
          if (other.device?.user === user || !other.rooms.has(message.group)) continue;
          other.say({ kind: 'group-typing', group: message.group, user, state: message.state });
        }
        return;
      }
      case 'typing': {
        const from = connection.device!.user;
        for (const other of this.#connections) {
          if (other.device?.user !== message.to || !other.subscriptions.has(from)) continue;
          other.say({ kind: 'typing', from, state: message.state });
        }
        return;
      }
    }
  }

  #announce(user: string, isHere: boolean): void {
    if (isHere === (this.#presence.get(user)?.isHere ?? false)) return;
    this.#presence.set(user, { isHere, atMs: this.#clock.nowMs() });
    for (const other of this.#connections) if (other.subscriptions.has(user)) other.say(this.#presenceOf(user));
  }

  #presenceOf(from: string): Extract<Answer, { kind: 'presence' }> {
    const { isHere, atMs } = this.#presence.get(from) ?? { isHere: false, atMs: undefined };
    if (isHere) return { kind: 'presence', from, state: 'available', lastSeen: undefined };
    return { kind: 'presence', from, state: 'unavailable', lastSeen: atMs && Math.floor(atMs / 60_000) * 60_000 };
  }

  #admit(connection: ServerConnection, message: AuthMessage | ResumeMessage): void {
    this.logins.push(message.kind);
    if (this.putOff > 0) {
      connection.say({ kind: 'failure', code: 'APP_OVERLOADED', text: '', retryAfter: this.putOff });
      return connection.end({ code: 4503, reason: 'APP_OVERLOADED' });
    }
    if (message.kind === 'auth') this.#login(connection, message);
    else this.#resume(connection, message);
  }

  #login(connection: ServerConnection, { user, device: id, signature, features = 0 }: AuthMessage): void {
    const device = this.#find(user, id);
    if (device === undefined) return refuseLogin(connection, 'APP_UNKNOWN_DEVICE');
    const statement = loginStatement(connection.nonce, user, id);
    if (!primitives.verifyEd25519(device.keys.login, statement, signature)) {
      return refuseLogin(connection, 'APP_BAD_SIGNATURE');
    }
    const kemPreKeys = this.knowsKem ? device.kem.length : undefined;
    const ticket =
      (features & FEATURES.resumeTickets) !== 0 && this.knowsKem && this.ticketSeconds > 0
        ? this.#grant(device)
        : undefined;
    this.#enter(connection, device, { preKeys: device.oneTime.length, kemPreKeys, ticket });
  }

  #grant(device: Device): ResumeTicket {
    const ticket = { token: `${'t'.repeat(20)}${device.id}A`.slice(-22), secret: this.#random.bytes(32) };
    device.ticket = ticket;
    return { ...ticket, expires: this.ticketSeconds };
  }

  #resume(connection: ServerConnection, { user, device: id, ticket, proof }: ResumeMessage): void {
    const device = this.#find(user, id);
    const held = device?.id === id && device.ticket?.token === ticket ? device.ticket : undefined;
    const label = new TextEncoder().encode('blindbeam resume 1\0');
    const expected = held && primitives.hmacSha256(held.secret, label, connection.nonce);
    if (device === undefined || expected === undefined || !isSame(expected, proof)) {
      return connection.say({ kind: 'failure', code: 'APP_BAD_TICKET', text: '' });
    }
    this.#enter(connection, device, {});
  }

  #enter(connection: ServerConnection, device: Device, told: Partial<SuccessMessage>): void {
    if (device.peer !== connection) device.peer?.end({ code: 4409, reason: 'APP_REPLACED' });
    connection.isGreetedAgain = false;
    device.peer = connection;
    connection.device = device;
    connection.say({ kind: 'success', user: device.user, device: device.id, ts: this.#clock.nowMs(), ...told });
    for (const entry of device.inbox) connection.say(entry);
    connection.say({ kind: 'offline' });
  }

  #answer(
    connection: ServerConnection,
    id: number,
    request: (ClientMessage & { kind: 'iq-get' | 'iq-set' })['request'],
  ): void {
    if (this.silentOn.has(request.kind)) return;
    const answer = this.#answerTo(connection, request);
    const say = (): void => {
      if (typeof answer === 'string') connection.say({ kind: 'iq-error', id, code: answer, text: '' });
      else connection.say({ kind: 'iq-result', id, answer });
    };
    const delayMs = this.answersAfterMs.get(request.kind);
    if (delayMs === undefined) say();
    else this.#clock.setTimer(delayMs, say);
  }

  #answerTo(
    connection: ServerConnection,
    request: (ClientMessage & { kind: 'iq-get' | 'iq-set' })['request'],
  ): Answer | string {
    switch (request.kind) {
      case 'register':
        return { kind: 'register', expires: 300 };
      case 'confirm':
        return request.code === CODE ? this.#register(request) : 'APP_BAD_CODE';
      case 'contact': {
        const user = this.#users.get(request.phone);
        return user === undefined ? 'APP_UNKNOWN_USER' : { kind: 'contact', phone: request.phone, user };
      }
      case 'bundle':
        return this.#bundle(request, connection.device!);
      case 'link-begin': {
        const id = String(this.#random.integer(2 ** 31)).padStart(20, '0');
        this.#links.set(id, { connection, keys: request });
        return { kind: 'link-begun', id, expires: 300 };
      }
      case 'link':
        return this.#offer(request.id);
      case 'link-approve':
        return this.#link(connection.device!.user, request);
      case 'unlink':
        return this.#unlink(connection.device!.user, request.device, request.list);
      case 'publish-list':
        this.#lists.set(connection.device!.user, request.list.slice());
        return this.#devicesOf(connection.device!.user);
      case 'devices':
        return this.#devicesOf(request.user, connection.device!.user);
      case 'prekey-upload':
        return this.#upload(connection.device!, request);
      case 'prekey-count':
        return this.#count(connection.device!);
      case 'receipts': {
        const record = this.#conversations.get(conversationKey(connection.device!, request.to));
        const { accepted = 0, delivered = 0 } = record ?? {};
        return { kind: 'receipts', to: request.to, sent: accepted, delivered };
      }
      case 'media-ticket':
        return { kind: 'media-ticket', ticket: this.#random.bytes(64), expires: 3_600 };
      case 'group':
        return this.groups.answer(connection.device!.user, request.group, request.after);
      case 'group-marks':
        return this.groups.marks(request.group, `${connection.device!.user}:${connection.device!.id}`);
      case 'group-change': {
        const { user, id } = connection.device!;
        return this.groups.change(user, id, request.group, request.change.slice());
      }
      case 'subscribe':
        connection.subscriptions.add(request.to);
        return this.#presenceOf(request.to);
      case 'group-subscribe': {
        const { group } = request;
        const isIn = this.groups.groupsOf(connection.device!.user).includes(group);
        if (!isIn) return 'APP_NOT_A_MEMBER';
        connection.rooms.add(group);
        return { kind: 'group-subscribe', group };
      }
      case 'presence':
        return this.#presenceOf(request.user);
      case 'privacy-change': {
        const { audience, shown, hidden } = request;
        this.#privacy.set(connection.device!.user, { audience, shown, hidden });
        return { kind: 'privacy', audience, shown, hidden };
      }
      case 'privacy': {
        const settings = this.#privacy.get(connection.device!.user);
        return { kind: 'privacy', ...(settings ?? { audience: 'contacts', shown: [], hidden: [] }) };
      }
      default:
        return this.protection.answer(connection.device!.user, request);
    }
  }

  #register(request: ConfirmRequest): Answer {
    const user = this.#users.get(request.phone) ?? String(100_000_000_000_000 + this.#users.size);
    this.#users.set(request.phone, user);
    for (const device of this.#all(user)) device.peer?.end({ code: 4410, reason: 'APP_UNREGISTERED' });
    this.#linked = this.#linked.filter((device) => device.user !== user);
    const former = this.#lists.get(user);
    if (former !== undefined) this.#formerLists.set(user, former);
    this.#lists.delete(user);
    const device = this.#newDevice(user, request);
    this.#devices.set(user, device);
    return { kind: 'account', user, device: device.id };
  }

  #newDevice(user: string, keys: DeviceKeys): Device {
    const { signed, lastResort, oneTime } = keys;
    const id = this.#nextDevice++;
    return { user, id, keys, signed, lastResort, oneTime, kem: [], seq: 0, inbox: [], peer: undefined };
  }

  /** The devices of a user, the primary one first. */
  #all(user: string): Device[] {
    const primary = this.#devices.get(user);
    return primary === undefined ? [] : [primary, ...this.#linked.filter((device) => device.user === user)];
  }

  #find(user: string, id: number): Device | undefined {
    return this.#all(user).find((device) => device.id === id);
  }

  #devicesOf(user: string, asker?: string): Answer | string {
    const devices = this.#all(user).map(({ id }) => id);
    const list = this.#lists.get(user) ?? (asker === user ? this.#formerLists.get(user) : undefined);
    return devices.length === 0 ? 'APP_UNKNOWN_USER' : { kind: 'devices', user, devices, list };
  }

  #offer(id: string): Answer | string {
    const link = this.#links.get(id);
    if (link === undefined) return 'APP_UNKNOWN_LINK';
    const { registration, identity } = link.keys;
    return { kind: 'link', id, device: this.#nextDevice, registration, identity };
  }

  #link(user: string, { id, list, envelope }: Extract<SetRequest, { kind: 'link-approve' }>): Answer | string {
    const link = this.#links.get(id);
    if (link === undefined) return 'APP_UNKNOWN_LINK';
    this.#links.delete(id);
    const device = this.#newDevice(user, link.keys);
    this.#linked.push(device);
    this.#lists.set(user, list.slice());
    link.connection.say({ kind: 'linked', user, device: device.id, envelope });
    return this.#devicesOf(user);
  }

  #unlink(user: string, id: number, list: Uint8Array): Answer | string {
    this.#find(user, id)?.peer?.end({ code: 4410, reason: 'APP_UNREGISTERED' });
    this.#linked = this.#linked.filter((device) => device.user !== user || device.id !== id);
    this.#lists.set(user, list.slice());
    return this.#devicesOf(user);
  }

  /** Adds a device that the primary has not signed, as a dishonest server would. @returns Its id. */
  addSilently(user: string, keys: DeviceKeys): number {
    const device = this.#newDevice(user, keys);
    this.#linked.push(device);
    return device.id;
  }

  /** Takes it away again. */
  removeSilently(user: string, id: number): void {
    this.#linked = this.#linked.filter((device) => device.user !== user || device.id !== id);
  }

  /** The public keys of a user's device. */
  keysOf(user: string, id: number): DeviceKeys {
    return this.#find(user, id)!.keys;
  }

  /** Hands out another list from now on, or none. */
  replaceList(user: string, list: Uint8Array | undefined): Uint8Array | undefined {
    const former = this.#lists.get(user);
    if (list === undefined) this.#lists.delete(user);
    else this.#lists.set(user, list);
    return former;
  }

  #upload(device: Device, { signed, lastResort, oneTime, kem = [] }: PreKeyUploadRequest): Answer {
    device.signed = signed ?? device.signed;
    device.lastResort = lastResort ?? device.lastResort;
    device.oneTime = [...device.oneTime, ...oneTime];
    device.kem = [...device.kem, ...kem];
    return this.#count(device);
  }

  #count({ oneTime, kem }: Device): Answer {
    return { kind: 'prekeys', count: oneTime.length, kem: this.knowsKem ? kem.length : undefined };
  }

  #bundle({ user, withList }: Extract<GetRequest, { kind: 'bundle' }>, asker: Device): Answer | string {
    if (!this.#devices.has(user)) return 'APP_UNKNOWN_USER';
    const devices = this.#all(user).filter((device) => device !== asker);
    if (devices.length === 0) return 'APP_NO_OTHER_DEVICE';
    if (this.showsPrimaryLast) devices.reverse();
    const list = withList === true ? this.#lists.get(user) : undefined;
    return { kind: 'bundle', user, devices: devices.map((each) => this.#bundleOf(each)), ...(list && { list }) };
  }

  #bundleOf(device: Device): DeviceBundle {
    const { identity, registration } = device.keys;
    const [oneTime, ...rest] = device.oneTime;
    device.oneTime = rest;
    return { id: device.id, registration, identity, signed: device.signed, oneTime, kem: this.#takeKem(device) };
  }

  #takeKem(device: Device): DeviceBundle['kem'] {
    if (!this.knowsKem || this.stripsKem) return undefined;
    const [first, ...rest] = device.kem;
    device.kem = rest;
    if (first !== undefined) return { ...first, lastResort: false };
    return device.lastResort && { ...device.lastResort, lastResort: true };
  }

  #take(connection: ServerConnection, sender: Device, message: OutgoingMessage): void {
    const refusal = this.#refusalOf(sender, message);
    const { to, id } = message;
    if (refusal !== undefined) return connection.say({ kind: 'error', to, id, text: '', ...refusal });
    const record = this.#conversations.get(conversationKey(sender, to)) ?? { accepted: id - 1, delivered: 0 };
    this.#conversations.set(conversationKey(sender, to), record);
    const ack = (): void => connection.say({ kind: 'ack', to, id, ts: this.#clock.nowMs() });
    if (this.holdsAcks) this.#heldAcks.push(ack);
    else ack();
    if (id === record.accepted + 1) {
      record.accepted = id;
      if (this.protection.isBlocked(to, sender.user)) return;
      for (const { device, type, ciphertext } of message.envelopes) {
        this.#deliver(this.#find(to, device)!, sender.user, { id, type, ciphertext, device: sender.id });
      }
    }
  }

  #refusalOf(sender: Device, { to, id, envelopes }: OutgoingMessage): Refusal | undefined {
    const planned = this.#refusals.findIndex((entry) => entry.to === to && (entry.id ?? id) === id);
    if (planned !== -1) return this.#refusals.splice(planned, 1)[0]!.refusal;
    const record = this.#conversations.get(conversationKey(sender, to));
    if (record !== undefined && id <= record.accepted) return undefined;
    const expected = record === undefined ? id : record.accepted + 1;
    if (id > expected) return { code: 'APP_OUT_OF_ORDER', expected };
    if (!this.#devices.has(to)) return { code: 'APP_UNKNOWN_USER' };
    const devices = this.#all(to).flatMap((device) => (device === sender ? [] : [device.id]));
    if (devices.length === 0) return { code: 'APP_NO_OTHER_DEVICE' };
    const named = envelopes.map(({ device }) => device);
    const isRight = named.length === devices.length && devices.every((device) => named.includes(device));
    return isRight ? undefined : { code: 'APP_DEVICES_CHANGED', devices };
  }

  #deliver(
    device: Device,
    from: string,
    message: Pick<IncomingMessage, 'id' | 'type' | 'ciphertext' | 'device'>,
  ): void {
    const { id, type, ciphertext, device: sender } = message;
    const head = { kind: 'message', from, device: sender, id, seq: (device.seq += 1) } as const;
    const entry: IncomingMessage = { ...head, ts: this.#clock.nowMs(), type, ciphertext: ciphertext.slice() };
    device.inbox.push(entry);
    device.peer?.say(entry);
  }

  #deliverToAll(users: Iterable<string>, entry: GroupEntry, except: string | undefined): void {
    for (const device of [...users].flatMap((user) => this.#all(user))) {
      if (`${device.user}:${device.id}` === except) continue;
      const placed: InboxEntry = { ...entry, seq: (device.seq += 1) };
      device.inbox.push(placed);
      device.peer?.say(placed);
    }
  }

  /** To the devices of other members that have sent or asked. */
  #tellMarks(type: 'delivered' | 'read', group: string, user: string, order: number): void {
    const { state, watchers } = this.groups.get(group);
    for (const device of [...state.roster.members.keys()].flatMap((member) => this.#all(member))) {
      if (device.user === user || !watchers.has(`${device.user}:${device.id}`)) continue;
      const marks = [{ user, order }];
      device.peer?.say({ kind: 'group-receipts', type, group, ts: this.#clock.nowMs(), marks });
    }
  }

  #acknowledgeGroup(device: Device, { group, order }: { readonly group: string; readonly order: number }): void {
    this.groups.received(device.user, group, order);
    this.#tellMarks('delivered', group, device.user, order);
  }

  #acknowledge(device: Device, seq: number): void {
    const done = device.inbox.filter((entry) => entry.seq <= seq);
    device.inbox = device.inbox.filter((entry) => entry.seq > seq);
    for (const entry of done) {
      if (entry.kind === 'pruned' || entry.kind === 'group-pruned') continue;
      if (entry.kind !== 'message') {
        this.#acknowledgeGroup(device, entry);
        continue;
      }
      const { from, device: senderDevice, id } = entry;
      const sender = this.#find(from, senderDevice);
      if (sender === undefined) continue;
      const record = this.#conversations.get(conversationKey(sender, device.user));
      if (record !== undefined) record.delivered = Math.max(record.delivered, id);
      if (this.protection.isStranger(device.user, from)) continue;
      sender.peer?.say({ kind: 'receipt', type: 'delivered', from: device.user, id, ts: this.#clock.nowMs() });
    }
  }
}

interface ServerHooks {
  receive(message: ClientMessage): void;
  ended(): void;
}

/** The server's end of one socket. What each side says arrives a turn later, in order; what is under way at a cut is lost. */
class ServerConnection {
  /** Of the last greeting. */
  nonce: Uint8Array;
  /** Until the client has logged in again, what it says is from before. */
  isGreetedAgain = false;
  readonly socket: TransportSocket;
  device: Device | undefined;
  /** Users whose presence it hears of. */
  readonly subscriptions: Set<string> = new Set();
  /** Groups whose typing it hears of. */
  readonly rooms: Set<string> = new Set();
  readonly #listener: TransportListener;
  readonly #hooks: ServerHooks;
  #isOpen = true;

  constructor(listener: TransportListener, nonce: Uint8Array, hooks: ServerHooks) {
    this.nonce = nonce;
    this.#listener = listener;
    this.#hooks = hooks;
    this.socket = { send: (bytes) => this.#hear(bytes.slice()), close: () => this.#hangUp() };
  }

  /** Says something; dropped when the connection has ended by the time it would arrive. */
  say(message: ServerMessage): void {
    const writer = new FrameWriter();
    writer.append(serverStanza(message));
    const bytes = writer.bytes().slice();
    queueMicrotask(() => {
      if (this.#isOpen) this.#listener.onMessage(bytes);
    });
  }

  end(close: { readonly code: number; readonly reason: string }): void {
    if (!this.#isOpen) return;
    // A close frame comes after what was said before it; a cut does not wait.
    const finish = (): void => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      this.#hooks.ended();
      queueMicrotask(() => this.#listener.onClose(close));
    };
    if (close.code === 1006) finish();
    else queueMicrotask(finish);
  }

  #hear(bytes: Uint8Array): void {
    queueMicrotask(() => {
      if (!this.#isOpen) return;
      const refusal = eachStanza(bytes, (stanza) => {
        const message = parseClientMessage(stanza);
        if (isWireError(message)) throw new Error(`the client said what no client says: ${message.message}`);
        if (this.#isOpen) this.#hooks.receive(message);
      });
      if (refusal !== undefined) throw new Error(`the client sent what does not decode: ${refusal.message}`);
    });
  }

  #hangUp(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#hooks.ended();
  }
}

function conversationKey(sender: Device, to: string): string {
  return `${sender.user}:${sender.id}>${to}`;
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function refuseLogin(connection: ServerConnection, code: string): void {
  connection.say({ kind: 'failure', code, text: '' });
  connection.end({ code: 4401, reason: code });
}
