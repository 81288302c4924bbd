/**
 * Whose identity is believed: trust on first use, what the application decides on a change, what people have compared.
 *
 * Works inside a transaction of the caller's, who holds the peer's lock. Knows no sessions and no wire; the levels of trust
 * and how they change are the Signal half's (`protocol/signal/identity-trust.ts`). Read next: `sessions.ts`, `safety.ts`.
 *
 *   key                              record
 *   signal/identity/<user>           identity keys seen of that user, by device
 *   signal/identity/<user>/trust     the key shown last, since when, and whether it was compared
 */

import { observeIdentity } from '../protocol/signal/index.ts';
import type { IdentityTrust, ListedDevice, TrustDirection, TrustLevel } from '../protocol/signal/index.ts';
import { isVouchedFor, readDevices } from './devices.ts';
import type { Clock } from './environment.ts';
import { ClientError } from './errors.ts';
import type { RecordSource, Transaction } from './journal.ts';
import { KEYS, VOUCH } from './layout.ts';
import type { DeviceIdentity } from './layout.ts';
import { isSameKey as sameBytes } from './public-keys.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** The keys of this file's records; all of them stay when the own device is registered anew. */
export const IDENTITY_KEYS = {
  all: 'signal/identity/',
  seen: (user: string): string => `signal/identity/${user}`,
  trust: (user: string): string => `signal/identity/${user}/trust`,
} as const;

/** A peer's device shows another identity than the ones known of that user. */
export interface IdentityChange {
  readonly user: string;
  readonly device: number;
  /** Identity keys seen before, 33 bytes each. */
  readonly known: readonly Uint8Array[];
  /** 33 bytes. */
  readonly current: Uint8Array;
  /** Whether something is about to be sent under it, or has come under it. */
  readonly direction: TrustDirection;
  /** True where the two people had compared the former identity: a change is then no everyday matter. */
  readonly wasVerified: boolean;
}

/**
 * Decides on a changed identity; the first one of a user is trusted without asking. Asked for each session that is begun and
 * each message that comes under a new identity, and before each message to somebody whose verified identity has changed.
 */
export type IdentityPolicy = (change: IdentityChange) => boolean | Promise<boolean>;

/** Where the application has no policy: a change is believed, but nothing goes to somebody whose verified identity changed. */
export function cautiousIdentityPolicy({ direction, wasVerified }: IdentityChange): boolean {
  return direction === 'receive' || !wasVerified;
}

/** What an operation has to tell beside its result. */
export interface IdentityNotice {
  readonly user: string;
  readonly device: number;
  readonly accepted: boolean;
  readonly wasVerified: boolean;
  /** The key of a device that the list known of its user does not name; whether the next one does is to be asked. */
  readonly unlisted?: Uint8Array;
}

/** What is believed of the people that an account writes with. */
export class Identities {
  readonly #policy: IdentityPolicy;
  readonly #clock: Clock;
  readonly #self: string;

  /** @param self - Our own user id: of our own devices, none is believed on first use. */
  constructor(policy: IdentityPolicy, clock: Clock, self: string) {
    this.#self = self;
    this.#policy = policy;
    this.#clock = clock;
  }

  /**
   * Judges the identity that a bundle or message of a device came with.
   *
   * Trust goes by user and not by device: a number registered anew comes with a new device id, and a server that slips in a
   * device must not pass as a first contact.
   *
   * @returns Nothing for a known identity, on whatever device, and for the first one; otherwise what was decided. Refused, nothing is written.
   */
  async judge(
    transaction: Transaction,
    user: string,
    device: number,
    current: Uint8Array,
    direction: TrustDirection,
  ): Promise<IdentityNotice | undefined> {
    const known = await readSeen(transaction, user);
    const trust = await this.trust(transaction, user);
    const devices = await readDevices(transaction, user);
    const primaryKey = isVouchedFor(devices, device, current) ? devices![0]!.identityKey : undefined;
    if (primaryKey !== undefined && isCovered(trust, devices!)) {
      this.#adoptListed(transaction, user, known, { device, key: current }, trust, primaryKey);
      return undefined;
    }
    // Under the id of a device that is listed with another key: whether the next list names it need not be asked.
    const isOther = primaryKey === undefined && devices?.some(({ id }) => id === device) === true;
    // Nobody becomes one of our own devices by saying so, whatever the application thinks of it.
    const isForeign = direction === 'receive' && user === this.#self && primaryKey === undefined;
    const isRefused = isForeign && (isOther || devices === undefined);
    const isSeen = known.some((entry) => entry.device === device && sameBytes(entry.key, current));
    // Seen, and never vouched for: it is asked about until trust has followed, whatever became of the last time.
    const isTrusted = trust === undefined ? user !== this.#self : sameBytes(trust.identityKey, current);
    if (isSeen && isTrusted) return undefined;
    const wasVerified = trust !== undefined && trust.level !== 'unverified';
    const keys = known.map((entry) => entry.key);
    const change = { user, device, known: keys, current: current.slice(), direction, wasVerified };
    // The trusted key on another device: its owner restored a backup. Nobody else could.
    const isFirst = known.length === 0 && user !== this.#self;
    const isExpected = isFirst || (trust !== undefined && sameBytes(trust.identityKey, current));
    const accepted = isExpected || (!isRefused && (await this.#consent(change)));
    // A device that no list names which we know may stand in the next one: trust stays where it is until that is known.
    const mayBeListed = devices !== undefined || trust?.level === 'unverified';
    const isOpen = direction === 'receive' && mayBeListed && !isOther && accepted && !isExpected;
    if (isOpen) this.#await(transaction, user, known, { device, key: current }, wasVerified);
    else if (accepted) this.#adopt(transaction, user, known, { device, key: current }, trust, primaryKey);
    const notice = { user, device, accepted, wasVerified };
    return isExpected ? undefined : isOpen ? { ...notice, unlisted: change.current } : notice;
  }

  /** Whether a list is one of the person who is trusted, as far as anybody is. */
  async covers(source: RecordSource, user: string, devices: readonly ListedDevice[]): Promise<boolean> {
    return isCovered(await this.trust(source, user), devices);
  }

  /** The list does not name the device that wrote: it counts as a change of identity. */
  async concede(transaction: Transaction, user: string, key: Uint8Array): Promise<void> {
    const trust = await this.trust(transaction, user);
    this.putTrust(transaction, user, observeIdentity(trust, key, this.#clock.nowMs()).trust);
  }

  /** Noted with what the device said: the question of who it is outlives this run. */
  #await(
    transaction: Transaction,
    user: string,
    known: readonly SeenIdentity[],
    seen: SeenIdentity,
    wasVerified: boolean,
  ): void {
    this.#see(transaction, user, known, seen);
    transaction.put(KEYS.vouch(user, seen.device), VOUCH.encode({ identityKey: seen.key, wasVerified }));
  }

  #see(transaction: Transaction, user: string, known: readonly SeenIdentity[], seen: SeenIdentity): void {
    const others = known.filter((entry) => entry.device !== seen.device);
    transaction.put(IDENTITY_KEYS.seen(user), encodeSeen([...others, seen]));
  }

  /** Whether something may be encrypted for a user whose sessions stand: no, where trust is broken and the policy minds. */
  async permitsSending(source: RecordSource, user: string): Promise<boolean> {
    const trust = await this.trust(source, user);
    if (trust?.level !== 'broken') return true;
    const known = await readSeen(source, user);
    const { device } = known.findLast((entry) => sameBytes(entry.key, trust.identityKey)) ?? { device: 0 };
    const current = trust.identityKey;
    const keys = known.map((entry) => entry.key);
    return this.#consent({ user, device, known: keys, current, direction: 'send', wasVerified: true });
  }

  /** What is believed of a user; undefined before the first contact. */
  async trust(source: RecordSource, user: string): Promise<IdentityTrust | undefined> {
    const stored = await source.get(IDENTITY_KEYS.trust(user));
    if (stored !== undefined) return decodeTrust(stored);
    // Of our own devices, what was seen says nothing: the list that we were given when we were linked does.
    const latest = user === this.#self ? undefined : (await readSeen(source, user)).at(-1);
    return latest && { identityKey: latest.key, level: 'unverified', sinceMs: 0 };
  }

  /** The devices of a user that were believed, with the key of each. */
  async devices(source: RecordSource, user: string): Promise<DeviceIdentity[]> {
    return (await readSeen(source, user)).map(({ device, key }) => ({ device, identityKey: key }));
  }

  /**
   * The devices whose signature counts for a user now: those of the newest list, where it is one of the person who is trusted; of an
   * account without lists, the one with the trusted key. A device that was unlinked is not among them, whatever was seen of it.
   */
  async signers(source: RecordSource, user: string): Promise<DeviceIdentity[]> {
    const trust = await this.trust(source, user);
    const listed = await readDevices(source, user);
    if (listed !== undefined && isCovered(trust, listed)) {
      return listed.map(({ id, identityKey }) => ({ device: id, identityKey }));
    }
    const seen = await this.devices(source, user);
    return seen.filter(({ identityKey }) => trust !== undefined && sameBytes(identityKey, trust.identityKey));
  }

  /**
   * The key of a device in the list of the person who is trusted: nothing goes to it under another one.
   *
   * @returns 33 bytes; undefined where that list does not name the device, or there is none.
   */
  async listedKey(source: RecordSource, user: string, device: number): Promise<Uint8Array | undefined> {
    const listed = await readDevices(source, user);
    if (listed === undefined || !(await this.covers(source, user, listed))) return undefined;
    return listed.find(({ id }) => id === device)?.identityKey;
  }

  /** Stores what people have found out about each other. */
  putTrust(transaction: Transaction, user: string, trust: IdentityTrust): void {
    transaction.put(IDENTITY_KEYS.trust(user), encodeTrust(trust));
  }

  #adopt(
    transaction: Transaction,
    user: string,
    known: readonly SeenIdentity[],
    seen: SeenIdentity,
    trust: IdentityTrust | undefined,
    primaryKey: Uint8Array = seen.key,
  ): void {
    this.#see(transaction, user, known, seen);
    this.putTrust(transaction, user, observeIdentity(trust, primaryKey, this.#clock.nowMs()).trust);
  }

  /** A device that the trusted primary has signed for: nothing to ask and nothing to tell. Trust is in the primary's key. */
  #adoptListed(
    transaction: Transaction,
    user: string,
    known: readonly SeenIdentity[],
    seen: SeenIdentity,
    trust: IdentityTrust | undefined,
    primaryKey: Uint8Array,
  ): void {
    const isSeen = known.some((entry) => entry.device === seen.device && sameBytes(entry.key, seen.key));
    if (isSeen && trust !== undefined && sameBytes(trust.identityKey, primaryKey)) return;
    this.#adopt(transaction, user, known, seen, trust, primaryKey);
  }

  /** Asks the policy; one that fails has not consented. */
  async #consent(change: IdentityChange): Promise<boolean> {
    try {
      return await this.#policy(change);
    } catch {
      return false;
    }
  }
}

/** Whether the list is one of the person who is trusted: signed by the trusted key. To name it is easy: listed devices do not countersign. */
function isCovered(trust: IdentityTrust | undefined, devices: readonly ListedDevice[]): boolean {
  return trust === undefined || sameBytes(devices[0]!.identityKey, trust.identityKey);
}

interface SeenIdentity {
  readonly device: number;
  readonly key: Uint8Array;
}

async function readSeen(source: RecordSource, user: string): Promise<SeenIdentity[]> {
  const bytes = await source.get(IDENTITY_KEYS.seen(user));
  return bytes === undefined ? [] : decodeSeen(bytes);
}

function encodeSeen(identities: readonly SeenIdentity[]): Uint8Array {
  const writer = new RecordWriter();
  for (const { device, key } of identities) writer.byte(device).bytes(key);
  return writer.finish();
}

function decodeSeen(bytes: Uint8Array): SeenIdentity[] {
  const reader = new RecordReader(bytes);
  const identities: SeenIdentity[] = [];
  while (reader.remainingBytes > 0 && !reader.failed) identities.push({ device: reader.byte(), key: reader.bytes() });
  if (reader.failed) throw new ClientError('CLI_STORE_CORRUPT');
  return identities;
}

const TRUST_VERSION = 1;
const LEVELS: readonly TrustLevel[] = ['unverified', 'verified', 'broken'];

function encodeTrust({ identityKey, level, sinceMs }: IdentityTrust): Uint8Array {
  return new RecordWriter().byte(TRUST_VERSION).byte(LEVELS.indexOf(level)).uint(sinceMs).bytes(identityKey).finish();
}

function decodeTrust(bytes: Uint8Array): IdentityTrust {
  const reader = new RecordReader(bytes);
  const version = reader.byte();
  const level = LEVELS[reader.byte()];
  const [sinceMs, identityKey] = [reader.uint(), reader.bytes()];
  const whole = version === TRUST_VERSION && level !== undefined && identityKey.length === 33;
  if (!whole || reader.failed || reader.remainingBytes > 0) throw new ClientError('CLI_STORE_CORRUPT');
  return { identityKey, level, sinceMs };
}
