/**
 * Files as attachments: read from the disk piece by piece, and written beside and renamed when they are whole and verified, so that
 * nobody takes a part of a file for all of it.
 */

import { open, rename, rm } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { Attachment, Client, MediaTransferOptions } from '../index.ts';

/** What a file name tells of its kind; anything else is just bytes. */
const TYPES: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.mp4': 'video/mp4',
  '.mp3': 'audio/mpeg',
  '.ogg': 'audio/ogg',
  '.pdf': 'application/pdf',
  '.txt': 'text/plain',
};

/** Bytes read at a time. */
const PIECE_BYTES = 262_144;

/**
 * Uploads the file at `path`.
 *
 * @throws {ClientError} As `Client.uploadMedia`. @throws {Error} Of the operating system, such as ENOENT.
 */
export async function uploadFile(
  client: Client,
  path: string,
  options: MediaTransferOptions = {},
): Promise<Attachment> {
  const file = await open(path);
  try {
    const { size: bytes } = await file.stat();
    const pieces = file.createReadStream({ highWaterMark: PIECE_BYTES, autoClose: false });
    const type = TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
    return await client.uploadMedia({ bytes, pieces }, { ...options, type, name: basename(path) });
  } finally {
    await file.close();
  }
}

/**
 * Writes the file of an attachment to `path`, readable for its owner only. Nothing that exists is overwritten.
 *
 * @throws {ClientError} As `Client.downloadMedia`. @throws {Error} Of the operating system, such as EEXIST.
 */
export async function saveFile(
  client: Client,
  attachment: Attachment,
  path: string,
  options: MediaTransferOptions = {},
): Promise<void> {
  // Takes the name, so that two downloads at a time do not both believe to have it.
  await (await open(path, 'wx', 0o600)).close();
  const part = `${path}.part`;
  try {
    await writeStream(client.downloadMedia(attachment, options), part);
    await rename(part, path);
  } catch (error) {
    await Promise.all([rm(part, { force: true }), rm(path, { force: true })]);
    throw error;
  }
}

async function writeStream(stream: ReadableStream<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for await (const piece of stream as unknown as AsyncIterable<Uint8Array>) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}
