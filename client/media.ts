/**
 * Files on their way to and from the server: sealed here, carried over HTTP in pieces, taken up where a cut left them.
 *
 *   upload    source ─▶ MediaEncryption ─▶ slices of 1 MiB ─▶ PATCH, PATCH, … ─▶ an `Attachment` for a message
 *   download  GET (Range) ─▶ decryptMedia ─▶ a stream that errors unless the file is the one that was sent
 *
 * Neither direction holds more than a slice. It knows the media routes of docs/protocol.md and nothing of files: those are in
 * `node/media-file.ts`. Read next: the Signal half's MEDIA.md, `media-http.ts`.
 */

import {
  decryptMedia,
  fromReadableStream,
  isSignalError,
  mediaCiphertextBytes,
  MediaEncryption,
  toReadableStream,
} from '../protocol/signal/index.ts';
import type { ByteSource, MediaReference } from '../protocol/signal/index.ts';
import type { Attachment } from './content-body.ts';
import { ClientError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { MediaHttp } from './media-http.ts';
import type { MediaHttpServices } from './media-http.ts';

/** What to upload: something with a size that can be read once. A `Blob` or a browser's `File` is one as it is. */
export type MediaSource = Blob | { readonly bytes: number; readonly pieces: ByteSource };

/** How far a transfer has come, in bytes of ciphertext. */
export interface MediaProgress {
  readonly transferredBytes: number;
  readonly totalBytes: number;
}

export interface MediaTransferOptions {
  /** Called after each step; what the server is known to have, or what has arrived. */
  readonly onProgress?: ((progress: MediaProgress) => void) | undefined;
  /** Ends the transfer with CLI_MEDIA_CANCELLED. */
  readonly signal?: AbortSignal | undefined;
}

/** What a message says of the file beside where it is; what is not given is empty. */
export interface UploadOptions extends MediaTransferOptions {
  readonly type?: string;
  /** Never a path. */
  readonly name?: string;
  readonly caption?: string;
  readonly width?: number;
  readonly height?: number;
  readonly durationMs?: number;
  readonly thumbnail?: Uint8Array;
}

/** Uploads and downloads of one client. */
export class Media {
  readonly #services: MediaHttpServices;

  constructor(services: MediaHttpServices) {
    this.#services = services;
  }

  /**
   * Seals a source and uploads it.
   *
   * @returns What `send` takes, with `kind: 'attachment'`.
   * @throws {ClientError} CLI_MEDIA_SOURCE; CLI_MEDIA_CANCELLED; CLI_UNREACHABLE after long without progress; APP_MEDIA_TOO_LARGE,
   * APP_MEDIA_QUOTA with `retryAfterMs`, APP_TOO_MANY_UPLOADS, and the server's other codes. What the source throws.
   */
  async upload(source: MediaSource, options: UploadOptions): Promise<Attachment> {
    const { bytes, pieces } = source instanceof Blob ? fromBlob(source) : source;
    const totalBytes = mediaCiphertextBytes(bytes);
    const http = new MediaHttp(this.#services, options.signal);
    const locator = await http.begin(totalBytes);
    const { random } = this.#services;
    const sealing = MediaEncryption.begin((length) => random.bytes(length)).encrypt(pieces);
    const report = (transferredBytes: number): void => options.onProgress?.({ transferredBytes, totalBytes });
    const reference = await deliver(http, locator, sealing, totalBytes, report);
    if (reference.bytes !== bytes) throw new ClientError('CLI_MEDIA_SOURCE');
    return describe(locator, reference, options);
  }

  /**
   * The file of an attachment. Nothing is asked for before the stream is read; each piece is authentic when it comes.
   *
   * @returns A stream that ends only where the file was whole and the one that was sent; otherwise it errors with a `ClientError`:
   * CLI_MEDIA_FOREIGN; CLI_MEDIA_CANCELLED; CLI_UNREACHABLE; APP_UNKNOWN_MEDIA where it has expired; SIG_STREAM_… where it is not
   * what was sent.
   */
  download(attachment: Attachment, options: MediaTransferOptions): ReadableStream<Uint8Array> {
    return toReadableStream(this.#receive(attachment, options)).readable;
  }

  async *#receive(attachment: Attachment, options: MediaTransferOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { locator, key, digest, bytes } = attachment;
    if (!LOCATOR.test(locator)) throw new ClientError('CLI_MEDIA_FOREIGN');
    const http = new MediaHttp(this.#services, options.signal);
    const sealed = http.fetch(locator, (transferredBytes, totalBytes) =>
      options.onProgress?.({ transferredBytes, totalBytes }),
    );
    const opened = decryptMedia({ key, digest, bytes }, sealed);
    let step = await opened.next();
    for (; !step.done; step = await opened.next()) yield step.value;
    if (isSignalError(step.value)) throw new ClientError(step.value.code);
  }
}

/** A place on the server of this client. Anything else could be the address of somebody who wants to see who reads what. */
const LOCATOR = /^\/media\/[0-9a-f]{32}$/;

function fromBlob(blob: Blob): { bytes: number; pieces: ByteSource } {
  return { bytes: blob.size, pieces: fromReadableStream(blob.stream()) };
}

type Sealing = ReturnType<MediaEncryption['encrypt']>;

/** Uploads what `sealing` gives out, slice by slice; a slice is kept until the server has all of it. */
async function deliver(
  http: MediaHttp,
  locator: string,
  sealing: Sealing,
  totalBytes: number,
  report: (offset: number) => void,
): Promise<MediaReference> {
  const slice = new Slice();
  let offset = 0;
  const flush = async (): Promise<void> => {
    if (offset + slice.length > totalBytes) throw new ClientError('CLI_MEDIA_SOURCE');
    offset = await http.append(locator, offset, slice.bytes());
    slice.clear();
    report(offset);
  };
  let step = await sealing.next();
  for (; !step.done; step = await sealing.next()) {
    for (let rest = slice.fill(step.value); slice.isFull; rest = slice.fill(rest)) await flush();
  }
  if (isSignalError(step.value)) throw new ClientError(step.value.code);
  if (slice.length > 0) await flush();
  if (offset !== totalBytes) throw new ClientError('CLI_MEDIA_SOURCE');
  return step.value;
}

/** One run of bytes that is filled over and over: a buffer for each slice would leave the collector with as much as the file. */
class Slice {
  readonly #buffer = new Uint8Array(LIMITS.mediaSliceBytes);
  length = 0;

  get isFull(): boolean {
    return this.length === this.#buffer.length;
  }

  /** Takes what there is room for. @param piece - Borrowed. @returns The rest of it. */
  fill(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, this.#buffer.length - this.length);
    this.#buffer.set(taken, this.length);
    this.length += taken.length;
    return piece.subarray(taken.length);
  }

  /** What it holds; valid until `clear`. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }
}

function describe(locator: string, { key, digest, bytes }: MediaReference, options: UploadOptions): Attachment {
  const { type = '', name = '', caption = '', width = 0, height = 0, durationMs = 0 } = options;
  const { thumbnail = new Uint8Array(0) } = options;
  return { locator, key, digest, bytes, type, name, caption, width, height, durationMs, thumbnail };
}
