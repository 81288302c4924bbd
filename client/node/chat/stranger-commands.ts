/**
 * Message requests in the chat: what strangers wait for, and the words that decide. It knows the model only through what it is given.
 */

import { codeOf, describeCode } from '../../index.ts';
import type { Client } from '../../index.ts';
import { nameOfUser } from './group-commands.ts';
import type { Peer } from './model.ts';

/** Carries the commands out. */
export class StrangerCommands {
  readonly #client: Client;
  readonly #notice: (text: string, tone?: 'info' | 'warning') => void;

  constructor(client: Client, notice: (text: string, tone?: 'info' | 'warning') => void) {
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

  /** Puts the question about the stranger whose chat is open. */
  ask({ name }: Peer): void {
    this.#notice(
      `You have not written with ${name} before, who learns nothing until you decide: answer or /accept, /block, or /forget.`,
    );
  }

  /** Accepts the stranger whose chat is open. @returns False where there is none. */
  async accept(peer: Peer | undefined): Promise<boolean> {
    if (peer === undefined || (await this.#client.protection.standing(peer.user)) !== 'request') return false;
    await this.#attempt(async () => {
      await this.#client.protection.accept(peer.user);
      this.#notice(`${peer.name} may write to you.`);
    });
    return true;
  }

  /** @param words - What follows the command. */
  async run(command: string, words: string, peer: Peer | undefined): Promise<void> {
    if (command === '/strangers') return this.#choose(words);
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    if (command === '/forget') {
      return this.#attempt(async () => {
        await this.#client.forget(peer.user);
        this.#notice(`The messages with ${peer.name} are deleted on this device.`);
      });
    }
    if (peer.members !== undefined)
      return this.#notice('People are blocked, and groups left: /group leave.', 'warning');
    await this.#attempt(async () => {
      const { protection } = this.#client;
      if (command === '/unblock') await protection.unblock(peer.user);
      else await protection.block(peer.user);
      this.#notice(
        command === '/unblock'
          ? `${peer.name} is not blocked any more.`
          : `Nothing of ${peer.name} comes any more, who is not told.`,
      );
    });
  }

  async #choose(policy: string): Promise<void> {
    const { protection } = this.#client;
    if (policy !== '' && policy !== 'ask' && policy !== 'open') {
      return this.#notice('/strangers expected ask or open', 'warning');
    }
    await this.#attempt(async () => {
      if (policy !== '') await protection.setStrangers(policy);
      const present = await protection.strangers();
      const meaning = present === 'ask' ? 'wait until you decide, and learn nothing before' : 'write like anybody';
      this.#notice(`People with whom you have not written ${meaning}.`);
    });
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#notice(describeCode(codeOf(error)), 'warning');
    }
  }
}
