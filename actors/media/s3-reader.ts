/**
 * A blob of the object store being read: one request that streams, for as long as the reader goes on where it stopped.
 *
 * A download reads pieces in order, so asking for each piece on its own would cost a round trip and a charge for every 256 KiB. The stream is
 * opened anew where somebody reads elsewhere, or where it broke: from the byte that is wanted next.
 */

import type { IncomingMessage } from 'node:http';
import { LIMITS } from '../limits.ts';
import type { BlobReader } from './media-store.ts';
import { isFailure, type S3Client } from './s3-client.ts';

export class S3Reader implements BlobReader {
  readonly bytes: number;
  readonly #client: S3Client;
  readonly #key: string;
  #stream: IncomingMessage | undefined = undefined;
  #chunks: AsyncIterator<Buffer> | undefined = undefined;
  /** What the stream gave beyond what was asked for. */
  #rest: Buffer = Buffer.alloc(0);
  /** Where the next byte of `#rest` and the stream stands in the blob. */
  #position = 0;

  constructor(client: S3Client, key: string, bytes: number) {
    this.#client = client;
    this.#key = key;
    this.bytes = bytes;
  }

  /** Rejects where the store fails for longer than its client insists, or the object is not what it was. */
  async read(position: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.bytes - position));
    const buffer = new Uint8Array(wanted);
    let filled = 0;
    for (let failures = 0; filled < wanted;) {
      const chunk = await this.#next(position + filled, wanted - filled);
      if (chunk === undefined && ++failures === LIMITS.objectStoreAttemptsMax) throw broken('EPIPE');
      if (chunk === undefined) continue;
      buffer.set(chunk, filled);
      filled += chunk.length;
    }
    return buffer;
  }

  async close(): Promise<void> {
    this.#drop();
  }

  /** At most `length` bytes from `position` on; nothing where the stream has ended or broken, which it is opened again after. */
  async #next(position: number, length: number): Promise<Buffer | undefined> {
    if (this.#stream === undefined || this.#position !== position) await this.#open(position);
    if (this.#rest.length === 0) this.#rest = (await this.#read()) ?? this.#rest;
    const chunk = this.#rest.subarray(0, length);
    if (chunk.length === 0) return void this.#drop();
    this.#rest = this.#rest.subarray(chunk.length);
    this.#position += chunk.length;
    return chunk;
  }

  async #read(): Promise<Buffer | undefined> {
    try {
      const step = await this.#chunks!.next();
      return step.done === true ? undefined : step.value;
    } catch {
      return undefined;
    }
  }

  async #open(position: number): Promise<void> {
    this.#drop();
    const stream = await this.#client.get(this.#key, position, this.bytes);
    if (isFailure(stream)) throw broken(stream.code);
    this.#stream = stream;
    this.#chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    this.#position = position;
  }

  #drop(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#rest = Buffer.alloc(0);
  }
}

function broken(code: string): Error {
  return Object.assign(new Error('the object store does not give the medium'), { code });
}
