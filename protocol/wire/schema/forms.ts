/** The forms of values, as data. The same as the tests of `fields.ts`, from the same bounds; a test has both judge the same values. */

import {
  GATE_BYTES,
  KEM_KEY_BYTES,
  KEM_KEY_TYPE,
  LOGIN_KEY_BYTES,
  MEDIA_TICKET_BYTES,
  NONCE_BYTES,
  PUBLIC_KEY_BYTES,
  PUBLIC_KEY_TYPE,
  RESUME_SECRET_BYTES,
  SIGNATURE_BYTES,
} from '../fields.ts';
import { LIMITS } from '../limits.ts';
import type { Form } from './language.ts';

function integer(min: number, max: number = LIMITS.integerMax): Form {
  return { type: 'integer', min, max };
}

function pattern(text: string): Form {
  return { type: 'text', pattern: text };
}

function words(...all: readonly string[]): Form {
  return { type: 'text', words: all };
}

function bytes(min: number, max: number = min, first?: number): Form {
  return first === undefined ? { type: 'bytes', min, max } : { type: 'bytes', min, max, first };
}

function growing(...all: readonly string[]): Form {
  return { type: 'text', words: all, grows: true };
}

export const FORMS: Readonly<Record<string, Form>> = {
  user: pattern('[0-9]{15}'),
  group: pattern('[0-9]{15}'),
  phone: pattern('\\+[1-9][0-9]{6,14}'),
  'confirm-code': pattern('[0-9]{6}'),
  'link-id': pattern('[0-9]{20}'),
  'resume-token': pattern('[A-Za-z0-9_\\-]{22,128}'),
  'error-code': pattern(`(?=.{1,${LIMITS.errorCodeBytesMax}}$)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+`),
  text: { type: 'text', bytesMin: 0, bytesMax: LIMITS.textBytesMax },
  'push-token': { type: 'text', bytesMin: 1, bytesMax: LIMITS.textBytesMax },
  'https-url': pattern('https://[^]*'),

  device: integer(1, LIMITS.deviceIdMax),
  counter: integer(1),
  'message-id': integer(1, LIMITS.messageIdMax),
  count: integer(0),
  registration: integer(1, LIMITS.registrationIdMax),
  'pre-key-id': integer(0, LIMITS.preKeyIdMax),
  version: integer(1, 1),

  get: words('get'),
  set: words('set'),
  result: words('result'),
  error: words('error'),
  true: words('true'),
  'envelope-type': words('prekey', 'ratchet'),
  'group-envelope-type': words('sender-key'),
  'receipt-type': words('delivered', 'read'),
  'read-receipt': words('read'),
  'presence-state': words('available', 'unavailable'),
  'typing-state': words('composing', 'recording', 'paused'),
  audience: words('everyone', 'contacts', 'nobody'),
  'relation-state': words('accepted', 'blocked', 'none'),
  'listed-state': words('accepted', 'blocked', 'pending'),
  'strangers-policy': words('open', 'ask'),
  'limited-action': growing('message', 'bytes', 'request', 'contact', 'bundle', 'report'),
  'any-platform': words('none', 'web', 'apns', 'fcm'),
  'no-platform': words('none'),
  'web-platform': words('web'),
  'token-platform': words('apns', 'fcm'),

  nonce: bytes(NONCE_BYTES),
  signature: bytes(SIGNATURE_BYTES),
  'login-key': bytes(LOGIN_KEY_BYTES),
  'public-key': bytes(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES, PUBLIC_KEY_TYPE),
  'kem-key': bytes(KEM_KEY_BYTES, KEM_KEY_BYTES, KEM_KEY_TYPE),
  'resume-secret': bytes(RESUME_SECRET_BYTES),
  'media-ticket': bytes(MEDIA_TICKET_BYTES),
  gate: bytes(GATE_BYTES),
  'device-list': bytes(1, LIMITS.deviceListBytesMax),
  evidence: bytes(1, LIMITS.reportBytesMax),
  'p256-point': bytes(65, 65, 4),
  'auth-secret': bytes(16),
  /** Opaque: ciphertexts, sealed envelopes, group changes, rosters. */
  opaque: bytes(1, LIMITS.stanzaBytesMax),
};
