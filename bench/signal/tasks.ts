/**
 * The operations of `bench signal`, each written as a client does it, through the public door of `protocol/signal`.
 *
 * States are kept in memory and not encoded: the figure is the protocol's and not the store's. Bodies have 100 bytes and
 * are random. Bundles are many and all different, so that no key that was seen before helps with the next one.
 */

import { randomFillSync } from 'node:crypto';
import {
  acceptDistribution,
  createSenderKey,
  decryptFromGroup,
  decryptMedia,
  decryptPreKeyMessage,
  decryptRatchetMessage,
  distributionMessage,
  encrypt,
  encryptForGroup,
  generateIdentityKeyPair,
  generateLastResortPreKey,
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
  initiateSession,
  isSignalError,
  MediaEncryption,
  type LocalIdentity,
  type MediaReference,
  type PreKeyBundle,
  type PreKeySource,
  type SenderKey,
  type SenderKeyRecord,
  type SessionRecord,
  type SignalError,
} from '../../protocol/signal/index.ts';
import { primitives } from '../../protocol/signal/primitives.ts';
import { requireResult, type ProviderName, type SignalTask, type TaskRun } from './task.ts';

/** Which provider the protocol has chosen in this process. */
export const providerInUse: ProviderName = primitives.name;

const BODY_BYTES = 100;
const MEDIA_BYTES = 32 * 2 ** 20;
const PIECE_BYTES = 2 ** 16;
/** Messages in a batch: natively some 10 ms, so that the clock is read rarely, and a round of 100 ms is met closely. */
const BATCH_COUNT: Readonly<Record<ProviderName, number>> = { native: 256, noble: 16 };
/** More than any cache of public keys remembers. Plain JavaScript caches none that matter, and makes them slowly. */
const BUNDLE_COUNT: Readonly<Record<ProviderName, number>> = { native: 272, noble: 24 };

const pool: Uint8Array = new Uint8Array(2 ** 16);
let poolOffset: number = pool.length;

/** Strong randomness, drawn in large pieces: a call for 32 bytes would cost a tenth of a key pair. */
function random(length: number): Uint8Array {
  if (length > pool.length) return randomFillSync(new Uint8Array(length));
  if (poolOffset + length > pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += length;
  return pool.slice(poolOffset - length, poolOffset);
}

/** The result; one that is an error voids the run. */
function must<T>(outcome: T | SignalError, what: string): T {
  requireResult(!isSignalError(outcome), `${what} gave ${isSignalError(outcome) ? outcome.code : ''}`);
  return outcome as T;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** A device with what it publishes. */
class Party {
  readonly local: LocalIdentity = {
    identityKeyPair: generateIdentityKeyPair(random),
    registrationId: generateRegistrationId(random),
  };
  readonly #signed = generateSignedPreKey(this.local.identityKeyPair, 1, random);
  readonly #oneTime = generateOneTimePreKeys(1, 1, random)[0]!;
  record!: SessionRecord;

  /** With a one-time pre-key; with a last-resort KEM pre-key for the hybrid handshake. */
  bundle(isHybrid: boolean): PreKeyBundle {
    const { local } = this;
    return {
      registrationId: local.registrationId,
      deviceId: 1,
      identityKey: local.identityKeyPair.publicKey,
      signedPreKey: {
        id: this.#signed.id,
        publicKey: this.#signed.keyPair.publicKey,
        signature: this.#signed.signature,
      },
      oneTimePreKey: { id: this.#oneTime.id, publicKey: this.#oneTime.keyPair.publicKey },
      ...(isHybrid && { kemPreKey: publicKemPreKey(local) }),
    };
  }

  get keys(): PreKeySource {
    return { signedPreKey: () => this.#signed.keyPair, oneTimePreKey: () => this.#oneTime.keyPair };
  }

  send(body: Uint8Array): Uint8Array {
    const sent = must(encrypt(this.record, this.local, body), 'encrypting');
    this.record = sent.record;
    return sent.ciphertext;
  }

  receive(ciphertext: Uint8Array): Uint8Array {
    const received = must(decryptRatchetMessage(this.record, this.local, ciphertext, random), 'decrypting');
    this.record = received.record;
    return received.plaintext;
  }
}

function publicKemPreKey({ identityKeyPair }: LocalIdentity): NonNullable<PreKeyBundle['kemPreKey']> {
  const { id, keyPair, signature } = generateLastResortPreKey(identityKeyPair, 1, random);
  return { id, publicKey: keyPair.publicKey, signature, lastResort: true };
}

/** Two parties in conversation: both have sent and received. */
function converse(): readonly [Party, Party] {
  const [alice, bob] = [new Party(), new Party()];
  alice.record = must(initiateSession(alice.local, bob.bundle(false), undefined, random), 'initiating').record;
  const offer = alice.send(random(BODY_BYTES));
  bob.record = must(decryptPreKeyMessage(undefined, bob.local, bob.keys, offer, random), 'accepting').record;
  alice.receive(bob.send(random(BODY_BYTES)));
  return [alice, bob];
}

/** One chain: the same end sends all the time. The other one reads the last of each batch, which proves the rest. */
class EncryptRun implements TaskRun {
  readonly #parties = converse();
  readonly #body = random(BODY_BYTES);
  readonly #count: number;
  #last: Uint8Array | undefined;

  constructor(provider: ProviderName) {
    this.#count = BATCH_COUNT[provider];
  }

  refill(): void {
    if (this.#last === undefined) return;
    const read = this.#parties[1].receive(this.#last);
    requireResult(sameBytes(read, this.#body), 'what was encrypted does not decrypt to itself');
  }

  work(): number {
    for (let index = 0; index < this.#count; index++) this.#last = this.#parties[0].send(this.#body);
    return this.#count;
  }
}

class DecryptRun implements TaskRun {
  readonly #parties = converse();
  readonly #count: number;
  #stock: { readonly body: Uint8Array; readonly ciphertext: Uint8Array }[] = [];
  #read: Uint8Array | undefined;

  constructor(provider: ProviderName) {
    this.#count = BATCH_COUNT[provider];
  }

  refill(): void {
    const last = this.#stock.at(-1);
    if (last !== undefined) requireResult(sameBytes(this.#read!, last.body), 'another text was decrypted');
    this.#stock = Array.from({ length: this.#count }, () => {
      const body = random(BODY_BYTES);
      return { body, ciphertext: this.#parties[0].send(body) };
    });
  }

  work(): number {
    for (const { ciphertext } of this.#stock) this.#read = this.#parties[1].receive(ciphertext);
    return this.#count;
  }
}

/** To and fro: each message is the first under a new ratchet key, and is encrypted and decrypted. */
class RatchetRun implements TaskRun {
  readonly #parties = converse();
  readonly #count: number;

  constructor(provider: ProviderName) {
    this.#count = BATCH_COUNT[provider] >> 2;
  }

  refill(): void {
    const body = random(BODY_BYTES);
    for (const [from, to] of [this.#parties, this.#parties.toReversed()] as const) {
      requireResult(sameBytes(to!.receive(from!.send(body)), body), 'another text was decrypted');
    }
  }

  work(): number {
    const [alice, bob] = this.#parties;
    const body = new Uint8Array(BODY_BYTES);
    for (let index = 0; index < this.#count; index += 2) {
      bob.receive(alice.send(body));
      alice.receive(bob.send(body));
    }
    return this.#count;
  }
}

/** A session from a fetched bundle: signatures checked, agreements made, the first chain derived. */
class InitiateRun implements TaskRun {
  readonly #alice = new Party();
  readonly #bundles: readonly PreKeyBundle[];
  readonly #count: number;
  #next = 0;

  constructor(provider: ProviderName, isHybrid: boolean) {
    this.#bundles = Array.from({ length: BUNDLE_COUNT[provider] }, () => new Party().bundle(isHybrid));
    this.#count = BATCH_COUNT[provider] >> 3;
  }

  refill(): void {
    const bob = new Party();
    this.#alice.record = this.#initiate(bob.bundle(false));
    const body = random(BODY_BYTES);
    const offer = this.#alice.send(body);
    const accepted = must(decryptPreKeyMessage(undefined, bob.local, bob.keys, offer, random), 'accepting');
    requireResult(sameBytes(accepted.plaintext, body), 'the sessions at both ends differ');
  }

  work(): number {
    for (let index = 0; index < this.#count; index++) {
      this.#initiate(this.#bundles[this.#next]!);
      this.#next = (this.#next + 1) % this.#bundles.length;
    }
    return this.#count;
  }

  #initiate(bundle: PreKeyBundle): SessionRecord {
    return must(initiateSession(this.#alice.local, bundle, undefined, random), 'initiating').record;
  }
}

/** A sender, and one of those who hold its key. */
class Group {
  key: SenderKey = createSenderKey(random(16), random);
  record: SenderKeyRecord = must(acceptDistribution(undefined, distributionMessage(this.key)), 'accepting').record;

  send(body: Uint8Array): Uint8Array {
    const sent = must(encryptForGroup(this.key, body), 'encrypting');
    this.key = sent.senderKey;
    return sent.ciphertext;
  }

  receive(ciphertext: Uint8Array): Uint8Array {
    const received = must(decryptFromGroup(this.record, ciphertext), 'decrypting');
    this.record = received.record;
    return received.plaintext;
  }
}

class GroupEncryptRun implements TaskRun {
  #group = new Group();
  readonly #body = random(BODY_BYTES);
  readonly #count: number;
  #last: Uint8Array | undefined;

  constructor(provider: ProviderName) {
    this.#count = BATCH_COUNT[provider];
  }

  refill(): void {
    if (this.#last === undefined) return;
    requireResult(sameBytes(this.#group.receive(this.#last), this.#body), 'another text was decrypted');
  }

  work(): number {
    for (let index = 0; index < this.#count; index++) this.#last = this.#group.send(this.#body);
    return this.#count;
  }
}

class GroupDecryptRun implements TaskRun {
  readonly #group = new Group();
  readonly #count: number;
  #stock: { readonly body: Uint8Array; readonly ciphertext: Uint8Array }[] = [];
  #read: Uint8Array | undefined;

  constructor(provider: ProviderName) {
    this.#count = BATCH_COUNT[provider] >> 1;
  }

  refill(): void {
    const last = this.#stock.at(-1);
    if (last !== undefined) requireResult(sameBytes(this.#read!, last.body), 'another text was decrypted');
    this.#stock = Array.from({ length: this.#count }, () => {
      const body = random(BODY_BYTES);
      return { body, ciphertext: this.#group.send(body) };
    });
  }

  work(): number {
    for (const { ciphertext } of this.#stock) this.#read = this.#group.receive(ciphertext);
    return this.#count;
  }
}

/** A file that comes in pieces. Plain JavaScript gets an eighth, so that a batch stays short. */
class MediaRun implements TaskRun {
  readonly #direction: 'seal' | 'open';
  readonly #pieces: Uint8Array[];
  readonly #bytes: number;
  #sealed: Uint8Array[] = [];
  #reference: MediaReference | undefined;

  constructor(provider: ProviderName, direction: 'seal' | 'open') {
    this.#direction = direction;
    this.#bytes = provider === 'native' ? MEDIA_BYTES : MEDIA_BYTES / 8;
    const file = random(this.#bytes);
    this.#pieces = Array.from({ length: this.#bytes / PIECE_BYTES }, (_, index) =>
      file.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
    );
  }

  async refill(): Promise<void> {
    if (this.#reference === undefined) {
      if (this.#direction === 'seal') return;
      await this.#seal();
    }
    let offset = 0;
    await this.#open((text) => {
      requireResult(sameBytes(text.subarray(0, 16), this.#at(offset)), 'another file was decrypted');
      offset += text.length;
    });
    requireResult(offset === this.#bytes, 'the file came back in another length');
  }

  /** Sixteen bytes of the file. */
  #at(offset: number): Uint8Array {
    const within = offset % PIECE_BYTES;
    return this.#pieces[Math.floor(offset / PIECE_BYTES)]!.subarray(within, within + 16);
  }

  async work(): Promise<number> {
    if (this.#direction === 'seal') await this.#seal();
    else await this.#open(() => undefined);
    return this.#bytes / 1e6;
  }

  async #seal(): Promise<void> {
    const encryption = MediaEncryption.begin(random);
    this.#sealed = [];
    const pieces = encryption.encrypt(this.#pieces);
    let step = await pieces.next();
    for (; step.done !== true; step = await pieces.next()) this.#sealed.push(step.value);
    this.#reference = must(step.value, 'sealing');
  }

  async #open(take: (text: Uint8Array) => void): Promise<void> {
    const pieces = decryptMedia(this.#reference!, this.#sealed);
    let step = await pieces.next();
    for (; step.done !== true; step = await pieces.next()) take(step.value);
    must(step.value, 'opening');
  }
}

/** In the order of the report. */
export const SIGNAL_TASKS: readonly SignalTask[] = [
  { name: 'encrypt', metric: 'encrypt_per_s', unit: 'msg/s', begin: (provider) => new EncryptRun(provider) },
  { name: 'decrypt', metric: 'decrypt_per_s', unit: 'msg/s', begin: (provider) => new DecryptRun(provider) },
  { name: 'ratchet', metric: 'ratchet_msgs_per_s', unit: 'msg/s', begin: (provider) => new RatchetRun(provider) },
  {
    name: 'session-init',
    metric: 'session_init_per_s',
    unit: 'op/s',
    begin: (provider) => new InitiateRun(provider, false),
  },
  {
    name: 'pq-session-init',
    metric: 'pq_session_init_per_s',
    unit: 'op/s',
    begin: (provider) => new InitiateRun(provider, true),
  },
  {
    name: 'group-encrypt',
    metric: 'group_encrypt_per_s',
    unit: 'msg/s',
    begin: (provider) => new GroupEncryptRun(provider),
  },
  {
    name: 'group-decrypt',
    metric: 'group_decrypt_per_s',
    unit: 'msg/s',
    begin: (provider) => new GroupDecryptRun(provider),
  },
  { name: 'media', metric: 'media_mb_per_s', unit: 'MB/s', begin: (provider) => new MediaRun(provider, 'seal') },
  {
    name: 'media-open',
    metric: 'media_open_mb_per_s',
    unit: 'MB/s',
    begin: (provider) => new MediaRun(provider, 'open'),
  },
];
