/**
 * The two messages of a group, as bytes: the distribution message, which hands a sender key out, and the group message,
 * which is sent under it.
 *
 *   distribution    version byte ‖ 1 distribution id, 16 B · 2 chain id · 3 iteration · 4 chain key, 32 B · 5 signing key
 *   group message   version byte ‖ 1 distribution id, 16 B · 2 chain id · 3 iteration · 4 ciphertext ‖ signature, 64 B
 *
 * A distribution message is secret and travels inside a pairwise session; nothing else says whose it is. The decoders
 * check shape, bounds and the public key. What decodes re-encodes to the same bytes. Read next: `group-session.ts`.
 */
import { requireBytes } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { isValidPublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

/** Sender keys have the version of the sessions that they were first distributed through. */
const senderKeyVersion = 3;
const versionByte = (senderKeyVersion << 4) | senderKeyVersion;
const blockBytes = 16;
const chainKeyBytes = 32;

/** What a group message says in the clear. */
export interface GroupHeader {
  /** 16 bytes: names the sender's keys for one group, over all rotations. */
  readonly distributionId: Uint8Array;
  /** Names one chain among them; another one after each rotation. */
  readonly chainId: number;
  /** Position in the chain, from 0. */
  readonly iteration: number;
}

export interface SenderKeyDistribution extends GroupHeader {
  /** 32 bytes, secret: of the chain at `iteration`. */
  readonly chainKey: Uint8Array;
  /** 33 bytes: what verifies the chain's messages. */
  readonly signingKey: Uint8Array;
}

export interface GroupMessage {
  readonly header: GroupHeader;
  /** AES-256-CBC, at least one block. */
  readonly ciphertext: Uint8Array;
  /** 64 bytes, over `signed`. */
  readonly signature: Uint8Array;
  /** Everything before the signature. */
  readonly signed: Uint8Array;
}

function beginMessage({ distributionId, chainId, iteration }: GroupHeader, capacityBytes: number): ProtobufWriter {
  return new ProtobufWriter(capacityBytes)
    .byte(versionByte)
    .bytes(1, distributionId)
    .uint32(2, chainId)
    .uint32(3, iteration);
}

/** Encodes a distribution message. The bytes are secret, and owned by the caller. */
export function encodeDistribution(distribution: SenderKeyDistribution): Uint8Array {
  return beginMessage(distribution, 128).bytes(4, distribution.chainKey).bytes(5, distribution.signingKey).finish();
}

/** Encodes what the signature is taken over. */
export function encodeGroupBody(header: GroupHeader, ciphertext: Uint8Array): Uint8Array {
  return beginMessage(header, 64 + ciphertext.length)
    .bytes(4, ciphertext)
    .finish();
}

/** What is wrong with the envelope of `bytes`, if anything: size, then version. */
function envelopeError(bytes: Uint8Array, bytesMin: number): SignalError | undefined {
  if (bytes.length < bytesMin || bytes.length > LIMITS.messageBytesMax) return signalError('SIG_MALFORMED');
  if (bytes[0]! >> 4 !== senderKeyVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  // We write 3 into the low half and could not write another one back.
  return bytes[0] === versionByte ? undefined : signalError('SIG_MALFORMED');
}

function readHeader(reader: ProtobufReader): GroupHeader | undefined {
  const distributionId = reader.bytes(1);
  const chainId = reader.uint32(2);
  const iteration = reader.uint32(3);
  if (distributionId?.length !== LIMITS.distributionIdBytes) return undefined;
  return chainId === undefined || iteration === undefined ? undefined : { distributionId, chainId, iteration };
}

/**
 * Reads a distribution message.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY for what is not one.
 */
export function decodeDistribution(bytes: Uint8Array): SenderKeyDistribution | SignalError {
  requireBytes('distribution', bytes);
  const wrong = envelopeError(bytes, 1);
  if (wrong !== undefined) return wrong;
  const reader = new ProtobufReader(bytes, 1);
  const header = readHeader(reader);
  const chainKey = reader.bytes(4);
  const signingKey = reader.bytes(5);
  const whole = reader.complete() && header && chainKey?.length === chainKeyBytes && signingKey;
  if (!whole) return signalError('SIG_MALFORMED');
  return isValidPublicKey(signingKey) ? { ...header, chainKey, signingKey } : signalError('SIG_BAD_KEY');
}

/**
 * Reads a group message.
 *
 * @param bytes - Borrowed: the fields returned are views of it.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION for what is not one.
 */
export function decodeGroupMessage(bytes: Uint8Array): GroupMessage | SignalError {
  requireBytes('ciphertext', bytes);
  const wrong = envelopeError(bytes, 1 + LIMITS.signatureBytes);
  if (wrong !== undefined) return wrong;
  const signed = bytes.subarray(0, bytes.length - LIMITS.signatureBytes);
  const reader = new ProtobufReader(signed, 1);
  const header = readHeader(reader);
  const ciphertext = reader.bytes(4);
  if (!reader.complete() || !header || !ciphertext) return signalError('SIG_MALFORMED');
  if (ciphertext.length === 0 || ciphertext.length % blockBytes !== 0) return signalError('SIG_MALFORMED');
  return { header, ciphertext, signature: bytes.subarray(signed.length), signed };
}
