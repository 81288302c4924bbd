/**
 * Presence, typing and the privacy of both: their messages, their requests, their stanzas.
 *
 *   C: <presence state="available"/>                    somebody is at this device, or no longer
 *   C: <iq type="set"> <subscribe to="user"/> </iq>     S: <iq type="result"> <presence from state [last-seen]/> </iq>
 *   S: <presence from state [last-seen]/>               as it changes, until <unsubscribe to/> or the connection ends
 *   C: <typing to state/>                               S: <typing from state/>
 *
 * Forms only, as everywhere in this folder; who may see what, and what is dropped under load, is docs/protocol.md,
 * "Presence". The unions that these belong to are in `client-messages.ts`, `server-messages.ts` and `requests.ts`.
 */

import { isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCount } from './fields.ts';
import { LIMITS } from './limits.ts';
import { attribute, childrenOf, type AttributeValue, type Stanza } from './stanza.ts';

/** Whether somebody is there. */
export type PresenceState = 'available' | 'unavailable';

/** What somebody does in an open chat; `paused` ends the other two. */
export type TypingState = 'composing' | 'recording' | 'paused';

/** Who may see something of an account: anybody, those to whom it has written, nobody. */
export type Audience = 'everyone' | 'contacts' | 'nobody';

/** Somebody is at this device, or no longer. Not answered. */
export interface AvailabilityMessage {
  readonly kind: 'availability';
  readonly state: PresenceState;
}

/** Ends a subscription. Not answered. */
export interface UnsubscribeMessage {
  readonly kind: 'unsubscribe';
  readonly to: string;
}

/** What this person does in the chat with `to`. Not answered. */
export interface OutgoingTyping {
  readonly kind: 'typing';
  readonly to: string;
  readonly state: TypingState;
}

/** Whether a user is there, as the server says it unasked or answers it. */
export interface PresenceMessage {
  readonly kind: 'presence';
  readonly from: string;
  readonly state: PresenceState;
  /** With `unavailable`: when the user was last there, in milliseconds, to the minute. Missing: not known, or not to be seen. */
  readonly lastSeen?: number | undefined;
}

/** What `from` does in the chat with this user. */
export interface IncomingTyping {
  readonly kind: 'typing';
  readonly from: string;
  readonly state: TypingState;
}

/** Is this user there? Answered once. */
export interface PresenceRequest {
  readonly kind: 'presence';
  readonly user: string;
}

/** The same, and then whenever it changes. */
export interface SubscribeRequest {
  readonly kind: 'subscribe';
  readonly to: string;
}

/** Who may see this account's presence? */
export interface PrivacyRequest {
  readonly kind: 'privacy';
}

/** Who may see an account's presence and typing. */
export interface PrivacySettings {
  readonly audience: Audience;
  /** Users who may, whatever the audience. At most 256, distinct, none of them hidden from. */
  readonly shown: readonly string[];
  /** Users who may not, whatever the audience. The same bounds. */
  readonly hidden: readonly string[];
}

/** New settings in the place of the former. */
export interface PrivacyChange extends PrivacySettings {
  readonly kind: 'privacy-change';
}

/** The settings that hold. */
export interface PrivacyAnswer extends PrivacySettings {
  readonly kind: 'privacy';
}

/** `<presence state/>` */
export function availabilityStanza({ state }: Omit<AvailabilityMessage, 'kind'>): Stanza {
  return { tag: 'presence', attrs: ['state', state], content: undefined };
}

/** `<unsubscribe to/>` */
export function unsubscribeStanza({ to }: Omit<UnsubscribeMessage, 'kind'>): Stanza {
  return { tag: 'unsubscribe', attrs: ['to', to], content: undefined };
}

/** `<typing to state/>` */
export function outgoingTypingStanza({ to, state }: Omit<OutgoingTyping, 'kind'>): Stanza {
  return { tag: 'typing', attrs: ['to', to, 'state', state], content: undefined };
}

/** `<presence from state [last-seen]/>` */
export function presenceStanza({ from, state, lastSeen }: Omit<PresenceMessage, 'kind'>): Stanza {
  const attrs: AttributeValue[] = ['from', from, 'state', state];
  if (lastSeen !== undefined) attrs.push('last-seen', lastSeen);
  return { tag: 'presence', attrs, content: undefined };
}

/** `<typing from state/>` */
export function incomingTypingStanza({ from, state }: Omit<IncomingTyping, 'kind'>): Stanza {
  return { tag: 'typing', attrs: ['from', from, 'state', state], content: undefined };
}

/** `<privacy last-seen> <add user/> … <remove user/> … </privacy>`: a change, and its answer. */
export function privacyStanza({ audience, shown, hidden }: PrivacySettings): Stanza {
  const exceptions = [
    ...shown.map((user) => userStanza('add', user)),
    ...hidden.map((user) => userStanza('remove', user)),
  ];
  return { tag: 'privacy', attrs: ['last-seen', audience], content: exceptions.length === 0 ? undefined : exceptions };
}

function userStanza(tag: string, user: string): Stanza {
  return { tag, attrs: ['user', user], content: undefined };
}

/** Reads a client's `<presence>`. */
export function parseAvailability(stanza: Stanza): AvailabilityMessage | WireError {
  const state = attribute(stanza, 'state');
  if (!isPresenceState(state)) return badField('presence', 'state', 'presenceState');
  return stanza.content === undefined ? { kind: 'availability', state } : badField('presence', 'content', 'nothing');
}

/** Reads `<unsubscribe>`. */
export function parseUnsubscribe(stanza: Stanza): UnsubscribeMessage | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('unsubscribe', 'to', 'user');
  return stanza.content === undefined ? { kind: 'unsubscribe', to } : badField('unsubscribe', 'content', 'nothing');
}

/** Reads a client's `<typing>`. */
export function parseOutgoingTyping(stanza: Stanza): OutgoingTyping | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('typing', 'to', 'user');
  const state = attribute(stanza, 'state');
  if (!isTypingState(state)) return badField('typing', 'state', 'typingState');
  return stanza.content === undefined ? { kind: 'typing', to, state } : badField('typing', 'content', 'nothing');
}

/** Reads the server's `<presence>`, of its own or inside an answer. */
export function parsePresence(stanza: Stanza): PresenceMessage | WireError {
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('presence', 'from', 'user');
  const state = attribute(stanza, 'state');
  if (!isPresenceState(state)) return badField('presence', 'state', 'presenceState');
  const lastSeen = attribute(stanza, 'last-seen');
  if (lastSeen !== undefined && !isCount(lastSeen)) return badField('presence', 'last-seen', 'count');
  return stanza.content === undefined
    ? { kind: 'presence', from, state, lastSeen }
    : badField('presence', 'content', 'nothing');
}

/** Reads the server's `<typing>`. */
export function parseIncomingTyping(stanza: Stanza): IncomingTyping | WireError {
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('typing', 'from', 'user');
  const state = attribute(stanza, 'state');
  if (!isTypingState(state)) return badField('typing', 'state', 'typingState');
  return stanza.content === undefined ? { kind: 'typing', from, state } : badField('typing', 'content', 'nothing');
}

/** Reads `<presence user/>` of a request. */
export function parsePresenceRequest(stanza: Stanza): PresenceRequest | WireError {
  const user = attribute(stanza, 'user');
  return isUserId(user) ? { kind: 'presence', user } : badField('presence', 'user', 'user');
}

/** Reads `<subscribe to/>` of a request. */
export function parseSubscribe(stanza: Stanza): SubscribeRequest | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('subscribe', 'to', 'user');
  return stanza.content === undefined ? { kind: 'subscribe', to } : badField('subscribe', 'content', 'nothing');
}

/** Reads `<privacy>` with settings in it. Users stand in one list, once, those shown to before those hidden from. */
export function parsePrivacy(stanza: Stanza): PrivacySettings | WireError {
  const audience = attribute(stanza, 'last-seen');
  if (!isAudience(audience)) return badField('privacy', 'last-seen', 'audience');
  const children = stanza.content === undefined ? [] : childrenOf(stanza);
  if (stanza.content !== undefined && children.length === 0) return badStanza('privacy', '<add> and <remove> only');
  const firstHidden = children.findIndex((child) => child.tag === 'remove');
  const hiddenFrom = firstHidden < 0 ? children.length : firstHidden;
  const seen = new Set<string>();
  const shown = parseUsers(children.slice(0, hiddenFrom), 'add', seen);
  if (isWireError(shown)) return shown;
  const hidden = parseUsers(children.slice(hiddenFrom), 'remove', seen);
  return isWireError(hidden) ? hidden : { audience, shown, hidden };
}

function parseUsers(children: readonly Stanza[], tag: string, seen: Set<string>): string[] | WireError {
  if (children.length > LIMITS.privacyUsersMax) return badStanza('privacy', 'at most 256 users in a list');
  const users: string[] = [];
  for (const child of children) {
    if (child.tag !== tag || child.content !== undefined) return badStanza('privacy', '<add>, then <remove>, empty');
    const user = attribute(child, 'user');
    if (!isUserId(user)) return badField(tag, 'user', 'user');
    if (seen.has(user)) return badStanza('privacy', 'each user once');
    seen.add(user);
    users.push(user);
  }
  return users;
}

function isPresenceState(value: unknown): value is PresenceState {
  return value === 'available' || value === 'unavailable';
}

/** Whether a value is a state of typing. */
export function isTypingState(value: unknown): value is TypingState {
  return value === 'composing' || value === 'recording' || value === 'paused';
}

function isAudience(value: unknown): value is Audience {
  return value === 'everyone' || value === 'contacts' || value === 'nobody';
}
