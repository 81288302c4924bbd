/**
 * What the chat shows, as plain data, and how it changes. Pure: no client, no terminal, no clock.
 *
 * Read next: `screen.ts`, which draws it; `session.ts`, which feeds it.
 */

import type { ConnectionState, HistoryItem, MessageBody, MessageState, MessageTraits } from '../../index.ts';
import type { ErrorCode, PeerPresence } from '../../index.ts';
import { sizeOf, spanOf } from '../../quantities.ts';
import { EMPTY_EDITOR } from './editor.ts';
import type { Editor } from './editor.ts';

/** Somebody to write to, or a group. */
export interface Peer {
  readonly user: string;
  /** The number, or the user id where the number is not known; the title of a group. */
  readonly name: string;
  /** Of a group: what its members are called, by user id. */
  readonly members?: Readonly<Record<string, string>>;
  /** Of a group: the user who let us in. */
  readonly inviter?: string;
}

/** One entry of the transcript. */
export type ChatItem =
  | {
      readonly type: 'received';
      readonly id: string;
      readonly name: string;
      readonly text: string;
      readonly atMs: number;
    }
  | {
      readonly type: 'sent';
      /** Id of the message; a temporary one until it is in the outbox. */
      readonly id: string;
      /** Message id within the conversation; undefined until it is in the outbox. */
      readonly number: number | undefined;
      /** Which device of ours wrote it; undefined for this one's drafts. Each counts its messages apart. */
      readonly device?: number | undefined;
      readonly text: string;
      readonly atMs: number;
      readonly state: MessageState;
    }
  | { readonly type: 'notice'; readonly tone: 'info' | 'warning'; readonly text: string };

/** Adds a line of ours to the chat. */
export type Notice = (text: string, tone?: 'info' | 'warning') => void;

/** Watermarks of a conversation. */
export interface Progress {
  readonly sentId: number;
  readonly deliveredId: number;
  readonly readId: number;
}

/** Everything on the screen. */
export interface ChatModel {
  readonly phone: string;
  readonly peer: Peer | undefined;
  readonly items: readonly ChatItem[];
  readonly connection: ConnectionState;
  /** Why the last attempt to connect failed; undefined once connected. */
  readonly trouble: ErrorCode | undefined;
  readonly editor: Editor;
  /** Whether the peer is there and types; undefined where nobody watches. */
  readonly presence?: PeerPresence | undefined;
  /** Members who type in the open group, by name. */
  readonly typists?: readonly string[] | undefined;
  /** Messages of others than the peer that were not looked at, by name. */
  readonly unread: Readonly<Record<string, number>>;
}

/** Entries kept on the screen; older ones are in /history. */
const ITEM_COUNT_MAX = 500;

export function initialModel(phone: string): ChatModel {
  return {
    phone,
    peer: undefined,
    items: [],
    connection: 'offline',
    trouble: undefined,
    editor: EMPTY_EDITOR,
    unread: {},
  };
}

/** Adds an entry at the end. */
export function addItem(model: ChatModel, item: ChatItem): ChatModel {
  return { ...model, items: [...model.items, item].slice(-ITEM_COUNT_MAX) };
}

/** Adds a line of ours: information, or something to take care of. */
export function addNotice(model: ChatModel, text: string, tone: 'info' | 'warning' = 'info'): ChatModel {
  return addItem(model, { type: 'notice', tone, text });
}

/** Opens the conversation with a peer: the transcript becomes its stored messages. */
export function openPeer(model: ChatModel, peer: Peer, history: readonly HistoryItem[]): ChatModel {
  const { [peer.name]: _, ...unread } = model.unread;
  return { ...model, peer, unread, items: history.map((item) => itemOf(peer, item)) };
}

/** Moves the marks of our messages, of those that `device` wrote: only forward, as receipts do. */
export function applyProgress(model: ChatModel, progress: Progress, device: number): ChatModel {
  const isMeant = (item: ChatItem): item is ChatItem & { readonly type: 'sent' } =>
    item.type === 'sent' && (item.device ?? device) === device;
  return { ...model, items: model.items.map((item) => (isMeant(item) ? advance(item, progress) : item)) };
}

/** Fills in what became of a draft, by its temporary id. */
export function settleDraft(
  model: ChatModel,
  draftId: string,
  outcome: { readonly id?: string; readonly number?: number; readonly state: MessageState },
): ChatModel {
  const items = model.items.map((item) =>
    item.type === 'sent' && item.id === draftId ? { ...item, ...outcome } : item,
  );
  return { ...model, items };
}

/** Marks messages of `device` from `firstId` on as refused. */
export function refuseFrom(model: ChatModel, firstId: number, device: number): ChatModel {
  const items = model.items.map((item) => {
    const isTheirs = item.type === 'sent' && (item.device ?? device) === device;
    const isRefused = isTheirs && item.state === 'queued' && (item.number ?? 0) >= firstId;
    return isRefused ? { ...item, state: 'refused' as const } : item;
  });
  return { ...model, items };
}

export function countUnread(model: ChatModel, name: string): ChatModel {
  return { ...model, unread: { ...model.unread, [name]: (model.unread[name] ?? 0) + 1 } };
}

/** Shows what a message has become; nothing happens where it is not on the screen. */
export function replaceItem(model: ChatModel, id: string, item: ChatItem | undefined): ChatModel {
  const isMeant = (each: ChatItem): boolean => each.type !== 'notice' && each.id === id;
  const items = item === undefined ? model.items.filter((each) => !isMeant(each)) : model.items;
  return { ...model, items: items.map((each) => (item !== undefined && isMeant(each) ? item : each)) };
}

/** The newest message of one direction that is on the screen and stored, if there is one. */
export function lastOf(model: ChatModel, type: 'received' | 'sent'): (ChatItem & { readonly id: string }) | undefined {
  return model.items.findLast(
    (item): item is ChatItem & { readonly type: 'received' | 'sent' } =>
      item.type === type && (item.type !== 'sent' || (item.number !== undefined && item.state !== 'refused')),
  );
}

/** A stored message as an entry. */
export function itemOf(peer: Peer, item: HistoryItem): ChatItem {
  const text = describeMessage(item);
  const { id, number, device, sentAt: atMs, state = 'queued' } = item;
  if (item.direction === 'in') return { type: 'received', id, name: authorName(peer, item.from ?? ''), text, atMs };
  return { type: 'sent', id, number, device, text, atMs, state };
}

/** What whoever wrote a message is called in a conversation. */
export function authorName(peer: Peer, from: string): string {
  return peer.members === undefined ? peer.name : (peer.members[from] ?? from);
}

/** What a message says, and what has been done to it. */
export function describeMessage(message: MessageBody & MessageTraits): string {
  const { editedAt, reactions, viewedAt, isForwarded } = message;
  const marks = [
    ...(isForwarded ? ['(forwarded)'] : []),
    ...(editedAt === undefined ? [] : ['(edited)']),
    ...(viewedAt === undefined ? [] : ['(viewed)']),
    ...(reactions.length === 0 ? [] : [`[${reactions.map(({ emoji }) => emoji).join(' ')}]`]),
  ];
  return [describeBody(message), ...marks].join(' ');
}

/** The text of a message, or a sentence in its place. */
export function describeBody(body: MessageBody): string {
  switch (body.kind) {
    case 'text':
      return body.text;
    case 'reply':
      return `\u201c${body.quote}\u201d \u2014 ${body.text}`;
    case 'attachment':
      return `[file ${body.attachment.name}, ${sizeOf(body.attachment.bytes)}] ${body.text}`.trimEnd();
    case 'timer':
      return body.seconds === 0 ? '[messages stay]' : `[messages disappear after ${spanOf(body.seconds)}]`;
    case 'view-once':
      return '[to be viewed once]';
    case 'deleted':
      return '[deleted]';
    case 'unsupported':
      return '[a message of a newer version; update to view it]';
    case 'undecryptable':
      return `[could not be decrypted: ${body.code}]`;
  }
}

function advance(item: ChatItem & { readonly type: 'sent' }, { sentId, deliveredId, readId }: Progress): ChatItem {
  const { number, state } = item;
  if (number === undefined || state === 'refused') return item;
  if (number <= readId) return { ...item, state: 'read' };
  if (number <= deliveredId) return { ...item, state: 'delivered' };
  return number <= sentId && state === 'queued' ? { ...item, state: 'sent' } : item;
}
