/**
 * The Signal Protocol, client side: end-to-end encryption between two devices. The server never imports this.
 *
 * ```ts
 * // Bob publishes; the server hands out a bundle.
 * const bob = { identityKeyPair: generateIdentityKeyPair(random), registrationId: generateRegistrationId(random) };
 * const signed = generateSignedPreKey(bob.identityKeyPair, 1, random);
 * const kem = generateLastResortPreKey(bob.identityKeyPair, 1, random);
 * const bundle = {
 *   registrationId: bob.registrationId,
 *   deviceId: 1,
 *   identityKey: bob.identityKeyPair.publicKey,
 *   signedPreKey: { id: signed.id, publicKey: signed.keyPair.publicKey, signature: signed.signature },
 *   kemPreKey: { id: kem.id, publicKey: kem.keyPair.publicKey, signature: kem.signature, lastResort: true },
 * };
 *
 * // Alice writes.
 * const begun = initiateSession(alice, bundle, undefined, random);
 * if (isSignalError(begun)) return begun.code;
 * const sent = encrypt(begun.record, alice, text);
 * if (isSignalError(sent)) return sent.code;
 * // store encodeSessionRecord(sent.record), then send sent.ciphertext as <enc type={sent.type}>
 *
 * // Bob reads.
 * const keys = {
 *   signedPreKey: () => signed.keyPair,
 *   oneTimePreKey: () => undefined,
 *   kem: { kemPreKey: () => kem, accompanies: () => true },
 * };
 * const received = decryptPreKeyMessage(undefined, bob, keys, sent.ciphertext, random);
 * ```
 *
 * Order of reading: `limits.ts`, `errors.ts` · `primitives.ts`, `keys.ts`, `kem-keys.ts`, `xeddsa.ts` · `pre-keys.ts`,
 * `handshake.ts`, `x3dh.ts`, `pqxdh.ts` · `ratchet-keys.ts`, `double-ratchet.ts` · `ciphertext.ts`, `message-cipher.ts` ·
 * `session-record.ts`, `session.ts`.
 * Groups: `sender-key-message.ts`, `sender-key.ts`, `group-session.ts` · `group-distribution.ts`, `group-sender.ts`. People:
 * `safety-number.ts`, `identity-trust.ts`, `device-list.ts`. What is claimed and what is not: `SECURITY.md`; bytes: `FORMAT.md`.
 */
export {
  readDeviceList,
  signDeviceList,
  verifyDeviceList,
  type AcceptedDeviceList,
  type DeviceList,
  type ListedDevice,
} from './device-list.ts';
export {
  DEFAULT_SCRYPT_COST,
  deriveBackupKey,
  generateBackupDigits,
  isScryptCostAllowed,
  parseBackupDigits,
  type BackupSecret,
} from './backup-key.ts';
export { isSignalError, SIGNAL_ERRORS, type ErrorEntry, type SignalError, type SignalErrorCode } from './errors.ts';
export {
  decodeLedger,
  defaultGroupPolicy,
  encodeLedger,
  noteLoss,
  planGroupMessage,
  type DistributionLedger,
  type GroupPlan,
  type GroupPolicy,
  type GroupSituation,
  type RotationReason,
} from './group-distribution.ts';
export {
  dispatchToGroup,
  type GroupDispatch,
  type GroupSending,
  type GroupTask,
  type PairwiseCipher,
} from './group-sender.ts';
export {
  acceptDistribution,
  createSenderKey,
  decryptFromGroup,
  distributionMessage,
  encryptForGroup,
  readGroupHeader,
  type GroupDecrypted,
  type GroupEncrypted,
} from './group-session.ts';
export {
  acceptIdentity,
  cautiousPolicy,
  observeIdentity,
  verifyIdentity,
  type IdentityEvent,
  type IdentityTrust,
  type TrustDirection,
  type TrustLevel,
  type TrustPolicy,
} from './identity-trust.ts';
export { kemKeyPair, type KemKeyPair } from './kem-keys.ts';
export { isValidPublicKey, keyPair, type KeyPair } from './keys.ts';
export { LIMITS as SIGNAL_LIMITS } from './limits.ts';
export {
  generateIdentityKeyPair,
  generateKemPreKeys,
  generateLastResortPreKey,
  generateOneTimePreKeys,
  generateRegistrationId,
  generateSignedPreKey,
  type KemPreKey,
  type LocalIdentity,
  type OneTimePreKey,
  type PreKeyBundle,
  type SignedPreKey,
} from './pre-keys.ts';
export {
  decryptMedia,
  mediaCiphertextBytes,
  MediaEncryption,
  MediaReader,
  type ByteRange,
  type MediaCheckpoint,
  type MediaReference,
} from './media.ts';
export { paddedMediaBytes } from './media-padding.ts';
export {
  fromReadableStream,
  mediaDecryptionTransform,
  mediaEncryptionTransform,
  toReadableStream,
  type ByteTransform,
} from './media-streams.ts';
export {
  codeChecksum,
  generateProvisioningKeyPair,
  identityHash,
  openProvisioning,
  sealProvisioning,
} from './provisioning.ts';
export { type RandomBytes, type ScryptCost } from './primitives.ts';
export { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
export {
  compareSafetyCode,
  computeSafetyNumber,
  formatSafetyNumber,
  type SafetyComparison,
  type SafetyNumber,
  type SafetyNumberParty,
} from './safety-number.ts';
export { decodeSenderKey, decodeSenderKeyRecord, encodeSenderKey, encodeSenderKeyRecord } from './sender-key-codec.ts';
export { type GroupHeader } from './sender-key-message.ts';
export { type SenderKey, type SenderKeyRecord } from './sender-key.ts';
export {
  decryptPreKeyMessage,
  decryptRatchetMessage,
  encrypt,
  initiateSession,
  readPreKeyHeader,
  type Decrypted,
  type DecryptedPreKeyMessage,
  type Encrypted,
  type KemPreKeySource,
  type PreKeyHeader,
  type PreKeySource,
} from './session.ts';
export {
  closeSession,
  hasSession,
  needsRenewal,
  remoteIdentityKey,
  remoteRegistrationId,
  type SessionRecord,
} from './session-record.ts';
export { openStream, sealStream, type ByteSource, type ByteStream, type StreamKey } from './sealed-stream.ts';
export { xeddsaSign, xeddsaVerify } from './xeddsa.ts';
