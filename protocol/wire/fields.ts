/**
 * The forms that fields of the protocol take, as tests of a value.
 *
 * A field is checked for its form only; whether a user exists or a key fits is not known here. What failed is named by
 * its field and the form that was expected, never by its value. Read next: `messages.ts`.
 */

import { wireError, type WireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { bytesOf, type Stanza } from './stanza.ts';

/** Bytes of a login nonce, a login key, a signature, and a Signal public key with its type byte. */
export const NONCE_BYTES: 32 = 32;
export const LOGIN_KEY_BYTES: 32 = 32;
export const SIGNATURE_BYTES: 64 = 64;
export const PUBLIC_KEY_BYTES: 33 = 33;

/** Bytes of the gate of an invite link. */
export const GATE_BYTES: 32 = 32;

/** Bytes of a media ticket, which only the server can read. */
export const MEDIA_TICKET_BYTES: 64 = 64;

/** Bytes of a resume ticket's secret, and of the proof that is made with it. */
export const RESUME_SECRET_BYTES: 32 = 32;

/** Bytes of a KEM public key with its type byte. */
export const KEM_KEY_BYTES: 1569 = 1569;

/** First byte of every KEM public key: ML-KEM-1024. */
export const KEM_KEY_TYPE: 6 = 6;

/** First byte of every Signal public key: Curve25519. */
export const PUBLIC_KEY_TYPE: 5 = 5;

/** What the forms are called in a refusal. */
const FORM = {
  user: '15 digits',
  group: '15 digits',
  device: 'an integer from 1 to 127',
  phone: '"+" and 7 to 15 digits',
  counter: 'an integer from 1 to 2^53-1',
  messageId: 'an integer from 1 to 2^48-1',
  count: 'an integer from 0 to 2^53-1',
  since: 'an integer from 1 to "until"',
  preKeyId: 'an integer from 0 to 2^32-1',
  registration: 'an integer from 1 to 16380',
  confirmCode: '6 digits',
  errorCode: 'a code such as APP_OVERLOADED',
  text: 'a text',
  envelopeType: '"prekey" or "ratchet"',
  groupEnvelopeType: '"sender-key"',
  groupContent: 'a roster and changes, or nothing',
  change: 'at least one byte',
  gate: '32 bytes or nothing',
  true: '"true" or nothing',
  receiptType: '"delivered" or "read"',
  readReceipt: '"read"',
  requestType: '"get" or "set"',
  presenceState: '"available" or "unavailable"',
  typingState: '"composing", "recording" or "paused"',
  audience: '"everyone", "contacts" or "nobody"',
  replyType: '"result" or "error"',
  version: 'the integer 1',
  login: '32 bytes',
  nonce: '32 bytes',
  signature: '64 bytes',
  publicKey: '33 bytes, the first of them 05',
  ticket: '64 bytes',
  resumeToken: '22 to 128 characters of base64url',
  resumeSecret: '32 bytes',
  flag: '"true"',
  linkId: '20 digits',
  deviceList: '1 to 1,024 bytes',
  kemKey: '1569 bytes, the first of them 06',
  ciphertext: 'at least one byte',
  relationState: '"accepted", "blocked" or "none"',
  listedState: '"accepted", "blocked" or "pending"',
  strangersPolicy: '"open" or "ask"',
  platform: '"none", "web", "apns" or "fcm"',
  url: 'an https URL',
  p256Point: '65 bytes, the first of them 04',
  authSecret: '16 bytes',
  evidence: '1 to 8192 bytes',
  nothing: 'no content',
} as const;

/** A name of a form. */
export type Form = keyof typeof FORM;

/**
 * The refusal of one field.
 *
 * @param tag - The stanza; a tag of ours, never one that was sent.
 * @param field - Attribute name, child tag, or `content`.
 */
export function badField(tag: string, field: string, form: Form): WireError {
  return wireError('WIRE_BAD_STANZA', `<${tag}> "${field}": expected ${FORM[form]}`);
}

/** The refusal of a stanza for something that is not one field. */
export function badStanza(tag: string, expected: string): WireError {
  return wireError('WIRE_BAD_STANZA', `<${tag}>: expected ${expected}`);
}

/** An id, a position: 1 to 2^53 - 1. */
export function isCounter(value: unknown): value is number {
  return isCount(value) && value >= 1;
}

/** The id of a message that a client sends: 1 to 2^48 - 1. */
export function isMessageId(value: unknown): value is number {
  return isCounter(value) && value <= LIMITS.messageIdMax;
}

/** A count, a time in milliseconds, seconds: 0 to 2^53 - 1. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** A pre-key id: 0 to 2^32 - 1. */
export function isPreKeyId(value: unknown): value is number {
  return isCount(value) && value <= LIMITS.preKeyIdMax;
}

/** A Signal registration id: 1 to 16380. */
export function isRegistrationId(value: unknown): value is number {
  return isCounter(value) && value <= LIMITS.registrationIdMax;
}

/** The code that was sent to a phone: 6 digits as text, because 004711 is one. */
export function isConfirmCode(value: unknown): value is string {
  return typeof value === 'string' && CONFIRM_CODE.test(value);
}

const CONFIRM_CODE = /^[0-9]{6}$/;

/** A link id: 20 digits. */
export function isLinkId(value: unknown): value is string {
  return typeof value === 'string' && LINK_ID.test(value);
}

const LINK_ID = /^[0-9]{20}$/;

/** An error code: words of capitals and digits joined by `_`, at least two, at most 64 characters. */
export function isErrorCode(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LIMITS.errorCodeBytesMax && ERROR_CODE.test(value);
}

const ERROR_CODE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;

/** What names a resume ticket: the server alone can read it. */
export function isResumeToken(value: unknown): value is string {
  return typeof value === 'string' && RESUME_TOKEN.test(value);
}

const RESUME_TOKEN = /^[A-Za-z0-9_-]{22,128}$/;

/** The content if it is exactly `length` bytes. Borrowed from the stanza. */
export function contentOf(stanza: Stanza, length: number): Uint8Array | undefined {
  const bytes = bytesOf(stanza);
  return bytes !== undefined && bytes.length === length ? bytes : undefined;
}

/** The content if it is a Signal public key. Borrowed from the stanza. */
export function publicKeyOf(stanza: Stanza): Uint8Array | undefined {
  const bytes = contentOf(stanza, PUBLIC_KEY_BYTES);
  return bytes !== undefined && bytes[0] === PUBLIC_KEY_TYPE ? bytes : undefined;
}

/** The content if it is a KEM public key. Borrowed from the stanza. */
export function kemKeyOf(stanza: Stanza): Uint8Array | undefined {
  const bytes = contentOf(stanza, KEM_KEY_BYTES);
  return bytes !== undefined && bytes[0] === KEM_KEY_TYPE ? bytes : undefined;
}
