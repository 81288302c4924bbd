/**
 * What an `<iq>` carries: the requests of a client and the answers of the server.
 *
 * The elements inside are read and written here; the `<iq>` around them with its id is in `client-messages.ts` and
 * `server-messages.ts`. Which of them are allowed before login is the server's business.
 */

import { isDeviceId, isPhone, isUserId } from './address.ts';
import {
  bundleStanza,
  parseBundle,
  parsePreKeysAnswer,
  parsePreKeyUpload,
  uploadStanzas,
  type BundleAnswer,
  type BundleRequest,
  type PreKeyCountRequest,
  type PreKeysAnswer,
  type PreKeyUploadRequest,
} from './bundle-stanzas.ts';
import * as devices from './device-stanzas.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isConfirmCode, isCount, isCounter, MEDIA_TICKET_BYTES } from './fields.ts';
import * as groups from './group-stanzas.ts';
import * as groupTyping from './group-typing.ts';
import * as keys from './key-material.ts';
import { gapStanzas, parseGaps, type Gap } from './gaps.ts';
import * as presence from './presence.ts';
import type { PresenceMessage, PresenceRequest, PrivacyAnswer } from './presence.ts';
import type { PrivacyChange, PrivacyRequest, SubscribeRequest } from './presence.ts';
import {
  isProtectionAnswer,
  parseProtectionAnswer,
  parseProtectionGet,
  parseProtectionSet,
  protectionAnswerStanza,
  protectionGetStanza,
  protectionSetStanza,
} from './protection.ts';
import type { ProtectionAnswer, ProtectionGet, ProtectionSet } from './protection.ts';
import { attribute, NO_ATTRIBUTES, type Stanza } from './stanza.ts';

/** Which account has this phone number? */
export interface ContactRequest {
  readonly kind: 'contact';
  readonly phone: string;
}

/** How far is the conversation from this device to that user? */
export interface ReceiptsRequest {
  readonly kind: 'receipts';
  readonly to: string;
}

/** A ticket to upload a medium of this many bytes of ciphertext over HTTP. */
export interface MediaTicketRequest {
  readonly kind: 'media-ticket';
  readonly bytes: number;
}

/** Send a code to this phone number. */
export interface RegisterRequest {
  readonly kind: 'register';
  readonly phone: string;
}

/** The code came; here are the keys of the new device. */
export interface ConfirmRequest extends devices.DeviceKeys {
  readonly kind: 'confirm';
  readonly phone: string;
  /** 6 digits, as text. */
  readonly code: string;
}

/** Requests of an `<iq type="get">`. */
export type GetRequest =
  | ContactRequest
  | BundleRequest
  | PreKeyCountRequest
  | ReceiptsRequest
  | MediaTicketRequest
  | devices.LinkRequest
  | devices.DevicesRequest
  | groups.GroupRequest
  | groups.GroupMarksRequest
  | PresenceRequest
  | PrivacyRequest
  | ProtectionGet;

/** Requests of an `<iq type="set">`. */
export type SetRequest =
  | RegisterRequest
  | ConfirmRequest
  | PreKeyUploadRequest
  | devices.LinkBeginRequest
  | devices.LinkApproveRequest
  | devices.UnlinkRequest
  | devices.PublishListRequest
  | groups.GroupChangeRequest
  | SubscribeRequest
  | groupTyping.GroupSubscribeRequest
  | PrivacyChange
  | ProtectionSet;

/** A code went out; it is valid for `expires` seconds. */
export interface RegisterAnswer {
  readonly kind: 'register';
  readonly expires: number;
}

/** The account that the registered device belongs to. */
export interface AccountAnswer {
  readonly kind: 'account';
  readonly user: string;
  readonly device: number;
}

/** The account of a phone number. */
export interface ContactAnswer {
  readonly kind: 'contact';
  readonly phone: string;
  readonly user: string;
}

/** The highest message id accepted and the highest delivered; 0 for none. */
export interface ReceiptsAnswer {
  readonly kind: 'receipts';
  readonly to: string;
  readonly sent: number;
  readonly delivered: number;
  /** Of the delivered ones and below, those that are lost; missing when there are none, or the client knows no gaps. */
  readonly gaps?: readonly Gap[];
}

/** What an upload is begun and continued with; opaque. */
export interface MediaTicketAnswer {
  readonly kind: 'media-ticket';
  /** 64 bytes. */
  readonly ticket: Uint8Array;
  /** Seconds for which it is good. */
  readonly expires: number;
}

/** Answers of an `<iq type="result">`. */
export type Answer =
  | RegisterAnswer
  | AccountAnswer
  | ContactAnswer
  | BundleAnswer
  | PreKeysAnswer
  | ReceiptsAnswer
  | MediaTicketAnswer
  | devices.LinkBegunAnswer
  | devices.LinkAnswer
  | devices.DevicesAnswer
  | groups.GroupAnswer
  | groups.GroupMarksAnswer
  | groupTyping.GroupSubscribeAnswer
  | PresenceMessage
  | PrivacyAnswer
  | ProtectionAnswer;

/** The element of a get request. */
export function getRequestStanza(request: GetRequest): Stanza {
  switch (request.kind) {
    case 'contact':
      return element('contact', ['phone', request.phone]);
    case 'bundle':
      return element('bundle', ['user', request.user, ...(request.withList === true ? ['list', 'true'] : [])]);
    case 'prekey-count':
      return element('prekeys', NO_ATTRIBUTES);
    case 'receipts':
      return element('receipts', ['to', request.to]);
    case 'media-ticket':
      return element('media', ['size', request.bytes]);
    case 'link':
      return devices.linkRequestStanza(request);
    case 'devices':
      return devices.devicesRequestStanza(request);
    case 'group':
      return groups.groupRequestStanza(request);
    case 'group-marks':
      return groups.groupMarksRequestStanza(request);
    case 'presence':
      return element('presence', ['user', request.user]);
    case 'privacy':
      return element('privacy', NO_ATTRIBUTES);
    default:
      return protectionGetStanza(request);
  }
}

/** The element of a set request. */
export function setRequestStanza(request: SetRequest): Stanza {
  switch (request.kind) {
    case 'register':
      return element('register', ['phone', request.phone]);
    case 'confirm':
      return confirmStanza(request);
    case 'prekey-upload':
      return element('prekeys', NO_ATTRIBUTES, uploadStanzas(request));
    case 'link-begin':
      return devices.linkBeginStanza(request);
    case 'link-approve':
      return devices.linkApproveStanza(request);
    case 'unlink':
      return devices.unlinkStanza(request);
    case 'publish-list':
      return devices.publishListStanza(request);
    case 'group-change':
      return groups.groupChangeRequestStanza(request);
    case 'subscribe':
      return element('subscribe', ['to', request.to]);
    case 'group-subscribe':
      return groupTyping.groupSubscribeStanza(request);
    case 'privacy-change':
      return presence.privacyStanza(request);
    default:
      return protectionSetStanza(request);
  }
}

/** The element of an answer. */
export function answerStanza(answer: Answer): Stanza {
  switch (answer.kind) {
    case 'register':
      return element('register', ['expires', answer.expires]);
    case 'account':
      return element('account', ['user', answer.user, 'device', answer.device]);
    case 'contact':
      return element('contact', ['phone', answer.phone, 'user', answer.user]);
    case 'bundle':
      return bundleStanza(answer);
    case 'prekeys':
      return element('prekeys', ['count', answer.count, ...(answer.kem === undefined ? [] : ['kem', answer.kem])]);
    case 'receipts':
      return receiptsStanza(answer);
    case 'media-ticket':
      return { tag: 'media', attrs: ['expires', answer.expires], content: answer.ticket };
    case 'link-begun':
      return devices.linkBegunStanza(answer);
    case 'link':
      return devices.linkAnswerStanza(answer);
    case 'devices':
      return devices.devicesAnswerStanza(answer);
    case 'group':
      return groups.groupAnswerStanza(answer);
    case 'group-marks':
      return groups.groupMarksAnswerStanza(answer);
    case 'group-subscribe':
      return groupTyping.groupSubscribeStanza(answer);
    case 'presence':
      return presence.presenceStanza(answer);
    case 'privacy':
      return presence.privacyStanza(answer);
    default:
      return protectionAnswerStanza(answer);
  }
}

function receiptsStanza({ to, sent, delivered, gaps }: ReceiptsAnswer): Stanza {
  return element('receipts', ['to', to, 'sent', sent, 'delivered', delivered], gaps && gapStanzas(gaps));
}

function element(tag: string, attrs: readonly (string | number)[], content?: readonly Stanza[]): Stanza {
  return { tag, attrs, content };
}

function confirmStanza(request: ConfirmRequest): Stanza {
  const { phone, code, registration } = request;
  const attrs = ['phone', phone, 'code', code, 'registration', registration];
  return element('confirm', attrs, devices.deviceKeyStanzas(request));
}

/** Reads the element of an `<iq type="get">`. */
export function parseGetRequest(stanza: Stanza): GetRequest | WireError {
  if (stanza.tag === 'group') return groups.parseGroupRequest(stanza);
  if (stanza.content !== undefined) return badStanza('iq', 'a request without content');
  switch (stanza.tag) {
    case 'contact': {
      const phone = attribute(stanza, 'phone');
      return isPhone(phone) ? { kind: 'contact', phone } : badField('contact', 'phone', 'phone');
    }
    case 'bundle': {
      const user = attribute(stanza, 'user');
      if (!isUserId(user)) return badField('bundle', 'user', 'user');
      const list = attribute(stanza, 'list');
      if (list !== undefined && list !== 'true') return badField('bundle', 'list', 'flag');
      return list === undefined ? { kind: 'bundle', user } : { kind: 'bundle', user, withList: true };
    }
    case 'prekeys':
      return { kind: 'prekey-count' };
    case 'receipts': {
      if (groups.isOfGroup(stanza)) return groups.parseGroupMarksRequest(stanza);
      const to = attribute(stanza, 'to');
      return isUserId(to) ? { kind: 'receipts', to } : badField('receipts', 'to', 'user');
    }
    case 'media': {
      const bytes = attribute(stanza, 'size');
      return isCounter(bytes) ? { kind: 'media-ticket', bytes } : badField('media', 'size', 'counter');
    }
    case 'link':
      return devices.parseLinkRequest(stanza);
    case 'devices':
      return devices.parseDevicesRequest(stanza);
    case 'presence':
      return presence.parsePresenceRequest(stanza);
    case 'privacy':
      return { kind: 'privacy' };
    default:
      return parseProtectionGet(stanza);
  }
}

/** Reads the element of an `<iq type="set">`. Keys are borrowed from the stanza. */
export function parseSetRequest(stanza: Stanza): SetRequest | WireError {
  switch (stanza.tag) {
    case 'register':
      return parseRegister(stanza);
    case 'confirm':
      return parseConfirm(stanza);
    case 'prekeys':
      return parsePreKeyUpload(stanza);
    case 'link-begin':
      return devices.parseLinkBegin(stanza);
    case 'link-approve':
      return devices.parseLinkApprove(stanza);
    case 'unlink':
      return devices.parseUnlink(stanza);
    case 'devices':
      return devices.parsePublishList(stanza);
    case 'group-change':
      return groups.parseGroupChangeRequest(stanza);
    case 'subscribe':
      return groups.isOfGroup(stanza) ? groupTyping.parseGroupSubscribe(stanza) : presence.parseSubscribe(stanza);
    case 'privacy': {
      const settings = presence.parsePrivacy(stanza);
      return isWireError(settings) ? settings : { kind: 'privacy-change', ...settings };
    }
    default:
      return parseProtectionSet(stanza);
  }
}

function parseRegister(stanza: Stanza): RegisterRequest | WireError {
  const phone = attribute(stanza, 'phone');
  if (!isPhone(phone)) return badField('register', 'phone', 'phone');
  return stanza.content === undefined ? { kind: 'register', phone } : badField('register', 'content', 'nothing');
}

function parseConfirm(stanza: Stanza): ConfirmRequest | WireError {
  const phone = attribute(stanza, 'phone');
  if (!isPhone(phone)) return badField('confirm', 'phone', 'phone');
  const code = attribute(stanza, 'code');
  if (!isConfirmCode(code)) return badField('confirm', 'code', 'confirmCode');
  const device = devices.parseDeviceKeys(stanza);
  return isWireError(device) ? device : { kind: 'confirm', phone, code, ...device };
}

/** Reads the element of an `<iq type="result">`. Keys are borrowed from the stanza. */
export function parseAnswer(stanza: Stanza): Answer | WireError {
  if (stanza.tag === 'bundle') return parseBundle(stanza);
  if (stanza.tag === 'media') return parseMediaTicket(stanza);
  if (stanza.tag === 'link') return devices.parseLinkAnswer(stanza);
  if (stanza.tag === 'devices') return devices.parseDevicesAnswer(stanza);
  if (stanza.tag === 'group') return groups.parseGroupAnswer(stanza);
  if (stanza.tag === 'receipts' && groups.isOfGroup(stanza)) return groups.parseGroupMarksAnswer(stanza);
  if (stanza.tag === 'receipts') return parseReceipts(stanza);
  if (stanza.tag === 'privacy') {
    const settings = presence.parsePrivacy(stanza);
    return isWireError(settings) ? settings : { kind: 'privacy', ...settings };
  }
  if (isProtectionAnswer(stanza.tag)) return parseProtectionAnswer(stanza);
  if (stanza.content !== undefined) return badStanza('iq', 'an answer without content');
  switch (stanza.tag) {
    case 'register':
      return parseRegisterAnswer(stanza);
    case 'account':
      return parseAccount(stanza);
    case 'contact':
      return parseContactAnswer(stanza);
    case 'prekeys':
      return parsePreKeysAnswer(stanza);
    case 'subscribe':
      return groupTyping.parseGroupSubscribe(stanza);
    case 'presence':
      return presence.parsePresence(stanza);
    default:
      return badStanza('iq', 'an answer of the protocol');
  }
}

function parseRegisterAnswer(stanza: Stanza): RegisterAnswer | WireError {
  const expires = attribute(stanza, 'expires');
  return isCounter(expires) ? { kind: 'register', expires } : badField('register', 'expires', 'counter');
}

function parseAccount(stanza: Stanza): AccountAnswer | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('account', 'user', 'user');
  const device = attribute(stanza, 'device');
  return isDeviceId(device) ? { kind: 'account', user, device } : badField('account', 'device', 'device');
}

function parseContactAnswer(stanza: Stanza): ContactAnswer | WireError {
  const phone = attribute(stanza, 'phone');
  if (!isPhone(phone)) return badField('contact', 'phone', 'phone');
  const user = attribute(stanza, 'user');
  return isUserId(user) ? { kind: 'contact', phone, user } : badField('contact', 'user', 'user');
}

function parseReceipts(stanza: Stanza): ReceiptsAnswer | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('receipts', 'to', 'user');
  const sent = attribute(stanza, 'sent');
  if (!isCount(sent)) return badField('receipts', 'sent', 'count');
  const delivered = attribute(stanza, 'delivered');
  if (!isCount(delivered)) return badField('receipts', 'delivered', 'count');
  if (stanza.content === undefined) return { kind: 'receipts', to, sent, delivered };
  const gaps = parseGaps(stanza);
  return isWireError(gaps) ? gaps : { kind: 'receipts', to, sent, delivered, gaps };
}

function parseMediaTicket(stanza: Stanza): MediaTicketAnswer | WireError {
  const expires = attribute(stanza, 'expires');
  if (!isCounter(expires)) return badField('media', 'expires', 'counter');
  const ticket = keys.bytesIn(stanza, 'media', MEDIA_TICKET_BYTES);
  return ticket === undefined ? badField('media', 'content', 'ticket') : { kind: 'media-ticket', ticket, expires };
}
