/**
 * Safety numbers of an account with its peers: shown, compared, remembered.
 *
 * Both ends know each other by user id, so that is what the numbers are made over; a phone number may change hands without a
 * change of keys being due. Comparing is done by people, over a channel that they trust; this file notes what they found.
 */

import {
  compareSafetyCode,
  computeSafetyNumber,
  formatSafetyNumber,
  verifyIdentity,
} from '../protocol/signal/index.ts';
import type { IdentityTrust, SafetyComparison, SafetyNumber, TrustLevel } from '../protocol/signal/index.ts';
import type { ClientEvent } from './events.ts';
import type { Identities } from './identities.ts';
import type { Journal } from './journal.ts';
import type { Locks } from './locks.ts';

/** What can be compared with a peer. */
export interface PeerSafety {
  /** 60 digits, the same at both ends. */
  readonly digits: string;
  /** The digits in three lines of four groups. */
  readonly text: string;
  /** For a QR code; the other end scans it with `compareSafetyCode`. Owned by the caller. */
  readonly code: Uint8Array;
  readonly level: TrustLevel;
  /** When the peer's present identity was first seen, milliseconds of wall time; 0 where that was not noted. */
  readonly sinceMs: number;
}

/** What it takes. */
export interface SafetyServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly identities: Identities;
  readonly self: { readonly user: string; readonly identityKey: Uint8Array };
  readonly emit: (event: ClientEvent) => void;
}

/** The safety numbers of one account. */
export class Safety {
  readonly #services: SafetyServices;

  constructor(services: SafetyServices) {
    this.#services = services;
  }

  /** What there is to compare with a user; undefined before the first contact. Takes some 10 ms of computing. */
  async show(user: string): Promise<PeerSafety | undefined> {
    const { identities, journal } = this.#services;
    const trust = await identities.trust(journal, user);
    if (trust === undefined) return undefined;
    const number = this.#numberOf(user, trust);
    return { ...number, text: formatSafetyNumber(number), level: trust.level, sinceMs: trust.sinceMs };
  }

  /** Compares the digits that the other one reads out; equal ones verify. */
  confirm(user: string, digits: string): Promise<boolean> {
    const plain = digits.replace(/\s/g, '');
    return this.#verifyIf(user, (number) => number.digits === plain);
  }

  /** Compares a scanned code; a match verifies. Nothing matches before the first contact. */
  async compare(user: string, code: Uint8Array): Promise<SafetyComparison> {
    let comparison: SafetyComparison = 'mismatch';
    await this.#verifyIf(user, (number) => (comparison = compareSafetyCode(number, code)) === 'match');
    return comparison;
  }

  /** The person goes on without comparing: the identity counts as any that was never compared. */
  async accept(user: string): Promise<void> {
    await this.#change(user, (trust) => ({ ...trust, level: 'unverified' }));
  }

  #verifyIf(user: string, matches: (number: SafetyNumber) => boolean): Promise<boolean> {
    return this.#change(user, (trust) =>
      matches(this.#numberOf(user, trust)) ? verifyIdentity(trust, trust.identityKey) : undefined,
    );
  }

  /** Replaces what is believed of a user, durably. @returns False where there is nothing, or nothing to change. */
  #change(user: string, next: (trust: IdentityTrust) => IdentityTrust | undefined): Promise<boolean> {
    const { journal, locks, identities, emit } = this.#services;
    return locks.run([user], async () => {
      const transaction = journal.begin();
      const trust = await identities.trust(transaction, user);
      const changed = trust && next(trust);
      if (changed === undefined) return false;
      identities.putTrust(transaction, user, changed);
      await journal.commit(transaction);
      emit({ type: 'identity-trust', user, level: changed.level });
      return true;
    });
  }

  #numberOf(user: string, { identityKey }: IdentityTrust): SafetyNumber {
    const { self } = this.#services;
    const local = { identityKey: self.identityKey, stableId: self.user };
    return computeSafetyNumber(local, { identityKey, stableId: user });
  }
}
