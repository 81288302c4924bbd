/**
 * The content of messages: vectors, every prefix, padding.
 */

import t from 'tap';
import { decodeContent, encodeContent } from './content.ts';
import type { TextContent } from './content.ts';
import { LIMITS } from './limits.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import vectors from './testing/content-vectors.json' with { type: 'json' };

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function padded(hex: string): Uint8Array {
  return Uint8Array.of(...bytes(hex), 0x80, 0, 0);
}

t.test('text content is what the vectors say, both ways', async (t) => {
  for (const { content, hex } of vectors.text) {
    const encoded = encodeContent(content as TextContent);
    const record = bytes(hex);
    t.same(encoded.subarray(0, record.length), record);
    t.equal(encoded.length % LIMITS.contentBlockBytes, 0);
    t.same(decodeContent(encoded), content);
    t.same(decodeContent(padded(hex)), content, 'any amount of padding is read');
  }
});

t.test('what a later writer says is surfaced, not dropped', async (t) => {
  for (const { name, hex, content } of vectors.unsupported) t.same(decodeContent(padded(hex)), content, name);
  const text = vectors.text[0]!;
  t.same(decodeContent(padded(`${text.hex} 01 02 03`)), text.content, 'fields appended by a later version are ignored');
});

t.test('what no correct writer says is malformed', async (t) => {
  for (const { name, hex } of vectors.malformed) t.same(decodeContent(padded(hex)), { kind: 'malformed' }, name);
  for (const raw of ['', '00', '0000', '01']) t.same(decodeContent(bytes(raw)), { kind: 'malformed' }, `bare ${raw}`);
  t.same(decodeContent(new Uint8Array(LIMITS.contentBytesMax + 1).fill(0x80)), { kind: 'malformed' });
});

t.test('no prefix and no damage makes it throw', async (t) => {
  const whole = encodeContent({ kind: 'text', id: 5, phone: '+4915100000001', sentAt: 1, text: 'x'.repeat(200) });
  for (let length = 0; length < whole.length; length += 1) decodeContent(whole.subarray(0, length));
  const random = new SeededRandom(9);
  for (let n = 0; n < 2_000; n += 1) {
    const damaged = whole.slice();
    damaged[random.integer(damaged.length)] = random.integer(256);
    decodeContent(damaged);
    decodeContent(random.bytes(random.integer(64)));
  }
  t.pass();
});

t.test('texts of one block are equally long', async (t) => {
  const length = (text: string): number =>
    encodeContent({ kind: 'text', id: 1, phone: '+4915100000001', sentAt: 1_700_000_000_000, text }).length;
  t.equal(length('yes'), length('no, and that is final'));
  t.not(length('yes'), length('x'.repeat(200)));
});
