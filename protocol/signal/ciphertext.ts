/**
 * The two messages that travel, as bytes: the ratchet message, and the pre-key message that wraps the first ones.
 *
 *   ratchet message     version byte ‖ 1 ratchet key · 2 counter · 3 previous counter · 4 ciphertext
 *                                    · [5 post-quantum ratchet: version 4, reserved] ‖ MAC: 8 bytes, in version 4 16
 *   pre-key message     version byte ‖ [1 one-time pre-key id] · 2 base key · 3 identity key · 4 ratchet message
 *                                    · 5 registration id · 6 signed pre-key id
 *                                    · version 4: 7 KEM pre-key id · 8 KEM ciphertext, 1,568 bytes
 *
 * The high half of the version byte is the session version: 3 for X3DH, 4 for PQXDH. The low half is the highest version
 * that the sender knows; in a ratchet message the MAC covers it, and so a downgrade is told from a peer who knows no better.
 * The decoders check shape, bounds and the public keys; whether a message is genuine is `message-cipher.ts`'s business.
 * What decodes re-encodes to the same bytes. Read next: `session.ts`.
 */
import { requireBytes } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { isValidPublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

/** X3DH with the Double Ratchet, as recorded (`classicVersion`), or PQXDH with it, our own bytes (`hybridVersion`). */
export type SessionVersion = 3 | 4;
export const classicVersion = 3;
export const hybridVersion = 4;

/** What we know, and so the low half of each version byte of ours. */
const versionMax: SessionVersion = hybridVersion;

const blockBytes = 16;

/** The first byte of the messages that we send in a session of `version`. */
export function versionByteOf(version: SessionVersion): number {
  return (version << 4) | versionMax;
}

/** The highest version that the sender of a message knows, as far as we know it, too. */
export function knownVersionOf(versionByte: number): SessionVersion {
  return (versionByte & 0x0f) >= hybridVersion ? hybridVersion : classicVersion;
}

/** The length of the trailer. */
export function macBytesOf(version: SessionVersion): number {
  return version === classicVersion ? LIMITS.macBytes : LIMITS.hybridMacBytes;
}

/** What a ratchet message says in the clear. */
export interface RatchetHeader {
  /** 33 bytes: the sender's current ratchet key, which names the chain. */
  readonly ratchetKey: Uint8Array;
  /** Position in the chain, from 0. */
  readonly counter: number;
  /** The last counter of the sender's previous chain, 0 where there was none. */
  readonly previousCounter: number;
}

export interface RatchetMessage {
  readonly version: SessionVersion;
  readonly versionByte: number;
  readonly header: RatchetHeader;
  /** AES-256-CBC, at least one block. */
  readonly ciphertext: Uint8Array;
  /** What a later release says in the reserved field: covered by the MAC, and ignored. */
  readonly postQuantumRatchet: Uint8Array | undefined;
  /** 8 or 16 bytes. */
  readonly mac: Uint8Array;
  /** Everything before the MAC: what the MAC is taken over, besides the identities. */
  readonly authenticated: Uint8Array;
}

/** The post-quantum part of an offer: which KEM pre-key, and the ciphertext for it. */
export interface KemOffer {
  readonly preKeyId: number;
  /** 1,568 bytes. */
  readonly ciphertext: Uint8Array;
}

export interface PreKeyMessage {
  readonly versionByte: number;
  readonly version: SessionVersion;
  readonly registrationId: number;
  readonly oneTimePreKeyId: number | undefined;
  readonly signedPreKeyId: number;
  /** There if and only if the version is the hybrid one. */
  readonly kem: KemOffer | undefined;
  /** 33 bytes: the sender's ephemeral key of the handshake, which names the session. */
  readonly baseKey: Uint8Array;
  /** 33 bytes: who says they send this. True if and only if the inner message authenticates. */
  readonly identityKey: Uint8Array;
  /** The inner ratchet message, encoded. */
  readonly message: Uint8Array;
}

/** Encodes what the MAC is taken over. */
export function encodeRatchetBody(
  versionByte: number,
  header: RatchetHeader,
  ciphertext: Uint8Array,
  postQuantumRatchet?: Uint8Array,
): Uint8Array {
  return new ProtobufWriter(64 + ciphertext.length)
    .byte(versionByte)
    .bytes(1, header.ratchetKey)
    .uint32(2, header.counter)
    .uint32(3, header.previousCounter)
    .bytes(4, ciphertext)
    .bytes(5, postQuantumRatchet)
    .finish();
}

export function encodePreKeyMessage(message: Omit<PreKeyMessage, 'version'>): Uint8Array {
  return new ProtobufWriter(128 + message.message.length + (message.kem?.ciphertext.length ?? 0))
    .byte(message.versionByte)
    .uint32(1, message.oneTimePreKeyId)
    .bytes(2, message.baseKey)
    .bytes(3, message.identityKey)
    .bytes(4, message.message)
    .uint32(5, message.registrationId)
    .uint32(6, message.signedPreKeyId)
    .uint32(7, message.kem?.preKeyId)
    .bytes(8, message.kem?.ciphertext)
    .finish();
}

/** The session version of `bytes`, or what is wrong with their envelope: size, then version. */
function readVersion(bytes: Uint8Array, bytesMin: number): SessionVersion | SignalError {
  if (bytes.length < bytesMin || bytes.length > LIMITS.messageBytesMax) return signalError('SIG_MALFORMED');
  const version = bytes[0]! >> 4;
  if (version !== classicVersion && version !== hybridVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  return (bytes[0]! & 0x0f) < version ? signalError('SIG_MALFORMED') : version;
}

/**
 * Reads a ratchet message.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY for what is not one.
 */
export function decodeRatchetMessage(bytes: Uint8Array): RatchetMessage | SignalError {
  requireBytes('ciphertext', bytes);
  const version = readVersion(bytes, 1 + LIMITS.macBytes);
  if (typeof version !== 'number') return version;
  if (bytes.length < 1 + macBytesOf(version)) return signalError('SIG_MALFORMED');
  const authenticated = bytes.subarray(0, bytes.length - macBytesOf(version));
  const reader = new ProtobufReader(authenticated, 1);
  const ratchetKey = reader.bytes(1);
  const counter = reader.uint32(2);
  const previousCounter = reader.uint32(3);
  const ciphertext = reader.bytes(4);
  const postQuantumRatchet = version === hybridVersion ? reader.bytes(5) : undefined;
  const whole = reader.complete() && ratchetKey && counter !== undefined && previousCounter !== undefined;
  if (!whole || !isCiphertext(ciphertext)) return signalError('SIG_MALFORMED');
  if ((postQuantumRatchet?.length ?? 0) > LIMITS.postQuantumRatchetBytesMax) return signalError('SIG_MALFORMED');
  if (!isValidPublicKey(ratchetKey)) return signalError('SIG_BAD_KEY');
  const header = { ratchetKey, counter, previousCounter };
  const mac = bytes.subarray(authenticated.length);
  return { version, versionByte: bytes[0]!, header, ciphertext, postQuantumRatchet, mac, authenticated };
}

function isCiphertext(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes !== undefined && bytes.length > 0 && bytes.length % blockBytes === 0;
}

/**
 * Reads a pre-key message, all but the ratchet message inside.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY for what is not one.
 */
export function decodePreKeyMessage(bytes: Uint8Array): PreKeyMessage | SignalError {
  requireBytes('ciphertext', bytes);
  const version = readVersion(bytes, 1);
  if (typeof version !== 'number') return version;
  const reader = new ProtobufReader(bytes, 1);
  const oneTimePreKeyId = reader.uint32(1);
  const baseKey = reader.bytes(2);
  const identityKey = reader.bytes(3);
  const message = reader.bytes(4);
  const registrationId = reader.uint32(5);
  const signedPreKeyId = reader.uint32(6);
  const kem = version === hybridVersion ? readKemOffer(reader) : undefined;
  const whole = reader.complete() && baseKey && identityKey && message && (kem || version === classicVersion);
  if (!whole || registrationId === undefined || signedPreKeyId === undefined) return signalError('SIG_MALFORMED');
  if (!isValidPublicKey(baseKey) || !isValidPublicKey(identityKey)) return signalError('SIG_BAD_KEY');
  const ids = { registrationId, oneTimePreKeyId, signedPreKeyId };
  return { version, versionByte: bytes[0]!, ...ids, kem, baseKey, identityKey, message };
}

function readKemOffer(reader: ProtobufReader): KemOffer | undefined {
  const preKeyId = reader.uint32(7);
  const ciphertext = reader.bytes(8);
  const whole = preKeyId !== undefined && ciphertext?.length === LIMITS.kemCiphertextBytes;
  return whole ? { preKeyId, ciphertext } : undefined;
}
