/**
 * PQXDH: the agreements of X3DH and one encapsulation to a KEM pre-key, so that whoever records today must break X25519
 * *and* ML-KEM-1024 to read tomorrow.
 *
 *   initiator A         responder B
 *   the three or four agreements of X3DH
 *   32 fresh bytes ──▶  KEM pre-key           secrecy against a quantum computer that comes later
 *
 *   secret = HKDF(FF … FF ‖ agreements ‖ KEM secret, salt 0 … 0, "Blindbeam_CURVE25519_SHA-256_ML-KEM-1024")
 *   root   = HKDF(secret, salt 0 … 0, "Blindbeam_PQXDH_transcript" ‖ transcript)
 *
 * The first line is the specification's. The second puts in place of its associated data everything that both ends said:
 *
 *   transcript   version byte ‖ identity A ‖ identity B ‖ base key A ‖ registration id A, 4 bytes
 *              ‖ signed pre-key id, 4 ‖ signed pre-key ‖ 01 ‖ one-time pre-key id, 4 ‖ one-time pre-key   (or 00 alone)
 *              ‖ KEM pre-key id, 4 ‖ KEM pre-key, 1,569 ‖ KEM ciphertext, 1,568
 *
 * Keys carry their type byte, numbers are big endian. So the KEM pre-key is bound whatever the mechanism itself binds
 * (section 4, on re-encapsulation), and an exchanged id or version gives another root key: no field of a version-4 offer is
 * outside the first MAC.
 *
 * The authentication is X3DH's: a quantum computer of today could stand in between, one of tomorrow cannot read what was.
 * Source: "The PQXDH Key Agreement Protocol", revision 3, sections 2.2, 3.3 and 3.4. Vectors: `vectors/pqxdh-v4.json`.
 * Read next: `double-ratchet.ts`.
 */
import { concat } from './bytes.ts';
import { hybridVersion, versionByteOf, type PreKeyMessage } from './ciphertext.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import type { Handshake, HandshakeSecret, Initiation, ResponderKeys } from './handshake.ts';
import { decapsulate, encapsulate } from './kem-keys.ts';
import type { KeyPair } from './keys.ts';
import type { LocalIdentity, PreKeyBundle } from './pre-keys.ts';
import type { RandomBytes } from './primitives.ts';
import { deriveHybridRootKey } from './ratchet-keys.ts';
import { agreeAsInitiator, agreeAsResponder } from './x3dh.ts';

/** A pre-key as both ends name it. */
interface NamedKey {
  readonly id: number;
  readonly publicKey: Uint8Array;
}

/** Everything public of one handshake. */
interface Transcript {
  readonly versionByte: number;
  readonly initiatorIdentityKey: Uint8Array;
  readonly responderIdentityKey: Uint8Array;
  readonly baseKey: Uint8Array;
  readonly registrationId: number;
  readonly signedPreKey: NamedKey;
  readonly oneTimePreKey: NamedKey | undefined;
  readonly kemPreKey: NamedKey;
  readonly kemCiphertext: Uint8Array;
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function named({ id, publicKey }: NamedKey): Uint8Array {
  return concat(uint32(id), publicKey);
}

/** No two handshakes have one encoding: every part has a fixed length but the optional one, which is marked. */
function encodeTranscript(said: Transcript): Uint8Array {
  const { oneTimePreKey } = said;
  return concat(
    Uint8Array.of(said.versionByte),
    said.initiatorIdentityKey,
    said.responderIdentityKey,
    said.baseKey,
    uint32(said.registrationId),
    named(said.signedPreKey),
    oneTimePreKey === undefined ? Uint8Array.of(0) : concat(Uint8Array.of(1), named(oneTimePreKey)),
    named(said.kemPreKey),
    said.kemCiphertext,
  );
}

function initiate(
  local: LocalIdentity,
  base: KeyPair,
  bundle: PreKeyBundle,
  random: RandomBytes,
): Initiation | SignalError {
  const { signedPreKey, oneTimePreKey, kemPreKey } = bundle;
  if (kemPreKey === undefined) throw new TypeError('"bundle.kemPreKey" expected a KEM pre-key, got none');
  const agreed = agreeAsInitiator(local.identityKeyPair, base, bundle);
  if (isSignalError(agreed)) return agreed;
  const encapsulation = encapsulate(kemPreKey.publicKey, random);
  if (encapsulation === undefined) return signalError('SIG_BAD_KEY');
  const transcript = encodeTranscript({
    versionByte: versionByteOf(hybridVersion),
    initiatorIdentityKey: local.identityKeyPair.publicKey,
    responderIdentityKey: bundle.identityKey,
    baseKey: base.publicKey,
    registrationId: local.registrationId,
    signedPreKey,
    oneTimePreKey,
    kemPreKey,
    kemCiphertext: encapsulation.ciphertext,
  });
  const rootKey = deriveHybridRootKey(agreed, encapsulation.secret, transcript);
  return { rootKey, kemCiphertext: encapsulation.ciphertext };
}

function accept(keys: ResponderKeys, message: PreKeyMessage): HandshakeSecret | SignalError {
  const { kem, oneTimePreKeyId } = message;
  const { kemPreKey, oneTimePreKey } = keys;
  if (kem === undefined || kemPreKey === undefined) throw new TypeError('"message" expected a KEM offer, got none');
  const agreed = agreeAsResponder(keys, message);
  if (isSignalError(agreed)) return agreed;
  const transcript = encodeTranscript({
    versionByte: message.versionByte,
    initiatorIdentityKey: message.identityKey,
    responderIdentityKey: keys.identityKeyPair.publicKey,
    baseKey: message.baseKey,
    registrationId: message.registrationId,
    signedPreKey: { id: message.signedPreKeyId, publicKey: keys.signedPreKey.publicKey },
    oneTimePreKey: oneTimePreKey && { id: oneTimePreKeyId!, publicKey: oneTimePreKey.publicKey },
    kemPreKey: { id: kem.preKeyId, publicKey: kemPreKey.publicKey },
    kemCiphertext: kem.ciphertext,
  });
  return { rootKey: deriveHybridRootKey(agreed, decapsulate(kemPreKey, kem.ciphertext), transcript) };
}

export const pqxdh: Handshake = Object.freeze({ sessionVersion: hybridVersion, initiate, accept });
