/**
 * The right column: the open chat, and the field to write in.
 */

import { spanOf } from '../../quantities.ts';
import type { GroupInfo, HistoryItem, Standing } from '../index.ts';
import { openForward, openPerson, openViewedFile } from './dialogs.ts';
import { arrange, button, make, Nodes, signButton } from './dom.ts';
import { sendFiles } from './files.ts';
import { openGroup } from './group-dialog.ts';
import { messageNode, type MessageActions } from './message-view.ts';
import { openSafety } from './safety-dialog.ts';
import type { KeysState, OpenChat, Session } from './session.ts';
import { dayOf, isSameDay, presenceText, summaryOf, typistsText } from './words.ts';

/** What the next message is about, beside itself. */
type About = { readonly kind: 'reply' | 'edit'; readonly item: HistoryItem } | undefined;

/** How near to the end, in pixels, counts as being there: then new messages scroll into view. */
const NEAR_END_PX = 80;

export class ConversationView {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #nowMs: () => number;
  readonly #title = make('strong');
  readonly #presence = make('small', { role: 'status' });
  readonly #timer = make('select', { title: 'Disappearing messages', aria: { label: 'Disappearing messages' } });
  readonly #messages = make('div', { className: 'messages', role: 'log', aria: { label: 'Messages' } });
  readonly #about = make('div', { className: 'about' });
  readonly #request = make('div', { role: 'group', aria: { label: 'Message request' } });
  #requestStanding: Standing | undefined;
  readonly #keys = make('div', { role: 'alert', aria: { label: 'Changed keys' } });
  #keysShown: KeysState = 'known';
  #isFormerGroup = false;
  readonly #text = make('textarea', { name: 'text', rows: 1, placeholder: 'Message', aria: { label: 'Message' } });
  readonly #content = make('section', { className: 'talk' });
  readonly #nodes: Nodes<HistoryItem>;
  #aboutWhat: About;
  #peer: string | undefined;
  /** Drafts of the other chats. */
  readonly #drafts = new Map<string, string>();

  constructor(session: Session, nowMs: () => number) {
    this.#session = session;
    this.#nowMs = nowMs;
    this.#nodes = new Nodes<HistoryItem>((item) => messageNode(session, item, this.#actions()));
    this.#fillTimer();
    this.element = this.#content;
    this.update();
  }

  update(): void {
    const chat = this.#session.openChat;
    if (chat === undefined) {
      this.#leave();
      this.#content.replaceChildren(
        make(
          'p',
          { className: 'empty' },
          'Choose a chat, or write to a number. Only you and the people you write to can read it.',
        ),
      );
      return;
    }
    if (this.#peer !== chat.peer || this.#isFormerGroup !== chat.isFormerGroup) this.#enter(chat);
    this.#title.textContent = chat.title;
    this.#presence.textContent = this.#underTitle(chat);
    this.#showMessages(chat);
    this.#showRequest(chat);
    this.#showKeys(chat);
  }

  #underTitle({ group, presence, typists, isFormerGroup }: OpenChat): string {
    if (isFormerGroup) return 'You left before this browser was linked: there is nobody here to write to.';
    if (group === undefined) return presenceText(presence, this.#nowMs());
    const typing = typistsText(typists.map(({ user }) => this.#session.authorOf(user)));
    return typing === '' ? `${group.members.length} members` : typing;
  }

  /** What is to be decided about a stranger, or was about somebody who is blocked. Drawn anew only when it changes: it has buttons. */
  #showRequest({ standing, items, group }: OpenChat): void {
    const isQuiet = group === undefined && items.length === 0;
    const shown = standing === 'request' && isQuiet ? 'open' : standing;
    if (shown === this.#requestStanding) return;
    this.#requestStanding = shown;
    this.#request.className = shown === 'request' || shown === 'blocked' ? 'request' : '';
    const nodes =
      group === undefined
        ? requestNodes(this.#session, this.#peer!, shown)
        : invitationNodes(this.#session, group, shown);
    this.#request.replaceChildren(...nodes);
  }

  /** That the other one's keys have changed, until the person here has done something about it. Drawn anew only when it changes. */
  #showKeys({ keys, peer, title }: OpenChat): void {
    if (keys === this.#keysShown) return;
    this.#keysShown = keys;
    this.#keys.className = keys === 'known' ? '' : 'request alarm';
    this.#keys.replaceChildren(...keysNodes(this.#session, peer, title, keys));
  }

  #enter(chat: OpenChat): void {
    this.#leave();
    this.#peer = chat.peer;
    this.#isFormerGroup = chat.isFormerGroup;
    this.#text.value = this.#drafts.get(chat.peer) ?? '';
    this.#setAbout(undefined);
    this.#requestStanding = undefined;
    this.#keysShown = 'known';
    this.#keys.className = '';
    this.#keys.replaceChildren();
    const parts = [this.#header(chat), this.#messages, this.#keys, this.#request];
    this.#content.replaceChildren(...parts, ...(chat.isFormerGroup ? [] : [this.#compose()]));
    this.#messages.replaceChildren();
    this.#text.focus();
  }

  #leave(): void {
    if (this.#peer !== undefined) this.#drafts.set(this.#peer, this.#text.value);
    this.#peer = undefined;
  }

  #header({ group, isFormerGroup }: OpenChat): HTMLElement {
    const details = (): unknown => {
      const chat = this.#session.openChat!;
      if (chat.group === undefined) return openSafety(this.#session, chat.peer, chat.title);
      return openGroup(this.#session, chat.group);
    };
    const more = (): void => openPerson(this.#session, this.#session.openChat!);
    const back = signButton('←', 'Back to the chats', () => this.#session.closeChat());
    back.classList.add('only-narrow');
    const who = make('div', { className: 'who' }, this.#title, this.#presence);
    if (isFormerGroup) return make('header', {}, back, who);
    return make(
      'header',
      {},
      back,
      who,
      this.#timer,
      button(group === undefined ? 'Safety number' : 'Members', details),
      group === undefined && signButton('⋯', 'More about this chat', more),
    );
  }

  #fillTimer(): void {
    this.#timer.append(make('option', { value: '0' }, 'Messages stay'));
    for (const seconds of [86_400, 604_800, 7_776_000]) this.#offerTimer(seconds);
    this.#timer.style.width = 'auto';
    this.#timer.onchange = () => void this.#session.setTimer(Number(this.#timer.value));
  }

  #offerTimer(seconds: number): void {
    this.#timer.append(make('option', { value: String(seconds) }, spanOf(seconds)));
  }

  /** The terminal, or another program, may have set any timer. */
  #showTimer({ timerSeconds }: OpenChat): void {
    const value = String(timerSeconds);
    if (![...this.#timer.options].some((option) => option.value === value)) this.#offerTimer(timerSeconds);
    if (this.#timer.value !== value) this.#timer.value = value;
  }

  #showMessages(chat: OpenChat): void {
    this.#showTimer(chat);
    const list = this.#messages;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    const names = (item: HistoryItem): string => (item.from === undefined ? '' : this.#session.authorOf(item.from));
    const nodes = this.#nodes.show(
      chat.items.map((item) => ({
        name: item.id,
        shown: JSON.stringify([item, names(item), chat.isFormerGroup], plainBytes),
        item,
      })),
    );
    arrange(list, this.#withDays(chat, nodes));
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  /** Headings between the days, and the way to older messages above them. */
  #withDays({ items, hasEarlier }: OpenChat, nodes: readonly HTMLElement[]): HTMLElement[] {
    const all: HTMLElement[] = hasEarlier ? [button('Earlier messages', () => this.#session.showEarlier())] : [];
    items.forEach((item, index) => {
      const before = items[index - 1];
      if (before === undefined || !isSameDay(before.sentAt, item.sentAt)) {
        all.push(make('span', { className: 'day' }, dayOf(item.sentAt)));
      }
      all.push(nodes[index]!);
    });
    return all;
  }

  #compose(): HTMLElement {
    const files = make('input', { type: 'file', multiple: true, hidden: true });
    const once = make('input', { type: 'checkbox' });
    files.onchange = () => {
      const [peer, chosen, viewOnce] = [this.#peer!, [...(files.files ?? [])], once.checked];
      files.value = '';
      // For these files only: nobody should have to remember what the next one is to be.
      once.checked = false;
      void this.#session.attempt(() => sendFiles(this.#session, peer, chosen, viewOnce));
    };
    this.#text.oninput = () => {
      const { client } = this.#session;
      const typing = this.#text.value === '' ? 'paused' : 'composing';
      void client.setTyping(this.#peer!, typing).catch(() => undefined);
      this.#text.rows = Math.min(6, this.#text.value.split('\n').length);
    };
    this.#text.onkeydown = (event) => {
      // Not while an input method composes a character: its Enter means the character.
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        void this.#send();
      } else if (event.key === 'Escape') this.#setAbout(undefined);
    };
    const onsubmit = (event: Event): void => {
      event.preventDefault();
      void this.#send();
    };
    return make(
      'form',
      { className: 'compose', onsubmit },
      this.#about,
      files,
      button('File', () => files.click()),
      make('label', { className: 'once', title: 'The next file can be viewed once, and is gone then' }, once, 'Once'),
      this.#text,
      make('button', { className: 'primary' }, 'Send'),
    );
  }

  async #send(): Promise<void> {
    const { client } = this.#session;
    const [text, peer, about] = [this.#text.value.trim(), this.#peer!, this.#aboutWhat];
    if (text === '') return;
    // Taken out of the field at once: a second Enter must not send it twice. Put back if it did not go.
    this.#text.value = '';
    this.#text.rows = 1;
    this.#setAbout(undefined);
    this.#messages.scrollTop = this.#messages.scrollHeight;
    const went = await this.#session.attempt(() => {
      if (about?.kind === 'reply') return client.reply(peer, about.item.id, text);
      if (about?.kind === 'edit') return client.edit(peer, about.item.id, text);
      return client.enqueue(peer, text);
    });
    if (went) return;
    // Who has gone to another chat finds it there when they come back.
    if (this.#peer !== peer) return void this.#drafts.set(peer, this.#drafts.get(peer) || text);
    if (this.#text.value !== '') return;
    this.#text.value = text;
    this.#setAbout(about);
  }

  #actions(): MessageActions {
    const { client } = this.#session;
    const inPeer = (work: (peer: string) => Promise<unknown>): Promise<boolean> =>
      this.#session.attempt(() => work(this.#peer!));
    return {
      reply: (item) => this.#setAbout({ kind: 'reply', item }),
      forward: (item) => openForward(this.#session, this.#peer!, item),
      edit: (item) => this.#setAbout({ kind: 'edit', item }),
      react: (item, emoji) => inPeer((peer) => client.react(peer, item.id, emoji)),
      resend: (item) => inPeer((peer) => client.resend(peer, item.id)),
      delete: (item) => inPeer((peer) => client.deleteForEveryone(peer, item.id)),
      view: (item) =>
        inPeer(async (peer) => {
          const body = await client.view(peer, item.id);
          if (body.kind === 'attachment') openViewedFile(this.#session, body);
          else this.#session.tell(`Viewed once: ${summaryOf(body)}`);
        }),
    };
  }

  #setAbout(about: About): void {
    this.#aboutWhat = about;
    if (about === undefined) return this.#about.replaceChildren();
    const what = about.kind === 'reply' ? 'Answer to' : 'Change';
    if (about.kind === 'edit') this.#text.value = about.item.text;
    this.#about.replaceChildren(
      make('span', {}, `${what}: ${summaryOf(about.item).slice(0, 80)}`),
      signButton('✕', 'Never mind', () => this.#setAbout(undefined)),
    );
    this.#text.focus();
  }
}

/** The question about a stranger, with its answers. */
function requestNodes(session: Session, peer: string, standing: Standing): HTMLElement[] {
  const { client } = session;
  const decide = (text: string, work: () => Promise<unknown>, className?: string): HTMLElement =>
    button(text, () => session.attempt(work), className);
  if (standing === 'blocked') {
    return [
      make('span', {}, 'Blocked: nothing that they write arrives, and they are not told.'),
      decide('Unblock', () => client.protection.unblock(peer)),
    ];
  }
  if (standing !== 'request') return [];
  return [
    make('span', {}, 'You have not written with them before. They learn nothing until you accept, or answer.'),
    decide('Accept', () => client.protection.accept(peer), 'primary'),
    decide('Block', () => client.protection.block(peer)),
    decide('Delete', () => client.forget(peer)),
  ];
}

/** What has to be decided, or seen, about changed keys. */
function keysNodes(session: Session, peer: string, title: string, keys: KeysState): HTMLElement[] {
  if (keys === 'known') return [];
  const compare = button('Compare', () => openSafety(session, peer, title), 'primary');
  if (keys === 'broken') {
    return [
      make(
        'span',
        {},
        `The keys of ${title} have changed since you compared them. Nothing goes out to them before you have decided.`,
      ),
      compare,
      button('Go on without comparing', () => session.attempt(() => session.goOnWith(peer))),
    ];
  }
  return [
    make('span', {}, `${title} has new keys: a new device, or somebody stands between you.`),
    compare,
    button('Understood', () => session.attempt(() => session.noteKeys(peer))),
  ];
}

/** The question in a group into which a stranger has brought us. */
function invitationNodes(session: Session, { inviter, name }: GroupInfo, standing: Standing): HTMLElement[] {
  if (standing !== 'request') return [];
  const { protection, groups } = session.client;
  return [
    make(
      'span',
      {},
      `${session.authorOf(inviter)} brought you here. Nobody learns what you read until you accept, or write.`,
    ),
    button('Accept', () => session.attempt(() => protection.accept(inviter)), 'primary'),
    button('Leave', () => session.attempt(() => groups.leave(name))),
  ];
}

/** Bytes as something short: they are secret keys and digests, and only whether they change matters. */
function plainBytes(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? value.length : value;
}
