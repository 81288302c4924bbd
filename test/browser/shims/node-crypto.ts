/**
 * What test helpers take from `node:crypto`, in a browser: seeds and digests of inputs. The code under test never sees it.
 */

import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { Buffer } from './node-globals.ts';

type Name = 'sha256' | 'sha512';

function algorithm(name: Name): typeof sha256 {
  return name === 'sha256' ? sha256 : (sha512 as unknown as typeof sha256);
}

class Hash {
  readonly #hash: { update(bytes: Uint8Array): unknown; digest(): Uint8Array };

  constructor(hash: { update(bytes: Uint8Array): unknown; digest(): Uint8Array }) {
    this.#hash = hash;
  }

  update(data: string | Uint8Array): this {
    this.#hash.update(typeof data === 'string' ? new TextEncoder().encode(data) : data);
    return this;
  }

  digest(encoding?: string): Uint8Array | string {
    const digest = Buffer.from(this.#hash.digest());
    return encoding === undefined ? digest : digest.toString(encoding);
  }
}

export function createHash(name: Name): Hash {
  return new Hash(algorithm(name).create());
}

export function createHmac(name: Name, key: Uint8Array): Hash {
  return new Hash(hmac.create(algorithm(name), key));
}

export function randomBytes(length: number): Uint8Array {
  const bytes = Buffer.alloc(length);
  // The platform gives at most 64 KiB at a time.
  for (let start = 0; start < length; start += 65_536) crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  return bytes;
}
