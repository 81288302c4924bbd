/**
 * The encoder once more, as a reader would write it from FORMAT.md: lists of bytes, no positions, no shared state.
 *
 * For tests only: `encode.test.ts` compares the fast encoder with it on random stanzas, and the vectors were made with it.
 * It takes valid stanzas and checks nothing.
 */

import { isChildren, type AttributeValue, type Stanza } from './stanza.ts';
import { EXTENDED_WORDS, WORDS } from './tokens.ts';

/** Encodes a valid stanza into fresh bytes. */
export function encodeSimply(stanza: Stanza): Uint8Array {
  return Uint8Array.from(stanzaBytes(stanza));
}

function stanzaBytes({ tag, attrs, content }: Stanza): number[] {
  const count = attrs.length / 2;
  const values = attrs.flatMap(valueBytes);
  if (content === undefined) return [...valueBytes(tag), count * 4, ...values];
  if (!isChildren(content)) {
    return [...valueBytes(tag), count * 4 + 1, ...values, ...countBytes(content.length), ...content];
  }
  const children = content.flatMap(stanzaBytes);
  return [...valueBytes(tag), count * 4 + 2, ...values, ...countBytes(content.length), ...children];
}

/** Names are values too: a name is never a number and never made of digits, so the same table gives its form. */
function valueBytes(value: AttributeValue): number[] {
  if (typeof value === 'number') return integerBytes(value);
  if (WORDS.includes(value)) return [WORDS.indexOf(value) + 1];
  if (EXTENDED_WORDS.includes(value)) return [0xe8, EXTENDED_WORDS.indexOf(value)];
  if (/^[0-9+.-]{1,255}$/.test(value)) return digitBytes(value);
  const text = [...new TextEncoder().encode(value)];
  if (text.length <= 255) return [0xed, text.length, ...text];
  return [0xee, Math.floor(text.length / 256), text.length % 256, ...text];
}

function integerBytes(value: number): number[] {
  if (value < 32) return [0xc0 + value];
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = even.match(/../g)!.map((pair) => parseInt(pair, 16));
  return [0xdf + bytes.length, ...bytes];
}

function digitBytes(text: string): number[] {
  const halves = [...text].map((character) => '0123456789+-.'.indexOf(character));
  if (halves.length % 2 === 1) halves.push(15);
  const bytes: number[] = [];
  for (let index = 0; index < halves.length; index += 2) bytes.push(halves[index]! * 16 + halves[index + 1]!);
  return [0xec, text.length, ...bytes];
}

function countBytes(count: number): number[] {
  return count < 128 ? [count] : [128 + Math.floor(count / 256), count % 256];
}
