/**
 * How lmdb reads and writes the inbox table: entries and their keys straight from lmdb's own buffer.
 *
 * A drain reads a million entries. Asked for bytes, lmdb makes a Buffer of each key and each value, and a third of a drain's time
 * went into them. So it is given these two: they read key and value where they lie, copy the ciphertext into a slab that
 * many share, and make one object for each entry. Bytes: `layout.ts`. Figures: docs/internals/inbox.md.
 */

import type { InboxEntry } from './inbox-store.ts';
import * as layout from './layout.ts';

/** A key as it is read. */
export interface InboxKey {
  /** User id, as a number. */
  readonly user: number;
  readonly device: number;
  readonly seq: number;
}

/** For lmdb's option `keyEncoder`. Keys are written as `layout.entryKey` makes them; lmdb may write one back that it has read. */
export const inboxKeys = {
  writeKey(key: Buffer | InboxKey, target: Buffer, start: number): number {
    const bytes = Buffer.isBuffer(key) ? key : layout.entryKey(String(key.user), key.device, key.seq);
    target.set(bytes, start);
    return start + bytes.length;
  },
  readKey(source: Buffer, start: number): InboxKey {
    const user = source.readUInt32BE(start) * 0x1_0000_0000 + source.readUInt32BE(start + 4);
    return { user, device: source[start + 8]!, seq: source.readUIntBE(start + 9, 6) };
  },
};

/** Bytes of a slab: a window of messages of the usual size. */
const SLAB_BYTES = 65_536;

let slab: Uint8Array = new Uint8Array(SLAB_BYTES);
let used = 0;

/** A copy of `source` from `start` on. Small ones share a slab, which lives as long as any of them. */
function copyOf(source: Buffer, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length > SLAB_BYTES / 4) return new Uint8Array(source.subarray(start, end));
  if (used + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const at = used;
  used += length;
  slab.set(source.subarray(start, end), at);
  return new Uint8Array(slab.buffer, at, length);
}

/** For lmdb's option `encoder`. What is decoded has the position 0: it stands in the key. */
export const inboxEntries = {
  encode: (entry: InboxEntry): Buffer => layout.encodeEntry(entry),
  decode: (source: Buffer): InboxEntry => layout.decodeEntry(0, source, copyOf),
};

/** A key that was read. lmdb's types have one type for keys that are written and keys that are read. */
export function keyOf(key: Buffer): InboxKey {
  return key as unknown as InboxKey;
}

/** The entry with its position. */
export function placed(entry: InboxEntry, { seq }: InboxKey): InboxEntry {
  // Decoded a moment ago, and nobody else has it.
  (entry as { seq: number }).seq = seq;
  return entry;
}

/** The user id of a key. */
export function userOf({ user }: InboxKey): string {
  return layout.userText(user);
}
