/**
 * Message requests in the chat: what strangers wait for, and the words that decide. It knows the model only through what it is given.
 */

import type { Client } from '../../index.ts';
import { nameOfUser } from './group-commands.ts';
import type { Notice, Peer } from './model.ts';

/** Carries the commands out. What the SDK refuses is thrown. */
export class StrangerCommands {
  readonly #client: Client;
  readonly #notice: Notice;

  constructor(client: Client, notice: Notice) {
    this.#client = client;
    this.#notice = notice;
  }

  /** A stranger has written; whoever has the chat open is asked at once. */
  async tell(user: string, open: Peer | undefined): Promise<void> {
    if (open?.user === user) return this.ask(open);
    const name = await nameOfUser(this.#client, user);
    this.#notice(
      `${name} would like to write to you. /to ${name} shows it; it is told neither that it came nor that you read it.`,
    );
  }

  /** Puts the question about the stranger whose chat is open, or who brought us into the group that is. Nothing where there is none. */
  async askAbout(peer: Peer): Promise<void> {
    if (!(await this.#isStranger(peer))) return;
    if (peer.members === undefined) return this.ask(peer);
    this.#notice(
      `${peer.members[peer.inviter!] ?? 'Somebody'} has brought you here, with whom you have not written: nobody learns what you read until ` +
        'you write, or /accept. /group leave declines.',
    );
  }

  /** Puts the question about the stranger whose chat is open. */
  ask({ name }: Peer): void {
    this.#notice(
      `You have not written with ${name} before, who learns nothing until you decide: answer or /accept, /block, or /forget.`,
    );
  }

  /** Accepts who is a stranger or blocked and whose chat is open, or who brought us into the group that is. @returns False where there is none. */
  async accept(peer: Peer | undefined): Promise<boolean> {
    if (peer === undefined) return false;
    const isBlocked = (await this.#client.protection.standing(peer.user)) === 'blocked';
    if (!isBlocked && !(await this.#isStranger(peer))) return false;
    await this.#client.protection.accept(peer.inviter ?? peer.user);
    this.#notice(`${peer.members?.[peer.inviter!] ?? peer.name} may write to you.`);
    return true;
  }

  async #isStranger(peer: Peer): Promise<boolean> {
    return (await this.#client.protection.standing(peer.inviter ?? peer.user)) === 'request';
  }

  /** @param words - What follows the command. */
  async run(command: string, words: string, peer: Peer | undefined): Promise<void> {
    if (command === '/strangers') return this.#choose(words);
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    if (command === '/forget') {
      await this.#client.forget(peer.user);
      return this.#notice(
        `The messages ${peer.members === undefined ? 'with' : 'in'} ${peer.name} are deleted on this device.`,
      );
    }
    if (peer.members !== undefined)
      return this.#notice('People are blocked, and groups left: /group leave.', 'warning');
    const { protection } = this.#client;
    if (command === '/unblock') await protection.unblock(peer.user);
    else await protection.block(peer.user);
    this.#notice(
      command === '/unblock'
        ? `${peer.name} is not blocked any more.`
        : `Nothing of ${peer.name} comes any more, who is not told.`,
    );
  }

  async #choose(policy: string): Promise<void> {
    const { protection } = this.#client;
    if (policy !== '' && policy !== 'ask' && policy !== 'open') {
      return this.#notice('/strangers expected ask or open', 'warning');
    }
    if (policy !== '') await protection.setStrangers(policy);
    const present = await protection.strangers();
    const meaning = present === 'ask' ? 'wait until you decide, and learn nothing before' : 'write like anybody';
    this.#notice(`People with whom you have not written ${meaning}.`);
  }
}
