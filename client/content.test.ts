/**
 * The content of messages: vectors of every kind and version, every prefix, padding.
 */

import t from 'tap';
import { decodeContent, encodeContent } from './content.ts';
import type { Content } from './content.ts';
import { LIMITS } from './limits.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import { bytesOf, contentOf } from './testing/contents.ts';
import vectors from './testing/content-vectors.json' with { type: 'json' };

const TEXT = { phone: '+4915100000001', sentAt: 1_700_000_000_000, timerSeconds: 0, isViewOnce: false };

function padded(hex: string): Uint8Array {
  return Uint8Array.of(...bytesOf(hex), 0x80, 0, 0);
}

function encodeText(text: string): Uint8Array | undefined {
  return encodeContent({ ...TEXT, id: 1, body: { kind: 'text', text } });
}

t.test('every kind of content is what the vectors say, both ways', async (t) => {
  const kinds = new Set<string>();
  for (const { content: notation, hex } of vectors.contents) {
    const content = contentOf(notation) as Content;
    const encoded = encodeContent(content)!;
    const record = bytesOf(hex);
    t.same(encoded.subarray(0, record.length), record, content.body.kind);
    t.ok(LIMITS.contentBucketsBytes.some((bytes) => bytes === encoded.length));
    t.same(decodeContent(encoded), content);
    t.same(decodeContent(padded(hex)), content, 'any amount of padding is read');
    kinds.add(content.body.kind);
  }
  t.equal(kinds.size, 25);
});

t.test('what earlier versions wrote is still read', async (t) => {
  for (const { content, hex } of vectors.version1) t.same(decodeContent(padded(hex)), contentOf(content));
});

t.test('what a later writer says is surfaced, not dropped', async (t) => {
  for (const { name, hex, content } of vectors.unsupported) t.same(decodeContent(padded(hex)), content, name);
  const text = vectors.contents[0]!;
  const content = contentOf(text.content);
  t.same(decodeContent(padded(`${text.hex}010203`)), content, 'fields appended by a later version are ignored');
});

t.test('what no correct writer says is malformed', async (t) => {
  for (const { name, hex } of vectors.malformed) t.same(decodeContent(padded(hex)), { kind: 'malformed' }, name);
  for (const raw of ['', '00', '0000', '01', '02']) {
    t.same(decodeContent(bytesOf(raw)), { kind: 'malformed' }, `bare ${raw}`);
  }
  t.same(decodeContent(new Uint8Array(LIMITS.contentBytesMax + 1).fill(0x80)), { kind: 'malformed' });
});

t.test('every prefix of every vector is malformed', async (t) => {
  const prefixes = vectors.contents.flatMap(({ hex }) => {
    return Array.from({ length: hex.length / 2 }, (_, length) => hex.slice(0, length * 2));
  });
  t.ok(prefixes.length > 0, 'there are vectors');
  const taken = prefixes.filter((prefix) => decodeContent(padded(prefix)).kind !== 'malformed');
  t.same(taken, []);
});

t.test(
  'whatever damage is read, it is malformed, of a later version, or a content that can be written again',
  async (t) => {
    const random = new SeededRandom(9);
    const counts = { malformed: 0, unsupported: 0, content: 0 };
    const judge = (bytes: Uint8Array): void => {
      const read = decodeContent(bytes);
      counts[read.kind] += 1;
      if (read.kind !== 'content') return;
      const again = encodeContent(read);
      // Larger than the largest bucket is only what this release would not have written.
      const isSame = again !== undefined && JSON.stringify(decodeContent(again)) === JSON.stringify(read);
      if (!isSame && bytes.length <= LIMITS.contentBucketsBytes.at(-1)!) t.fail(JSON.stringify(read));
    };
    for (const { hex } of vectors.contents) {
      const whole = padded(hex);
      for (let n = 0; n < 300; n += 1) {
        const damaged = whole.slice();
        damaged[random.integer(damaged.length)] = random.integer(256);
        judge(damaged);
        judge(random.bytes(random.integer(64)));
      }
    }
    t.ok(
      Object.values(counts).every((count) => count > 100),
      JSON.stringify(counts),
    );
  },
);

t.test('six lengths are all that an observer sees', async (t) => {
  t.equal(encodeText('yes')!.length, encodeText('no, and that is final')!.length);
  const lengths = new Set<number>();
  for (let length = 0; length <= LIMITS.textBytesMax; length += 1) lengths.add(encodeText('x'.repeat(length))!.length);
  t.same([...lengths], LIMITS.contentBucketsBytes);
  t.equal(Math.log2(lengths.size).toFixed(1), '2.6', 'bits');
});

t.test('a content beyond the largest bucket is not written', async (t) => {
  const largest = LIMITS.contentBucketsBytes.at(-1)!;
  t.equal(encodeText('x'.repeat(largest)), undefined);
  const room = largest - encodeContent({ ...TEXT, id: 1, body: { kind: 'text', text: '' } })!.length;
  t.ok(room > LIMITS.textBytesMax, 'the longest text fits');
});
