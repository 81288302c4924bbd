/**
 * One device in a process of its own, with its store on a disk, moved by messages from a test: what an application would do with
 * the SDK, one operation at a time. Contents travel as plain data, so that the test can compare what each device shows.
 */

import { createHash } from 'node:crypto';
import {
  createClient,
  type Attachment,
  type Client,
  type HistoryItem,
  type SentMessage,
  type TransferInfo,
} from '../../client/index.ts';
import { diskStore } from '../../client/node/disk-store.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import { serve } from './remote-process.ts';

/** A message as a device shows it. */
export interface Shown {
  readonly id: string;
  /** User id of the author; `me` for this account. */
  readonly author: string;
  readonly kind: HistoryItem['kind'];
  readonly text: string;
  readonly isEdited: boolean;
  readonly isTimed: boolean;
  /** `author emoji`, sorted. */
  readonly reactions: readonly string[];
  /** Outgoing: `queued` … `read`. */
  readonly state: string | undefined;
  /** Outgoing, in a group: the state with each member, by user id. */
  readonly members: Readonly<Record<string, string>>;
}

/** The operations by name, with their arguments and results. */
export interface Operations {
  requestCode(phone: string): void;
  confirmCode(phone: string, code: string): string;
  beginLinking(): string;
  finishLinking(): string;
  approveLink(code: string): number;
  connect(): void;
  disconnect(): void;
  send(to: string, text: string): string;
  sendPhoto(to: string, photo: string, caption: string): string;
  /** SHA-256 of what an attachment holds. */
  openPhoto(chat: string, id: string): string;
  reply(chat: string, id: string, text: string): void;
  react(chat: string, id: string, emoji: string): void;
  edit(chat: string, id: string, text: string): void;
  deleteForEveryone(chat: string, id: string): void;
  setTimer(chat: string, seconds: number): void;
  markRead(chat: string): void;
  history(chat: string): readonly Shown[];
  createGroup(title: string, people: readonly string[]): string;
  removeFromGroup(name: string, person: string): void;
  /** Own role in a group, `out` where there is none. */
  roleIn(name: string): string;
  outbox(): number;
  /** Sends `count` messages, numbered from 1, and waits until the server has them. */
  sendMany(to: string, count: number, text: string): void;
  /** The first words of all messages of a chat, oldest first. */
  firstWords(chat: string): readonly string[];
  requestHistory(): void;
  approveHistory(device: number): void;
  transfers(): readonly TransferInfo[];
}

/** The client between `disconnect` and `connect` is closed, as when the application is quit. */
class Device {
  readonly #url: string;
  readonly #directory: string;
  #client: Client | undefined;
  #linked: Promise<unknown> = Promise.resolve();

  constructor(url: string, directory: string) {
    this.#url = url;
    this.#directory = directory;
  }

  async open(): Promise<Client> {
    const random = { bytes: systemRandom.bytes, integer: (bound: number) => systemRandom.integer(Math.min(bound, 50)) };
    const options = { url: this.#url, store: diskStore(this.#directory), transport: wsTransport };
    this.#client ??= await createClient({ ...options, clock: systemClock, random });
    return this.#client;
  }

  readonly operations: { [Name in keyof Operations]: (...args: Parameters<Operations[Name]>) => Promise<unknown> } = {
    requestCode: async (phone) => (await this.open()).requestCode(phone),
    confirmCode: async (phone, code) => (await (await this.open()).confirmCode(phone, code)).user,
    beginLinking: async () => {
      const { code, linked } = await (await this.open()).beginLinking('a second device');
      this.#linked = linked;
      return code;
    },
    finishLinking: async () => {
      await this.#linked;
      return (await this.open()).account!.user;
    },
    approveLink: async (code) => (await this.open()).approveLink(code),
    connect: async () => {
      const client = await this.open();
      void consume(client);
      await client.connect();
    },
    disconnect: async () => {
      await this.#client?.close();
      this.#client = undefined;
    },
    send: async (to, text) => settled(await (await this.open()).send(to, text)),
    sendPhoto: async (to, photo, caption) => {
      const client = await this.open();
      const attachment = await client.uploadMedia(new Blob([photo]), {
        type: 'image/jpeg',
        name: 'photo.jpg',
        caption,
      });
      return settled(await client.send(to, { kind: 'attachment', ...attachment }));
    },
    openPhoto: async (chat, id) => {
      const client = await this.open();
      const item = (await client.history(chat, { limit: 256 })).find((each) => each.id === id);
      if (item?.kind !== 'attachment') throw new Error(`${id} is no attachment`);
      return hashOf(client, item.attachment);
    },
    reply: async (chat, id, text) => void (await (await this.open()).reply(chat, id, text)),
    react: async (chat, id, emoji) => void (await (await this.open()).react(chat, id, emoji)),
    edit: async (chat, id, text) => void (await (await this.open()).edit(chat, id, text)),
    deleteForEveryone: async (chat, id) => void (await (await this.open()).deleteForEveryone(chat, id)),
    setTimer: async (chat, seconds) => void (await (await this.open()).setTimer(chat, seconds)),
    markRead: async (chat) => (await this.open()).markRead(chat),
    history: async (chat) => (await (await this.open()).history(chat, { limit: 256 })).map(show),
    createGroup: async (title, people) => (await (await this.open()).groups.create(title, people)).name,
    removeFromGroup: async (name, person) => void (await (await this.open()).groups.remove(name, [person])),
    roleIn: async (name) => (await (await this.open()).groups.get(name)).role ?? 'out',
    outbox: async () => (await this.open()).outboxSize,
    sendMany: async (to, count, text) => sendMany(await this.open(), to, count, text),
    firstWords: async (chat) => firstWords(await this.open(), chat),
    requestHistory: async () => (await this.open()).requestHistory(),
    approveHistory: async (device) => (await this.open()).approveHistory(device),
    transfers: async () => (await this.open()).historyTransfers(),
  };
}

async function sendMany(client: Client, to: string, count: number, text: string): Promise<void> {
  const sent: Promise<void>[] = [];
  for (let number = 1; number <= count; number += 1) {
    sent.push((await client.enqueue(to, `${number} ${text}`)).sent);
  }
  await Promise.all(sent);
}

async function firstWords(client: Client, chat: string): Promise<string[]> {
  const words: string[] = [];
  for (let before: string | undefined; ;) {
    const page = await client.history(chat, { limit: 256, ...(before !== undefined && { before }) });
    words.unshift(...page.map(({ text }) => text.split(' ')[0]!));
    if (page.length === 0) return words;
    before = page[0]!.id;
  }
}

/** An application reads what comes. */
async function consume(client: Client): Promise<void> {
  for await (const _ of client.messages());
}

async function settled(message: SentMessage): Promise<string> {
  await message.sent;
  return message.id;
}

async function hashOf(client: Client, attachment: Attachment): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of client.downloadMedia(attachment) as unknown as AsyncIterable<Uint8Array>)
    hash.update(piece);
  return hash.digest('hex');
}

function show(item: HistoryItem): Shown {
  const { id, kind, text, from, editedAt, expiresAt, reactions, state, members } = item;
  return {
    id,
    author: from ?? 'me',
    kind,
    text: item.kind === 'undecryptable' ? item.code : text,
    isEdited: editedAt !== undefined,
    isTimed: expiresAt !== undefined,
    reactions: reactions.map(({ author, emoji }) => `${author} ${emoji}`).sort(),
    state,
    members: Object.fromEntries(members.map((member) => [member.user, member.state])),
  };
}

/** Runs when this module is the program, which is when somebody listens. */
if (process.send !== undefined && process.argv[2]?.startsWith('ws:') === true) {
  serve<Operations>(new Device(process.argv[2], process.argv[3]!).operations);
}
