/**
 * The left column: who one is, whom one talks with, and how to begin.
 */

import type { ConnectionState } from '../index.ts';
import { arrange, button, make, Nodes } from './dom.ts';
import { openDevices, openSettings } from './dialogs.ts';
import { openNewGroup } from './group-dialog.ts';
import { joinByLink, tellOfJoining } from './joining.ts';
import type { Chat, Session } from './session.ts';
import { initialsOf, isSameDay, clockOf, dayOf, phoneIn } from './words.ts';

/** What the connection is doing, in words; nothing while all is well. */
const CONNECTION_TEXT: Readonly<Record<ConnectionState, string>> = {
  offline: 'no connection',
  connecting: 'connecting …',
  authenticating: 'connecting …',
  draining: 'receiving messages …',
  live: '',
  closed: 'closed',
};

/** Makes the column. @returns It, and what brings it up to date. */
export function chatsView(session: Session, nowMs: () => number): { element: HTMLElement; update: () => void } {
  const connection = make('small', { role: 'status' });
  const list = make('ul', { className: 'chats' });
  const nodes = new Nodes<Chat>((chat) => line(session, chat, nowMs()));
  const update = (): void => {
    const text = CONNECTION_TEXT[session.connection];
    connection.textContent = text + (session.trouble === undefined || text === '' ? '' : ` (${session.trouble})`);
    const open = session.openChat?.peer;
    arrange(
      list,
      nodes.show(
        session.chats.map((chat) => ({
          name: chat.peer,
          shown: JSON.stringify([chat, chat.peer === open]),
          item: chat,
        })),
      ),
    );
  };
  tellOfJoining(session);
  const element = make(
    'nav',
    { className: 'side', aria: { label: 'Chats' } },
    make(
      'header',
      {},
      make('div', { className: 'who' }, make('strong', {}, session.client.account!.phone), connection),
    ),
    startForm(session),
    list,
    make(
      'footer',
      {},
      button('New group', () => openNewGroup(session)),
      button('Devices', () => openDevices(session)),
      button('Settings', () => openSettings(session)),
    ),
  );
  return { element, update };
}

/** One field for both ways of beginning: a number, or the link of a group. */
function startForm(session: Session): HTMLElement {
  const field = make('input', {
    name: 'to',
    required: true,
    placeholder: 'Number, or a group’s link',
    autocomplete: 'off',
    aria: { label: 'Phone number or link of a group' },
  });
  const begin = async (): Promise<void> => {
    const text = field.value.trim();
    const isNumber = /^[+0-9]/.test(text);
    const went = await session.attempt(() => (isNumber ? session.openPeer(phoneIn(text)) : joinByLink(session, text)));
    if (went) field.value = '';
  };
  const onsubmit = (event: Event): void => {
    event.preventDefault();
    void begin();
  };
  return make('form', { className: 'start', onsubmit }, field, make('button', {}, 'Chat'));
}

function line(session: Session, chat: Chat, nowMs: number): HTMLElement {
  const { peer, title, preview, atMs, unreadCount, standing } = chat;
  const isOpen = session.openChat?.peer === peer;
  const when = atMs === 0 ? '' : isSameDay(atMs, nowMs) ? clockOf(atMs) : dayOf(atMs);
  const content = button('', () => session.attempt(() => session.openPeer(peer)));
  content.setAttribute('aria-current', String(isOpen));
  content.append(
    make('span', { className: 'face', aria: { hidden: 'true' } }, initialsOf(title)),
    make('span', { className: 'title' }, title),
    make('small', {}, when),
    make('span', { className: 'preview' }, standing === 'request' && preview !== '' ? `Request: ${preview}` : preview),
  );
  if (unreadCount > 0)
    content.append(make('span', { className: 'badge', aria: { label: `${unreadCount} unread` } }, String(unreadCount)));
  return make('li', {}, content);
}
