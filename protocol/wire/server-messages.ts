/**
 * What the server says: typed messages, their stanzas, and the parser that a client runs on them.
 *
 * Same rules as `client-messages.ts`: every field's form is checked, unknown attributes are ignored, unknown tags and
 * values refused. A client trusts none of it beyond its form. The vocabulary is docs/protocol.md.
 */

import { isDeviceId, isUserId } from './address.ts';
import { ciphertextOf, isEnvelopeType, type EnvelopeType, type Fields } from './client-messages.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCount, isCounter } from './fields.ts';
import { gapStanza, parseGapMessage, parsePruned, prunedStanza, type GapMessage, type PrunedMessage } from './gaps.ts';
import * as devices from './device-stanzas.ts';
import {
  failureStanza,
  offlineStanza,
  parseFailure,
  parseStream,
  parseSuccess,
  streamStanza,
  successStanza,
  type FailureMessage,
  type OfflineMessage,
  type StreamMessage,
  type SuccessMessage,
} from './login-stanzas.ts';
import { parseReason } from './reason.ts';
import * as groups from './group-stanzas.ts';
import * as groupTyping from './group-typing.ts';
import { LIMITS } from './limits.ts';
import * as presence from './presence.ts';
import type { IncomingTyping, PresenceMessage } from './presence.ts';
import { answerStanza, parseAnswer, type Answer } from './requests.ts';
import { attribute, childrenOf, type AttributeValue, type Stanza } from './stanza.ts';

/** A request's answer. */
export interface IqResultMessage {
  readonly kind: 'iq-result';
  readonly id: number;
  readonly answer: Answer;
}

/** A request refused. */
export interface IqErrorMessage {
  readonly kind: 'iq-error';
  readonly id: number;
  readonly code: string;
  readonly text: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** The epoch of the group, with APP_GROUP_EPOCH. */
  readonly epoch?: number | undefined;
}

/** All messages to that user up to `id` are on disk: the first check mark. */
export interface AckMessage {
  readonly kind: 'ack';
  readonly to: string;
  readonly id: number;
  readonly ts: number;
}

/** A message for this device. */
export interface IncomingMessage {
  readonly kind: 'message';
  readonly from: string;
  /** The sender's device. */
  readonly device: number;
  readonly id: number;
  /** Position in this device's inbox. */
  readonly seq: number;
  readonly ts: number;
  readonly type: EnvelopeType;
  readonly ciphertext: Uint8Array;
  /** Set on a message that comes ahead of its turn: the position up to which the inbox has been gone through in order. */
  readonly after?: number | undefined;
}

/** What became of a message: a device has it, or a person has seen it. */
export type ReceiptType = 'delivered' | 'read';

/** All messages to that user up to `id` are delivered, or read. */
export interface ReceiptMessage {
  readonly kind: 'receipt';
  readonly type: ReceiptType;
  readonly from: string;
  readonly id: number;
  readonly ts: number;
}

/** A message refused; nothing of it was stored. */
export interface ErrorMessage {
  readonly kind: 'error';
  readonly to: string;
  readonly id: number;
  readonly code: string;
  readonly text: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** The id that the server expects next, with APP_OUT_OF_ORDER. */
  readonly expected?: number | undefined;
  /** The right device ids, with APP_DEVICES_CHANGED: 1 to 127, distinct. */
  readonly devices?: readonly number[] | undefined;
}

/** Fewer pre-keys of this device are left than it asked to be told of: `<notify>`. */
export interface PreKeysLowMessage {
  readonly kind: 'prekeys-low';
  readonly preKeys: number;
  readonly kemPreKeys?: number | undefined;
}

/** The connection is alive. */
export interface PongMessage {
  readonly kind: 'pong';
  readonly id: number;
}

/** Everything that the server says. */
export type ServerMessage =
  | StreamMessage
  | SuccessMessage
  | FailureMessage
  | OfflineMessage
  | IqResultMessage
  | IqErrorMessage
  | AckMessage
  | IncomingMessage
  | ReceiptMessage
  | ErrorMessage
  | PreKeysLowMessage
  | PongMessage
  | GapMessage
  | PrunedMessage
  | devices.LinkedMessage
  | groups.GroupAckMessage
  | groups.IncomingGroupMessage
  | groups.IncomingGroupChange
  | groups.GroupPrunedMessage
  | groups.GroupReceiptsMessage
  | groups.GroupErrorMessage
  | PresenceMessage
  | IncomingTyping
  | groupTyping.IncomingGroupTyping;

/** `<iq type="result" id> answer </iq>` */
export function iqResultStanza({ id, answer }: Fields<IqResultMessage>): Stanza {
  return { tag: 'iq', attrs: ['type', 'result', 'id', id], content: [answerStanza(answer)] };
}

/** `<iq type="error" id> <error code text [retry-after] [epoch]/> </iq>` */
export function iqErrorStanza({ id, code, text, retryAfter, epoch }: Fields<IqErrorMessage>): Stanza {
  const attrs: AttributeValue[] = ['code', code, 'text', text];
  if (retryAfter !== undefined) attrs.push('retry-after', retryAfter);
  if (epoch !== undefined) attrs.push('epoch', epoch);
  const error: Stanza = { tag: 'error', attrs, content: undefined };
  return { tag: 'iq', attrs: ['type', 'error', 'id', id], content: [error] };
}

/** `<ack to id ts/>` */
export function ackStanza({ to, id, ts }: Fields<AckMessage>): Stanza {
  return { tag: 'ack', attrs: ['to', to, 'id', id, 'ts', ts], content: undefined };
}

/** `<message from device id seq ts [after]> <enc type> ciphertext </enc> </message>` */
export function deliveryStanza(message: Fields<IncomingMessage>): Stanza {
  const { from, device, id, seq, ts, type, ciphertext, after } = message;
  const attrs = ['from', from, 'device', device, 'id', id, 'seq', seq, 'ts', ts];
  if (after !== undefined) attrs.push('after', after);
  return {
    tag: 'message',
    attrs,
    content: [{ tag: 'enc', attrs: ['type', type], content: ciphertext }],
  };
}

/** `<receipt type from id ts/>` */
export function receiptStanza({ type, from, id, ts }: Fields<ReceiptMessage>): Stanza {
  return { tag: 'receipt', attrs: ['type', type, 'from', from, 'id', id, 'ts', ts], content: undefined };
}

/** `<error to id code text [retry-after] [expected]> [<device id/> …] </error>` */
export function errorStanza(message: Fields<ErrorMessage>): Stanza {
  const { to, id, code, text, retryAfter, expected, devices } = message;
  const attrs: AttributeValue[] = ['to', to, 'id', id, 'code', code, 'text', text];
  if (retryAfter !== undefined) attrs.push('retry-after', retryAfter);
  if (expected !== undefined) attrs.push('expected', expected);
  return { tag: 'error', attrs, content: devices?.map(deviceIdStanza) };
}

function deviceIdStanza(id: number): Stanza {
  return { tag: 'device', attrs: ['id', id], content: undefined };
}

/** `<prekeys count [kem]/>` */
export function preKeysLowStanza({ preKeys, kemPreKeys }: Fields<PreKeysLowMessage>): Stanza {
  const attrs = kemPreKeys === undefined ? ['count', preKeys] : ['count', preKeys, 'kem', kemPreKeys];
  return { tag: 'prekeys', attrs, content: undefined };
}

/** `<pong id/>` */
export function pongStanza({ id }: Fields<PongMessage>): Stanza {
  return { tag: 'pong', attrs: ['id', id], content: undefined };
}

/** The stanza of any server message: the inverse of `parseServerMessage`. */
export function serverStanza(message: ServerMessage): Stanza {
  switch (message.kind) {
    case 'stream':
      return streamStanza(message);
    case 'success':
      return successStanza(message);
    case 'failure':
      return failureStanza(message);
    case 'offline':
      return offlineStanza();
    case 'iq-result':
      return iqResultStanza(message);
    case 'iq-error':
      return iqErrorStanza(message);
    case 'ack':
      return ackStanza(message);
    case 'message':
      return deliveryStanza(message);
    case 'receipt':
      return receiptStanza(message);
    case 'error':
      return errorStanza(message);
    case 'prekeys-low':
      return preKeysLowStanza(message);
    case 'pong':
      return pongStanza(message);
    case 'gap':
      return gapStanza(message);
    case 'pruned':
      return prunedStanza(message);
    case 'linked':
      return devices.linkedStanza(message);
    case 'group-ack':
      return groups.groupAckStanza(message);
    case 'group-message':
      return groups.groupDeliveryStanza(message);
    case 'group-change':
      return groups.groupChangeStanza(message);
    case 'group-pruned':
      return groups.groupPrunedStanza(message);
    case 'group-receipts':
      return groups.groupReceiptsStanza(message);
    case 'group-error':
      return groups.groupErrorStanza(message);
    case 'presence':
      return presence.presenceStanza(message);
    case 'typing':
      return presence.incomingTypingStanza(message);
    case 'group-typing':
      return groupTyping.incomingGroupTypingStanza(message);
  }
}

/**
 * Reads a stanza of the server.
 *
 * @param stanza - Decoded. Bytes in the result are borrowed from it.
 * @returns The message, or WIRE_BAD_STANZA naming the field.
 */
export function parseServerMessage(stanza: Stanza): ServerMessage | WireError {
  switch (stanza.tag) {
    case 'message':
      return groups.isOfGroup(stanza) ? groups.parseGroupDelivery(stanza) : parseDelivery(stanza);
    case 'ack':
      return groups.isOfGroup(stanza) ? groups.parseGroupAck(stanza) : parseAck(stanza);
    case 'receipt':
      return groups.isOfGroup(stanza) ? groups.parseGroupReceipts(stanza) : parseReceipt(stanza);
    case 'linked':
      return devices.parseLinked(stanza);
    case 'group-change':
      return groups.parseGroupChange(stanza);
    case 'iq':
      return parseReply(stanza);
    case 'pong':
      return parsePong(stanza);
    case 'gap':
      return parseGapMessage(stanza);
    case 'pruned':
      return groups.isOfGroup(stanza) ? groups.parseGroupPruned(stanza) : parsePruned(stanza);
    case 'error':
      return parseError(stanza);
    case 'presence':
      return presence.parsePresence(stanza);
    case 'typing':
      return groups.isOfGroup(stanza)
        ? groupTyping.parseIncomingGroupTyping(stanza)
        : presence.parseIncomingTyping(stanza);
    case 'prekeys':
      return parsePreKeysLow(stanza);
    case 'stream':
      return parseStream(stanza);
    case 'success':
      return parseSuccess(stanza);
    case 'failure':
      return parseFailure(stanza);
    case 'offline':
      return stanza.content === undefined ? { kind: 'offline' } : badField('offline', 'content', 'nothing');
    default:
      return badStanza('stanza', 'a tag that the server sends');
  }
}

function parseDelivery(stanza: Stanza): IncomingMessage | WireError {
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('message', 'from', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('message', 'device', 'device');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('message', 'id', 'counter');
  const seq = attribute(stanza, 'seq');
  if (!isCounter(seq)) return badField('message', 'seq', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('message', 'ts', 'count');
  const children = childrenOf(stanza);
  const enc = children[0];
  if (children.length !== 1 || enc?.tag !== 'enc') return badStanza('message', 'one <enc>');
  const type = attribute(enc, 'type');
  if (!isEnvelopeType(type)) return badField('enc', 'type', 'envelopeType');
  const ciphertext = ciphertextOf(enc);
  if (ciphertext === undefined) return badField('enc', 'content', 'ciphertext');
  const after = attribute(stanza, 'after');
  if (after === undefined) return { kind: 'message', from, device, id, seq, ts, type, ciphertext };
  if (!isCount(after)) return badField('message', 'after', 'count');
  return { kind: 'message', from, device, id, seq, ts, type, ciphertext, after };
}

function parseAck(stanza: Stanza): AckMessage | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('ack', 'to', 'user');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('ack', 'id', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('ack', 'ts', 'count');
  return stanza.content === undefined ? { kind: 'ack', to, id, ts } : badField('ack', 'content', 'nothing');
}

function parseReceipt(stanza: Stanza): ReceiptMessage | WireError {
  const type = attribute(stanza, 'type');
  if (type !== 'delivered' && type !== 'read') return badField('receipt', 'type', 'receiptType');
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('receipt', 'from', 'user');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('receipt', 'id', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('receipt', 'ts', 'count');
  if (stanza.content !== undefined) return badField('receipt', 'content', 'nothing');
  return { kind: 'receipt', type, from, id, ts };
}

function parsePong(stanza: Stanza): PongMessage | WireError {
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('pong', 'id', 'counter');
  return stanza.content === undefined ? { kind: 'pong', id } : badField('pong', 'content', 'nothing');
}

function parsePreKeysLow(stanza: Stanza): PreKeysLowMessage | WireError {
  const preKeys = attribute(stanza, 'count');
  if (!isCount(preKeys)) return badField('prekeys', 'count', 'count');
  const kemPreKeys = attribute(stanza, 'kem');
  if (kemPreKeys !== undefined && !isCount(kemPreKeys)) return badField('prekeys', 'kem', 'count');
  if (stanza.content !== undefined) return badField('prekeys', 'content', 'nothing');
  return { kind: 'prekeys-low', preKeys, kemPreKeys };
}

function parseError(stanza: Stanza): ErrorMessage | groups.GroupErrorMessage | WireError {
  if (groups.isOfGroup(stanza)) return parseGroupRefusal(stanza);
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('error', 'to', 'user');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('error', 'id', 'counter');
  const reason = parseReason(stanza, 'error');
  if (isWireError(reason)) return reason;
  const retryAfter = attribute(stanza, 'retry-after');
  if (retryAfter !== undefined && !isCount(retryAfter)) return badField('error', 'retry-after', 'count');
  const expected = attribute(stanza, 'expected');
  if (expected !== undefined && !isCounter(expected)) return badField('error', 'expected', 'counter');
  const devices = stanza.content === undefined ? undefined : parseDeviceIds(stanza);
  if (isWireError(devices)) return devices;
  return { kind: 'error', to, id, code: reason.code, text: reason.text, retryAfter, expected, devices };
}

function parseGroupRefusal(stanza: Stanza): groups.GroupErrorMessage | WireError {
  const reason = parseReason(stanza, 'error');
  return isWireError(reason) ? reason : groups.parseGroupError(stanza, reason);
}

function parseDeviceIds(stanza: Stanza): number[] | WireError {
  const children = childrenOf(stanza);
  if (children.length === 0 || children.length > LIMITS.devicesMax) return badStanza('error', '1 to 127 <device>');
  const ids: number[] = [];
  for (const child of children) {
    const id = attribute(child, 'id');
    if (child.tag !== 'device' || child.content !== undefined) return badStanza('error', 'empty <device> only');
    if (!isDeviceId(id)) return badField('device', 'id', 'device');
    if (ids.includes(id)) return badStanza('error', 'each device once');
    ids.push(id);
  }
  return ids;
}

function parseReply(stanza: Stanza): IqResultMessage | IqErrorMessage | WireError {
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('iq', 'id', 'counter');
  const type = attribute(stanza, 'type');
  if (type !== 'result' && type !== 'error') return badField('iq', 'type', 'replyType');
  const children = childrenOf(stanza);
  if (children.length !== 1) return badStanza('iq', 'one answer');
  if (type === 'error') return parseIqError(children[0]!, id);
  const answer = parseAnswer(children[0]!);
  return isWireError(answer) ? answer : { kind: 'iq-result', id, answer };
}

function parseIqError(stanza: Stanza, id: number): IqErrorMessage | WireError {
  if (stanza.tag !== 'error') return badStanza('iq', '<error>');
  const reason = parseReason(stanza, 'error');
  if (isWireError(reason)) return reason;
  const retryAfter = attribute(stanza, 'retry-after');
  if (retryAfter !== undefined && !isCount(retryAfter)) return badField('error', 'retry-after', 'count');
  const epoch = attribute(stanza, 'epoch');
  if (epoch !== undefined && !isCounter(epoch)) return badField('error', 'epoch', 'counter');
  if (stanza.content !== undefined) return badField('error', 'content', 'nothing');
  return { kind: 'iq-error', id, code: reason.code, text: reason.text, retryAfter, epoch };
}
