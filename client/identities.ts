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
import type { IdentityTrust, TrustDirection, TrustLevel } from '../protocol/signal/index.ts';
import type { Clock } from './environment.ts';
import { ClientError } from './errors.ts';
import type { RecordSource, Transaction } from './journal.ts';
import type { DeviceIdentity } from './layout.ts';
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
}

/** What is believed of the people that an account writes with. */
export class Identities {
  readonly #policy: IdentityPolicy;
  readonly #clock: Clock;

  constructor(policy: IdentityPolicy, clock: Clock) {
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
    if (known.some((entry) => entry.device === device && sameBytes(entry.key, current))) return undefined;
    const trust = await this.trust(transaction, user);
    const wasVerified = trust !== undefined && trust.level !== 'unverified';
    const keys = known.map((entry) => entry.key);
    const change = { user, device, known: keys, current: current.slice(), direction, wasVerified };
    // The same key on another device: its owner restored a backup. Nobody else could.
    const isExpected = known.length === 0 || keys.some((key) => sameBytes(key, current));
    const accepted = isExpected || (await this.#consent(change));
    if (accepted) this.#adopt(transaction, user, known, { device, key: current }, trust);
    return isExpected ? undefined : { user, device, accepted, wasVerified };
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
    const latest = (await readSeen(source, user)).at(-1);
    return latest && { identityKey: latest.key, level: 'unverified', sinceMs: 0 };
  }

  /** The devices of a user that were believed, with the key of each. */
  async devices(source: RecordSource, user: string): Promise<DeviceIdentity[]> {
    return (await readSeen(source, user)).map(({ device, key }) => ({ device, identityKey: key }));
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
  ): void {
    const others = known.filter((entry) => entry.device !== seen.device);
    transaction.put(IDENTITY_KEYS.seen(user), encodeSeen([...others, seen]));
    this.putTrust(transaction, user, observeIdentity(trust, seen.key, this.#clock.nowMs()).trust);
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

/** Whether two public keys are one. Not constant time. */
export function isSameKey(left: Uint8Array, right: Uint8Array): boolean {
  return sameBytes(left, right);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
