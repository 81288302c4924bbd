/**
 * How long an encrypted file looks: its size, rounded up so that few sizes remain.
 *
 * The length of a ciphertext tells the length of the text, and the length of a file often tells which file it is. So a
 * file of L bytes is filled up with zeros to a number whose binary form has only as many significant digits as it takes
 * to write the exponent of L down. It costs less than 6.25 % from 4 KiB on and less than 3.13 % from 64 KiB on, and leaves
 * 545 sizes for everything up to 2 GiB: whoever sees the ciphertext learns at most 9.1 bits of the size, where up to 31
 * would show without. Whether it is a sticker, a photo or a film still shows. Pure; `media.ts` applies it.
 * Source: Nikitin, Barman, Lueks, Underwood, Hubaux and Ford, "Reducing Metadata Leakage from Encrypted Files and
 * Communication with PURBs", 2019, section 4 (Padmé).
 */
import { requireInteger } from './bytes.ts';
import { LIMITS } from './limits.ts';

/**
 * The padded size of a file of `bytes` bytes.
 *
 * @param bytes - 0 to `LIMITS.mediaBytesMax`.
 */
export function paddedMediaBytes(bytes: number): number {
  requireInteger('bytes', bytes, 0, LIMITS.mediaBytesMax);
  const length = Math.max(bytes, LIMITS.mediaBucketBytesMin);
  const exponent = Math.floor(Math.log2(length));
  const digits = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - digits);
  return Math.ceil(length / step) * step;
}
