import t from 'tap';
import { LIMITS } from '../limits.ts';
import { readMaskedFrame, serverFrame } from '../testing/server-frames.ts';
import {
  acceptOf,
  ClientFrameWriter,
  OPCODE,
  parseClose,
  parseUpgradeAnswer,
  ServerFrameReader,
  upgradeRequest,
  type FramingFault,
} from './websocket.ts';

interface Heard {
  readonly messages: string[];
  readonly controls: string[];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Reads `stream` in the pieces given by `cut`, and returns what was heard and the fault, if any. */
function read(stream: Uint8Array, cut: (at: number) => number): Heard & { readonly fault: FramingFault | undefined } {
  const reader = new ServerFrameReader();
  const heard: Heard = { messages: [], controls: [] };
  let fault: FramingFault | undefined;
  for (let at = 0; at < stream.length && fault === undefined;) {
    const end = Math.min(stream.length, at + cut(at));
    // A buffer of its own for each read, overwritten afterwards: what is kept must have been copied.
    const chunk = Uint8Array.from(stream.subarray(at, end));
    fault = reader.read(chunk, {
      message: (bytes, start, stop) => heard.messages.push(hex(bytes.subarray(start, stop))),
      control: (opcode, payload) => heard.controls.push(`${opcode}:${hex(payload)}`),
    });
    chunk.fill(0xff);
    at = end;
  }
  return { ...heard, fault };
}

t.test('client frames have the bytes of RFC 6455', async (t) => {
  const writer = new ClientFrameWriter();
  writer.frame(OPCODE.binary, Uint8Array.of(1, 2, 3));
  t.equal(hex(writer.bytes()), '828300000000010203', 'final, binary, masked with the zero key, 3 bytes');
  writer.frame(OPCODE.pong, new Uint8Array(0));
  t.equal(hex(writer.bytes()), '8283000000000102038a8000000000', 'frames stand one behind another');
});

t.test(
  'a length has its one legal form on both sides of the border, and the other side reads the same payload',
  async (t) => {
    for (const length of [0, 1, 124, 125, 126, 127, 255, 256, 16_384]) {
      const payload = Uint8Array.from({ length }, (_, index) => index * 7);
      const writer = new ClientFrameWriter();
      writer.frame(OPCODE.binary, payload);
      const frame = readMaskedFrame(Buffer.from(writer.bytes()))!;
      t.equal(hex(frame.payload), hex(payload), `${length} bytes`);
      t.equal(frame.bytes, writer.length);
    }
  },
);

t.test('memory is not written to again while somebody else holds it', async (t) => {
  const writer = new ClientFrameWriter();
  writer.frame(OPCODE.binary, Uint8Array.of(1));
  const held = writer.bytes();
  const before = hex(held);
  writer.detach();
  writer.frame(OPCODE.binary, Uint8Array.of(2));
  t.equal(hex(held), before);
});

t.test('the room of a writer ends before its memory does', async (t) => {
  const writer = new ClientFrameWriter();
  while (writer.room >= 1000) writer.frame(OPCODE.binary, new Uint8Array(1000));
  const { room } = writer;
  writer.frame(OPCODE.binary, new Uint8Array(room));
  t.ok(writer.length <= LIMITS.turnBytesMax);
  t.equal(writer.room, 0);
});

const payloads = [1, 125, 126, 300, 5000].map((length) => Uint8Array.from({ length }, (_, index) => index ^ length));
const stream = Buffer.concat([
  ...payloads.map((payload) => serverFrame(payload)),
  serverFrame(Uint8Array.of(9), OPCODE.ping),
  serverFrame(Uint8Array.of(1), OPCODE.binary, false),
  serverFrame(Uint8Array.of(2), OPCODE.continuation, false),
  serverFrame(new Uint8Array(0), OPCODE.ping),
  serverFrame(Uint8Array.of(3), OPCODE.continuation),
]);
const expected = [...payloads.map(hex), '010203'];

t.test('messages are the same however the bytes are cut', async (t) => {
  const cuts: Record<string, (at: number) => number> = {
    'in one piece': () => stream.length,
    'byte by byte': () => 1,
    'in twos': () => 2,
    'in hundreds': () => 100,
    irregularly: (at) => 1 + ((at * 7919) % 61),
  };
  for (const [name, cut] of Object.entries(cuts)) {
    const { messages, controls, fault } = read(stream, cut);
    t.same(messages, expected, name);
    t.same(controls, ['9:09', '9:'], 'a ping may stand between the frames of a message');
    t.equal(fault, undefined);
  }
});

t.test('every cut in two gives the same', async (t) => {
  const short = Buffer.concat([serverFrame(payloads[2]!), serverFrame(payloads[0]!)]);
  for (let at = 1; at < short.length; at += 1) {
    t.same(read(short, (from) => (from === 0 ? at : short.length)).messages, [hex(payloads[2]!), hex(payloads[0]!)]);
  }
});

t.test('bytes that no server of this protocol sends are a fault', async (t) => {
  const faults: [string, string, FramingFault][] = [
    ['masked', '828100000000 01', 'masked'],
    ['reserved bit, that is compression', 'c20101', 'reserved-bits'],
    ['text', '810141', 'text'],
    ['unknown opcode', '830101', 'bad-opcode'],
    ['unknown control opcode', '8b00', 'bad-opcode'],
    ['control frame in parts', '0900', 'bad-control'],
    ['long control frame', '897e0080', 'bad-control'],
    ['length over the bound', '827e4001', 'too-large'],
    ['64-bit length', '827f0000000000000001', 'too-large'],
    ['continuation of nothing', '800101', 'bad-sequence'],
    ['a new message inside a message', '020101820101', 'bad-sequence'],
  ];
  for (const [name, text, fault] of faults) {
    const bytes = Buffer.from(text.replaceAll(' ', ''), 'hex');
    t.equal(read(bytes, () => bytes.length).fault, fault, name);
    t.equal(read(bytes, () => 1).fault, fault, `${name}, byte by byte`);
  }
});

t.test('a message in parts has the bound of a whole one, before its last part', async (t) => {
  const part = (lead: number): Buffer => Buffer.concat([Buffer.from([lead, 0x7e, 0x20, 0x00]), Buffer.alloc(0x2000)]);
  const within = Buffer.concat([part(0x02), part(0x80)]);
  t.match(
    read(within, () => within.length),
    { messages: { length: 1 }, fault: undefined },
  );
  const over = Buffer.concat([part(0x02), part(0x00), part(0x00)]);
  t.equal(read(over, () => over.length).fault, 'too-large');
});

t.test('a fault is final', async (t) => {
  const reader = new ServerFrameReader();
  const take = { message: () => t.fail('no message after a fault'), control: () => t.fail('no control frame') };
  t.equal(reader.read(Buffer.from('c20101', 'hex'), take), 'reserved-bits');
  t.equal(reader.read(serverFrame(Uint8Array.of(1)), take), 'reserved-bits');
});

t.test('a close frame has a code and a reason, or neither', async (t) => {
  t.same(parseClose(Buffer.from([0x11, 0x39, ...Buffer.from('APP_REPLACED')])), { code: 4409, reason: 'APP_REPLACED' });
  t.same(parseClose(new Uint8Array(0)), { code: 1005, reason: '' });
});

t.test('the upgrade follows RFC 6455', async (t) => {
  t.equal(acceptOf('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'the example of section 1.3');
  const request = upgradeRequest(new URL('ws://127.0.0.1:7400/ws'), 'blindbeam.1', 'key');
  t.match(request, /^GET \/ws HTTP\/1\.1\r\nHost: 127\.0\.0\.1:7400\r\n/);
  t.ok(request.endsWith('\r\n\r\n'));
});

t.test('the answer to an upgrade is checked', async (t) => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const answer = (status: string, accept: string, protocol: string): Buffer =>
    Buffer.from(`HTTP/1.1 ${status}\r\nSEC-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`);
  const good = answer('101 Switching Protocols', acceptOf(key), 'blindbeam.1');
  t.same(parseUpgradeAnswer(Buffer.concat([good, Buffer.from('frames')]), 'blindbeam.1', key), { bytes: good.length });
  t.equal(parseUpgradeAnswer(good.subarray(0, good.length - 1), 'blindbeam.1', key), 'need-more');
  const bad = [
    answer('503 Service Unavailable', '', ''),
    answer('101 OK', 'wrong', 'blindbeam.1'),
    answer('101 OK', acceptOf(key), 'other'),
    Buffer.alloc(LIMITS.upgradeAnswerBytesMax + 1, 0x20),
  ];
  for (const received of bad) t.match(parseUpgradeAnswer(received, 'blindbeam.1', key), { fault: String });
});
