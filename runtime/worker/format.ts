/**
 * The bytes of a packet between two threads of one node: the tags, and what follows each.
 *
 *   packet:  length (4)  kind (1)  values of the packet, one after the other
 *
 *   tag         follows                                meaning
 *   00 … 7f                                            the integer itself
 *   80 … bf     0 … 63 bytes                           a short string, Latin-1
 *   c0 … c3                                            undefined, null, false, true
 *   c4          4                                      an integer of 32 bits
 *   c5          8                                      any other number
 *   c6          length (4), bytes                      a string, Latin-1
 *   c7          length (4), bytes                      a string, UTF-16 as it is, lone surrogates too
 *   c8          count (4), values                      an array; a hole is undefined
 *   c9          shape (2), values                      an object whose keys were told before
 *   ca          count (4), key and value in turn       an object with its keys
 *   cb          length (4), bytes                      a Uint8Array
 *   cc          length (4), bytes                      a Buffer
 *   cd          worker (1), slot (4), creation (4)     a pid of this node
 *   ce          worker (1), creation (4), id (8)       a ref of this node
 *   cf          length (4), bytes                      anything else, as `../codec.ts` writes it
 *   d0, d1      as cd, ce                              a pid, a ref of the reader's node, if that is another
 *
 * Integers are little endian, other numbers as the machine has them. It is no format for a disk: both ends remember from
 * packet to packet which keys a shape has. Between nodes it travels over a channel that loses and reorders nothing and
 * whose two ends have agreed on a version of it (`../cluster/channel.ts`); every machine we run on is little endian.
 * Read next: `encoder.ts`, `decoder.ts`, `shapes.ts`.
 */

export const TAG: Readonly<{
  shortString: 0x80;
  undefined: 0xc0;
  null: 0xc1;
  false: 0xc2;
  true: 0xc3;
  int32: 0xc4;
  float64: 0xc5;
  latin1: 0xc6;
  utf16: 0xc7;
  array: 0xc8;
  shaped: 0xc9;
  object: 0xca;
  bytes: 0xcb;
  buffer: 0xcc;
  pid: 0xcd;
  ref: 0xce;
  foreign: 0xcf;
  peerPid: 0xd0;
  peerRef: 0xd1;
}> = Object.freeze({
  shortString: 0x80,
  undefined: 0xc0,
  null: 0xc1,
  false: 0xc2,
  true: 0xc3,
  int32: 0xc4,
  float64: 0xc5,
  latin1: 0xc6,
  utf16: 0xc7,
  array: 0xc8,
  shaped: 0xc9,
  object: 0xca,
  bytes: 0xcb,
  buffer: 0xcc,
  pid: 0xcd,
  ref: 0xce,
  foreign: 0xcf,
  peerPid: 0xd0,
  peerRef: 0xd1,
});

/** The kind of a packet that tells the keys of the next shape; the other kinds are those of `PACKET`. */
export const DEFINE_SHAPE: 0xff = 0xff;

/** Integers below it are their own tag. */
export const SMALL_INTEGERS: 0x80 = 0x80;

/** Characters of the longest string whose length lies in its tag. */
export const SHORT_STRING_MAX: 63 = 63;
