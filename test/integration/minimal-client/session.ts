/**
 * X3DH of version 3 and the Double Ratchet. Written from protocol/signal/FORMAT.md, "Sessions".
 *
 * State is changed in place and kept in memory: this client is not for use. Everything that travels is as it should be.
 */

import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import { agree, generateKeyPair, hkdf, hmac, verifies, type IdentityKeyPair, type KeyPair } from './keys.ts';
import { decodeRatchetMessage, encodeFields, type PreKeyMessage, type RatchetMessage } from './session-messages.ts';

export interface Bundle {
  readonly identityKey: Buffer;
  readonly signedPreKey: { readonly id: number; readonly key: Buffer; readonly signature: Buffer };
  readonly oneTimePreKey: { readonly id: number; readonly key: Buffer } | undefined;
}

/** What a device is to others. */
export interface LocalDevice {
  readonly identity: IdentityKeyPair;
  readonly registration: number;
  readonly signedPreKey: { readonly id: number; readonly pair: KeyPair };
  readonly oneTimePreKeys: Map<number, KeyPair>;
}

export interface Sealed {
  readonly type: 'prekey' | 'ratchet';
  readonly ciphertext: Buffer;
}

interface Chain {
  key: Buffer;
  counter: number;
  /** Seeds of messages that have not come, by counter. */
  readonly skipped: Map<number, Buffer>;
}

const NO_SALT = Buffer.alloc(32);
const JUMP_MAX = 25_000;

export class Session {
  readonly #local: LocalDevice;
  readonly #remoteIdentity: Buffer;
  #rootKey: Buffer;
  #ratchet: KeyPair;
  #sending: Chain | undefined;
  #previousCounter = 0;
  /** By the peer's ratchet key, in hex. */
  readonly #receiving = new Map<string, Chain>();
  /** The head of a pre-key message, until the peer has answered. */
  #offer: ((message: Buffer) => Buffer) | undefined;

  private constructor(local: LocalDevice, remoteIdentity: Buffer, rootKey: Buffer, ratchet: KeyPair) {
    this.#local = local;
    this.#remoteIdentity = Buffer.from(remoteIdentity);
    this.#rootKey = rootKey;
    this.#ratchet = ratchet;
  }

  /** Begins a session with the device of `bundle`. @throws {Error} a signed pre-key that its identity did not sign. */
  static initiate(local: LocalDevice, bundle: Bundle): Session {
    const { identityKey, signedPreKey, oneTimePreKey } = bundle;
    if (!verifies(identityKey, signedPreKey.key, signedPreKey.signature)) throw new Error('a forged pre-key');
    const base = generateKeyPair();
    const agreements = [
      agree(local.identity, signedPreKey.key),
      agree(base, identityKey),
      agree(base, signedPreKey.key),
      ...(oneTimePreKey === undefined ? [] : [agree(base, oneTimePreKey.key)]),
    ];
    const session = new Session(local, identityKey, firstRootKey(agreements), generateKeyPair());
    session.#sending = session.#turn(signedPreKey.key);
    session.#offer = (message) =>
      encodeFields([
        ...(oneTimePreKey === undefined ? [] : [[1, oneTimePreKey.id] as const]),
        [2, base.publicKey],
        [3, local.identity.publicKey],
        [4, message],
        [5, local.registration],
        [6, signedPreKey.id],
      ]);
    return session;
  }

  /** The session of an offer; it stands once a message has been opened in it. Uses the one-time pre-key up. */
  static accept(local: LocalDevice, offer: PreKeyMessage): Session {
    const { identity, signedPreKey, oneTimePreKeys } = local;
    const oneTime = offer.oneTimePreKeyId === undefined ? undefined : oneTimePreKeys.get(offer.oneTimePreKeyId);
    if (offer.signedPreKeyId !== signedPreKey.id) throw new Error('an unknown signed pre-key');
    if (offer.oneTimePreKeyId !== undefined && oneTime === undefined) throw new Error('an unknown one-time pre-key');
    const agreements = [
      agree(signedPreKey.pair, offer.identityKey),
      agree(identity, offer.baseKey),
      agree(signedPreKey.pair, offer.baseKey),
      ...(oneTime === undefined ? [] : [agree(oneTime, offer.baseKey)]),
    ];
    const session = new Session(local, offer.identityKey, firstRootKey(agreements), signedPreKey.pair);
    if (offer.oneTimePreKeyId !== undefined) oneTimePreKeys.delete(offer.oneTimePreKeyId);
    return session;
  }

  seal(plaintext: Buffer): Sealed {
    if (this.#sending === undefined) throw new Error('nothing was received yet');
    const { counter } = this.#sending;
    const { cipherKey, macKey, iv } = messageKeys(step(this.#sending));
    const cipher = createCipheriv('aes-256-cbc', cipherKey, iv);
    const body = encodeFields([
      [1, this.#ratchet.publicKey],
      [2, counter],
      [3, this.#previousCounter],
      [4, Buffer.concat([cipher.update(plaintext), cipher.final()])],
    ]);
    const mac = macOf(macKey, this.#local.identity.publicKey, this.#remoteIdentity, body);
    const message = Buffer.concat([body, mac]);
    return this.#offer === undefined
      ? { type: 'ratchet', ciphertext: message }
      : { type: 'prekey', ciphertext: this.#offer(message) };
  }

  /** @throws {Error} a message that is not of this session, or was changed; the state is then as before. */
  open(bytes: Buffer): Buffer {
    const message = decodeRatchetMessage(bytes);
    const name = message.ratchetKey.toString('hex');
    const known = this.#receiving.get(name);
    const rootKey = this.#rootKey;
    const chain = known === undefined ? this.#turn(message.ratchetKey) : copyOf(known);
    try {
      const plaintext = this.#decrypt(seedAt(chain, message.counter), message);
      this.#receiving.set(name, chain);
      if (known === undefined) this.#turnSending(message.ratchetKey);
      this.#offer = undefined;
      return plaintext;
    } catch (error) {
      this.#rootKey = rootKey;
      throw error;
    }
  }

  #decrypt(seed: Buffer, { ciphertext, mac, authenticated }: RatchetMessage): Buffer {
    const { cipherKey, macKey, iv } = messageKeys(seed);
    const expected = macOf(macKey, this.#remoteIdentity, this.#local.identity.publicKey, authenticated);
    if (!timingSafeEqual(expected, mac)) throw new Error('a wrong MAC');
    const decipher = createDecipheriv('aes-256-cbc', cipherKey, iv);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  }

  #turnSending(theirs: Buffer): void {
    this.#previousCounter = Math.max(0, (this.#sending?.counter ?? 0) - 1);
    this.#ratchet = generateKeyPair();
    this.#sending = this.#turn(theirs);
  }

  #turn(theirs: Buffer): Chain {
    const derived = hkdf(agree(this.#ratchet, theirs), this.#rootKey, 'WhisperRatchet', 64);
    this.#rootKey = derived.subarray(0, 32);
    return { key: derived.subarray(32), counter: 0, skipped: new Map() };
  }
}

function firstRootKey(agreements: readonly Buffer[]): Buffer {
  const secret = Buffer.concat([Buffer.alloc(32, 0xff), ...agreements]);
  return hkdf(secret, NO_SALT, 'WhisperText', 64).subarray(0, 32);
}

/** The seed of the next message of the chain. */
function step(chain: Chain): Buffer {
  const seed = hmac(chain.key, Buffer.of(1));
  chain.key = hmac(chain.key, Buffer.of(2));
  chain.counter++;
  return seed;
}

function seedAt(chain: Chain, counter: number): Buffer {
  if (counter - chain.counter > JUMP_MAX) throw new Error('too far ahead');
  while (chain.counter < counter) chain.skipped.set(chain.counter, step(chain));
  if (chain.counter === counter) return step(chain);
  const seed = chain.skipped.get(counter);
  if (seed === undefined) throw new Error('read before');
  chain.skipped.delete(counter);
  return seed;
}

function copyOf({ key, counter, skipped }: Chain): Chain {
  return { key, counter, skipped: new Map(skipped) };
}

function messageKeys(seed: Buffer): { cipherKey: Buffer; macKey: Buffer; iv: Buffer } {
  const derived = hkdf(seed, NO_SALT, 'WhisperMessageKeys', 80);
  return { cipherKey: derived.subarray(0, 32), macKey: derived.subarray(32, 64), iv: derived.subarray(64) };
}

function macOf(key: Buffer, sender: Buffer, receiver: Buffer, bytes: Buffer): Buffer {
  return hmac(key, Buffer.concat([sender, receiver, bytes])).subarray(0, 8);
}
