/**
 * The chat between a client and whatever shows it: commands in, model out. It knows no terminal and no line of output.
 *
 * Each change of the model is announced once; `interactive.ts` draws it, `piped.ts` prints what is new in it.
 */

import { ClientError, codeOf, describeCode } from '../../index.ts';
import type { Client, ClientEvent, ReceivedMessage } from '../../index.ts';
import { NUMBER_FORM, tidyPhone } from './arguments.ts';
import {
  addItem,
  addNotice,
  applyProgress,
  countUnread,
  describeBody,
  initialModel,
  openPeer,
  refuseFrom,
  settleDraft,
} from './model.ts';
import type { ChatModel, Peer } from './model.ts';
import { isPhone } from '../../../protocol/wire/index.ts';

/** Whom a session tells. */
export interface SessionListener {
  onChange(model: ChatModel): void;
  /** The chat is over; `code` is the exit code. */
  onOver(code: number): void;
}

const COMMANDS = 'Commands: /to NUMBER, /history, /who, /help, /quit. Anything else is sent.';

/** One run of the chat. */
export class ChatSession {
  readonly #client: Client;
  readonly #listener: SessionListener;
  readonly #now: () => number;
  readonly #stopListening: () => void;
  #model: ChatModel;
  #draftCount = 0;
  #isOver = false;

  /** @param now - Wall time, for the entries of the transcript. */
  constructor(client: Client, now: () => number, listener: SessionListener) {
    this.#client = client;
    this.#now = now;
    this.#listener = listener;
    this.#model = { ...initialModel(client.account!.phone), connection: client.state };
    this.#stopListening = client.onEvent((event) => this.#onEvent(event));
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
    switch (command) {
      case '/to':
        return this.#open(rest.join(''));
      case '/history':
        return this.#showHistory();
      case '/who':
        return this.#showWho();
      case '/help':
        return this.#notice(COMMANDS);
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

  async #send(text: string): Promise<void> {
    const { peer } = this.#model;
    if (peer === undefined) return this.#notice('Nobody to send to yet. Choose with /to NUMBER.', 'warning');
    const draftId = `draft ${(this.#draftCount += 1)}`;
    const atMs = this.#now();
    const draft = { type: 'sent', id: draftId, number: undefined, text, atMs, state: 'queued' } as const;
    this.#change(addItem(this.#model, draft));
    try {
      const message = await this.#client.enqueue(peer.user, text);
      this.#change(settleDraft(this.#model, draftId, { id: message.id, number: message.number, state: message.state }));
    } catch (error) {
      this.#change(settleDraft(this.#model, draftId, { state: 'refused' }));
      this.#report(error);
    }
  }

  async #open(text: string): Promise<void> {
    const phone = tidyPhone(text);
    if (!isPhone(phone)) return this.#notice(`/to ${NUMBER_FORM}`, 'warning');
    if (phone === this.#model.phone) return this.#report(new ClientError('CLI_PEER_SELF'));
    try {
      if (this.#client.state !== 'live') this.#notice(`Looking up ${phone} as soon as there is a connection.`);
      const user = await this.#client.resolve(phone);
      const history = await this.#client.history(user);
      this.#change(openPeer(this.#model, { user, name: phone }, history));
      if (history.length === 0) this.#notice(`Messages with ${phone} are end-to-end encrypted. Say hello.`);
      await this.#client.markRead(user);
    } catch (error) {
      this.#report(error);
    }
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
    const verified = peer !== undefined && (await this.#client.peer(peer.user)).verified;
    this.#notice(`You are ${phone}, device ${this.#client.account!.device}.`);
    if (peer === undefined) return this.#notice('No conversation is open.');
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
    const peer = peerOf(message);
    if (message.from !== this.#model.peer?.user) {
      return this.#change(countUnread(this.#model, peer.name));
    }
    const isShown = this.#model.items.some((item) => item.type === 'received' && item.id === message.id);
    const entry = { type: 'received', id: message.id, name: this.#model.peer.name, atMs: message.sentAt } as const;
    if (!isShown) this.#change(addItem(this.#model, { ...entry, text: describeBody(message) }));
    await message.markRead();
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
      case 'progress':
        if (event.user === this.#model.peer?.user) this.#change(applyProgress(this.#model, event));
        return;
      case 'refused':
        if (event.user === this.#model.peer?.user) this.#change(refuseFrom(this.#model, event.firstId));
        return this.#notice(describeCode(event.code), 'warning');
      case 'identity-changed':
        return this.#notice(describeIdentityChange(this.#model.peer, event), 'warning');
      case 'phone-checked':
        if (!event.verified) this.#notice(`Somebody claims to be ${event.phone}, and is not.`, 'warning');
        return;
      case 'trouble':
        return this.#notice(describeCode(event.code), 'warning');
    }
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

function peerOf({ from, phone }: ReceivedMessage): Peer {
  return { user: from, name: phone ?? from };
}

function describeIdentityChange(
  peer: Peer | undefined,
  event: ClientEvent & { readonly type: 'identity-changed' },
): string {
  const name = event.user === peer?.user ? peer.name : `user ${event.user}`;
  const consequence = event.accepted ? 'Compare safety numbers if that surprises you.' : 'Messages are held back.';
  return `${name} has new keys, probably a new phone. ${consequence}`;
}
