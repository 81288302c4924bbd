/**
 * The chat between a client and whatever shows it: commands in, model out. It knows no terminal and no line of output.
 *
 * Each change of the model is announced once; `interactive.ts` draws it, `piped.ts` prints what is new in it.
 */

import { CLIENT_LIMITS, ClientError, codeOf, describeCode } from '../../index.ts';
import type { Client, ClientEvent, ReceivedMessage, SentMessage } from '../../index.ts';
import { AccountCommands } from './account-commands.ts';
import { NUMBER_FORM, tidyPhone } from './arguments.ts';
import { FileCommands } from './file-commands.ts';
import { GroupCommands, nameOfUser, peerOfGroup, titleOf } from './group-commands.ts';
import { FIRST_STEPS, TOPIC_LINES } from './help.ts';
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
  refuseFrom,
  replaceItem,
  settleDraft,
} from './model.ts';
import type { ChatItem, ChatModel, Notice, Peer } from './model.ts';
import { OverviewCommands } from './overview-commands.ts';
import { describeIdentityChange, SafetyCommands } from './safety-commands.ts';
import { StrangerCommands } from './stranger-commands.ts';
import { TransferCommands } from './transfer-commands.ts';
import { parseSpan } from '../../quantities.ts';
import { isPhone } from '../../../protocol/wire/index.ts';

/** Whom a session tells. */
export interface SessionListener {
  onChange(model: ChatModel): void;
  /** The chat is over; `code` is the exit code. */
  onOver(code: number): void;
}

/** One run of the chat. */
export class ChatSession {
  readonly #client: Client;
  readonly #listener: SessionListener;
  readonly #now: () => number;
  readonly #stopListening: () => void;
  #model: ChatModel;
  readonly #account: AccountCommands;
  readonly #files: FileCommands;
  readonly #groups: GroupCommands;
  readonly #safety: SafetyCommands;
  readonly #transfers: TransferCommands;
  readonly #strangers: StrangerCommands;
  readonly #overview: OverviewCommands;
  #draftCount = 0;
  /** Counts what was asked to be opened: the last one is, whatever is found first. */
  #openCount = 0;
  #isOver = false;

  /** @param now - Wall time, for the entries of the transcript. */
  constructor(client: Client, now: () => number, listener: SessionListener) {
    this.#client = client;
    this.#now = now;
    this.#listener = listener;
    this.#model = { ...initialModel(client.account!.phone), connection: client.state };
    const notice: Notice = (text, tone) => this.#notice(text, tone);
    this.#account = new AccountCommands(client, notice);
    this.#files = new FileCommands(client, notice, (peer, text, body) =>
      this.#postTo(peer, text, () => client.enqueue(peer.user, body)),
    );
    this.#groups = new GroupCommands({
      client,
      openGroup: () => (this.#model.peer?.members === undefined ? undefined : this.#model.peer),
      open: async (group) => this.#openPeer(await peerOfGroup(client, group)),
      notice,
    });
    this.#safety = new SafetyCommands(client, notice, (user) => this.#reload(user));
    this.#transfers = new TransferCommands(client, notice);
    this.#strangers = new StrangerCommands(client, notice);
    this.#overview = new OverviewCommands(client, notice);
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
    if (to === undefined) this.#notice(FIRST_STEPS);
    else await this.#open(to);
  }

  /** Replaces the line being typed. */
  edit(editor: ChatModel['editor']): void {
    this.#change({ ...this.#model, editor });
  }

  /** A line was entered: a command, or a message to the peer. Resolves when it has been dealt with; what went wrong has been said. */
  async enter(text: string): Promise<void> {
    try {
      if (text.startsWith('/')) await this.#obey(text);
      else if (text !== '') await this.#send(text);
    } catch (error) {
      this.#report(error);
    }
  }

  async #obey(text: string): Promise<void> {
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
        return this.#files.send(this.#model.peer, words);
      case '/save':
        return this.#files.save(this.#model.peer, words);
      case '/backup':
        return this.#files.backUp(words);
      case '/safety':
        return this.#safety.compare(this.#model.peer, words);
      case '/again':
        return this.#safety.again(this.#model.peer);
      case '/privacy':
        return this.#account.choosePrivacy(words);
      case '/receipts':
        return this.#account.chooseReceipts(words);
      case '/link':
        return this.#notice('/link is for a new device, at the question for the code. Here: /approve CODE.', 'warning');
      case '/approve':
        return this.#account.approve(words);
      case '/devices':
        return this.#account.showDevices();
      case '/transfer':
        return this.#transfers.run(words);
      case '/unlink':
        return this.#account.unlink(words);
      case '/accept':
        if (await this.#strangers.accept(this.#model.peer)) return;
        return this.#safety.accept(this.#model.peer);
      case '/block':
      case '/unblock':
      case '/forget':
      case '/strangers':
        return this.#strangers.run(command, words, this.#model.peer);
      case '/to':
        return this.#open(rest.join(''));
      case '/group':
        return this.#groups.run(words);
      case '/history':
        return this.#showHistory();
      case '/who':
        return this.#overview.showWho(this.#model.peer);
      case '/chats':
        return this.#overview.showChats();
      case '/seen':
        return this.#overview.showSeen(this.#model.peer);
      case '/help':
        return TOPIC_LINES.forEach((line) => this.#notice(line));
      case '/quit':
        return this.quit();
      default:
        this.#notice(`${command} is not a command. /help lists them.`, 'warning');
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

  /** Sets when messages of this chat are forgotten; without a span it says when they are. */
  async #setTimer(span: string): Promise<void> {
    const { peer } = this.#model;
    if (span === '' && peer !== undefined) {
      const present = await this.#client.timer(peer.user);
      return this.#notice(describeBody({ kind: 'timer', text: '', seconds: present }));
    }
    const seconds = parseSpan(span);
    if (seconds === undefined || seconds > CLIENT_LIMITS.timerSecondsMax) {
      return this.#notice('/timer expected a time such as 30s, 5m, 8h or 7d, or off', 'warning');
    }
    const text = describeBody({ kind: 'timer', text: '', seconds });
    await this.#post(text, (peer) => this.#client.setTimer(peer.user, seconds));
  }

  async #post(text: string, enqueue: (peer: Peer) => Promise<SentMessage>): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('Nobody to send to yet. Choose with /to NUMBER.', 'warning');
    await this.#postTo(peer, text, () => enqueue(peer));
  }

  /** Shows a message of ours at once, and fills in what becomes of it. @param peer - Whose chat may have been left for another meanwhile. */
  async #postTo(peer: Peer, text: string, enqueue: () => Promise<SentMessage>): Promise<void> {
    const draftId = `draft ${(this.#draftCount += 1)}`;
    const atMs = this.#now();
    const draft = { type: 'sent', id: draftId, number: undefined, text, atMs, state: 'queued' } as const;
    if (peer.user === this.#model.peer?.user) this.#change(addItem(this.#model, draft));
    else this.#notice(`To ${peer.name}: ${text}`);
    try {
      const message = await enqueue();
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
    await work(peer.user, target.id);
  }

  /** Shows the open chat as the store has it: another device has added to it. */
  async #reload(user: string): Promise<void> {
    const { peer } = this.#model;
    if (peer?.user !== user) return;
    const history = await this.#client.history(user);
    if (this.#model.peer?.user === user) this.#change(openPeer(this.#model, peer, history));
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
    const turn = (this.#openCount += 1);
    try {
      if (this.#client.state !== 'live') this.#notice(`Looking up ${phone} as soon as there is a connection.`);
      const user = await this.#client.resolve(phone);
      // Somebody else was chosen meanwhile, and perhaps a message is being typed there.
      if (turn === this.#openCount) await this.#openPeer({ user, name: phone });
    } catch (error) {
      this.#report(error);
    }
  }

  async #openPeer(peer: Peer): Promise<void> {
    const turn = (this.#openCount += 1);
    const history = await this.#client.history(peer.user);
    if (turn !== this.#openCount) return;
    this.#change(openPeer(this.#model, peer, history));
    const where = peer.members === undefined ? `with ${peer.name}` : `in ${peer.name}`;
    if (history.length === 0) this.#notice(`Messages ${where} are end-to-end encrypted. Say hello.`);
    if (history.length > 0 || peer.members !== undefined) await this.#strangers.askAbout(peer);
    await this.#client.markRead(peer.user);
  }

  async #showHistory(): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    const history = await this.#client.history(peer.user, { limit: 256 });
    if (this.#model.peer?.user !== peer.user) return;
    this.#change(openPeer(this.#model, peer, history));
    this.#notice(`${history.length} messages with ${peer.name}.`);
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
      case 'lost':
        return void this.#showLoss(event).catch((error: unknown) => this.#report(error));
      case 'identity-changed':
        return void this.#showNewKeys(event).catch((error: unknown) => this.#report(error));
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

  /** Messages of ours were given up before anybody got them. */
  async #showLoss({ user, code }: ClientEvent & { readonly type: 'lost' }): Promise<void> {
    await this.#reload(user);
    const name = user === this.#model.peer?.user ? this.#model.peer.name : await nameOfUser(this.#client, user);
    this.#notice(`Messages to ${name} were given up: ${describeCode(code)}`, 'warning');
  }

  /** Says how far a history has come; what has come of the open chat is shown at the end. */
  async #showTransfer(event: ClientEvent & { readonly type: 'history-transfer' }): Promise<void> {
    const line = this.#transfers.describe(event);
    if (line !== undefined) this.#notice(line, event.state === 'failed' ? 'warning' : 'info');
    const { peer } = this.#model;
    if (event.direction === 'in' && event.state !== 'running' && peer !== undefined) await this.#reload(peer.user);
  }

  async #showNewKeys(event: ClientEvent & { readonly type: 'identity-changed' }): Promise<void> {
    this.#notice(describeIdentityChange(await nameOfUser(this.#client, event.user), event), 'warning');
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
