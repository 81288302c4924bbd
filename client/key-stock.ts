/**
 * The stock of pre-keys at the server: when it is topped up, and when the signed ones are replaced.
 *
 * One piece of work at a time, in this order, whenever a connection opens or messages used something up. Before any of it the
 * server is asked what it holds, where a login by ticket did not say and its last word is an hour old.
 *
 *   1. a new signed and last-resort pre-key, if the present ones are a week old or the account has no last-resort one
 *   2. one-time pre-keys, if fewer than `preKeyCountMin` are left
 *   3. one-time KEM pre-keys, if fewer than `kemPreKeyCountMin` are left, in requests of eight
 *
 * What fails is done again at the next occasion; keys that were made and may not have arrived are not offered a second
 * time. How keys are made and stored is `account.ts`'s business.
 */

import { isRotationDue, makeKemPreKeys, makePreKeys, rotateSignedPreKey } from './account.ts';
import type { Account, Made } from './account.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { Journal } from './journal.ts';
import { LIMITS } from './limits.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';

/** One-time pre-keys that the server said it holds for this device. */
export interface HeldKeys {
  readonly oneTime: number;
  /** Undefined for a server that knows no KEM pre-keys: none are offered to it. */
  readonly kem: number | undefined;
}

/** What looking after the stock needs of its client. */
export interface KeyStockServices {
  readonly journal: Journal;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: (event: ClientEvent) => void;
}

/** The stock of one account, which changes with it. */
export class KeyStock {
  readonly #services: KeyStockServices;
  #account: Account;
  /** Wall time of the server's last word on it; `undefined` before the first. */
  #toldAtMs: number | undefined;
  /** Our guess of what the server still holds. */
  #held: HeldKeys = { oneTime: LIMITS.preKeyCountMax, kem: LIMITS.kemPreKeyCountMax };
  /** The timer of a question to the server. */
  #question: unknown;
  /** The timer of the next look at the age of the signed pre-key. */
  #rotation: unknown;
  /** Whether the question is due. */
  #isUnsure = false;
  #isOpen = false;
  #isTending = false;

  constructor(services: KeyStockServices, account: Account) {
    this.#services = services;
    this.#account = account;
  }

  get account(): Account {
    return this.#account;
  }

  /** Logged in. The server says what it holds, unless the login was by ticket: then the guess stands, and is soon checked. */
  opened(held: HeldKeys | undefined): void {
    if (held === undefined) this.#askLater();
    else this.#told(held);
    this.#isOpen = true;
    void this.#tend();
    void this.#subscribe();
    this.#waitForRotation();
  }

  /** The connection is gone. */
  shut(): void {
    this.#isOpen = false;
    this.#services.clock.clearTimer(this.#question);
    this.#services.clock.clearTimer(this.#rotation);
  }

  /** The server says that others have used up keys of ours. */
  low(held: HeldKeys): void {
    this.#told(held);
    void this.#tend();
  }

  /** Messages came that used up keys of ours, or none. */
  used(oneTime: number, kem: number): void {
    const held = this.#held;
    this.#held = { oneTime: held.oneTime - oneTime, kem: held.kem === undefined ? undefined : held.kem - kem };
    void this.#tend();
  }

  /** Asks to be told when others use the keys up. Without it the next login tells. */
  async #subscribe(): Promise<void> {
    if (this.#held.kem === undefined) return;
    const { preKeyCountMin: preKeys, kemPreKeyCountMin: kemPreKeys } = LIMITS;
    try {
      await this.#services.requests.ask({ kind: 'notify', preKeys, kemPreKeys }, 'notify');
    } catch (error) {
      this.#complain(error);
    }
  }

  /** A connection may last longer than a signed pre-key should: looked at once a day. */
  #waitForRotation(): void {
    const { clock } = this.#services;
    clock.clearTimer(this.#rotation);
    this.#rotation = clock.setTimer(LIMITS.rotationLookMs, () => {
      void this.#tend();
      this.#waitForRotation();
    });
  }

  async #tend(): Promise<void> {
    if (this.#isTending) return;
    this.#isTending = true;
    try {
      for (let isDone = false; this.#isOpen && !isDone;) isDone = !(await this.#tendOnce());
    } catch (error) {
      this.#complain(error);
    }
    this.#isTending = false;
  }

  #complain(error: unknown): void {
    const isSilent = isPassing(error) || ClientError.is(error, 'CLI_CLOSED');
    if (!isSilent) this.#services.emit({ type: 'trouble', code: codeOf(error) });
  }

  /** Does what is most urgent. @returns Whether there was anything to do. */
  async #tendOnce(): Promise<boolean> {
    const { journal, random, clock, emit } = this.#services;
    const nowMs = clock.nowMs();
    if (this.#isUnsure) {
      await this.#ask();
      return true;
    }
    const { oneTime, kem } = this.#held;
    if (kem !== undefined && isRotationDue(this.#account, nowMs)) {
      await this.#publish(await rotateSignedPreKey(this.#account, nowMs, journal, random));
      emit({ type: 'kem-prekeys-uploaded', count: 0 });
      return true;
    }
    if (oneTime < LIMITS.preKeyCountMin) {
      const count = LIMITS.preKeyCountMax - Math.max(0, oneTime);
      await this.#publish(await makePreKeys(this.#account, count, journal, random));
      emit({ type: 'prekeys-uploaded', count });
      return true;
    }
    return this.#tendKem(kem);
  }

  async #tendKem(held: number | undefined): Promise<boolean> {
    if (held === undefined || held >= LIMITS.kemPreKeyCountMin) return false;
    const { journal, random, emit } = this.#services;
    const missing = LIMITS.kemPreKeyCountMax - Math.max(0, held);
    const count = Math.min(missing, LIMITS.kemPreKeyUploadCountMax);
    await this.#publish(await makeKemPreKeys(this.#account, count, journal, random));
    emit({ type: 'kem-prekeys-uploaded', count });
    return true;
  }

  async #publish({ account, upload }: Made): Promise<void> {
    this.#account = account;
    const { count, kem } = await this.#services.requests.ask(upload, 'prekeys');
    this.#told({ oneTime: count, kem });
  }

  /** Asks what the server holds, unless that was told of late. */
  #askLater(): void {
    const { clock, random } = this.#services;
    if (this.#toldAtMs !== undefined && clock.nowMs() - this.#toldAtMs <= LIMITS.heldKeysAgeMsMax) return;
    this.#question = clock.setTimer(random.integer(LIMITS.heldKeysAskMsMax), () => {
      this.#isUnsure = true;
      void this.#tend();
    });
  }

  async #ask(): Promise<void> {
    const { count, kem } = await this.#services.requests.ask({ kind: 'prekey-count' }, 'prekeys');
    this.#told({ oneTime: count, kem });
    this.#isUnsure = false;
  }

  #told(held: HeldKeys): void {
    this.#held = held;
    this.#toldAtMs = this.#services.clock.nowMs();
  }
}
