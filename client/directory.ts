/**
 * Who is who: phone numbers to user ids, and what is known of a user.
 *
 * The wire knows people by user id, people know each other by number. A number that was looked up is verified as far as
 * the server is believed; a number inside a message is a claim until it has been looked up too.
 */

import { isPhone, isUserId } from '../protocol/wire/index.ts';
import { ClientError } from './errors.ts';
import type { Journal, Transaction } from './journal.ts';
import { KEYS, PEER } from './layout.ts';
import { TEXT } from './record-codec.ts';
import type { PeerRecord } from './layout.ts';
import { asUnknownPeer } from './requests.ts';
import type { Requests } from './requests.ts';

const NOBODY: PeerRecord = Object.freeze({ phone: '', verified: false });

/** The address book of one store. */
export class Directory {
  readonly #journal: Journal;
  readonly #requests: Requests;

  constructor(journal: Journal, requests: Requests) {
    this.#journal = journal;
    this.#requests = requests;
  }

  /**
   * The user id behind `to`, which is a user id itself or a phone number. A number never met before is looked up, which waits for
   * a connection; a known one is answered from the store.
   *
   * @throws {ClientError} CLI_PHONE_INVALID; CLI_PEER_UNKNOWN; CLI_CLOSED.
   */
  async resolve(to: string): Promise<string> {
    if (isUserId(to)) return to;
    if (!isPhone(to)) throw new ClientError('CLI_PHONE_INVALID');
    const cached = await this.#journal.get(KEYS.phone(to));
    return cached === undefined ? this.#lookUp(to) : TEXT.decode(cached);
  }

  /** The user id behind `to` if the store knows it; asks nobody. */
  async resolveLocally(to: string): Promise<string | undefined> {
    if (isUserId(to)) return to;
    const cached = isPhone(to) ? await this.#journal.get(KEYS.phone(to)) : undefined;
    return cached === undefined ? undefined : TEXT.decode(cached);
  }

  /** What is known of a user. */
  async peer(user: string): Promise<PeerRecord> {
    const bytes = await this.#journal.get(KEYS.peer(user));
    return bytes === undefined ? NOBODY : PEER.decode(bytes);
  }

  /**
   * Notes the number that a message claims, within the transaction that stores the message.
   *
   * @returns Whether the claim is worth a check: it is not what was verified before.
   */
  async claim(transaction: Transaction, user: string, phone: string): Promise<boolean> {
    if (!isPhone(phone)) return false;
    const bytes = await transaction.get(KEYS.peer(user));
    const known = bytes === undefined ? NOBODY : PEER.decode(bytes);
    if (known.phone === phone) return !known.verified;
    // A verified number is not overwritten by a claim; the check decides.
    if (!known.verified) transaction.put(KEYS.peer(user), PEER.encode({ phone, verified: false }));
    return true;
  }

  /** Looks a claimed number up: true if it is this user's. */
  async check(user: string, phone: string): Promise<boolean> {
    try {
      return (await this.#lookUp(phone)) === user;
    } catch (error) {
      if (ClientError.is(error, 'CLI_PEER_UNKNOWN')) return false;
      throw error;
    }
  }

  async #lookUp(phone: string): Promise<string> {
    const user = await this.#ask(phone);
    const transaction = this.#journal.begin();
    transaction.put(KEYS.phone(phone), TEXT.encode(user));
    transaction.put(KEYS.peer(user), PEER.encode({ phone, verified: true }));
    await this.#journal.commit(transaction, 'eventual');
    return user;
  }

  async #ask(phone: string): Promise<string> {
    try {
      return (await this.#requests.askUntilAnswered({ kind: 'contact', phone }, 'contact')).user;
    } catch (error) {
      throw asUnknownPeer(error);
    }
  }
}
