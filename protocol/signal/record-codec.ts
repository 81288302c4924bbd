/**
 * Session records at rest: bytes and back.
 *
 *   record    version byte 02 ‖ [1 open session] · 2 archived session, newest first …
 *   session   1 base key · 2 local identity · 3 remote identity · 4 remote registration id · 5 root key
 *             · 6 ratchet public key · 7 ratchet private key · [8 sending chain key · 9 its counter]
 *             · 10 previous counter · 11 receiving chain, oldest first …
 *             · [12 signed pre-key id · [13 one-time pre-key id]
 *             · [14 KEM pre-key id, 4 bytes big endian ‖ KEM ciphertext, 1,568 bytes]]
 *             · 15 session version × 16 + the highest version that the peer has shown
 *   chain     1 ratchet key · 2 chain key · 3 counter
 *             · [4 skipped keys: counter, 4 bytes big endian ‖ seed, 32 bytes …]
 *
 * The bytes hold secrets in the clear: encrypting them at rest is the store's business. What decodes re-encodes to the
 * same bytes, in layout 2. Layout 1 had no fields 14 and 15; its sessions are of version 3, and are still read. A release
 * that changes the layout writes version 3 and goes on reading both. Read next: `session-record.ts`.
 */
import { concat, copyOf, requireBytes } from './bytes.ts';
import { classicVersion, hybridVersion, type KemOffer, type SessionVersion } from './ciphertext.ts';
import { RatchetState, type ReceiverChain, type SendingChain } from './double-ratchet.ts';
import { signalError, type SignalError } from './errors.ts';
import { isValidPublicKey, keyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import type { SkippedKey } from './message-chain.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';
import { Session, SessionRecord, type PendingOffer } from './session-record.ts';

const recordVersion = 2;
const firstRecordVersion = 1;
const secretBytes = 32;

/**
 * The bytes of archived sessions. They are immutable and carried from record to record, so a correspondent with forty
 * of them costs one encoding and not forty at each message.
 */
const archivedEncodings = new WeakMap<Session, Uint8Array>();

/** Encodes a record. The bytes are owned by the caller and secret. */
export function encodeSessionRecord(record: SessionRecord): Uint8Array {
  const writer = new ProtobufWriter(512).byte(recordVersion);
  writer.bytes(1, record.current && encodeSession(record.current));
  for (const session of record.archived) writer.bytes(2, encodeArchived(session));
  return writer.finish();
}

function encodeArchived(session: Session): Uint8Array {
  let encoded = archivedEncodings.get(session);
  if (encoded === undefined) archivedEncodings.set(session, (encoded = encodeSession(session)));
  return encoded;
}

function encodeSession({ ratchet, pending, ...session }: Session): Uint8Array {
  const writer = new ProtobufWriter(512)
    .bytes(1, session.baseKey)
    .bytes(2, session.localIdentityKey)
    .bytes(3, session.remoteIdentityKey)
    .uint32(4, session.remoteRegistrationId)
    .bytes(5, ratchet.rootKey)
    .bytes(6, ratchet.ratchetKeyPair.publicKey)
    .bytes(7, ratchet.ratchetKeyPair.privateKey)
    .bytes(8, ratchet.sending?.chainKey)
    .uint32(9, ratchet.sending?.counter)
    .uint32(10, ratchet.previousCounter);
  for (const chain of ratchet.receiving) writer.bytes(11, encodeChain(chain));
  return writer
    .uint32(12, pending?.signedPreKeyId)
    .uint32(13, pending?.oneTimePreKeyId)
    .bytes(14, pending?.kem && encodeKemOffer(pending.kem))
    .uint32(15, session.version * 16 + session.remoteVersion)
    .finish();
}

function encodeKemOffer({ preKeyId, ciphertext }: KemOffer): Uint8Array {
  const id = new Uint8Array(4);
  new DataView(id.buffer).setUint32(0, preKeyId);
  return concat(id, ciphertext);
}

function encodeChain({ ratchetKey, chainKey, counter, skipped }: ReceiverChain): Uint8Array {
  return new ProtobufWriter(96 + skipped.length * LIMITS.skippedKeyBytes)
    .bytes(1, ratchetKey)
    .bytes(2, chainKey)
    .uint32(3, counter)
    .bytes(4, skipped.length === 0 ? undefined : encodeSkipped(skipped))
    .finish();
}

/** Skipped keys as one field: counter, 4 bytes big endian ‖ seed, 32 bytes, for each. */
export function encodeSkipped(skipped: readonly SkippedKey[]): Uint8Array {
  const bytes = new Uint8Array(skipped.length * LIMITS.skippedKeyBytes);
  const view = new DataView(bytes.buffer);
  skipped.forEach(({ counter, seed }, index) => {
    view.setUint32(index * LIMITS.skippedKeyBytes, counter);
    bytes.set(seed, index * LIMITS.skippedKeyBytes + 4);
  });
  return bytes;
}

/**
 * Decodes a record.
 *
 * @param bytes - Borrowed; every field is copied, so that the record keeps no former secrets alive.
 * @returns SIG_UNSUPPORTED_VERSION for a later layout, SIG_MALFORMED for anything else that is not a record.
 */
export function decodeSessionRecord(bytes: Uint8Array): SessionRecord | SignalError {
  requireBytes('bytes', bytes);
  if (bytes.length === 0 || bytes.length > LIMITS.recordBytesMax) return signalError('SIG_MALFORMED');
  const layout = bytes[0]!;
  if (layout !== recordVersion && layout !== firstRecordVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  const reader = new ProtobufReader(bytes, 1);
  const openBytes = reader.bytes(1);
  const archivedBytes = reader.repeatedBytes(2, LIMITS.archivedSessionCountMax);
  if (!reader.complete() || archivedBytes === undefined) return signalError('SIG_MALFORMED');
  const decode = layout === recordVersion ? decodeSession : decodeFirstSession;
  const current = openBytes && decode(openBytes);
  const archived = decodeEach(archivedBytes, decode);
  if ((openBytes && !current) || !archived) return signalError('SIG_MALFORMED');
  return new SessionRecord(current, archived);
}

/** Decodes all of `parts`, or undefined where one of them fails. */
function decodeEach<T>(parts: readonly Uint8Array[], decode: (bytes: Uint8Array) => T | undefined): T[] | undefined {
  const decoded: T[] = [];
  for (const part of parts) {
    const value = decode(part);
    if (value === undefined) return undefined;
    decoded.push(value);
  }
  return decoded;
}

/** A field that must be there and have its length, copied; undefined otherwise. */
function exactly(bytes: Uint8Array | undefined, length: number): Uint8Array | undefined {
  return bytes?.length === length ? copyOf(bytes) : undefined;
}

function validKey(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes !== undefined && isValidPublicKey(bytes) ? copyOf(bytes) : undefined;
}

/** A session of layout 1, which has no versions. */
function decodeFirstSession(bytes: Uint8Array): Session | undefined {
  return readSession(new ProtobufReader(bytes), () => ({ version: classicVersion, remoteVersion: classicVersion }));
}

function decodeSession(bytes: Uint8Array): Session | undefined {
  return readSession(new ProtobufReader(bytes), decodeVersions);
}

type Versions = Pick<Session, 'version' | 'remoteVersion'>;

function decodeVersions(reader: ProtobufReader): Versions | undefined {
  const value = reader.uint32(15);
  if (value === undefined || value > 0xff) return undefined;
  const [version, remoteVersion] = [asVersion(value >> 4), asVersion(value & 0x0f)];
  return version && remoteVersion && remoteVersion >= version ? { version, remoteVersion } : undefined;
}

function asVersion(value: number): SessionVersion | undefined {
  return value === classicVersion || value === hybridVersion ? value : undefined;
}

function readSession(
  reader: ProtobufReader,
  readVersions: (reader: ProtobufReader) => Versions | undefined,
): Session | undefined {
  const baseKey = validKey(reader.bytes(1));
  const localIdentityKey = validKey(reader.bytes(2));
  const remoteIdentityKey = validKey(reader.bytes(3));
  const remoteRegistrationId = reader.uint32(4);
  const ratchet = decodeRatchet(reader);
  const pending = decodePending(reader);
  const versions = readVersions(reader);
  const whole = reader.complete() && baseKey && localIdentityKey && remoteIdentityKey && ratchet && versions;
  if (!whole || remoteRegistrationId === undefined || pending === 'malformed') return undefined;
  if (pending && (pending.kem !== undefined) !== (versions.version === hybridVersion)) return undefined;
  const keys = { baseKey, localIdentityKey, remoteIdentityKey };
  return new Session({ ...versions, ...keys, remoteRegistrationId, ratchet, pending });
}

function decodeRatchet(reader: ProtobufReader): RatchetState | undefined {
  const rootKey = exactly(reader.bytes(5), secretBytes);
  const publicKey = validKey(reader.bytes(6));
  const privateKey = exactly(reader.bytes(7), LIMITS.privateKeyBytes);
  const sending = decodeSending(reader.bytes(8), reader.uint32(9));
  const previousCounter = reader.uint32(10);
  const receiving = decodeEach(reader.repeatedBytes(11, LIMITS.receiverChainCountMax) ?? [], decodeChain);
  if (!rootKey || !publicKey || !privateKey || previousCounter === undefined || !receiving) return undefined;
  if (sending === 'malformed') return undefined;
  const ratchetKeyPair = keyPair(publicKey, privateKey);
  return new RatchetState({ rootKey, ratchetKeyPair, sending, previousCounter, receiving });
}

/** Chain key and counter stand or fall together. */
function decodeSending(
  bytes: Uint8Array | undefined,
  counter: number | undefined,
): SendingChain | undefined | 'malformed' {
  if (bytes === undefined && counter === undefined) return undefined;
  const chainKey = exactly(bytes, secretBytes);
  return chainKey === undefined || counter === undefined ? 'malformed' : { chainKey, counter };
}

/** No other pre-key is ever offered without a signed one. */
function decodePending(reader: ProtobufReader): PendingOffer | undefined | 'malformed' {
  const signedPreKeyId = reader.uint32(12);
  const oneTimePreKeyId = reader.uint32(13);
  const kem = decodeKemOffer(reader.bytes(14));
  if (kem === 'malformed') return kem;
  if (signedPreKeyId !== undefined) return { signedPreKeyId, oneTimePreKeyId, kem };
  return oneTimePreKeyId === undefined && kem === undefined ? undefined : 'malformed';
}

function decodeKemOffer(bytes: Uint8Array | undefined): KemOffer | undefined | 'malformed' {
  if (bytes === undefined) return undefined;
  if (bytes.length !== 4 + LIMITS.kemCiphertextBytes) return 'malformed';
  const preKeyId = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  return { preKeyId, ciphertext: copyOf(bytes.subarray(4)) };
}

function decodeChain(bytes: Uint8Array): ReceiverChain | undefined {
  const reader = new ProtobufReader(bytes);
  const ratchetKey = validKey(reader.bytes(1));
  const chainKey = exactly(reader.bytes(2), secretBytes);
  const counter = reader.uint32(3);
  const skippedBytes = reader.bytes(4);
  if (!reader.complete() || !ratchetKey || !chainKey || counter === undefined) return undefined;
  const skipped = skippedBytes === undefined ? [] : decodeSkipped(skippedBytes, counter);
  return skipped && { ratchetKey, chainKey, counter, skipped };
}

/** Counters ascend and lie behind the chain's own; an empty list is not written. Undefined for what is no such list. */
export function decodeSkipped(bytes: Uint8Array, chainCounter: number): SkippedKey[] | undefined {
  const count = bytes.length / LIMITS.skippedKeyBytes;
  if (!Number.isInteger(count) || count === 0 || count > LIMITS.skippedKeyCountMax) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const skipped: SkippedKey[] = [];
  let previous = -1;
  for (let offset = 0; offset < bytes.length; offset += LIMITS.skippedKeyBytes) {
    const counter = view.getUint32(offset);
    if (counter <= previous || counter >= chainCounter) return undefined;
    skipped.push({ counter, seed: copyOf(bytes.subarray(offset + 4, offset + LIMITS.skippedKeyBytes)) });
    previous = counter;
  }
  return skipped;
}
