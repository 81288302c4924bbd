/**
 * AES-256-GCM for many large pieces, with whatever does it fastest here.
 *
 * Node's crypto answers at once. In a browser WebCrypto answers later and some ten times faster than plain JavaScript,
 * which is used where WebCrypto is missing (a page without TLS). So the answers may be promises; awaiting one that is
 * none costs a microsecond in a chunk of 64 KiB. Knows keys and nonces, no streams. Read next: `sealed-stream.ts`.
 */
import { nativePrimitives, primitives, type Primitives } from './primitives.ts';

type Soon<Value> = Value | Promise<Value>;

/** A cipher under one key. Nonces have 12 bytes; what is passed is borrowed until the answer is there. */
export interface ChunkCipher {
  readonly name: 'native' | 'web' | 'noble';
  /** Ciphertext and 16-byte tag, owned by the caller. */
  seal(nonce: Uint8Array, plaintext: Uint8Array): Soon<Uint8Array>;
  /** The plaintext, owned by the caller; undefined where the tag is wrong. */
  open(nonce: Uint8Array, ciphertext: Uint8Array): Soon<Uint8Array | undefined>;
}

/** The cipher of `provider`, which answers at once. `key` has 32 bytes and is kept. */
export function chunkCipherOf({ name, aesGcmEncrypt, aesGcmDecrypt }: Primitives, key: Uint8Array): ChunkCipher {
  return {
    name,
    seal: (nonce, plaintext) => aesGcmEncrypt(key, nonce, plaintext),
    open: (nonce, ciphertext) => aesGcmDecrypt(key, nonce, ciphertext),
  };
}

/** WebCrypto's cipher, or undefined where the platform has none. `key` has 32 bytes and is not kept. */
export async function webChunkCipher(key: Uint8Array): Promise<ChunkCipher | undefined> {
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) return undefined;
  const imported = await subtle.importKey('raw', key as BufferSource, 'AES-GCM', false, ['encrypt', 'decrypt']);
  const parameters = (nonce: Uint8Array): AesGcmParams => ({ name: 'AES-GCM', iv: nonce as BufferSource });
  return {
    name: 'web',
    seal: async (nonce, plaintext) =>
      new Uint8Array(await subtle.encrypt(parameters(nonce), imported, plaintext as BufferSource)),
    open: (nonce, ciphertext) =>
      subtle.decrypt(parameters(nonce), imported, ciphertext as BufferSource).then(
        (plaintext) => new Uint8Array(plaintext),
        () => undefined, // it rejects for a wrong tag without saying more
      ),
  };
}

/** The fastest cipher of this platform under `key`. */
export async function createChunkCipher(key: Uint8Array): Promise<ChunkCipher> {
  if (nativePrimitives !== undefined) return chunkCipherOf(nativePrimitives, key);
  return (await webChunkCipher(key)) ?? chunkCipherOf(primitives, key);
}
