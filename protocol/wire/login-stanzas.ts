/**
 * The beginning of a connection, as the server has it: the greeting with its nonce, logged in or refused, and the end of what waited.
 *
 * What a client says to it is in `client-messages.ts`. Same rules as there; a client trusts none of it beyond its form.
 */

import { isDeviceId, isUserId } from './address.ts';
import type { Fields } from './client-messages.ts';
import { isWireError, type WireError } from './errors.ts';
import {
  badField,
  badStanza,
  contentOf,
  isCount,
  isCounter,
  isResumeToken,
  NONCE_BYTES,
  RESUME_SECRET_BYTES,
} from './fields.ts';
import { parseReason } from './reason.ts';
import { attribute, childrenOf, NO_ATTRIBUTES, type AttributeValue, type Stanza } from './stanza.ts';

/** The only version of the protocol so far, as `<stream version/>` says it. */
export const PROTOCOL_VERSION: 1 = 1;

/** The greeting. */
export interface StreamMessage {
  readonly kind: 'stream';
  readonly version: typeof PROTOCOL_VERSION;
  /** Milliseconds since 1970. */
  readonly ts: number;
  /** 32 bytes to be signed at login. */
  readonly nonce: Uint8Array;
}

/** What a device shows at its next login in place of a signature. */
export interface ResumeTicket {
  /** Names the ticket; only the server can read it. */
  readonly token: string;
  /** 32 bytes, to be kept like a key: with them anybody is this device until the ticket expires. */
  readonly secret: Uint8Array;
  /** Seconds from now. */
  readonly expires: number;
}

/** Logged in. */
export interface SuccessMessage {
  readonly kind: 'success';
  readonly user: string;
  readonly device: number;
  readonly ts: number;
  /** One-time pre-keys that the server still holds for the device; missing after a login by ticket, which looks nothing up. */
  readonly preKeys?: number | undefined;
  /** The same of KEM pre-keys, the last-resort one not counted; missing from a server that holds none for anybody. */
  readonly kemPreKeys?: number | undefined;
  /** For the next login; takes the place of an earlier one. */
  readonly ticket?: ResumeTicket | undefined;
}

/** Login refused, or the connection is about to be closed by a server that wants the client back later. */
export interface FailureMessage {
  readonly kind: 'failure';
  readonly code: string;
  /** For a developer, in English. */
  readonly text: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
}

/** The end of what waited in the inbox. */
export interface OfflineMessage {
  readonly kind: 'offline';
}

/** `<stream version="1" ts> nonce </stream>` */
export function streamStanza({ ts, nonce }: Omit<StreamMessage, 'kind' | 'version'>): Stanza {
  return { tag: 'stream', attrs: ['version', PROTOCOL_VERSION, 'ts', ts], content: nonce };
}

/** `<success user device ts [prekeys] [kem]> [<ticket expires token> secret </ticket>] </success>` */
export function successStanza({ user, device, ts, preKeys, kemPreKeys, ticket }: Fields<SuccessMessage>): Stanza {
  const attrs: AttributeValue[] = ['user', user, 'device', device, 'ts', ts];
  if (preKeys !== undefined) attrs.push('prekeys', preKeys);
  if (kemPreKeys !== undefined) attrs.push('kem', kemPreKeys);
  return { tag: 'success', attrs, content: ticket && [ticketStanza(ticket)] };
}

function ticketStanza({ token, secret, expires }: ResumeTicket): Stanza {
  return { tag: 'ticket', attrs: ['expires', expires, 'token', token], content: secret };
}

/** `<failure code text [retry-after]/>` */
export function failureStanza({ code, text, retryAfter }: Fields<FailureMessage>): Stanza {
  const attrs: AttributeValue[] = ['code', code, 'text', text];
  if (retryAfter !== undefined) attrs.push('retry-after', retryAfter);
  return { tag: 'failure', attrs, content: undefined };
}

/** `<offline/>` */
export function offlineStanza(): Stanza {
  return { tag: 'offline', attrs: NO_ATTRIBUTES, content: undefined };
}

/** Reads `<stream>`. The nonce is borrowed from the stanza. */
export function parseStream(stanza: Stanza): StreamMessage | WireError {
  if (attribute(stanza, 'version') !== PROTOCOL_VERSION) return badField('stream', 'version', 'version');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('stream', 'ts', 'count');
  const nonce = contentOf(stanza, NONCE_BYTES);
  if (nonce === undefined) return badField('stream', 'content', 'nonce');
  return { kind: 'stream', version: PROTOCOL_VERSION, ts, nonce };
}

/** Reads `<success>`. The secret of a ticket is borrowed from the stanza. */
export function parseSuccess(stanza: Stanza): SuccessMessage | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('success', 'user', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('success', 'device', 'device');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('success', 'ts', 'count');
  const preKeys = attribute(stanza, 'prekeys');
  if (preKeys !== undefined && !isCount(preKeys)) return badField('success', 'prekeys', 'count');
  const kemPreKeys = attribute(stanza, 'kem');
  if (kemPreKeys !== undefined && !isCount(kemPreKeys)) return badField('success', 'kem', 'count');
  const ticket = stanza.content === undefined ? undefined : parseTicket(stanza);
  if (isWireError(ticket)) return ticket;
  return { kind: 'success', user, device, ts, preKeys, kemPreKeys, ticket };
}

function parseTicket(success: Stanza): ResumeTicket | WireError {
  const children = childrenOf(success);
  const stanza = children[0];
  if (children.length !== 1 || stanza?.tag !== 'ticket') return badStanza('success', 'one <ticket>');
  const expires = attribute(stanza, 'expires');
  if (!isCounter(expires)) return badField('ticket', 'expires', 'counter');
  const token = attribute(stanza, 'token');
  if (!isResumeToken(token)) return badField('ticket', 'token', 'resumeToken');
  const secret = contentOf(stanza, RESUME_SECRET_BYTES);
  return secret === undefined ? badField('ticket', 'content', 'resumeSecret') : { token, secret, expires };
}

/** Reads `<failure>`. */
export function parseFailure(stanza: Stanza): FailureMessage | WireError {
  const reason = parseReason(stanza, 'failure');
  if (isWireError(reason)) return reason;
  if (stanza.content !== undefined) return badField('failure', 'content', 'nothing');
  const retryAfter = attribute(stanza, 'retry-after');
  if (retryAfter !== undefined && !isCount(retryAfter)) return badField('failure', 'retry-after', 'count');
  return { kind: 'failure', code: reason.code, text: reason.text, retryAfter };
}
