/**
 * What is said of groups: the messages of both sides, their stanzas and parsers.
 *
 * A group has an id of 15 digits, as a user has. `epoch` counts its changes, `order` its messages and changes together: the
 * same for all members, without gaps. A change and a roster are bytes here; `group-change.ts` reads them. Same rules as
 * `client-messages.ts` and `server-messages.ts`, which call these parsers; the vocabulary is docs/protocol.md.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, contentOf, GATE_BYTES, isCount, isCounter, isMessageId } from './fields.ts';
import { parseGap, type Gap } from './gaps.ts';
import { LIMITS } from './limits.ts';
import { attribute, bytesOf, childrenOf, type AttributeValue, type Stanza } from './stanza.ts';

/** The type of a ciphertext for a whole group; see protocol/signal. */
export const SENDER_KEY: 'sender-key' = 'sender-key';

/** A message to a group: one ciphertext for all its members. */
export interface OutgoingGroupMessage {
  readonly kind: 'group-message';
  readonly group: string;
  /** Position among this device's messages to the group, chosen by the sender without gaps. */
  readonly id: number;
  /** The epoch for which it was encrypted. */
  readonly epoch: number;
  /** At least one byte. */
  readonly ciphertext: Uint8Array;
}

/** Everything in the group up to `order` has been read. */
export interface GroupReadReceiptMessage {
  readonly kind: 'group-read';
  readonly group: string;
  readonly order: number;
}

/** All messages of this device to that group up to `id` are on disk. */
export interface GroupAckMessage {
  readonly kind: 'group-ack';
  readonly group: string;
  readonly id: number;
  /** Place of the message `id` in the group. */
  readonly order: number;
  readonly ts: number;
}

/** A message of a group, for this device. */
export interface IncomingGroupMessage {
  readonly kind: 'group-message';
  readonly group: string;
  readonly from: string;
  /** The sender's device. */
  readonly device: number;
  readonly id: number;
  /** Place in the group. */
  readonly order: number;
  readonly ts: number;
  /** Position in this device's inbox. */
  readonly seq: number;
  readonly ciphertext: Uint8Array;
  /** For one ahead of its turn: the position up to which the inbox has been gone through in order. */
  readonly after?: number | undefined;
}

/** A change of a group, for this device; it stands in the inbox as a message does, and is acknowledged as one. */
export interface IncomingGroupChange {
  readonly kind: 'group-change';
  readonly group: string;
  readonly order: number;
  readonly ts: number;
  readonly seq: number;
  /** As its author signed it. */
  readonly change: Uint8Array;
  /** As of a message. */
  readonly after?: number | undefined;
}

/** What stood in a group from one place to another is gone for this device. Acknowledged by its position, like a message. */
export interface GroupPrunedMessage extends Gap {
  readonly kind: 'group-pruned';
  readonly group: string;
  readonly seq: number;
  readonly ts: number;
}

/** How far a member has come. */
export interface GroupMark {
  readonly user: string;
  /** Everything in the group up to here. */
  readonly order: number;
}

/** How far members have received or read a group. */
export interface GroupReceiptsMessage {
  readonly kind: 'group-receipts';
  readonly type: 'delivered' | 'read';
  readonly group: string;
  readonly ts: number;
  /** 1 to `LIMITS.groupMarksMax`, each user once. */
  readonly marks: readonly GroupMark[];
}

/** A message to a group refused; nothing of it was stored. */
export interface GroupErrorMessage {
  readonly kind: 'group-error';
  readonly group: string;
  readonly id: number;
  readonly code: string;
  readonly text: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** The id that the server expects next, with APP_OUT_OF_ORDER. */
  readonly expected?: number | undefined;
  /** The epoch of the group, with APP_GROUP_EPOCH. */
  readonly epoch?: number | undefined;
}

/** Request of a get: the members of a group, or its changes after an epoch. */
export interface GroupRequest {
  readonly kind: 'group';
  readonly group: string;
  /** Changes with a greater epoch; without it, the roster. */
  readonly after?: number | undefined;
  /** 32 bytes: the gate of an invite link, for somebody who is no member yet. */
  readonly gate?: Uint8Array | undefined;
}

/** Request of a get: how far have the members received the group? A page, in order of their ids. */
export interface GroupMarksRequest {
  readonly kind: 'group-marks';
  readonly group: string;
  /** The last member of the page before. */
  readonly after?: string | undefined;
}

/** Request of a set: change the group, or create it. */
export interface GroupChangeRequest {
  readonly kind: 'group-change';
  readonly group: string;
  /** At least one byte; see `group-change.ts`. */
  readonly change: Uint8Array;
}

/** Where a group stands; its roster or its changes, as asked for. */
export interface GroupAnswer {
  readonly kind: 'group';
  readonly group: string;
  readonly epoch: number;
  /** Place of the last message or change. */
  readonly order: number;
  /** See `group-roster.ts`. */
  readonly roster?: Uint8Array | undefined;
  /** Ascending, without gaps. */
  readonly changes: readonly Uint8Array[];
}

/** How far members have received the group, ascending by user; who has received nothing yet is not among them. */
export interface GroupMarksAnswer {
  readonly kind: 'group-marks';
  readonly group: string;
  readonly marks: readonly GroupMark[];
  /** Whether there are members after the last of these. */
  readonly more: boolean;
}

// --- stanzas ----------------------------------------------------------------------------------------------------

/** `<message group id epoch> <enc type="sender-key"> ciphertext </enc> </message>` */
export function groupMessageStanza({ group, id, epoch, ciphertext }: Omit<OutgoingGroupMessage, 'kind'>): Stanza {
  return { tag: 'message', attrs: ['group', group, 'id', id, 'epoch', epoch], content: [envelope(ciphertext)] };
}

/** `<receipt type="read" group order/>` */
export function groupReadStanza({ group, order }: Omit<GroupReadReceiptMessage, 'kind'>): Stanza {
  return { tag: 'receipt', attrs: ['type', 'read', 'group', group, 'order', order], content: undefined };
}

/** `<ack group id order ts/>` */
export function groupAckStanza({ group, id, order, ts }: Omit<GroupAckMessage, 'kind'>): Stanza {
  return { tag: 'ack', attrs: ['group', group, 'id', id, 'order', order, 'ts', ts], content: undefined };
}

/** `<message group from device id order ts seq [after]> <enc type="sender-key"> ciphertext </enc> </message>` */
export function groupDeliveryStanza(message: Omit<IncomingGroupMessage, 'kind'>): Stanza {
  const { group, from, device, id, order, ts, seq, ciphertext, after } = message;
  const attrs = ['group', group, 'from', from, 'device', device, 'id', id, 'order', order, 'ts', ts, 'seq', seq];
  if (after !== undefined) attrs.push('after', after);
  return { tag: 'message', attrs, content: [envelope(ciphertext)] };
}

function envelope(ciphertext: Uint8Array): Stanza {
  return { tag: 'enc', attrs: ['type', SENDER_KEY], content: ciphertext };
}

/** `<group-change group order ts seq [after]> change </group-change>` */
export function groupChangeStanza({ group, order, ts, seq, change, after }: Omit<IncomingGroupChange, 'kind'>): Stanza {
  const attrs = ['group', group, 'order', order, 'ts', ts, 'seq', seq];
  if (after !== undefined) attrs.push('after', after);
  return { tag: 'group-change', attrs, content: change };
}

/** `<pruned group since until seq ts code/>` */
export function groupPrunedStanza(message: Omit<GroupPrunedMessage, 'kind'>): Stanza {
  const { group, since, until, seq, ts, code } = message;
  const attrs = ['group', group, 'since', since, 'until', until, 'seq', seq, 'ts', ts, 'code', code];
  return { tag: 'pruned', attrs, content: undefined };
}

/** `<receipt type group ts> <member user order/> … </receipt>` */
export function groupReceiptsStanza({ type, group, ts, marks }: Omit<GroupReceiptsMessage, 'kind'>): Stanza {
  return { tag: 'receipt', attrs: ['type', type, 'group', group, 'ts', ts], content: marks.map(markStanza) };
}

function markStanza({ user, order }: GroupMark): Stanza {
  return { tag: 'member', attrs: ['user', user, 'order', order], content: undefined };
}

/** `<error group id code text [retry-after] [expected] [epoch]/>` */
export function groupErrorStanza(message: Omit<GroupErrorMessage, 'kind'>): Stanza {
  const { group, id, code, text, retryAfter, expected, epoch } = message;
  const attrs: AttributeValue[] = ['group', group, 'id', id, 'code', code, 'text', text];
  if (retryAfter !== undefined) attrs.push('retry-after', retryAfter);
  if (expected !== undefined) attrs.push('expected', expected);
  if (epoch !== undefined) attrs.push('epoch', epoch);
  return { tag: 'error', attrs, content: undefined };
}

/** `<group group [after]> [gate] </group>` */
export function groupRequestStanza({ group, after, gate }: Omit<GroupRequest, 'kind'>): Stanza {
  const attrs: AttributeValue[] = ['group', group];
  if (after !== undefined) attrs.push('after', after);
  return { tag: 'group', attrs, content: gate };
}

/** `<receipts group [after]/>` */
export function groupMarksRequestStanza({ group, after }: Omit<GroupMarksRequest, 'kind'>): Stanza {
  const attrs: AttributeValue[] = ['group', group];
  if (after !== undefined) attrs.push('after', after);
  return { tag: 'receipts', attrs, content: undefined };
}

/** `<group-change group> change </group-change>` */
export function groupChangeRequestStanza({ group, change }: Omit<GroupChangeRequest, 'kind'>): Stanza {
  return { tag: 'group-change', attrs: ['group', group], content: change };
}

/** `<group group epoch order> [<roster> bytes </roster>] [<group-change> bytes </group-change> …] </group>` */
export function groupAnswerStanza({ group, epoch, order, roster, changes }: Omit<GroupAnswer, 'kind'>): Stanza {
  const children: Stanza[] = roster === undefined ? [] : [{ tag: 'roster', attrs: [], content: roster }];
  for (const change of changes) children.push({ tag: 'group-change', attrs: [], content: change });
  const content = children.length === 0 ? undefined : children;
  return { tag: 'group', attrs: ['group', group, 'epoch', epoch, 'order', order], content };
}

/** `<receipts group [more="true"]> [<member user order/> …] </receipts>` */
export function groupMarksAnswerStanza({ group, marks, more }: Omit<GroupMarksAnswer, 'kind'>): Stanza {
  const attrs = more ? ['group', group, 'more', 'true'] : ['group', group];
  return { tag: 'receipts', attrs, content: marks.length === 0 ? undefined : marks.map(markStanza) };
}

// --- parsers of what a client says ------------------------------------------------------------------------------

/** Whether a stanza that may be of a user or of a group is one of a group. */
export function isOfGroup(stanza: Stanza): boolean {
  return attribute(stanza, 'group') !== undefined;
}

export function parseGroupMessage(stanza: Stanza): OutgoingGroupMessage | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('message', 'group', 'group');
  const id = attribute(stanza, 'id');
  if (!isMessageId(id)) return badField('message', 'id', 'messageId');
  const epoch = attribute(stanza, 'epoch');
  if (!isCounter(epoch)) return badField('message', 'epoch', 'counter');
  const ciphertext = ciphertextIn(stanza);
  if (!(ciphertext instanceof Uint8Array)) return ciphertext;
  return { kind: 'group-message', group, id, epoch, ciphertext };
}

/** The ciphertext of the one `<enc>` that a group message holds. Borrowed. */
function ciphertextIn(stanza: Stanza): Uint8Array | WireError {
  const children = childrenOf(stanza);
  const enc = children[0];
  if (children.length !== 1 || enc?.tag !== 'enc') return badStanza('message', 'one <enc>');
  if (attribute(enc, 'type') !== SENDER_KEY) return badField('enc', 'type', 'groupEnvelopeType');
  return someBytes(enc) ?? badField('enc', 'content', 'ciphertext');
}

function someBytes(stanza: Stanza): Uint8Array | undefined {
  const bytes = bytesOf(stanza);
  return bytes !== undefined && bytes.length > 0 ? bytes : undefined;
}

export function parseGroupRead(stanza: Stanza): GroupReadReceiptMessage | WireError {
  if (attribute(stanza, 'type') !== 'read') return badField('receipt', 'type', 'readReceipt');
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('receipt', 'group', 'group');
  const order = attribute(stanza, 'order');
  if (!isCounter(order)) return badField('receipt', 'order', 'counter');
  return stanza.content === undefined
    ? { kind: 'group-read', group, order }
    : badField('receipt', 'content', 'nothing');
}

export function parseGroupRequest(stanza: Stanza): GroupRequest | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('group', 'group', 'group');
  const after = attribute(stanza, 'after');
  if (after !== undefined && !isCount(after)) return badField('group', 'after', 'count');
  const gate = stanza.content === undefined ? undefined : contentOf(stanza, GATE_BYTES);
  if (gate === undefined && stanza.content !== undefined) return badField('group', 'content', 'gate');
  return { kind: 'group', group, after, gate };
}

export function parseGroupMarksRequest(stanza: Stanza): GroupMarksRequest | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('receipts', 'group', 'group');
  const after = attribute(stanza, 'after');
  if (after !== undefined && !isUserId(after)) return badField('receipts', 'after', 'user');
  return { kind: 'group-marks', group, after };
}

export function parseGroupChangeRequest(stanza: Stanza): GroupChangeRequest | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('group-change', 'group', 'group');
  const change = someBytes(stanza);
  return change === undefined ? badField('group-change', 'content', 'change') : { kind: 'group-change', group, change };
}

// --- parsers of what the server says ----------------------------------------------------------------------------

export function parseGroupAck(stanza: Stanza): GroupAckMessage | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('ack', 'group', 'group');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('ack', 'id', 'counter');
  const order = attribute(stanza, 'order');
  if (!isCounter(order)) return badField('ack', 'order', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('ack', 'ts', 'count');
  return stanza.content === undefined
    ? { kind: 'group-ack', group, id, order, ts }
    : badField('ack', 'content', 'nothing');
}

export function parseGroupDelivery(stanza: Stanza): IncomingGroupMessage | WireError {
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('message', 'from', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('message', 'device', 'device');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('message', 'id', 'counter');
  const place = parsePlace(stanza, 'message');
  if ('code' in place) return place;
  const ciphertext = ciphertextIn(stanza);
  if (!(ciphertext instanceof Uint8Array)) return ciphertext;
  const { group, order, ts, seq, after } = place;
  return { kind: 'group-message', group, from, device, id, order, ts, seq, ciphertext, after };
}

export function parseGroupChange(stanza: Stanza): IncomingGroupChange | WireError {
  const place = parsePlace(stanza, 'group-change');
  if ('code' in place) return place;
  const change = someBytes(stanza);
  if (change === undefined) return badField('group-change', 'content', 'change');
  const { group, order, ts, seq, after } = place;
  return { kind: 'group-change', group, order, ts, seq, change, after };
}

interface Place {
  readonly group: string;
  readonly order: number;
  readonly ts: number;
  readonly seq: number;
  readonly after: number | undefined;
}

/** Where an inbox entry of a group stands, in the group and in the inbox. */
function parsePlace(stanza: Stanza, tag: string): Place | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField(tag, 'group', 'group');
  const order = attribute(stanza, 'order');
  if (!isCounter(order)) return badField(tag, 'order', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField(tag, 'ts', 'count');
  const seq = attribute(stanza, 'seq');
  if (!isCounter(seq)) return badField(tag, 'seq', 'counter');
  const after = attribute(stanza, 'after');
  return after === undefined || isCount(after) ? { group, order, ts, seq, after } : badField(tag, 'after', 'count');
}

export function parseGroupPruned(stanza: Stanza): GroupPrunedMessage | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('pruned', 'group', 'group');
  const seq = attribute(stanza, 'seq');
  if (!isCounter(seq)) return badField('pruned', 'seq', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('pruned', 'ts', 'count');
  const gap = parseGap(stanza, 'pruned');
  return isWireError(gap) ? gap : { kind: 'group-pruned', group, ...gap, seq, ts };
}

export function parseGroupReceipts(stanza: Stanza): GroupReceiptsMessage | WireError {
  const type = attribute(stanza, 'type');
  if (type !== 'delivered' && type !== 'read') return badField('receipt', 'type', 'receiptType');
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('receipt', 'group', 'group');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('receipt', 'ts', 'count');
  const marks = parseMarks(stanza, 'receipt');
  if (!Array.isArray(marks)) return marks;
  if (marks.length === 0) return badStanza('receipt', 'at least one <member>');
  return { kind: 'group-receipts', type, group, ts, marks };
}

function parseMarks(stanza: Stanza, tag: string): GroupMark[] | WireError {
  const children = childrenOf(stanza);
  if (children.length > LIMITS.groupMarksMax) return badStanza(tag, `at most ${LIMITS.groupMarksMax} <member>`);
  const marks: GroupMark[] = [];
  const users = new Set<string>();
  for (const child of children) {
    if (child.tag !== 'member' || child.content !== undefined) return badStanza(tag, 'empty <member> only');
    const user = attribute(child, 'user');
    if (!isUserId(user)) return badField('member', 'user', 'user');
    const order = attribute(child, 'order');
    if (!isCounter(order)) return badField('member', 'order', 'counter');
    if (users.has(user)) return badStanza(tag, 'each member once');
    users.add(user);
    marks.push({ user, order });
  }
  return marks;
}

/** @param reason - What every refusal says, already read. */
export function parseGroupError(
  stanza: Stanza,
  reason: { readonly code: string; readonly text: string },
): GroupErrorMessage | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('error', 'group', 'group');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('error', 'id', 'counter');
  const retryAfter = attribute(stanza, 'retry-after');
  if (retryAfter !== undefined && !isCount(retryAfter)) return badField('error', 'retry-after', 'count');
  const expected = attribute(stanza, 'expected');
  if (expected !== undefined && !isCounter(expected)) return badField('error', 'expected', 'counter');
  const epoch = attribute(stanza, 'epoch');
  if (epoch !== undefined && !isCounter(epoch)) return badField('error', 'epoch', 'counter');
  if (stanza.content !== undefined) return badField('error', 'content', 'nothing');
  return { kind: 'group-error', group, id, code: reason.code, text: reason.text, retryAfter, expected, epoch };
}

export function parseGroupAnswer(stanza: Stanza): GroupAnswer | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('group', 'group', 'group');
  const epoch = attribute(stanza, 'epoch');
  if (!isCounter(epoch)) return badField('group', 'epoch', 'counter');
  const order = attribute(stanza, 'order');
  if (!isCounter(order)) return badField('group', 'order', 'counter');
  const rest = [...childrenOf(stanza)];
  if (rest.length === 0 && stanza.content !== undefined) return badField('group', 'content', 'groupContent');
  const hasRoster = rest[0]?.tag === 'roster';
  const roster = hasRoster ? someBytes(rest.shift()!) : undefined;
  if (hasRoster && roster === undefined) return badField('group', 'content', 'groupContent');
  const changes: Uint8Array[] = [];
  for (const child of rest) {
    const change = child.tag === 'group-change' ? someBytes(child) : undefined;
    if (change === undefined) return badField('group', 'content', 'groupContent');
    changes.push(change);
  }
  return { kind: 'group', group, epoch, order, roster, changes };
}

export function parseGroupMarksAnswer(stanza: Stanza): GroupMarksAnswer | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('receipts', 'group', 'group');
  const more = attribute(stanza, 'more');
  if (more !== undefined && more !== 'true') return badField('receipts', 'more', 'true');
  if (bytesOf(stanza) !== undefined) return badStanza('receipts', 'empty <member> only');
  const marks = parseMarks(stanza, 'receipts');
  return Array.isArray(marks) ? { kind: 'group-marks', group, marks, more: more === 'true' } : marks;
}
