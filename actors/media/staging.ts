/**
 * What of an upload is not yet in the object store, on the disk of the node: its last bytes, and which parts the store has.
 *
 *   <user>/<id>.<bytes>/parts.json      { uploadId, parts: [{ tag, bytes }] }; its modification time is the upload's last progress
 *   <user>/<id>.<bytes>/tail.<start>    the bytes from <start>, the end of the last part, on
 *
 * A part counts once `parts.json` names it; since the tail has its place in its name, a crash between the two leaves an older tail that
 * nobody reads. An upload that has all its bytes is not yet a blob: until the object is there, its last byte does not count. Knows no
 * network. Read next: `s3-store.ts`.
 */

import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { absent, discard, flushDirectory, writeAll } from './files.ts';
import type { NamedUpload } from './open-uploads.ts';
import type { S3Body } from './s3-client.ts';

export interface Part {
  readonly tag: string;
  readonly bytes: number;
}

interface Parts {
  readonly uploadId: string | undefined;
  readonly parts: readonly Part[];
}

const RECORD = 'parts.json';

export class Staging {
  readonly #path: string;
  readonly bytes: number;
  #parts: Parts;
  /** Bytes behind the last part. */
  #tailBytes: number;
  #tail: FileHandle | undefined = undefined;

  private constructor({ path, bytes }: NamedUpload, parts: Parts, tailBytes: number) {
    this.#path = path;
    this.bytes = bytes;
    this.#parts = parts;
    this.#tailBytes = tailBytes;
  }

  /** Begins an upload: flushed, and so is its name. */
  static async create(upload: NamedUpload, nowMs: number): Promise<void> {
    await mkdir(upload.path, { recursive: true, mode: 0o700 });
    const staging = new Staging(upload, { uploadId: undefined, parts: [] }, 0);
    await staging.#record(staging.#parts);
    await staging.touch(nowMs);
    await flushDirectory(dirname(upload.path));
  }

  /** What the disk has of an upload; `undefined` where it is not there, or was never begun to its end. */
  static async load(upload: NamedUpload): Promise<Staging | undefined> {
    const text = await readFile(join(upload.path, RECORD), 'utf8').catch(absent);
    if (text === undefined) return undefined;
    const staging = new Staging(upload, JSON.parse(text) as Parts, 0);
    const held = (await stat(staging.#tailPath).catch(absent))?.size ?? 0;
    staging.#tailBytes = Math.min(held, upload.bytes - 1 - staging.tailStart);
    return staging;
  }

  /** When the upload last grew; of one that was never begun to its end, when that was tried. */
  static async touchedMs(path: string): Promise<number | undefined> {
    return ((await stat(join(path, RECORD)).catch(absent)) ?? (await stat(path).catch(absent)))?.mtimeMs;
  }

  /** Removes what is staged under `path`. */
  static async discard(path: string): Promise<void> {
    // First the record, without which nobody takes the rest for an upload.
    await discard(join(path, RECORD));
    await rm(path, { recursive: true, force: true });
  }

  get offset(): number {
    return this.tailStart + this.#tailBytes;
  }

  get uploadId(): string | undefined {
    return this.#parts.uploadId;
  }

  get parts(): readonly Part[] {
    return this.#parts.parts;
  }

  get tailStart(): number {
    return this.#parts.parts.reduce((sum, part) => sum + part.bytes, 0);
  }

  get tailBytes(): number {
    return this.#tailBytes;
  }

  get #tailPath(): string {
    return join(this.#path, `tail.${this.tailStart}`);
  }

  /** Writes at the end of the tail. @param chunk - Borrowed until the promise settles. */
  async append(chunk: Uint8Array): Promise<void> {
    this.#tail ??= await this.#openTail();
    await writeAll(this.#tail, chunk, this.#tailBytes);
    this.#tailBytes += chunk.length;
  }

  /** Opens the tail, without bytes beyond the end that was spoken of. */
  async #openTail(): Promise<FileHandle> {
    const handle = await open(this.#tailPath, constants.O_CREAT | constants.O_WRONLY, 0o600);
    await handle.truncate(this.#tailBytes);
    return handle;
  }

  /** The tail, to be sent; its hash takes a read of it. */
  async body(): Promise<S3Body> {
    const [path, bytes] = [this.#tailPath, this.#tailBytes];
    const hash = createHash('sha256');
    const read = (): ReturnType<typeof createReadStream> => createReadStream(path, { end: bytes - 1 });
    for await (const chunk of read()) hash.update(chunk as Buffer);
    return { bytes, hash: hash.digest('hex'), open: read };
  }

  /** Notes under which id parts are sent. */
  async begin(uploadId: string): Promise<void> {
    await this.#record({ ...this.#parts, uploadId });
  }

  /** The tail has become a part. */
  async cut(tag: string): Promise<void> {
    const former = this.#tailPath;
    await this.#closeTail();
    await this.#record({ ...this.#parts, parts: [...this.#parts.parts, { tag, bytes: this.#tailBytes }] });
    this.#tailBytes = 0;
    await discard(former);
  }

  /** Takes the last byte back: it has to be sent again. */
  async retract(): Promise<void> {
    await this.#closeTail();
    this.#tailBytes -= 1;
    await truncate(this.#tailPath, this.#tailBytes);
  }

  /** Flushes the tail and lets go of it. */
  async flush(nowMs: number): Promise<void> {
    await this.#tail?.datasync();
    const isNew = this.#tail !== undefined;
    await this.#closeTail();
    if (isNew) await flushDirectory(this.#path);
    await this.touch(nowMs);
  }

  /** Sets the time of the last progress by the node's clock. */
  async touch(nowMs: number): Promise<void> {
    const handle = await open(join(this.#path, RECORD), constants.O_WRONLY);
    await handle.utimes(nowMs / 1000, nowMs / 1000).finally(() => handle.close());
  }

  /** Removes all of it. */
  async remove(): Promise<void> {
    await this.#closeTail();
    await Staging.discard(this.#path);
  }

  async #closeTail(): Promise<void> {
    const handle = this.#tail;
    this.#tail = undefined;
    await handle?.close();
  }

  /** Written beside and renamed, so that a crash leaves the former record or this one. */
  async #record(parts: Parts): Promise<void> {
    const path = join(this.#path, RECORD);
    const handle = await open(`${path}.new`, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(parts));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.new`, path);
    await flushDirectory(this.#path);
    this.#parts = parts;
  }
}
