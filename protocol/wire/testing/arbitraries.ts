/**
 * Random stanzas, random messages and random breakage for property tests: everything that the format allows, with the
 * bounds and the forms next to each other often enough to meet.
 */

import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import type {
  Answer,
  Audience,
  ClientMessage,
  BundleKemKey,
  DeviceBundle,
  Envelope,
  Gap,
  GetRequest,
  GroupMark,
  KemKey,
  OneTimeKey,
  ProtectionAnswer,
  ProtectionGet,
  ProtectionSet,
  PushTarget,
  ServerMessage,
  SetRequest,
  SignedKey,
} from '../messages.ts';
import type { Attributes, AttributeValue, Content, Stanza } from '../stanza.ts';
import { EXTENDED_WORDS, isName, WORDS } from '../tokens.ts';

/** Records with the ordinary prototype, as the parsers make them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const names = WORDS.filter(isName);

/** A tag or attribute name: a word of the dictionary, or any other name, those of Object.prototype among them. */
const arbitraryName: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...names) },
  { weight: 1, arbitrary: fc.constantFrom('constructor', 'prototype', 'x', 'messages', 'a1-') },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/) },
);

/** An attribute value of any form. */
const arbitraryValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.constantFrom(...WORDS, ...EXTENDED_WORDS),
  fc.maxSafeNat(),
  fc.nat({ max: 70_000 }),
  fc.constantFrom(0, 31, 32, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 48, 2 ** 48 - 1, LIMITS.integerMax),
  fc.stringMatching(/^[0-9+.-]{1,20}$/),
  fc.stringMatching(/^[0-9]{15}$/),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', '\u{feff}bom', '__proto__', '7'.repeat(255), '7'.repeat(256), 'é'.repeat(127), 'é'.repeat(128)),
);

const arbitraryAttributes: fc.Arbitrary<Attributes> = fc
  .uniqueArray(fc.tuple(arbitraryName, arbitraryValue), { maxLength: 8, selector: ([name]) => name })
  .map((pairs) => pairs.flat());

const arbitraryBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(127, 128, 300).map((length) => new Uint8Array(length).fill(0xa5)),
);

/** A valid stanza of at most four levels. */
export const arbitraryStanza: fc.Arbitrary<Stanza> = stanzaOfDepth(4);

function stanzaOfDepth(depth: number): fc.Arbitrary<Stanza> {
  const leaf: fc.Arbitrary<Content> = fc.oneof(fc.constant(undefined), arbitraryBytes);
  const content: fc.Arbitrary<Content> =
    depth === 1 ? leaf : fc.oneof(leaf, fc.array(stanzaOfDepth(depth - 1), { minLength: 1, maxLength: 4 }));
  return record({ tag: arbitraryName, attrs: arbitraryAttributes, content });
}

const user = fc.stringMatching(/^[0-9]{15}$/);
const phone = fc.stringMatching(/^\+[1-9][0-9]{6,14}$/);
const device = fc.integer({ min: 1, max: LIMITS.deviceIdMax });
const counter = fc.integer({ min: 1, max: LIMITS.integerMax });
const messageId = fc.integer({ min: 1, max: LIMITS.messageIdMax });
const count = fc.maxSafeNat();
const registration = fc.integer({ min: 1, max: LIMITS.registrationIdMax });
const preKeyId = fc.integer({ min: 0, max: LIMITS.preKeyIdMax });
const errorCodes = EXTENDED_WORDS.filter((word) => /^[A-Z]/.test(word));
const errorCode = fc.oneof(fc.constantFrom(...errorCodes), fc.constantFrom('APP_OTHER', 'X_1', 'ZZ9_A_B'));
const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const envelopeType = fc.constantFrom('prekey' as const, 'ratchet' as const);
const ciphertext = fc.uint8Array({ minLength: 1, maxLength: 60 });

function bytesOfLength(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

const resumeToken = fc.stringMatching(/^[A-Za-z0-9_-]{22,128}$/);
const linkId = fc.stringMatching(/^[0-9]{20}$/);
const publicKey = bytesOfLength(33).map((bytes) => Uint8Array.from([5, ...bytes.subarray(1)]));
const signature = bytesOfLength(64);
const oneTimeKey: fc.Arbitrary<OneTimeKey> = record({ id: preKeyId, key: publicKey });
const signedKey: fc.Arbitrary<SignedKey> = record({ id: preKeyId, key: publicKey, signature });

const kemKeyBytes = fc.nat(255).map((byte) => new Uint8Array(1_569).fill(byte).fill(6, 0, 1));
const kemKey: fc.Arbitrary<KemKey> = record({ id: preKeyId, key: kemKeyBytes, signature });
const bundleKemKey: fc.Arbitrary<BundleKemKey> = record({
  id: preKeyId,
  key: kemKeyBytes,
  signature,
  lastResort: fc.boolean(),
});
const kemKeys: fc.Arbitrary<KemKey[]> = fc.uniqueArray(kemKey, { maxLength: 2, selector: ({ id }) => id });

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

function oneTimeKeys(minLength: number): fc.Arbitrary<OneTimeKey[]> {
  return fc.uniqueArray(oneTimeKey, { minLength, maxLength: 5, selector: ({ id }) => id });
}

const presenceState = fc.constantFrom('available' as const, 'unavailable' as const);
const typingState = fc.constantFrom('composing' as const, 'recording' as const, 'paused' as const);
const audience = fc.constantFrom('everyone' as const, 'contacts' as const, 'nobody' as const);

/** Two lists of users that have none in common. */
const exceptions: fc.Arbitrary<{ shown: string[]; hidden: string[] }> = fc
  .tuple(fc.uniqueArray(user, { maxLength: 6 }), fc.nat(6))
  .map(([users, at]) => ({ shown: users.slice(0, at), hidden: users.slice(at) }));

function privacy<Kind extends string>(
  kind: Kind,
): fc.Arbitrary<{ kind: Kind; audience: Audience; shown: string[]; hidden: string[] }> {
  return fc.tuple(audience, exceptions).map(([seenBy, lists]) => ({ kind, audience: seenBy, ...lists }));
}
const policy = fc.constantFrom('open' as const, 'ask' as const);
const relationState = fc.constantFrom('accepted' as const, 'blocked' as const, 'none' as const);
const token = fc.string({ minLength: 1, maxLength: 60 });
const p256Point = bytesOfLength(65).map((bytes) => Uint8Array.from([4, ...bytes.subarray(1)]));

const pushTarget: fc.Arbitrary<PushTarget> = fc.oneof(
  record({ platform: fc.constant('none' as const) }),
  record({ platform: fc.constantFrom('apns' as const, 'fcm' as const), token }),
  record({
    platform: fc.constant('web' as const),
    url: fc.webUrl({ validSchemes: ['https'] }),
    key: p256Point,
    secret: bytesOfLength(16),
  }),
) as fc.Arbitrary<PushTarget>;

const protectionGet: fc.Arbitrary<ProtectionGet> = fc.oneof(
  record({ kind: fc.constant('limits' as const) }),
  record({ kind: fc.constant('relations' as const), after: optional(user) }),
  record({ kind: fc.constant('strangers' as const) }),
  record({ kind: fc.constant('push' as const) }),
);

const protectionSet: fc.Arbitrary<ProtectionSet> = fc.oneof(
  record({ kind: fc.constant('relation' as const), user, state: relationState }),
  record({ kind: fc.constant('strangers-change' as const), policy }),
  record({
    ...{ kind: fc.constant('report' as const), user, device, id: counter },
    evidence: optional(ciphertext),
  }),
  record({ kind: fc.constant('notify' as const), preKeys: count, kemPreKeys: count }),
  record({ kind: fc.constant('push-change' as const), target: pushTarget }),
);

const protectionAnswer: fc.Arbitrary<ProtectionAnswer> = fc.oneof(
  record({
    kind: fc.constant('limits' as const),
    limits: fc.array(
      record({
        action: fc.constantFrom('message' as const, 'request' as const, 'contact' as const, 'bundle' as const),
        ...{ left: count, max: count, full: count, retryAfter: optional(count) },
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
  record({ kind: fc.constant('relation' as const), user, state: relationState }),
  record({
    kind: fc.constant('relations' as const),
    relations: fc.array(
      record({
        user,
        state: fc.constantFrom('accepted' as const, 'blocked' as const, 'pending' as const),
        count: optional(count),
      }),
      { maxLength: 5 },
    ),
    next: optional(user),
  }),
  record({ kind: fc.constant('strangers' as const), policy }),
  record({ kind: fc.constant('report' as const), user }),
  record({ kind: fc.constant('notify' as const), preKeys: count, kemPreKeys: count }),
  record({
    kind: fc.constant('push' as const),
    platform: fc.constantFrom('none' as const, 'web' as const, 'apns' as const, 'fcm' as const),
    key: optional(p256Point),
  }),
);

const getRequest: fc.Arbitrary<GetRequest> = fc.oneof(
  record({ kind: fc.constant('contact' as const), phone }),
  record({ kind: fc.constant('bundle' as const), user }),
  record({ kind: fc.constant('bundle' as const), user, withList: fc.constant(true) }),
  record({ kind: fc.constant('link' as const), id: linkId }),
  record({ kind: fc.constant('devices' as const), user }),
  record({ kind: fc.constant('prekey-count' as const) }),
  record({ kind: fc.constant('receipts' as const), to: user }),
  record({ kind: fc.constant('media-ticket' as const), bytes: counter }),
  record({
    ...{ kind: fc.constant('group' as const), group: user },
    ...{ after: optional(count), gate: optional(bytesOfLength(32)) },
  }),
  record({ kind: fc.constant('group-marks' as const), group: user, after: optional(user) }),
  record({ kind: fc.constant('presence' as const), user }),
  record({ kind: fc.constant('privacy' as const) }),
  protectionGet,
);

const setRequest: fc.Arbitrary<SetRequest> = fc.oneof(
  record({
    kind: fc.constant('link-begin' as const),
    registration,
    login: bytesOfLength(32),
    identity: publicKey,
    signed: signedKey,
    lastResort: optional(kemKey),
    oneTime: oneTimeKeys(0),
  }),
  record({ kind: fc.constant('link-approve' as const), id: linkId, device, list: ciphertext, envelope: ciphertext }),
  record({ kind: fc.constant('unlink' as const), device, list: ciphertext }),
  record({ kind: fc.constant('publish-list' as const), list: ciphertext }),
  record({ kind: fc.constant('register' as const), phone }),
  record({
    kind: fc.constant('confirm' as const),
    phone,
    code: fc.stringMatching(/^[0-9]{6}$/),
    registration,
    login: bytesOfLength(32),
    identity: publicKey,
    signed: signedKey,
    lastResort: optional(kemKey),
    oneTime: oneTimeKeys(0),
  }),
  record({
    kind: fc.constant('prekey-upload' as const),
    signed: optional(signedKey),
    lastResort: optional(kemKey),
    oneTime: oneTimeKeys(1),
    kem: kemKeys,
  }),
  record({ kind: fc.constant('group-change' as const), group: user, change: ciphertext }),
  record({ kind: fc.constant('subscribe' as const), to: user }),
  record({ kind: fc.constant('group-subscribe' as const), group: user }),
  privacy('privacy-change' as const),
  protectionSet,
);

const envelopes: fc.Arbitrary<Envelope[]> = fc.uniqueArray(record({ device, type: envelopeType, ciphertext }), {
  minLength: 1,
  maxLength: 5,
  selector: (envelope) => envelope.device,
});

/** Any message of a client. */
export const arbitraryClientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  record({ kind: fc.constant('auth' as const), user, device, signature }),
  record({ kind: fc.constant('auth' as const), user, device, signature, features: count }),
  record({ kind: fc.constant('resume' as const), user, device, ticket: resumeToken, proof: bytesOfLength(32) }),
  record({
    ...{ kind: fc.constant('resume' as const), user, device, ticket: resumeToken, proof: bytesOfLength(32) },
    features: count,
  }),
  record({ kind: fc.constant('iq-get' as const), id: counter, request: getRequest }),
  record({ kind: fc.constant('iq-set' as const), id: counter, request: setRequest }),
  record({ kind: fc.constant('message' as const), to: user, id: messageId, envelopes }),
  record({ kind: fc.constant('group-message' as const), group: user, id: messageId, epoch: counter, ciphertext }),
  record({ kind: fc.constant('group-read' as const), group: user, order: counter }),
  record({ kind: fc.constant('inbox-ack' as const), seq: counter }),
  record({
    kind: fc.constant('receipt' as const),
    type: fc.constant('read' as const),
    to: user,
    device,
    id: counter,
  }),
  record({ kind: fc.constant('ping' as const), id: counter }),
  record({ kind: fc.constant('availability' as const), state: presenceState }),
  record({ kind: fc.constant('unsubscribe' as const), to: user }),
  record({ kind: fc.constant('typing' as const), to: user, state: typingState }),
  record({ kind: fc.constant('group-unsubscribe' as const), group: user }),
  record({ kind: fc.constant('group-typing' as const), group: user, state: typingState }),
);

function marks(minLength: number): fc.Arbitrary<GroupMark[]> {
  const mark = record({ user, order: counter });
  return fc.uniqueArray(mark, { minLength, maxLength: 5, selector: (each) => each.user });
}

const deviceBundle: fc.Arbitrary<DeviceBundle> = record({
  id: device,
  registration,
  identity: publicKey,
  signed: signedKey,
  oneTime: optional(oneTimeKey),
  kem: optional(bundleKemKey),
});

/** A gap's ids, the first not above the last. */
const span: fc.Arbitrary<{ since: number; until: number }> = fc
  .tuple(counter, counter)
  .map(([one, other]) => ({ since: Math.min(one, other), until: Math.max(one, other) }));
const gaps: fc.Arbitrary<Gap[]> = fc.array(
  fc.tuple(span, errorCode).map(([ids, code]) => ({ ...ids, code })),
  { minLength: 1, maxLength: 4 },
);

const presence = record({
  kind: fc.constant('presence' as const),
  from: user,
  state: presenceState,
  lastSeen: optional(count),
});

const answer: fc.Arbitrary<Answer> = fc.oneof(
  record({ kind: fc.constant('register' as const), expires: counter }),
  record({ kind: fc.constant('account' as const), user, device }),
  record({ kind: fc.constant('contact' as const), phone, user }),
  record({
    kind: fc.constant('bundle' as const),
    user,
    devices: fc.uniqueArray(deviceBundle, { minLength: 1, maxLength: 4, selector: ({ id }) => id }),
  }),
  record({
    kind: fc.constant('bundle' as const),
    user,
    devices: fc.uniqueArray(deviceBundle, { minLength: 1, maxLength: 4, selector: ({ id }) => id }),
    list: ciphertext,
  }),
  record({ kind: fc.constant('link-begun' as const), id: linkId, expires: counter }),
  record({ kind: fc.constant('link' as const), id: linkId, device, registration, identity: publicKey }),
  record({
    ...{ kind: fc.constant('devices' as const), user, list: optional(ciphertext) },
    devices: fc.uniqueArray(device, { minLength: 1, maxLength: 5 }),
  }),
  record({ kind: fc.constant('prekeys' as const), count, kem: optional(count) }),
  record({ kind: fc.constant('receipts' as const), to: user, sent: count, delivered: count }),
  record({ kind: fc.constant('receipts' as const), to: user, sent: count, delivered: count, gaps }),
  record({ kind: fc.constant('media-ticket' as const), ticket: bytesOfLength(64), expires: counter }),
  record({
    ...{ kind: fc.constant('group' as const), group: user, epoch: counter, order: counter },
    ...{ roster: optional(ciphertext), changes: fc.array(ciphertext, { maxLength: 3 }) },
  }),
  record({ kind: fc.constant('group-marks' as const), group: user, marks: marks(0), more: fc.boolean() }),
  presence,
  record({ kind: fc.constant('group-subscribe' as const), group: user }),
  privacy('privacy' as const),
  protectionAnswer,
);

const retryAfter = fc.option(count, { nil: undefined });

/** Any message of the server. */
export const arbitraryServerMessage: fc.Arbitrary<ServerMessage> = fc.oneof(
  record({
    kind: fc.constant('stream' as const),
    version: fc.constant(1 as const),
    ts: count,
    nonce: bytesOfLength(32),
  }),
  record({
    kind: fc.constant('success' as const),
    user,
    device,
    ts: count,
    preKeys: optional(count),
    kemPreKeys: optional(count),
    ticket: optional(record({ token: resumeToken, secret: bytesOfLength(32), expires: counter })),
  }),
  record({ kind: fc.constant('failure' as const), code: errorCode, text, retryAfter }),
  record({ kind: fc.constant('offline' as const) }),
  record({ kind: fc.constant('iq-result' as const), id: counter, answer }),
  record({
    ...{ kind: fc.constant('iq-error' as const), id: counter, code: errorCode, text, retryAfter },
    epoch: optional(counter),
  }),
  record({ kind: fc.constant('ack' as const), to: user, id: counter, ts: count }),
  record({
    ...{ kind: fc.constant('message' as const), from: user, device, id: counter, seq: counter, ts: count },
    ...{ type: envelopeType, ciphertext },
  }),
  record({
    ...{ kind: fc.constant('message' as const), from: user, device, id: counter, seq: counter, ts: count },
    ...{ type: envelopeType, ciphertext, after: count },
  }),
  fc.tuple(span, user, count, errorCode).map(([ids, to, ts, code]) => ({ kind: 'gap' as const, to, ...ids, ts, code })),
  fc
    .tuple(span, record({ from: user, device, seq: counter, ts: count, code: errorCode }))
    .map(([ids, fields]) => ({ kind: 'pruned' as const, ...ids, ...fields })),
  record({
    ...{ kind: fc.constant('receipt' as const), type: fc.constantFrom('delivered' as const, 'read' as const) },
    ...{ from: user, id: counter, ts: count },
  }),
  record({
    ...{ kind: fc.constant('error' as const), to: user, id: counter, code: errorCode, text, retryAfter },
    expected: fc.option(counter, { nil: undefined }),
    devices: fc.option(fc.uniqueArray(device, { minLength: 1, maxLength: 5 }), { nil: undefined }),
  }),
  record({ kind: fc.constant('prekeys-low' as const), preKeys: count, kemPreKeys: optional(count) }),
  record({ kind: fc.constant('pong' as const), id: counter }),
  record({ kind: fc.constant('linked' as const), user, device, envelope: ciphertext }),
  record({ kind: fc.constant('group-ack' as const), group: user, id: counter, order: counter, ts: count }),
  record({
    ...{ kind: fc.constant('group-message' as const), group: user, from: user, device, id: counter },
    ...{ order: counter, ts: count, seq: counter, ciphertext, after: optional(count) },
  }),
  record({
    ...{ kind: fc.constant('group-change' as const), group: user, order: counter, ts: count, seq: counter },
    ...{ change: ciphertext, after: optional(count) },
  }),
  record({
    ...{ kind: fc.constant('group-pruned' as const), group: user, seq: counter, ts: count },
    ...{ since: fc.constant(3), until: fc.integer({ min: 3, max: 99 }), code: errorCode },
  }),
  record({
    ...{ kind: fc.constant('group-receipts' as const), type: fc.constantFrom('delivered' as const, 'read' as const) },
    ...{ group: user, ts: count, marks: marks(1) },
  }),
  record({
    ...{ kind: fc.constant('group-error' as const), group: user, id: counter, code: errorCode, text, retryAfter },
    expected: optional(counter),
    epoch: optional(counter),
  }),
  presence,
  record({ kind: fc.constant('typing' as const), from: user, state: typingState }),
  record({ kind: fc.constant('group-typing' as const), group: user, user, state: typingState }),
);
