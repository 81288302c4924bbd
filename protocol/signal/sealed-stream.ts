/**
 * A stream of bytes, encrypted and authenticated chunk by chunk: what media files and backups are made of.
 *
 *   offset  bytes  field
 *   0       1      version, 01
 *   1       1      chunk size as a power of two, 0c to 14; we write 10 (64 KiB)
 *   2       16     salt, random
 *   18      32     key commitment
 *   50      …      chunks, each `2^size` bytes of text and a 16-byte tag; the last one may be shorter
 *
 *   cipher key ‖ key commitment = HKDF-SHA-256(key, salt, label ‖ version ‖ size, 64 bytes)
 *   chunk i                     = AES-256-GCM(cipher key, nonce = i in 11 bytes, big endian ‖ 01 if it is the last, else 00)
 *
 * The number in the nonce keeps chunks in their places, the last byte tells the end, the label keeps purposes apart, and
 * the salt makes a key that is used twice by mistake harmless. GCM alone would open one ciphertext under two keys that a
 * sender prepared, and let a guesser test many passphrases with one file; the commitment rules out both, and tells a
 * wrong key from damage. The last chunk is empty only where the whole text is.
 *
 * Both directions are generators that hold one chunk: whoever asks for the next piece sets the pace. Each piece that
 * `openStream` gives out is authentic and in its place; that it is whole is known only when the generator returns.
 * Source: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its
 * Nonce-Reuse Misuse-Resistance", 2015, section 7. Read next: `media.ts`.
 */
import { concat, copyOf, requireBytes, requireInteger } from './bytes.ts';
import { createChunkCipher, type ChunkCipher } from './chunk-cipher.ts';
import { signalError, isSignalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { primitives } from './primitives.ts';

/** Pieces of bytes, in order, of any size. Each is borrowed until the next one is asked for. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Pieces of bytes, each owned by the caller, and at the end the outcome. */
export type ByteStream<Outcome> = AsyncGenerator<Uint8Array, Outcome, undefined>;

/** What a stream is sealed with. */
export interface StreamKey {
  /** 32 bytes, secret. */
  readonly key: Uint8Array;
  /** What the stream is for; ASCII, and different for each purpose. */
  readonly label: string;
}

/** The first 50 bytes of a sealed stream. Public. */
export interface StreamHeader {
  readonly chunkExponent: number;
  readonly salt: Uint8Array;
  readonly commitment: Uint8Array;
}

const streamVersion = 1;
const nonceIndexBytes = LIMITS.gcmNonceBytes - 1;

/**
 * Seals what `source` gives.
 *
 * @param salt - 16 bytes, fresh from a strong source; the same only to repeat a stream byte for byte.
 * @param chunkExponent - 12 to 20.
 * @returns The header, then the chunks.
 */
export async function* sealStream(
  streamKey: StreamKey,
  salt: Uint8Array,
  source: ByteSource,
  chunkExponent: number = LIMITS.streamChunkExponent,
): ByteStream<void> {
  requireBytes('salt', salt, LIMITS.streamSaltBytes);
  requireInteger('chunkExponent', chunkExponent, LIMITS.streamChunkExponentMin, LIMITS.streamChunkExponentMax);
  const { cipherKey, commitment } = deriveStreamKeys(streamKey, salt, chunkExponent);
  const cipher = await createChunkCipher(cipherKey);
  yield encodeStreamHeader({ chunkExponent, salt, commitment });
  const blocks = new Blocks(2 ** chunkExponent);
  let index = 0;
  for await (const bytes of source) {
    for (const block of blocks.take(bytes)) yield await cipher.seal(chunkNonce(index++, false), block);
  }
  yield await cipher.seal(chunkNonce(index, true), blocks.rest());
}

/**
 * Opens what `sealStream` made, and gives out each chunk's text once the chunk is known to be right.
 *
 * @returns At the end undefined; or SIG_STREAM_TOO_NEW, SIG_STREAM_WRONG_KEY, SIG_STREAM_DAMAGED, SIG_STREAM_TRUNCATED.
 */
export async function* openStream(streamKey: StreamKey, source: ByteSource): ByteStream<SignalError | undefined> {
  const headerBlock = new Blocks(LIMITS.streamHeaderBytes);
  let opener: ChunkOpener | undefined;
  for await (const bytes of source) {
    let rest = bytes;
    if (opener === undefined) {
      rest = headerBlock.fill(bytes);
      if (!headerBlock.isFull) continue;
      const opened = await ChunkOpener.create(streamKey, headerBlock.rest());
      if (isSignalError(opened)) return opened;
      opener = opened;
    }
    for (const block of opener.blocks.take(rest)) {
      const text = await opener.open(block, false);
      if (text === undefined) return signalError('SIG_STREAM_DAMAGED');
      yield text;
    }
  }
  if (opener === undefined) return signalError('SIG_STREAM_TRUNCATED');
  const last = await opener.openLast();
  if (isSignalError(last)) return last;
  if (last.length > 0) yield last;
  return undefined;
}

/** Encodes a header. @returns 50 bytes, owned by the caller. */
function encodeStreamHeader({ chunkExponent, salt, commitment }: StreamHeader): Uint8Array {
  return concat(Uint8Array.of(streamVersion, chunkExponent), salt, commitment);
}

/** Decodes the first 50 bytes of a stream. @returns SIG_STREAM_TRUNCATED; SIG_STREAM_TOO_NEW. */
export function decodeStreamHeader(bytes: Uint8Array): StreamHeader | SignalError {
  if (bytes.length < LIMITS.streamHeaderBytes) return signalError('SIG_STREAM_TRUNCATED');
  const [version, chunkExponent] = bytes as unknown as readonly [number, number];
  const isKnown =
    version === streamVersion &&
    chunkExponent >= LIMITS.streamChunkExponentMin &&
    chunkExponent <= LIMITS.streamChunkExponentMax;
  if (!isKnown) return signalError('SIG_STREAM_TOO_NEW');
  const saltEnd = 2 + LIMITS.streamSaltBytes;
  const salt = copyOf(bytes.subarray(2, saltEnd));
  return { chunkExponent, salt, commitment: copyOf(bytes.subarray(saltEnd, LIMITS.streamHeaderBytes)) };
}

/** The two secrets of a stream: what encrypts it, and what shows that a key is the right one. */
export function deriveStreamKeys(
  { key, label }: StreamKey,
  salt: Uint8Array,
  chunkExponent: number,
): { readonly cipherKey: Uint8Array; readonly commitment: Uint8Array } {
  requireBytes('key', key, LIMITS.streamKeyBytes);
  const info = concat(new TextEncoder().encode(label), Uint8Array.of(streamVersion, chunkExponent));
  const derived = primitives.hkdfSha256(key, salt, info, 2 * LIMITS.streamKeyBytes);
  return { cipherKey: derived.slice(0, LIMITS.streamKeyBytes), commitment: derived.slice(LIMITS.streamKeyBytes) };
}

/** The nonce of chunk `index`, counted from 0. 12 bytes, owned by the caller. */
export function chunkNonce(index: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(LIMITS.gcmNonceBytes);
  const view = new DataView(nonce.buffer);
  view.setUint32(nonceIndexBytes - 4, index % 2 ** 32);
  view.setUint32(nonceIndexBytes - 8, Math.floor(index / 2 ** 32));
  nonce[nonceIndexBytes] = isLast ? 1 : 0;
  return nonce;
}

/** The size of a sealed stream over `textBytes` bytes. */
export function sealedBytes(textBytes: number, chunkExponent: number = LIMITS.streamChunkExponent): number {
  return LIMITS.streamHeaderBytes + textBytes + chunkCount(textBytes, chunkExponent) * LIMITS.gcmTagBytes;
}

/** Chunks of a stream over `textBytes` bytes: at least one. */
export function chunkCount(textBytes: number, chunkExponent: number): number {
  return Math.max(1, Math.ceil(textBytes / 2 ** chunkExponent));
}

/** The chunks of one stream, opened in order. */
export class ChunkOpener {
  readonly blocks: Blocks;
  readonly #cipher: ChunkCipher;
  #index: number;

  private constructor(cipher: ChunkCipher, chunkExponent: number, firstIndex: number) {
    this.#cipher = cipher;
    this.#index = firstIndex;
    this.blocks = new Blocks(2 ** chunkExponent + LIMITS.gcmTagBytes);
  }

  /**
   * @param headerBytes - The first 50 bytes of the stream, borrowed.
   * @param firstIndex - Which chunk comes first, counted from 0.
   * @returns SIG_STREAM_TRUNCATED; SIG_STREAM_TOO_NEW; SIG_STREAM_WRONG_KEY.
   */
  static async create(
    streamKey: StreamKey,
    headerBytes: Uint8Array,
    firstIndex: number = 0,
  ): Promise<ChunkOpener | SignalError> {
    const header = decodeStreamHeader(headerBytes);
    if (isSignalError(header)) return header;
    const { cipherKey, commitment } = deriveStreamKeys(streamKey, header.salt, header.chunkExponent);
    if (!primitives.equal(commitment, header.commitment)) return signalError('SIG_STREAM_WRONG_KEY');
    return new ChunkOpener(await createChunkCipher(cipherKey), header.chunkExponent, firstIndex);
  }

  /** The text of the next chunk, owned by the caller; undefined where it is not the chunk that belongs here. */
  async open(chunk: Uint8Array, isLast: boolean): Promise<Uint8Array | undefined> {
    return this.#cipher.open(chunkNonce(this.#index++, isLast), chunk);
  }

  /** The text of what is held back, as the last chunk. */
  async openLast(): Promise<Uint8Array | SignalError> {
    const chunk = this.blocks.rest();
    const isFirst = this.#index === 0;
    if (chunk.length < LIMITS.gcmTagBytes) return signalError('SIG_STREAM_TRUNCATED');
    // One text, one stream: an empty chunk after a full one would be a second form of the same.
    if (chunk.length === LIMITS.gcmTagBytes && !isFirst) return signalError('SIG_STREAM_DAMAGED');
    const text = await this.open(chunk, true);
    if (text !== undefined) return text;
    this.#index -= 1;
    const isInner = (await this.open(chunk, false)) !== undefined;
    return signalError(isInner ? 'SIG_STREAM_TRUNCATED' : 'SIG_STREAM_DAMAGED');
  }
}

/** Cuts a stream of pieces into blocks, and holds the last one back: only what follows tells that it was not the last. */
export class Blocks {
  readonly #held: Uint8Array;
  #length = 0;

  constructor(blockBytes: number) {
    this.#held = new Uint8Array(blockBytes);
  }

  get isFull(): boolean {
    return this.#length === this.#held.length;
  }

  /** Every block that is followed by something. Each is borrowed until the next one is asked for. */
  *take(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let rest = this.#length === 0 ? bytes : this.fill(bytes);
    if (rest.length === 0 && this.#length > 0) return;
    if (this.isFull) {
      yield this.#held;
      this.#length = 0;
    }
    const blockBytes = this.#held.length;
    for (; rest.length > blockBytes; rest = rest.subarray(blockBytes)) yield rest.subarray(0, blockBytes);
    this.fill(rest);
  }

  /** Takes as much of `bytes` as there is room for. @returns What is left of them. */
  fill(bytes: Uint8Array): Uint8Array {
    const count = Math.min(bytes.length, this.#held.length - this.#length);
    this.#held.set(count === bytes.length ? bytes : bytes.subarray(0, count), this.#length);
    this.#length += count;
    return bytes.subarray(count);
  }

  /** What is held back: less than a block, or one. Borrowed until the next call. */
  rest(): Uint8Array {
    return this.#held.subarray(0, this.#length);
  }
}
