/**
 * Text on the wire: UTF-8, valid or refused.
 *
 * Written without TextEncoder, which would replace a lone surrogate silently; read without TextDecoder when short and
 * ASCII, since the call into the platform then costs more than the characters. Nothing here knows where in a stanza a text stands. Read next: `encode.ts`.
 */

/** Up to here an ASCII text is read by one `fromCharCode`: 48 ns against 60 ns at 4 bytes, even at 16 (Node 20). */
const DIRECT_BYTES_MAX = 16;

/** `fatal` refuses invalid bytes instead of replacing them; `ignoreBOM` keeps a leading U+FEFF, as identity demands. */
const decoder: TextDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Length of a text in UTF-8.
 *
 * @returns Bytes, or -1 for a text that has no UTF-8 form because a surrogate stands alone.
 */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x80) continue;
    if (code < 0x800) bytes += 1;
    else if (!isSurrogate(code)) bytes += 2;
    else if (isPair(text, index)) {
      // Two units become four bytes; both were counted as one.
      bytes += 2;
      index += 1;
    } else return -1;
  }
  return bytes;
}

function isSurrogate(code: number): boolean {
  return (code & 0xf800) === 0xd800;
}

/** Whether a high surrogate at `index` is followed by a low one. */
function isPair(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}

/**
 * Writes a well-formed text as UTF-8.
 *
 * @param target - Has room for `utf8Length(text)` bytes from `at`; the caller has checked.
 * @returns Where the text ends.
 */
export function writeUtf8(text: string, target: Uint8Array, at: number): number {
  let next = at;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.codePointAt(index)!;
    if (code < 0x80) target[next++] = code;
    else {
      next = writeCodePoint(code, target, next);
      if (code > 0xffff) index += 1;
    }
  }
  return next;
}

function writeCodePoint(code: number, target: Uint8Array, at: number): number {
  let next = at;
  if (code < 0x800) target[next++] = 0xc0 | (code >> 6);
  else {
    if (code < 0x10000) target[next++] = 0xe0 | (code >> 12);
    else {
      target[next++] = 0xf0 | (code >> 18);
      target[next++] = 0x80 | ((code >> 12) & 63);
    }
    target[next++] = 0x80 | ((code >> 6) & 63);
  }
  target[next++] = 0x80 | (code & 63);
  return next;
}

const scratch: number[] = [];

/**
 * Reads UTF-8 bytes.
 *
 * @param bytes - Borrowed. Holds the bytes from `at` to before `end`; the caller has checked.
 * @returns The text, or `undefined` for bytes that are not valid UTF-8.
 */
export function readUtf8(bytes: Uint8Array, at: number, end: number): string | undefined {
  if (end - at > DIRECT_BYTES_MAX) return readByPlatform(bytes, at, end);
  scratch.length = end - at;
  for (let index = at; index < end; index += 1) {
    const byte = bytes[index]!;
    if (byte >= 0x80) return readByPlatform(bytes, at, end);
    scratch[index - at] = byte;
  }
  return String.fromCharCode.apply(null, scratch);
}

function readByPlatform(bytes: Uint8Array, at: number, end: number): string | undefined {
  try {
    return decoder.decode(bytes.subarray(at, end));
  } catch {
    // The platform has no other way to say that the bytes are not UTF-8.
    return undefined;
  }
}
