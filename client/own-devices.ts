/**
 * The devices of the own account: published, approved and removed by the primary device, known to all of them.
 *
 * The primary signs a list for every change and stores it before it leaves (`signed-list`): after a crash it says the same again
 * and never two things under one epoch. What the server has taken becomes the account's list (`devices/<own user>`), on other
 * devices with the bundles that they ask for. A primary without a list, of this release's first start or of a number
 * registered anew, publishes one after its login; where the identity was restored from a backup, it goes on from the list
 * that the server remembers.
 */

import {
  identityHash,
  isSignalError,
  readDeviceList,
  signDeviceList,
  verifyDeviceList,
} from '../protocol/signal/index.ts';
import type { ListedDevice } from '../protocol/signal/index.ts';
import type { DevicesAnswer } from '../protocol/wire/index.ts';
import type { Account } from './account.ts';
import { readDevices } from './devices.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { Journal, Transaction } from './journal.ts';
import { KEYS, PEER, userOfKey } from './layout.ts';
import { linkContext, sealProvision } from './linking.ts';
import type { KnownContact } from './linking.ts';
import { decodeLinkCode } from './linking-code.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { isSameKey } from './public-keys.ts';
import { scan } from './renewal.ts';
import type { Requests } from './requests.ts';

/** One device of the own account. */
export interface OwnDevice {
  readonly id: number;
  readonly isPrimary: boolean;
  readonly isThis: boolean;
}

export interface OwnDevicesServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly requests: Requests;
  readonly random: Random;
  readonly account: Account;
  /**
   * Notes, with the list that says so, that the account has other devices than before; under the lock of the groups. So it is noted
   * however the list came to be adopted, also where the answer to the change was lost.
   */
  readonly noteTwins: (transaction: Transaction) => Promise<void>;
  /** It is noted. */
  readonly twinsChanged: () => void;
}

/** Keeps the set of the own account's devices. */
export class OwnDevices {
  readonly #services: OwnDevicesServices;

  constructor(services: OwnDevicesServices) {
    this.#services = services;
  }

  /** The primary device first; this one alone, before a list was published. */
  async list(): Promise<OwnDevice[]> {
    const { journal, account } = this.#services;
    const listed = await readDevices(journal, account.user);
    if (listed === undefined) return [{ id: account.device, isPrimary: true, isThis: true }];
    return listed.map(({ id }, index) => ({ id, isPrimary: index === 0, isThis: id === account.device }));
  }

  /** Whether messages go to other devices of the account as well. */
  async hasOthers(): Promise<boolean> {
    return (await this.list()).some(({ isThis }) => !isThis);
  }

  /** After a login: publishes the first list, or once more what a crash may have kept from the server. */
  publish(): Promise<void> {
    return this.#locked(async () => {
      const { journal, requests, account } = this.#services;
      const published = await journal.get(KEYS.devices(account.user));
      const signed = await journal.get(KEYS.signedList);
      const isSettled = published !== undefined && (signed === undefined || isSameKey(published, signed));
      if (isSettled) return;
      const list = signed ?? (await this.#sign([], await this.#remembered()));
      if (published !== undefined) return this.#adoptServers(list);
      await requests.askPatiently({ kind: 'publish-list', list }, 'devices');
      await this.#adopt(list);
    });
  }

  /** A change was signed and its outcome is unknown: the server has it, or it never will and the next epoch passes over it. */
  async #adoptServers(signed: Uint8Array): Promise<void> {
    const { requests, account, journal } = this.#services;
    const { list } = await requests.askPatiently({ kind: 'devices', user: account.user }, 'devices');
    if (list !== undefined && isSameKey(list, signed)) return this.#adopt(signed);
    const published = (await readDevices(journal, account.user)) ?? [];
    const next = await this.#sign(published.slice(1), signed);
    await requests.askPatiently({ kind: 'publish-list', list: next }, 'devices');
    await this.#adopt(next);
  }

  /** What the server has of this identity from before. */
  async #remembered(): Promise<Uint8Array | undefined> {
    const { requests, account } = this.#services;
    const { publicKey } = account.local.identityKeyPair;
    const { list } = await requests.askPatiently({ kind: 'devices', user: account.user }, 'devices');
    if (list === undefined) return undefined;
    return isSignalError(verifyDeviceList(list, account.user, publicKey, undefined)) ? undefined : list.slice();
  }

  /**
   * Links the device that shows `code` to this account.
   *
   * @returns Its id. @throws {ClientError} CLI_LINK_CODE_INVALID; CLI_LINK_MISMATCH; CLI_NOT_PRIMARY; the server's codes.
   */
  approve(code: string): Promise<number> {
    return this.#locked(async () => {
      const { requests, random, account } = this.#services;
      const scanned = decodeLinkCode(code);
      if (scanned === undefined) throw new ClientError('CLI_LINK_CODE_INVALID');
      const others = await this.#othersOfPrimary();
      const { id } = scanned;
      const offer = await requests.askPatiently({ kind: 'link', id }, 'link');
      const isTheirs = offer.id === id && isSameKey(identityHash(offer.identity), scanned.identityHash);
      if (!isTheirs) throw new ClientError('CLI_LINK_MISMATCH');
      const { device, identity } = offer;
      const list = await this.#sign([...others, { id: device, identityKey: identity.slice() }]);
      const { phone, user } = account;
      const provision = { phone, user, device, primary: account.device, list, contacts: await this.#contacts() };
      const envelope = sealProvision(provision, scanned.provisioningKey, linkContext(id, identity), random);
      const request = { kind: 'link-approve', id, device, list, envelope } as const;
      await this.#change(requests.askPatiently(request, 'devices'), list);
      return device;
    });
  }

  /** Removes a linked device. @throws {ClientError} CLI_NOT_PRIMARY; CLI_DEVICE_UNKNOWN; the server's codes. */
  unlink(device: number): Promise<void> {
    return this.#locked(async () => {
      const others = await this.#othersOfPrimary();
      if (!others.some(({ id }) => id === device)) throw new ClientError('CLI_DEVICE_UNKNOWN');
      const list = await this.#sign(others.filter(({ id }) => id !== device));
      const { requests } = this.#services;
      await this.#change(requests.askPatiently({ kind: 'unlink', device, list }, 'devices'), list);
    });
  }

  async #change(answer: Promise<DevicesAnswer>, list: Uint8Array): Promise<void> {
    await answer;
    await this.#adopt(list);
  }

  async #othersOfPrimary(): Promise<readonly ListedDevice[]> {
    const { journal, account } = this.#services;
    const listed = await readDevices(journal, account.user);
    if (listed?.[0]?.id !== account.device) throw new ClientError('CLI_NOT_PRIMARY');
    return listed.slice(1);
  }

  /** The next list, durable before anybody sees it. @param remembered - What to go on from, where this store has signed none. */
  async #sign(linked: readonly ListedDevice[], remembered?: Uint8Array): Promise<Uint8Array> {
    const { journal, random, account } = this.#services;
    const former = (await journal.get(KEYS.signedList)) ?? remembered;
    const primary = { id: account.device, identityKeyPair: account.local.identityKeyPair };
    const list = signDeviceList(primary, account.user, linked, former, (length) => random.bytes(length));
    const transaction = journal.begin();
    transaction.put(KEYS.signedList, list);
    await journal.commit(transaction);
    return list;
  }

  async #adopt(list: Uint8Array): Promise<void> {
    const { journal, locks, account, noteTwins, twinsChanged } = this.#services;
    const former = await readDevices(journal, account.user);
    const isOther = former !== undefined && !haveSameDevices(former, readDeviceList(list)!.devices);
    await locks.run([GROUPS_LOCK], async () => {
      const transaction = journal.begin();
      transaction.put(KEYS.devices(account.user), list);
      if (isOther) await noteTwins(transaction);
      await journal.commit(transaction);
    });
    if (isOther) twinsChanged();
  }

  async #contacts(): Promise<KnownContact[]> {
    const contacts: KnownContact[] = [];
    for await (const { key, value } of scan(this.#services.journal, KEYS.peers)) {
      if (contacts.length === LIMITS.linkContactCountMax) break;
      contacts.push({ user: userOfKey(key), ...PEER.decode(value) });
    }
    return contacts;
  }

  #locked<Result>(work: () => Promise<Result>): Promise<Result> {
    // A lock of its own: network is waited for, and messages to one's own devices go on meanwhile.
    return this.#services.locks.run(['own devices'], work);
  }
}

function haveSameDevices(left: readonly ListedDevice[], right: readonly ListedDevice[]): boolean {
  const isThere = ({ id, identityKey }: ListedDevice): boolean =>
    right.some((other) => other.id === id && isSameKey(other.identityKey, identityKey));
  return left.length === right.length && left.every(isThere);
}
