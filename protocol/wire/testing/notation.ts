/**
 * How bytes and stanzas are written in `vectors/*.json` and in FORMAT.md, and back.
 *
 * Hex is a string with spaces anywhere, or a list of such strings and `{ "repeat": hex, "times": n }`, so that a vector at
 * a bound of 16,384 bytes stays readable. Attributes are pairs; content is `bytes` (hex) or `children`.
 */

import { isChildren, type Stanza } from '../stanza.ts';

/** Bytes in the notation. */
export type Hex = string | readonly (string | { readonly repeat: string; readonly times: number })[];

/** A stanza in the notation. */
export interface StanzaJson {
  readonly tag: string;
  readonly attrs?: readonly (readonly [string, string | number])[];
  readonly bytes?: Hex;
  readonly children?: readonly (StanzaJson | { readonly repeat: StanzaJson; readonly times: number })[];
}

/** Bytes from the notation. */
export function bytesFrom(hex: Hex): Uint8Array {
  const parts = typeof hex === 'string' ? [hex] : hex;
  const joined = parts.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join('');
  const digits = joined.replaceAll(/\s/g, '');
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(digits)) throw new SyntaxError(`not hex: ${digits.slice(0, 40)}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Bytes as one lower-case string. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A stanza from the notation. */
export function stanzaFrom(json: StanzaJson): Stanza {
  const attrs = (json.attrs ?? []).flat();
  if (json.bytes !== undefined) return { tag: json.tag, attrs, content: bytesFrom(json.bytes) };
  const children = json.children?.flatMap((child) =>
    'repeat' in child ? Array.from({ length: child.times }, () => stanzaFrom(child.repeat)) : [stanzaFrom(child)],
  );
  return { tag: json.tag, attrs, content: children };
}

/** A stanza in plain arrays and hex, so that two of them compare by structure whatever views they hold. */
export function plainOf(stanza: Stanza): unknown {
  const { tag, attrs, content } = stanza;
  if (content === undefined) return { tag, attrs: [...attrs] };
  if (isChildren(content)) return { tag, attrs: [...attrs], children: content.map(plainOf) };
  return { tag, attrs: [...attrs], bytes: hexOf(content) };
}
