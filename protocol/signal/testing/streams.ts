/**
 * Streams in tests: taking them to the end, cutting their sources up, and the sealed stream once more, slowly. Test-only.
 */
import { concat } from '../bytes.ts';
import { noblePrimitives } from '../primitives.ts';
import type { ByteStream, StreamKey } from '../sealed-stream.ts';

/** Takes a stream to its end. */
export async function collect<Outcome>(
  stream: ByteStream<Outcome>,
): Promise<{ readonly bytes: Uint8Array; readonly pieces: Uint8Array[]; readonly outcome: Outcome }> {
  const pieces: Uint8Array[] = [];
  let step = await stream.next();
  for (; !step.done; step = await stream.next()) pieces.push(step.value);
  return { bytes: concat(...pieces), pieces, outcome: step.value };
}

/** Cuts bytes into pieces of `pieceBytes`. */
export function* inPieces(bytes: Uint8Array, pieceBytes: number): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

/** Bytes that are easy to describe: `length` of them, counting up modulo 251. */
export function countingBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}

/** The twin of `sealStream`: all at once, written from the table at the top of `../sealed-stream.ts`. */
export function sealSimply(
  { key, label }: StreamKey,
  salt: Uint8Array,
  text: Uint8Array,
  exponent: number,
): Uint8Array {
  const info = concat(new TextEncoder().encode(label), Uint8Array.of(1, exponent));
  const derived = noblePrimitives.hkdfSha256(key, salt, info, 64);
  const chunks: Uint8Array[] = [];
  for (let start = 0; start === 0 || start < text.length; start += 2 ** exponent) {
    const end = start + 2 ** exponent;
    const number = [...(start / 2 ** exponent).toString(16).padStart(22, '0').matchAll(/../g)];
    const nonce = Uint8Array.of(...number.map(([byte]) => parseInt(byte, 16)), end >= text.length ? 1 : 0);
    chunks.push(noblePrimitives.aesGcmEncrypt(derived.subarray(0, 32), nonce, text.subarray(start, end)));
  }
  return concat(Uint8Array.of(1, exponent), salt, derived.subarray(32), ...chunks);
}
