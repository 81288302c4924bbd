/**
 * One message on the page.
 */

import type { HistoryItem } from '../index.ts';
import { openReached } from './dialogs.ts';
import { button, make, signButton } from './dom.ts';
import { fileParts } from './files.ts';
import type { Session } from './session.ts';
import { clockOf, isoOf, STATE_MARKS, summaryOf } from './words.ts';

/** What one may do with a message. */
export interface MessageActions {
  reply(item: HistoryItem): void;
  forward(item: HistoryItem): void;
  edit(item: HistoryItem): void;
  /** An empty `emoji` takes the reaction back. */
  react(item: HistoryItem, emoji: string): unknown;
  delete(item: HistoryItem): unknown;
  view(item: HistoryItem): unknown;
  /** Of one that was refused. */
  resend(item: HistoryItem): unknown;
}

const EMOJI = ['👍', '❤️', '😂', '😮', '😢'] as const;

/** Kinds whose text is ours and not the sender's. */
const QUIET: ReadonlySet<HistoryItem['kind']> = new Set(['deleted', 'unsupported', 'undecryptable', 'view-once']);

/** Draws a message. */
export function messageNode(session: Session, item: HistoryItem, actions: MessageActions): HTMLElement {
  if (item.kind === 'timer') return make('span', { className: 'event' }, summaryOf(item));
  const isOut = item.direction === 'out';
  const { group, isFormerGroup = false } = session.openChat ?? {};
  const isGroup = group !== undefined || isFormerGroup;
  return make(
    'article',
    {
      className: `message ${item.direction}${QUIET.has(item.kind) ? ' quiet' : ''}`,
      data: { id: item.id },
      tabIndex: 0,
    },
    !isOut && isGroup && make('span', { className: 'author' }, session.authorOf(item.from!)),
    item.kind === 'reply' && make('blockquote', {}, item.quote),
    ...(item.kind === 'attachment' ? fileParts(session, item.attachment) : []),
    textOf(item) !== '' && make('div', { className: 'text' }, textOf(item)),
    item.kind === 'view-once' && !isOut && item.viewedAt === undefined && button('View', () => actions.view(item)),
    reactions(session, item),
    foot(session, item),
    QUIET.has(item.kind) || isFormerGroup ? undefined : underneath(session, item, actions),
  );
}

function textOf(item: HistoryItem): string {
  return QUIET.has(item.kind) ? summaryOf(item) : item.text;
}

function reactions(session: Session, item: HistoryItem): HTMLElement | undefined {
  const { reactions: given } = item;
  if (given.length === 0) return undefined;
  const self = session.client.account!.user;
  const who = given
    .map(({ author, emoji }) => `${author === self ? 'You' : session.authorOf(author)} ${emoji}`)
    .join(', ');
  const node = button(given.map(({ emoji }) => emoji).join(' '), () => openReached(session, item), 'reactions');
  node.title = who;
  node.setAttribute('aria-label', `Reactions: ${who}`);
  return node;
}

function foot(session: Session, item: HistoryItem): HTMLElement {
  const { sentAt, editedAt, expiresAt, viewedAt, isForwarded, state, failure, members } = item;
  const dateTime = isoOf(sentAt);
  const [mark, meaning] = state === undefined ? ['', ''] : STATE_MARKS[state];
  const reached = members.map((member) => `${session.authorOf(member.user)}: ${member.state}`).join('\n');
  const title = failure === undefined ? reached || meaning : `${meaning}: ${failure}`;
  return make(
    'div',
    { className: 'foot' },
    isForwarded && make('span', {}, 'forwarded'),
    viewedAt !== undefined && make('span', {}, 'viewed'),
    editedAt !== undefined && make('span', {}, 'edited'),
    expiresAt !== undefined && make('span', {}, 'disappears'),
    make('time', dateTime === undefined ? {} : { dateTime }, clockOf(sentAt)),
    mark !== '' && reachable(session, item, stateMark(`state ${state}`, title, meaning, mark)),
  );
}

function stateMark(className: string, title: string, label: string, mark: string): HTMLElement {
  return make('span', { className, title, role: 'img', aria: { label } }, mark);
}

/** In a group the mark opens how far each member is, and that of a refused message why: a tooltip is neither for fingers nor for keys. */
function reachable(session: Session, item: HistoryItem, mark: HTMLElement): HTMLElement {
  if (item.members.length === 0 && item.failure === undefined) return mark;
  const opener = button('', () => openReached(session, item), 'reached');
  opener.append(mark);
  return opener;
}

/** What one may do with a message; with one that nobody has, nothing but to send it again. */
function underneath(session: Session, item: HistoryItem, actions: MessageActions): HTMLElement {
  if (item.state === 'refused') return button('Send again', () => actions.resend(item), 'again');
  return tools(session, item, actions);
}

function tools(session: Session, item: HistoryItem, actions: MessageActions): HTMLElement {
  const self = session.client.account!.user;
  const mine = item.reactions.find(({ author }) => author === self)?.emoji;
  const isOwnText = item.direction === 'out' && (item.kind === 'text' || item.kind === 'reply');
  return make(
    'div',
    { className: 'tools' },
    ...EMOJI.map((emoji) =>
      signButton(emoji, `React with ${emoji}`, () => actions.react(item, mine === emoji ? '' : emoji)),
    ),
    signButton('↩', 'Answer', () => actions.reply(item)),
    signButton('↪', 'Forward', () => actions.forward(item)),
    isOwnText && signButton('✎', 'Change', () => actions.edit(item)),
    item.direction === 'out' && signButton('✕', 'Delete for everyone', () => actions.delete(item)),
  );
}
