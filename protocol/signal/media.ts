/**
 * Media files: encrypted apart from the message that names them, with a key of their own.
 *
 * ```ts
 * const encryption = MediaEncryption.begin(random);
 * const chunks = encryption.encrypt(file.stream()); // or any source of bytes
 * let step = await chunks.next();
 * for (; !step.done; step = await chunks.next()) await upload(step.value);
 * if (isSignalError(step.value)) return step.value.code;
 * const { key, digest, bytes } = step.value; // goes into the message
 *
 * for await (const text of decryptMedia({ key, digest, bytes }, download())) show(text); // the outcome as above
 * ```
 *
 * A file is a sealed stream (`sealed-stream.ts`) over its bytes and the zeros of `media-padding.ts`. What follows from it
 * for the reader: each piece is authentic when it is given out; that the file is whole, and is the one that the message
 * names, is known when the generator returns undefined. Nothing here knows HTTP, files or messages; where the reference
 * travels is `client/content.ts`. Byte format and figures: `MEDIA.md`. Web streams: `media-streams.ts`.
 */
import { copyOf, requireBytes } from './bytes.ts';
import { signalError, isSignalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { paddedMediaBytes } from './media-padding.ts';
import { primitives, type RandomBytes, type Sha256 } from './primitives.ts';
import { Redacted } from './redacted.ts';
import {
  chunkCount,
  ChunkOpener,
  openStream,
  sealedBytes,
  sealStream,
  type ByteSource,
  type ByteStream,
} from './sealed-stream.ts';

/** All that a recipient needs beside the place of the ciphertext. `key` is secret. */
export interface MediaReference {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** SHA-256 of the whole ciphertext, 32 bytes. */
  readonly digest: Uint8Array;
  /** Size of the file, 0 to `LIMITS.mediaBytesMax`. */
  readonly bytes: number;
}

/** Where an encryption stands: everything handed out so far. Plain data to be stored; `key` is secret. */
export interface MediaCheckpoint {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  /** Bytes of ciphertext handed out. */
  readonly sealedBytes: number;
  /** SHA-256 of them. */
  readonly digest: Uint8Array;
}

/** A stretch of bytes: from `start`, up to and without `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const mediaLabel = 'Blindbeam media v1';

/**
 * The size of the ciphertext of a file of `bytes` bytes.
 *
 * @param bytes - 0 to `LIMITS.mediaBytesMax`.
 */
export function mediaCiphertextBytes(bytes: number, chunkExponent: number = LIMITS.streamChunkExponent): number {
  return sealedBytes(paddedMediaBytes(bytes), chunkExponent);
}

/** One file on its way out. One call of `encrypt` each. */
export class MediaEncryption extends Redacted {
  readonly #key: Uint8Array;
  readonly #salt: Uint8Array;
  readonly #resumed: Resumed | undefined;
  readonly #hash: Sha256 = primitives.createSha256();
  #sealedBytes = 0;
  #isUsed = false;

  private constructor(key: Uint8Array, salt: Uint8Array, resumed: Resumed | undefined) {
    super();
    this.#key = key;
    this.#salt = salt;
    this.#resumed = resumed;
  }

  /** A new file, under a fresh key. */
  static begin(random: RandomBytes): MediaEncryption {
    return new MediaEncryption(random(LIMITS.streamKeyBytes), random(LIMITS.streamSaltBytes), undefined);
  }

  /**
   * The rest of a file whose encryption was broken off.
   *
   * The whole file is encrypted once more, which is fast, and compared with what was handed out before: other bytes
   * under the same key and nonce would give both away. So store a checkpoint before you send what precedes it.
   *
   * @param checkpoint - The last one that was stored; borrowed.
   * @param receivedBytes - How much of the ciphertext the other side says it has. It gets the rest from there, if that is
   * no more than `checkpoint.sealedBytes` and at most `LIMITS.mediaResumeGapBytesMax` less.
   */
  static resume(checkpoint: MediaCheckpoint, receivedBytes: number): MediaEncryption {
    requireBytes('checkpoint.key', checkpoint.key, LIMITS.streamKeyBytes);
    requireBytes('checkpoint.salt', checkpoint.salt, LIMITS.streamSaltBytes);
    const resumed = new Resumed(checkpoint, receivedBytes);
    return new MediaEncryption(copyOf(checkpoint.key), copyOf(checkpoint.salt), resumed);
  }

  /**
   * Encrypts the file. Holds one chunk; a resumed one up to 64.
   *
   * @returns The ciphertext in pieces, and at the end what the message has to carry; or SIG_MEDIA_TOO_LARGE,
   * SIG_STREAM_NOT_RESUMABLE.
   * @throws {TypeError} At a second call.
   */
  async *encrypt(source: ByteSource): ByteStream<MediaReference | SignalError> {
    if (this.#isUsed) throw new TypeError('encrypt() was called before; a file needs a MediaEncryption of its own');
    this.#isUsed = true;
    const resumed = this.#resumed;
    if (resumed?.isRefused() === true) return signalError('SIG_STREAM_NOT_RESUMABLE');
    const padding = new Padding(source);
    for await (const piece of sealStream({ key: this.#key, label: mediaLabel }, this.#salt, padding.bytes())) {
      if (padding.isTooLarge) return signalError('SIG_MEDIA_TOO_LARGE');
      this.#hash.update(piece);
      this.#sealedBytes += piece.length;
      if (resumed === undefined) yield piece;
      else yield* resumed.admit(piece, this.#sealedBytes, this.#hash);
      if (resumed?.isRefused() === true) return signalError('SIG_STREAM_NOT_RESUMABLE');
    }
    if (resumed?.isPending() === true) return signalError('SIG_STREAM_NOT_RESUMABLE');
    return { key: copyOf(this.#key), digest: this.#hash.digest(), bytes: padding.textBytes };
  }

  /** Where it stands, including the piece that was given out last. */
  checkpoint(): MediaCheckpoint {
    const [key, salt] = [copyOf(this.#key), copyOf(this.#salt)];
    return { key, salt, sealedBytes: this.#sealedBytes, digest: this.#hash.digest() };
  }
}

/** The part of a resumed encryption that was handed out before. */
class Resumed {
  readonly #checkpoint: MediaCheckpoint;
  readonly #receivedBytes: number;
  /** Pieces that the other side lacks, kept until they are known to be what they were. */
  #kept: Uint8Array[] = [];
  #isPossible: boolean;
  #isReached = false;

  constructor(checkpoint: MediaCheckpoint, receivedBytes: number) {
    this.#checkpoint = checkpoint;
    this.#receivedBytes = receivedBytes;
    const missing = checkpoint.sealedBytes - receivedBytes;
    this.#isPossible = receivedBytes >= 0 && missing >= 0 && missing <= LIMITS.mediaResumeGapBytesMax;
  }

  /** It is known that the encryption cannot be continued. */
  isRefused(): boolean {
    return !this.#isPossible;
  }

  /** What was handed out before has not been reached. */
  isPending(): boolean {
    return !this.#isReached;
  }

  /** @param end - Bytes up to the end of `piece`. @param hash - Over all of them. */
  *admit(piece: Uint8Array, end: number, hash: Sha256): Generator<Uint8Array, void, undefined> {
    if (this.#isReached) return yield piece;
    const known = end - piece.length - this.#receivedBytes;
    if (end > this.#receivedBytes) this.#kept.push(known < 0 ? piece.slice(-known) : piece);
    if (end < this.#checkpoint.sealedBytes) return;
    this.#isReached = end === this.#checkpoint.sealedBytes && primitives.equal(hash.digest(), this.#checkpoint.digest);
    this.#isPossible = this.#isReached;
    if (this.#isReached) yield* this.#kept.splice(0);
  }
}

const zeros = new Uint8Array(65_536);

/** The bytes of a file and the zeros behind them. */
class Padding {
  readonly #source: ByteSource;
  textBytes = 0;
  isTooLarge = false;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async *bytes(): ByteStream<void> {
    for await (const piece of this.#source) {
      this.textBytes += piece.length;
      this.isTooLarge = this.textBytes > LIMITS.mediaBytesMax;
      if (this.isTooLarge) return;
      yield piece;
    }
    let missing = paddedMediaBytes(this.textBytes) - this.textBytes;
    for (; missing > 0; missing -= zeros.length) yield zeros.subarray(0, Math.min(missing, zeros.length));
  }
}

/**
 * Decrypts a file.
 *
 * @param reference - Borrowed until the end.
 * @returns The file in pieces, each authentic when it is given out; at the end undefined where it was whole, or
 * SIG_MEDIA_TOO_LARGE, SIG_STREAM_TOO_NEW, SIG_STREAM_WRONG_KEY, SIG_STREAM_DAMAGED, SIG_STREAM_TRUNCATED,
 * SIG_STREAM_WRONG_DIGEST.
 */
export async function* decryptMedia(
  reference: MediaReference,
  source: ByteSource,
): ByteStream<SignalError | undefined> {
  const refusal = refuseReference(reference);
  if (refusal !== undefined) return refusal;
  const paddedBytes = paddedMediaBytes(reference.bytes);
  const sealed = new Measured(source);
  const texts = openStream({ key: reference.key, label: mediaLabel }, sealed.bytes());
  let textBytes = 0;
  try {
    let step = await texts.next();
    for (; !step.done; step = await texts.next()) {
      const piece = unpad(step.value, textBytes, reference.bytes);
      textBytes += step.value.length;
      if (textBytes > paddedBytes || piece === undefined) return signalError('SIG_STREAM_DAMAGED');
      if (piece.length > 0) yield piece;
    }
    return step.value === undefined ? sealed.check(reference, textBytes) : sealed.explain(step.value, paddedBytes);
  } finally {
    await texts.return(undefined); // whoever stops reading lets the source go: a download would stay open
  }
}

function refuseReference({ key, digest, bytes }: MediaReference): SignalError | undefined {
  requireBytes('reference.key', key, LIMITS.streamKeyBytes);
  requireBytes('reference.digest', digest, LIMITS.digestBytes);
  const isSize = Number.isInteger(bytes) && bytes >= 0 && bytes <= LIMITS.mediaBytesMax;
  return isSize ? undefined : signalError('SIG_MEDIA_TOO_LARGE');
}

/** The part of `text` that belongs to the file; undefined where what follows the file is not zeros. */
function unpad(text: Uint8Array, position: number, fileBytes: number): Uint8Array | undefined {
  const end = Math.min(text.length, Math.max(0, fileBytes - position));
  for (let index = end; index < text.length; index++) if (text[index] !== 0) return undefined;
  return text.subarray(0, end);
}

/** A source that is counted and hashed on its way. */
class Measured {
  readonly #source: ByteSource;
  readonly #hash = primitives.createSha256();
  count = 0;
  isEnded = false;
  /** Byte 1 of the stream, if it came. */
  chunkExponent: number = LIMITS.streamChunkExponent;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async *bytes(): ByteStream<void> {
    for await (const piece of this.#source) {
      if (this.count <= 1 && this.count + piece.length > 1) this.chunkExponent = piece[1 - this.count]!;
      this.count += piece.length;
      this.#hash.update(piece);
      yield piece;
    }
    this.isEnded = true;
  }

  /** Whether all of it came, after the end. */
  check({ bytes, digest }: MediaReference, textBytes: number): SignalError | undefined {
    if (textBytes < paddedMediaBytes(bytes)) return signalError('SIG_STREAM_TRUNCATED');
    return primitives.equal(this.#hash.digest(), digest) ? undefined : signalError('SIG_STREAM_WRONG_DIGEST');
  }

  /** A chunk that was cut off inside fails its tag; the length tells that nothing worse happened. */
  explain(error: SignalError, paddedBytes: number): SignalError {
    const isShort = this.isEnded && this.count < sealedBytes(paddedBytes, this.chunkExponent);
    return error.code === 'SIG_STREAM_DAMAGED' && isShort ? signalError('SIG_STREAM_TRUNCATED') : error;
  }
}

/**
 * Parts of a file, without the rest: for seeking in a film, or for going on with a download.
 *
 * Each piece is authentic and in its place, as when reading the whole; the digest of the message is not checked, since
 * that needs all of the ciphertext.
 */
export class MediaReader extends Redacted {
  readonly #reference: MediaReference;
  readonly #header: Uint8Array;
  readonly #chunkExponent: number;

  private constructor(reference: MediaReference, header: Uint8Array) {
    super();
    this.#reference = reference;
    this.#header = header;
    this.#chunkExponent = header[1]!;
  }

  /**
   * @param header - The first `LIMITS.streamHeaderBytes` bytes of the ciphertext, copied.
   * @returns SIG_MEDIA_TOO_LARGE, SIG_STREAM_TRUNCATED, SIG_STREAM_TOO_NEW, SIG_STREAM_WRONG_KEY.
   */
  static async open(reference: MediaReference, header: Uint8Array): Promise<MediaReader | SignalError> {
    const refusal = refuseReference(reference);
    if (refusal !== undefined) return refusal;
    const opened = await ChunkOpener.create({ key: reference.key, label: mediaLabel }, header);
    return isSignalError(opened) ? opened : new MediaReader(reference, header.slice(0, LIMITS.streamHeaderBytes));
  }

  /**
   * Which bytes of the ciphertext hold a range of the file: whole chunks.
   *
   * @throws {RangeError} Where the range is empty or reaches beyond the file.
   */
  locate(range: ByteRange): ByteRange {
    const { first, last, count, sealedChunkBytes } = this.#chunksOf(range);
    const start = LIMITS.streamHeaderBytes + first * sealedChunkBytes;
    const whole = mediaCiphertextBytes(this.#reference.bytes, this.#chunkExponent);
    const end = last === count - 1 ? whole : LIMITS.streamHeaderBytes + (last + 1) * sealedChunkBytes;
    return { start, end };
  }

  /**
   * Decrypts a range of the file.
   *
   * @param source - The bytes of `locate(range)`.
   * @returns At the end undefined; or SIG_STREAM_DAMAGED, SIG_STREAM_TRUNCATED.
   */
  async *read(range: ByteRange, source: ByteSource): ByteStream<SignalError | undefined> {
    const { first, last, count } = this.#chunksOf(range);
    const located = this.locate(range);
    const opener = await ChunkOpener.create({ key: this.#reference.key, label: mediaLabel }, this.#header, first);
    if (isSignalError(opener)) return opener;
    let missing = located.end - located.start;
    let position = first * 2 ** this.#chunkExponent;
    for await (const bytes of source) {
      missing -= bytes.length;
      if (missing < 0) return signalError('SIG_STREAM_DAMAGED');
      for (const block of opener.blocks.take(bytes)) {
        const text = await opener.open(block, false);
        if (text === undefined) return signalError('SIG_STREAM_DAMAGED');
        yield cut(text, position, range);
        position += text.length;
      }
    }
    if (missing > 0) return signalError('SIG_STREAM_TRUNCATED');
    const text = await opener.open(opener.blocks.rest(), last === count - 1);
    if (text === undefined) return signalError('SIG_STREAM_DAMAGED');
    yield cut(text, position, range);
    return undefined;
  }

  #chunksOf({ start, end }: ByteRange): { first: number; last: number; count: number; sealedChunkBytes: number } {
    const { bytes } = this.#reference;
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end <= start || end > bytes) {
      throw new RangeError(`"range" expected a part of ${bytes} bytes, got ${start} to ${end}`);
    }
    const chunkBytes = 2 ** this.#chunkExponent;
    const count = chunkCount(paddedMediaBytes(bytes), this.#chunkExponent);
    const sealedChunkBytes = chunkBytes + LIMITS.gcmTagBytes;
    return { first: Math.floor(start / chunkBytes), last: Math.floor((end - 1) / chunkBytes), count, sealedChunkBytes };
  }
}

/** The part of `text`, which stands at `position`, that lies in the range. */
function cut(text: Uint8Array, position: number, { start, end }: ByteRange): Uint8Array {
  return text.subarray(Math.max(0, start - position), Math.max(0, end - position));
}
