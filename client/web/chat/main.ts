/**
 * The web chat: the page that a node serves at its address. Starts the client of this browser and shows either the way in or
 * the chats.
 *
 * `?profile=name` keeps several accounts apart in one browser, for trying things out. Read next: `session.ts`.
 */

import { codeOf, createClient, describeCode } from '../index.ts';
import type { Client } from '../index.ts';
import { browserClock } from '../system.ts';
import { chatsView } from './chats-view.ts';
import { ConversationView } from './conversation-view.ts';
import { arrange, make, signButton } from './dom.ts';
import { enter } from './entrance-view.ts';
import { Session, type KeyMarks, type SeenMarks } from './session.ts';

const root = document.getElementById('app')!;
const profile = new URLSearchParams(location.search).get('profile') ?? 'default';

/** Letters and digits only: the name becomes that of a database. */
function storeName(): string {
  return `blindbeam-${profile.replace(/[^a-z0-9]/gi, '').slice(0, 40)}`;
}

/** The node that this page came from. */
function serverUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
}

/** Which messages were looked at, in the browser's small storage: losing it shows them as new again, and nothing worse. */
function seenMarks(user: string): SeenMarks {
  const keyOf = (peer: string): string => `blindbeam/${user}/seen/${peer}`;
  return {
    get: (peer) => Number(localStorage.getItem(keyOf(peer)) ?? 0),
    set: (peer, order) => localStorage.setItem(keyOf(peer), String(order)),
  };
}

/** Which keys of people were taken note of, as above: losing it takes those that are there for known. Compared ones are the client's to guard. */
function keyMarks(user: string): KeyMarks {
  const keyOf = (peer: string): string => `blindbeam/${user}/keys/${peer}`;
  return {
    get: (peer) => {
      const noted = localStorage.getItem(keyOf(peer));
      return noted === null ? undefined : Number(noted);
    },
    set: (peer, sinceMs) => localStorage.setItem(keyOf(peer), String(sinceMs)),
  };
}

async function start(): Promise<void> {
  const client = await createClient({ url: serverUrl(), store: storeName(), strangers: 'ask' });
  // A page that goes leaves its messages in order; what is under way is finished by the next one.
  addEventListener('pagehide', () => void client.close());
  if (client.account === undefined) await enter(root, client);
  await showChats(client);
}

async function showChats(client: Client): Promise<void> {
  const session = new Session(client, {
    seen: seenMarks(client.account!.user),
    keys: keyMarks(client.account!.user),
    nextFrame: (callback) => nextFrame(callback),
    isVisible: () => document.visibilityState === 'visible',
  });
  const nowMs = (): number => browserClock.nowMs();
  const chats = chatsView(session, nowMs);
  const conversation = new ConversationView(session, nowMs);
  const notices = make('div', { className: 'notices', role: 'status' });
  const page = make('div', { className: 'chat' }, notices, chats.element, conversation.element);
  const update = (): void => {
    chats.update();
    conversation.update();
    page.classList.toggle('talking', session.openChat !== undefined);
    const unreadCount = session.chats.reduce((sum, chat) => sum + chat.unreadCount, 0);
    document.title = unreadCount === 0 ? 'Blindbeam' : `(${unreadCount}) Blindbeam`;
    arrange(
      notices,
      session.notices.map((notice) =>
        make(
          'p',
          { className: `notice ${notice.tone}` },
          notice.text,
          signButton('✕', 'Dismiss', () => session.dismiss(notice)),
        ),
      ),
    );
  };
  session.onChange(update);
  document.addEventListener('visibilitychange', () => session.visibilityChanged());
  root.replaceChildren(page);
  await session.start();
}

/** Frames stop in a hidden page, where the title still has to count. */
function nextFrame(callback: () => void): void {
  if (document.visibilityState === 'visible') requestAnimationFrame(callback);
  else browserClock.setTimer(50, callback);
}

start().catch((error: unknown) => {
  root.replaceChildren(make('p', { className: 'loading problem', role: 'alert' }, describeCode(codeOf(error))));
});
