/**
 * The catalogue of refusals: what bytes or stanzas the wire layer turns down, and with which close status.
 *
 * A refusal is plain data, so it crosses a thread and compares by code; it is returned, never thrown. It names the
 * place and the field, never a value: what a client sent does not get into a log this way. A wrong call by a developer
 * (a fractional id, nesting beyond the bound) is a TypeError or RangeError instead and has no code.
 * The sockets and who closes them are not known here. Read next: `decode.ts`.
 */

/** One entry of the catalogue. */
export interface WireErrorEntry {
  /** WebSocket close status that this refusal leads to. */
  readonly closeCode: 4400 | 4413;
  /** What was refused. */
  readonly meaning: string;
  /** How it usually comes about. */
  readonly cause: string;
  /** What the developer of the other end should do. */
  readonly action: string;
}

/** Every code of this layer. Codes are stable: they may be added, never renamed or given another meaning. */
export type WireErrorCode =
  | 'WIRE_FRAME_TOO_LARGE'
  | 'WIRE_TRUNCATED'
  | 'WIRE_TRAILING_BYTES'
  | 'WIRE_BAD_TOKEN'
  | 'WIRE_RESERVED'
  | 'WIRE_BAD_NAME'
  | 'WIRE_BAD_TEXT'
  | 'WIRE_BAD_DIGITS'
  | 'WIRE_BAD_INTEGER'
  | 'WIRE_NOT_CANONICAL'
  | 'WIRE_DUPLICATE_ATTRIBUTE'
  | 'WIRE_TEXT_TOO_LONG'
  | 'WIRE_TOO_MANY_ATTRIBUTES'
  | 'WIRE_TOO_MANY_CHILDREN'
  | 'WIRE_TOO_MANY_NODES'
  | 'WIRE_TOO_DEEP'
  | 'WIRE_BAD_STANZA';

/** The catalogue. */
export const WIRE_ERRORS: Readonly<Record<WireErrorCode, WireErrorEntry>> = {
  WIRE_FRAME_TOO_LARGE: {
    closeCode: 4413,
    meaning: 'a message or a frame is longer than its bound',
    cause: 'media or a long text sent as one message, or a length field that was not one',
    action: 'send at most 16,384 bytes in a message; send media out of band',
  },
  WIRE_TRUNCATED: {
    closeCode: 4400,
    meaning: 'the bytes end inside a frame or a value, or there is no frame at all',
    cause: 'a length that promises more than follows, or a frame cut over two WebSocket messages',
    action: 'send whole frames; compute lengths from the bytes written',
  },
  WIRE_TRAILING_BYTES: {
    closeCode: 4400,
    meaning: 'a frame is longer than the stanza in it',
    cause: 'a wrong frame length, or padding, which the format does not have',
    action: 'let the frame length be the length of the stanza exactly',
  },
  WIRE_BAD_TOKEN: {
    closeCode: 4400,
    meaning: 'a dictionary number that this version does not hold',
    cause: 'a dictionary of another version, or bytes read at the wrong place',
    action: 'use the dictionary of the negotiated subprotocol',
  },
  WIRE_RESERVED: {
    closeCode: 4400,
    meaning: 'a lead byte or a kind of content to which this version gives no meaning',
    cause: 'a format of another version, or bytes read at the wrong place',
    action: 'use the format of the negotiated subprotocol',
  },
  WIRE_BAD_NAME: {
    closeCode: 4400,
    meaning: 'a tag or attribute name that is no name: 1 to 32 of a-z, 0-9 and "-", a letter first',
    cause: 'a number, digits or a value where a name belongs, or capital letters',
    action: 'use the names of docs/protocol.md',
  },
  WIRE_BAD_TEXT: {
    closeCode: 4400,
    meaning: 'a text that is not valid UTF-8',
    cause: 'binary data in an attribute, or a text cut inside a character',
    action: 'put binary data into content; cut texts between characters',
  },
  WIRE_BAD_DIGITS: {
    closeCode: 4400,
    meaning: 'a packed value with a nibble outside its alphabet',
    cause: 'a packing of another protocol, or the filler before the end',
    action: 'pack 0-9 + - . only, and fill the last half byte with F',
  },
  WIRE_BAD_INTEGER: {
    closeCode: 4400,
    meaning: 'an integer above 2^53 - 1',
    cause: 'a 64-bit counter written in full',
    action: 'stay within 2^53 - 1',
  },
  WIRE_NOT_CANONICAL: {
    closeCode: 4400,
    meaning: 'a value in another form than the one that the format gives it',
    cause: 'a dictionary word or digits written as text, an integer or a length with leading zeros, an empty list',
    action: 'choose the form by the table of FORMAT.md; each value has exactly one',
  },
  WIRE_DUPLICATE_ATTRIBUTE: {
    closeCode: 4400,
    meaning: 'an attribute name that stands twice in one stanza',
    cause: 'attributes appended without looking',
    action: 'write each name once',
  },
  WIRE_TEXT_TOO_LONG: {
    closeCode: 4400,
    meaning: 'a text above 1,024 bytes',
    cause: 'prose in an attribute',
    action: 'put it into content, or shorten it',
  },
  WIRE_TOO_MANY_ATTRIBUTES: {
    closeCode: 4400,
    meaning: 'more than 16 attributes in one stanza',
    cause: 'a list written as attributes',
    action: 'write lists as children',
  },
  WIRE_TOO_MANY_CHILDREN: {
    closeCode: 4400,
    meaning: 'more than 1,024 children in one stanza',
    cause: 'a list that should have been paged',
    action: 'split it over several requests',
  },
  WIRE_TOO_MANY_NODES: {
    closeCode: 4400,
    meaning: 'more than 2,049 stanzas in one frame, nested ones counted',
    cause: 'an attack on memory, seldom anything else',
    action: 'split the request',
  },
  WIRE_TOO_DEEP: {
    closeCode: 4400,
    meaning: 'nesting deeper than 8',
    cause: 'an attack on the stack, seldom anything else',
    action: 'flatten the stanza',
  },
  WIRE_BAD_STANZA: {
    closeCode: 4400,
    meaning: 'a stanza that decodes and is none of the protocol: unknown tag, missing field, value out of range',
    cause: 'a client of another version, or a field of the wrong form (a number where digits belong)',
    action: 'compare the field that the message names with docs/protocol.md',
  },
};

/** A refusal: plain data, recognised by `closeCode`, which no stanza and no message has. */
export interface WireError {
  readonly code: WireErrorCode;
  /** WebSocket close status, from the catalogue. */
  readonly closeCode: number;
  /** For the log and the developer of the other end: place and field, never a value. */
  readonly message: string;
  /** Where in the input, in bytes from its start, when bytes were refused. */
  readonly offset?: number;
}

/**
 * Makes a refusal of `code`.
 *
 * @param detail - What exactly, in place of the catalogue's general meaning. Must not hold input.
 * @param offset - Bytes from the start of the input, where there is one.
 */
export function wireError(code: WireErrorCode, detail?: string, offset?: number): WireError {
  const entry = WIRE_ERRORS[code];
  const message = detail ?? entry.meaning;
  return offset === undefined
    ? { code, closeCode: entry.closeCode, message }
    : { code, closeCode: entry.closeCode, message, offset };
}

/** Tells a refusal from the stanza, message or list that would have been returned in its place. */
export function isWireError(value: object | undefined): value is WireError {
  return value !== undefined && (value as Partial<WireError>).closeCode !== undefined;
}
