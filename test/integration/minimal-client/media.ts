/**
 * Fetching and opening a file. Written from docs/protocol.md, "Media", and protocol/signal/MEDIA.md.
 *
 * The whole file is held in memory: what this client is for is the bytes, not their number.
 */

import { createDecipheriv, createHash } from 'node:crypto';
import type { Attachment } from './content.ts';
import { hkdf } from './keys.ts';

const LABEL = 'Blindbeam media v1';
const HEADER_BYTES = 50;
const TAG_BYTES = 16;

/** Fetches the file of an attachment. @throws {Error} anything but the file that was sent. */
export async function fetchFile(socketUrl: string, attachment: Attachment): Promise<Buffer> {
  const { host, protocol } = new URL(socketUrl);
  const origin = `${protocol === 'wss:' ? 'https:' : 'http:'}//${host}`;
  const response = await fetch(`${origin}${attachment.locator}`);
  if (response.status !== 200) throw new Error(`${response.status} ${(await response.text()).trim()}`);
  return openFile(Buffer.from(await response.arrayBuffer()), attachment);
}

/** Opens a file's ciphertext. @throws {Error} what was changed, cut, padded wrongly or sealed with another key. */
function openFile(sealed: Buffer, { key, digest, bytes }: Attachment): Buffer {
  if (!createHash('sha256').update(sealed).digest().equals(digest)) throw new Error('a wrong digest');
  const padded = openStream(sealed, key);
  if (padded.length < bytes || padded.subarray(bytes).some((byte) => byte !== 0)) throw new Error('wrong padding');
  return padded.subarray(0, bytes);
}

function openStream(sealed: Buffer, key: Buffer): Buffer {
  const [version, size] = [sealed[0]!, sealed[1]!];
  if (version !== 1 || size < 12 || size > 20) throw new Error('an unknown stream');
  const label = Buffer.concat([Buffer.from(LABEL, 'latin1'), Buffer.of(version, size)]);
  const derived = hkdf(key, sealed.subarray(2, 18), label, 64);
  if (!derived.subarray(32).equals(sealed.subarray(18, HEADER_BYTES))) throw new Error('a wrong key');
  const chunkBytes = 2 ** size + TAG_BYTES;
  const count = Math.max(1, Math.ceil((sealed.length - HEADER_BYTES) / chunkBytes));
  const chunks = Array.from({ length: count }, (_, index) => {
    const start = HEADER_BYTES + index * chunkBytes;
    const chunk = sealed.subarray(start, start + chunkBytes);
    return openChunk(derived.subarray(0, 32), index, index === count - 1, chunk);
  });
  return Buffer.concat(chunks);
}

function openChunk(key: Buffer, index: number, isLast: boolean, chunk: Buffer): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(chunk.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(chunk.subarray(0, -TAG_BYTES)), decipher.final()]);
}
