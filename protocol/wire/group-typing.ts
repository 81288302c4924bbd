/**
 * Typing in groups: its messages, its request, their stanzas.
 *
 *   C: <iq type="set"> <subscribe group/> </iq>         S: <iq type="result"> <subscribe group/> </iq>
 *   C: <typing group state/>                            S: <typing group user state/>
 *   C: <unsubscribe group/>
 *
 * Forms only; who is told, and how often, is docs/protocol.md, "Presence". The forms between two people, under the same tags, are
 * in `presence.ts`, which knows one of a group by `isOfGroup`.
 */

import { isUserId } from './address.ts';
import type { WireError } from './errors.ts';
import { badField } from './fields.ts';
import { isTypingState, type TypingState } from './presence.ts';
import { attribute, type Stanza } from './stanza.ts';

/** Request of a set: tell this connection who types in the group, until it unsubscribes or ends. */
export interface GroupSubscribeRequest {
  readonly kind: 'group-subscribe';
  readonly group: string;
}

/** It will be told. */
export interface GroupSubscribeAnswer {
  readonly kind: 'group-subscribe';
  readonly group: string;
}

/** Ends a subscription. Not answered. */
export interface GroupUnsubscribeMessage {
  readonly kind: 'group-unsubscribe';
  readonly group: string;
}

/** What this person does in the chat of a group to which the connection has subscribed. Not answered. */
export interface OutgoingGroupTyping {
  readonly kind: 'group-typing';
  readonly group: string;
  readonly state: TypingState;
}

/** What a member does in the chat of a group. */
export interface IncomingGroupTyping {
  readonly kind: 'group-typing';
  readonly group: string;
  readonly user: string;
  readonly state: TypingState;
}

/** `<subscribe group/>`: the request, and its answer. */
export function groupSubscribeStanza({ group }: Omit<GroupSubscribeRequest, 'kind'>): Stanza {
  return { tag: 'subscribe', attrs: ['group', group], content: undefined };
}

/** `<unsubscribe group/>` */
export function groupUnsubscribeStanza({ group }: Omit<GroupUnsubscribeMessage, 'kind'>): Stanza {
  return { tag: 'unsubscribe', attrs: ['group', group], content: undefined };
}

/** `<typing group state/>` */
export function outgoingGroupTypingStanza({ group, state }: Omit<OutgoingGroupTyping, 'kind'>): Stanza {
  return { tag: 'typing', attrs: ['group', group, 'state', state], content: undefined };
}

/** `<typing group user state/>` */
export function incomingGroupTypingStanza({ group, user, state }: Omit<IncomingGroupTyping, 'kind'>): Stanza {
  return { tag: 'typing', attrs: ['group', group, 'user', user, 'state', state], content: undefined };
}

/** Reads `<subscribe group/>` of a request or of an answer. */
export function parseGroupSubscribe(stanza: Stanza): GroupSubscribeRequest | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('subscribe', 'group', 'group');
  return stanza.content === undefined
    ? { kind: 'group-subscribe', group }
    : badField('subscribe', 'content', 'nothing');
}

/** Reads `<unsubscribe group/>`. */
export function parseGroupUnsubscribe(stanza: Stanza): GroupUnsubscribeMessage | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('unsubscribe', 'group', 'group');
  return stanza.content === undefined
    ? { kind: 'group-unsubscribe', group }
    : badField('unsubscribe', 'content', 'nothing');
}

/** Reads a client's `<typing group/>`. */
export function parseOutgoingGroupTyping(stanza: Stanza): OutgoingGroupTyping | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('typing', 'group', 'group');
  const state = attribute(stanza, 'state');
  if (!isTypingState(state)) return badField('typing', 'state', 'typingState');
  return stanza.content === undefined
    ? { kind: 'group-typing', group, state }
    : badField('typing', 'content', 'nothing');
}

/** Reads the server's `<typing group/>`. */
export function parseIncomingGroupTyping(stanza: Stanza): IncomingGroupTyping | WireError {
  const group = attribute(stanza, 'group');
  if (!isUserId(group)) return badField('typing', 'group', 'group');
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('typing', 'user', 'user');
  const state = attribute(stanza, 'state');
  if (!isTypingState(state)) return badField('typing', 'state', 'typingState');
  return stanza.content === undefined
    ? { kind: 'group-typing', group, user, state }
    : badField('typing', 'content', 'nothing');
}
