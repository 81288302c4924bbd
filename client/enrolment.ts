/**
 * How a store gets its account: by the code that a phone number receives, or linked by the device that has the account already.
 *
 * Everything is asked on connections of their own, before any login (`registration.ts`, `linking.ts`); then keys and account go to the store
 * in one commit. What worked for a former account of the store has stopped by then. Read next: `account.ts`, what an account is.
 */

import { isPhone } from '../protocol/wire/index.ts';
import type { StrangersPolicy } from '../protocol/wire/index.ts';
import { confirmRequest, loadRestored, makeKeys, putAccount } from './account.ts';
import type { Account, FreshKeys } from './account.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { Journal } from './journal.ts';
import { KEYS, PEER } from './layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { beginLink } from './linking.ts';
import type { PendingLink, Provision } from './linking.ts';
import { askBeforeLogin, codeRequest } from './registration.ts';
import type { RegistrationOptions } from './registration.ts';
import { retireDevice } from './renewal.ts';
import { STRANGER_KEYS } from './strangers.ts';
import { TRANSFER_KEYS } from './transfer-layout.ts';

/** Which account a client speaks for. */
export interface AccountInfo {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
}

/** A linking that waits for its approval. */
export interface Linking extends Pick<PendingLink, 'code' | 'expires' | 'cancel'> {
  /** The account that this device now belongs to. */
  readonly linked: Promise<AccountInfo>;
}

/** What enrolling needs of its client. */
export interface EnrolmentServices {
  readonly options: RegistrationOptions & { readonly random: Random; readonly strangers?: StrangersPolicy };
  readonly journal: Journal;
  /** The account that the store has. */
  readonly account: () => Account | undefined;
  /** Stops what works for that account: when this resolves nothing of it is written any more. */
  readonly stop: () => Promise<void>;
  /** The store has an account, or another one. */
  readonly enrolled: () => Promise<AccountInfo>;
  /** @throws {ClientError} CLI_CLOSED. */
  readonly assertOpen: () => void;
}

/** Enrols one store. */
export class Enrolment {
  readonly #services: EnrolmentServices;

  constructor(services: EnrolmentServices) {
    this.#services = services;
  }

  /** As `Client.requestCode`. */
  async requestCode(phone: string): Promise<number> {
    await this.#requireRegistrable(phone);
    const answer = await askBeforeLogin(this.#services.options, codeRequest(phone));
    if (answer.kind !== 'register') throw new ClientError('CLI_PROTOCOL');
    return answer.expires;
  }

  /** As `Client.confirmCode`. */
  async confirmCode(phone: string, code: string): Promise<AccountInfo> {
    const { options, journal, account, stop, enrolled } = this.#services;
    const restored = await this.#requireRegistrable(phone);
    if (!/^[0-9]{6}$/.test(code)) throw new ClientError('APP_BAD_CODE');
    const keys = makeKeys(options.random, options.clock.nowMs(), restored);
    const answer = await askBeforeLogin(options, confirmRequest(phone, code, keys));
    if (answer.kind !== 'account') throw new ClientError('CLI_PROTOCOL');
    await stop();
    const transaction = journal.begin();
    if (account() !== undefined) await retireDevice(journal, transaction);
    putAccount(transaction, phone, answer.user, answer.device, keys);
    transaction.delete(KEYS.restored);
    transaction.delete(KEYS.devices(answer.user));
    const { strangers } = options;
    if (strangers !== undefined) transaction.put(STRANGER_KEYS.wish, TEXT.encode(strangers));
    await journal.commit(transaction);
    return enrolled();
  }

  /** As `Client.beginLinking`. */
  async beginLinking(name: string): Promise<Linking> {
    const { options, journal, account } = this.#services;
    const isTaken = account() !== undefined || (await loadRestored(journal)) !== undefined;
    if (isTaken) throw new ClientError('CLI_ACCOUNT_EXISTS');
    const { code, expires, provisioned, cancel } = await beginLink(options, name);
    const linked = provisioned.then(({ provision, keys }) => this.#adopt(provision, keys));
    linked.catch(() => undefined);
    return { code, expires, linked, cancel };
  }

  async #adopt(provision: Provision, keys: FreshKeys): Promise<AccountInfo> {
    const { journal, assertOpen, enrolled } = this.#services;
    assertOpen();
    const { phone, user, device, list, contacts } = provision;
    const transaction = journal.begin();
    putAccount(transaction, phone, user, device, keys);
    transaction.put(KEYS.devices(user), list);
    // What was before the linking has room below, should it come: see `transfer.ts`.
    transaction.put(KEYS.ordinal, NUMBER.encode(LIMITS.linkedOrdinalBase));
    transaction.put(TRANSFER_KEYS.floor, NUMBER.encode(LIMITS.linkedOrdinalBase - 1));
    for (const { user: contact, ...peer } of contacts) {
      transaction.put(KEYS.peer(contact), PEER.encode(peer));
      if (peer.verified) transaction.put(KEYS.phone(peer.phone), TEXT.encode(contact));
    }
    await journal.commit(transaction);
    return enrolled();
  }

  /** @returns The account of a backup that is waiting to be registered. */
  async #requireRegistrable(phone: string): Promise<Account | undefined> {
    if (!isPhone(phone)) throw new ClientError('CLI_PHONE_INVALID');
    const restored = await loadRestored(this.#services.journal);
    const held = this.#services.account() ?? restored;
    if (held !== undefined && held.phone !== phone) throw new ClientError('CLI_ACCOUNT_EXISTS');
    return restored;
  }
}
