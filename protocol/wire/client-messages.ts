/**
 * What a client says: typed messages, their stanzas, and the parser that the server runs on them.
 *
 * Parsing checks every field's form and nothing else: not whether the time is right, the user exists or the id is the
 * next one. Attributes that are not known are ignored, so that a later client may add one; unknown tags and values are
 * refused. The vocabulary is docs/protocol.md. Read next: `server-messages.ts`.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import {
  badField,
  badStanza,
  contentOf,
  isCount,
  isCounter,
  isMessageId,
  isResumeToken,
  RESUME_SECRET_BYTES,
  SIGNATURE_BYTES,
} from './fields.ts';
import * as groups from './group-stanzas.ts';
import type { GroupReadReceiptMessage, OutgoingGroupMessage } from './group-stanzas.ts';
import * as groupTyping from './group-typing.ts';
import { LIMITS } from './limits.ts';
import * as presence from './presence.ts';
import type { AvailabilityMessage, OutgoingTyping, UnsubscribeMessage } from './presence.ts';
import { getRequestStanza, parseGetRequest, parseSetRequest, setRequestStanza } from './requests.ts';
import type { GetRequest, SetRequest } from './requests.ts';
import { attribute, bytesOf, childrenOf, type AttributeValue, type Stanza } from './stanza.ts';

/** Login by signature: the answer to the server's nonce. */
export interface AuthMessage {
  readonly kind: 'auth';
  readonly user: string;
  readonly device: number;
  /** Ed25519, 64 bytes, over what docs/protocol.md lays down. Not verified here. */
  readonly signature: Uint8Array;
  /** Sum of `FEATURES` that the client understands; missing from one that knows none of them. */
  readonly features?: number;
}

/** What a client may say at login that it understands, as bits of `<auth features/>`. The server needs no answer to them. */
export const FEATURES = {
  /** Messages ahead of their turn, acknowledgements in the order of pushing, `<pruned>` and `<gap>`. */
  stagedInbox: 1,
  /** A `<ticket>` within `<success>`. */
  resumeTickets: 2,
  /** Messages and changes of groups. */
  groups: 4,
  /** A second `<stream>` on a connection that is logged in: log in again, and say again what was not answered. */
  secondGreeting: 8,
} as const;

/** Login by the ticket of an earlier one. */
export interface ResumeMessage {
  readonly kind: 'resume';
  readonly user: string;
  readonly device: number;
  /** The ticket's token, as it came. */
  readonly ticket: string;
  /** HMAC-SHA-256, 32 bytes, by the ticket's secret over what docs/protocol.md lays down. Not verified here. */
  readonly proof: Uint8Array;
  /** As in `AuthMessage`. */
  readonly features?: number;
}

/** A question; answered under the same id. */
export interface IqGetMessage {
  readonly kind: 'iq-get';
  readonly id: number;
  readonly request: GetRequest;
}

/** A change; answered under the same id. */
export interface IqSetMessage {
  readonly kind: 'iq-set';
  readonly id: number;
  readonly request: SetRequest;
}

/** How a ciphertext is to be opened: it begins a session, or continues one. */
export type EnvelopeType = 'prekey' | 'ratchet';

/** A message for one device. */
export interface Envelope {
  readonly device: number;
  readonly type: EnvelopeType;
  /** At least one byte. */
  readonly ciphertext: Uint8Array;
}

/** A message to a user. */
export interface OutgoingMessage {
  readonly kind: 'message';
  readonly to: string;
  /** Position in the conversation, chosen by the sender without gaps. */
  readonly id: number;
  /** One for each device of the user, 1 to 127, devices distinct. */
  readonly envelopes: readonly Envelope[];
}

/** The inbox entry `seq` and all that were pushed before it on this connection are stored; delete them. */
export interface InboxAckMessage {
  readonly kind: 'inbox-ack';
  readonly seq: number;
}

/** All messages of that device up to `id` have been read. */
export interface ReadReceiptMessage {
  readonly kind: 'receipt';
  readonly type: 'read';
  readonly to: string;
  readonly device: number;
  readonly id: number;
}

/** Is the connection alive? */
export interface PingMessage {
  readonly kind: 'ping';
  readonly id: number;
}

/** Everything that a client says. */
export type ClientMessage =
  | AuthMessage
  | ResumeMessage
  | IqGetMessage
  | IqSetMessage
  | OutgoingMessage
  | OutgoingGroupMessage
  | InboxAckMessage
  | ReadReceiptMessage
  | GroupReadReceiptMessage
  | PingMessage
  | AvailabilityMessage
  | UnsubscribeMessage
  | OutgoingTyping
  | groupTyping.GroupUnsubscribeMessage
  | groupTyping.OutgoingGroupTyping;

/** The fields of a message, for a constructor that knows its kind. */
export type Fields<Message> = Omit<Message, 'kind'>;

/** `<auth user device [features]> signature </auth>` */
export function authStanza({ user, device, signature, features }: Fields<AuthMessage>): Stanza {
  const attrs = ['user', user, 'device', device];
  if (features !== undefined) attrs.push('features', features);
  return { tag: 'auth', attrs, content: signature };
}

/** `<auth user device ticket [features]> proof </auth>` */
export function resumeStanza({ user, device, ticket, proof, features }: Fields<ResumeMessage>): Stanza {
  const attrs = ['user', user, 'device', device, 'ticket', ticket];
  if (features !== undefined) attrs.push('features', features);
  return { tag: 'auth', attrs, content: proof };
}

/** `<iq type="get" id> request </iq>` */
export function iqGetStanza({ id, request }: Fields<IqGetMessage>): Stanza {
  return { tag: 'iq', attrs: ['type', 'get', 'id', id], content: [getRequestStanza(request)] };
}

/** `<iq type="set" id> request </iq>` */
export function iqSetStanza({ id, request }: Fields<IqSetMessage>): Stanza {
  return { tag: 'iq', attrs: ['type', 'set', 'id', id], content: [setRequestStanza(request)] };
}

/** `<message to id> <enc device type> ciphertext </enc> … </message>` */
export function messageStanza({ to, id, envelopes }: Fields<OutgoingMessage>): Stanza {
  return { tag: 'message', attrs: ['to', to, 'id', id], content: envelopes.map(envelopeStanza) };
}

function envelopeStanza({ device, type, ciphertext }: Envelope): Stanza {
  return { tag: 'enc', attrs: ['device', device, 'type', type], content: ciphertext };
}

/** `<ack seq/>` */
export function inboxAckStanza({ seq }: Fields<InboxAckMessage>): Stanza {
  return { tag: 'ack', attrs: ['seq', seq], content: undefined };
}

/** `<receipt type="read" to device id/>` */
export function readReceiptStanza({ to, device, id }: Omit<ReadReceiptMessage, 'kind' | 'type'>): Stanza {
  return { tag: 'receipt', attrs: ['type', 'read', 'to', to, 'device', device, 'id', id], content: undefined };
}

/** `<ping id/>` */
export function pingStanza({ id }: Fields<PingMessage>): Stanza {
  return { tag: 'ping', attrs: ['id', id], content: undefined };
}

/** The stanza of any client message: the inverse of `parseClientMessage`. */
export function clientStanza(message: ClientMessage): Stanza {
  switch (message.kind) {
    case 'auth':
      return authStanza(message);
    case 'resume':
      return resumeStanza(message);
    case 'iq-get':
      return iqGetStanza(message);
    case 'iq-set':
      return iqSetStanza(message);
    case 'message':
      return messageStanza(message);
    case 'group-message':
      return groups.groupMessageStanza(message);
    case 'inbox-ack':
      return inboxAckStanza(message);
    case 'receipt':
      return readReceiptStanza(message);
    case 'group-read':
      return groups.groupReadStanza(message);
    case 'ping':
      return pingStanza(message);
    case 'availability':
      return presence.availabilityStanza(message);
    case 'unsubscribe':
      return presence.unsubscribeStanza(message);
    case 'typing':
      return presence.outgoingTypingStanza(message);
    case 'group-unsubscribe':
      return groupTyping.groupUnsubscribeStanza(message);
    case 'group-typing':
      return groupTyping.outgoingGroupTypingStanza(message);
  }
}

/**
 * Reads a client's stanza.
 *
 * @param stanza - Decoded. Bytes in the result are borrowed from it.
 * @returns The message, or WIRE_BAD_STANZA naming the field.
 */
export function parseClientMessage(stanza: Stanza): ClientMessage | WireError {
  switch (stanza.tag) {
    case 'message':
      return parseMessage(stanza);
    case 'ack':
      return parseInboxAck(stanza);
    case 'receipt':
      return parseReadReceipt(stanza);
    case 'iq':
      return parseRequest(stanza);
    case 'ping':
      return parsePing(stanza);
    case 'auth':
      return parseAuth(stanza);
    case 'typing':
      return groups.isOfGroup(stanza)
        ? groupTyping.parseOutgoingGroupTyping(stanza)
        : presence.parseOutgoingTyping(stanza);
    case 'presence':
      return presence.parseAvailability(stanza);
    case 'unsubscribe':
      return groups.isOfGroup(stanza) ? groupTyping.parseGroupUnsubscribe(stanza) : presence.parseUnsubscribe(stanza);
    default:
      return badStanza('stanza', 'a tag that clients send');
  }
}

function parseMessage(stanza: Stanza): OutgoingMessage | OutgoingGroupMessage | WireError {
  const to = attribute(stanza, 'to');
  if (to === undefined && groups.isOfGroup(stanza)) return groups.parseGroupMessage(stanza);
  if (!isUserId(to)) return badField('message', 'to', 'user');
  const id = attribute(stanza, 'id');
  if (!isMessageId(id)) return badField('message', 'id', 'messageId');
  const envelopes = parseEnvelopes(childrenOf(stanza));
  return isWireError(envelopes) ? envelopes : { kind: 'message', to, id, envelopes };
}

function parseEnvelopes(children: readonly Stanza[]): Envelope[] | WireError {
  if (children.length === 0 || children.length > LIMITS.devicesMax) return badStanza('message', '1 to 127 <enc>');
  const envelopes: Envelope[] = [];
  for (let index = 0; index < children.length; index += 1) {
    const envelope = parseEnvelope(children[index]!);
    if (isWireError(envelope)) return envelope;
    if (hasDevice(envelopes, envelope.device)) return badStanza('message', 'one <enc> for a device');
    envelopes.push(envelope);
  }
  return envelopes;
}

function parseEnvelope(stanza: Stanza): Envelope | WireError {
  if (stanza.tag !== 'enc') return badStanza('message', '<enc> only');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('enc', 'device', 'device');
  const type = attribute(stanza, 'type');
  if (!isEnvelopeType(type)) return badField('enc', 'type', 'envelopeType');
  const ciphertext = ciphertextOf(stanza);
  return ciphertext === undefined ? badField('enc', 'content', 'ciphertext') : { device, type, ciphertext };
}

/** A plain loop: there are one to five devices, and a set would cost more than it saves. */
function hasDevice(envelopes: readonly Envelope[], device: number): boolean {
  for (let index = 0; index < envelopes.length; index += 1) if (envelopes[index]!.device === device) return true;
  return false;
}

/** Whether a value is a type of envelope. */
export function isEnvelopeType(value: unknown): value is EnvelopeType {
  return value === 'ratchet' || value === 'prekey';
}

/** The content bytes of an `<enc>`, if there are any. Borrowed from the stanza. */
export function ciphertextOf(stanza: Stanza): Uint8Array | undefined {
  const bytes = bytesOf(stanza);
  return bytes !== undefined && bytes.length > 0 ? bytes : undefined;
}

function parseInboxAck(stanza: Stanza): InboxAckMessage | WireError {
  const seq = attribute(stanza, 'seq');
  if (!isCounter(seq)) return badField('ack', 'seq', 'counter');
  return stanza.content === undefined ? { kind: 'inbox-ack', seq } : badField('ack', 'content', 'nothing');
}

function parseReadReceipt(stanza: Stanza): ReadReceiptMessage | GroupReadReceiptMessage | WireError {
  if (groups.isOfGroup(stanza)) return groups.parseGroupRead(stanza);
  if (attribute(stanza, 'type') !== 'read') return badField('receipt', 'type', 'readReceipt');
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('receipt', 'to', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('receipt', 'device', 'device');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('receipt', 'id', 'counter');
  if (stanza.content !== undefined) return badField('receipt', 'content', 'nothing');
  return { kind: 'receipt', type: 'read', to, device, id };
}

function parsePing(stanza: Stanza): PingMessage | WireError {
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('ping', 'id', 'counter');
  return stanza.content === undefined ? { kind: 'ping', id } : badField('ping', 'content', 'nothing');
}

function parseAuth(stanza: Stanza): AuthMessage | ResumeMessage | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('auth', 'user', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('auth', 'device', 'device');
  const ticket = attribute(stanza, 'ticket');
  if (ticket !== undefined) return parseResume(stanza, user, device, ticket);
  const signature = contentOf(stanza, SIGNATURE_BYTES);
  if (signature === undefined) return badField('auth', 'content', 'signature');
  const features = attribute(stanza, 'features');
  if (features === undefined) return { kind: 'auth', user, device, signature };
  return isCount(features)
    ? { kind: 'auth', user, device, signature, features }
    : badField('auth', 'features', 'count');
}

function parseResume(stanza: Stanza, user: string, device: number, ticket: AttributeValue): ResumeMessage | WireError {
  if (!isResumeToken(ticket)) return badField('auth', 'ticket', 'resumeToken');
  const proof = contentOf(stanza, RESUME_SECRET_BYTES);
  if (proof === undefined) return badField('auth', 'content', 'resumeSecret');
  const features = attribute(stanza, 'features');
  if (features === undefined) return { kind: 'resume', user, device, ticket, proof };
  return isCount(features)
    ? { kind: 'resume', user, device, ticket, proof, features }
    : badField('auth', 'features', 'count');
}

function parseRequest(stanza: Stanza): IqGetMessage | IqSetMessage | WireError {
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('iq', 'id', 'counter');
  const type = attribute(stanza, 'type');
  if (type !== 'get' && type !== 'set') return badField('iq', 'type', 'requestType');
  const children = childrenOf(stanza);
  if (children.length !== 1) return badStanza('iq', 'one request');
  if (type === 'get') {
    const request = parseGetRequest(children[0]!);
    return isWireError(request) ? request : { kind: 'iq-get', id, request };
  }
  const request = parseSetRequest(children[0]!);
  return isWireError(request) ? request : { kind: 'iq-set', id, request };
}
