/**
 * The devices of the other end of a conversation: asked for, held against the list that their primary has signed, and given a session each.
 *
 * Whether a list is believed is `devices.ts`'s, whether a key is `identities.ts`'s; here both are asked, and what they refuse is told.
 */

import type { BundleAnswer, DeviceBundle } from '../protocol/wire/index.ts';
import type { PreKeyBundle } from '../protocol/signal/index.ts';
import { areListed, isVouchedFor, judgeDevices, readDevices } from './devices.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { Journal, Transaction } from './journal.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './sessions.ts';

/** What is needed to get to know devices. */
export interface PeerDeviceServices {
  readonly journal: Journal;
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly self: { readonly user: string; readonly device: number };
  readonly emit: (event: ClientEvent) => void;
}

/** Why somebody gets nothing for now. */
interface Obstacle {
  readonly code: ErrorCode;
}

/** Gets to know the devices of one user. */
export class PeerDevices {
  readonly #services: PeerDeviceServices;
  readonly #user: string;
  /** What the application was told last of devices that are not believed; while there is anything, they are asked for again. */
  #told = '';

  constructor(services: PeerDeviceServices, user: string) {
    this.#services = services;
    this.#user = user;
  }

  /**
   * Asks for the devices and their keys, unless `known` are believed and each has a session.
   *
   * @throws {ClientError} As `Requests.ask`; CLI_PROTOCOL.
   */
  async fetchUnlessSure(known: readonly number[]): Promise<BundleAnswer | undefined> {
    const { sessions, journal, requests, self } = this.#services;
    const have = await Promise.all(known.map((device) => sessions.has(journal, this.#user, device)));
    const own = this.#user === self.user ? self.device : undefined;
    const isListed = await areListed(journal, this.#user, known, own);
    if (known.length > 0 && have.every(Boolean) && this.#told === '' && isListed) return undefined;
    return this.#checked(await requests.ask({ kind: 'bundle', user: this.#user, withList: true }, 'bundle'));
  }

  /** The same in any case, and however long it takes. @throws {ClientError} As `Requests.askUntilAnswered`; CLI_PROTOCOL. */
  async fetch(): Promise<BundleAnswer> {
    const { requests } = this.#services;
    return this.#checked(
      await requests.askUntilAnswered({ kind: 'bundle', user: this.#user, withList: true }, 'bundle'),
    );
  }

  /** Judges the devices and begins a session with each that has none. @returns Why not. */
  async admit(transaction: Transaction, bundle: BundleAnswer): Promise<Obstacle | undefined> {
    return (await this.#judge(transaction, bundle)) ?? (await this.#establish(transaction, bundle.devices));
  }

  #checked(bundle: BundleAnswer): BundleAnswer {
    if (bundle.user !== this.#user) throw new ClientError('CLI_PROTOCOL');
    return bundle;
  }

  /** Whether the devices are what their primary has signed; what is refused is told once a connection. */
  async #judge(transaction: Transaction, bundle: BundleAnswer): Promise<Obstacle | undefined> {
    const { emit, self } = this.#services;
    const mayBeAnew = this.#user !== self.user;
    const verdict = await judgeDevices(transaction, this.#user, bundle.devices, bundle.list, mayBeAnew);
    if (!('code' in verdict)) {
      this.#told = '';
      return undefined;
    }
    const { code, device } = verdict;
    const told = `${code} ${device}`;
    if (told !== this.#told) emit({ type: 'devices-refused', user: this.#user, device, code });
    this.#told = told;
    return { code };
  }

  /**
   * Compared keys are others now, and nothing goes out: that is written, though all else of the attempt is dropped, so that the new ones can be
   * compared, or accepted, before their owner has said anything. What people compare is the key of the primary device, whichever is shown first.
   *
   * @param attempt - What is dropped; it has the list that came with the bundle.
   */
  async #noteBreach(attempt: Transaction, { id, identity }: DeviceBundle): Promise<void> {
    const { journal, sessions, self } = this.#services;
    // Whose the own account is, was said when this device was made or linked; nothing that the server shows changes that.
    if (this.#user === self.user) return;
    const devices = await readDevices(attempt, this.#user);
    const transaction = journal.begin();
    const identityKey = isVouchedFor(devices, id, identity) ? devices![0]!.identityKey : identity;
    await sessions.concede(transaction, this.#user, identityKey);
    await journal.commit(transaction);
  }

  async #establish(transaction: Transaction, bundles: readonly DeviceBundle[]): Promise<Obstacle | undefined> {
    const { sessions, emit } = this.#services;
    for (const bundle of bundles) {
      if (await sessions.has(transaction, this.#user, bundle.id, bundle.identity)) {
        const notice = await sessions.judge(transaction, this.#user, bundle.id, bundle.identity);
        if (notice?.accepted === false && notice.wasVerified) await this.#noteBreach(transaction, bundle);
        if (notice !== undefined) emit({ type: 'identity-changed', ...notice });
        if (notice?.accepted === false) return { code: 'CLI_IDENTITY_REFUSED' };
        continue;
      }
      const outcome = await sessions.establish(transaction, this.#user, toSignalBundle(bundle));
      const isBreach = 'code' in outcome && outcome.notice?.wasVerified === true;
      if (isBreach) await this.#noteBreach(transaction, bundle);
      if (outcome.notice !== undefined) emit({ type: 'identity-changed', ...outcome.notice });
      if ('code' in outcome) {
        if (outcome.code === 'SIG_DOWNGRADE') emit({ type: 'downgrade', user: this.#user, device: bundle.id });
        return outcome;
      }
    }
    return undefined;
  }
}

function toSignalBundle({ id, registration, identity, signed, oneTime, kem }: DeviceBundle): PreKeyBundle {
  return {
    registrationId: registration,
    deviceId: id,
    identityKey: identity,
    signedPreKey: { id: signed.id, publicKey: signed.key, signature: signed.signature },
    oneTimePreKey: oneTime === undefined ? undefined : { id: oneTime.id, publicKey: oneTime.key },
    kemPreKey: kem && { id: kem.id, publicKey: kem.key, signature: kem.signature, lastResort: kem.lastResort },
  };
}
