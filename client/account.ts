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
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
} from '../protocol/signal/index.ts';
import type { LocalIdentity, OneTimePreKey, SignedPreKey } from '../protocol/signal/index.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { Journal, RecordSource, Transaction } from './journal.ts';
import { KEYS } from './layout.ts';
import { LIMITS } from './limits.ts';
import { LoginKey } from './login-key.ts';
import { RecordReader, RecordWriter } from './record.ts';
import type { Request } from './requests.ts';
import { decodeKeyPair, encodeKeyPair, SIGNAL_KEYS } from './sessions.ts';

/** A registered device. Its secrets do not show when it is printed: the classes that hold them redact themselves. */
export interface Account {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
  readonly loginKey: LoginKey;
  readonly local: LocalIdentity;
  /** The next one-time pre-key that is made gets this id. */
  readonly nextPreKeyId: number;
}

/** Everything made for a new device. */
export interface FreshKeys {
  readonly loginKey: LoginKey;
  readonly local: LocalIdentity;
  readonly signed: SignedPreKey;
  readonly oneTime: readonly OneTimePreKey[];
}

const VERSION = 1;
const SIGNED_PREKEY_ID = 1;

/** Makes the keys of a new device: some 100 scalar multiplications, a tenth of a second without native crypto. */
export function makeKeys(random: Random): FreshKeys {
  const draw = (length: number): Uint8Array => random.bytes(length);
  const identityKeyPair = generateIdentityKeyPair(draw);
  return {
    loginKey: LoginKey.generate(random),
    local: { identityKeyPair, registrationId: generateRegistrationId(draw) },
    signed: generateSignedPreKey(identityKeyPair, SIGNED_PREKEY_ID, draw),
    oneTime: generateOneTimePreKeys(1, LIMITS.preKeyCountMax, draw),
  };
}

/** The registration request that publishes the public halves. */
export function confirmRequest(phone: string, code: string, keys: FreshKeys): Request {
  const { loginKey, local, signed, oneTime } = keys;
  return {
    kind: 'confirm',
    phone,
    code,
    registration: local.registrationId,
    login: loginKey.publicKey,
    identity: local.identityKeyPair.publicKey,
    signed: { id: signed.id, key: signed.keyPair.publicKey, signature: signed.signature },
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
  const { loginKey, local, signed, oneTime } = keys;
  const nextPreKeyId = oneTime.length + 1;
  transaction.put(KEYS.account, encodeAccount({ phone, user, device, loginKey, local, nextPreKeyId }));
  transaction.put(SIGNAL_KEYS.signed(signed.id), encodeKeyPair(signed.keyPair));
  putPreKeys(transaction, oneTime);
}

/** The account of this store, if there is one. */
export async function loadAccount(source: RecordSource): Promise<Account | undefined> {
  const bytes = await source.get(KEYS.account);
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
export async function makePreKeys(
  account: Account,
  count: number,
  journal: Journal,
  random: Random,
): Promise<{ readonly account: Account; readonly upload: Request }> {
  const made = generateOneTimePreKeys(account.nextPreKeyId, count, (length) => random.bytes(length));
  const moved = { ...account, nextPreKeyId: account.nextPreKeyId + count };
  const transaction = journal.begin();
  putPreKeys(transaction, made);
  transaction.put(KEYS.account, encodeAccount(moved));
  await journal.commit(transaction);
  return { account: moved, upload: { kind: 'prekey-upload', oneTime: made.map(publicHalf) } };
}

function putPreKeys(transaction: Transaction, keys: readonly OneTimePreKey[]): void {
  for (const { id, keyPair } of keys) transaction.put(SIGNAL_KEYS.oneTime(id), encodeKeyPair(keyPair));
}

function publicHalf({ id, keyPair }: OneTimePreKey): { readonly id: number; readonly key: Uint8Array } {
  return { id, key: keyPair.publicKey };
}

function encodeAccount({ phone, user, device, loginKey, local, nextPreKeyId }: Account): Uint8Array {
  const writer = new RecordWriter().byte(VERSION).text(phone).text(user).byte(device);
  writer.bytes(loginKey.exportSeed()).bytes(encodeKeyPair(local.identityKeyPair));
  return writer.uint(local.registrationId).uint(nextPreKeyId).finish();
}

function decodeAccount(bytes: Uint8Array): Account {
  const reader = new RecordReader(bytes);
  const version = reader.byte();
  const [phone, user, device] = [reader.text(), reader.text(), reader.byte()];
  const [seed, identity] = [reader.bytes(), reader.bytes()];
  const [registrationId, nextPreKeyId] = [reader.uint(), reader.uint()];
  if (version !== VERSION || reader.failed || seed.length !== 32) throw new ClientError('CLI_STORE_CORRUPT');
  const local = { identityKeyPair: decodeKeyPair(identity), registrationId };
  return { phone, user, device, loginKey: new LoginKey(seed), local, nextPreKeyId };
}
