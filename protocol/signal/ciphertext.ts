/**
 * The two messages that travel, as bytes: the ratchet message, and the pre-key message that wraps the first ones.
 *
 *   ratchet message     version byte ‖ 1 ratchet key · 2 counter · 3 previous counter · 4 ciphertext ‖ MAC, 8 bytes
 *   pre-key message     version byte ‖ [1 one-time pre-key id] · 2 base key · 3 identity key · 4 ratchet message
 *                                    · 5 registration id · 6 signed pre-key id
 *
 * The high half of the version byte is the session version, the low half the highest one that the sender knows. The
 * decoders check shape, bounds and the public keys; whether a message is genuine is `message-cipher.ts`'s business.
 * What decodes re-encodes to the same bytes. Read next: `session.ts`.
 */
import { requireBytes } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { isValidPublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

/** Session version 3 is X3DH with the Double Ratchet. */
export const sessionVersion = 3;
/** The low half says 4, as the recordings do: of version 4, the hybrid handshake, we know so much as to refuse it. */
export const currentVersionByte: number = (sessionVersion << 4) | 4;

const blockBytes = 16;

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
  readonly versionByte: number;
  readonly header: RatchetHeader;
  /** AES-256-CBC, at least one block. */
  readonly ciphertext: Uint8Array;
  /** 8 bytes. */
  readonly mac: Uint8Array;
  /** Everything before the MAC: what the MAC is taken over, besides the identities. */
  readonly authenticated: Uint8Array;
}

export interface PreKeyMessage {
  readonly versionByte: number;
  readonly registrationId: number;
  readonly oneTimePreKeyId: number | undefined;
  readonly signedPreKeyId: number;
  /** 33 bytes: the sender's ephemeral key of the handshake, which names the session. */
  readonly baseKey: Uint8Array;
  /** 33 bytes: who says they send this. True if and only if the inner message authenticates. */
  readonly identityKey: Uint8Array;
  /** The inner ratchet message, encoded. */
  readonly message: Uint8Array;
}

/** Encodes what the MAC is taken over. */
export function encodeRatchetBody(versionByte: number, header: RatchetHeader, ciphertext: Uint8Array): Uint8Array {
  return new ProtobufWriter(64 + ciphertext.length)
    .byte(versionByte)
    .bytes(1, header.ratchetKey)
    .uint32(2, header.counter)
    .uint32(3, header.previousCounter)
    .bytes(4, ciphertext)
    .finish();
}

export function encodePreKeyMessage(message: PreKeyMessage): Uint8Array {
  return new ProtobufWriter(128 + message.message.length)
    .byte(message.versionByte)
    .uint32(1, message.oneTimePreKeyId)
    .bytes(2, message.baseKey)
    .bytes(3, message.identityKey)
    .bytes(4, message.message)
    .uint32(5, message.registrationId)
    .uint32(6, message.signedPreKeyId)
    .finish();
}

/** What is wrong with the envelope of `bytes`, if anything: size, then version. */
function envelopeError(bytes: Uint8Array, bytesMin: number): SignalError | undefined {
  if (bytes.length < bytesMin || bytes.length > LIMITS.messageBytesMax) return signalError('SIG_MALFORMED');
  const version = bytes[0]! >> 4;
  if (version !== sessionVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  return (bytes[0]! & 0x0f) < version ? signalError('SIG_MALFORMED') : undefined;
}

/**
 * Reads a ratchet message.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY for what is not one.
 */
export function decodeRatchetMessage(bytes: Uint8Array): RatchetMessage | SignalError {
  requireBytes('ciphertext', bytes);
  const wrong = envelopeError(bytes, 1 + LIMITS.macBytes);
  if (wrong !== undefined) return wrong;
  const authenticated = bytes.subarray(0, bytes.length - LIMITS.macBytes);
  const reader = new ProtobufReader(authenticated, 1);
  const ratchetKey = reader.bytes(1);
  const counter = reader.uint32(2);
  const previousCounter = reader.uint32(3);
  const ciphertext = reader.bytes(4);
  const whole = reader.complete() && ratchetKey && counter !== undefined && previousCounter !== undefined;
  if (!whole || !ciphertext || ciphertext.length === 0 || ciphertext.length % blockBytes !== 0) {
    return signalError('SIG_MALFORMED');
  }
  if (!isValidPublicKey(ratchetKey)) return signalError('SIG_BAD_KEY');
  const mac = bytes.subarray(authenticated.length);
  return { versionByte: bytes[0]!, header: { ratchetKey, counter, previousCounter }, ciphertext, mac, authenticated };
}

/**
 * Reads a pre-key message, all but the ratchet message inside.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY for what is not one.
 */
export function decodePreKeyMessage(bytes: Uint8Array): PreKeyMessage | SignalError {
  requireBytes('ciphertext', bytes);
  const wrong = envelopeError(bytes, 1);
  if (wrong !== undefined) return wrong;
  const reader = new ProtobufReader(bytes, 1);
  const oneTimePreKeyId = reader.uint32(1);
  const baseKey = reader.bytes(2);
  const identityKey = reader.bytes(3);
  const message = reader.bytes(4);
  const registrationId = reader.uint32(5);
  const signedPreKeyId = reader.uint32(6);
  const whole = reader.complete() && baseKey && identityKey && message;
  if (!whole || registrationId === undefined || signedPreKeyId === undefined) return signalError('SIG_MALFORMED');
  if (!isValidPublicKey(baseKey) || !isValidPublicKey(identityKey)) return signalError('SIG_BAD_KEY');
  return { versionByte: bytes[0]!, registrationId, oneTimePreKeyId, signedPreKeyId, baseKey, identityKey, message };
}
