/**
 * What an account does about strangers and about itself: quotas, relations, requests, reports, notices, push.
 *
 * The elements inside an `<iq>`, as in `requests.ts`, which hands over here what it does not know itself. The vocabulary and
 * what each of them does is docs/protocol.md, "Protection"; here is the form alone.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCount, isCounter } from './fields.ts';
import { bytesIn } from './key-material.ts';
import { LIMITS } from './limits.ts';
import { attribute, bytesOf, childrenOf, NO_ATTRIBUTES, type Stanza } from './stanza.ts';

/** How much of each quota is left to this account? */
export interface LimitsRequest {
  readonly kind: 'limits';
}

/** Whom does this account accept, block, or let wait? In the order of user ids, a page at a time. */
export interface RelationsRequest {
  readonly kind: 'relations';
  /** The last user of the page before. */
  readonly after?: string | undefined;
}

/** What may strangers do? */
export interface StrangersRequest {
  readonly kind: 'strangers';
}

/** Which pushes does this device get, and which could it get? */
export interface PushRequest {
  readonly kind: 'push';
}

/** What an account has decided of another: `none` takes a decision back. */
export type RelationState = 'accepted' | 'blocked' | 'none';

/** Accept, block, or neither any more. */
export interface RelationChange {
  readonly kind: 'relation';
  readonly user: string;
  readonly state: RelationState;
}

/** `open`: strangers are treated like everybody. `ask`: they have a few messages until they are accepted. */
export type StrangersPolicy = 'open' | 'ask';

/** What strangers may do from now on. */
export interface StrangersChange {
  readonly kind: 'strangers-change';
  readonly policy: StrangersPolicy;
}

/** A message of this sender was spam or worse. */
export interface ReportRequest {
  readonly kind: 'report';
  readonly user: string;
  readonly device: number;
  /** The message id within the conversation from that device. */
  readonly id: number;
  /** At most `reportBytesMax`; opaque to the server. Missing: metadata only. */
  readonly evidence?: Uint8Array | undefined;
}

/** Tell this connection when fewer pre-keys than these are left; 0 and 0: no more. */
export interface NotifyRequest {
  readonly kind: 'notify';
  readonly preKeys: number;
  readonly kemPreKeys: number;
}

/** Where a wake-up for this device goes. */
export type PushTarget =
  | { readonly platform: 'none' }
  | {
      readonly platform: 'web';
      /** The subscription's endpoint, an `https:` URL. */
      readonly url: string;
      /** The subscription's `p256dh` key, 65 bytes. */
      readonly key: Uint8Array;
      /** The subscription's `auth` secret, 16 bytes. */
      readonly secret: Uint8Array;
    }
  | { readonly platform: 'apns' | 'fcm'; /** As the platform gave it to the app. */ readonly token: string };

/** Wake this device in this way from now on. */
export interface PushChange {
  readonly kind: 'push-change';
  readonly target: PushTarget;
}

/** Requests of an `<iq type="get">`. */
export type ProtectionGet = LimitsRequest | RelationsRequest | StrangersRequest | PushRequest;

/** Requests of an `<iq type="set">`. */
export type ProtectionSet = RelationChange | StrangersChange | ReportRequest | NotifyRequest | PushChange;

/** What a quota is of. */
export type LimitedAction = 'message' | 'bytes' | 'request' | 'contact' | 'bundle' | 'report';

/** One quota: a bucket of `max` that fills by itself, from empty to full in `full` seconds if nothing is taken. */
export interface Limit {
  readonly action: LimitedAction;
  readonly left: number;
  readonly max: number;
  /** Seconds until `left` is `max` again. */
  readonly full: number;
  /** Seconds until one is left, where none is. */
  readonly retryAfter?: number | undefined;
}

export interface LimitsAnswer {
  readonly kind: 'limits';
  /** Those whose action is known here. */
  readonly limits: readonly Limit[];
}

export interface RelationAnswer {
  readonly kind: 'relation';
  readonly user: string;
  readonly state: RelationState;
}

/** One entry of the list. `pending`: a stranger who has sent `count` messages and waits to be accepted. */
export interface Relation {
  readonly user: string;
  readonly state: Exclude<RelationState, 'none'> | 'pending';
  readonly count?: number | undefined;
}

export interface RelationsAnswer {
  readonly kind: 'relations';
  readonly relations: readonly Relation[];
  /** Ask again with this `after`; missing at the end. */
  readonly next?: string | undefined;
}

export interface StrangersAnswer {
  readonly kind: 'strangers';
  readonly policy: StrangersPolicy;
}

export interface ReportAnswer {
  readonly kind: 'report';
  readonly user: string;
}

export interface NotifyAnswer {
  readonly kind: 'notify';
  readonly preKeys: number;
  readonly kemPreKeys: number;
}

export interface PushAnswer {
  readonly kind: 'push';
  /** What this device is registered for. */
  readonly platform: PushTarget['platform'];
  /** The server's VAPID key, 65 bytes, where it sends Web Push. */
  readonly key?: Uint8Array | undefined;
}

/** Answers of an `<iq type="result">`. */
export type ProtectionAnswer =
  LimitsAnswer | RelationAnswer | RelationsAnswer | StrangersAnswer | ReportAnswer | NotifyAnswer | PushAnswer;

/** Bytes of an uncompressed point on P-256, and of a Web Push `auth` secret (RFC 8291, section 3.1). */
const P256_POINT_BYTES = 65;
const AUTH_SECRET_BYTES = 16;

const ACTIONS: ReadonlySet<unknown> = new Set<LimitedAction>([
  'message',
  'bytes',
  'request',
  'contact',
  'bundle',
  'report',
]);
const PLATFORMS: ReadonlySet<unknown> = new Set<PushTarget['platform']>(['none', 'web', 'apns', 'fcm']);

/** The element of a get request. */
export function protectionGetStanza(request: ProtectionGet): Stanza {
  switch (request.kind) {
    case 'limits':
      return empty('limits');
    case 'relations':
      return empty('relations', request.after === undefined ? NO_ATTRIBUTES : ['after', request.after]);
    case 'strangers':
      return empty('strangers');
    case 'push':
      return empty('push');
  }
}

/** The element of a set request. */
export function protectionSetStanza(request: ProtectionSet): Stanza {
  switch (request.kind) {
    case 'relation':
      return empty('relation', ['user', request.user, 'state', request.state]);
    case 'strangers-change':
      return empty('strangers', ['policy', request.policy]);
    case 'report': {
      const { user, device, id, evidence } = request;
      return { tag: 'report', attrs: ['user', user, 'device', device, 'id', id], content: evidence };
    }
    case 'notify':
      return empty('notify', ['prekeys', request.preKeys, 'kem', request.kemPreKeys]);
    case 'push-change':
      return pushStanza(request.target);
  }
}

function pushStanza(target: PushTarget): Stanza {
  const attrs = ['platform', target.platform];
  switch (target.platform) {
    case 'none':
      return { tag: 'push', attrs, content: undefined };
    case 'web':
      return {
        tag: 'push',
        attrs,
        content: [empty('web', ['url', target.url]), bytes('key', target.key), bytes('token', target.secret)],
      };
    default:
      return { tag: 'push', attrs: [...attrs, 'token', target.token], content: undefined };
  }
}

/** The element of an answer. */
export function protectionAnswerStanza(answer: ProtectionAnswer): Stanza {
  switch (answer.kind) {
    case 'limits':
      return { tag: 'limits', attrs: NO_ATTRIBUTES, content: answer.limits.map(limitStanza) };
    case 'relation':
      return empty('relation', ['user', answer.user, 'state', answer.state]);
    case 'relations': {
      const attrs = answer.next === undefined ? NO_ATTRIBUTES : ['next', answer.next];
      const { relations } = answer;
      return { tag: 'relations', attrs, content: relations.length === 0 ? undefined : relations.map(relationStanza) };
    }
    case 'strangers':
      return empty('strangers', ['policy', answer.policy]);
    case 'report':
      return empty('report', ['user', answer.user]);
    case 'notify':
      return empty('notify', ['prekeys', answer.preKeys, 'kem', answer.kemPreKeys]);
    case 'push':
      return { tag: 'push', attrs: ['platform', answer.platform], content: answer.key };
  }
}

function limitStanza({ action, left, max, full, retryAfter }: Limit): Stanza {
  const attrs = ['action', action, 'left', left, 'max', max, 'full', full];
  return empty('limit', retryAfter === undefined ? attrs : [...attrs, 'retry-after', retryAfter]);
}

function relationStanza({ user, state, count }: Relation): Stanza {
  const attrs = ['user', user, 'state', state];
  return empty('relation', count === undefined ? attrs : [...attrs, 'count', count]);
}

function empty(tag: string, attrs: readonly (string | number)[] = NO_ATTRIBUTES): Stanza {
  return { tag, attrs, content: undefined };
}

function bytes(tag: string, content: Uint8Array): Stanza {
  return { tag, attrs: NO_ATTRIBUTES, content };
}

/** Reads the element of an `<iq type="get">`, which has no content. */
export function parseProtectionGet(stanza: Stanza): ProtectionGet | WireError {
  switch (stanza.tag) {
    case 'limits':
      return { kind: 'limits' };
    case 'relations': {
      const after = attribute(stanza, 'after');
      if (after !== undefined && !isUserId(after)) return badField('relations', 'after', 'user');
      return { kind: 'relations', after };
    }
    case 'strangers':
      return { kind: 'strangers' };
    case 'push':
      return { kind: 'push' };
    default:
      return badStanza('iq', 'a request of the protocol');
  }
}

/** Reads the element of an `<iq type="set">`. Bytes are borrowed from the stanza. */
export function parseProtectionSet(stanza: Stanza): ProtectionSet | WireError {
  switch (stanza.tag) {
    case 'report':
      return parseReport(stanza);
    case 'push':
      return parsePushChange(stanza);
  }
  if (stanza.content !== undefined)
    return badField(stanza.tag === 'relation' ? 'relation' : 'iq', 'content', 'nothing');
  switch (stanza.tag) {
    case 'relation':
      return parseRelation(stanza);
    case 'strangers': {
      const answer = parseStrangers(stanza);
      return isWireError(answer) ? answer : { kind: 'strangers-change', policy: answer.policy };
    }
    case 'notify':
      return parseNotify(stanza);
    default:
      return badStanza('iq', 'a request of the protocol');
  }
}

function parseRelation(stanza: Stanza): RelationChange | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('relation', 'user', 'user');
  const state = attribute(stanza, 'state');
  if (state !== 'accepted' && state !== 'blocked' && state !== 'none') {
    return badField('relation', 'state', 'relationState');
  }
  return { kind: 'relation', user, state };
}

function parseStrangers(stanza: Stanza): StrangersAnswer | WireError {
  const policy = attribute(stanza, 'policy');
  if (policy !== 'open' && policy !== 'ask') return badField('strangers', 'policy', 'strangersPolicy');
  return { kind: 'strangers', policy };
}

function parseReport(stanza: Stanza): ReportRequest | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('report', 'user', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('report', 'device', 'device');
  const id = attribute(stanza, 'id');
  if (!isCounter(id)) return badField('report', 'id', 'counter');
  if (stanza.content === undefined) return { kind: 'report', user, device, id, evidence: undefined };
  const evidence = bytesOf(stanza);
  const isEvidence = evidence !== undefined && evidence.length > 0 && evidence.length <= LIMITS.reportBytesMax;
  return isEvidence ? { kind: 'report', user, device, id, evidence } : badField('report', 'content', 'evidence');
}

function parseNotify(stanza: Stanza): NotifyRequest | WireError {
  const preKeys = attribute(stanza, 'prekeys');
  if (!isCount(preKeys)) return badField('notify', 'prekeys', 'count');
  const kemPreKeys = attribute(stanza, 'kem');
  if (!isCount(kemPreKeys)) return badField('notify', 'kem', 'count');
  return { kind: 'notify', preKeys, kemPreKeys };
}

function isPlatform(value: unknown): value is PushTarget['platform'] {
  return PLATFORMS.has(value);
}

function parsePushChange(stanza: Stanza): PushChange | WireError {
  const platform = attribute(stanza, 'platform');
  if (!isPlatform(platform)) return badField('push', 'platform', 'platform');
  if (platform === 'web') return parseWebPush(stanza);
  if (stanza.content !== undefined) return badField('push', 'content', 'nothing');
  if (platform === 'none') return { kind: 'push-change', target: { platform } };
  const token = attribute(stanza, 'token');
  if (typeof token !== 'string' || token === '') return badField('push', 'token', 'text');
  return { kind: 'push-change', target: { platform, token } };
}

function parseWebPush(stanza: Stanza): PushChange | WireError {
  const children = childrenOf(stanza);
  if (children.length !== 3) return badStanza('push', '<web>, <key> and <token>');
  const web = children[0]!;
  const url = attribute(web, 'url');
  if (web.tag !== 'web' || web.content !== undefined) return badStanza('push', '<web> without content');
  if (typeof url !== 'string' || !url.startsWith('https://')) return badField('web', 'url', 'url');
  const key = bytesIn(children[1], 'key', P256_POINT_BYTES);
  if (key === undefined || key[0] !== 4) return badField('push', 'key', 'p256Point');
  const secret = bytesIn(children[2], 'token', AUTH_SECRET_BYTES);
  if (secret === undefined) return badField('push', 'token', 'authSecret');
  return { kind: 'push-change', target: { platform: 'web', url, key, secret } };
}

/** Whether the element of an `<iq type="result">` is read here. */
export function isProtectionAnswer(tag: string): boolean {
  return ANSWER_TAGS.has(tag);
}

const ANSWER_TAGS: ReadonlySet<string> = new Set([
  'limits',
  'relation',
  'relations',
  'strangers',
  'report',
  'notify',
  'push',
]);

/** Reads the element of an `<iq type="result">`. Bytes are borrowed from the stanza. */
export function parseProtectionAnswer(stanza: Stanza): ProtectionAnswer | WireError {
  if (stanza.tag === 'limits') return parseLimits(stanza);
  if (stanza.tag === 'relations') return parseRelations(stanza);
  if (stanza.tag === 'push') return parsePush(stanza);
  if (stanza.content !== undefined) return badStanza('iq', 'an answer without content');
  switch (stanza.tag) {
    case 'relation':
      return parseRelation(stanza);
    case 'strangers':
      return parseStrangers(stanza);
    case 'notify':
      return parseNotify(stanza);
    default: {
      const user = attribute(stanza, 'user');
      return isUserId(user) ? { kind: 'report', user } : badField('report', 'user', 'user');
    }
  }
}

function parseLimits(stanza: Stanza): LimitsAnswer | WireError {
  const children = childrenOf(stanza);
  if (children.length === 0) return badStanza('limits', 'at least one <limit>');
  const limits: Limit[] = [];
  for (const child of children) {
    const limit = parseLimit(child);
    if (isWireError(limit)) return limit;
    // A quota that a later server has: this client knows nothing of it, and needs the others.
    if (isKnown(limit)) limits.push(limit);
  }
  return { kind: 'limits', limits };
}

function isKnown(limit: AnyLimit): limit is Limit {
  return ACTIONS.has(limit.action);
}

/** A quota of whatever there is. */
type AnyLimit = Omit<Limit, 'action'> & { readonly action: string };

function parseLimit(stanza: Stanza): AnyLimit | WireError {
  if (stanza.tag !== 'limit' || stanza.content !== undefined) return badStanza('limits', 'empty <limit> only');
  const action = attribute(stanza, 'action');
  if (typeof action !== 'string') return badField('limit', 'action', 'text');
  const left = attribute(stanza, 'left');
  if (!isCount(left)) return badField('limit', 'left', 'count');
  const max = attribute(stanza, 'max');
  if (!isCount(max)) return badField('limit', 'max', 'count');
  const full = attribute(stanza, 'full');
  if (!isCount(full)) return badField('limit', 'full', 'count');
  const retryAfter = attribute(stanza, 'retry-after');
  if (retryAfter !== undefined && !isCount(retryAfter)) return badField('limit', 'retry-after', 'count');
  return { action, left, max, full, retryAfter };
}

function parseRelations(stanza: Stanza): RelationsAnswer | WireError {
  const next = attribute(stanza, 'next');
  if (next !== undefined && !isUserId(next)) return badField('relations', 'next', 'user');
  const children = stanza.content === undefined ? [] : childrenOf(stanza);
  if (children.length > LIMITS.relationsPageMax || (stanza.content !== undefined && children.length === 0)) {
    return badStanza('relations', `at most ${LIMITS.relationsPageMax} <relation>`);
  }
  const relations: Relation[] = [];
  for (const child of children) {
    const relation = parseListed(child);
    if (isWireError(relation)) return relation;
    relations.push(relation);
  }
  return { kind: 'relations', relations, next };
}

function parseListed(stanza: Stanza): Relation | WireError {
  if (stanza.tag !== 'relation' || stanza.content !== undefined) return badStanza('relations', 'empty <relation> only');
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('relation', 'user', 'user');
  const state = attribute(stanza, 'state');
  if (state !== 'accepted' && state !== 'blocked' && state !== 'pending') {
    return badField('relation', 'state', 'listedState');
  }
  const count = attribute(stanza, 'count');
  if (count !== undefined && !isCount(count)) return badField('relation', 'count', 'count');
  return { user, state, count };
}

function parsePush(stanza: Stanza): PushAnswer | WireError {
  const platform = attribute(stanza, 'platform');
  if (!isPlatform(platform)) return badField('push', 'platform', 'platform');
  if (stanza.content === undefined) return { kind: 'push', platform, key: undefined };
  const key = bytesIn(stanza, 'push', P256_POINT_BYTES);
  if (key === undefined || key[0] !== 4) return badField('push', 'content', 'p256Point');
  return { kind: 'push', platform, key };
}
