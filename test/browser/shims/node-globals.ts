/**
 * Globals of Node that test helpers use, injected into the bundles where they are named. They are not put on `globalThis`,
 * so the code under test finds a platform without Node, as it is.
 */

/** Bytes with the few conversions that tests use. */
export class Buffer extends Uint8Array {
  static override from(source: unknown, encoding?: unknown): Buffer {
    const bytes =
      typeof source === 'string' ? decode(source, encoding as string) : (source as Uint8Array | ArrayBuffer);
    return new Buffer(bytes instanceof ArrayBuffer ? bytes : Uint8Array.from(bytes));
  }

  static alloc(length: number): Buffer {
    return new Buffer(length);
  }

  static concat(parts: readonly Uint8Array[]): Buffer {
    return Buffer.from(parts.flatMap((part) => [...part]));
  }

  static compare(left: Uint8Array, right: Uint8Array): number {
    const at = left.findIndex((byte, index) => byte !== right[index]);
    if (at === -1) return Math.sign(left.length - right.length);
    return at >= right.length ? 1 : Math.sign(left[at]! - right[at]!);
  }

  static byteLength(text: string): number {
    return new TextEncoder().encode(text).length;
  }

  override toString(encoding: string = 'utf8'): string {
    if (encoding === 'hex') return [...this].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    if (encoding === 'base64') return btoa(String.fromCharCode(...this));
    return new TextDecoder().decode(this);
  }

  swap32(): this {
    const view = new DataView(this.buffer, this.byteOffset, this.byteLength);
    for (let at = 0; at < this.length; at += 4) view.setUint32(at, view.getUint32(at, true));
    return this;
  }

  equals(other: Uint8Array): boolean {
    return this.length === other.length && this.every((byte, index) => byte === other[index]);
  }
}

function decode(text: string, encoding: string = 'utf8'): Uint8Array {
  if (encoding === 'hex') return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  if (encoding === 'base64') return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new TextEncoder().encode(text);
}

/** The variables that bound long tests are those of the run in Node; see `../suites.ts`. */
export const process: object = {
  env: (globalThis as { blindbeamEnvironment?: object }).blindbeamEnvironment ?? {},
  argv: [],
};

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** After what is due now. */
export function setImmediate(work: () => void): void {
  waiting.push(work);
  channel.port2.postMessage(undefined);
}
