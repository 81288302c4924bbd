/**
 * What can go wrong with well-meant and ill-meant input: stable codes, as plain data.
 *
 * An error is `{ code, message }` and nothing else, so that it crosses threads and storage; compare codes, never
 * messages. The message is the catalogue's own sentence: no key, no id and no byte of input enters it. A developer's
 * wrong call throws `TypeError` or `RangeError` instead and is not listed. Read next: `session.ts` (who returns what).
 */

/** One row of the catalogue. */
export interface ErrorEntry {
  /** What it says, in one sentence; the `message` of the error. */
  readonly meaning: string;
  /** How it comes about. */
  readonly cause: string;
  /** What the caller does about it. */
  readonly action: string;
}

export type SignalErrorCode =
  | 'SIG_MALFORMED'
  | 'SIG_UNSUPPORTED_VERSION'
  | 'SIG_BAD_KEY'
  | 'SIG_BAD_SIGNATURE'
  | 'SIG_DOWNGRADE'
  | 'SIG_BAD_MAC'
  | 'SIG_DUPLICATE'
  | 'SIG_TOO_FAR'
  | 'SIG_UNKNOWN_PREKEY'
  | 'SIG_NO_SESSION'
  | 'SIG_NO_SENDER_KEY'
  | 'SIG_LOCAL_IDENTITY_CHANGED'
  | 'SIG_CHAIN_EXHAUSTED'
  | 'SIG_TOO_LARGE'
  | 'SIG_STREAM_TOO_NEW'
  | 'SIG_STREAM_WRONG_KEY'
  | 'SIG_STREAM_DAMAGED'
  | 'SIG_STREAM_TRUNCATED'
  | 'SIG_STREAM_WRONG_DIGEST'
  | 'SIG_STREAM_NOT_RESUMABLE'
  | 'SIG_MEDIA_TOO_LARGE'
  | 'SIG_LIST_ROLLED_BACK'
  | 'SIG_LIST_FORKED';

export const SIGNAL_ERRORS: Readonly<Record<SignalErrorCode, ErrorEntry>> = Object.freeze({
  SIG_MALFORMED: {
    meaning: 'The bytes are not a message or record of this format.',
    cause: 'Damaged, truncated or oversized input, fields missing, repeated or out of order, or padding that is wrong.',
    action: 'Drop the message. For a record: the store is damaged; start a new session.',
  },
  SIG_UNSUPPORTED_VERSION: {
    meaning: 'The session version is not one that this implementation speaks.',
    cause: 'A correspondent with a much older or newer client, or a record written by a newer release.',
    action: 'Ask the user to update; keep the message until then.',
  },
  SIG_BAD_KEY: {
    meaning: 'A public key is not canonical, is of small order, or is no key of its kind.',
    cause: 'A broken or malicious peer or server: such keys force a known shared secret.',
    action: 'Refuse the bundle or message. Fetching the bundle again may help if only the server was at fault.',
  },
  SIG_BAD_SIGNATURE: {
    meaning: 'A signature is not by the key that must have made it.',
    cause: 'The server exchanged a key of a bundle, a device list is not the account’s, a group message is forged.',
    action: 'Refuse the bundle or list and do not send; drop the message. Report it to the user if it repeats.',
  },
  SIG_DOWNGRADE: {
    meaning: 'A session without the post-quantum part, with a peer who is known to have it.',
    cause: 'Somebody took the KEM pre-key out of a bundle, or the peer went back to a much older release.',
    action: 'Refuse it, tell the user, and begin a session with a fresh bundle. A peer who did go back registers anew.',
  },
  SIG_BAD_MAC: {
    meaning: 'No session of the record authenticates the message.',
    cause: 'A forged or damaged message, or one of a session that the record has forgotten.',
    action: 'Drop the message. If genuine ones keep failing, start a new session with a fresh bundle.',
  },
  SIG_DUPLICATE: {
    meaning: 'The message key was used before, or was forgotten with the oldest skipped keys.',
    cause: 'The message was delivered twice, or it is later than every bound on late messages.',
    action: 'Acknowledge and ignore it.',
  },
  SIG_TOO_FAR: {
    meaning: 'The message is too many steps ahead in its chain.',
    cause: 'More messages were lost in a row than `LIMITS.forwardJumpCountMax`, or a forged counter.',
    action: 'Drop the message; start a new session if the correspondent is genuine.',
  },
  SIG_UNKNOWN_PREKEY: {
    meaning: 'The message was made for a pre-key that this device does not hold.',
    cause: 'A one-time pre-key used before, a signed or last-resort one rotated away, or a reinstalled device.',
    action: 'Drop the message; answer by starting a session, so that the correspondent moves to it.',
  },
  SIG_NO_SESSION: {
    meaning: 'There is no open session to use.',
    cause: 'A ratchet message before any pre-key message, or sending after the session was closed.',
    action: 'Fetch a bundle and call `initiateSession`.',
  },
  SIG_NO_SENDER_KEY: {
    meaning: 'The sender key of the group message has not been handed to this device.',
    cause: 'The message overtook its distribution, the device was no member then, or its memory was lost.',
    action: 'Keep the message for a while and try again when a distribution comes; then ask the sender for one.',
  },
  SIG_LOCAL_IDENTITY_CHANGED: {
    meaning: 'The session belongs to another identity of this device.',
    cause: 'The device was registered anew and kept records of its former identity.',
    action: 'Discard the record and start a new session.',
  },
  SIG_CHAIN_EXHAUSTED: {
    meaning: 'The sending chain has no counter left.',
    cause: '2^32 messages sent without one answer.',
    action: 'Start a new session with a fresh bundle.',
  },
  SIG_TOO_LARGE: {
    meaning: 'The plaintext is larger than a message may be.',
    cause: 'Content over `LIMITS.plaintextBytesMax`.',
    action: 'Send it as media, by reference.',
  },
  SIG_STREAM_TOO_NEW: {
    meaning: 'The sealed stream has a version or a chunk size that this implementation does not read.',
    cause: 'A file of a newer release, or bytes that are no sealed stream.',
    action: 'Ask the user to update.',
  },
  SIG_STREAM_WRONG_KEY: {
    meaning: 'The sealed stream was made with another key, or for another purpose.',
    cause: 'The wrong file, the wrong key or passphrase, or a header that was changed.',
    action: 'Fetch the file again; for a backup, ask for the key again.',
  },
  SIG_STREAM_DAMAGED: {
    meaning: 'A chunk of the sealed stream is not the one that belongs at its place.',
    cause: 'Bytes were changed, chunks were exchanged, repeated or taken from another file, or bytes follow the end.',
    action: 'Discard what was read; fetch the file again.',
  },
  SIG_STREAM_TRUNCATED: {
    meaning: 'The sealed stream ends before its last chunk.',
    cause: 'A download that was cut off, or a server that keeps back the end.',
    action: 'Discard what was read, or continue the download and read again.',
  },
  SIG_STREAM_WRONG_DIGEST: {
    meaning: 'The whole is well-formed and is not the file that the message names.',
    cause: 'A reference that does not belong to the file, or a sender who made two files for one reference.',
    action: 'Discard what was read.',
  },
  SIG_STREAM_NOT_RESUMABLE: {
    meaning: 'The encryption cannot be continued where it was left.',
    cause: 'The file was changed since, or the server has far less of it than was sent.',
    action: 'Start again; a fresh key is drawn.',
  },
  SIG_MEDIA_TOO_LARGE: {
    meaning: 'The file is larger than media may be.',
    cause: 'A file over `LIMITS.mediaBytesMax`, or a reference that names such a size.',
    action: 'Send the file in parts.',
  },
  SIG_LIST_ROLLED_BACK: {
    meaning: 'The device list is older than one of this account that was seen before.',
    cause: 'The server answers with an old list: a removed device would come back, or a new one stay unknown.',
    action: 'Keep the list that is known; warn the user if it repeats.',
  },
  SIG_LIST_FORKED: {
    meaning: 'The device list contradicts one of this account that was seen before.',
    cause: 'The primary device signed two lists of one epoch: its key or its store was copied.',
    action: 'Send to neither; alarm the user, who compares safety numbers with that person.',
  },
});

/** An expected outcome that is not the one hoped for. Plain data: survives `structuredClone` and JSON. */
export interface SignalError {
  readonly code: SignalErrorCode;
  readonly message: string;
}

/** Makes the error value of `code`. */
export function signalError(code: SignalErrorCode): SignalError {
  return { code, message: SIGNAL_ERRORS[code].meaning };
}

/** Tells an error from a result: no result of this folder has a `code`. */
export function isSignalError(outcome: unknown): outcome is SignalError {
  if (typeof outcome !== 'object' || outcome === null) return false;
  const { code } = outcome as { code?: unknown };
  return typeof code === 'string' && Object.hasOwn(SIGNAL_ERRORS, code);
}
