/**
 * Reads packets from one other thread, here or on another node; the counterpart of `encoder.ts`, with the shapes that thread has told.
 *
 * The bytes come from our own encoder, and still nothing that stands in them may hurt: a length beyond the packet, an
 * unknown tag or shape, or nesting without end is refused as RT_DECODE, and so is a packet that is not used up exactly.
 */

import { decode } from '../codec.ts';
import { RuntimeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Pid } from '../pid.ts';
import { Ref } from '../ref.ts';
import { ByteSlab } from './byte-slab.ts';
import { SHORT_STRING_MAX, SMALL_INTEGERS, TAG } from './format.ts';
import { Shape, type ValueSource } from './shapes.ts';
import { StringCache } from './string-cache.ts';

const FLOAT: Float64Array = new Float64Array(1);
const FLOAT_BYTES: Uint8Array = new Uint8Array(FLOAT.buffer);

/** What a decoder remembers to make less garbage: 17 KB. */
export interface DecoderCaches {
  readonly strings: StringCache;
  readonly copies: ByteSlab;
}

export function createDecoderCaches(): DecoderCaches {
  return { strings: new StringCache(), copies: new ByteSlab() };
}

export class Decoder implements ValueSource {
  readonly #nodeName: string;
  readonly #ownName: string;
  readonly #strings: StringCache;
  readonly #copies: ByteSlab;
  readonly #shapes: Shape[] = [new Shape([])];
  #bytes: Buffer = Buffer.alloc(0);
  #at: number = 0;
  #end: number = 0;
  #depth: number = 0;
  #slot: number = 0;
  #creation: number = 0;

  /**
   * @param nodeName - The node of the writer.
   * @param ownName - The node of this thread, if it is another.
   * @param caches - To share with other decoders of this thread, where there are very many.
   */
  constructor(nodeName: string, ownName: string = nodeName, caches: DecoderCaches = createDecoderCaches()) {
    this.#nodeName = nodeName;
    this.#ownName = ownName;
    this.#strings = caches.strings;
    this.#copies = caches.copies;
  }

  /**
   * Begins a packet.
   *
   * @param bytes - Borrowed until the packet is done; no value holds a view of it.
   * @returns Its kind.
   */
  open(bytes: Buffer, start: number, end: number): number {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#depth = 0;
    return this.#byte();
  }

  /**
   * Reads whom a packet is for: a name, or null for a pid of this thread, of which `slot` and `creation` then tell the
   * rest. Not every message costs a Pid.
   */
  address(): string | null {
    const tag = this.#bytes[this.#at]!;
    if (tag !== TAG.pid && tag !== TAG.peerPid) return this.value() as string;
    this.#at += 2;
    this.#slot = this.#uint32();
    this.#creation = this.#uint32();
    return null;
  }

  get slot(): number {
    return this.#slot;
  }
  get creation(): number {
    return this.#creation;
  }

  /** Reads the last value of a packet. @throws {RuntimeError} RT_DECODE. */
  last(): unknown {
    const value = this.value();
    if (this.#at !== this.#end) refuse('values and bytes do not end together');
    return value;
  }

  /** Reads the rest of a packet. @throws {RuntimeError} RT_DECODE. */
  rest(): unknown[] {
    const values: unknown[] = [];
    while (this.#at < this.#end) values.push(this.value());
    if (this.#at !== this.#end) refuse('values and bytes do not end together');
    return values;
  }

  /** Takes in a packet that tells a shape. @throws {RuntimeError} RT_DECODE. */
  define(): void {
    const id = this.value();
    const keys = this.last();
    const next = id === this.#shapes.length && this.#shapes.length <= LIMITS.shapeCountMax;
    if (!next || !Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) return refuse('a bad shape');
    this.#shapes.push(new Shape(keys as string[]));
  }

  /** Reads one value. @throws {RuntimeError} RT_DECODE. */
  value(): unknown {
    const tag = this.#byte();
    if (tag < SMALL_INTEGERS) return tag;
    if (tag <= TAG.shortString + SHORT_STRING_MAX) return this.#shortString(tag - TAG.shortString);
    switch (tag) {
      case TAG.undefined:
        return undefined;
      case TAG.null:
        return null;
      case TAG.false:
        return false;
      case TAG.true:
        return true;
      case TAG.int32:
        return this.#uint32() | 0;
      case TAG.float64:
        return this.#float();
      case TAG.shaped:
        return this.#shaped();
      default:
        return this.#other(tag);
    }
  }

  #other(tag: number): unknown {
    switch (tag) {
      case TAG.array:
        return this.#array();
      case TAG.object:
        return this.#object();
      case TAG.pid:
        return new Pid(this.#nodeName, this.#byte(), this.#uint32(), this.#uint32());
      case TAG.ref:
        return new Ref(this.#nodeName, this.#byte(), this.#uint32(), this.#float());
      case TAG.peerPid:
        return new Pid(this.#ownName, this.#byte(), this.#uint32(), this.#uint32());
      case TAG.peerRef:
        return new Ref(this.#ownName, this.#byte(), this.#uint32(), this.#float());
      case TAG.latin1:
        return this.#text('latin1');
      case TAG.utf16:
        return this.#text('utf16le');
      case TAG.bytes:
        return this.#byteArray();
      case TAG.buffer:
        return Buffer.from(this.#bytes.subarray(...this.#span()));
      case TAG.foreign:
        return decode(this.#bytes, ...this.#span());
      default:
        return refuse('an unknown tag');
    }
  }

  #shortString(length: number): string {
    const start = this.#at;
    this.#at += length;
    // Beyond the end would be the bytes of another packet, or none.
    if (this.#at > this.#end) return refuse('a string longer than its packet');
    return this.#strings.read(this.#bytes, start, length);
  }

  #text(encoding: 'latin1' | 'utf16le'): string {
    const [start, end] = this.#span();
    return this.#bytes.toString(encoding, start, end);
  }

  #shaped(): unknown {
    const shape = this.#shapes[this.#byte() | (this.#byte() << 8)];
    if (shape === undefined) return refuse('an unknown shape');
    this.#descend();
    const object = shape.read(this);
    this.#depth -= 1;
    return object;
  }

  #array(): unknown[] {
    const count = this.#count();
    const array: unknown[] = [];
    this.#descend();
    for (let index = 0; index < count; index += 1) array.push(this.value());
    this.#depth -= 1;
    return array;
  }

  #object(): unknown {
    const count = this.#count();
    const object: Record<string, unknown> = {};
    this.#descend();
    for (let index = 0; index < count; index += 1) {
      const key = this.value();
      if (typeof key !== 'string' || key === '__proto__') return refuse('a key that is none');
      object[key] = this.value();
    }
    this.#depth -= 1;
    return object;
  }

  #byteArray(): Uint8Array {
    const [start, end] = this.#span();
    return this.#copies.copy(this.#bytes, start, end);
  }

  #float(): number {
    for (let index = 0; index < 8; index += 1) FLOAT_BYTES[index] = this.#bytes[this.#at + index]!;
    this.#at += 8;
    return FLOAT[0]!;
  }

  /** Reads a length, and passes over that many bytes. Returns where they start and end. */
  #span(): [start: number, end: number] {
    const length = this.#uint32();
    const start = this.#at;
    if (length > this.#end - start) return refuse('a value longer than its packet');
    this.#at = start + length;
    return [start, this.#at];
  }

  /** Reads a count of values, each of which takes a byte at least. */
  #count(): number {
    const count = this.#uint32();
    return count > this.#end - this.#at ? refuse('more values than bytes') : count;
  }

  /** Each value takes a byte, so a packet is read to its end at the latest; nesting alone needs a bound of its own. */
  #descend(): void {
    this.#depth += 1;
    if (this.#depth > LIMITS.packetDepthMax || this.#at > this.#end) refuse('nesting beyond the packet');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]!;
    this.#at += 1;
    return byte;
  }

  #uint32(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at = at + 4;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }
}

function refuse(what: string): never {
  throw new RuntimeError('RT_DECODE', `the packet holds ${what}`);
}
