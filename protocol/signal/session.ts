/**
 * Sessions between two devices: begin one, encrypt, decrypt.
 *
 * Every operation takes a record and gives the next one, with what is to be done: send `ciphertext`, show `plaintext`,
 * delete the one-time pre-key. **Store the record before you act on the rest**: ciphertext that left with its record
 * unsaved means a message key used twice after a restart. The record that was passed in stays as it was, so whoever
 * fails to store, or dislikes the identity that a message came with, keeps the old one and nothing has happened.
 *
 * This file decides which session a message belongs to, and which handshake begins one: PQXDH wherever the bundle has a KEM
 * pre-key, X3DH with peers without it, and nothing where a peer who has it appears without (SIG_DOWNGRADE). It does not
 * decide whom to trust: compare `remoteIdentityKey` before and after. It knows no clock, no store and no network. Read next:
 * `session-record.ts`, `double-ratchet.ts`.
 */
import { copyOf, requireBytes, samePublicBytes } from './bytes.ts';
import {
  classicVersion,
  decodePreKeyMessage,
  decodeRatchetMessage,
  encodePreKeyMessage,
  hybridVersion,
  knownVersionOf,
  versionByteOf,
  type PreKeyMessage,
  type RatchetMessage,
  type SessionVersion,
} from './ciphertext.ts';
import {
  completeReceive,
  createInitiatorState,
  createResponderState,
  knowsChain,
  prepareReceive,
  prepareSend,
} from './double-ratchet.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import type { ResponderKeys } from './handshake.ts';
import type { KemKeyPair } from './kem-keys.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { openMessage, sealMessage } from './message-cipher.ts';
import { pqxdh } from './pqxdh.ts';
import { refuseBundle, type LocalIdentity, type PreKeyBundle } from './pre-keys.ts';
import type { RandomBytes } from './primitives.ts';
import {
  knowsHybrid,
  openSession,
  replaceCurrent,
  Session,
  sessionsOf,
  storeReceived,
  type PendingOffer,
  type PlacedSession,
  type SessionRecord,
} from './session-record.ts';
import { x3dh } from './x3dh.ts';

/** How the caller's stored pre-keys are reached: synchronously, so load what `readPreKeyHeader` names beforehand. */
export interface PreKeySource {
  signedPreKey(id: number): KeyPair | undefined;
  oneTimePreKey(id: number): KeyPair | undefined;
  /** Absent on a device that publishes no KEM pre-keys: whoever offers one is then unknown to it. */
  readonly kem?: KemPreKeySource | undefined;
}

export interface KemPreKeySource {
  kemPreKey(id: number): { readonly keyPair: KemKeyPair; readonly lastResort: boolean } | undefined;
  /**
   * Whether this signed pre-key never stood in a bundle without a KEM pre-key, because both were uploaded in one request. An
   * offer that uses it without one, by a sender who could have done better, then shows that a bundle was tampered with.
   */
  accompanies(signedPreKeyId: number): boolean;
}

/** A ciphertext and how to label it for the receiver. */
export interface Encrypted {
  readonly record: SessionRecord;
  readonly type: 'prekey' | 'ratchet';
  /** Owned by the caller. */
  readonly ciphertext: Uint8Array;
}

export interface Decrypted {
  readonly record: SessionRecord;
  /** Owned by the caller. */
  readonly plaintext: Uint8Array;
  /** 33 bytes: who authenticated this message. A late one may be of a former identity, not of the open session's. */
  readonly remoteIdentityKey: Uint8Array;
}

export interface DecryptedPreKeyMessage extends Decrypted {
  /** Delete these pre-keys in the transaction that stores `record`. Present where a session was opened with one. */
  readonly consumedOneTimePreKeyId?: number;
  readonly consumedKemPreKeyId?: number;
}

/** What a pre-key message needs, before it can be decrypted. Unauthenticated. */
export interface PreKeyHeader {
  readonly signedPreKeyId: number;
  readonly oneTimePreKeyId: number | undefined;
  readonly kemPreKeyId: number | undefined;
  readonly registrationId: number;
  readonly identityKey: Uint8Array;
}

/**
 * Begins a session from a fetched bundle; the next `encrypt` uses it. A session that was open is archived.
 *
 * @param record - What is remembered of that device; undefined for a stranger. Its identity may differ from the
 *   bundle's: compare, and let the user decide, before you send.
 * @param random - Asked for 32 bytes two or three times: base key, the KEM's entropy, ratchet key.
 * @returns SIG_BAD_SIGNATURE where the signed or KEM pre-key is not the identity's; SIG_DOWNGRADE where the KEM pre-key is
 *   missing from a bundle of an identity that is known to publish some; SIG_BAD_KEY; SIG_MALFORMED for an id that is no
 *   uint32.
 *
 * Source: X3DH and PQXDH, sections 3.3.
 */
export function initiateSession(
  local: LocalIdentity,
  bundle: PreKeyBundle,
  record: SessionRecord | undefined,
  random: RandomBytes,
): { readonly record: SessionRecord } | SignalError {
  const refusal = refuseBundle(bundle);
  if (refusal !== undefined) return refusal;
  const { kemPreKey } = bundle;
  if (kemPreKey === undefined && knowsHybrid(record, bundle.identityKey)) return signalError('SIG_DOWNGRADE');
  const handshake = kemPreKey === undefined ? x3dh : pqxdh;
  const baseKeyPair = generateKeyPair(random);
  const begun = handshake.initiate(local, baseKeyPair, bundle, random);
  if (isSignalError(begun)) return begun;
  const ratchet = createInitiatorState(begun.rootKey, bundle.signedPreKey.publicKey, random);
  if (isSignalError(ratchet)) return ratchet;
  const session = new Session({
    version: handshake.sessionVersion,
    remoteVersion: handshake.sessionVersion,
    baseKey: baseKeyPair.publicKey,
    localIdentityKey: local.identityKeyPair.publicKey,
    remoteIdentityKey: copyOf(bundle.identityKey),
    remoteRegistrationId: bundle.registrationId,
    ratchet,
    pending: {
      signedPreKeyId: bundle.signedPreKey.id,
      oneTimePreKeyId: bundle.oneTimePreKey?.id,
      kem: kemPreKey && { preKeyId: kemPreKey.id, ciphertext: begun.kemCiphertext! },
    },
  });
  return { record: openSession(record, session) };
}

/**
 * Encrypts with the open session.
 *
 * @param plaintext - At most `LIMITS.plaintextBytesMax`. Its length shows in the ciphertext, up to 16 bytes: pad it
 *   before if that tells too much.
 * @returns The next record, and the ciphertext, of type `prekey` until the peer has answered. SIG_NO_SESSION,
 *   SIG_LOCAL_IDENTITY_CHANGED, SIG_CHAIN_EXHAUSTED, SIG_TOO_LARGE.
 *
 * Source: Double Ratchet, section 3.4; X3DH, section 3.3.
 */
export function encrypt(record: SessionRecord, local: LocalIdentity, plaintext: Uint8Array): Encrypted | SignalError {
  requireBytes('plaintext', plaintext);
  const session = record.current;
  if (plaintext.length > LIMITS.plaintextBytesMax) return signalError('SIG_TOO_LARGE');
  if (session === undefined) return signalError('SIG_NO_SESSION');
  if (!belongsTo(session, local)) return signalError('SIG_LOCAL_IDENTITY_CHANGED');
  const sent = prepareSend(session.ratchet);
  if (isSignalError(sent)) return sent;
  const { version, localIdentityKey, remoteIdentityKey } = session;
  const direction = { version, senderIdentityKey: localIdentityKey, receiverIdentityKey: remoteIdentityKey };
  const message = sealMessage(sent.seed, direction, sent.header, plaintext);
  const next = replaceCurrent(record, new Session({ ...session, ratchet: sent.state }));
  if (session.pending === undefined) return { record: next, type: 'ratchet', ciphertext: message };
  return { record: next, type: 'prekey', ciphertext: wrapInOffer(session, session.pending, local, message) };
}

function wrapInOffer(session: Session, pending: PendingOffer, local: LocalIdentity, message: Uint8Array): Uint8Array {
  return encodePreKeyMessage({
    ...pending,
    versionByte: versionByteOf(session.version),
    registrationId: local.registrationId,
    baseKey: session.baseKey,
    identityKey: session.localIdentityKey,
    message,
  });
}

function belongsTo(session: Session, local: LocalIdentity): boolean {
  return samePublicBytes(session.localIdentityKey, local.identityKeyPair.publicKey);
}

/**
 * Reads which pre-keys a pre-key message needs and who claims to have sent it, so that they can be loaded first.
 *
 * @param ciphertext - Borrowed; `identityKey` is a copy.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY.
 */
export function readPreKeyHeader(ciphertext: Uint8Array): PreKeyHeader | SignalError {
  const message = decodePreKeyMessage(ciphertext);
  if (isSignalError(message)) return message;
  const { signedPreKeyId, oneTimePreKeyId, kem, registrationId, identityKey } = message;
  const ids = { signedPreKeyId, oneTimePreKeyId, kemPreKeyId: kem?.preKeyId };
  return { ...ids, registrationId, identityKey: copyOf(identityKey) };
}

/**
 * Decrypts a pre-key message: with the session that it began, if the record has it, or by accepting its handshake.
 *
 * The one-time pre-keys are looked up only for a new session, so that the later messages of an offer can be read after
 * they are gone.
 *
 * @param record - What is remembered of the sending device; undefined for a stranger.
 * @param ciphertext - Borrowed.
 * @param random - Asked for 32 bytes if the message turns the ratchet, and not otherwise.
 * @returns SIG_UNKNOWN_PREKEY, SIG_BAD_MAC, SIG_DUPLICATE, SIG_TOO_FAR, SIG_MALFORMED, SIG_UNSUPPORTED_VERSION,
 *   SIG_BAD_KEY, SIG_LOCAL_IDENTITY_CHANGED; SIG_DOWNGRADE for a genuine offer of session version 3 whose sender is known
 *   to have the hybrid handshake, or says so in using a signed pre-key that no honest bundle has without a KEM pre-key.
 *
 * Source: X3DH and PQXDH, sections 3.4; Double Ratchet, section 3.5.
 */
export function decryptPreKeyMessage(
  record: SessionRecord | undefined,
  local: LocalIdentity,
  keys: PreKeySource,
  ciphertext: Uint8Array,
  random: RandomBytes,
): DecryptedPreKeyMessage | SignalError {
  const offer = decodePreKeyMessage(ciphertext);
  if (isSignalError(offer)) return offer;
  const message = decodeRatchetMessage(offer.message);
  if (isSignalError(message)) return message;
  if (message.version !== offer.version) return signalError('SIG_MALFORMED');
  const arrival = { message, local, random };
  const known = record && sessionsOf(record).find(([, session]) => isSessionOf(session, offer));
  if (record && known) return receive(record, known, arrival, LIMITS.forwardJumpCountMax);
  return acceptOffer(record, keys, offer, arrival);
}

/** A base key is fresh, so it names a session; the identity is compared too, as what we report must be authenticated. */
function isSessionOf(session: Session, offer: PreKeyMessage): boolean {
  return (
    session.version === offer.version &&
    samePublicBytes(session.baseKey, offer.baseKey) &&
    samePublicBytes(session.remoteIdentityKey, offer.identityKey)
  );
}

function acceptOffer(
  record: SessionRecord | undefined,
  keys: PreKeySource,
  offer: PreKeyMessage,
  arrival: Arrival,
): DecryptedPreKeyMessage | SignalError {
  const { oneTimePreKeyId, kem } = offer;
  const ours = findResponderKeys(arrival.local, keys, offer);
  if (isSignalError(ours)) return ours;
  const begun = respond(ours, offer);
  if (isSignalError(begun)) return begun;
  const read = readWith(begun, arrival, LIMITS.forwardJumpCountMax);
  if (isSignalError(read)) return read;
  if (isDowngrade(record, keys, offer, read.session)) return signalError('SIG_DOWNGRADE');
  const consumesKem = kem !== undefined && keys.kem?.kemPreKey(kem.preKeyId)?.lastResort === false;
  return {
    record: openSession(record, read.session),
    plaintext: read.plaintext,
    remoteIdentityKey: copyOf(begun.remoteIdentityKey),
    ...(oneTimePreKeyId !== undefined && { consumedOneTimePreKeyId: oneTimePreKeyId }),
    ...(consumesKem && { consumedKemPreKeyId: kem.preKeyId }),
  };
}

/** The private halves of all that an offer names. SIG_UNKNOWN_PREKEY where one is missing. */
function findResponderKeys(
  { identityKeyPair }: LocalIdentity,
  keys: PreKeySource,
  { signedPreKeyId, oneTimePreKeyId, kem }: PreKeyMessage,
): ResponderKeys | SignalError {
  const signedPreKey = keys.signedPreKey(signedPreKeyId);
  const oneTimePreKey = oneTimePreKeyId === undefined ? undefined : keys.oneTimePreKey(oneTimePreKeyId);
  const kemPreKey = kem && keys.kem?.kemPreKey(kem.preKeyId)?.keyPair;
  const isMissing =
    signedPreKey === undefined ||
    (oneTimePreKeyId !== undefined && oneTimePreKey === undefined) ||
    (kem !== undefined && kemPreKey === undefined);
  return isMissing ? signalError('SIG_UNKNOWN_PREKEY') : { identityKeyPair, signedPreKey, oneTimePreKey, kemPreKey };
}

/** The responder's session for an offer, unproven until a message authenticates under it. */
function respond(ours: ResponderKeys, offer: PreKeyMessage): Session | SignalError {
  const handshake = offer.version === hybridVersion ? pqxdh : x3dh;
  const secret = handshake.accept(ours, offer);
  if (isSignalError(secret)) return secret;
  return new Session({
    version: offer.version,
    remoteVersion: offer.version,
    baseKey: copyOf(offer.baseKey),
    localIdentityKey: ours.identityKeyPair.publicKey,
    remoteIdentityKey: copyOf(offer.identityKey),
    remoteRegistrationId: offer.registrationId,
    ratchet: createResponderState(secret.rootKey, ours.signedPreKey),
    pending: undefined,
  });
}

/**
 * Whether a genuine offer without the post-quantum part is one that no honest course of things brings about. Asked after
 * the MAC, so that the answer is about the peer and not about somebody who names them.
 */
function isDowngrade(
  record: SessionRecord | undefined,
  keys: PreKeySource,
  offer: PreKeyMessage,
  { remoteVersion, remoteIdentityKey }: Session,
): boolean {
  if (offer.version !== classicVersion) return false;
  const wasStripped = remoteVersion > classicVersion && keys.kem?.accompanies(offer.signedPreKeyId) === true;
  return wasStripped || knowsHybrid(record, remoteIdentityKey);
}

/**
 * Decrypts a ratchet message, with the open session or an archived one.
 *
 * A session that knows the message's chain is the one that is meant; only without such a one are all of the message's
 * version tried, newest first. An archived session that succeeds is opened, unless its remote identity is a former one or
 * the open one is of a higher version.
 *
 * @param ciphertext - Borrowed.
 * @param random - Asked for 32 bytes if the message turns the ratchet, and not otherwise.
 * @returns SIG_NO_SESSION, SIG_BAD_MAC, SIG_DUPLICATE, SIG_TOO_FAR, SIG_MALFORMED, SIG_UNSUPPORTED_VERSION,
 *   SIG_BAD_KEY, SIG_LOCAL_IDENTITY_CHANGED. Where several sessions were tried, what the first of them said.
 *
 * Source: Double Ratchet, section 3.5.
 */
export function decryptRatchetMessage(
  record: SessionRecord,
  local: LocalIdentity,
  ciphertext: Uint8Array,
  random: RandomBytes,
): Decrypted | SignalError {
  const message = decodeRatchetMessage(ciphertext);
  if (isSignalError(message)) return message;
  const arrival = { message, local, random };
  const all = sessionsOf(record);
  const sessions = all.filter(([, session]) => session.version === message.version);
  const meant = sessions.find(([, session]) => knowsChain(session.ratchet, message.header.ratchetKey));
  if (meant) return receive(record, meant, arrival, LIMITS.forwardJumpCountMax);
  let refusal: SignalError | undefined;
  for (const placed of sessions) {
    const jumpCountMax = placed[0] === 'current' ? LIMITS.forwardJumpCountMax : LIMITS.archivedForwardJumpCountMax;
    const outcome = receive(record, placed, arrival, jumpCountMax);
    if (!isSignalError(outcome)) return outcome;
    refusal ??= outcome;
  }
  return refusal ?? signalError(all.length > 0 ? 'SIG_BAD_MAC' : 'SIG_NO_SESSION');
}

/** A message to be read, and what every attempt to read it needs. */
interface Arrival {
  readonly message: RatchetMessage;
  readonly local: LocalIdentity;
  readonly random: RandomBytes;
}

/** Reads a message with one session of the record and stores what became of it. */
function receive(
  record: SessionRecord,
  [place, session]: PlacedSession,
  arrival: Arrival,
  jumpCountMax: number,
): Decrypted | SignalError {
  const read = readWith(session, arrival, jumpCountMax);
  if (isSignalError(read)) return read;
  return {
    record: storeReceived(record, place, read.session),
    plaintext: read.plaintext,
    remoteIdentityKey: copyOf(session.remoteIdentityKey),
  };
}

/** The one way a message is read: find its seed, check its MAC, and only then step the ratchet. */
function readWith(
  session: Session,
  { message, local, random }: Arrival,
  jumpCountMax: number,
): { session: Session; plaintext: Uint8Array } | SignalError {
  if (!belongsTo(session, local)) return signalError('SIG_LOCAL_IDENTITY_CHANGED');
  const reception = prepareReceive(session.ratchet, message.header, jumpCountMax);
  if (isSignalError(reception)) return reception;
  const { version, localIdentityKey, remoteIdentityKey } = session;
  const direction = { version, senderIdentityKey: remoteIdentityKey, receiverIdentityKey: localIdentityKey };
  const plaintext = openMessage(reception.seed, direction, message);
  if (isSignalError(plaintext)) return plaintext;
  const ratchet = completeReceive(session.ratchet, reception, random);
  if (isSignalError(ratchet)) return ratchet;
  const remoteVersion = raise(session.remoteVersion, message.versionByte);
  return { session: new Session({ ...session, remoteVersion, ratchet, pending: undefined }), plaintext };
}

/** What a genuine message adds to what we know of its sender's release. */
function raise(version: SessionVersion, versionByte: number): SessionVersion {
  const known = knownVersionOf(versionByte);
  return known > version ? known : version;
}
