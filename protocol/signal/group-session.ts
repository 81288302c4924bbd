/**
 * Group messages: one ciphertext for everybody who holds the sender's key.
 *
 *   sender      createSenderKey ─▶ distributionMessage ─▶ each device, inside its pairwise session
 *               encryptForGroup ─▶ one ciphertext, stored once by the server and delivered to all
 *   receiver    acceptDistribution, then decryptFromGroup, in any order of the messages
 *
 * Every operation takes keys and gives the next ones. **Store them before you act on the rest**, as with sessions: a
 * ciphertext that left with its key unsaved means a message key used twice after a restart. What was passed in stays as
 * it was, so whoever fails to store keeps the old one and nothing has happened.
 *
 * Keep the record of another device under *group and sending device*, and fill it only from what that device said, in a
 * pairwise session, of that group: this is what binds a message to its sender and group, for the message itself carries
 * neither. When to hand out a new key is `group-distribution.ts`'s to say. It knows no clock, store or network.
 */
import { concat, copyOf, requireBytes } from './bytes.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';
import { deriveGroupMessageKeys } from './ratchet-keys.ts';
import {
  addState,
  beginChain,
  distributionOf,
  findState,
  takeReceivingSeed,
  takeSendingSeed,
  type SenderKey,
  type SenderKeyRecord,
} from './sender-key.ts';
import {
  decodeDistribution,
  decodeGroupMessage,
  encodeDistribution,
  encodeGroupBody,
  type GroupHeader,
} from './sender-key-message.ts';
import { signWith } from './signing-key.ts';
import { xeddsaVerify } from './xeddsa.ts';

/** A ciphertext for the whole group, and the sender's key after it. */
export interface GroupEncrypted {
  readonly senderKey: SenderKey;
  /** Owned by the caller. */
  readonly ciphertext: Uint8Array;
}

export interface GroupDecrypted {
  readonly record: SenderKeyRecord;
  /** Owned by the caller. */
  readonly plaintext: Uint8Array;
}

/**
 * Makes a sender key: at the first message to a group, and at each rotation.
 *
 * @param distributionId - 16 bytes, random, drawn once by this device for this group and kept over rotations.
 * @param random - Asked for 4 and 32 bytes, and then for 32, twice on average.
 * @throws {TypeError|RangeError} an id that is not 16 bytes.
 */
export function createSenderKey(distributionId: Uint8Array, random: RandomBytes): SenderKey {
  requireBytes('distributionId', distributionId, LIMITS.distributionIdBytes);
  return beginChain(distributionId, random);
}

/**
 * The message that hands `senderKey` out, from its next message on: who gets it cannot read what was sent before.
 *
 * @returns About 110 bytes, secret, owned by the caller: send them inside a pairwise session and nowhere else.
 */
export function distributionMessage(senderKey: SenderKey): Uint8Array {
  return encodeDistribution(distributionOf(senderKey));
}

/**
 * Takes in a sender key that was handed to us.
 *
 * @param record - Of the device in whose session it came, for the group of which it was said; undefined at first.
 * @param distribution - Borrowed.
 * @returns The next record, the same one for a chain that is known already. SIG_MALFORMED, SIG_UNSUPPORTED_VERSION,
 *   SIG_BAD_KEY.
 */
export function acceptDistribution(
  record: SenderKeyRecord | undefined,
  distribution: Uint8Array,
): { readonly record: SenderKeyRecord } | SignalError {
  const decoded = decodeDistribution(distribution);
  return isSignalError(decoded) ? decoded : { record: addState(record, decoded) };
}

/**
 * Encrypts for everybody who holds the key.
 *
 * @param plaintext - At most `LIMITS.plaintextBytesMax`. Its length shows in the ciphertext, up to 16 bytes: pad it
 *   before if that tells too much.
 * @returns SIG_TOO_LARGE, SIG_CHAIN_EXHAUSTED.
 */
export function encryptForGroup(senderKey: SenderKey, plaintext: Uint8Array): GroupEncrypted | SignalError {
  requireBytes('plaintext', plaintext);
  if (plaintext.length > LIMITS.plaintextBytesMax) return signalError('SIG_TOO_LARGE');
  const taken = takeSendingSeed(senderKey);
  if (isSignalError(taken)) return taken;
  const { cipherKey, iv } = deriveGroupMessageKeys(taken.seed);
  const body = encodeGroupBody(senderKey, primitives.aesCbcEncrypt(cipherKey, iv, plaintext));
  const ciphertext = concat(body, signWith(senderKey.signingKeyPair, body));
  return { senderKey: taken.senderKey, ciphertext };
}

/**
 * Reads which chain a group message belongs to. Unauthenticated; the id is a copy.
 *
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION.
 */
export function readGroupHeader(ciphertext: Uint8Array): GroupHeader | SignalError {
  const message = decodeGroupMessage(ciphertext);
  if (isSignalError(message)) return message;
  return { ...message.header, distributionId: copyOf(message.header.distributionId) };
}

/**
 * Decrypts a group message. The signature is checked before the chain is stepped, so that a forged position costs one
 * verification and not 25,000 steps.
 *
 * @param record - Of the device that is said to have sent it, for the group in which it came; undefined for none.
 * @param ciphertext - Borrowed.
 * @returns SIG_NO_SENDER_KEY, SIG_BAD_SIGNATURE, SIG_DUPLICATE (also for what came before the key was handed to us),
 *   SIG_TOO_FAR, SIG_MALFORMED, SIG_UNSUPPORTED_VERSION.
 */
export function decryptFromGroup(
  record: SenderKeyRecord | undefined,
  ciphertext: Uint8Array,
): GroupDecrypted | SignalError {
  const message = decodeGroupMessage(ciphertext);
  if (isSignalError(message)) return message;
  const state = record && findState(record.states, message.header);
  if (state === undefined) return signalError('SIG_NO_SENDER_KEY');
  const signed = xeddsaVerify(state.signingKey, message.signed, message.signature);
  if (!signed) return signalError('SIG_BAD_SIGNATURE');
  const taken = takeReceivingSeed(record!, state, message.header.iteration);
  if (isSignalError(taken)) return taken;
  const { cipherKey, iv } = deriveGroupMessageKeys(taken.seed);
  const plaintext = primitives.aesCbcDecrypt(cipherKey, iv, message.ciphertext);
  return plaintext === undefined ? signalError('SIG_MALFORMED') : { record: taken.record, plaintext };
}
