/**
 * A device with its keys and its memory, over the public functions alone. Test-only.
 *
 * `Device` applies effects the way a client must: the new record first, then the deletion of the one-time pre-keys.
 */
import { createHash } from 'node:crypto';
import { isSignalError, type SignalError } from '../errors.ts';
import {
  generateIdentityKeyPair,
  generateKemPreKeys,
  generateLastResortPreKey,
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
  type KemPreKey,
  type LocalIdentity,
  type OneTimePreKey,
  type PreKeyBundle,
  type SignedPreKey,
} from '../pre-keys.ts';
import type { RandomBytes } from '../primitives.ts';
import {
  decryptPreKeyMessage,
  decryptRatchetMessage,
  encrypt,
  initiateSession,
  type Decrypted,
  type DecryptedPreKeyMessage,
  type PreKeySource,
} from '../session.ts';
import { hasSession, type SessionRecord } from '../session-record.ts';
import { must } from './outcome.ts';

/** A reproducible stream: SHA-256 of seed and counter. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += 32) {
      const block = createHash('sha256').update(`${seed}/${counter++}`).digest();
      bytes.set(block.subarray(0, Math.min(32, length - offset)), offset);
    }
    return bytes;
  };
}

/** Integers below `bound`, from the same kind of stream. */
export function seededIntegers(seed: string): (bound: number) => number {
  const random = seededRandom(seed);
  return (bound) => new DataView(random(4).buffer).getUint32(0) % bound;
}

export interface Envelope {
  readonly type: 'prekey' | 'ratchet';
  readonly ciphertext: Uint8Array;
}

/** The id of every device's last-resort KEM pre-key. */
export const lastResortId = 900;
const firstKemPreKeyId = 500;

export interface DeviceOptions {
  /** Publishes KEM pre-keys. A device without is one of a release before them. Default: true. */
  readonly hybrid?: boolean;
  /** One-time KEM pre-keys, with ids from 500. Default: 0, so that all use the last-resort one. */
  readonly kemPreKeyCount?: number;
}

export class Device {
  readonly random: RandomBytes;
  readonly local: LocalIdentity;
  readonly signedPreKey: SignedPreKey;
  readonly oneTimePreKeys: Map<number, OneTimePreKey> = new Map<number, OneTimePreKey>();
  /** By id, the last-resort one among them; empty on a device that is not hybrid. */
  readonly kemPreKeys: Map<number, KemPreKey> = new Map<number, KemPreKey>();
  record: SessionRecord | undefined;

  constructor(seed: string, oneTimePreKeyCount = 0, { hybrid = true, kemPreKeyCount = 0 }: DeviceOptions = {}) {
    this.random = seededRandom(seed);
    this.local = {
      identityKeyPair: generateIdentityKeyPair(this.random),
      registrationId: generateRegistrationId(this.random),
    };
    this.signedPreKey = generateSignedPreKey(this.local.identityKeyPair, 7, this.random);
    for (const key of generateOneTimePreKeys(100, oneTimePreKeyCount, this.random))
      this.oneTimePreKeys.set(key.id, key);
    if (!hybrid) return;
    const { identityKeyPair } = this.local;
    for (const key of generateKemPreKeys(identityKeyPair, firstKemPreKeyId, kemPreKeyCount, this.random))
      this.kemPreKeys.set(key.id, key);
    this.kemPreKeys.set(lastResortId, generateLastResortPreKey(identityKeyPair, lastResortId, this.random));
  }

  /** The same keys in another life: nothing remembered, randomness of its own. Making keys is what costs in many worlds. */
  fork(random: RandomBytes): Device {
    const life = {
      random,
      oneTimePreKeys: new Map(this.oneTimePreKeys),
      kemPreKeys: new Map(this.kemPreKeys),
      record: undefined,
    };
    return Object.assign(Object.create(Device.prototype) as Device, this, life);
  }

  /** The published half; with the one-time pre-keys named, if given, and otherwise the last-resort one. */
  bundle(oneTimePreKeyId?: number, kemPreKeyId: number = lastResortId): PreKeyBundle {
    const { id, keyPair, signature } = this.signedPreKey;
    const oneTime = oneTimePreKeyId === undefined ? undefined : this.oneTimePreKeys.get(oneTimePreKeyId);
    const kem = this.kemPreKeys.get(kemPreKeyId);
    return {
      registrationId: this.local.registrationId,
      deviceId: 1,
      identityKey: this.local.identityKeyPair.publicKey,
      signedPreKey: { id, publicKey: keyPair.publicKey, signature },
      ...(oneTime && { oneTimePreKey: { id: oneTime.id, publicKey: oneTime.keyPair.publicKey } }),
      ...(kem && { kemPreKey: publicHalf(kem) }),
    };
  }

  /** The bundle that a server makes of it to be rid of the post-quantum part. */
  strippedBundle(oneTimePreKeyId?: number): PreKeyBundle {
    return { ...this.bundle(oneTimePreKeyId), kemPreKey: undefined };
  }

  /** The private halves, as a client looks them up. */
  get keys(): PreKeySource {
    const kem = {
      kemPreKey: (id: number) => this.kemPreKeys.get(id),
      accompanies: (id: number) => id === this.signedPreKey.id,
    };
    return {
      signedPreKey: (id) => (id === this.signedPreKey.id ? this.signedPreKey.keyPair : undefined),
      oneTimePreKey: (id) => this.oneTimePreKeys.get(id)?.keyPair,
      ...(this.kemPreKeys.size > 0 && { kem }),
    };
  }

  initiate(bundle: PreKeyBundle): void {
    this.record = must(initiateSession(this.local, bundle, this.record, this.random)).record;
  }

  get canSend(): boolean {
    return hasSession(this.record);
  }

  send(text: string): Envelope {
    const { record, type, ciphertext } = must(encrypt(this.record!, this.local, new TextEncoder().encode(text)));
    this.record = record;
    return { type, ciphertext };
  }

  /** Decrypts without keeping what came of it. */
  tryReceive({ type, ciphertext }: Envelope): Decrypted | SignalError {
    return type === 'prekey'
      ? decryptPreKeyMessage(this.record, this.local, this.keys, ciphertext, this.random)
      : decryptRatchetMessage(this.record!, this.local, ciphertext, this.random);
  }

  /** Decrypts and keeps. @returns The text, or the error as it is. */
  receive(envelope: Envelope): string | SignalError {
    const outcome = this.tryReceive(envelope);
    if (isSignalError(outcome)) return outcome;
    this.record = outcome.record;
    const { consumedOneTimePreKeyId, consumedKemPreKeyId } = outcome as DecryptedPreKeyMessage;
    if (consumedOneTimePreKeyId !== undefined) this.oneTimePreKeys.delete(consumedOneTimePreKeyId);
    if (consumedKemPreKeyId !== undefined) this.kemPreKeys.delete(consumedKemPreKeyId);
    return new TextDecoder().decode(outcome.plaintext);
  }
}

function publicHalf({ id, keyPair, signature, lastResort }: KemPreKey): NonNullable<PreKeyBundle['kemPreKey']> {
  return { id, publicKey: keyPair.publicKey, signature, lastResort };
}

/** Two devices with one session in which both have sent and received. */
export function createConversation(seed: string, options: DeviceOptions = {}): { alice: Device; bob: Device } {
  const alice = new Device(`${seed}/alice`, 0, options);
  const bob = new Device(`${seed}/bob`, 1, options);
  alice.initiate(bob.bundle(100));
  must(bob.receive(alice.send('hello')));
  must(alice.receive(bob.send('hello yourself')));
  return { alice, bob };
}
