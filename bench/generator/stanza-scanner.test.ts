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
  type WireError,
} from '../../protocol/wire/index.ts';
import { StanzaScanner } from './stanza-scanner.ts';

const PEER = { user: '123456789012345', device: 1 };
const STRANGER = '543210987654321';

type Heard =
  | { readonly kind: 'delivery'; readonly id: number; readonly seq: number; readonly ciphertext: string }
  | { readonly kind: 'ack' | 'receipt'; readonly id: number };

interface Told {
  /** Everything of the conversation in the order told, whichever way it was read. */
  readonly told: Heard[];
  /** How much of it was recognised without the real decoder. */
  readonly recognised: number;
  readonly others: ServerMessage[];
  readonly code: string | undefined;
}

function scan(bytes: Uint8Array): Told {
  const told: Heard[] = [];
  const others: ServerMessage[] = [];
  const scanner = new StanzaScanner(PEER, {
    delivery: (id, seq, from, start, end) =>
      told.push({ kind: 'delivery', id, seq, ciphertext: hex(from.subarray(start, end)) }),
    ack: (id) => told.push({ kind: 'ack', id }),
    receipt: (id) => told.push({ kind: 'receipt', id }),
    other: (message) => {
      others.push(message);
      told.push(inScannersWords(message)!);
    },
  });
  const code = scanner.scan(bytes, 0, bytes.length)?.code;
  return { told, recognised: told.length - others.length, others, code };
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

function inScannersWords(message: ServerMessage): Heard | undefined {
  if (message.kind === 'ack' || message.kind === 'receipt') return { kind: message.kind, id: message.id };
  if (message.kind !== 'message') return undefined;
  return { kind: 'delivery', id: message.id, seq: message.seq, ciphertext: hex(message.ciphertext) };
}

/** What the real decoder and parser make of a stanza. */
function reference(bytes: Uint8Array): ServerMessage | WireError {
  const stanza = decodeStanza(bytes);
  return isWireError(stanza) ? stanza : parseServerMessage(stanza);
}

const counter = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 70_000 }) },
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 2 ** 48 - 1 }) },
  // Seven bytes: legal, and left to the decoder.
  { weight: 1, arbitrary: fc.integer({ min: 2 ** 48, max: Number.MAX_SAFE_INTEGER }) },
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
  let [recognised, stanzaCount] = [0, 0];
  fc.assert(
    fc.property(fc.array(known, { minLength: 1, maxLength: 20 }), (stanzas) => {
      const { told, code, ...counts } = scan(frames(...stanzas));
      recognised += counts.recognised;
      stanzaCount += stanzas.length;
      const expected = stanzas.map((stanza) => inScannersWords(reference(encode(stanza)) as ServerMessage));
      return code === undefined && JSON.stringify(told) === JSON.stringify(expected);
    }),
    { numRuns: 500 },
  );
  t.ok(recognised > stanzaCount * 0.8, 'nearly all go the fast way');
  t.ok(recognised < stanzaCount, 'and those with integers of seven bytes do not');
});

t.test('a damaged stanza is never understood in another way than by the real decoder', async () => {
  const damage = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(known, fc.array(damage, { minLength: 1, maxLength: 3 }), (stanza, damages) => {
      const bytes = encode(stanza);
      for (const { at, byte } of damages) bytes[at % bytes.length] = byte;
      const { told, recognised, code } = scan(frame(bytes));
      const message = reference(bytes);
      if (isWireError(message)) return code === message.code && told.length === 0;
      if (recognised === 0) return told.length === 1 && code === undefined;
      return JSON.stringify(told[0]) === JSON.stringify(inScannersWords(message));
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
    const { told, code } = scan(frame(whole.subarray(0, length)));
    t.same(told, [], `${length} bytes`);
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
  t.equal(result.recognised, 0);
  t.same(
    result.others.map(({ kind }) => kind),
    ['message', 'message', 'message', 'ack', 'receipt', 'error', 'pong'],
  );
});
