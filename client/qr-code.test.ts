/** Pictures of QR codes, module by module, beside those of an independent implementation. */

import t from 'tap';
import { encodeQr } from './qr-code.ts';
import type { QrCode, QrLevel } from './qr-code.ts';
import vectors from './testing/qr-vectors.json' with { type: 'json' };

function rowsOf({ size, isDark }: QrCode): string[] {
  return Array.from({ length: size }, (_, row) => {
    const bits = Array.from({ length: size }, (_, column) => (isDark(row, column) ? 1 : 0));
    return BigInt(`0b${bits.join('')}`).toString(16);
  });
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

for (const { content, bytes, level, mask, version, rows } of vectors.vectors) {
  const what = content === undefined ? `${bytes!.length / 2} bytes` : `a text of ${content.length}`;
  t.test(`${what} with level ${level} and mask ${mask}`, (t) => {
    const code = encodeQr(content ?? bytesOf(bytes!), { level: level as QrLevel, mask });
    t.equal(code.version, version);
    t.strictSame(rowsOf(code), rows);
    t.end();
  });
}

t.test('the mask is chosen by the content, and the level changes the picture', (t) => {
  const masks = new Set(Array.from({ length: 60 }, (_, index) => encodeQr(`${index} and more`).mask));
  t.ok(masks.size > 4, `${masks.size} of 8`);
  t.notSame(rowsOf(encodeQr('BLINDBEAM')), rowsOf(encodeQr('BLINDBEAM', { level: 'M' })));
  t.end();
});

t.test('what is around the picture is light', (t) => {
  const { size, isDark } = encodeQr('A');
  t.equal(size, 21);
  t.ok(isDark(0, 0) && isDark(20, 0) && isDark(0, 20));
  t.notOk(isDark(-1, 0) || isDark(0, -1) || isDark(21, 0) || isDark(0, 21));
  t.end();
});

t.test('the bounds: 858 bytes, 1,249 capitals, and one beyond', (t) => {
  t.equal(encodeQr(new Uint8Array(858)).version, 20);
  t.throws(() => encodeQr(new Uint8Array(859)), RangeError);
  t.equal(encodeQr('A'.repeat(1_249)).version, 20);
  t.throws(() => encodeQr('A'.repeat(1_250)), RangeError);
  t.equal(encodeQr('').version, 1);
  t.throws(() => encodeQr('A', { mask: 8 }), RangeError);
  t.end();
});
