/** The decoder on valid, cut, bent and hostile bytes. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeStanza } from './decode.ts';
import { encode } from './encode.ts';
import { isWireError, type WireErrorCode } from './errors.ts';
import { attribute, copyStanza, type Stanza } from './stanza.ts';
import { arbitraryStanza } from './testing/arbitraries.ts';
import { bytesFrom, hexOf, plainOf, type Hex } from './testing/notation.ts';

function codeOf(hex: Hex): WireErrorCode | 'accepted' {
  const result = decodeStanza(bytesFrom(hex));
  return isWireError(result) ? result.code : 'accepted';
}

t.test('every prefix of a valid stanza is refused as cut', (t) => {
  fc.assert(
    fc.property(arbitraryStanza, (stanza) => {
      const bytes = encode(stanza);
      for (let length = 0; length < bytes.length; length += 1) {
        const result = decodeStanza(bytes.subarray(0, length));
        assert.ok(isWireError(result), 'accepted');
        assert.equal(result.code, 'WIRE_TRUNCATED');
      }
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('whatever is accepted encodes to the same bytes: bent bytes', (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(arbitraryStanza, fc.nat(), fc.nat({ max: 255 }), (stanza, where, byte) => {
      const bytes = encode(stanza);
      bytes[where % bytes.length] = byte;
      const result = decodeStanza(bytes);
      if (isWireError(result)) return;
      accepted += 1;
      assert.equal(hexOf(encode(result)), hexOf(bytes));
    }),
    { numRuns: 1500 },
  );
  t.ok(accepted > 100, 'some bent bytes are stanzas');
  t.end();
});

t.test('whatever is accepted encodes to the same bytes: all stanzas of two bytes and an attribute of two', (t) => {
  for (let first = 0; first < 256; first += 1) {
    for (let second = 0; second < 256; second += 1) {
      for (const bytes of [Uint8Array.of(first, second), Uint8Array.of(2, 4, 7, first, second)]) {
        const result = decodeStanza(bytes);
        if (isWireError(result)) continue;
        if (hexOf(encode(result)) !== hexOf(bytes)) t.fail(hexOf(bytes));
      }
    }
  }
  t.end();
});

t.test('names of Object.prototype are attributes like others', (t) => {
  const stanza = decodeStanza(encode({ tag: 'ack', attrs: ['constructor', 'x'], content: undefined })) as Stanza;
  t.equal(attribute(stanza, 'constructor'), 'x');
  t.equal(attribute(stanza, 'prototype'), undefined);
  t.equal(attribute(stanza, 'toString'), undefined);
  t.equal(codeOf(['0204 ed09', hexOf(new TextEncoder().encode('__proto__')), 'c1']), 'WIRE_BAD_NAME');
  t.end();
});

t.test('content is a view into the input, and copyStanza takes it out', (t) => {
  const memory = new Uint8Array(64);
  const bytes = encode({
    tag: 'enc',
    attrs: [],
    content: [{ tag: 'key', attrs: [], content: Uint8Array.of(1, 2, 3) }],
  });
  memory.set(bytes, 10);
  const input = memory.subarray(10, 10 + bytes.length);
  const stanza = decodeStanza(input) as Stanza;
  const copy = copyStanza(stanza);
  const before = { tag: 'enc', attrs: [], children: [{ tag: 'key', attrs: [], bytes: '010203' }] };
  t.strictSame(plainOf(stanza), before, 'read at its place in a larger buffer');
  memory.fill(0xff);
  t.strictSame(plainOf(copy), before, 'the copy keeps its bytes');
  t.notSame(plainOf(stanza), before, 'the view does not');
  const buffered = copyStanza({ tag: 'key', attrs: [], content: Buffer.from('abc') });
  t.not(
    (buffered.content as Uint8Array).buffer,
    Buffer.from('abc').buffer,
    'a copy of a pooled Buffer has its own memory',
  );
  t.equal((buffered.content as Uint8Array).buffer.byteLength, 3);
  t.end();
});

t.test('a refused input does not disturb the next one', (t) => {
  const good = encode({ tag: 'ack', attrs: ['seq', 977], content: undefined });
  for (const bad of ['', '02', '020807c107c1', '0203', '00']) {
    t.ok(isWireError(decodeStanza(bytesFrom(bad))), bad);
    t.strictSame(plainOf(decodeStanza(good) as Stanza), { tag: 'ack', attrs: ['seq', 977] });
  }
  t.end();
});

t.test('a refusal says where', (t) => {
  const offsets: [Hex, WireErrorCode, number][] = [
    ['0204 07 e7', 'WIRE_RESERVED', 3],
    ['0208 07c1 07c2', 'WIRE_DUPLICATE_ATTRIBUTE', 4],
    ['0200 00', 'WIRE_TRAILING_BYTES', 2],
    ['0204 07 ed01 ff', 'WIRE_BAD_TEXT', 3],
    ['0205 07 c1 05 00', 'WIRE_TRUNCATED', 5],
    ['0202 02 0200 02', 'WIRE_TRUNCATED', 3],
  ];
  for (const [hex, code, offset] of offsets) {
    const result = decodeStanza(bytesFrom(hex));
    t.match(result, { code, closeCode: 4400, offset }, String(hex));
  }
  t.end();
});

t.test('a refusal repeats nothing of the input', (t) => {
  const secret = 'deadbeefcafe';
  for (const hex of [`0204 07 ed06 ${secret}`, `0208 ed06 ${secret} c1 07 c1`, `0204 07 ecff ${secret}`]) {
    const result = JSON.stringify(decodeStanza(bytesFrom(hex)));
    t.notMatch(result, /dead|beef|cafe|\u00de/i);
  }
  t.end();
});

t.test('a bomb of claims costs no memory', (t) => {
  const claim = '0202 bfff'; // a list of 16,383, of which nothing follows
  t.equal(codeOf(claim), 'WIRE_TOO_MANY_CHILDREN');
  t.equal(codeOf('0202 8400'), 'WIRE_TRUNCATED', 'a list of 1,024, of which nothing follows');
  t.equal(codeOf([{ repeat: '0202 01', times: 8 }, '0200']), 'WIRE_TOO_DEEP');
  t.equal(codeOf([{ repeat: '0202 01', times: 5000 }, '0200']), 'WIRE_TOO_DEEP');
  t.equal(codeOf(['0201 bffc', { repeat: '00', times: 16_381 }]), 'WIRE_FRAME_TOO_LARGE');
  const wide = ['0202 08', { repeat: '0202 8100', times: 1 }, { repeat: '0200', times: 256 }];
  t.equal(
    codeOf([wide[0] as string, ...Array.from({ length: 8 }, () => wide.slice(1)).flat()] as Hex),
    'WIRE_TOO_MANY_NODES',
  );
  t.end();
});

t.test('random bytes are answered, never thrown on', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const result = decodeStanza(bytes);
      if (isWireError(result)) assert.ok(result.offset! >= 0 && result.offset! <= bytes.length);
      else assert.equal(hexOf(encode(result)), hexOf(bytes));
    }),
    { numRuns: 2000 },
  );
  t.end();
});
