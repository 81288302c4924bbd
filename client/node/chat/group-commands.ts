/**
 * `/group …` in the chat: words to calls of the SDK, and news of groups to lines. It knows the model only through what it is given.
 */

import { ClientError } from '../../index.ts';
import type { Client, ClientEvent, GroupInfo } from '../../index.ts';
import { tidyPhone } from './arguments.ts';
import type { Peer } from './model.ts';

/** What the commands need of their session. */
export interface GroupDeskHooks {
  readonly client: Client;
  /** The group that is open, if one is. */
  openGroup(): Peer | undefined;
  open(group: GroupInfo): Promise<void>;
  notice(text: string, tone?: 'info' | 'warning'): void;
}

/** Carries the commands out. */
export class GroupCommands {
  readonly #hooks: GroupDeskHooks;

  constructor(hooks: GroupDeskHooks) {
    this.#hooks = hooks;
  }

  /** @param words - What follows `/group`. @throws {ClientError} What the SDK refuses. */
  async run(words: string): Promise<void> {
    const { client } = this.#hooks;
    const [verb = '', ...rest] = words.split(/\s+/);
    const text = words.slice(verb.length).trim();
    switch (verb) {
      case '':
        return this.#list();
      case 'create':
        return this.#create(rest);
      case 'join':
        await client.groups.join(text);
        return this.#hooks.notice(
          'Asked to be let in. One of its admins has to come online for that; the request waits for each of them.',
        );
      case 'add':
        return this.#inOpen((name) => client.groups.add(name, numbersIn(rest)));
      case 'remove':
        return this.#inOpen((name) => client.groups.remove(name, numbersIn(rest)));
      case 'admin':
      case 'member':
        return this.#inOpen((name) => client.groups.setRole(name, numbersIn(rest)[0] ?? '', verb));
      case 'mode':
        return this.#setMode(text);
      case 'title':
        return this.#inOpen((name) => client.groups.setTitle(name, text));
      case 'leave':
        return this.#inOpen((name) => client.groups.leave(name, numbersIn(rest)[0]));
      case 'link':
        return this.#inOpen(async (name) => this.#hooks.notice(await client.groups.inviteLink(name)));
      case 'unlink':
        return this.#inOpen((name) => this.#closeLink(name));
      case 'members':
        return this.#inOpen(async (name) => this.#showMembers(await client.groups.get(name)));
      default:
        return this.#openByTitle(words);
    }
  }

  /** A line about what happened to a group; undefined for what needs none. */
  async describe(event: ClientEvent): Promise<string | undefined> {
    const { client } = this.#hooks;
    if (event.type !== 'group-joined' && event.type !== 'group-changed' && event.type !== 'group-alarm')
      return undefined;
    const group = await client.groups.get(event.group).catch(() => undefined);
    const title = group === undefined ? event.group : titleOf(group);
    const nameOf = (user: string): Promise<string> => nameOfUser(client, user);
    switch (event.type) {
      case 'group-joined':
        if (event.inviter === client.account?.user) return `${title} is here as well. /group ${title} opens it.`;
        if (event.byLink) return `You joined ${title} by its link. /group ${title} opens it.`;
        return `${await nameOf(event.inviter)} added you to ${title}. /group ${title} opens it.`;
      case 'group-changed':
        return `${title}: ${(await describeChange(event, nameOf)).join(', ')}.`;
      case 'group-alarm':
        return `${title}: what the server says of this group does not hold (${event.code}). It is not believed.`;
    }
  }

  async #inOpen(work: (name: string) => Promise<unknown>): Promise<void> {
    const peer = this.#hooks.openGroup();
    if (peer === undefined)
      return this.#hooks.notice('No group is open. /group lists yours, /group TITLE opens one.', 'warning');
    await work(peer.user);
  }

  async #closeLink(name: string): Promise<void> {
    const { client, notice } = this.#hooks;
    if ((await client.groups.get(name)).hasLink) await client.groups.closeLink(name);
    else notice('There is no invitation link to close.', 'warning');
  }

  /** Once for all members, or for each of their devices. */
  async #setMode(word: string): Promise<void> {
    const mode = word === 'each' ? 'pairwise' : word === 'once' ? 'sender-keys' : undefined;
    if (mode !== undefined) return this.#inOpen((name) => this.#hooks.client.groups.setMode(name, mode));
    this.#hooks.notice('/group mode expected each (encrypts for each device) or once (for all members)', 'warning');
  }

  async #list(): Promise<void> {
    const groups = await this.#hooks.client.groups.list();
    if (groups.length === 0) return this.#hooks.notice('You are in no group. /group create TITLE NUMBER… makes one.');
    for (const group of groups) {
      const standing = group.role === undefined ? 'no longer a member' : `${group.members.length} members`;
      this.#hooks.notice(`${titleOf(group)}: ${standing}`);
    }
  }

  async #create(words: readonly string[]): Promise<void> {
    const first = words.findIndex((word) => word.startsWith('+'));
    const title = words.slice(0, first === -1 ? words.length : first).join(' ');
    if (title === '') return this.#hooks.notice('/group create expected a title and numbers', 'warning');
    const people = first === -1 ? [] : numbersIn(words.slice(first));
    await this.#hooks.open(await this.#hooks.client.groups.create(title, people));
  }

  async #openByTitle(words: string): Promise<void> {
    const groups = await this.#hooks.client.groups.list();
    const wanted = inOneLine(words).toLowerCase();
    const found = groups.filter((group) => group.name === wanted || titleOf(group).toLowerCase() === wanted);
    if (found.length === 1) return this.#hooks.open(found[0]!);
    if (found.length === 0)
      return this.#hooks.notice(`You are in no group ${words}. /group lists yours, /help the commands.`, 'warning');
    this.#hooks.notice(`Several groups are called so: ${found.map(({ name }) => name).join(', ')}`, 'warning');
  }

  #showMembers(group: GroupInfo): void {
    const self = this.#hooks.client.account!.user;
    for (const { user, phone, role } of group.members) {
      const name = user === self ? 'you' : (phone ?? user);
      this.#hooks.notice(`  ${name}${role === 'admin' ? ', admin' : ''}`);
    }
  }
}

/** A group as somebody to write to. */
export async function peerOfGroup(client: Client, group: GroupInfo): Promise<Peer> {
  const members: Record<string, string> = {};
  for (const { user } of group.members) members[user] = await nameOfUser(client, user);
  return { user: group.name, name: titleOf(group), members, inviter: group.inviter };
}

/**
 * What people call a group; its id where it has no title. In one line: whoever makes a group chooses its title, and one of several lines
 * could look like messages of others.
 */
export function titleOf({ title, name }: Pick<GroupInfo, 'title' | 'name'>): string {
  return inOneLine(title) || name;
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** A number, if one is known. */
export async function nameOfUser(client: Client, user: string): Promise<string> {
  if (user === client.account?.user) return 'you';
  const { phone } = await client.peer(user);
  return phone === '' ? user : phone;
}

function numbersIn(words: readonly string[]): string[] {
  const numbers = words.map(tidyPhone).filter((word) => word !== '');
  if (numbers.some((number) => !number.startsWith('+'))) throw new ClientError('CLI_PHONE_INVALID');
  return numbers;
}

type Change = ClientEvent & { readonly type: 'group-changed' };
type Action = Change['actions'][number];

/** Who did what. Whoever came by the link did that: the admin whose device let them in may not even have looked. */
async function describeChange(
  { author, actions, byLink }: Change,
  nameOf: (user: string) => Promise<string>,
): Promise<string[]> {
  const isByLink = (action: Action): boolean => action.kind === 'add' && byLink.includes(action.user);
  const done = actions.filter((action) => !isByLink(action)).map((action) => describeAction(action, nameOf));
  const clauses = await Promise.all(byLink.map(async (user) => `${await nameOf(user)} joined by the link`));
  return done.length === 0 ? clauses : [`${await nameOf(author)} ${(await Promise.all(done)).join(', ')}`, ...clauses];
}

async function describeAction(action: Action, nameOf: (user: string) => Promise<string>): Promise<string> {
  switch (action.kind) {
    case 'create':
      return 'made the group';
    case 'add':
      return `added ${await nameOf(action.user)}`;
    case 'remove':
      return `removed ${await nameOf(action.user)}`;
    case 'leave':
      return 'left';
    case 'join':
      return 'joined by the link';
    case 'role':
      return `made ${await nameOf(action.user)} ${action.role === 'admin' ? 'an admin' : 'a member'}`;
    case 'info':
      return 'changed the title';
    case 'link':
      return 'made an invitation link';
    case 'unlink':
      return 'closed the invitation link';
    case 'policy':
      return action.mode === 'pairwise' ? 'chose encryption for each device' : 'chose one encryption for all';
  }
}
