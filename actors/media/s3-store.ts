/**
 * Media in an object store that speaks S3: uploads grow on the node's disk by at most a part, whole media are objects.
 *
 *   PATCH ──▶ tail on the disk ──8 MiB──▶ UploadPart, noted in parts.json ──▶ …
 *                               last byte ──▶ UploadPart, CompleteMultipartUpload ──▶ the object <prefix>blobs/<id>
 *                               last byte, and no part before ──▶ PutObject
 *
 * What is sent is read from the disk as it is sent, so memory does not grow with parts. Parts are noted when they are there, so an
 * upload goes on after a restart of the node; one whose disk is lost ends with the sweep. The last byte does not count before the
 * object is there: a client that was told of the end finds a blob.
 *
 * An object's age is the store's to tell. An expired one is not opened any more, and removed some hours later, since whoever reads it asks
 * for one range after the other. Any number of workers, and of nodes, may share a bucket. Why and how: docs/internals/media.md.
 */

import { mkdir } from 'node:fs/promises';
import type { Clock, Logger, Random } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { S3Address } from './address.ts';
import { discard, hasRoom, take } from './files.ts';
import type { Appender, BlobReader, MediaRefusal, MediaStore, SweepReport, UploadState } from './media-store.ts';
import { lockOf, OpenUploads } from './open-uploads.ts';
import { isFailure, S3Client, type S3Failure, type S3Marker, type S3Object } from './s3-client.ts';
import { S3Reader } from './s3-reader.ts';
import type { Credentials } from './sigv4.ts';
import { Staging } from './staging.ts';

export interface S3StoreOptions {
  readonly address: S3Address;
  readonly credentials: Credentials;
  /** Where uploads under way are staged; made if missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Bytes that must stay free on the disk; `LIMITS.mediaDiskReserveBytes` if not given. */
  readonly reserveBytes?: number;
  /** `LIMITS.mediaPartBytes` if not given; at least 5 MiB. */
  readonly partBytes?: number;
  /** `LIMITS.objectStoreIdleMs` if not given. */
  readonly idleMs?: number;
}

const UNKNOWN = { refused: 'unknown' } as const;
const UNAVAILABLE = { refused: 'unavailable' } as const;

/** Opens the store, or says why the object store does not take us. */
export async function openS3Store(options: S3StoreOptions): Promise<S3Store | S3Failure> {
  const store = new S3Store(options);
  await store.uploads.prepare();
  const failure = await store.client.probe();
  if (failure === undefined) return store;
  store.release();
  return failure;
}

/** One thing to do in a round of the sweep; gives what it removed. */
type Slice = (nowMs: number) => Promise<number>;

export class S3Store implements MediaStore {
  readonly client: S3Client;
  readonly uploads: OpenUploads;
  readonly #options: S3StoreOptions;
  readonly #prefix: string;
  #round: Slice[] | undefined = undefined;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.client = new S3Client(options);
    this.uploads = new OpenUploads(options.directory);
    this.#prefix = `${options.address.prefix}blobs/`;
  }

  /** Closes the connections that are kept. */
  release(): void {
    this.client.close();
  }

  clearLocks(): Promise<void> {
    return this.uploads.clearLocks();
  }

  async create(id: string, owner: string, bytes: number, nowMs: number): Promise<UploadState | MediaRefusal> {
    const existing = await this.#load(id, owner);
    if (existing !== undefined) return existing.bytes === bytes ? stateOf(existing) : UNKNOWN;
    const blob = await this.#findBlob(id);
    if (!('refused' in blob)) return blob.bytes === bytes ? blob : UNKNOWN;
    if (blob.refused === 'unavailable') return blob;
    if (await this.uploads.isFull(owner)) return { refused: 'too-many' };
    if (!(await this.hasRoom(Math.min(bytes, this.partBytes)))) return { refused: 'full' };
    await mkdir(this.uploads.directoryOf(owner), { recursive: true, mode: 0o700 });
    await Staging.create(this.uploads.name(id, owner, bytes), nowMs);
    return { bytes, offset: 0 };
  }

  async find(id: string, owner: string): Promise<UploadState | MediaRefusal> {
    const staging = await this.#load(id, owner);
    return staging === undefined ? this.#findBlob(id) : stateOf(staging);
  }

  async append(id: string, owner: string, offset: number, nowMs: number): Promise<Appender | MediaRefusal> {
    const named = await this.uploads.find(id, owner);
    if (named === undefined) return this.#refuseAppend(id, owner);
    const lock = lockOf(named.path);
    if (!(await take(lock))) return { refused: 'busy' };
    // Looked at under the lock: whoever had it may have moved the end, or made a blob of it.
    const staging = await Staging.load(named);
    if (staging !== undefined && staging.offset === offset) return new S3Appender(this, staging, { id, lock, nowMs });
    await discard(lock);
    return staging === undefined ? this.#refuseAppend(id, owner) : { refused: 'offset', state: stateOf(staging) };
  }

  async #refuseAppend(id: string, owner: string): Promise<MediaRefusal> {
    const state = await this.find(id, owner);
    return 'refused' in state ? state : { refused: 'offset', state };
  }

  async open(id: string): Promise<BlobReader | MediaRefusal> {
    const object = await this.client.head(this.keyOf(id));
    if (isFailure(object)) return object.failed === 'missing' ? UNKNOWN : UNAVAILABLE;
    if (this.#options.clock.nowMs() - object.modifiedMs >= LIMITS.mediaAgeMsMax) return UNKNOWN;
    return new S3Reader(this.client, this.keyOf(id), object.bytes);
  }

  /** A round: each account's staged uploads, uploads in parts that nobody completed, and the objects page by page. */
  async sweep(nowMs: number): Promise<SweepReport> {
    this.#round ??= await this.#planRound();
    const round = this.#round;
    const slice = round.shift();
    try {
      const removed = slice === undefined ? 0 : await slice(nowMs);
      const done = round.length === 0;
      if (done) this.#round = undefined;
      return { removed, done };
    } catch (error) {
      this.#round = undefined;
      throw error;
    }
  }

  async #planRound(): Promise<Slice[]> {
    const staged = (await this.uploads.directories()).map(
      (directory): Slice =>
        (nowMs) =>
          this.#sweepStaged(directory, nowMs),
    );
    // Objects before parts, whose listing is what stores leave out that speak less of S3.
    const objects: Slice = (nowMs) => this.#sweepObjects(undefined, nowMs);
    const parts: Slice = (nowMs) => this.#sweepParts(undefined, nowMs);
    return [...staged, objects, parts];
  }

  async #sweepStaged(directory: string, nowMs: number): Promise<number> {
    let removed = 0;
    for (const path of await this.uploads.idle(directory)) {
      const touchedMs = await Staging.touchedMs(path);
      if (touchedMs === undefined || nowMs - touchedMs < LIMITS.uploadAgeMsMax) continue;
      // Parts that are in the store by then are found by the slice for those.
      await Staging.discard(path);
      removed++;
    }
    await this.uploads.prune(directory);
    return removed;
  }

  /** Parts cost as objects do. An upload may take two days: one since its last progress, and what came before. */
  async #sweepParts(marker: S3Marker | undefined, nowMs: number): Promise<number> {
    const page = await this.client.listUploads(this.#prefix, marker);
    if (isFailure(page) && page.code === 'NotImplemented') return 0;
    const { uploads, next } = orThrow(page);
    const old = uploads.filter(({ initiatedMs }) => nowMs - initiatedMs >= 2 * LIMITS.uploadAgeMsMax);
    await inParallel(old, async ({ key, uploadId }) => orThrow(await this.client.abortUpload(key, uploadId)));
    if (next !== undefined) this.#round?.unshift((later) => this.#sweepParts(next, later));
    return 0;
  }

  async #sweepObjects(token: string | undefined, nowMs: number): Promise<number> {
    const { objects, next } = orThrow(await this.client.list(this.#prefix, token));
    const ageMsMax = LIMITS.mediaAgeMsMax + LIMITS.mediaObjectGraceMs;
    const old = objects.filter((object: S3Object) => nowMs - object.modifiedMs >= ageMsMax);
    await inParallel(old, async ({ key }) => orThrow(await this.client.delete(key)));
    if (next !== undefined) this.#round?.unshift((later) => this.#sweepObjects(next, later));
    return old.length;
  }

  get partBytes(): number {
    return this.#options.partBytes ?? LIMITS.mediaPartBytes;
  }

  keyOf(id: string): string {
    return `${this.#prefix}${id}`;
  }

  hasRoom(bytes: number): Promise<boolean> {
    return hasRoom(this.uploads.directory, bytes, this.#options.reserveBytes ?? LIMITS.mediaDiskReserveBytes);
  }

  async #load(id: string, owner: string): Promise<Staging | undefined> {
    const named = await this.uploads.find(id, owner);
    return named && Staging.load(named);
  }

  async #findBlob(id: string): Promise<UploadState | { readonly refused: 'unknown' | 'unavailable' }> {
    const object = await this.client.head(this.keyOf(id));
    if (isFailure(object)) return object.failed === 'missing' ? UNKNOWN : UNAVAILABLE;
    return { bytes: object.bytes, offset: object.bytes };
  }
}

interface Held {
  readonly id: string;
  readonly lock: string;
  readonly nowMs: number;
}

type Setback = 'unavailable' | 'unknown';

class S3Appender implements Appender {
  readonly #store: S3Store;
  readonly #staging: Staging;
  readonly #held: Held;
  /** Parts that the store had are gone, and the upload with them. */
  #isLost = false;

  constructor(store: S3Store, staging: Staging, held: Held) {
    this.#store = store;
    this.#staging = staging;
    this.#held = held;
  }

  get offset(): number {
    return this.#staging.offset;
  }

  get bytes(): number {
    return this.#staging.bytes;
  }

  async write(chunks: readonly Uint8Array[]): Promise<'ok' | 'full' | Setback> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (length > this.bytes - this.offset)
      throw new RangeError(`"chunks" expected at most ${this.bytes - this.offset}`);
    if (!(await this.#store.hasRoom(length))) return 'full';
    for (const chunk of chunks) {
      const setback = await this.#take(chunk);
      if (setback !== undefined) return setback;
    }
    return 'ok';
  }

  /** Fills the tail, and makes a part of it wherever it is full and more comes. */
  async #take(chunk: Uint8Array): Promise<Setback | undefined> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#staging.tailBytes >= this.#store.partBytes) {
        const setback = await this.#cut();
        if (setback !== undefined) return setback;
      }
      const piece = rest.subarray(0, this.#store.partBytes - this.#staging.tailBytes);
      await this.#staging.append(piece);
      rest = rest.subarray(piece.length);
    }
    return undefined;
  }

  async #cut(): Promise<Setback | undefined> {
    const tag = await this.#sendPart();
    if (isFailure(tag)) return this.#judge(tag);
    await this.#staging.cut(tag);
    return undefined;
  }

  /** Sends the tail as the next part. */
  async #sendPart(): Promise<string | S3Failure> {
    const [{ client }, staging, key] = [this.#store, this.#staging, this.#store.keyOf(this.#held.id)];
    if (staging.uploadId === undefined) {
      const uploadId = await client.createUpload(key);
      if (isFailure(uploadId)) return uploadId;
      await staging.begin(uploadId);
    }
    return client.uploadPart(key, staging.uploadId!, staging.parts.length + 1, await staging.body());
  }

  #judge({ failed }: S3Failure): Setback {
    this.#isLost = failed === 'missing';
    return this.#isLost ? 'unknown' : 'unavailable';
  }

  async close(): Promise<UploadState | MediaRefusal> {
    const { bytes } = this;
    try {
      await this.#staging.flush(this.#held.nowMs);
      if (this.offset < bytes && !this.#isLost) return stateOf(this.#staging);
      const setback = this.#isLost ? 'unknown' : await this.#publish();
      if (setback === 'unavailable') {
        await this.#staging.retract();
        return UNAVAILABLE;
      }
      await this.#staging.remove();
      return setback === 'unknown' ? UNKNOWN : { bytes, offset: bytes };
    } finally {
      await discard(this.#held.lock);
    }
  }

  /** Makes an object of what has come; nothing where it is one. */
  async #publish(): Promise<Setback | undefined> {
    const { client } = this.#store;
    const key = this.#store.keyOf(this.#held.id);
    const failure =
      this.#staging.parts.length === 0 ? await client.put(key, await this.#staging.body()) : await this.#complete();
    if (failure?.failed !== 'missing') return failure && this.#judge(failure);
    // An upload that was completed is no upload any more: the answer was lost then, not the medium.
    const object = await client.head(key);
    if (!isFailure(object) && object.bytes === this.bytes) return undefined;
    return this.#judge(isFailure(object) ? object : failure);
  }

  async #complete(): Promise<S3Failure | undefined> {
    const last = await this.#sendPart();
    if (isFailure(last)) return last;
    const tags = [...this.#staging.parts.map(({ tag }) => tag), last];
    return this.#store.client.completeUpload(this.#store.keyOf(this.#held.id), this.#staging.uploadId!, tags);
  }
}

function stateOf({ bytes, offset }: UploadState): UploadState {
  return { bytes, offset };
}

/** A sweep that fails is the keeper's to log, by the code. */
function orThrow<Outcome>(outcome: Outcome | S3Failure): Outcome {
  if (isFailure(outcome)) throw Object.assign(new Error('the object store failed a sweep'), { code: outcome.code });
  return outcome;
}

/** Does `work` for each item, a few at a time. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: LIMITS.mediaSweepParallelMax }, worker));
}
