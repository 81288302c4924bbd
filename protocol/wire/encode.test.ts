/** The encoder against its slow twin, the rules that it throws on, and how it behaves where there is no room. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeStanza } from './decode.ts';
import { encodeSimply } from './encode-simple.ts';
import { encode, encodedLength, encodeStanza } from './encode.ts';
import { isWireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { AttributeValue, Content, Stanza } from './stanza.ts';
import { arbitraryStanza } from './testing/arbitraries.ts';
import { hexOf, plainOf } from './testing/notation.ts';

function leaf(attrs: readonly AttributeValue[], content: Content = undefined): Stanza {
  return { tag: 'ack', attrs, content };
}

t.test('the encoder writes what its slow twin writes, and the decoder reads it back', (t) => {
  fc.assert(
    fc.property(arbitraryStanza, (stanza) => {
      const bytes = encode(stanza);
      assert.equal(hexOf(bytes), hexOf(encodeSimply(stanza)));
      assert.deepStrictEqual(plainOf(decodeStanza(bytes) as Stanza), plainOf(stanza));
    }),
    { numRuns: 600 },
  );
  t.end();
});

t.test('without room the length is still exact, and no byte outside the target changes', (t) => {
  fc.assert(
    fc.property(arbitraryStanza, fc.nat({ max: 40 }), fc.nat({ max: 400 }), (stanza, offset, room) => {
      const length = encodedLength(stanza);
      const memory = new Uint8Array(offset + room + 8).fill(0xee);
      const end = encodeStanza(stanza, memory.subarray(0, offset + room), offset);
      assert.equal(end, offset + length);
      assert.ok(memory.subarray(0, offset).every((byte) => byte === 0xee));
      assert.ok(memory.subarray(offset + room).every((byte) => byte === 0xee));
      if (length <= room) assert.equal(hexOf(memory.subarray(offset, end)), hexOf(encode(stanza)));
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('the integers at each change of length', (t) => {
  const forms: [number, string][] = [
    [0, 'c0'],
    [31, 'df'],
    [32, 'e020'],
    [255, 'e0ff'],
    [256, 'e10100'],
    [0xffff, 'e1ffff'],
    [0x10000, 'e2010000'],
    [0xffffff, 'e2ffffff'],
    [0x1000000, 'e301000000'],
    [0xffffffff, 'e3ffffffff'],
    [0x100000000, 'e40100000000'],
    [0xffffffffff, 'e4ffffffffff'],
    [0x10000000000, 'e5010000000000'],
    [0xffffffffffff, 'e5ffffffffffff'],
    [0x1000000000000, 'e601000000000000'],
    [LIMITS.integerMax, 'e61fffffffffffff'],
  ];
  for (const [value, form] of forms) t.equal(hexOf(encode(leaf(['id', value]))), `020407${form}`, String(value));
  t.end();
});

const lone = String.fromCharCode(0xd800);

t.test('a stanza that breaks a rule of the format throws', (t) => {
  const wrong: [string, Stanza, RegExp | typeof TypeError | typeof RangeError][] = [
    ['an empty tag', { tag: '', attrs: [], content: undefined }, TypeError],
    ['a tag with capitals', { tag: 'Ack', attrs: [], content: undefined }, TypeError],
    ['a tag that is a word but no name', { tag: 'APP_PROTOCOL', attrs: [], content: undefined }, TypeError],
    ['a tag of 33 characters', { tag: 'a'.repeat(33), attrs: [], content: undefined }, TypeError],
    ['a name of digits', leaf(['1', 'x']), TypeError],
    ['__proto__ as a name', leaf(['__proto__', 'x']), TypeError],
    ['a number as a name', leaf([1, 'x']), TypeError],
    ['a name without a value', leaf(['id']), /the last value is missing/],
    ['a name twice', leaf(['id', 1, 'to', 'x', 'id', 1]), TypeError],
    ['undefined as a value', leaf(['id', undefined as unknown as string]), TypeError],
    ['a negative integer', leaf(['id', -1]), RangeError],
    ['a fraction', leaf(['id', 1.5]), RangeError],
    ['NaN', leaf(['id', NaN]), RangeError],
    ['2^53', leaf(['id', LIMITS.integerMax + 1]), RangeError],
    ['infinity', leaf(['id', Infinity]), RangeError],
    ['a lone high surrogate', leaf(['text', `a${lone}`]), TypeError],
    ['a lone low surrogate', leaf(['text', String.fromCharCode(0xdc00, 0xd800)]), TypeError],
    ['an empty list', leaf([], []), TypeError],
  ];
  for (const [name, stanza, error] of wrong) t.throws(() => encode(stanza), error as never, name);
  t.end();
});

t.test('each bound of the encoder: at it and one beyond', (t) => {
  const attributes = (count: number): Stanza =>
    leaf(Array.from({ length: count }, (_, index) => [`n${index}`, index]).flat());
  const nested = (depth: number): Stanza =>
    depth === 1 ? leaf([]) : { tag: 'ack', attrs: [], content: [nested(depth - 1)] };
  const list = (count: number, child: Stanza): Stanza => leaf([], new Array<Stanza>(count).fill(child));
  const bounds: [string, (size: number) => Stanza, number][] = [
    ['attributes', attributes, LIMITS.attributesMax],
    ['depth', nested, LIMITS.depthMax],
    ['children', (count) => list(count, leaf([])), LIMITS.childrenMax],
    ['nodes', (count) => leaf([], [list(1000, leaf([])), list(1000, leaf([])), list(count - 2004, leaf([]))]), 2049],
    ['text', (length) => leaf(['text', 'x'.repeat(length)]), LIMITS.textBytesMax],
    ['name', (length) => leaf(['n'.repeat(length), 1]), LIMITS.nameBytesMax],
    ['content', (length) => leaf([], new Uint8Array(length)), LIMITS.stanzaBytesMax - 4],
  ];
  for (const [name, build, max] of bounds) {
    t.notOk(isWireError(decodeStanza(encode(build(max)))), `${name} at the bound`);
    t.throws(() => encode(build(max + 1)), `${name} beyond it`);
  }
  t.equal(encodedLength(leaf([], new Uint8Array(20_000))), 20_004, 'a stanza that is too long can still be measured');
  t.end();
});
