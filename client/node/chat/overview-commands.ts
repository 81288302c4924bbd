/**
 * `/chats`, `/seen` and `/who`: what there is, and how far one's last message has come. It knows the model only through what it is given.
 */

import type { Client, ConversationInfo, GroupInfo, HistoryItem, MemberState, MessageState } from '../../index.ts';
import { nameOfUser, titleOf } from './group-commands.ts';
import { authorName, describeMessage } from './model.ts';
import type { Peer } from './model.ts';
import { formatTime } from './screen.ts';
import { shorten } from './text-width.ts';

/** Cells of a message that the list of chats shows. */
const PREVIEW_CELLS = 48;

const STATE_WORDS: Readonly<Record<MessageState, string>> = {
  queued: 'waiting to be sent',
  sent: 'on the server',
  delivered: 'delivered',
  read: 'read',
  refused: 'not delivered',
};

/** Carries the commands out. */
export class OverviewCommands {
  readonly #client: Client;
  readonly #notice: (text: string, tone?: 'info' | 'warning') => void;

  constructor(client: Client, notice: (text: string, tone?: 'info' | 'warning') => void) {
    this.#client = client;
    this.#notice = notice;
  }

  /** Lists the conversations, the latest one first, and groups in which nothing has been written yet. @throws {ClientError} */
  async showChats(): Promise<void> {
    const conversations = await this.#client.conversations();
    const written = new Set(conversations.map(({ peer }) => peer));
    const groups = await this.#client.groups.list();
    const known = new Map(groups.map((group) => [group.name as string, group]));
    for (const conversation of conversations) {
      const { peer, last } = conversation;
      const group = known.get(peer);
      const name = isGroup(peer) ? nameOfGroup(group) : await nameOfUser(this.#client, peer);
      const mark = await this.#markOf(conversation, group);
      this.#notice(`${name}${mark}: ${formatTime(last.sentAt)} ${previewOf(last)}`);
    }
    const silent = groups.filter(({ name }) => !written.has(name));
    for (const group of silent)
      this.#notice(`${nameOfGroup(group)}${await this.#invitationMark(group)}: nothing written yet`);
    if (conversations.length + silent.length === 0) this.#notice('There are no chats yet. Begin one with /to NUMBER.');
    else this.#notice('/to NUMBER or /group TITLE opens one.');
  }

  async #markOf({ standing }: ConversationInfo, group: GroupInfo | undefined): Promise<string> {
    if (group !== undefined) return this.#invitationMark(group);
    return standing === 'request' ? ' (a request)' : standing === 'blocked' ? ' (blocked)' : '';
  }

  /** A group is a request as long as whoever has brought us there is a stranger. */
  async #invitationMark({ inviter }: GroupInfo): Promise<string> {
    return (await this.#client.protection.standing(inviter)) === 'request' ? ' (a request)' : '';
  }

  /** Says how far the last message of ours has come; in a group, with each member. @throws {ClientError} */
  async showSeen(peer: Peer | undefined): Promise<void> {
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    const history = await this.#client.history(peer.user, { limit: 256 });
    const last = history.findLast(({ direction, kind }) => direction === 'out' && kind !== 'timer');
    if (last === undefined) return this.#notice('You have written nothing here yet.', 'warning');
    const failure = last.failure === undefined ? '' : ` (${last.failure})`;
    this.#notice(`\u201c${beginningOf(last)}\u201d: ${STATE_WORDS[last.state ?? 'queued']}${failure}`);
    for (const [state, names] of namesByState(peer, last.members))
      this.#notice(`${STATE_WORDS[state]}: ${names.join(', ')}`);
  }

  /** Says who one is, and to whom one writes. @throws {ClientError} */
  async showWho(peer: Peer | undefined): Promise<void> {
    const { phone, device } = this.#client.account!;
    this.#notice(`You are ${phone}, device ${device}.`);
    if (peer === undefined) return this.#notice('No conversation is open.');
    if (peer.members !== undefined) return this.#notice(`You write in ${peer.name}. /group members lists them.`);
    const { verified } = await this.#client.peer(peer.user);
    this.#notice(
      `You write to ${peer.name} (${verified ? 'number confirmed by the server' : 'number not confirmed'}).`,
    );
  }
}

/** Whether something is the name of a group: `g` and its id. */
function isGroup(peer: string): boolean {
  return /^g\d/.test(peer);
}

/**
 * In quotes: whoever makes a group chooses its title, and it could be the number of a person. Of a group that was left before this device was
 * linked there may be messages, which came with the history, and nothing else.
 */
function nameOfGroup(group: GroupInfo | undefined): string {
  return group === undefined ? 'a former group' : `group \u201c${titleOf(group)}\u201d`;
}

/** A message in the list. */
function previewOf(item: HistoryItem): string {
  return item.direction === 'out' ? `you: ${beginningOf(item)}` : beginningOf(item);
}

/** The beginning of a message, in one line. */
function beginningOf(item: HistoryItem): string {
  return shorten(describeMessage(item).replace(/\s+/g, ' '), PREVIEW_CELLS);
}

/** Who has come how far, the furthest first. */
function namesByState(peer: Peer, members: readonly MemberState[]): [MemberState['state'], string[]][] {
  return (['read', 'delivered', 'sent'] as const).flatMap((state) => {
    const names = members.filter((member) => member.state === state).map(({ user }) => authorName(peer, user));
    return names.length === 0 ? [] : [[state, names] as [MemberState['state'], string[]]];
  });
}
