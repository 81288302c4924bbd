/**
 * Sessions between two devices: begin one, encrypt, decrypt.
 *
 * Every operation takes a record and gives the next one, with what is to be done: send `ciphertext`, show `plaintext`,
 * delete the one-time pre-key. **Store the record before you act on the rest**: ciphertext that left with its record
 * unsaved means a message key used twice after a restart. The record that was passed in stays as it was, so whoever
 * fails to store, or dislikes the identity that a message came with, keeps the old one and nothing has happened.
 *
 * This file decides which session a message belongs to. It does not decide whom to trust: compare `remoteIdentityKey`
 * before and after. It knows no clock, no store and no network. Read next: `session-record.ts`, `double-ratchet.ts`.
 */
import { copyOf, requireBytes, samePublicBytes } from './bytes.ts';
import {
  currentVersionByte,
  decodePreKeyMessage,
  decodeRatchetMessage,
  encodePreKeyMessage,
  type PreKeyMessage,
  type RatchetMessage,
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
import type { Handshake } from './handshake.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { openMessage, sealMessage } from './message-cipher.ts';
import { refuseBundle, type LocalIdentity, type PreKeyBundle } from './pre-keys.ts';
import type { RandomBytes } from './primitives.ts';
import {
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

/** The handshake of session version 3. A hybrid one would be chosen here, by the bundle or the message's version. */
const handshake: Handshake = x3dh;

/** How the caller's stored pre-keys are reached: synchronously, so load what `readPreKeyHeader` names beforehand. */
export interface PreKeySource {
  signedPreKey(id: number): KeyPair | undefined;
  oneTimePreKey(id: number): KeyPair | undefined;
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
  /** Delete this pre-key in the transaction that stores `record`. Present where a session was opened with one. */
  readonly consumedOneTimePreKeyId?: number;
}

/** What a pre-key message needs, before it can be decrypted. Unauthenticated. */
export interface PreKeyHeader {
  readonly signedPreKeyId: number;
  readonly oneTimePreKeyId: number | undefined;
  readonly registrationId: number;
  readonly identityKey: Uint8Array;
}

/**
 * Begins a session from a fetched bundle; the next `encrypt` uses it. A session that was open is archived.
 *
 * @param record - What is remembered of that device; undefined for a stranger. Its identity may differ from the
 *   bundle's: compare, and let the user decide, before you send.
 * @param random - Asked for 32 bytes twice: base key, ratchet key.
 * @returns SIG_BAD_SIGNATURE where the signed pre-key is not the identity's; SIG_BAD_KEY; SIG_MALFORMED for an id that
 *   is no uint32.
 *
 * Source: X3DH, section 3.3.
 */
export function initiateSession(
  local: LocalIdentity,
  bundle: PreKeyBundle,
  record: SessionRecord | undefined,
  random: RandomBytes,
): { readonly record: SessionRecord } | SignalError {
  const refusal = refuseBundle(bundle);
  if (refusal !== undefined) return refusal;
  const baseKeyPair = generateKeyPair(random);
  const secret = handshake.initiate(local.identityKeyPair, baseKeyPair, bundle);
  if (isSignalError(secret)) return secret;
  const ratchet = createInitiatorState(secret.rootKey, bundle.signedPreKey.publicKey, random);
  if (isSignalError(ratchet)) return ratchet;
  const session = new Session({
    baseKey: baseKeyPair.publicKey,
    localIdentityKey: local.identityKeyPair.publicKey,
    remoteIdentityKey: copyOf(bundle.identityKey),
    remoteRegistrationId: bundle.registrationId,
    ratchet,
    pending: { signedPreKeyId: bundle.signedPreKey.id, oneTimePreKeyId: bundle.oneTimePreKey?.id },
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
  const direction = { senderIdentityKey: session.localIdentityKey, receiverIdentityKey: session.remoteIdentityKey };
  const message = sealMessage(sent.seed, direction, sent.header, plaintext);
  const next = replaceCurrent(record, new Session({ ...session, ratchet: sent.state }));
  if (session.pending === undefined) return { record: next, type: 'ratchet', ciphertext: message };
  return { record: next, type: 'prekey', ciphertext: wrapInOffer(session, session.pending, local, message) };
}

function wrapInOffer(session: Session, pending: PendingOffer, local: LocalIdentity, message: Uint8Array): Uint8Array {
  return encodePreKeyMessage({
    versionByte: currentVersionByte,
    registrationId: local.registrationId,
    oneTimePreKeyId: pending.oneTimePreKeyId,
    signedPreKeyId: pending.signedPreKeyId,
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
  const { signedPreKeyId, oneTimePreKeyId, registrationId, identityKey } = message;
  return { signedPreKeyId, oneTimePreKeyId, registrationId, identityKey: copyOf(identityKey) };
}

/**
 * Decrypts a pre-key message: with the session that it began, if the record has it, or by accepting its handshake.
 *
 * The one-time pre-key is looked up only for a new session, so that the later messages of an offer can be read after
 * it is gone.
 *
 * @param record - What is remembered of the sending device; undefined for a stranger.
 * @param ciphertext - Borrowed.
 * @param random - Asked for 32 bytes if the message turns the ratchet, and not otherwise.
 * @returns SIG_UNKNOWN_PREKEY, SIG_BAD_MAC, SIG_DUPLICATE, SIG_TOO_FAR, SIG_MALFORMED, SIG_UNSUPPORTED_VERSION,
 *   SIG_BAD_KEY, SIG_LOCAL_IDENTITY_CHANGED.
 *
 * Source: X3DH, section 3.4; Double Ratchet, section 3.5.
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
  const arrival = { message, local, random };
  const known = record && sessionsOf(record).find(([, session]) => isSessionOf(session, offer));
  if (record && known) return receive(record, known, arrival, LIMITS.forwardJumpCountMax);
  return acceptOffer(record, keys, offer, arrival);
}

/** A base key is fresh, so it names a session; the identity is compared too, as what we report must be authenticated. */
function isSessionOf(session: Session, offer: PreKeyMessage): boolean {
  return (
    samePublicBytes(session.baseKey, offer.baseKey) && samePublicBytes(session.remoteIdentityKey, offer.identityKey)
  );
}

function acceptOffer(
  record: SessionRecord | undefined,
  keys: PreKeySource,
  offer: PreKeyMessage,
  arrival: Arrival,
): DecryptedPreKeyMessage | SignalError {
  const begun = respond(arrival.local, keys, offer);
  if (isSignalError(begun)) return begun;
  const read = readWith(begun, arrival, LIMITS.forwardJumpCountMax);
  if (isSignalError(read)) return read;
  const opened = {
    record: openSession(record, read.session),
    plaintext: read.plaintext,
    remoteIdentityKey: copyOf(begun.remoteIdentityKey),
  };
  return offer.oneTimePreKeyId === undefined ? opened : { ...opened, consumedOneTimePreKeyId: offer.oneTimePreKeyId };
}

/** The responder's session for an offer, unproven until a message authenticates under it. */
function respond(local: LocalIdentity, keys: PreKeySource, offer: PreKeyMessage): Session | SignalError {
  const { oneTimePreKeyId } = offer;
  const signedPreKey = keys.signedPreKey(offer.signedPreKeyId);
  const oneTimePreKey = oneTimePreKeyId === undefined ? undefined : keys.oneTimePreKey(oneTimePreKeyId);
  if (signedPreKey === undefined) return signalError('SIG_UNKNOWN_PREKEY');
  if (oneTimePreKeyId !== undefined && oneTimePreKey === undefined) return signalError('SIG_UNKNOWN_PREKEY');
  const { identityKeyPair } = local;
  const secret = handshake.accept({ identityKeyPair, signedPreKey, oneTimePreKey }, offer);
  if (isSignalError(secret)) return secret;
  return new Session({
    baseKey: copyOf(offer.baseKey),
    localIdentityKey: identityKeyPair.publicKey,
    remoteIdentityKey: copyOf(offer.identityKey),
    remoteRegistrationId: offer.registrationId,
    ratchet: createResponderState(secret.rootKey, signedPreKey),
    pending: undefined,
  });
}

/**
 * Decrypts a ratchet message, with the open session or an archived one.
 *
 * A session that knows the message's chain is the one that is meant; only without such a one are all tried, newest
 * first. An archived session that succeeds is opened, unless its remote identity is a former one.
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
  const sessions = sessionsOf(record);
  const meant = sessions.find(([, session]) => knowsChain(session.ratchet, message.header.ratchetKey));
  if (meant) return receive(record, meant, arrival, LIMITS.forwardJumpCountMax);
  let refusal: SignalError | undefined;
  for (const placed of sessions) {
    const jumpCountMax = placed[0] === 'current' ? LIMITS.forwardJumpCountMax : LIMITS.archivedForwardJumpCountMax;
    const outcome = receive(record, placed, arrival, jumpCountMax);
    if (!isSignalError(outcome)) return outcome;
    refusal ??= outcome;
  }
  return refusal ?? signalError('SIG_NO_SESSION');
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
  const direction = { senderIdentityKey: session.remoteIdentityKey, receiverIdentityKey: session.localIdentityKey };
  const plaintext = openMessage(reception.seed, direction, message);
  if (isSignalError(plaintext)) return plaintext;
  const ratchet = completeReceive(session.ratchet, reception, random);
  if (isSignalError(ratchet)) return ratchet;
  return { session: new Session({ ...session, ratchet, pending: undefined }), plaintext };
}
