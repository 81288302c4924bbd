/**
 * Sender keys at rest: bytes and back.
 *
 *   own key    version byte 01 ‖ 1 distribution id · 2 chain id · 3 iteration · 4 chain key · 5 signing public key
 *              · 6 signing seed
 *   record     version byte 01 ‖ 1 state, newest first …
 *   state      1 distribution id · 2 chain id · 3 signing public key · 4 chain key · 5 iteration
 *              · [6 skipped keys: iteration, 4 bytes big endian ‖ seed, 32 bytes …]
 *
 * The bytes hold secrets in the clear: encrypting them at rest is the store's business. What decodes re-encodes to the
 * same bytes. A release that changes a layout writes version 2 and goes on reading 1. Read next: `sender-key.ts`.
 */
import { copyOf, requireBytes } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { isValidPublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';
import { decodeSkipped, encodeSkipped } from './record-codec.ts';
import { findState, SenderKey, SenderKeyRecord, SenderKeyState } from './sender-key.ts';
import { SigningKeyPair } from './signing-key.ts';

const layoutVersion = 1;
const secretBytes = 32;

/** Encodes a device's own key. The bytes are owned by the caller and secret. */
export function encodeSenderKey(senderKey: SenderKey): Uint8Array {
  return new ProtobufWriter(160)
    .byte(layoutVersion)
    .bytes(1, senderKey.distributionId)
    .uint32(2, senderKey.chainId)
    .uint32(3, senderKey.iteration)
    .bytes(4, senderKey.chainKey)
    .bytes(5, senderKey.signingKeyPair.publicKey)
    .bytes(6, senderKey.signingKeyPair.seed)
    .finish();
}

/**
 * Decodes a device's own key.
 *
 * @param bytes - Borrowed; every field is copied.
 * @returns SIG_UNSUPPORTED_VERSION for a later layout, SIG_MALFORMED for anything else that is not one.
 */
export function decodeSenderKey(bytes: Uint8Array): SenderKey | SignalError {
  const reader = openLayout(bytes, LIMITS.senderKeyBytesMax);
  if (!(reader instanceof ProtobufReader)) return reader;
  const distributionId = exactly(reader.bytes(1), LIMITS.distributionIdBytes);
  const chainId = reader.uint32(2);
  const iteration = reader.uint32(3);
  const chainKey = exactly(reader.bytes(4), secretBytes);
  const publicKey = validKey(reader.bytes(5));
  const seed = exactly(reader.bytes(6), secretBytes);
  const whole = reader.complete() && distributionId && chainKey && publicKey && seed;
  if (!whole || chainId === undefined || iteration === undefined) return signalError('SIG_MALFORMED');
  const signingKeyPair = new SigningKeyPair(publicKey, seed);
  return new SenderKey({ distributionId, chainId, iteration, chainKey, signingKeyPair });
}

/** Encodes what is remembered of another device. The bytes are owned by the caller and secret. */
export function encodeSenderKeyRecord({ states }: SenderKeyRecord): Uint8Array {
  const writer = new ProtobufWriter(256).byte(layoutVersion);
  for (const state of states) writer.bytes(1, encodeState(state));
  return writer.finish();
}

function encodeState({ distributionId, chainId, signingKey, chain }: SenderKeyState): Uint8Array {
  const { chainKey, counter, skipped } = chain;
  return new ProtobufWriter(160 + skipped.length * LIMITS.skippedKeyBytes)
    .bytes(1, distributionId)
    .uint32(2, chainId)
    .bytes(3, signingKey)
    .bytes(4, chainKey)
    .uint32(5, counter)
    .bytes(6, skipped.length === 0 ? undefined : encodeSkipped(skipped))
    .finish();
}

/**
 * Decodes what is remembered of another device.
 *
 * @param bytes - Borrowed; every field is copied.
 * @returns SIG_UNSUPPORTED_VERSION for a later layout, SIG_MALFORMED for anything else that is not one.
 */
export function decodeSenderKeyRecord(bytes: Uint8Array): SenderKeyRecord | SignalError {
  const reader = openLayout(bytes, LIMITS.senderKeyRecordBytesMax);
  if (!(reader instanceof ProtobufReader)) return reader;
  const parts = reader.repeatedBytes(1, LIMITS.senderKeyStateCountMax);
  if (!reader.complete() || parts === undefined) return signalError('SIG_MALFORMED');
  const states: SenderKeyState[] = [];
  for (const part of parts) {
    const state = decodeState(part);
    if (state === undefined || findState(states, { ...state, iteration: 0 })) return signalError('SIG_MALFORMED');
    states.push(state);
  }
  return new SenderKeyRecord(states);
}

function decodeState(bytes: Uint8Array): SenderKeyState | undefined {
  const reader = new ProtobufReader(bytes);
  const distributionId = exactly(reader.bytes(1), LIMITS.distributionIdBytes);
  const chainId = reader.uint32(2);
  const signingKey = validKey(reader.bytes(3));
  const chainKey = exactly(reader.bytes(4), secretBytes);
  const counter = reader.uint32(5);
  const skippedBytes = reader.bytes(6);
  const whole = reader.complete() && distributionId && signingKey && chainKey;
  if (!whole || chainId === undefined || counter === undefined) return undefined;
  const skipped = skippedBytes === undefined ? [] : decodeSkipped(skippedBytes, counter);
  return skipped && new SenderKeyState({ distributionId, chainId, signingKey, chain: { chainKey, counter, skipped } });
}

/** A reader behind the version byte, or what is wrong before it. */
function openLayout(bytes: Uint8Array, bytesMax: number): ProtobufReader | SignalError {
  requireBytes('bytes', bytes);
  if (bytes.length === 0 || bytes.length > bytesMax) return signalError('SIG_MALFORMED');
  return bytes[0] === layoutVersion ? new ProtobufReader(bytes, 1) : signalError('SIG_UNSUPPORTED_VERSION');
}

/** A field that must be there and have its length, copied; undefined otherwise. */
function exactly(bytes: Uint8Array | undefined, length: number): Uint8Array | undefined {
  return bytes?.length === length ? copyOf(bytes) : undefined;
}

function validKey(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes !== undefined && isValidPublicKey(bytes) ? copyOf(bytes) : undefined;
}
