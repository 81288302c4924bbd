/**
 * Short strings that come again and again (the values of a `type`, names, ids of the active) are made once.
 *
 * A fixed table, one string a place, the latest wins: it cannot grow, whatever arrives. A hit costs a hash and a
 * comparison over the bytes, a few nanoseconds; a miss the usual string. Only what is compared is returned, so a
 * collision costs time and never gives another string.
 */

const PLACES = 2_048;

export class StringCache {
  readonly #strings: string[] = new Array<string>(PLACES).fill('');

  /** The string of `length` Latin-1 characters at `start`. */
  read(bytes: Buffer, start: number, length: number): string {
    let hash = length;
    for (let index = start; index < start + length; index += 1) hash = (Math.imul(hash, 31) + bytes[index]!) | 0;
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    const known = this.#strings[place]!;
    if (known.length === length && equals(known, bytes, start)) return known;
    const made = bytes.toString('latin1', start, start + length);
    this.#strings[place] = made;
    return made;
  }
}

function equals(text: string, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}
