/**
 * Every element of the protocol: what clients say, what the server says, what stands in an `<iq>`, and what stands within those.
 *
 * Keys are the kinds of the typed layer where there is one (`messages.ts`); inner elements are named by what they are. The order of
 * fields is the one in which this implementation writes them; to a reader it means nothing.
 */

import { LIMITS } from '../limits.ts';
import type { Element, ElementContent, Field, Part } from './language.ts';

/** `name:form`, or `name?:form` where it may be missing. */
function fields(text: string): Field[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const [name, form] = word.split(':') as [string, string];
      return name.endsWith('?') ? { name: name.slice(0, -1), form, optional: true } : { name, form };
    });
}

const NOTHING: ElementContent = { kind: 'nothing' };

function bytes(form: string): ElementContent {
  return { kind: 'bytes', form };
}

function maybeBytes(form: string): ElementContent {
  return { kind: 'bytes', form, optional: true };
}

function children(...parts: readonly Part[]): ElementContent {
  return { kind: 'children', parts, min: parts.reduce((sum, { min }) => sum + min, 0) };
}

function one(...of: readonly string[]): Part {
  return { of, min: 1, max: 1 };
}

function maybe(...of: readonly string[]): Part {
  return { of, min: 0, max: 1 };
}

function some(name: string, min: number, max: number, distinct?: string): Part {
  return distinct === undefined ? { of: [name], min, max } : { of: [name], min, max, distinct };
}

type More = Pick<Element, 'without' | 'ordered'>;

function element(tag: string, attributes: string, content: ElementContent = NOTHING, more: More = {}): Element {
  return { tag, fields: fields(attributes), content, ...more };
}

/** Keys of the requests, of both types; the index of `requests.ts` has the rest of them. */
const GET = ['contact', 'bundle', 'prekey-count', 'receipts', 'group', 'group-marks', 'media-ticket', 'link'];
const GET_REST = ['devices', 'presence-of', 'privacy', 'limits', 'relations', 'strangers', 'push'];
const SET = ['register', 'confirm', 'prekey-upload', 'link-begin', 'link-approve', 'unlink', 'publish-list'];
const SET_GROUPS = ['group-change-request', 'subscribe', 'privacy-change', 'relation', 'strangers-change', 'report'];
const SET_REST = ['group-subscribe', 'notify', 'push-none', 'push-web', 'push-token'];
const ANSWERS = ['register-answer', 'account', 'contact-answer', 'bundle-answer', 'prekeys', 'receipts-answer'];
const ANSWERS_DEVICES = ['media-answer', 'link-begun', 'link-answer', 'devices-answer', 'group-answer'];
const ANSWERS_OF_PEOPLE = ['group-marks-answer', 'presence', 'privacy-answer', 'limits-answer', 'relation'];
const ANSWERS_REST = [
  'group-subscribe',
  'relations-answer',
  'strangers-answer',
  'report-answer',
  'notify',
  'push-answer',
];

const ONE_TIME_KEYS = some('onetime', 0, LIMITS.oneTimeKeysMax, 'id');
const DEVICE_KEYS = children(...[one('login'), one('identity'), one('signed'), maybe('last-resort')], ONE_TIME_KEYS);

/** Within others. */
const INNER = {
  enc: element('enc', 'device:device type:envelope-type', bytes('opaque')),
  'enc-of-group': element('enc', 'type:group-envelope-type', bytes('opaque')),
  'enc-for-me': element('enc', 'type:envelope-type', bytes('opaque')),
  login: element('login', '', bytes('login-key')),
  identity: element('identity', '', bytes('public-key')),
  key: element('key', '', bytes('public-key')),
  'kem-key': element('key', '', bytes('kem-key')),
  signature: element('signature', '', bytes('signature')),
  signed: element('signed', 'id:pre-key-id', children(one('key'), one('signature'))),
  onetime: element('onetime', 'id:pre-key-id', bytes('public-key')),
  kem: element('kem', 'id:pre-key-id', children(one('kem-key'), one('signature'))),
  'last-resort': element('last-resort', 'id:pre-key-id', children(one('kem-key'), one('signature'))),
  list: element('list', '', bytes('device-list')),
  envelope: element('envelope', '', bytes('opaque')),
  'device-id': element('device', 'id:device'),
  'device-bundle': element(
    'device',
    'id:device registration:registration',
    children(one('identity'), one('signed'), maybe('onetime'), maybe('kem', 'last-resort')),
  ),
  member: element('member', 'user:user order:counter'),
  roster: element('roster', '', bytes('opaque')),
  'change-in-answer': element('group-change', '', bytes('opaque')),
  'gap-in-answer': element('gap', 'since:counter until:counter code:error-code', NOTHING, {
    ordered: ['since', 'until'],
  }),
  add: element('add', 'user:user'),
  remove: element('remove', 'user:user'),
  limit: element('limit', 'action:limited-action left:count max:count full:count retry-after?:count'),
  'listed-relation': element('relation', 'user:user state:listed-state count?:count'),
  web: element('web', 'url:https-url'),
  'push-key': element('key', '', bytes('p256-point')),
  'push-secret': element('token', '', bytes('auth-secret')),
  ticket: element('ticket', 'expires:counter token:resume-token', bytes('resume-secret')),
  refusal: element('error', 'code:error-code text:text retry-after?:count epoch?:counter'),
} as const;

const PRIVACY: ElementContent = {
  ...children(some('add', 0, LIMITS.privacyUsersMax), some('remove', 0, LIMITS.privacyUsersMax)),
  distinct: 'user',
} as ElementContent;

/** In an `<iq>` of a client. */
const REQUESTS = {
  contact: element('contact', 'phone:phone'),
  bundle: element('bundle', 'user:user list?:true'),
  'prekey-count': element('prekeys', ''),
  receipts: element('receipts', 'to:user', NOTHING, { without: 'group' }),
  group: element('group', 'group:group after?:count', maybeBytes('gate')),
  'group-marks': element('receipts', 'group:group after?:user'),
  'media-ticket': element('media', 'size:counter'),
  link: element('link', 'id:link-id'),
  devices: element('devices', 'user:user'),
  'presence-of': element('presence', 'user:user'),
  privacy: element('privacy', ''),
  limits: element('limits', ''),
  relations: element('relations', 'after?:user'),
  strangers: element('strangers', ''),
  push: element('push', ''),
  register: element('register', 'phone:phone'),
  confirm: element('confirm', 'phone:phone code:confirm-code registration:registration', DEVICE_KEYS),
  'prekey-upload': element('prekeys', '', {
    kind: 'children',
    parts: [maybe('signed'), maybe('last-resort'), ONE_TIME_KEYS, some('kem', 0, LIMITS.kemKeysMax, 'id')],
    min: 1,
  }),
  'link-begin': element('link-begin', 'registration:registration', DEVICE_KEYS),
  'link-approve': element('link-approve', 'id:link-id device:device', children(one('list'), one('envelope'))),
  unlink: element('unlink', 'device:device', children(one('list'))),
  'publish-list': element('devices', '', children(one('list'))),
  'group-change-request': element('group-change', 'group:group', bytes('opaque')),
  subscribe: element('subscribe', 'to:user', NOTHING, { without: 'group' }),
  'group-subscribe': element('subscribe', 'group:group'),
  'privacy-change': element('privacy', 'last-seen:audience', PRIVACY),
  relation: element('relation', 'user:user state:relation-state'),
  'strangers-change': element('strangers', 'policy:strangers-policy'),
  report: element('report', 'user:user device:device id:counter', maybeBytes('evidence')),
  notify: element('notify', 'prekeys:count kem:count'),
  'push-none': element('push', 'platform:no-platform'),
  'push-web': element('push', 'platform:web-platform', children(one('web'), one('push-key'), one('push-secret'))),
  'push-token': element('push', 'platform:token-platform token:push-token'),
} as const;

/** In an `<iq>` of the server. Some stand in those of clients as well: `relation`, `notify`. */
const ANSWER_ELEMENTS = {
  'register-answer': element('register', 'expires:counter'),
  account: element('account', 'user:user device:device'),
  'contact-answer': element('contact', 'phone:phone user:user'),
  'bundle-answer': element(
    'bundle',
    'user:user',
    children(some('device-bundle', 1, LIMITS.bundleDevicesMax, 'id'), maybe('list')),
  ),
  prekeys: element('prekeys', 'count:count kem?:count'),
  'receipts-answer': element(
    'receipts',
    'to:user sent:count delivered:count',
    children(some('gap-in-answer', 0, LIMITS.gapsMax)),
    { without: 'group' },
  ),
  'media-answer': element('media', 'expires:counter', bytes('media-ticket')),
  'link-begun': element('link', 'id:link-id expires:counter'),
  'link-answer': element('link', 'id:link-id device:device registration:registration', children(one('identity'))),
  'devices-answer': element(
    'devices',
    'user:user',
    children(some('device-id', 1, LIMITS.devicesMax, 'id'), maybe('list')),
  ),
  'group-answer': element(
    'group',
    'group:group epoch:counter order:counter',
    children(maybe('roster'), some('change-in-answer', 0, LIMITS.childrenMax)),
  ),
  'group-marks-answer': element(
    'receipts',
    'group:group more?:true',
    children(some('member', 0, LIMITS.groupMarksMax, 'user')),
  ),
  presence: element('presence', 'from:user state:presence-state last-seen?:count'),
  'privacy-answer': element('privacy', 'last-seen:audience', PRIVACY),
  'limits-answer': element('limits', '', children(some('limit', 1, LIMITS.childrenMax))),
  'relations-answer': element('relations', 'next?:user', children(some('listed-relation', 0, LIMITS.relationsPageMax))),
  'strangers-answer': element('strangers', 'policy:strangers-policy'),
  'report-answer': element('report', 'user:user'),
  'push-answer': element('push', 'platform:any-platform', maybeBytes('p256-point')),
} as const;

/** What a client says. */
const CLIENT = {
  auth: element('auth', 'user:user device:device features?:count', bytes('signature'), { without: 'ticket' }),
  resume: element('auth', 'user:user device:device ticket:resume-token features?:count', bytes('resume-secret')),
  'iq-get': element('iq', 'type:get id:counter', children(one(...GET, ...GET_REST))),
  'iq-set': element('iq', 'type:set id:counter', children(one(...SET, ...SET_GROUPS, ...SET_REST))),
  message: element('message', 'to:user id:message-id', children(some('enc', 1, LIMITS.devicesMax, 'device'))),
  'group-message': element('message', 'group:group id:message-id epoch:counter', children(one('enc-of-group')), {
    without: 'to',
  }),
  'inbox-ack': element('ack', 'seq:counter'),
  'read-receipt': element('receipt', 'type:read-receipt to:user device:device id:counter', NOTHING, {
    without: 'group',
  }),
  'group-read': element('receipt', 'type:read-receipt group:group order:counter'),
  ping: element('ping', 'id:counter'),
  availability: element('presence', 'state:presence-state'),
  unsubscribe: element('unsubscribe', 'to:user', NOTHING, { without: 'group' }),
  'group-unsubscribe': element('unsubscribe', 'group:group'),
  'outgoing-typing': element('typing', 'to:user state:typing-state', NOTHING, { without: 'group' }),
  'outgoing-group-typing': element('typing', 'group:group state:typing-state'),
} as const;

const PLACE = 'group:group order:counter ts:count seq:counter after?:count';
const SPAN: More = { ordered: ['since', 'until'] };
const OF_USER: More = { without: 'group' };

/** What the server says. */
const SERVER = {
  stream: element('stream', 'version:version ts:count', bytes('nonce')),
  success: element('success', 'user:user device:device ts:count prekeys?:count kem?:count', children(maybe('ticket'))),
  failure: element('failure', 'code:error-code text:text retry-after?:count'),
  offline: element('offline', ''),
  'iq-result': element(
    'iq',
    'type:result id:counter',
    children(one(...ANSWERS, ...ANSWERS_DEVICES, ...ANSWERS_OF_PEOPLE, ...ANSWERS_REST)),
  ),
  'iq-error': element('iq', 'type:error id:counter', children(one('refusal'))),
  ack: element('ack', 'to:user id:counter ts:count', NOTHING, OF_USER),
  delivery: element(
    'message',
    'from:user device:device id:counter seq:counter ts:count after?:count',
    children(one('enc-for-me')),
    OF_USER,
  ),
  receipt: element('receipt', 'type:receipt-type from:user id:counter ts:count', NOTHING, OF_USER),
  error: element(
    'error',
    'to:user id:counter code:error-code text:text retry-after?:count expected?:counter',
    children(some('device-id', 0, LIMITS.devicesMax, 'id')),
    OF_USER,
  ),
  'prekeys-low': element('prekeys', 'count:count kem?:count'),
  pong: element('pong', 'id:counter'),
  gap: element('gap', 'to:user since:counter until:counter ts:count code:error-code', NOTHING, SPAN),
  pruned: element(
    'pruned',
    'from:user device:device since:counter until:counter seq:counter ts:count code:error-code',
    NOTHING,
    { without: 'group', ordered: ['since', 'until'] },
  ),
  linked: element('linked', 'user:user device:device', bytes('opaque')),
  'group-ack': element('ack', 'group:group id:counter order:counter ts:count'),
  'group-delivery': element(
    'message',
    `group:group from:user device:device id:counter order:counter ts:count seq:counter after?:count`,
    children(one('enc-of-group')),
  ),
  'group-change': element('group-change', PLACE, bytes('opaque')),
  'group-pruned': element(
    'pruned',
    'group:group since:counter until:counter seq:counter ts:count code:error-code',
    NOTHING,
    SPAN,
  ),
  'group-receipts': element(
    'receipt',
    'type:receipt-type group:group ts:count',
    children(some('member', 1, LIMITS.groupMarksMax, 'user')),
  ),
  'group-error': element(
    'error',
    'group:group id:counter code:error-code text:text retry-after?:count expected?:counter epoch?:counter',
  ),
  typing: element('typing', 'from:user state:typing-state', NOTHING, OF_USER),
  'group-typing': element('typing', 'group:group user:user state:typing-state'),
} as const;

export const ELEMENTS: Readonly<Record<string, Element>> = {
  ...CLIENT,
  ...SERVER,
  ...REQUESTS,
  ...ANSWER_ELEMENTS,
  ...INNER,
};
