/**
 * `/safety`, `/accept` where somebody has new keys, and `/again`: what people compare, what is said when keys change, and what was held back. They know the model only
 * through what they are given.
 */

import type { Client, ClientEvent, HistoryItem, PeerSafety } from '../../index.ts';
import type { Notice, Peer } from './model.ts';

/** Digits of a safety number. */
const SAFETY_DIGIT_COUNT = 60;

const describeLevel: Readonly<Record<PeerSafety['level'], string>> = {
  unverified: 'not compared yet',
  verified: 'verified',
  broken: 'CHANGED since you verified it',
};

/** Carries the commands out. What the SDK refuses is thrown. */
export class SafetyCommands {
  readonly #client: Client;
  readonly #notice: Notice;
  readonly #reload: (user: string) => Promise<void>;

  /** @param reload - Shows a chat as the store has it. */
  constructor(client: Client, notice: Notice, reload: (user: string) => Promise<void>) {
    this.#client = client;
    this.#notice = notice;
    this.#reload = reload;
  }

  /** Shows the safety number; with digits, compares them with it. */
  async compare(peer: Peer | undefined, digits: string): Promise<void> {
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    if (peer.members !== undefined)
      return this.#notice('Keys are compared with one person: /to NUMBER first.', 'warning');
    if (digits !== '') {
      if (digits.replace(/\s/g, '').length !== SAFETY_DIGIT_COUNT)
        return this.#notice(`/safety expected all ${SAFETY_DIGIT_COUNT} digits of the other one`, 'warning');
      const agrees = await this.#client.confirmSafetyNumber(peer.user, digits);
      if (agrees) {
        this.#notice(`The numbers are the same: ${peer.name} is verified.`);
        return this.#offerAgain(peer);
      }
      return this.#notice('The numbers differ. Somebody may stand between you.', 'warning');
    }
    const safety = await this.#client.safetyNumber(peer.user);
    if (safety === undefined) return this.#notice('There is nothing to compare before the first message.', 'warning');
    this.#notice(`Safety number with ${peer.name}, ${describeLevel[safety.level]}:`);
    for (const line of safety.text.split('\n')) this.#notice(`  ${line}`);
    this.#notice('Compare it over the phone or in person. /safety DIGITS compares what the other one reads out.');
  }

  /** Goes on with somebody whose verified keys have changed. */
  async accept(peer: Peer | undefined): Promise<void> {
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    if (peer.members !== undefined) return this.#notice('There is nothing to accept here.', 'warning');
    const level = (await this.#client.safetyNumber(peer.user))?.level;
    if (level !== 'broken') return this.#notice(`${peer.name} is accepted, and has no new keys.`);
    await this.#client.acceptIdentity(peer.user);
    this.#notice(`You go on with ${peer.name} without having compared.`);
    await this.#offerAgain(peer);
  }

  /** Sends again, in its order, what was refused because of new keys; where that is nothing, the last message that was refused at all. */
  async again(peer: Peer | undefined): Promise<void> {
    if (peer === undefined) return this.#notice('No conversation is open. Choose with /to NUMBER.', 'warning');
    const refused = await this.#refused(peer);
    const held = refused.filter(({ failure }) => failure === 'CLI_IDENTITY_REFUSED');
    const targets = held.length > 0 ? held : refused.slice(-1);
    if (targets.length === 0) return this.#notice('Nothing was refused in this chat.');
    try {
      for (const { id } of targets) await this.#client.resend(peer.user, id);
    } finally {
      await this.#reload(peer.user);
    }
  }

  async #offerAgain(peer: Peer): Promise<void> {
    const { length } = await this.#refused(peer);
    if (length > 0) this.#notice(`Not delivered so far: ${countOf(length)}. /again sends what was held back.`);
  }

  /** What was refused and is still there to be sent: nothing of what was deleted, or can be viewed once. */
  async #refused(peer: Peer): Promise<HistoryItem[]> {
    const history = await this.#client.history(peer.user, { limit: 256 });
    return history.filter(({ failure, kind }) => failure !== undefined && kind !== 'deleted' && kind !== 'view-once');
  }
}

function countOf(count: number): string {
  return count === 1 ? 'one message' : `${count} messages`;
}

/** A sentence about somebody's new keys. */
export function describeIdentityChange(
  name: string,
  event: ClientEvent & { readonly type: 'identity-changed' },
): string {
  if (event.wasVerified) {
    return `${name}, whom you had verified, has new keys. Compare with /safety, or /accept, before you write.`;
  }
  const consequence = event.accepted ? 'Compare with /safety if that surprises you.' : 'Messages are held back.';
  return `${name} has new keys, probably a new phone. ${consequence}`;
}
