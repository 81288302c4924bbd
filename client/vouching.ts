/**
 * What becomes of the news that somebody's keys are not the ones that were known.
 *
 * A new device of a user whose signed list we have is no news if the list that the server has now names it; so that is asked first. What
 * it does not name is told, and trust in the user is shaken. A question that a crash cut off is asked again at the next login.
 *
 * Whether keys are trusted is `identities.ts`'s, whether a list is believed `devices.ts`'s.
 */

import { judgeDevices } from './devices.ts';
import type { Clock } from './environment.ts';
import type { ClientEvent } from './events.ts';
import { forgetTold } from './group-waiting.ts';
import type { Identities, IdentityNotice } from './identities.ts';
import type { Journal } from './journal.ts';
import { KEYS, SYNCED, VOUCH } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { Locks } from './locks.ts';
import { isSameKey } from './public-keys.ts';
import { scan } from './renewal.ts';
import type { Requests } from './requests.ts';
import { TOLD, TRANSFER_KEYS } from './transfer-layout.ts';

/** What asking who a device is needs of its client. */
export interface VouchingServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly identities: Identities;
  /** Our own user id. */
  readonly self: string;
  readonly emit: (event: ClientEvent) => void;
  /** A list names another device of our own account: what it has told counts. */
  readonly absorb: () => Promise<void>;
}

/** Finds out, for one account, whether new devices are named by their owners' lists. */
export class Vouching {
  readonly #services: VouchingServices;
  /** Devices whose list is being asked for, as `user/device`. */
  readonly #asking = new Set<string>();

  constructor(services: VouchingServices) {
    this.#services = services;
  }

  /** Tells the application, unless a list explains it. */
  async tell({ unlisted, ...notice }: IdentityNotice): Promise<void> {
    const { self, emit, absorb } = this.#services;
    const device = `${notice.user}/${notice.device}`;
    if (unlisted !== undefined && this.#asking.has(device)) return;
    this.#asking.add(device);
    try {
      if (unlisted !== undefined && (await this.#isListed(notice.user, notice.device, unlisted))) {
        if (notice.user === self) await absorb();
        return;
      }
      if (notice.user === self && unlisted !== undefined) await this.#forgetTold(unlisted);
      emit({ type: 'identity-changed', ...notice });
    } finally {
      this.#asking.delete(device);
    }
  }

  /** Devices of which an earlier run did not find out whether a list names them; `tell` is what they need. */
  async *unfinished(): AsyncIterable<IdentityNotice> {
    for await (const { key, value } of scan(this.#services.journal, KEYS.vouches)) {
      const [, user, device] = key.split('/') as [string, string, string];
      const { identityKey, wasVerified } = VOUCH.decode(value);
      yield { user, device: Number(device), accepted: true, wasVerified, unlisted: identityKey };
    }
  }

  /** Asks for the newest list of a user and whether it names that device; where it does not, trust in the user is shaken. */
  async #isListed(user: string, device: number, identity: Uint8Array): Promise<boolean> {
    const { journal, locks, identities, self } = this.#services;
    const bytes = await this.#askForList(user);
    return locks.run([user], async () => {
      const transaction = journal.begin();
      const verdict = await judgeDevices(transaction, user, [{ id: device, identity }], bytes, user !== self);
      // A number registered anew has a list of its own, signed by whoever did that: it says nothing about the person who is trusted.
      const list = 'code' in verdict ? undefined : verdict.list;
      const isListed = list !== undefined && (await identities.covers(transaction, user, list));
      // Whose the own account is, was said when this device was made or linked; nothing that the server shows changes that.
      if (!isListed && user !== self) await identities.concede(transaction, user, identity);
      transaction.delete(KEYS.vouch(user, device));
      await journal.commit(transaction);
      return isListed;
    });
  }

  /** A server that does not answer does not keep the application from being told. */
  async #askForList(user: string): Promise<Uint8Array | undefined> {
    const { requests, clock } = this.#services;
    const asked = requests.askUntilAnswered({ kind: 'devices', user }, 'devices').catch(() => undefined);
    let timer: unknown;
    const late = new Promise<undefined>(
      (resolve) => (timer = clock.setTimer(LIMITS.vouchMs, () => resolve(undefined))),
    );
    const answer = await Promise.race([asked, late]);
    clock.clearTimer(timer);
    return answer?.list;
  }

  /** A device in our own name that is none of ours: what it has told would otherwise wait for ever for a list that names it. */
  async #forgetTold(identityKey: Uint8Array): Promise<void> {
    const { journal, self } = this.#services;
    const transaction = journal.begin();
    for await (const { key, value } of scan(journal, KEYS.synced)) {
      if (isFromKey(SYNCED.decode(value), identityKey)) transaction.delete(key);
    }
    for await (const { key, value } of scan(journal, TRANSFER_KEYS.tolds)) {
      if (isFromKey(TOLD.decode(value), identityKey)) transaction.delete(key);
    }
    await forgetTold(journal, transaction, self, identityKey);
    await journal.commit(transaction, 'eventual');
  }
}

/** By the key and not the id: a genuine device may have the id in the meantime. */
function isFromKey(told: { readonly identityKey: Uint8Array | undefined }, identityKey: Uint8Array): boolean {
  return told.identityKey !== undefined && isSameKey(told.identityKey, identityKey);
}
