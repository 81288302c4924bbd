/**
 * The chat between a client and whatever shows it: commands in, model out. It knows no terminal and no line of output.
 *
 * Each change of the model is announced once; `interactive.ts` draws it, `piped.ts` prints what is new in it.
 */

import { CLIENT_LIMITS, ClientError, codeOf, decodeLinkCode, describeCode, generateBackupDigits } from '../../index.ts';
import type {
  Audience,
  Client,
  ClientEvent,
  MediaProgress,
  PeerSafety,
  ReceivedMessage,
  SentMessage,
} from '../../index.ts';
import { writeBackupFile } from '../backup-file.ts';
import { safeFileName } from '../../file-name.ts';
import { saveFile, uploadFile } from '../media-file.ts';
import { systemRandom } from '../system.ts';
import { NUMBER_FORM, tidyPhone } from './arguments.ts';
import { GROUP_HELP, GroupCommands, peerOfGroup, titleOf } from './group-commands.ts';
import {
  addItem,
  addNotice,
  applyProgress,
  authorName,
  countUnread,
  describeBody,
  describeMessage,
  initialModel,
  itemOf,
  lastOf,
  openPeer,
  parseSpan,
  refuseFrom,
  replaceItem,
  settleDraft,
} from './model.ts';
import type { ChatItem, ChatModel, Peer } from './model.ts';
import { StrangerCommands } from './stranger-commands.ts';
import { TRANSFER_HELP, TransferCommands } from './transfer-commands.ts';
import { isPhone } from '../../../protocol/wire/index.ts';

/** Whom a session tells. */
export interface SessionListener {
  onChange(model: ChatModel): void;
  /** The chat is over; `code` is the exit code. */
  onOver(code: number): void;
}

const COMMANDS =
  'Commands: /to NUMBER, /group, /history, /who, /help, /quit. To the last message received: /reply TEXT, /react EMOJI, ' +
  '/forward NUMBER, /view. To your last one: /edit TEXT, /delete. /timer 8h or off. /safety compares keys. /send FILE, /save [FILE], /backup FILE. ' +
  '/devices, /approve CODE, /unlink NUMBER, /transfer. Strangers: /accept, /block, /unblock, /forget, /strangers ask or open. /privacy and /receipts with everyone, contacts or nobody. Anything else is sent.';

/** Smaller files are there before anybody could read of their progress. */
const PROGRESS_BYTES_MIN = 8_388_608;

/** One run of the chat. */
export class ChatSession {
  readonly #client: Client;
  readonly #listener: SessionListener;
  readonly #now: () => number;
  readonly #stopListening: () => void;
  #model: ChatModel;
  readonly #groups: GroupCommands;
  readonly #transfers: TransferCommands;
  readonly #strangers: StrangerCommands;
  #draftCount = 0;
  #isOver = false;

  /** @param now - Wall time, for the entries of the transcript. */
  constructor(client: Client, now: () => number, listener: SessionListener) {
    this.#client = client;
    this.#now = now;
    this.#listener = listener;
    this.#model = { ...initialModel(client.account!.phone), connection: client.state };
    this.#groups = new GroupCommands({
      client,
      openGroup: () => (this.#model.peer?.members === undefined ? undefined : this.#model.peer),
      open: async (group) => this.#openPeer(await peerOfGroup(client, group)),
      notice: (text, tone) => this.#notice(text, tone),
    });
    this.#transfers = new TransferCommands(client, (text, tone) => this.#notice(text, tone));
    this.#strangers = new StrangerCommands(client, (text, tone) => this.#notice(text, tone));
    this.#stopListening = client.onEvent((event) => this.#onEvent(event));
  }

  get #device(): number {
    return this.#client.account!.device;
  }

  get model(): ChatModel {
    return this.#model;
  }

  /**
   * Connects, and shows what arrives until `quit`. Resolves when the conversation with `to` is open, or could not be opened, which
   * has then been said.
   */
  async start(to: string | undefined): Promise<void> {
    // Failures to connect for good come as a `stopped` event; passing ones as `retrying`.
    this.#client.connect().catch(() => undefined);
    void this.#readMessages();
    if (to === undefined) this.#notice(COMMANDS);
    else await this.#open(to);
  }

  /** Replaces the line being typed. */
  edit(editor: ChatModel['editor']): void {
    this.#change({ ...this.#model, editor });
  }

  /** A line was entered: a command, or a message to the peer. Resolves when it has been dealt with. */
  async enter(text: string): Promise<void> {
    if (text === '') return;
    if (!text.startsWith('/')) return this.#send(text);
    const [command = '', ...rest] = text.split(/\s+/);
    const words = text.slice(command.length).trim();
    switch (command) {
      case '/reply':
        return this.#reply(words);
      case '/forward':
        return this.#forward(words);
      case '/react':
        return this.#alter('received', (peer, id) => this.#client.react(peer, id, words));
      case '/edit':
        if (words === '') return this.#notice('/edit expected the new text', 'warning');
        return this.#alter('sent', (peer, id) => this.#client.edit(peer, id, words));
      case '/delete':
        return this.#alter('sent', (peer, id) => this.#client.deleteForEveryone(peer, id));
      case '/timer':
        return this.#setTimer(words);
      case '/view':
        return this.#view();
      case '/send':
        return this.#sendFile(words);
      case '/save':
        return this.#saveLast(words);
      case '/backup':
        return this.#backUp(words);
      case '/safety':
        return this.#compareSafety(words);
      case '/privacy':
        return this.#choosePrivacy(words);
      case '/receipts':
        return this.#chooseReceipts(words);
      case '/link':
        return this.#notice('/link is for a new device, at the question for the code. Here: /approve CODE.', 'warning');
      case '/approve':
        return this.#approve(words);
      case '/devices':
        return this.#showDevices();
      case '/transfer':
        return this.#transfers.run(words).catch((error: unknown) => this.#report(error));
      case '/unlink':
        return this.#unlink(words);
      case '/accept':
        if (await this.#strangers.accept(this.#model.peer)) return;
        return this.#acceptIdentity();
      case '/block':
      case '/unblock':
      case '/forget':
      case '/strangers':
        return this.#strangers.run(command, words, this.#model.peer);
      case '/to':
        return this.#open(rest.join(''));
      case '/group':
        return this.#groups.run(words).catch((error: unknown) => this.#report(error));
      case '/history':
        return this.#showHistory();
      case '/who':
        return this.#showWho();
      case '/help':
        this.#notice(COMMANDS);
        this.#notice(`Groups: ${GROUP_HELP}`);
        return this.#notice(`A new device: ${TRANSFER_HELP}`);
      case '/quit':
        return this.quit();
      default:
        this.#notice(`${command} is not a command. ${COMMANDS}`, 'warning');
    }
  }

  /** Ends the chat; the client is the caller's to close. */
  quit(code: number = 0): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopListening();
    this.#listener.onOver(code);
  }

  #send(text: string): Promise<void> {
    return this.#post(text, (peer) => this.#client.enqueue(peer.user, text));
  }

  async #reply(text: string): Promise<void> {
    const target = lastOf(this.#model, 'received');
    if (target === undefined) return this.#notice('There is no message to answer yet.', 'warning');
    if (text === '') return this.#notice('/reply expected a text', 'warning');
    await this.#post(text, (peer) => this.#client.reply(peer.user, target.id, text));
    await this.#refresh();
  }

  /** Passes the last message received on. */
  async #forward(number: string): Promise<void> {
    const phone = tidyPhone(number);
    if (!isPhone(phone)) return this.#notice(`/forward ${NUMBER_FORM}`, 'warning');
    await this.#alter('received', async (peer, id) => {
      await this.#client.forward(peer, id, phone);
      this.#notice(`Passed on to ${phone}.`);
    });
  }

  async #setTimer(span: string): Promise<void> {
    const seconds = parseSpan(span);
    if (seconds === undefined || seconds > CLIENT_LIMITS.timerSecondsMax) {
      return this.#notice('/timer expected a time such as 30s, 5m, 8h or 7d, or off', 'warning');
    }
    const text = describeBody({ kind: 'timer', text: '', seconds });
    await this.#post(text, (peer) => this.#client.setTimer(peer.user, seconds));
  }

  /** Shows the safety number; with digits, compares them with it. */
  async #compareSafety(digits: string): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    if (peer.members !== undefined)
      return this.#notice('Keys are compared with one person: /to NUMBER first.', 'warning');
    if (digits !== '') {
      const agrees = await this.#client.confirmSafetyNumber(peer.user, digits);
      if (agrees) return this.#notice(`The numbers are the same: ${peer.name} is verified.`);
      return this.#notice('The numbers differ. Somebody may stand between you.', 'warning');
    }
    const safety = await this.#client.safetyNumber(peer.user);
    if (safety === undefined) return this.#notice('There is nothing to compare before the first message.', 'warning');
    this.#notice(`Safety number with ${peer.name}, ${describeLevel[safety.level]}:`);
    for (const line of safety.text.split('\n')) this.#notice(`  ${line}`);
    this.#notice('Compare it over the phone or in person. /safety DIGITS compares what the other one reads out.');
  }

  async #acceptIdentity(): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    await this.#client.acceptIdentity(peer.user);
    this.#notice(`You go on with ${peer.name} without having compared. Send again what was refused.`);
  }

  /** Shows a message of ours at once, and fills in what becomes of it. */
  async #post(text: string, enqueue: (peer: Peer) => Promise<SentMessage>): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('Nobody to send to yet. Choose with /to NUMBER.', 'warning');
    const draftId = `draft ${(this.#draftCount += 1)}`;
    const atMs = this.#now();
    const draft = { type: 'sent', id: draftId, number: undefined, text, atMs, state: 'queued' } as const;
    this.#change(addItem(this.#model, draft));
    try {
      const message = await enqueue(peer);
      this.#change(settleDraft(this.#model, draftId, { id: message.id, number: message.number, state: message.state }));
    } catch (error) {
      this.#change(settleDraft(this.#model, draftId, { state: 'refused' }));
      this.#report(error);
    }
  }

  /** Does something to the last message of one direction; the `changed` event shows what came of it. */
  async #alter(type: 'received' | 'sent', work: (peer: string, id: string) => Promise<unknown>): Promise<void> {
    const { peer } = this.#model;
    const target = lastOf(this.#model, type);
    if (peer === undefined || target === undefined) return this.#notice('There is no such message yet.', 'warning');
    try {
      await work(peer.user, target.id);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Shows or chooses who may see that somebody is here and types. */
  async #choosePrivacy(audience: string): Promise<void> {
    try {
      if (audience === '') {
        const { audience: present } = await this.#client.privacy();
        return this.#notice(`You are seen online and typing by ${present}.`);
      }
      if (!isAudience(audience)) return this.#notice('/privacy expected everyone, contacts or nobody', 'warning');
      const { shown, hidden } = await this.#client.privacy();
      await this.#client.setPrivacy({ audience, shown, hidden });
      this.#notice(`You are seen online and typing by ${audience}. Contacts are those to whom you have written.`);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Shows or chooses with whom read receipts are exchanged. */
  async #chooseReceipts(audience: string): Promise<void> {
    if (audience === '') return this.#notice(`Read receipts are exchanged with ${this.#client.readReceipts}.`);
    if (!isAudience(audience)) return this.#notice('/receipts expected everyone, contacts or nobody', 'warning');
    try {
      await this.#client.setReadReceipts(audience);
      this.#notice(`Read receipts are exchanged with ${audience}: whom you do not tell, does not tell you.`);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Links the device that shows `code`. */
  async #approve(code: string): Promise<void> {
    const scanned = decodeLinkCode(code);
    if (scanned === undefined) return this.#report(new ClientError('CLI_LINK_CODE_INVALID'));
    try {
      const device = await this.#client.approveLink(code);
      this.#notice(`Linked ${scanned.name === '' ? 'a device' : `"${scanned.name}"`} as device ${device}.`);
    } catch (error) {
      this.#report(error);
    }
  }

  async #showDevices(): Promise<void> {
    for (const { id, isPrimary, isThis } of await this.#client.devices()) {
      this.#notice(`Device ${id}${isPrimary ? ', the primary one' : ''}${isThis ? ', this one' : ''}.`);
    }
  }

  async #unlink(number: string): Promise<void> {
    if (!/^[0-9]{1,3}$/.test(number))
      return this.#notice('/unlink expected the number of a device, see /devices', 'warning');
    try {
      await this.#client.unlinkDevice(Number(number));
      this.#notice(`Device ${number} is unlinked. It keeps what it has, and gets nothing further.`);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Shows the open chat as the store has it: another device has added to it. */
  async #reload(user: string): Promise<void> {
    const { peer } = this.#model;
    if (peer?.user !== user) return;
    const history = await this.#client.history(user);
    if (this.#model.peer?.user === user) this.#change(openPeer(this.#model, peer, history));
  }

  async #backUp(path: string): Promise<void> {
    if (path === '') return this.#notice('/backup expected the name of a file', 'warning');
    const digits = generateBackupDigits((length) => systemRandom.bytes(length));
    try {
      await writeBackupFile(this.#client, path, { secret: { kind: 'digits', digits } });
      this.#notice(`Written to ${path}. Its key, which is nowhere else: ${digits.match(/.{4}/g)!.join(' ')}`);
    } catch (error) {
      if (ClientError.is(error)) return this.#report(error);
      this.#notice(`The backup could not be written: ${(error as Error).message}`, 'warning');
    }
  }

  async #sendFile(path: string): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('Nobody to send to yet. Choose with /to NUMBER.', 'warning');
    if (path === '') return this.#notice('/send expected the name of a file', 'warning');
    try {
      const attachment = await uploadFile(this.#client, path, { onProgress: this.#progressOf('Sending', path) });
      const body = { kind: 'attachment', ...attachment } as const;
      await this.#post(describeBody({ kind: 'attachment', text: '', attachment }), (to) =>
        this.#client.enqueue(to.user, body),
      );
    } catch (error) {
      this.#reportFile(`${path} could not be sent`, error);
    }
  }

  /** Saves the file that came last in the open conversation, under its own name unless another is given. */
  async #saveLast(path: string): Promise<void> {
    const { peer } = this.#model;
    const history = peer === undefined ? [] : await this.#client.history(peer.user, { limit: 256 });
    const last = history.findLast((item) => item.direction === 'in' && item.kind === 'attachment');
    if (last?.kind !== 'attachment') return this.#notice('No file has come in this conversation.', 'warning');
    const target = path === '' ? safeFileName(last.attachment.name) : path;
    try {
      await saveFile(this.#client, last.attachment, target, { onProgress: this.#progressOf('Receiving', target) });
      this.#notice(`Saved as ${target}, ${last.attachment.bytes} bytes.`);
    } catch (error) {
      this.#reportFile(`${target} could not be saved`, error);
    }
  }

  /** Tells of each quarter of a file that takes long enough to have any. */
  #progressOf(verb: string, name: string): (progress: MediaProgress) => void {
    let told = 0;
    return ({ transferredBytes, totalBytes }) => {
      const quarter = Math.floor((4 * transferredBytes) / totalBytes);
      if (quarter <= told || totalBytes < PROGRESS_BYTES_MIN) return;
      told = quarter;
      this.#notice(`${verb} ${name}: ${quarter * 25} %`);
    };
  }

  #reportFile(what: string, error: unknown): void {
    if (ClientError.is(error)) return this.#report(error);
    this.#notice(`${what}: ${(error as Error).message}`, 'warning');
  }

  #view(): Promise<void> {
    return this.#alter('received', async (peer, id) => {
      const body = await this.#client.view(peer, id);
      this.#notice(`Viewed, and gone: ${describeBody(body)}`);
    });
  }

  /** The newest message as the store has it: a reply shows its quotation. */
  async #refresh(): Promise<void> {
    const { peer } = this.#model;
    const newest = peer && (await this.#client.history(peer.user, { limit: 1 }))[0];
    if (newest !== undefined) this.#change(replaceItem(this.#model, newest.id, itemOf(peer!, newest)));
  }

  async #open(text: string): Promise<void> {
    const phone = tidyPhone(text);
    if (!isPhone(phone)) return this.#notice(`/to ${NUMBER_FORM}`, 'warning');
    if (phone === this.#model.phone) return this.#report(new ClientError('CLI_PEER_SELF'));
    try {
      if (this.#client.state !== 'live') this.#notice(`Looking up ${phone} as soon as there is a connection.`);
      await this.#openPeer({ user: await this.#client.resolve(phone), name: phone });
    } catch (error) {
      this.#report(error);
    }
  }

  async #openPeer(peer: Peer): Promise<void> {
    const history = await this.#client.history(peer.user);
    this.#change(openPeer(this.#model, peer, history));
    const where = peer.members === undefined ? `with ${peer.name}` : `in ${peer.name}`;
    if (history.length === 0) this.#notice(`Messages ${where} are end-to-end encrypted. Say hello.`);
    if ((await this.#client.protection.standing(peer.user)) === 'request' && history.length > 0)
      this.#strangers.ask(peer);
    await this.#client.markRead(peer.user);
  }

  async #showHistory(): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    const history = await this.#client.history(peer.user, { limit: 256 });
    this.#change(openPeer(this.#model, peer, history));
    this.#notice(`${history.length} messages with ${peer.name}.`);
  }

  async #showWho(): Promise<void> {
    const { peer, phone } = this.#model;
    const verified = peer !== undefined && peer.members === undefined && (await this.#client.peer(peer.user)).verified;
    this.#notice(`You are ${phone}, device ${this.#client.account!.device}.`);
    if (peer === undefined) return this.#notice('No conversation is open.');
    if (peer.members !== undefined) return this.#notice(`You write in ${peer.name}. /group members lists them.`);
    this.#notice(
      `You write to ${peer.name} (${verified ? 'number confirmed by the server' : 'number not confirmed'}).`,
    );
  }

  async #readMessages(): Promise<void> {
    try {
      for await (const message of this.#client.messages()) await this.#show(message);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Shows a message if its conversation is open, and then it counts as read; counts it otherwise. */
  async #show(message: ReceivedMessage): Promise<void> {
    const { peer } = this.#model;
    if ((message.group ?? message.from) !== peer?.user) {
      return this.#change(countUnread(this.#model, await this.#nameOf(message)));
    }
    const isShown = this.#model.items.some((item) => item.type === 'received' && item.id === message.id);
    const entry = {
      type: 'received',
      id: message.id,
      name: authorName(peer, message.from),
      atMs: message.sentAt,
    } as const;
    if (!isShown) this.#change(addItem(this.#model, { ...entry, text: describeMessage(message) }));
    await message.markRead();
  }

  async #nameOf({ group, from, phone }: ReceivedMessage): Promise<string> {
    if (group === undefined) return phone ?? from;
    return titleOf(await this.#client.groups.get(group));
  }

  /** Says what happened to a group; the open one gets its new title and names. */
  async #showGroupNews(event: ClientEvent): Promise<void> {
    try {
      const line = await this.#groups.describe(event);
      if (line !== undefined) this.#notice(line, event.type === 'group-alarm' ? 'warning' : 'info');
      const { peer } = this.#model;
      if (event.type !== 'group-changed' || event.group !== peer?.user) return;
      const renewed = await peerOfGroup(this.#client, await this.#client.groups.get(event.group));
      if (this.#model.peer?.user === renewed.user) this.#change({ ...this.#model, peer: renewed });
    } catch (error) {
      this.#report(error);
    }
  }

  /** Members have come further: the marks of the open group as the store has them. */
  async #showGroupProgress(group: string): Promise<void> {
    const { peer } = this.#model;
    if (peer?.user !== group) return;
    for (const item of await this.#client.history(group)) {
      if (item.direction === 'out') this.#change(replaceItem(this.#model, item.id, itemOf(peer, item)));
    }
  }

  #onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'state':
        return this.#change({
          ...this.#model,
          connection: event.state,
          trouble: event.state === 'live' ? undefined : this.#model.trouble,
        });
      case 'retrying':
        return this.#change({ ...this.#model, trouble: event.code });
      case 'stopped':
        this.#change({ ...this.#model, trouble: event.code });
        this.#notice(describeCode(event.code), 'warning');
        return this.#listener.onOver(1);
      case 'changed':
        return this.#showChange(event);
      case 'progress':
        if (event.user === this.#model.peer?.user) this.#change(applyProgress(this.#model, event, this.#device));
        return;
      case 'pruned':
      case 'group-pruned':
        return this.#notice(`Messages to this device are lost: ${describeCode(event.code)}`, 'warning');
      case 'group-joined':
      case 'group-changed':
      case 'group-alarm':
        return void this.#showGroupNews(event);
      case 'group-progress':
        return void this.#showGroupProgress(event.group).catch((error: unknown) => this.#report(error));
      case 'transcript':
      case 'twin-progress':
        return void this.#reload(event.user).catch((error: unknown) => this.#report(error));
      case 'history-transfer':
        return void this.#showTransfer(event).catch((error: unknown) => this.#report(error));
      case 'devices-refused':
        return this.#notice(describeCode(event.code), 'warning');
      case 'refused':
        if (event.user === this.#model.peer?.user) this.#change(refuseFrom(this.#model, event.firstId, this.#device));
        return this.#notice(describeCode(event.code), 'warning');
      case 'identity-changed':
        return this.#notice(describeIdentityChange(this.#model.peer, event), 'warning');
      case 'message-request':
        return void this.#strangers.tell(event.user, this.#model.peer).catch((error: unknown) => this.#report(error));
      case 'forgotten':
        return void this.#reload(event.user).catch((error: unknown) => this.#report(error));
      case 'phone-checked':
        if (!event.verified) this.#notice(`Somebody claims to be ${event.phone}, and is not.`, 'warning');
        return;
      case 'trouble':
        return this.#notice(describeCode(event.code), 'warning');
    }
  }

  /** Says how far a history has come; what has come of the open chat is shown at the end. */
  async #showTransfer(event: ClientEvent & { readonly type: 'history-transfer' }): Promise<void> {
    const line = this.#transfers.describe(event);
    if (line !== undefined) this.#notice(line, event.state === 'failed' ? 'warning' : 'info');
    const { peer } = this.#model;
    if (event.direction === 'in' && event.state !== 'running' && peer !== undefined) await this.#reload(peer.user);
  }

  #showChange({ user, id, item }: ClientEvent & { readonly type: 'changed' }): void {
    const { peer } = this.#model;
    if (user !== peer?.user) return;
    const shown: ChatItem | undefined = item && itemOf(peer, item);
    this.#change(replaceItem(this.#model, id, shown));
  }

  #report(error: unknown): void {
    if (!ClientError.is(error, 'CLI_CLOSED')) this.#notice(describeCode(codeOf(error)), 'warning');
  }

  #notice(text: string, tone: 'info' | 'warning' = 'info'): void {
    this.#change(addNotice(this.#model, text, tone));
  }

  #change(model: ChatModel): void {
    this.#model = model;
    if (!this.#isOver) this.#listener.onChange(model);
  }
}

function isAudience(text: string): text is Audience {
  return text === 'everyone' || text === 'contacts' || text === 'nobody';
}

const describeLevel: Readonly<Record<PeerSafety['level'], string>> = {
  unverified: 'not compared yet',
  verified: 'verified',
  broken: 'CHANGED since you verified it',
};

function describeIdentityChange(
  peer: Peer | undefined,
  event: ClientEvent & { readonly type: 'identity-changed' },
): string {
  const name = event.user === peer?.user ? peer.name : `user ${event.user}`;
  if (event.wasVerified) {
    return `${name}, whom you had verified, has new keys. Compare with /safety, or /accept, before you write.`;
  }
  const consequence = event.accepted ? 'Compare with /safety if that surprises you.' : 'Messages are held back.';
  return `${name} has new keys, probably a new phone. ${consequence}`;
}
