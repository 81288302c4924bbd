/** Typed messages: each is the inverse of its parser, and each field is refused in every wrong form. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import tap from 'tap';
import { decodeStanza } from './decode.ts';
import { encode } from './encode.ts';
import { isWireError, type WireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import * as messages from './messages.ts';
import type {
  BundleAnswer,
  ClientMessage,
  ConfirmRequest,
  DeviceBundle,
  Limit,
  PushTarget,
  ServerMessage,
} from './messages.ts';
import { isChildren, type AttributeValue, type Stanza } from './stanza.ts';
import { EXTENDED_WORDS, WORDS } from './tokens.ts';
import { arbitraryClientMessage, arbitraryServerMessage, arbitraryStanza } from './testing/arbitraries.ts';

function overTheWire(stanza: Stanza): Stanza {
  return decodeStanza(encode(stanza)) as Stanza;
}

tap.test('a client message comes back from its stanza', (t) => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(arbitraryClientMessage, (message) => {
      kinds.add(message.kind);
      assert.deepStrictEqual(messages.parseClientMessage(overTheWire(messages.clientStanza(message))), message);
    }),
    { numRuns: 700 },
  );
  t.equal(kinds.size, 15, 'every kind was met');
  t.end();
});

tap.test('a server message comes back from its stanza', (t) => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(arbitraryServerMessage, (message) => {
      kinds.add(message.kind);
      assert.deepStrictEqual(messages.parseServerMessage(overTheWire(messages.serverStanza(message))), message);
    }),
    { numRuns: 1_000 },
  );
  t.equal(kinds.size, 24, 'every kind was met');
  t.end();
});

const user = '123456789012345';
const phone = '+4915100000001';
const key = new Uint8Array(33).fill(9);
key[0] = 5;
const signature = new Uint8Array(64).fill(8);
const signed = { id: 7, key, signature };
const kem = { id: 9, key: new Uint8Array(1_569).fill(6, 0, 1), signature };
const ciphertext = Uint8Array.of(1, 2, 3);
const confirm: ConfirmRequest = {
  kind: 'confirm',
  phone,
  code: '004711',
  registration: 5,
  login: new Uint8Array(32),
  identity: key,
  signed,
  lastResort: kem,
  oneTime: [{ id: 1, key }],
};
const deviceBundle: DeviceBundle = {
  id: 1,
  registration: 5,
  identity: key,
  signed,
  oneTime: { id: 1, key },
  kem: undefined,
};
const hybridBundle: DeviceBundle = { ...deviceBundle, id: 2, kem: { ...kem, lastResort: false } };
const lastBundle: DeviceBundle = { ...deviceBundle, id: 3, oneTime: undefined, kem: { ...kem, lastResort: true } };
const list = Uint8Array.of(1, 2);
const link = '31415926535897932384';
const bundle: BundleAnswer = { kind: 'bundle', user, devices: [deviceBundle, hybridBundle, lastBundle] };

const p256Point = new Uint8Array(65).fill(4, 0, 1);
const webTarget: PushTarget = {
  platform: 'web',
  url: 'https://push.example/x',
  key: p256Point,
  secret: new Uint8Array(16),
};

const clientSamples: readonly ClientMessage[] = [
  { kind: 'auth', user, device: 1, signature },
  { kind: 'auth', user, device: 1, signature, features: 1 },
  { kind: 'resume', user, device: 1, ticket: 'A-_z'.repeat(6), proof: new Uint8Array(32) },
  { kind: 'resume', user, device: 1, ticket: 'A-_z'.repeat(6), proof: new Uint8Array(32), features: 3 },
  { kind: 'iq-get', id: 7, request: { kind: 'contact', phone } },
  { kind: 'iq-get', id: 7, request: { kind: 'bundle', user } },
  { kind: 'iq-get', id: 7, request: { kind: 'receipts', to: user } },
  { kind: 'iq-get', id: 7, request: { kind: 'media-ticket', bytes: 4_242 } },
  { kind: 'iq-set', id: 7, request: { kind: 'register', phone } },
  { kind: 'iq-set', id: 7, request: confirm },
  {
    ...{ kind: 'iq-set', id: 7 },
    request: { kind: 'prekey-upload', signed, lastResort: kem, oneTime: [{ id: 1, key }], kem: [kem] },
  },
  {
    ...{ kind: 'iq-set', id: 7 },
    request: { kind: 'prekey-upload', signed: undefined, lastResort: undefined, oneTime: [], kem: [kem] },
  },
  { kind: 'iq-get', id: 7, request: { kind: 'limits' } },
  { kind: 'iq-get', id: 7, request: { kind: 'relations', after: user } },
  { kind: 'iq-get', id: 7, request: { kind: 'strangers' } },
  { kind: 'iq-get', id: 7, request: { kind: 'push' } },
  { kind: 'iq-set', id: 7, request: { kind: 'relation', user, state: 'none' } },
  { kind: 'iq-set', id: 7, request: { kind: 'strangers-change', policy: 'ask' } },
  { kind: 'iq-set', id: 7, request: { kind: 'report', user, device: 1, id: 41, evidence: undefined } },
  { kind: 'iq-set', id: 7, request: { kind: 'notify', preKeys: 20, kemPreKeys: 9 } },
  { kind: 'iq-set', id: 7, request: { kind: 'push-change', target: { platform: 'none' } } },
  { kind: 'iq-set', id: 7, request: { kind: 'push-change', target: { platform: 'fcm', token: 'a' } } },
  { kind: 'iq-set', id: 7, request: { kind: 'push-change', target: webTarget } },
  { kind: 'message', to: user, id: 41, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] },
  { kind: 'inbox-ack', seq: 977 },
  { kind: 'receipt', type: 'read', to: user, device: 1, id: 41 },
  { kind: 'ping', id: 1 },
  { kind: 'group-message', group: user, id: 41, epoch: 3, ciphertext },
  { kind: 'group-read', group: user, order: 5 },
  { kind: 'iq-get', id: 7, request: { kind: 'group', group: user, after: 3 } },
  { kind: 'iq-get', id: 7, request: { kind: 'group', group: user, gate: new Uint8Array(32) } },
  { kind: 'iq-get', id: 7, request: { kind: 'group-marks', group: user, after: user } },
  { kind: 'iq-set', id: 7, request: { kind: 'group-change', group: user, change: ciphertext } },
  { kind: 'iq-get', id: 7, request: { kind: 'bundle', user, withList: true } },
  { kind: 'iq-get', id: 7, request: { kind: 'link', id: link } },
  { kind: 'iq-get', id: 7, request: { kind: 'devices', user } },
  { kind: 'iq-set', id: 7, request: { ...confirm, kind: 'link-begin' } },
  { kind: 'iq-set', id: 7, request: { kind: 'link-approve', id: link, device: 2, list, envelope: ciphertext } },
  { kind: 'iq-set', id: 7, request: { kind: 'unlink', device: 2, list } },
  { kind: 'iq-set', id: 7, request: { kind: 'publish-list', list } },
  { kind: 'availability', state: 'available' },
  { kind: 'unsubscribe', to: user },
  { kind: 'typing', to: user, state: 'composing' },
  { kind: 'group-typing', group: user, state: 'composing' },
  { kind: 'group-unsubscribe', group: user },
  { kind: 'iq-set', id: 7, request: { kind: 'group-subscribe', group: user } },
  { kind: 'iq-get', id: 7, request: { kind: 'presence', user } },
  { kind: 'iq-get', id: 7, request: { kind: 'privacy' } },
  { kind: 'iq-set', id: 7, request: { kind: 'subscribe', to: user } },
  { kind: 'iq-set', id: 7, request: { kind: 'privacy-change', audience: 'nobody', shown: [user], hidden: [] } },
];

const serverSamples: readonly ServerMessage[] = [
  { kind: 'stream', version: 1, ts: 5, nonce: new Uint8Array(32) },
  { kind: 'success', user, device: 1, ts: 5, preKeys: 3, kemPreKeys: 2 },
  { kind: 'success', user, device: 1, ts: 5, preKeys: 3, kemPreKeys: undefined },
  {
    ...{ kind: 'success', user, device: 1, ts: 5 },
    ticket: { token: 'A-_z'.repeat(6), secret: new Uint8Array(32), expires: 604_800 },
  },
  { kind: 'failure', code: 'APP_BAD_SIGNATURE', text: 'no', retryAfter: 5 },
  { kind: 'iq-result', id: 7, answer: { kind: 'register', expires: 300 } },
  { kind: 'iq-result', id: 7, answer: { kind: 'account', user, device: 1 } },
  { kind: 'iq-result', id: 7, answer: { kind: 'contact', phone, user } },
  { kind: 'iq-result', id: 7, answer: bundle },
  { kind: 'iq-result', id: 7, answer: { kind: 'prekeys', count: 5, kem: 4 } },
  { kind: 'iq-result', id: 7, answer: { kind: 'prekeys', count: 5, kem: undefined } },
  { kind: 'iq-result', id: 7, answer: { kind: 'receipts', to: user, sent: 41, delivered: 40 } },
  {
    ...{ kind: 'iq-result', id: 7 },
    answer: {
      ...{ kind: 'receipts', to: user, sent: 41, delivered: 40 },
      gaps: [{ since: 18, until: 19, code: 'APP_EXPIRED' }],
    },
  },
  { kind: 'iq-result', id: 7, answer: { kind: 'media-ticket', ticket: new Uint8Array(64), expires: 3_600 } },
  {
    ...{ kind: 'iq-result', id: 7 },
    answer: {
      kind: 'limits',
      limits: [{ action: 'contact', left: 1, max: 2, full: 3, retryAfter: 4 }],
    },
  },
  { kind: 'iq-result', id: 7, answer: { kind: 'relation', user, state: 'blocked' } },
  {
    ...{ kind: 'iq-result', id: 7 },
    answer: { kind: 'relations', relations: [{ user, state: 'pending', count: 3 }], next: user },
  },
  { kind: 'iq-result', id: 7, answer: { kind: 'strangers', policy: 'open' } },
  { kind: 'iq-result', id: 7, answer: { kind: 'report', user } },
  { kind: 'iq-result', id: 7, answer: { kind: 'notify', preKeys: 20, kemPreKeys: 9 } },
  { kind: 'iq-result', id: 7, answer: { kind: 'push', platform: 'web', key: p256Point } },
  { kind: 'prekeys-low', preKeys: 1, kemPreKeys: 2 },
  { kind: 'iq-result', id: 7, answer: { ...bundle, list } },
  { kind: 'iq-result', id: 7, answer: { kind: 'link-begun', id: link, expires: 300 } },
  { kind: 'iq-result', id: 7, answer: { kind: 'link', id: link, device: 2, registration: 5, identity: key } },
  { kind: 'iq-result', id: 7, answer: { kind: 'devices', user, devices: [1, 2], list } },
  { kind: 'linked', user, device: 2, envelope: ciphertext },
  { kind: 'iq-error', id: 7, code: 'APP_OVERLOADED', text: 'later', retryAfter: 5 },
  { kind: 'ack', to: user, id: 41, ts: 5 },
  { kind: 'message', from: user, device: 1, id: 41, seq: 977, ts: 5, type: 'prekey', ciphertext },
  { kind: 'message', from: user, device: 1, id: 41, seq: 977, ts: 5, type: 'prekey', ciphertext, after: 900 },
  { kind: 'receipt', type: 'delivered', from: user, id: 41, ts: 5 },
  { kind: 'gap', to: user, since: 18, until: 19, ts: 5, code: 'APP_EXPIRED' },
  { kind: 'pruned', from: user, device: 1, since: 18, until: 19, seq: 978, ts: 5, code: 'APP_PRUNED' },
  { kind: 'error', to: user, id: 41, code: 'APP_DEVICES_CHANGED', text: '', retryAfter: 5, expected: 3, devices: [1] },
  { kind: 'pong', id: 1 },
  { kind: 'iq-error', id: 7, code: 'APP_GROUP_EPOCH', text: 'changed', retryAfter: undefined, epoch: 4 },
  { kind: 'iq-result', id: 7, answer: { kind: 'group', group: user, epoch: 3, order: 9, roster: key, changes: [key] } },
  { kind: 'iq-result', id: 7, answer: { kind: 'group', group: user, epoch: 3, order: 9, changes: [] } },
  { kind: 'iq-result', id: 7, answer: { kind: 'group-marks', group: user, marks: [{ user, order: 4 }], more: true } },
  { kind: 'iq-result', id: 7, answer: { kind: 'group-marks', group: user, marks: [], more: false } },
  { kind: 'group-ack', group: user, id: 41, order: 9, ts: 5 },
  { kind: 'group-message', group: user, from: user, device: 1, id: 41, order: 9, ts: 5, seq: 977, ciphertext },
  { kind: 'group-change', group: user, order: 9, ts: 5, seq: 977, change: ciphertext, after: 900 },
  { kind: 'group-pruned', group: user, since: 18, until: 19, seq: 978, ts: 5, code: 'APP_PRUNED' },
  { kind: 'group-receipts', type: 'delivered', group: user, ts: 5, marks: [{ user, order: 4 }] },
  { kind: 'group-error', group: user, id: 41, code: 'APP_GROUP_EPOCH', text: '', retryAfter: 5, expected: 3, epoch: 4 },
  { kind: 'presence', from: user, state: 'unavailable', lastSeen: 60_000 },
  { kind: 'typing', from: user, state: 'paused' },
  { kind: 'group-typing', group: user, user, state: 'paused' },
  { kind: 'iq-result', id: 7, answer: { kind: 'group-subscribe', group: user } },
  { kind: 'iq-result', id: 7, answer: { kind: 'presence', from: user, state: 'available', lastSeen: undefined } },
  { kind: 'iq-result', id: 7, answer: { kind: 'privacy', audience: 'contacts', shown: [], hidden: [user] } },
];

/** Values that no attribute of the protocol but `text` takes. */
const wrongForAll: readonly AttributeValue[] = ['', 'zz', '-', '+', '1234567890123456789', 'APP', '12.5'];

/** What a field takes beyond the sample's own value, so that the matrix below knows which swaps are wrong. */
function isRight(name: string, tag: string, value: AttributeValue): boolean {
  if (name === 'text') return typeof value === 'string';
  if (name === 'action') return typeof value === 'string';
  if (name === 'after' && tag === 'group') return typeof value === 'number';
  if (name === 'token') return typeof value === 'string' && value !== '';
  if (name === 'type') return tag === 'receipt' ? value === 'read' || value === 'delivered' : false;
  if (name === 'last-seen') return typeof value === 'number' && tag === 'presence';
  return (
    typeof value === 'number' &&
    (['ts', 'count', 'sent', 'delivered', 'prekeys', 'kem', 'retry-after', 'features'].includes(name) ||
      ['left', 'max', 'full'].includes(name) ||
      (name === 'after' && tag !== 'relations'))
  );
}

/** Every stanza inside `root` with a function that puts another one in its place. */
function* places(root: Stanza): Generator<{ stanza: Stanza; replace: (by: Stanza) => Stanza }> {
  yield { stanza: root, replace: (by) => by };
  if (!isChildren(root.content)) return;
  for (const [index, child] of root.content.entries()) {
    for (const inner of places(child)) {
      const replace = (by: Stanza): Stanza => ({
        ...root,
        content: (root.content as readonly Stanza[]).with(index, inner.replace(by)),
      });
      yield { stanza: inner.stanza, replace };
    }
  }
}

/** Attributes that may be missing, some only within one element. `<notify>` alone must have a `kem`. */
const OPTIONAL: ReadonlySet<string> = new Set([
  ...[
    'retry-after',
    'expected',
    'kem',
    'after',
    'next',
    'more',
    'features',
    'prekeys',
    'ticket',
    'relation count',
    'list',
  ],
]);

/** Variants of a stanza that are wrong in one field, each with the field that the refusal must name. */
function* wrongAttributes({ tag, attrs, content }: Stanza): Generator<{ field: string; variant: Stanza }> {
  for (let index = 0; index < attrs.length; index += 2) {
    const field = attrs[index] as string;
    const isOptional =
      isEpochOfError(tag, field) ||
      isLastSeen(tag, field) ||
      (OPTIONAL.has(field) ? tag !== 'notify' : OPTIONAL.has(`${tag} ${field}`));
    if (!isOptional) yield { field, variant: { tag, attrs: attrs.toSpliced(index, 2), content } };
    const swapped = typeof attrs[index + 1] === 'number' ? String(attrs[index + 1]) : 17;
    for (const value of [...wrongForAll, swapped, 0, LIMITS.integerMax]) {
      const isCounter = ['id', 'seq', 'expires', 'expected', 'size', 'order', 'epoch', 'until'].includes(field);
      const isSmall = ['onetime', 'signed', 'kem', 'last-resort', 'device'].includes(tag);
      if (isRight(field, tag, value)) continue;
      if (value === LIMITS.integerMax && isCounter && !isSmall) continue;
      if (value === 0 && field === 'id' && isSmall && tag !== 'device') continue;
      yield { field, variant: { tag, attrs: attrs.with(index + 1, value), content } };
    }
  }
}

function* wrongContents({ tag, attrs, content }: Stanza): Generator<Stanza> {
  const child: Stanza = { tag: 'zz', attrs: [], content: undefined };
  if (content === undefined) {
    yield { tag, attrs, content: [child] };
    yield { tag, attrs, content: Uint8Array.of(1) };
  } else if (isChildren(content)) {
    yield { tag, attrs, content: undefined };
    yield { tag, attrs, content: Uint8Array.of(1) };
    yield { tag, attrs, content: [...content, child] };
    yield { tag, attrs, content: [child, ...content.slice(1)] };
  } else {
    yield { tag, attrs, content: undefined };
    yield { tag, attrs, content: new Uint8Array(0) };
    yield { tag, attrs, content: [child] };
    const isOpaque = ['enc', 'group-change', 'roster', 'list', 'envelope', 'linked'].includes(tag);
    if (!isOpaque) yield { tag, attrs, content: Uint8Array.of(...content, 0) };
    if (!isOpaque) yield { tag, attrs, content: content.subarray(1) };
    if (content.length === 33 && !isOpaque) yield { tag, attrs, content: Uint8Array.of(4, ...content.subarray(1)) };
  }
}

type Parse = (stanza: Stanza) => { kind: string } | WireError;

/** Bends each field of each sample and wants each refused; returns how many that were. */
function bendAll(t: Pick<typeof tap, 'fail'>, samples: readonly Stanza[], parse: Parse): number {
  let bent = 0;
  for (const sample of samples) {
    for (const { stanza, replace } of places(sample)) {
      for (const { field, variant } of wrongAttributes(stanza)) {
        const result = parse(replace(variant));
        bent += 1;
        if (!isWireError(result))
          t.fail(`<${stanza.tag} ${field}> in <${sample.tag}> accepts ${JSON.stringify(variant.attrs)}`);
        else if (result.code !== 'WIRE_BAD_STANZA' || !namesField(result.message, field)) t.fail(result.message);
      }
      for (const variant of wrongContents(stanza)) {
        if (isAllowedContent(stanza, variant)) continue;
        bent += 1;
        if (!isWireError(parse(replace(variant))))
          t.fail(`content of <${stanza.tag}> in <${sample.tag}>: ${JSON.stringify(variant)}`);
      }
    }
  }
  return bent;
}

/** Without its `group`, a stanza is taken for one of a user, and what it lacks of that is named. */
function namesField(message: string, field: string): boolean {
  return message.includes(`"${field}"`) || (field === 'group' && /"(?:to|from|type)"|without content/.test(message));
}

function isEpochOfError(tag: string, field: string): boolean {
  return tag === 'error' && field === 'epoch';
}

function isLastSeen(tag: string, field: string): boolean {
  return tag === 'presence' && field === 'last-seen';
}

/** Where other content makes another valid message: what may go without has it in its samples, or the other way round. */
function isAllowedContent({ tag, attrs }: Stanza, { content }: Stanza): boolean {
  if (['error', 'group', 'receipts', 'relations', 'success', 'privacy'].includes(tag)) return content === undefined;
  if (tag === 'report') return attrs.includes('device') && !isChildren(content) && content?.length !== 0;
  return tag === 'push' && attrs.length === 2 && attrs[1] === 'web' && content === undefined;
}

tap.test('each field of a client message is refused in each wrong form, by name', (t) => {
  const bent = bendAll(t, clientSamples.map(messages.clientStanza), messages.parseClientMessage);
  t.ok(bent > 250, `${bent} bent stanzas`);
  t.end();
});

tap.test('each field of a server message is refused in each wrong form, by name', (t) => {
  const bent = bendAll(t, serverSamples.map(messages.serverStanza), messages.parseServerMessage);
  t.ok(bent > 400, `${bent} bent stanzas`);
  t.end();
});

tap.test('unknown attributes are ignored, unknown tags are not', (t) => {
  const stanza: Stanza = { tag: 'ack', attrs: ['later', 'x', 'seq', 5], content: undefined };
  t.strictSame(messages.parseClientMessage(stanza), { kind: 'inbox-ack', seq: 5 });
  for (const parse of [messages.parseClientMessage, messages.parseServerMessage]) {
    t.match(parse({ tag: 'constructor', attrs: [], content: undefined }), { code: 'WIRE_BAD_STANZA', closeCode: 4400 });
  }
  t.end();
});

tap.test('a quota of a later server is left out, and the others are read', (t) => {
  const known: Limit = { action: 'bytes', left: 1, max: 2, full: 3, retryAfter: undefined };
  const answer = (...limits: readonly Limit[]): Stanza =>
    messages.iqResultStanza({ id: 7, answer: { kind: 'limits', limits } });
  const later = { ...known, action: 'later' } as unknown as Limit;
  t.match(messages.parseServerMessage(answer(later, known)), { answer: { kind: 'limits', limits: [known] } });
  t.strictSame(messages.parseServerMessage(answer(later)), {
    ...{ kind: 'iq-result', id: 7 },
    answer: { kind: 'limits', limits: [] },
  });
  t.ok(isWireError(messages.parseServerMessage(answer({ ...later, left: -1 }))), 'its form is that of the others');
  t.end();
});

tap.test('lists at their bounds and one beyond', (t) => {
  const envelopes = (count: number): ClientMessage => ({
    ...{ kind: 'message', to: user, id: 1 },
    envelopes: Array.from({ length: count }, (_, index) => ({ device: index + 1, type: 'ratchet', ciphertext })),
  });
  const upload = (count: number): ClientMessage => ({
    ...{ kind: 'iq-set', id: 1 },
    request: { kind: 'prekey-upload', oneTime: Array.from({ length: count }, (_, id) => ({ id, key })) },
  });
  const kems = (count: number): ClientMessage => ({
    ...{ kind: 'iq-set', id: 1 },
    request: {
      ...{ kind: 'prekey-upload', signed, lastResort: kem, oneTime: [] },
      kem: Array.from({ length: count }, (_, index) => ({ ...kem, id: LIMITS.preKeyIdMax - index })),
    },
  });
  const privacy = (count: number): ClientMessage => {
    const users = Array.from({ length: 2 * count }, (_, index) => String(100_000_000_000_000 + index));
    const lists = { shown: users.slice(0, count), hidden: users.slice(count) };
    return { kind: 'iq-set', id: 1, request: { kind: 'privacy-change', audience: 'contacts', ...lists } };
  };
  const accepts = (message: ClientMessage): boolean =>
    !isWireError(messages.parseClientMessage(messages.clientStanza(message)));
  t.ok(accepts(envelopes(LIMITS.devicesMax)));
  t.notOk(accepts(envelopes(LIMITS.devicesMax + 1)));
  t.ok(accepts(upload(LIMITS.oneTimeKeysMax)));
  t.notOk(accepts(upload(LIMITS.oneTimeKeysMax + 1)));
  t.ok(
    encode(messages.clientStanza(upload(LIMITS.oneTimeKeysMax))).length < LIMITS.stanzaBytesMax,
    'it fits a message',
  );
  t.ok(accepts(kems(LIMITS.kemKeysMax)));
  t.notOk(accepts(kems(LIMITS.kemKeysMax + 1)));
  t.ok(encode(messages.clientStanza(kems(LIMITS.kemKeysMax))).length < LIMITS.stanzaBytesMax, 'and so does this');
  t.ok(accepts(privacy(LIMITS.privacyUsersMax)));
  t.notOk(accepts(privacy(LIMITS.privacyUsersMax + 1)));
  t.ok(encode(messages.clientStanza(privacy(LIMITS.privacyUsersMax))).length < LIMITS.stanzaBytesMax, 'and this');
  const devices = (count: number): Stanza =>
    messages.iqResultStanza({
      id: LIMITS.integerMax,
      answer: { ...bundle, devices: Array.from({ length: count }, (_, id) => ({ ...hybridBundle, id: id + 1 })) },
    });
  t.notOk(isWireError(messages.parseServerMessage(devices(LIMITS.bundleDevicesMax))));
  t.ok(isWireError(messages.parseServerMessage(devices(LIMITS.bundleDevicesMax + 1))));
  t.ok(encode(devices(LIMITS.bundleDevicesMax)).length < LIMITS.stanzaBytesMax, 'a full bundle, too');
  t.end();
});

/** Reads settings as those of a request. */
function asPrivacyChange(stanza: Stanza): { kind: string } | WireError {
  return messages.parseClientMessage({ tag: 'iq', attrs: ['type', 'set', 'id', 1], content: [stanza] });
}

tap.test('what must be distinct is', (t) => {
  const twice = <T>(item: T): [T, T] => [item, item];
  const ones = twice({ id: 1, key });
  const refused: [Stanza, Parse][] = [
    [messages.iqSetStanza({ id: 1, request: { kind: 'prekey-upload', oneTime: ones } }), messages.parseClientMessage],
    [messages.iqSetStanza({ id: 1, request: { ...confirm, oneTime: ones } }), messages.parseClientMessage],
    [
      messages.iqSetStanza({ id: 1, request: { kind: 'prekey-upload', oneTime: [], kem: twice(kem) } }),
      messages.parseClientMessage,
    ],
    [
      messages.messageStanza({ to: user, id: 1, envelopes: twice({ device: 1, type: 'ratchet', ciphertext }) }),
      messages.parseClientMessage,
    ],
    [
      messages.iqResultStanza({ id: 1, answer: { ...bundle, devices: twice(deviceBundle) } }),
      messages.parseServerMessage,
    ],
    [messages.privacyStanza({ audience: 'everyone', shown: [user], hidden: [user] }), asPrivacyChange],
    [messages.errorStanza({ to: user, id: 1, code: 'APP_X', text: '', devices: [1, 1] }), messages.parseServerMessage],
  ];
  for (const [stanza, parse] of refused) t.ok(isWireError(parse(stanza)), stanza.tag);
  t.end();
});

tap.test('parsers answer any stanza', (t) => {
  fc.assert(
    fc.property(arbitraryStanza, fc.constantFrom('iq', 'message', 'ack', 'error', 'success'), (stanza, tag) => {
      for (const parse of [messages.parseClientMessage, messages.parseServerMessage]) {
        const result = parse({ ...stanza, tag });
        if (isWireError(result)) assert.equal(result.code, 'WIRE_BAD_STANZA');
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});

tap.test(
  'what is said most takes a few bytes beside its ciphertext, and each word of the dictionary one or two',
  (t) => {
    const id = 1_000;
    const envelopes = [{ device: 1, type: 'ratchet', ciphertext: new Uint8Array(160) }] as const;
    const said: readonly (readonly [string, Stanza, number])[] = [
      ['message', messages.clientStanza({ kind: 'message', to: user, id, envelopes }), 160 + 32],
      ['inbox-ack', messages.clientStanza({ kind: 'inbox-ack', seq: id }), 8],
      ['receipt', messages.clientStanza({ kind: 'receipt', type: 'read', to: user, device: 1, id }), 24],
      ['ping', messages.clientStanza({ kind: 'ping', id }), 8],
    ];
    for (const [name, stanza, bytesMax] of said) {
      const bytes = encode(stanza).length;
      t.ok(bytes <= bytesMax, `${name}: ${bytes} bytes`);
    }
    const lengthOf = (value: string): number =>
      encode({ tag: 'ping', attrs: ['to', value], content: undefined }).length;
    const dear = [...WORDS, ...EXTENDED_WORDS].filter((word, index) => {
      return lengthOf(word) !== lengthOf('') + (index < WORDS.length ? -1 : 0);
    });
    t.same(dear, [], 'whatever its length');
    t.equal(lengthOf('nowhere') - lengthOf('message'), 8, 'of any other word all letters travel');
    t.end();
  },
);
