/**
 * Who this device is: its number, its address, its keys; how they are made, stored, and topped up.
 *
 * The private halves are stored before their public halves leave for the server, with one exception: at registration
 * the account's own address comes with the answer, so a crash in between leaves an account that nobody holds the keys
 * of. Registering again replaces it, which is what a person does anyway. Conversation and network are elsewhere:
 * `registration.ts` asks, `client.ts` decides when.
 */

import {
  generateIdentityKeyPair,
  generateKemPreKeys,
  generateLastResortPreKey,
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
} from '../protocol/signal/index.ts';
import type { KemPreKey, LocalIdentity, OneTimePreKey, SignedPreKey } from '../protocol/signal/index.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { Journal, RecordSource, Transaction } from './journal.ts';
import { KEYS } from './layout.ts';
import { LIMITS } from './limits.ts';
import { LoginKey } from './login-key.ts';
import { RecordReader, RecordWriter } from './record.ts';
import type { DeviceKeys, PreKeyUploadRequest } from '../protocol/wire/index.ts';
import type { Request } from './requests.ts';
import { decodeKeyPair, encodeKeyPair, KEM_PREKEY, SIGNAL_KEYS, SIGNED_PREKEY } from './sessions.ts';

/** A registered device. Its secrets do not show when it is printed: the classes that hold them redact themselves. */
export interface Account {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
  readonly loginKey: LoginKey;
  readonly local: LocalIdentity;
  /** The next one-time pre-key that is made gets this id. */
  readonly nextPreKeyId: number;
  /** The same of KEM pre-keys, one-time and last-resort ones. */
  readonly nextKemPreKeyId: number;
  /** The signed pre-key that the server hands out, and with it the last-resort one. */
  readonly signedPreKeyId: number;
  /** When they were made, wall time; 0 in an account of a release without KEM pre-keys, which makes them due. */
  readonly signedAtMs: number;
}

/** Everything made for a new device. */
export interface FreshKeys {
  readonly loginKey: LoginKey;
  readonly local: LocalIdentity;
  readonly signed: SignedPreKey;
  readonly lastResort: KemPreKey;
  readonly oneTime: readonly OneTimePreKey[];
  readonly madeAtMs: number;
}

/** Version 1 ended with `nextPreKeyId`. */
const VERSION = 2;
const FIRST_ID = 1;

/**
 * Makes the keys of a new device: some 100 scalar multiplications, a tenth of a second without native crypto. The one-time
 * KEM pre-keys follow after the first login, as they would not fit into the same request.
 *
 * @param restored - The account of a backup, whose identity and login key the device goes on with.
 */
export function makeKeys(random: Random, madeAtMs: number, restored?: Account): FreshKeys {
  const draw = (length: number): Uint8Array => random.bytes(length);
  const identityKeyPair = restored?.local.identityKeyPair ?? generateIdentityKeyPair(draw);
  return {
    loginKey: restored?.loginKey ?? LoginKey.generate(random),
    local: { identityKeyPair, registrationId: generateRegistrationId(draw) },
    signed: generateSignedPreKey(identityKeyPair, FIRST_ID, draw),
    lastResort: generateLastResortPreKey(identityKeyPair, FIRST_ID, draw),
    oneTime: generateOneTimePreKeys(FIRST_ID, LIMITS.preKeyCountMax, draw),
    madeAtMs,
  };
}

/** The registration request that publishes the public halves. */
export function confirmRequest(phone: string, code: string, keys: FreshKeys): Request {
  return { kind: 'confirm', phone, code, ...deviceKeys(keys) };
}

/** The public halves of a new device's keys. */
export function deviceKeys({ loginKey, local, signed, lastResort, oneTime }: FreshKeys): DeviceKeys {
  return {
    registration: local.registrationId,
    login: loginKey.publicKey,
    identity: local.identityKeyPair.publicKey,
    signed: signedHalf(signed),
    lastResort: signedHalf(lastResort),
    oneTime: oneTime.map(publicHalf),
  };
}

/** Stores a new account with all its private keys, within a transaction. */
export function putAccount(
  transaction: Transaction,
  phone: string,
  user: string,
  device: number,
  keys: FreshKeys,
): void {
  const { loginKey, local, signed, lastResort, oneTime, madeAtMs: signedAtMs } = keys;
  const ids = {
    nextPreKeyId: FIRST_ID + oneTime.length,
    nextKemPreKeyId: lastResort.id + 1,
    signedPreKeyId: signed.id,
  };
  transaction.put(KEYS.account, encodeAccount({ phone, user, device, loginKey, local, ...ids, signedAtMs }));
  putSigned(transaction, signed, lastResort);
  putPreKeys(transaction, oneTime);
}

/** The account of this store, if there is one. */
export async function loadAccount(source: RecordSource): Promise<Account | undefined> {
  const bytes = await source.get(KEYS.account);
  return bytes === undefined ? undefined : decodeAccount(bytes);
}

/** The account of a backup that was restored into this store and not yet registered, if there is one. */
export async function loadRestored(source: RecordSource): Promise<Account | undefined> {
  const bytes = await source.get(KEYS.restored);
  return bytes === undefined ? undefined : decodeAccount(bytes);
}

/**
 * Makes one-time pre-keys; when this resolves their private halves are durable and the public ones may leave.
 *
 * Ids are never used twice, also when the upload then fails: nobody knows whether the server has those keys, and a key
 * handed out twice would be worse than one never handed out.
 *
 * @param count - 1 to `LIMITS.preKeyCountMax`.
 * @returns The account with its counter moved, and the request that uploads the keys.
 */
export async function makePreKeys(account: Account, count: number, journal: Journal, random: Random): Promise<Made> {
  const made = generateOneTimePreKeys(account.nextPreKeyId, count, (length) => random.bytes(length));
  const moved = { ...account, nextPreKeyId: account.nextPreKeyId + count };
  const transaction = journal.begin();
  putPreKeys(transaction, made);
  transaction.put(KEYS.account, encodeAccount(moved));
  await journal.commit(transaction);
  return { account: moved, upload: { kind: 'prekey-upload', oneTime: made.map(publicHalf) } };
}

/** What was made and is durable here: the account with its counters moved, and the request that publishes it. */
export interface Made {
  readonly account: Account;
  readonly upload: PreKeyUploadRequest;
}

/** Makes one-time KEM pre-keys, as `makePreKeys` makes the others. @param count - 1 to `LIMITS.kemPreKeyUploadCountMax`. */
export async function makeKemPreKeys(account: Account, count: number, journal: Journal, random: Random): Promise<Made> {
  const { identityKeyPair } = account.local;
  const made = generateKemPreKeys(identityKeyPair, account.nextKemPreKeyId, count, (length) => random.bytes(length));
  const moved = { ...account, nextKemPreKeyId: account.nextKemPreKeyId + count };
  const transaction = journal.begin();
  for (const key of made) transaction.put(SIGNAL_KEYS.kem(key.id), KEM_PREKEY.encode(key));
  transaction.put(KEYS.account, encodeAccount(moved));
  await journal.commit(transaction);
  return { account: moved, upload: { kind: 'prekey-upload', oneTime: [], kem: made.map(signedHalf) } };
}

/** Whether the signed and the last-resort pre-key have served their time. A clock that went back makes nothing due. */
export function isRotationDue(account: Account, nowMs: number): boolean {
  return nowMs - account.signedAtMs > LIMITS.signedPreKeyAgeMsMax;
}

/**
 * Makes the next signed and last-resort pre-key. Both go in one request, so that no bundle ever has the one without the
 * other: that is how a stripped bundle is told (`KemPreKeySource.accompanies`). The oldest pair is forgotten, and with it
 * what was encrypted to it and never came.
 */
export async function rotateSignedPreKey(
  account: Account,
  nowMs: number,
  journal: Journal,
  random: Random,
): Promise<Made> {
  const draw = (length: number): Uint8Array => random.bytes(length);
  const { identityKeyPair } = account.local;
  const signed = generateSignedPreKey(identityKeyPair, account.signedPreKeyId + 1, draw);
  const lastResort = generateLastResortPreKey(identityKeyPair, account.nextKemPreKeyId, draw);
  const moved = {
    ...account,
    signedPreKeyId: signed.id,
    nextKemPreKeyId: lastResort.id + 1,
    signedAtMs: nowMs,
  };
  const transaction = journal.begin();
  putSigned(transaction, signed, lastResort);
  await dropSigned(journal, transaction, signed.id - LIMITS.signedPreKeyCountMax);
  transaction.put(KEYS.account, encodeAccount(moved));
  await journal.commit(transaction);
  const upload = { signed: signedHalf(signed), lastResort: signedHalf(lastResort) };
  return { account: moved, upload: { kind: 'prekey-upload', ...upload, oneTime: [] } };
}

function putSigned(transaction: Transaction, { id, keyPair }: SignedPreKey, lastResort: KemPreKey): void {
  transaction.put(SIGNAL_KEYS.signed(id), SIGNED_PREKEY.encode({ keyPair, lastResortId: lastResort.id }));
  transaction.put(SIGNAL_KEYS.kem(lastResort.id), KEM_PREKEY.encode(lastResort));
}

async function dropSigned(source: RecordSource, transaction: Transaction, id: number): Promise<void> {
  const stored = id < FIRST_ID ? undefined : await source.get(SIGNAL_KEYS.signed(id));
  if (stored === undefined) return;
  const { lastResortId } = SIGNED_PREKEY.decode(stored);
  transaction.delete(SIGNAL_KEYS.signed(id));
  if (lastResortId !== undefined) transaction.delete(SIGNAL_KEYS.kem(lastResortId));
}

function signedHalf({ id, keyPair, signature }: SignedPreKey | KemPreKey): {
  readonly id: number;
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
} {
  return { id, key: keyPair.publicKey, signature };
}

function putPreKeys(transaction: Transaction, keys: readonly OneTimePreKey[]): void {
  for (const { id, keyPair } of keys) transaction.put(SIGNAL_KEYS.oneTime(id), encodeKeyPair(keyPair));
}

function publicHalf({ id, keyPair }: OneTimePreKey): { readonly id: number; readonly key: Uint8Array } {
  return { id, key: keyPair.publicKey };
}

function encodeAccount({ phone, user, device, loginKey, local, ...account }: Account): Uint8Array {
  const writer = new RecordWriter().byte(VERSION).text(phone).text(user).byte(device);
  writer.bytes(loginKey.exportSeed()).bytes(encodeKeyPair(local.identityKeyPair));
  writer.uint(local.registrationId).uint(account.nextPreKeyId).uint(account.nextKemPreKeyId);
  return writer.uint(account.signedPreKeyId).uint(account.signedAtMs).finish();
}

function decodeAccount(bytes: Uint8Array): Account {
  const reader = new RecordReader(bytes);
  const version = reader.byte();
  const [phone, user, device] = [reader.text(), reader.text(), reader.byte()];
  const [seed, identity] = [reader.bytes(), reader.bytes()];
  const [registrationId, nextPreKeyId] = [reader.uint(), reader.uint()];
  const [nextKemPreKeyId, signedPreKeyId, signedAtMs] =
    version === 1 ? [FIRST_ID, FIRST_ID, 0] : [reader.uint(), reader.uint(), reader.uint()];
  const isKnown = version === 1 || version === VERSION;
  if (!isKnown || reader.failed || seed.length !== 32) throw new ClientError('CLI_STORE_CORRUPT');
  const local = { identityKeyPair: decodeKeyPair(identity), registrationId };
  const ids = { nextPreKeyId, nextKemPreKeyId, signedPreKeyId };
  return { phone, user, device, loginKey: new LoginKey(seed), local, ...ids, signedAtMs };
}
