import fc from 'fast-check';
import t from 'tap';
import {
  ackStanza,
  decodeStanza,
  deliveryStanza,
  encode,
  errorStanza,
  FrameWriter,
  isWireError,
  parseServerMessage,
  pongStanza,
  receiptStanza,
  type ServerMessage,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { StanzaScanner } from './stanza-scanner.ts';

const PEER = { user: '123456789012345', device: 1 };
const STRANGER = '543210987654321';

type Heard =
  | { readonly kind: 'delivery'; readonly id: number; readonly seq: number; readonly ciphertext: string }
  | { readonly kind: 'ack' | 'receipt'; readonly id: number };

/** What a scanner tells, in the order told; `slow` counts what went to the real decoder. */
function scan(bytes: Uint8Array): {
  readonly heard: Heard[];
  readonly others: ServerMessage[];
  readonly code: string | undefined;
} {
  const heard: Heard[] = [];
  const others: ServerMessage[] = [];
  const scanner = new StanzaScanner(PEER, {
    delivery: (id, seq, from, start, end) =>
      heard.push({ kind: 'delivery', id, seq, ciphertext: hex(from.subarray(start, end)) }),
    ack: (id) => heard.push({ kind: 'ack', id }),
    receipt: (id) => heard.push({ kind: 'receipt', id }),
    other: (message) => others.push(message),
  });
  const code = scanner.scan(bytes, 0, bytes.length)?.code;
  return { heard, others, code };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function frames(...stanzas: Stanza[]): Uint8Array {
  const writer = new FrameWriter();
  for (const stanza of stanzas) writer.append(stanza);
  return writer.bytes().slice();
}

/** One frame around any bytes. */
function frame(stanza: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([0, stanza.length >> 8, stanza.length & 255]), stanza]);
}

/** What the real decoder makes of the same stanza, in the scanner's words; `undefined` when it refuses or it is another. */
function reference(bytes: Uint8Array): Heard | undefined {
  const stanza = decodeStanza(bytes);
  const message = isWireError(stanza) ? stanza : parseServerMessage(stanza);
  if (isWireError(message)) return undefined;
  if (message.kind === 'ack') return { kind: 'ack', id: message.id };
  if (message.kind === 'receipt') return { kind: 'receipt', id: message.id };
  if (message.kind !== 'message') return undefined;
  return { kind: 'delivery', id: message.id, seq: message.seq, ciphertext: hex(message.ciphertext) };
}

const counter = fc.oneof(
  fc.integer({ min: 1, max: 70_000 }),
  fc.maxSafeInteger().map((value) => Math.abs(value) || 1),
);
const known: fc.Arbitrary<Stanza> = fc.oneof(
  fc
    .record({ id: counter, seq: counter, ts: counter, ciphertext: fc.uint8Array({ minLength: 1, maxLength: 300 }) })
    .map((fields) => deliveryStanza({ from: PEER.user, device: PEER.device, type: 'ratchet', ...fields })),
  fc.record({ id: counter, ts: counter }).map((fields) => ackStanza({ to: PEER.user, ...fields })),
  fc
    .record({ id: counter, ts: counter })
    .map((fields) => receiptStanza({ type: 'delivered', from: PEER.user, ...fields })),
);

t.test('what the scanner recognises, the real decoder reads the same', async (t) => {
  let recognised = 0;
  fc.assert(
    fc.property(fc.array(known, { minLength: 1, maxLength: 20 }), (stanzas) => {
      const { heard, others, code } = scan(frames(...stanzas));
      const expected = stanzas.map((stanza) => reference(encode(stanza))!);
      recognised += heard.length;
      const [fast, slow] = [heard.length, others.length];
      t.equal(code, undefined);
      t.equal(fast + slow, stanzas.length, 'each is taken once');
      // Seven-byte integers are left to the decoder; the rest is recognised, in order.
      t.same(
        slow === 0 ? heard : expected.filter((item) => heard.some((other) => other.id === item.id)),
        slow === 0 ? expected : heard,
      );
    }),
    { numRuns: 200 },
  );
  t.ok(recognised > 500, 'the fast way is taken at all');
});

t.test('a damaged stanza is never understood in another way than by the real decoder', async () => {
  const damage = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(known, fc.array(damage, { minLength: 1, maxLength: 3 }), (stanza, damages) => {
      const bytes = encode(stanza);
      for (const { at, byte } of damages) bytes[at % bytes.length] = byte;
      const { heard, others, code } = scan(frame(bytes));
      const decoded = decodeStanza(bytes);
      const message = isWireError(decoded) ? decoded : parseServerMessage(decoded);
      if (isWireError(message)) return code === message.code && heard.length + others.length === 0;
      if (heard.length === 0) return others.length === 1 && code === undefined;
      return JSON.stringify(heard[0]) === JSON.stringify(reference(bytes));
    }),
    { numRuns: 5000 },
  );
});

t.test('every truncation is refused or left to the decoder', async (t) => {
  const ciphertext = new Uint8Array(200).fill(7);
  const whole = encode(
    deliveryStanza({ from: PEER.user, device: 1, id: 300, seq: 70_000, ts: 2 ** 40, type: 'ratchet', ciphertext }),
  );
  for (let length = 0; length < whole.length; length += 1) {
    const { heard, code } = scan(frame(whole.subarray(0, length)));
    t.same(heard, [], `${length} bytes`);
    t.type(code, 'string');
  }
});

t.test('a message cut inside a frame is refused', async (t) => {
  const whole = frames(ackStanza({ to: PEER.user, id: 1, ts: 1 }), ackStanza({ to: PEER.user, id: 2, ts: 1 }));
  for (const length of [1, 2, whole.length - 1]) t.equal(scan(whole.subarray(0, length)).code, 'WIRE_TRUNCATED');
});

t.test('other conversations, types and stanzas go to the decoder', async (t) => {
  const ciphertext = Uint8Array.of(1);
  const fields = { id: 1, seq: 1, ts: 1, ciphertext } as const;
  const others: Stanza[] = [
    deliveryStanza({ ...fields, from: STRANGER, device: 1, type: 'ratchet' }),
    deliveryStanza({ ...fields, from: PEER.user, device: 2, type: 'ratchet' }),
    deliveryStanza({ ...fields, from: PEER.user, device: 1, type: 'prekey' }),
    ackStanza({ to: STRANGER, id: 1, ts: 1 }),
    receiptStanza({ type: 'read', from: PEER.user, id: 1, ts: 1 }),
    errorStanza({ to: PEER.user, id: 1, code: 'APP_OVERLOADED', text: 'busy' }),
    pongStanza({ id: 1 }),
  ];
  const result = scan(frames(...others));
  t.same(result.heard, []);
  t.same(
    result.others.map(({ kind }) => kind),
    ['message', 'message', 'message', 'ack', 'receipt', 'error', 'pong'],
  );
});
