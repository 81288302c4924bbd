/**
 * Glue to the Signal half: which record belongs to which device. Whose identity is believed: `identities.ts`.
 *
 * Every operation works inside a transaction of the caller's and writes the next ratchet state there, so that the state
 * becomes durable together with what was made of it (a ciphertext in the outbox, a text in the history) or not at all.
 * The caller holds the peer's lock. This file knows no wire and no clock.
 *
 *   key                        record
 *   signal/session/<user>/<d>  session record of that device, as the Signal half encodes it
 *   signal/onetime/<id>        one of our one-time pre-keys; deleted with the session that consumes it
 *   signal/signed/<id>         one of our signed pre-keys, and the last-resort one that was uploaded with it
 *   signal/kem/<id>            one of our KEM pre-keys; a one-time one is deleted with the session that consumes it
 */

import {
  closeSession,
  decodeSessionRecord,
  decryptPreKeyMessage,
  decryptRatchetMessage,
  encodeSessionRecord,
  encrypt,
  hasSession,
  initiateSession,
  isSignalError,
  kemKeyPair,
  keyPair,
  needsRenewal,
  readPreKeyHeader,
  remoteIdentityKey,
} from '../protocol/signal/index.ts';
import type {
  KemKeyPair,
  KeyPair,
  LocalIdentity,
  PreKeyBundle,
  PreKeyHeader,
  PreKeySource,
  SessionRecord,
  Decrypted,
  DecryptedPreKeyMessage,
  SignalError,
} from '../protocol/signal/index.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { Identities, IdentityNotice } from './identities.ts';
import type { RecordSource, Transaction } from './journal.ts';
import type { DeviceIdentity, SealedRecord } from './layout.ts';
import type { RecordCodec } from './record-codec.ts';
import { isSameKey } from './public-keys.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** The keys of this file's records. */
export const SIGNAL_KEYS = {
  all: 'signal/',
  session: (user: string, device: number): string => `signal/session/${user}/${device}`,
  oneTime: (id: number): string => `signal/onetime/${id}`,
  signed: (id: number): string => `signal/signed/${id}`,
  kem: (id: number): string => `signal/kem/${id}`,
} as const;

/** A refusal, as data; the transaction then holds nothing of the refused step. */
export interface SessionRefusal {
  readonly code: ErrorCode;
  readonly notice?: IdentityNotice | undefined;
}

/** An opened message. */
export interface Opened {
  readonly plaintext: Uint8Array;
  readonly notice: IdentityNotice | undefined;
  /** Id of the one-time pre-key of ours that this message used up. */
  readonly consumedPreKeyId: number | undefined;
  /** The same of a KEM pre-key. */
  readonly consumedKemPreKeyId: number | undefined;
  /** The session lacked the post-quantum part though the peer has it: it is closed, and the next message begins another. */
  readonly isRenewalDue: boolean;
  /** What authenticated it, 33 bytes. */
  readonly identityKey: Uint8Array;
}

/** The sessions of one account. */
export class Sessions {
  readonly #local: LocalIdentity;
  readonly #random: (length: number) => Uint8Array;
  readonly #identities: Identities;

  constructor(local: LocalIdentity, random: Random, identities: Identities) {
    this.#local = local;
    this.#random = (length) => random.bytes(length);
    this.#identities = identities;
  }

  /**
   * Whether messages for this device can be encrypted without its bundle. A session that somebody else has begun in the name of a listed
   * device does not count: it may be spoken in from there, and never from here.
   *
   * @param identityKey - The key that the device has to have, 33 bytes; where it is not given, the one in its user's list, if there is one.
   */
  async has(source: RecordSource, user: string, device: number, identityKey?: Uint8Array): Promise<boolean> {
    const record = await this.#load(source, user, device);
    return this.#isUsable(source, user, device, record, identityKey);
  }

  async #isUsable(
    source: RecordSource,
    user: string,
    device: number,
    record: SessionRecord | undefined,
    identityKey?: Uint8Array,
  ): Promise<boolean> {
    if (record === undefined || !hasSession(record)) return false;
    const key = identityKey ?? (await this.#identities.listedKey(source, user, device));
    return key === undefined || isSameKey(remoteIdentityKey(record)!, key);
  }

  /**
   * Begins a session from a bundle.
   *
   * @returns A notice when the identity changed and was accepted; CLI_IDENTITY_REFUSED; SIG_DOWNGRADE where the bundle of a
   * peer who has KEM pre-keys comes without one; CLI_BUNDLE_INVALID.
   */
  async establish(
    transaction: Transaction,
    user: string,
    bundle: PreKeyBundle,
  ): Promise<{ readonly notice: IdentityNotice | undefined } | SessionRefusal> {
    const record = await this.#load(transaction, user, bundle.deviceId);
    const begun = initiateSession(this.#local, bundle, record, this.#random);
    if (isSignalError(begun)) return { code: begun.code === 'SIG_DOWNGRADE' ? begun.code : 'CLI_BUNDLE_INVALID' };
    const notice = await this.#identities.judge(transaction, user, bundle.deviceId, bundle.identityKey, 'send');
    if (notice?.accepted === false) return { code: 'CLI_IDENTITY_REFUSED', notice };
    this.#save(transaction, user, bundle.deviceId, begun.record);
    return { notice };
  }

  /**
   * Encrypts for each device.
   *
   * @returns One ciphertext a device, in their order; SIG_NO_SESSION when one of them has none under its own key; CLI_IDENTITY_REFUSED where
   * trust in the user is broken.
   */
  async seal(
    transaction: Transaction,
    user: string,
    devices: readonly number[],
    plaintext: Uint8Array,
  ): Promise<SealedRecord[] | SessionRefusal> {
    if (!(await this.#identities.permitsSending(transaction, user))) return { code: 'CLI_IDENTITY_REFUSED' };
    const steps: { device: number; record: SessionRecord; sealed: SealedRecord }[] = [];
    for (const device of devices) {
      const record = await this.#load(transaction, user, device);
      const isUsable = await this.#isUsable(transaction, user, device, record);
      if (record === undefined || !isUsable) return { code: 'SIG_NO_SESSION' };
      const step = encrypt(record, this.#local, plaintext);
      if (isSignalError(step)) return { code: step.code };
      const { type, ciphertext } = step;
      steps.push({ device, record: step.record, sealed: { device, type, ciphertext } });
    }
    for (const { device, record } of steps) this.#save(transaction, user, device, record);
    return steps.map((step) => step.sealed);
  }

  /**
   * Decrypts a message of a device.
   *
   * @param ciphertext - Borrowed.
   * @returns The plaintext, owned; or the Signal half's code, or CLI_IDENTITY_REFUSED.
   */
  async open(
    transaction: Transaction,
    user: string,
    device: number,
    type: 'prekey' | 'ratchet',
    ciphertext: Uint8Array,
  ): Promise<Opened | SessionRefusal> {
    const record = await this.#load(transaction, user, device);
    const step = await this.#decrypt(transaction, record, type, ciphertext);
    if (isSignalError(step)) return { code: step.code };
    const notice = await this.#identities.judge(transaction, user, device, step.remoteIdentityKey, 'receive');
    if (notice?.accepted === false) return { code: 'CLI_IDENTITY_REFUSED', notice };
    const isRenewalDue = needsRenewal(step.record);
    this.#save(transaction, user, device, isRenewalDue ? closeSession(step.record) : step.record);
    const { consumedOneTimePreKeyId: consumedPreKeyId, consumedKemPreKeyId } = step as DecryptedPreKeyMessage;
    if (consumedPreKeyId !== undefined) transaction.delete(SIGNAL_KEYS.oneTime(consumedPreKeyId));
    if (consumedKemPreKeyId !== undefined) transaction.delete(SIGNAL_KEYS.kem(consumedKemPreKeyId));
    const consumed = { consumedPreKeyId, consumedKemPreKeyId };
    return { plaintext: step.plaintext, notice, ...consumed, isRenewalDue, identityKey: step.remoteIdentityKey };
  }

  /** Judges a device that something is about to be sent to in a session that stands: it may have been begun from its side. */
  judge(
    transaction: Transaction,
    user: string,
    device: number,
    identityKey: Uint8Array,
  ): Promise<IdentityNotice | undefined> {
    return this.#identities.judge(transaction, user, device, identityKey, 'send');
  }

  /** Writes that somebody has another identity: trust follows it, and is broken where the former one had been compared. */
  concede(transaction: Transaction, user: string, identityKey: Uint8Array): Promise<void> {
    return this.#identities.concede(transaction, user, identityKey);
  }

  /** Stops sending in every session with a device; the next message begins one. */
  async close(transaction: Transaction, user: string, device: number): Promise<void> {
    const record = await this.#load(transaction, user, device);
    if (record !== undefined) this.#save(transaction, user, device, closeSession(record));
  }

  /** The identity keys that were ever believed of a user's devices. */
  identities(source: RecordSource, user: string): Promise<DeviceIdentity[]> {
    return this.#identities.devices(source, user);
  }

  /** The devices whose signature counts for a user now: see `Identities.signers`. */
  signers(source: RecordSource, user: string): Promise<DeviceIdentity[]> {
    return this.#identities.signers(source, user);
  }

  /** Drops what is remembered of a device that its user no longer has; its identity stays known. */
  forget(transaction: Transaction, user: string, device: number): void {
    transaction.delete(SIGNAL_KEYS.session(user, device));
  }

  async #decrypt(
    source: RecordSource,
    record: SessionRecord | undefined,
    type: 'prekey' | 'ratchet',
    ciphertext: Uint8Array,
  ): Promise<Decrypted | SignalError> {
    if (type === 'ratchet') {
      if (record === undefined) return { code: 'SIG_NO_SESSION', message: 'no record of the device' };
      return decryptRatchetMessage(record, this.#local, ciphertext, this.#random);
    }
    const header = readPreKeyHeader(ciphertext);
    if (isSignalError(header)) return header;
    const keys = await loadPreKeys(source, header);
    return decryptPreKeyMessage(record, this.#local, keys, ciphertext, this.#random);
  }

  async #load(source: RecordSource, user: string, device: number): Promise<SessionRecord | undefined> {
    const bytes = await source.get(SIGNAL_KEYS.session(user, device));
    if (bytes === undefined) return undefined;
    const record = decodeSessionRecord(bytes);
    if (isSignalError(record)) throw new ClientError('CLI_STORE_CORRUPT', { cause: record });
    return record;
  }

  #save(transaction: Transaction, user: string, device: number, record: SessionRecord): void {
    transaction.put(SIGNAL_KEYS.session(user, device), encodeSessionRecord(record));
  }
}

/** The two halves of a stored pre-key. */
export function encodeKeyPair(pair: KeyPair): Uint8Array {
  return new RecordWriter().bytes(pair.publicKey).bytes(pair.privateKey).finish();
}

/** Reads what `encodeKeyPair` wrote. @throws {ClientError} CLI_STORE_CORRUPT. */
export function decodeKeyPair(bytes: Uint8Array): KeyPair {
  const pair = readKeyPair(new RecordReader(bytes));
  if (pair === undefined) throw new ClientError('CLI_STORE_CORRUPT');
  return pair;
}

function readKeyPair(reader: RecordReader): KeyPair | undefined {
  const [publicKey, privateKey] = [reader.bytes(), reader.bytes()];
  const isWhole = !reader.failed && publicKey.length === 33 && privateKey.length === 32;
  return isWhole ? keyPair(publicKey, privateKey) : undefined;
}

/** A stored signed pre-key. */
export interface SignedPreKeyRecord {
  readonly keyPair: KeyPair;
  /** The last-resort pre-key that was uploaded in the same request; missing in records of a release without them. */
  readonly lastResortId: number | undefined;
}

/** Records of the earlier release end after the key pair. */
export const SIGNED_PREKEY: RecordCodec<SignedPreKeyRecord> = Object.freeze({
  encode({ keyPair, lastResortId = 0 }: SignedPreKeyRecord): Uint8Array {
    return new RecordWriter().bytes(keyPair.publicKey).bytes(keyPair.privateKey).uint(lastResortId).finish();
  },
  decode(bytes: Uint8Array): SignedPreKeyRecord {
    const reader = new RecordReader(bytes);
    const pair = readKeyPair(reader);
    const lastResortId = reader.remainingBytes > 0 ? reader.uint() : 0;
    if (pair === undefined || reader.failed) throw new ClientError('CLI_STORE_CORRUPT');
    return { keyPair: pair, lastResortId: lastResortId === 0 ? undefined : lastResortId };
  },
});

/** A stored KEM pre-key of either kind. */
export interface KemPreKeyRecord {
  readonly keyPair: KemKeyPair;
  readonly lastResort: boolean;
}

/** The public half is stored, too: it is part of the handshake, and making it from the seed costs a key generation. */
export const KEM_PREKEY: RecordCodec<KemPreKeyRecord> = Object.freeze({
  encode({ keyPair, lastResort }: KemPreKeyRecord): Uint8Array {
    const writer = new RecordWriter().byte(lastResort ? 1 : 0);
    return writer.bytes(keyPair.publicKey).bytes(keyPair.seed).finish();
  },
  decode(bytes: Uint8Array): KemPreKeyRecord {
    const reader = new RecordReader(bytes);
    const [lastResort, publicKey, seed] = [reader.byte() === 1, reader.bytes(), reader.bytes()];
    const isWhole = !reader.failed && publicKey.length === 1_569 && seed.length === 64;
    if (!isWhole) throw new ClientError('CLI_STORE_CORRUPT');
    return { keyPair: kemKeyPair(publicKey, seed), lastResort };
  },
});

/** The Signal half asks synchronously, so the keys that a message names are fetched beforehand. */
async function loadPreKeys(source: RecordSource, header: PreKeyHeader): Promise<PreKeySource> {
  const { signedPreKeyId, oneTimePreKeyId, kemPreKeyId } = header;
  const signed = await load(source, SIGNAL_KEYS.signed(signedPreKeyId), SIGNED_PREKEY.decode);
  const oneTime =
    oneTimePreKeyId === undefined ? undefined : await load(source, SIGNAL_KEYS.oneTime(oneTimePreKeyId), decodeKeyPair);
  const kem =
    kemPreKeyId === undefined ? undefined : await load(source, SIGNAL_KEYS.kem(kemPreKeyId), KEM_PREKEY.decode);
  return {
    signedPreKey: (id) => (id === signedPreKeyId ? signed?.keyPair : undefined),
    oneTimePreKey: (id) => (id === oneTimePreKeyId ? oneTime : undefined),
    kem: {
      kemPreKey: (id) => (id === kemPreKeyId ? kem : undefined),
      accompanies: (id) => id === signedPreKeyId && signed?.lastResortId !== undefined,
    },
  };
}

async function load<Value>(
  source: RecordSource,
  key: string,
  decode: (bytes: Uint8Array) => Value,
): Promise<Value | undefined> {
  const bytes = await source.get(key);
  return bytes === undefined ? undefined : decode(bytes);
}
