/**
 * A device with its keys and its memory, over the public functions alone. Test-only.
 *
 * `Device` applies effects the way a client must: the new record first, then the deletion of the one-time pre-key.
 */
import { createHash } from 'node:crypto';
import { isSignalError, type SignalError } from '../errors.ts';
import {
  generateIdentityKeyPair,
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
  type LocalIdentity,
  type OneTimePreKey,
  type PreKeyBundle,
  type SignedPreKey,
} from '../pre-keys.ts';
import type { RandomBytes } from '../primitives.ts';
import { decryptPreKeyMessage, decryptRatchetMessage, encrypt, initiateSession, type Decrypted } from '../session.ts';
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

export class Device {
  readonly random: RandomBytes;
  readonly local: LocalIdentity;
  readonly signedPreKey: SignedPreKey;
  readonly oneTimePreKeys: Map<number, OneTimePreKey> = new Map<number, OneTimePreKey>();
  record: SessionRecord | undefined;

  constructor(seed: string, oneTimePreKeyCount = 0) {
    this.random = seededRandom(seed);
    this.local = {
      identityKeyPair: generateIdentityKeyPair(this.random),
      registrationId: generateRegistrationId(this.random),
    };
    this.signedPreKey = generateSignedPreKey(this.local.identityKeyPair, 7, this.random);
    for (const key of generateOneTimePreKeys(100, oneTimePreKeyCount, this.random))
      this.oneTimePreKeys.set(key.id, key);
  }

  /** The published half; with the one-time pre-key `oneTimePreKeyId`, if given. */
  bundle(oneTimePreKeyId?: number): PreKeyBundle {
    const { id, keyPair, signature } = this.signedPreKey;
    const oneTime = oneTimePreKeyId === undefined ? undefined : this.oneTimePreKeys.get(oneTimePreKeyId);
    return {
      registrationId: this.local.registrationId,
      deviceId: 1,
      identityKey: this.local.identityKeyPair.publicKey,
      signedPreKey: { id, publicKey: keyPair.publicKey, signature },
      ...(oneTime && { oneTimePreKey: { id: oneTime.id, publicKey: oneTime.keyPair.publicKey } }),
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
    const keys = {
      signedPreKey: (id: number) => (id === this.signedPreKey.id ? this.signedPreKey.keyPair : undefined),
      oneTimePreKey: (id: number) => this.oneTimePreKeys.get(id)?.keyPair,
    };
    return type === 'prekey'
      ? decryptPreKeyMessage(this.record, this.local, keys, ciphertext, this.random)
      : decryptRatchetMessage(this.record!, this.local, ciphertext, this.random);
  }

  /** Decrypts and keeps. @returns The text, or the error as it is. */
  receive(envelope: Envelope): string | SignalError {
    const outcome = this.tryReceive(envelope);
    if (isSignalError(outcome)) return outcome;
    this.record = outcome.record;
    const { consumedOneTimePreKeyId } = outcome as { consumedOneTimePreKeyId?: number };
    if (consumedOneTimePreKeyId !== undefined) this.oneTimePreKeys.delete(consumedOneTimePreKeyId);
    return new TextDecoder().decode(outcome.plaintext);
  }
}

/** Two devices with one session in which both have sent and received. */
export function createConversation(seed: string): { alice: Device; bob: Device } {
  const alice = new Device(`${seed}/alice`);
  const bob = new Device(`${seed}/bob`, 1);
  alice.initiate(bob.bundle(100));
  must(bob.receive(alice.send('hello')));
  must(alice.receive(bob.send('hello yourself')));
  return { alice, bob };
}
