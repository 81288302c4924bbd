/**
 * A QR code on the page: a canvas of one pixel for a module, enlarged without smoothing.
 */

import { encodeQr, QR_QUIET_MODULES } from '../../index.ts';
import { make } from './dom.ts';

/** @param label - What it is, for who does not see it. */
export function qrNode(content: string | Uint8Array, label: string): HTMLCanvasElement {
  const { size, isDark } = encodeQr(content);
  const side = size + 2 * QR_QUIET_MODULES;
  const canvas = make('canvas', { className: 'qr', width: side, height: side, role: 'img', aria: { label } });
  const context = canvas.getContext('2d')!;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, side, side);
  context.fillStyle = '#000';
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      if (isDark(row, column)) context.fillRect(column + QR_QUIET_MODULES, row + QR_QUIET_MODULES, 1, 1);
    }
  }
  return canvas;
}
