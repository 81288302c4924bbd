/**
 * The protocol as data: every stanza of both sides with its attributes, bounds and content, every request with its answer, and the codes
 * with which each may be refused. START HERE.
 *
 *   language.ts   what such a description consists of
 *   forms.ts      what a value may be
 *   elements.ts   stanzas, and what stands within them
 *   fit.ts        whether a stanza fits: the slow twin of the parsers
 *   page.ts       the same for people: docs/stanzas.md
 *
 * `vectors/schema-v1.json` is this data for other languages. Tests hold it to the parsers, to the catalogues of codes, to docs/protocol.md
 * and to what a real node answers. Neither client nor server imports it.
 */

import { ELEMENTS } from './elements.ts';
import { FORMS } from './forms.ts';
import type { ClientStanza, Request, Schema, ServerStanza, When } from './language.ts';

export type * from './language.ts';
export { fitsForm, misfitOf } from './fit.ts';

function codes(text: string): readonly string[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => `APP_${word}`);
}

const SUBMISSION = 'RATE_LIMITED OVERLOADED OUT_OF_ORDER MESSAGE_TOO_LARGE STORE_FULL UNAVAILABLE';

function quiet(kind: string, element: string): ClientStanza {
  return { kind, element, when: 'after-login', answers: [], codes: [] };
}

function answered(kind: string, when: When, answers: readonly string[], own: string = ''): ClientStanza {
  return { kind, element: kind, when, answers, codes: codes(own) };
}

const CLIENT: readonly ClientStanza[] = [
  answered('auth', 'before-login', ['success', 'failure']),
  answered('resume', 'before-login', ['success', 'failure'], 'BAD_TICKET'),
  answered('iq-get', 'after-login', ['iq-result', 'iq-error']),
  answered('iq-set', 'always', ['iq-result', 'iq-error']),
  answered(
    'message',
    'after-login',
    ['ack', 'error'],
    `${SUBMISSION} UNKNOWN_USER DEVICES_CHANGED INBOX_FULL REQUEST_PENDING NO_OTHER_DEVICE`,
  ),
  answered(
    'group-message',
    'after-login',
    ['group-ack', 'group-error'],
    `${SUBMISSION} UNKNOWN_GROUP NOT_A_MEMBER GROUP_EPOCH`,
  ),
  quiet('inbox-ack', 'inbox-ack'),
  quiet('receipt', 'read-receipt'),
  quiet('group-read', 'group-read'),
  answered('ping', 'always', ['pong']),
  quiet('availability', 'availability'),
  quiet('unsubscribe', 'unsubscribe'),
  quiet('typing', 'outgoing-typing'),
  quiet('group-unsubscribe', 'group-unsubscribe'),
  quiet('group-typing', 'outgoing-group-typing'),
];

type RequestRow = readonly [kind: string, element: string, answer: string, codes?: string];

function requests(type: 'get' | 'set', when: When, rows: readonly RequestRow[]): Request[] {
  return rows.map(([kind, element, answer, own = '']) => {
    return { kind, type, element, when, answer, codes: codes(own) };
  });
}

const REQUESTS: readonly Request[] = [
  ...requests('set', 'before-login', [
    ['register', 'register', 'register-answer', 'VERIFIER_FAILED'],
    ['confirm', 'confirm', 'account', 'BAD_CODE CODE_EXPIRED BAD_KEYS STORE_FULL UNAVAILABLE'],
    ['link-begin', 'link-begin', 'link-begun', 'BAD_KEYS'],
  ]),
  ...requests('get', 'after-login', [
    ['contact', 'contact', 'contact-answer', 'UNKNOWN_USER'],
    ['bundle', 'bundle', 'bundle-answer', 'UNKNOWN_USER NO_OTHER_DEVICE'],
    ['prekey-count', 'prekey-count', 'prekeys'],
    ['receipts', 'receipts', 'receipts-answer', 'UNKNOWN_USER'],
    ['group', 'group', 'group-answer', 'UNKNOWN_GROUP NOT_A_MEMBER'],
    ['group-marks', 'group-marks', 'group-marks-answer', 'UNKNOWN_GROUP NOT_A_MEMBER'],
    ['media-ticket', 'media-ticket', 'media-answer', 'MEDIA_TOO_LARGE MEDIA_QUOTA STORE_FULL'],
    ['link', 'link', 'link-answer', 'UNKNOWN_LINK NOT_PRIMARY TOO_MANY_DEVICES'],
    ['devices', 'devices', 'devices-answer', 'UNKNOWN_USER'],
    ['presence', 'presence-of', 'presence'],
    ['privacy', 'privacy', 'privacy-answer'],
    ['limits', 'limits', 'limits-answer'],
    ['relations', 'relations', 'relations-answer'],
    ['strangers', 'strangers', 'strangers-answer'],
    ['push', 'push', 'push-answer'],
  ]),
  ...requests('set', 'after-login', [
    ['prekey-upload', 'prekey-upload', 'prekeys', 'PREKEYS_FULL BAD_KEYS STORE_FULL UNAVAILABLE'],
    [
      ...(['link-approve', 'link-approve', 'devices-answer'] as const),
      'UNKNOWN_LINK NOT_PRIMARY TOO_MANY_DEVICES DEVICES_CHANGED STORE_FULL UNAVAILABLE',
    ],
    ['unlink', 'unlink', 'devices-answer', 'UNKNOWN_LINK NOT_PRIMARY STORE_FULL UNAVAILABLE'],
    ['publish-list', 'publish-list', 'devices-answer', 'NOT_PRIMARY STORE_FULL UNAVAILABLE'],
    [
      ...(['group-change', 'group-change-request', 'group-answer'] as const),
      'UNKNOWN_GROUP NOT_A_MEMBER GROUP_EPOCH GROUP_FORBIDDEN GROUP_FULL GROUP_BAD_CHANGE STORE_FULL UNAVAILABLE',
    ],
    ['subscribe', 'subscribe', 'presence', 'TOO_MANY_SUBSCRIPTIONS'],
    [
      ...(['group-subscribe', 'group-subscribe', 'group-subscribe'] as const),
      'TOO_MANY_SUBSCRIPTIONS UNKNOWN_GROUP NOT_A_MEMBER',
    ],
    ['privacy-change', 'privacy-change', 'privacy-answer', 'STORE_FULL UNAVAILABLE'],
    ['relation', 'relation', 'relation', 'RELATIONS_FULL STORE_FULL UNAVAILABLE'],
    ['strangers-change', 'strangers-change', 'strangers-answer', 'STORE_FULL UNAVAILABLE'],
    ['report', 'report', 'report-answer', 'UNKNOWN_MESSAGE STORE_FULL UNAVAILABLE'],
    ['notify', 'notify', 'notify'],
    ['push-change', 'push-none', 'push-answer', 'STORE_FULL UNAVAILABLE'],
    ['push-change', 'push-web', 'push-answer', 'BAD_PUSH STORE_FULL UNAVAILABLE'],
    ['push-change', 'push-token', 'push-answer', 'BAD_PUSH STORE_FULL UNAVAILABLE'],
  ]),
];

function said(...kinds: readonly string[]): ServerStanza[] {
  return kinds.map((kind) => ({ kind, element: kind }));
}

const SERVER: readonly ServerStanza[] = [
  ...said('stream', 'success', 'failure', 'offline', 'iq-result', 'iq-error', 'ack'),
  { kind: 'message', element: 'delivery' },
  ...said('receipt', 'error', 'prekeys-low', 'pong', 'gap', 'pruned', 'linked', 'group-ack'),
  { kind: 'group-message', element: 'group-delivery' },
  ...said('group-change', 'group-pruned', 'group-receipts', 'group-error', 'presence', 'typing', 'group-typing'),
];

/** The description of `blindbeam.1`. */
export const SCHEMA: Schema = {
  schema: 1,
  subprotocol: 'blindbeam.1',
  forms: FORMS,
  elements: ELEMENTS,
  client: CLIENT,
  requests: REQUESTS,
  server: SERVER,
  requestCodes: codes('RATE_LIMITED OVERLOADED'),
  loginCodes: codes('BAD_SIGNATURE NONCE_EXPIRED UNKNOWN_DEVICE LOGIN_TIMEOUT BAD_TICKET'),
  closeCodes: {
    4400: [...codes('PROTOCOL'), 'WIRE_TRUNCATED', 'WIRE_TRAILING_BYTES', 'WIRE_BAD_TOKEN', 'WIRE_RESERVED']
      .concat(['WIRE_BAD_NAME', 'WIRE_BAD_TEXT', 'WIRE_BAD_DIGITS', 'WIRE_BAD_INTEGER', 'WIRE_NOT_CANONICAL'])
      .concat(['WIRE_DUPLICATE_ATTRIBUTE', 'WIRE_TEXT_TOO_LONG', 'WIRE_TOO_MANY_ATTRIBUTES'])
      .concat(['WIRE_TOO_MANY_CHILDREN', 'WIRE_TOO_MANY_NODES', 'WIRE_TOO_DEEP', 'WIRE_BAD_STANZA']),
    4401: codes('BAD_SIGNATURE NONCE_EXPIRED UNKNOWN_DEVICE LOGIN_TIMEOUT'),
    4409: codes('REPLACED'),
    4410: codes('UNREGISTERED'),
    4413: ['WIRE_FRAME_TOO_LARGE'],
    4415: codes('TEXT_FRAME'),
    4429: codes('RATE_LIMITED'),
    4503: codes('OVERLOADED RESTARTING DRAINING'),
  },
  lossCodes: codes('EXPIRED PRUNED UNDELIVERABLE RESTORED'),
};

/** What of the schema anybody sends: the element of each stanza, by the side that says it. */
export function elementsOf(side: 'client' | 'server'): readonly string[] {
  return SCHEMA[side].map(({ element }) => element);
}
