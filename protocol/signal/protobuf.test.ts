/** The canonical reader: one value, one encoding; anything else fails and never throws. */
import t from 'tap';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';
import { fromHex, toHex } from './testing/transcripts.ts';

const uint32s: readonly [value: number, hex: string][] = [
  [0, '0800'],
  [1, '0801'],
  [127, '087f'],
  [128, '088001'],
  [16_383, '08ff7f'],
  [16_384, '08808001'],
  [2 ** 31, '088080808008'],
  [2 ** 32 - 1, '08ffffffff0f'],
];

for (const [value, hex] of uint32s) {
  t.equal(toHex(new ProtobufWriter(0).uint32(1, value).finish()), hex, `writes ${value}`);
  const reader = new ProtobufReader(fromHex(hex));
  t.equal(reader.uint32(1), value, `reads ${value}`);
  t.ok(reader.complete());
  for (let length = 1; length < hex.length / 2; length++) {
    const cut = new ProtobufReader(fromHex(hex).subarray(0, length));
    t.equal(cut.uint32(1), undefined, `${value} cut to ${length} bytes`);
    t.notOk(cut.complete());
  }
}

for (const [hex, why] of [
  ['088000', 'a varint longer than it needs'],
  ['08ffffffff1f', 'more than 32 bits'],
  ['08ffffffffff01', 'more than five bytes'],
  ['0a', 'another wire type, cut'],
  ['0d00000000', 'a wire type that we do not use'],
  ['1001', 'another field'],
  ['08010801', 'the field twice'],
  ['080100', 'something left over'],
] as const) {
  const reader = new ProtobufReader(fromHex(hex));
  reader.uint32(1);
  t.notOk(reader.complete(), why);
}

t.test('bytes: empty, exact, and longer than what is there', async (t) => {
  const written = new ProtobufWriter(0).bytes(2, new Uint8Array(0)).bytes(3, fromHex('aabb')).finish();
  t.equal(toHex(written), '12001a02aabb');
  const reader = new ProtobufReader(written);
  t.equal(reader.bytes(1), undefined, 'absent');
  t.same(reader.bytes(2), new Uint8Array(0));
  t.equal(toHex(reader.bytes(3)!), 'aabb');
  t.ok(reader.complete());
  for (const hex of ['1203aabb', '12ffffffff0f', '12']) {
    const cut = new ProtobufReader(fromHex(hex));
    t.equal(cut.bytes(2), undefined, hex);
    t.notOk(cut.complete());
  }
});

t.test('a failure lasts', async (t) => {
  const reader = new ProtobufReader(fromHex('0880001205aabbccddee'));
  t.equal(reader.uint32(1), undefined);
  t.equal(reader.bytes(2), undefined);
  t.notOk(reader.complete());
});

t.test('repeated bytes stop at their bound', async (t) => {
  const three = new ProtobufWriter(0).bytes(1, fromHex('01')).bytes(1, fromHex('02')).bytes(1, fromHex('03')).finish();
  t.equal(new ProtobufReader(three).repeatedBytes(1, 3)?.length, 3);
  t.equal(new ProtobufReader(three).repeatedBytes(1, 2), undefined);
  t.same(new ProtobufReader(three).repeatedBytes(2, 2), [], 'none');
});

t.test('the writer grows, and gives a buffer of its own size', async (t) => {
  const large = new Uint8Array(5_000).fill(7);
  const written = new ProtobufWriter(1).byte(9).bytes(1, large).raw(fromHex('ff')).finish();
  t.equal(written.length, 1 + 1 + 2 + 5_000 + 1);
  t.equal(written.buffer.byteLength, written.length);
  t.equal(written.at(-1), 0xff);
});
