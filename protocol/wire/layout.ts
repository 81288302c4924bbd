/**
 * The numbers of the byte layout, once, for encoder, decoder and the slow twin.
 *
 * FORMAT.md explains them; this file only spells them. Read next: `encode.ts`.
 *
 *   first byte of a value     meaning
 *   00                        reserved
 *   01 – BF                   word of the dictionary
 *   C0 – DF                   integer 0 to 31
 *   E0 – E6                   integer in 1 to 7 bytes, big endian
 *   E8                        word of the extended dictionary, in the next byte
 *   EC                        digits: length byte, then two characters a byte
 *   ED, EE                    text: length in one or two bytes, then UTF-8
 *   E7, E9 – EB, EF – FF      reserved
 */

/** Lead of the integer 0; the integers to `SMALL_INTEGER_MAX` follow. */
export const LEAD_SMALL_INTEGER: 0xc0 = 0xc0;

/** The largest integer that is its own lead byte. */
export const SMALL_INTEGER_MAX: 31 = 31;

/** Lead of an integer in one byte; the lead of `n` bytes is this plus `n - 1`. */
export const LEAD_INTEGER: 0xe0 = 0xe0;

/** The longest integer: seven bytes hold 2^53 - 1. */
export const INTEGER_BYTES_MAX: 7 = 7;

/** Lead of a word of the extended dictionary. */
export const LEAD_EXTENDED: 0xe8 = 0xe8;

/** Lead of packed digits. */
export const LEAD_DIGITS: 0xec = 0xec;

/** Lead of a text of at most 255 bytes. */
export const LEAD_TEXT: 0xed = 0xed;

/** Lead of a text of 256 bytes and more, with a length of two bytes. */
export const LEAD_LONG_TEXT: 0xee = 0xee;

/** Longest text whose length is one byte. */
export const SHORT_TEXT_BYTES_MAX: 255 = 255;

/** Low two bits of the head byte of a stanza: what its content is. The value 3 is reserved. */
export const CONTENT_NONE: 0 = 0;
export const CONTENT_BYTES: 1 = 1;
export const CONTENT_CHILDREN: 2 = 2;

/** The head byte's upper six bits count the attributes. */
export const HEAD_CONTENT_BITS: 2 = 2;
export const HEAD_CONTENT_MASK: 3 = 3;

/** A count (content bytes, children) below this takes one byte; from here on two, the first with its top bit set. */
export const LONG_COUNT: 0x80 = 0x80;

/** The half byte after the last character of an odd number of digits. */
export const FILLER: 0xf = 0xf;
