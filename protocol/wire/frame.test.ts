/** Frames: whole messages, the writer at its bound, and byte streams cut anywhere. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encode } from './encode.ts';
import { isWireError, type WireError } from './errors.ts';
import { decodeMessage, eachStanza, FrameReader, FrameWriter } from './frame.ts';
import { LIMITS } from './limits.ts';
import type { Stanza } from './stanza.ts';
import { arbitraryStanza } from './testing/arbitraries.ts';
import { bytesFrom, plainOf, type Hex } from './testing/notation.ts';

/** Frames of the stanzas, written by hand and not by the writer under test. */
function framed(...stanzas: Stanza[]): Uint8Array {
  const frames = stanzas.map((stanza) => {
    const bytes = encode(stanza);
    return [bytes.length >> 16, (bytes.length >> 8) & 255, bytes.length & 255, ...bytes];
  });
  return Uint8Array.from(frames.flat());
}

function sized(bytes: number): Stanza {
  // Tag, head and a count of two bytes stand before the content.
  return { tag: 'enc', attrs: [], content: new Uint8Array(bytes - 4).fill(7) };
}

const ack: Stanza = { tag: 'ack', attrs: ['seq', 977], content: undefined };

t.test('a message is its frames in order', (t) => {
  fc.assert(
    fc.property(fc.array(arbitraryStanza, { minLength: 1, maxLength: 5 }), (stanzas) => {
      const bytes = framed(...stanzas);
      const writer = new FrameWriter();
      if (bytes.length > LIMITS.messageBytesMax) return;
      for (const stanza of stanzas) assert.ok(writer.append(stanza));
      assert.deepStrictEqual(Buffer.from(writer.bytes()), Buffer.from(bytes));
      assert.deepStrictEqual((decodeMessage(bytes) as Stanza[]).map(plainOf), stanzas.map(plainOf));
      const taken: unknown[] = [];
      assert.equal(
        eachStanza(bytes, (stanza) => taken.push(plainOf(stanza))),
        undefined,
      );
      assert.deepStrictEqual(taken, stanzas.map(plainOf));
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('broken messages', (t) => {
  const broken: [string, Hex, string, number][] = [
    ['no frame', '', 'WIRE_TRUNCATED', 0],
    ['half a header', '0000', 'WIRE_TRUNCATED', 0],
    ['a header alone', '000002', 'WIRE_TRUNCATED', 0],
    ['an empty frame', '000000', 'WIRE_TRUNCATED', 3],
    ['a frame cut', '000002 02', 'WIRE_TRUNCATED', 0],
    ['a frame one byte short', '000001 0200', 'WIRE_TRUNCATED', 4],
    ['a frame one byte long', '000003 020000', 'WIRE_TRAILING_BYTES', 5],
    ['a second frame cut', '000002 0200 000002 02', 'WIRE_TRUNCATED', 5],
    ['a second frame refused', '000002 0200 000002 e700', 'WIRE_RESERVED', 8],
    ['a frame of 16,382', ['003ffe', { repeat: '00', times: 100 }], 'WIRE_FRAME_TOO_LARGE', 0],
    ['a message of 16,385', [{ repeat: '0000020200', times: 3277 }], 'WIRE_FRAME_TOO_LARGE', 0],
  ];
  for (const [name, hex, code, offset] of broken) {
    t.match(decodeMessage(bytesFrom(hex)), { code, offset }, name);
    t.match(
      eachStanza(bytesFrom(hex), () => {}),
      { code, offset },
      `${name}, one by one`,
    );
  }
  t.end();
});

t.test('eachStanza has given the stanzas before a broken one, decodeMessage none', (t) => {
  const bytes = bytesFrom('000002 0200 000002 e700');
  const taken: Stanza[] = [];
  t.ok(eachStanza(bytes, (stanza) => taken.push(stanza)));
  t.equal(taken.length, 1);
  t.ok(isWireError(decodeMessage(bytes) as WireError));
  t.end();
});

t.test('the writer takes exactly 16,384 bytes', (t) => {
  const writer = new FrameWriter();
  t.ok(writer.isEmpty);
  t.equal(writer.bytes().length, 0);
  t.ok(writer.append(sized(LIMITS.stanzaBytesMax)), 'a stanza at the bound');
  t.equal(writer.bytes().length, LIMITS.messageBytesMax);
  t.equal(writer.append(ack), false, 'then no more');
  t.notOk(isWireError(decodeMessage(writer.bytes()) as WireError));
  writer.reset();
  t.ok(writer.isEmpty);
  t.ok(writer.append(sized(LIMITS.stanzaBytesMax - 9)), 'room for nine bytes');
  const before = Buffer.from(writer.bytes());
  t.equal(writer.append(sized(136)), false, 'what does not fit leaves no trace');
  t.strictSame(Buffer.from(writer.bytes()), before);
  t.ok(writer.append(ack), 'an acknowledgement of nine bytes still fits');
  t.equal((decodeMessage(writer.bytes()) as Stanza[]).length, 2);
  t.end();
});

t.test('a stanza that no message holds throws, whatever the writer holds, and leaves it whole', (t) => {
  const writer = new FrameWriter();
  t.throws(() => writer.append(sized(LIMITS.stanzaBytesMax + 1)), RangeError);
  t.ok(writer.isEmpty);
  t.ok(writer.append(ack));
  t.throws(() => writer.append(sized(LIMITS.stanzaBytesMax + 1)), RangeError);
  t.throws(() => writer.append({ tag: 'ack', attrs: ['seq', -1], content: undefined }), RangeError);
  t.strictSame(Buffer.from(writer.bytes()), Buffer.from(framed(ack)));
  t.end();
});

t.test('a stream may be cut anywhere', (t) => {
  fc.assert(
    fc.property(
      fc.array(arbitraryStanza, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 }),
      (stanzas, cuts) => {
        const bytes = framed(...stanzas);
        const taken: unknown[] = [];
        const reader = new FrameReader();
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const end = at + cuts[turn % cuts.length]!;
          assert.equal(
            reader.read(bytes.slice(at, end), (stanza) => taken.push(plainOf(stanza))),
            undefined,
          );
          at = end;
        }
        assert.deepStrictEqual(taken, stanzas.map(plainOf));
        assert.equal(reader.pendingBytes, 0);
      },
    ),
    { numRuns: 150 },
  );
  t.end();
});

t.test('a stream one byte at a time', (t) => {
  const bytes = framed(ack, sized(300), ack);
  const reader = new FrameReader();
  let taken = 0;
  for (const byte of bytes) reader.read(Uint8Array.of(byte), () => (taken += 1));
  t.equal(taken, 3);
  t.end();
});

t.test('a stream of whole frames is decoded where it lies', (t) => {
  const bytes = framed(sized(300));
  new FrameReader().read(bytes, ({ content }) => t.equal((content as Uint8Array).buffer, bytes.buffer));
  t.end();
});

t.test('a length beyond the bound is refused from its header, alone or cut', (t) => {
  const header = bytesFrom('003ffe');
  t.match(
    new FrameReader().read(header, () => {}),
    { code: 'WIRE_FRAME_TOO_LARGE', closeCode: 4413, offset: 0 },
  );
  const reader = new FrameReader();
  t.equal(
    reader.read(framed(ack), () => {}),
    undefined,
  );
  t.equal(
    reader.read(header.subarray(0, 2), () => {}),
    undefined,
  );
  const refusal = reader.read(header.subarray(2), () => {});
  t.match(refusal, { code: 'WIRE_FRAME_TOO_LARGE', offset: 9 }, 'the offset counts from the start of the stream');
  t.equal(
    reader.read(framed(ack), () => t.fail('taken after a refusal')),
    refusal,
    'a refusal is final',
  );
  t.equal(reader.pendingBytes, 0);
  t.end();
});

t.test('a broken frame is refused at the same offset however the stream is cut', (t) => {
  const bytes = Uint8Array.from([...framed(ack), ...bytesFrom('000004 0204 07 e7')]);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const reader = new FrameReader();
    const first = reader.read(bytes.slice(0, cut), () => {});
    const last = reader.read(bytes.slice(cut), () => {});
    t.match(first ?? last, { code: 'WIRE_RESERVED', offset: 15 }, `cut at ${cut}`);
  }
  t.end();
});

t.test('a reader holds at most one frame, and grows only with what came', (t) => {
  const bytes = framed(sized(LIMITS.stanzaBytesMax), sized(LIMITS.stanzaBytesMax));
  const reader = new FrameReader();
  let most = 0;
  for (let at = 0; at < bytes.length; at += 100) {
    reader.read(bytes.slice(at, at + 100), () => {});
    most = Math.max(most, reader.pendingBytes);
  }
  t.ok(most < LIMITS.messageBytesMax, `${most} bytes`);
  t.ok(most > LIMITS.messageBytesMax - 200, 'the frame was really pending');
  t.equal(reader.pendingBytes, 0);
  t.end();
});

t.test('a promised length takes no memory, and a long frame no more than a message', (t) => {
  const count = 400;
  const memoryAfter = (chunks: readonly Uint8Array[]): number => {
    const readers = Array.from({ length: count }, () => new FrameReader());
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) for (const chunk of chunks) reader.read(chunk, () => {});
    t.ok(readers.every((reader) => reader.pendingBytes > 0));
    return (process.memoryUsage().arrayBuffers - before) / count;
  };
  const frame = framed(sized(LIMITS.stanzaBytesMax));
  t.ok(memoryAfter([frame.subarray(0, 4)]) <= 256, 'four bytes came');
  t.ok(memoryAfter([frame.subarray(0, 10_000), frame.subarray(10_000, 10_010)]) < 10_000 + 17_000, '10,010 bytes came');
  t.end();
});
