/**
 * What a device remembers of one correspondent device: the open session and the ones that it replaced.
 *
 * Sessions get archived because two devices may start one at the same time and messages of each are under way. The
 * newest session in which something arrived becomes the open one, and so both ends come to agree. This file decides
 * which session stands where; it encrypts nothing. A record is immutable and opaque to callers; at rest it is the bytes
 * of `record-codec.ts`. Source: the Sesame specification, section 3, for one device. Read next: `session.ts`.
 */
import { samePublicBytes } from './bytes.ts';
import { hybridVersion, type KemOffer, type SessionVersion } from './ciphertext.ts';
import { withoutSending, type RatchetState } from './double-ratchet.ts';
import { LIMITS } from './limits.ts';
import { Redacted } from './redacted.ts';

/** The pre-keys of the bundle from which we started a session, until the peer's first answer shows that it has it. */
export interface PendingOffer {
  readonly signedPreKeyId: number;
  readonly oneTimePreKeyId: number | undefined;
  /** Of a hybrid session, and of no other. */
  readonly kem: KemOffer | undefined;
}

export interface SessionFields {
  readonly version: SessionVersion;
  /**
   * The highest version that the peer has shown to know, in a signed KEM pre-key or a genuine message; never below
   * `version`. Above it, the session should not be what it is: `needsRenewal`.
   */
  readonly remoteVersion: SessionVersion;
  /** 33 bytes: the initiator's ephemeral key, at both ends. */
  readonly baseKey: Uint8Array;
  /** 33 bytes each; fixed for the session's life. */
  readonly localIdentityKey: Uint8Array;
  readonly remoteIdentityKey: Uint8Array;
  readonly remoteRegistrationId: number;
  readonly ratchet: RatchetState;
  /** While present, what we send is wrapped in pre-key messages. */
  readonly pending: PendingOffer | undefined;
}

export class Session extends Redacted implements SessionFields {
  readonly version: SessionVersion;
  readonly remoteVersion: SessionVersion;
  readonly baseKey: Uint8Array;
  readonly localIdentityKey: Uint8Array;
  readonly remoteIdentityKey: Uint8Array;
  readonly remoteRegistrationId: number;
  readonly ratchet: RatchetState;
  readonly pending: PendingOffer | undefined;

  constructor(fields: SessionFields) {
    super();
    this.version = fields.version;
    this.remoteVersion = fields.remoteVersion;
    this.baseKey = fields.baseKey;
    this.localIdentityKey = fields.localIdentityKey;
    this.remoteIdentityKey = fields.remoteIdentityKey;
    this.remoteRegistrationId = fields.remoteRegistrationId;
    this.ratchet = fields.ratchet;
    this.pending = fields.pending;
  }
}

/** Opaque and immutable. Every operation gives a new one, which shares what has not changed. */
export class SessionRecord extends Redacted {
  /** The session to send with. @internal */
  readonly current: Session | undefined;
  /** Newest first, at most `LIMITS.archivedSessionCountMax`. @internal */
  readonly archived: readonly Session[];

  constructor(current: Session | undefined, archived: readonly Session[]) {
    super();
    this.current = current;
    this.archived = archived;
  }
}

/** Where a session stands in its record: open, or at an index of the archive. */
export type SessionPlace = 'current' | number;
export type PlacedSession = readonly [place: SessionPlace, session: Session];

/** Every session with its place, the open one first, then newest to oldest: the order in which they are tried. */
export function sessionsOf(record: SessionRecord): PlacedSession[] {
  const archived = record.archived.map((session, index): PlacedSession => [index, session]);
  return record.current === undefined ? archived : [['current', record.current], ...archived];
}

/** Makes `session` the open one; the one that was open goes to the front of the archive, the oldest drops out. */
export function openSession(record: SessionRecord | undefined, session: Session): SessionRecord {
  if (record === undefined) return new SessionRecord(session, []);
  const archived = record.current === undefined ? record.archived : [record.current, ...record.archived];
  return new SessionRecord(session, archived.slice(0, LIMITS.archivedSessionCountMax));
}

/** Puts the next state of the open session in its place. */
export function replaceCurrent(record: SessionRecord, session: Session): SessionRecord {
  return new SessionRecord(session, record.archived);
}

/**
 * Stores the state of `session` after it received something, and opens it where that is right.
 *
 * An archived session is opened only if it may send, belongs to the same remote identity as the open one, and is not of a
 * lower version: a late message of a device's former identity, or of a session from before it had the hybrid handshake,
 * must not turn our sending back to it. A closed record stays closed.
 */
export function storeReceived(record: SessionRecord, place: SessionPlace, session: Session): SessionRecord {
  if (place === 'current') return replaceCurrent(record, session);
  const { current, archived } = record;
  const opens =
    current !== undefined &&
    session.ratchet.sending !== undefined &&
    session.version >= current.version &&
    samePublicBytes(current.remoteIdentityKey, session.remoteIdentityKey);
  if (!opens) return new SessionRecord(current, archived.with(place, session));
  return openSession(new SessionRecord(current, archived.toSpliced(place, 1)), session);
}

/**
 * Stops sending in every session of the record; what is under way can still be read.
 *
 * For a record that may be older than what was sent from it (a restored backup), and for starting over. Afterwards
 * `hasSession` is false until `initiateSession` or a pre-key message opens a new session.
 */
export function closeSession(record: SessionRecord): SessionRecord {
  const close = (session: Session): Session =>
    new Session({ ...session, ratchet: withoutSending(session.ratchet), pending: undefined });
  const sessions = sessionsOf(record).map(([, session]) => close(session));
  return new SessionRecord(undefined, sessions.slice(0, LIMITS.archivedSessionCountMax));
}

/** Whether there is an open session, so that `encrypt` has something to use. */
export function hasSession(record: SessionRecord | undefined): boolean {
  return record?.current !== undefined;
}

/**
 * Whether a genuine message or a signed pre-key in this record showed that the owner of `identityKey` knows the hybrid
 * handshake. It stays known as long as one such session is remembered, and every later one of that identity is one.
 */
export function knowsHybrid(record: SessionRecord | undefined, identityKey: Uint8Array): boolean {
  if (record === undefined) return false;
  return sessionsOf(record).some(
    ([, session]) => session.remoteVersion >= hybridVersion && samePublicBytes(session.remoteIdentityKey, identityKey),
  );
}

/**
 * Whether the open session lacks the post-quantum part although its peer knows it: somebody took the KEM pre-key out of
 * a bundle, or the session is older than the peer's update. Close it and begin another; a bundle of that identity without
 * a KEM pre-key is refused from now on.
 */
export function needsRenewal({ current }: SessionRecord): boolean {
  return current !== undefined && current.version < current.remoteVersion;
}

/** Whose identity key (33 bytes, borrowed) the open session has, or the newest archived one of a closed record. */
export function remoteIdentityKey(record: SessionRecord): Uint8Array | undefined {
  return (record.current ?? record.archived[0])?.remoteIdentityKey;
}

/**
 * The registration id that the open session's peer gave; another one than before hints at a new installation. It
 * travels outside the MAC: a hint, where `remoteIdentityKey` is proof.
 */
export function remoteRegistrationId(record: SessionRecord): number | undefined {
  return (record.current ?? record.archived[0])?.remoteRegistrationId;
}
