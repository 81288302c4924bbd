/** The QR code of a terminal, read back cell by cell. */

import t from 'tap';
import { encodeQr } from '../../index.ts';
import { drawQr } from './qr-lines.ts';

const CONTENT = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.repeat(4);

t.test('the lines show the modules of the code, two in a cell, with the border that it needs', (t) => {
  const { size, isDark } = encodeQr(CONTENT);
  const lines = drawQr(CONTENT, 80)!.map((line) => [...line.replace(/\u001b\[[0-9;]*m/g, '')]);
  t.strictSame([...new Set(lines.map(({ length }) => length))], [size + 8]);
  t.equal(lines.length, Math.ceil((size + 8) / 2));
  t.ok(lines.length <= 24, 'a small terminal has room for it');
  const upper = (row: number, column: number): boolean => {
    const cell = lines[(row + 4) >> 1]![column + 4]!;
    return cell === '\u2588' || cell === ((row + 4) % 2 === 0 ? '\u2580' : '\u2584');
  };
  let dark = 0;
  for (let row = -4; row < size + 4; row += 1) {
    for (let column = -4; column < size + 4; column += 1) {
      if (upper(row, column) !== isDark(row, column)) t.fail(`${row}, ${column}`);
      if (isDark(row, column)) dark += 1;
    }
  }
  t.ok(dark > 400);
  t.end();
});

t.test('a terminal that is too narrow gets none', (t) => {
  t.equal(drawQr(CONTENT, encodeQr(CONTENT).size + 7), undefined);
  t.end();
});
