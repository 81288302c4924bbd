/**
 * Media on the disk of the node.
 *
 *   media/open/<user>/<id>.<bytes>        an upload: its file is as long as what has come
 *   media/open/<user>/<id>.<bytes>.lock   somebody appends to it
 *   media/blobs/<first 3 digits>/<id>     a blob; its modification time is when it became one
 *
 * The names hold all there is to know, so there is no index that could disagree with the files, and every worker of the node
 * may use the directory at once. Who sent a blob is forgotten with the rename that makes it one. Times are set from the caller's
 * clock, never taken from the disk.
 *
 * Kept properties: an upload never shrinks; the size of a file counts only bytes that were written (on file systems that order
 * data before sizes, such as ext4 and xfs as they are mounted by default); a blob is flushed, and so is its name, before
 * anybody is told of it. Why not in LMDB: a page store would copy each byte twice and never give the space back.
 */

import { constants } from 'node:fs';
import { mkdir, open, rename, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../limits.ts';
import { absent, discard, flushDirectory, hasRoom, list, take, writeAll } from './files.ts';
import type { Appender, BlobReader, MediaRefusal, MediaStore, SweepReport, UploadState } from './media-store.ts';
import { lockOf, OpenUploads } from './open-uploads.ts';

export interface DiskStoreOptions {
  /** Made if missing. */
  readonly directory: string;
  /** Bytes that must stay free on the disk; `LIMITS.mediaDiskReserveBytes` if not given. */
  readonly reserveBytes?: number;
}

interface OpenUpload extends UploadState {
  readonly path: string;
}

const UNKNOWN = { refused: 'unknown' } as const;
const FULL = { refused: 'full' } as const;
const BUSY = { refused: 'busy' } as const;

/** Opens the store. Any number of workers may; `clearLocks` is for one of them, before any appends. */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  const store = new DiskStore(options);
  await store.uploads.prepare();
  await mkdir(store.blobDirectory, { recursive: true, mode: 0o700 });
  return store;
}

export class DiskStore implements MediaStore {
  readonly uploads: OpenUploads;
  readonly blobDirectory: string;
  readonly #reserveBytes: number;
  /** Directories that the present round of the sweep has still to look at. */
  #unswept: string[] | undefined = undefined;

  constructor({ directory, reserveBytes = LIMITS.mediaDiskReserveBytes }: DiskStoreOptions) {
    this.uploads = new OpenUploads(join(directory, 'open'));
    this.blobDirectory = join(directory, 'blobs');
    this.#reserveBytes = reserveBytes;
  }

  clearLocks(): Promise<void> {
    return this.uploads.clearLocks();
  }

  async create(id: string, owner: string, bytes: number, nowMs: number): Promise<UploadState | MediaRefusal> {
    const existing = await this.#findUpload(id, owner);
    if (existing !== undefined) return existing.bytes === bytes ? stateOf(existing) : UNKNOWN;
    const blob = await this.#blobBytes(id);
    if (blob !== undefined) return blob === bytes ? { bytes, offset: bytes } : UNKNOWN;
    if (await this.uploads.isFull(owner)) return { refused: 'too-many' };
    if (!(await this.hasRoom(bytes))) return FULL;
    const { path } = this.uploads.name(id, owner, bytes);
    const directory = this.uploads.directoryOf(owner);
    const handle = await make(path, directory);
    await handle.utimes(nowMs / 1000, nowMs / 1000).finally(() => handle.close());
    await flushDirectory(directory);
    return { bytes, offset: 0 };
  }

  async find(id: string, owner: string): Promise<UploadState | MediaRefusal> {
    const upload = await this.#findUpload(id, owner);
    if (upload !== undefined) return stateOf(upload);
    const bytes = await this.#blobBytes(id);
    return bytes === undefined ? UNKNOWN : { bytes, offset: bytes };
  }

  async append(id: string, owner: string, offset: number, nowMs: number): Promise<Appender | MediaRefusal> {
    const found = await this.#findUpload(id, owner);
    if (found === undefined) return this.#refuseAppend(id, owner);
    const lock = lockOf(found.path);
    if (!(await take(lock))) return BUSY;
    // Looked at again under the lock: whoever had it may have moved the end, or made a blob of it.
    const upload = await this.#findUpload(id, owner);
    if (upload === undefined || upload.offset !== offset) {
      await discard(lock);
      return upload === undefined ? this.#refuseAppend(id, owner) : { refused: 'offset', state: stateOf(upload) };
    }
    const handle = await open(upload.path, constants.O_WRONLY);
    return new DiskAppender(this, { upload, handle, lock, target: this.blobPath(id), nowMs });
  }

  /** A blob takes no more bytes; a client that did not hear so learns where it stands. */
  async #refuseAppend(id: string, owner: string): Promise<MediaRefusal> {
    const state = await this.find(id, owner);
    return 'refused' in state ? state : { refused: 'offset', state };
  }

  async open(id: string): Promise<BlobReader | MediaRefusal> {
    const handle = await open(this.blobPath(id), constants.O_RDONLY).catch(absent);
    if (handle === undefined) return UNKNOWN;
    return new DiskReader(handle, (await handle.stat()).size);
  }

  /** A round looks at each directory of uploads and of blobs; one directory a slice, since each holds a bounded share. */
  async sweep(nowMs: number): Promise<SweepReport> {
    this.#unswept ??= await this.#directories();
    const directory = this.#unswept.pop();
    let removed = 0;
    if (directory !== undefined) removed = await this.#sweepDirectory(directory, nowMs);
    const done = this.#unswept.length === 0;
    if (done) this.#unswept = undefined;
    return { removed, done };
  }

  async #directories(): Promise<string[]> {
    const blobs = (await list(this.blobDirectory)).map((name) => join(this.blobDirectory, name));
    return [...(await this.uploads.directories()), ...blobs];
  }

  async #sweepDirectory(directory: string, nowMs: number): Promise<number> {
    const isBlob = directory.startsWith(this.blobDirectory);
    const ageMsMax = isBlob ? LIMITS.mediaAgeMsMax : LIMITS.uploadAgeMsMax;
    let removed = 0;
    for (const path of await this.uploads.idle(directory)) {
      const found = await stat(path).catch(absent);
      if (found === undefined || nowMs - found.mtimeMs < ageMsMax) continue;
      await discard(path);
      removed++;
    }
    if (!isBlob) await this.uploads.prune(directory);
    return removed;
  }

  hasRoom(bytes: number): Promise<boolean> {
    return hasRoom(this.uploads.directory, bytes, this.#reserveBytes);
  }

  /** @internal */
  blobPath(id: string): string {
    return join(this.blobDirectory, id.slice(0, 3), id);
  }

  async #blobBytes(id: string): Promise<number | undefined> {
    return (await stat(this.blobPath(id)).catch(absent))?.size;
  }

  async #findUpload(id: string, owner: string): Promise<OpenUpload | undefined> {
    const named = await this.uploads.find(id, owner);
    const found = named && (await stat(named.path).catch(absent));
    return named && found && { ...named, offset: found.size };
  }
}

interface Held {
  readonly upload: OpenUpload;
  readonly handle: FileHandle;
  readonly lock: string;
  /** Where the blob will be. */
  readonly target: string;
  readonly nowMs: number;
}

class DiskAppender implements Appender {
  readonly #store: DiskStore;
  readonly #held: Held;
  offset: number;

  constructor(store: DiskStore, held: Held) {
    this.#store = store;
    this.#held = held;
    this.offset = held.upload.offset;
  }

  get bytes(): number {
    return this.#held.upload.bytes;
  }

  async write(chunks: readonly Uint8Array[]): Promise<'ok' | 'full'> {
    const { handle } = this.#held;
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (length > this.bytes - this.offset)
      throw new RangeError(`"chunks" expected at most ${this.bytes - this.offset}`);
    if (!(await this.#store.hasRoom(length))) return 'full';
    try {
      let position = this.offset;
      for (const chunk of chunks) position += await writeAll(handle, chunk, position);
    } catch (error) {
      // Part of it may stand beyond the end that we speak of: cut off, so that the size of the file stays the truth.
      await handle.truncate(this.offset);
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return 'full';
      throw error;
    }
    this.offset += length;
    return 'ok';
  }

  async close(): Promise<UploadState> {
    const { handle, lock, nowMs } = this.#held;
    try {
      await handle.datasync();
      // The time of a blob is that of its last byte, by the node's clock; an upload is as old as its last progress.
      await handle.utimes(nowMs / 1000, nowMs / 1000);
      if (this.offset === this.bytes) await this.#publish();
    } finally {
      await handle.close();
      await discard(lock);
    }
    return { bytes: this.bytes, offset: this.offset };
  }

  async #publish(): Promise<void> {
    const { upload, handle, target } = this.#held;
    const shard = join(target, '..');
    await handle.sync();
    if ((await mkdir(shard, { recursive: true, mode: 0o700 })) !== undefined) await flushDirectory(join(shard, '..'));
    await rename(upload.path, target);
    await flushDirectory(shard);
  }
}

class DiskReader implements BlobReader {
  readonly #handle: FileHandle;
  readonly bytes: number;

  constructor(handle: FileHandle, bytes: number) {
    this.#handle = handle;
    this.bytes = bytes;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.bytes - position));
    const buffer = new Uint8Array(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, filled, wanted - filled, position + filled);
      if (bytesRead === 0) throw new Error('a blob became shorter while it was read');
      filled += bytesRead;
    }
    return buffer;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function stateOf({ bytes, offset }: OpenUpload): UploadState {
  return { bytes, offset };
}

/** Makes a file and its directory; once more where a sweep has removed the directory in between. */
async function make(path: string, directory: string): Promise<FileHandle> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const first = await open(path, constants.O_CREAT | constants.O_WRONLY, 0o600).catch(absent);
  if (first !== undefined) return first;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return open(path, constants.O_CREAT | constants.O_WRONLY, 0o600);
}
