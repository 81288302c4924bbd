/**
 * Records at rest: fixtures of every version, which every later version must read, and what damage does.
 */

import t from 'tap';
import {
  HEAD,
  HEARD,
  KEPT,
  KEYS,
  MARKS,
  numberOfKey,
  OUTBOX,
  OWED,
  PEER,
  RETRY,
  SYNCED,
  TICKET,
  userOfKey,
} from './layout.ts';
import { HISTORY, UNTOUCHED } from './history-layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import type { RecordCodec } from './record-codec.ts';
import { RecordReader, RecordWriter } from './record.ts';

const USER = '100000000000001';

const SEALED = [{ device: 2, type: 'prekey', ciphertext: Uint8Array.of(0xaa) }];
const TEXT_CONTENT = { body: { kind: 'text', text: 'x' }, timerSeconds: 0, isViewOnce: false };
const SEEN = { kind: 'seen', user: '7', device: 2, id: 7 };
const REFUSED = {
  ...UNTOUCHED,
  direction: 'out',
  number: 2,
  device: 1,
  sentAt: 5,
  storedAt: 6,
  failure: 'APP_X',
  body: { kind: 'text', text: 'y' },
};
const RECEIVED = { ...UNTOUCHED, direction: 'in', number: 2, device: 1, sentAt: 5, storedAt: 6 };
const PLACEHOLDER = { ...RECEIVED, body: { kind: 'undecryptable', code: 'SIG_X' } };
const TOUCHED = {
  ...RECEIVED,
  body: { kind: 'timer', seconds: 60 },
  editedAt: 7,
  expiresAt: 8,
  isViewOnce: true,
  viewedAt: 9,
  reactions: [{ author: '1', emoji: '!' }],
};

/** As this release writes them. */
const FIXTURES: [string, RecordCodec<never>, unknown, string][] = [
  ['number', NUMBER as never, 300, '01ac02'],
  ['text', TEXT as never, 'hi', '01026869'],
  ['head', HEAD as never, { nextId: 5, devices: [1, 9] }, '0105020109'],
  ['marks', MARKS as never, { sentId: 9, deliveredId: 8, readId: 7 }, '01090807'],
  [
    'ticket',
    TICKET as never,
    { token: 'AQ', secret: Uint8Array.of(7, 8), expiresAtMs: 300 },
    '01' + '024151' + '020708' + 'ac02',
  ],
  ['peer', PEER as never, { phone: '+1', verified: true }, '01022b3101'],
  [
    'outbox',
    OUTBOX as never,
    { ordinal: 3, sentAt: 4, content: TEXT_CONTENT, sealed: SEALED },
    '020304010000020178' + '01020101aa',
  ],
  [
    'history, outgoing and refused',
    HISTORY as never,
    REFUSED,
    '0401020105060541' + '50505f58' + '010179' + '0000000000' + '0000' + '00',
  ],
  [
    'history, a placeholder',
    HISTORY as never,
    PLACEHOLDER,
    '040002010506000305' + '5349475f58' + '0000000000' + '0000' + '00',
  ],
  [
    'history, deleted',
    HISTORY as never,
    { ...RECEIVED, body: { kind: 'deleted' } },
    '0400020105060005' + '0000000000' + '0000' + '00',
  ],
  [
    'history, with everything',
    HISTORY as never,
    TOUCHED,
    '0400020105060004' + '060000013c' + '07080109' + '0101310121' + '0000' + '00',
  ],
  [
    'history, forwarded',
    HISTORY as never,
    { ...RECEIVED, body: { kind: 'deleted' }, isForwarded: true },
    '0400020105060005' + '0000000000' + '0000' + '01',
  ],
  ['heard', HEARD as never, { lastId: 9, readId: 7, identityKey: Uint8Array.of(5, 6) }, '020907' + '020506'],
  ['heard, by nobody yet', HEARD as never, { lastId: 0, readId: 7, identityKey: undefined }, '020007' + '00'],
  [
    'history, of a group',
    HISTORY as never,
    { ...RECEIVED, author: '7', order: 300, body: { kind: 'deleted' } },
    '0400020105060005' + '0000000000' + '0137' + 'ac02' + '00',
  ],
  [
    'kept',
    KEPT as never,
    { sentAt: 4, content: TEXT_CONTENT, recipients: [{ device: 2, identityKey: Uint8Array.of(5, 6) }] },
    '0104' + '0100000201' + '78' + '0102' + '020506',
  ],
  [
    'retry',
    RETRY as never,
    { ordinal: 7, code: 'SIG_X', tries: 1, askedAt: 300 },
    '0107' + '055349475f58' + '01' + 'ac02',
  ],
  ['owed to other devices', OWED as never, SEEN, '01' + '0f0000' + '04' + '01370207'],
  [
    'told by another device',
    SYNCED as never,
    { device: 3, identityKey: Uint8Array.of(5, 6), body: SEEN },
    '0203' + '0f0000' + '04' + '01370207' + '020506',
  ],
];

/** As earlier releases wrote them. */
const EARLIER: [string, RecordCodec<never>, unknown, string][] = [
  [
    'outbox 1',
    OUTBOX as never,
    { ordinal: 3, sentAt: 4, content: TEXT_CONTENT, sealed: SEALED },
    '010304017801020101aa',
  ],
  ['history 1, outgoing and refused', HISTORY as never, REFUSED, '01010201050605' + '4150505f58' + '010179'],
  [
    'history 2, with everything',
    HISTORY as never,
    TOUCHED,
    '0200020105060004' + '060000013c' + '07080109' + '0101310121',
  ],
  [
    'told by another device 1',
    SYNCED as never,
    { device: 3, identityKey: undefined, body: SEEN },
    '0103' + '0f0000' + '04' + '01370207',
  ],
  ['heard 1', HEARD as never, { lastId: 9, readId: 7, identityKey: undefined }, '010907'],
  [
    'history 3, of a group',
    HISTORY as never,
    { ...RECEIVED, author: '7', order: 300, body: { kind: 'deleted' } },
    '0300020105060005' + '0000000000' + '0137' + 'ac02',
  ],
  ['history 1, a placeholder', HISTORY as never, PLACEHOLDER, '010002010506000305' + '5349475f58'],
];

for (const [name, codec, value, hex] of FIXTURES) {
  t.test(`${name}: the bytes that are written`, async (t) => {
    t.equal(Buffer.from(codec.encode(value as never)).toString('hex'), hex);
  });
}

for (const [name, codec, value, hex] of [...FIXTURES, ...EARLIER]) {
  t.test(`${name}: the bytes that are read`, async (t) => {
    const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
    t.same(codec.decode(bytes), value);
    for (let length = 0; length < bytes.length; length += 1) {
      t.throws(() => codec.decode(bytes.subarray(0, length)), { code: 'CLI_STORE_CORRUPT' });
    }
    t.throws(() => codec.decode(Uint8Array.of(...bytes, 0)), { code: 'CLI_STORE_CORRUPT' }, 'trailing bytes');
    for (const version of [0, 5]) {
      const other = Uint8Array.of(version, ...bytes.subarray(1));
      t.throws(() => codec.decode(other), { code: 'CLI_STORE_CORRUPT' }, 'a version that there is not');
    }
  });
}

t.test('keys sort by number, and give their parts back', async (t) => {
  const keys = [1, 9, 10, 99, 1_000_000, 2 ** 53 - 1].map((id) => KEYS.outbox(USER, id));
  t.same([...keys].sort(), keys);
  t.equal(numberOfKey(keys[3]!), 99);
  t.equal(userOfKey(keys[3]!), USER);
  t.equal(userOfKey(KEYS.head(USER)), USER);
});

t.test('integers keep their value at every width, and stop at 53 bits', async (t) => {
  const edges = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 49 - 1, 2 ** 49, 2 ** 53 - 1];
  for (const value of edges) t.equal(new RecordReader(new RecordWriter().uint(value).finish()).uint(), value);
  for (const value of [-1, 0.5, 2 ** 53, NaN]) t.throws(() => new RecordWriter().uint(value), RangeError);
  const beyond = new RecordReader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 31));
  beyond.uint();
  t.equal(beyond.failed, true);
});

t.test('a reader never gives out more than there is', async (t) => {
  const reader = new RecordReader(Uint8Array.of(200, 1, 2));
  t.equal(reader.bytes().length, 0);
  t.equal(reader.failed, true);
  t.equal(reader.uint(), 0, 'and stays failed');
});
