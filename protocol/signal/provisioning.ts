/**
 * What an account's primary device tells a new one while linking it, sealed so that only the new one can open it.
 *
 *   new device    makes an X25519 pair for this linking alone; its public half goes to the primary in the code that is scanned
 *   primary       makes one, too:  secret = X25519(own private, the code's public)
 *   cipher key    HKDF-SHA-256(secret, no salt, label ‖ 00 ‖ own public 33 ‖ the code's public 33 ‖ context, 32 bytes)
 *   envelope      version 01 ‖ own public, 33 B ‖ AES-256-GCM(cipher key, nonce of zeros, text)
 *
 * A key serves one envelope, so the nonce may be fixed. The context is what both know of the linking: link id, and identity key
 * of the new device; an envelope for another linking does not open. The sender is whoever has scanned the code: that is all
 * the authentication there is, and all that is wanted, since the code is shown to one camera and never to the server.
 * Read next: `device-list.ts`, which the text carries.
 */
import { concat, requireBytes } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { agree, isValidPublicKey, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { generateIdentityKeyPair } from './pre-keys.ts';
import { primitives, type RandomBytes } from './primitives.ts';

const envelopeVersion = 1;
const label = new TextEncoder().encode('Blindbeam provisioning v1\0');
const nonce = new Uint8Array(LIMITS.gcmNonceBytes);
const headerBytes = 1 + LIMITS.publicKeyBytes;

/** A pair for one linking. @param random - Asked for 32 bytes. */
export function generateProvisioningKeyPair(random: RandomBytes): KeyPair {
  return generateIdentityKeyPair(random);
}

/**
 * Seals `text` for the device that showed `recipientKey`.
 *
 * @param recipientKey - 33 bytes. @param context - The same bytes at both ends.
 * @returns The envelope, owned by the caller; SIG_BAD_KEY where the key is none.
 */
export function sealProvisioning(
  recipientKey: Uint8Array,
  context: Uint8Array,
  text: Uint8Array,
  random: RandomBytes,
): Uint8Array | SignalError {
  const own = generateProvisioningKeyPair(random);
  const key = cipherKey(own.privateKey, recipientKey, own.publicKey, recipientKey, context);
  if (key === undefined) return signalError('SIG_BAD_KEY');
  return concat(Uint8Array.of(envelopeVersion), own.publicKey, primitives.aesGcmEncrypt(key, nonce, text));
}

/**
 * Opens what `sealProvisioning` made.
 *
 * @param envelope - Borrowed.
 * @returns The text, owned; SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY; SIG_BAD_MAC where it was made for another key
 *   or context, or damaged.
 */
export function openProvisioning(pair: KeyPair, context: Uint8Array, envelope: Uint8Array): Uint8Array | SignalError {
  requireBytes('envelope', envelope);
  if (envelope.length < headerBytes) return signalError('SIG_MALFORMED');
  if (envelope[0] !== envelopeVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  const senderKey = envelope.subarray(1, headerBytes);
  const key = cipherKey(pair.privateKey, senderKey, senderKey, pair.publicKey, context);
  if (key === undefined) return signalError('SIG_BAD_KEY');
  return primitives.aesGcmDecrypt(key, nonce, envelope.subarray(headerBytes)) ?? signalError('SIG_BAD_MAC');
}

/** The first 32 bytes of SHA-512 over an identity key: how the code names the device that shows it. */
export function identityHash(identityKey: Uint8Array): Uint8Array {
  return primitives.sha512(new TextEncoder().encode('Blindbeam identity\0'), identityKey).slice(0, 32);
}

/** The first 4 bytes of SHA-512: they tell a mistyped code from another one, and protect nothing. */
export function codeChecksum(bytes: Uint8Array): Uint8Array {
  return primitives.sha512(new TextEncoder().encode('Blindbeam code\0'), bytes).slice(0, 4);
}

function cipherKey(
  privateKey: Uint8Array,
  theirKey: Uint8Array,
  senderKey: Uint8Array,
  recipientKey: Uint8Array,
  context: Uint8Array,
): Uint8Array | undefined {
  if (!isValidPublicKey(theirKey)) return undefined;
  const secret = agree(privateKey, theirKey);
  if (secret === undefined) return undefined;
  const info = concat(label, senderKey, recipientKey, context);
  return primitives.hkdfSha256(secret, new Uint8Array(0), info, LIMITS.streamKeyBytes);
}
