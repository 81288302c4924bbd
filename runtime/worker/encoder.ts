/**
 * Writes packets for one other thread, here or on another node, straight into the buffer in which they wait for the ring.
 *
 * Plain data is written here, everything else by `../codec.ts` as a value inside; what a packet may hold is the same. The
 * first try of a packet may only measure: with too little room it counts bytes on and writes none, and with an object
 * of a new shape it names it; the caller makes room, tells the shape, and writes again. So the usual packet is written
 * once, without a buffer of its own, and a packet that fails leaves nothing behind but a shape that stays known.
 */

import { encode } from '../codec.ts';
import { LIMITS } from '../limits.ts';
import { Pid } from '../pid.ts';
import { Ref } from '../ref.ts';
import type { Packet, PACKET } from '../transport.ts';
import { DEFINE_SHAPE, SHORT_STRING_MAX, SMALL_INTEGERS, TAG } from './format.ts';
import { type ShapeNode, ShapeTree, UNSHAPED } from './shapes.ts';

/** Thrown while a packet is written, and caught by who asked for it: it is larger than it may be. */
export class TooLarge extends Error {
  override readonly name: string = 'TooLarge';
}

const FLOAT: Float64Array = new Float64Array(1);
const FLOAT_BYTES: Uint8Array = new Uint8Array(FLOAT.buffer);
const OBJECT: object = Object.prototype;

export class Encoder {
  readonly #nodeName: string;
  readonly #peerName: string;
  readonly #bytesMax: number;
  readonly #tree: ShapeTree;
  #bytes: Buffer = Buffer.alloc(0);
  #at: number = 0;
  #limit: number = 0;
  #depth: number = 0;
  #defined: ShapeNode[] = [];

  /**
   * @param nodeName - The node of the writer; pids of it are written short.
   * @param bytesMax - Bytes of the largest packet.
   * @param peerName - The node of the reader, if it is another; pids of that one are written short too.
   */
  constructor(nodeName: string, bytesMax: number, peerName: string = nodeName) {
    this.#nodeName = nodeName;
    this.#peerName = peerName;
    this.#bytesMax = bytesMax;
    this.#tree = new ShapeTree(bytesMax);
  }

  /**
   * Writes a packet of a message at `start` of `bytes`.
   *
   * @returns Where it ends. Beyond the end of `bytes`, not all was written: try again with that much room.
   * @throws {TooLarge}
   * @throws {Error} whatever else keeps the value from being encoded.
   */
  message(
    bytes: Buffer,
    start: number,
    kind: typeof PACKET.info | typeof PACKET.cast,
    to: Pid | string,
    message: unknown,
  ): number {
    this.#begin(bytes, start, kind);
    this.#value(to);
    this.#value(message);
    return this.#end();
  }

  /** Writes any packet; as `message`. */
  packet(bytes: Buffer, start: number, packet: Packet): number {
    this.#begin(bytes, start, packet[0]);
    for (let index = 1; index < packet.length; index += 1) this.#value(packet[index]);
    return this.#end();
  }

  /** The shapes that the packets since the last call brought up. Each must be told before the packet that names it. */
  takeDefined(): readonly ShapeNode[] | null {
    if (this.#defined.length === 0) return null;
    const defined = this.#defined;
    this.#defined = [];
    return defined;
  }

  /** Writes the packet that tells a shape; as `message`. */
  definition(bytes: Buffer, start: number, shape: ShapeNode): number {
    this.#begin(bytes, start, DEFINE_SHAPE);
    this.#value(shape.id);
    this.#value(shape.keys());
    return this.#end();
  }

  #begin(bytes: Buffer, start: number, kind: number): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#limit = start + this.#bytesMax;
    this.#depth = 0;
    this.#byte(kind);
  }

  #end(): number {
    if (this.#at > this.#limit) throw new TooLarge();
    return this.#at;
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.#string(value);
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#byte(value ? TAG.true : TAG.false);
      case 'undefined':
        return this.#byte(TAG.undefined);
      case 'object':
        return value === null ? this.#byte(TAG.null) : this.#object(value);
      default:
        return this.#foreign(value);
    }
  }

  #object(value: object): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === OBJECT || prototype === null) this.#plain(value as Record<string, unknown>);
    else if (Array.isArray(value)) this.#array(value);
    else if (value instanceof Pid) this.#pid(value);
    else if (prototype === Uint8Array.prototype) this.#byteArray(TAG.bytes, value as Uint8Array);
    else if (prototype === Buffer.prototype) this.#byteArray(TAG.buffer, value as Buffer);
    else if (value instanceof Ref) this.#ref(value);
    else this.#foreign(value);
  }

  /** An object that inherits no keys: its own are all there are. The walk along its keys and the writing of its values are one loop. */
  #plain(object: Record<string, unknown>): void {
    const start = this.#at;
    this.#at = start + 3;
    this.#descend();
    let node = this.#tree.root;
    for (const key in object) {
      node = node.next(key, this.#tree);
      if (node === UNSHAPED) break;
      this.#value(object[key]);
    }
    this.#depth -= 1;
    if (node === UNSHAPED || (node.id === 0 && !this.#define(node))) return this.#unshaped(object, start);
    this.#bytes[start] = TAG.shaped;
    this.#bytes[start + 1] = node.id;
    this.#bytes[start + 2] = node.id >>> 8;
  }

  #define(node: ShapeNode): boolean {
    if (this.#tree.define(node) === 0) return false;
    this.#defined.push(node);
    return true;
  }

  #unshaped(object: Record<string, unknown>, start: number): void {
    this.#at = start;
    const keys = Object.keys(object);
    if (keys.includes('__proto__')) return this.#foreign(object);
    this.#head(TAG.object, keys.length);
    this.#descend();
    for (const key of keys) {
      this.#string(key);
      this.#value(object[key]);
    }
    this.#depth -= 1;
  }

  #array(array: readonly unknown[]): void {
    const { length } = array;
    this.#head(TAG.array, length);
    this.#descend();
    for (let index = 0; index < length; index += 1) this.#value(array[index]);
    this.#depth -= 1;
  }

  /** Bounds the nesting, which also ends a cycle, and the work on a packet that is too large already. */
  #descend(): void {
    this.#depth += 1;
    if (this.#depth > LIMITS.packetDepthMax) throw new RangeError('the value is nested too deeply, or in a cycle');
    if (this.#at > this.#limit) throw new TooLarge();
  }

  #number(value: number): void {
    const integer = value | 0;
    // Negative zero is no integer.
    if (integer !== value || (value === 0 && 1 / value < 0)) return this.#float(value);
    if (integer >= 0 && integer < SMALL_INTEGERS) return this.#byte(integer);
    this.#head(TAG.int32, integer);
  }

  #float(value: number): void {
    this.#byte(TAG.float64);
    this.#floatBytes(value);
  }

  #string(text: string): void {
    const { length } = text;
    if (length > SHORT_STRING_MAX) return this.#longString(text);
    const bytes = this.#bytes;
    const at = this.#at;
    let bits = 0;
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index);
      bytes[at + 1 + index] = unit;
      bits |= unit;
    }
    if (bits > 0xff) return this.#utf16(text);
    bytes[at] = TAG.shortString + length;
    this.#at = at + 1 + length;
  }

  #longString(text: string): void {
    const { length } = text;
    if (length > this.#bytesMax) throw new TooLarge();
    // One byte of UTF-8 each means ASCII, the most frequent long text; counting is native and fast.
    if (Buffer.byteLength(text) !== length) return this.#utf16(text);
    this.#head(TAG.latin1, length);
    if (this.#at + length <= this.#bytes.length) this.#bytes.write(text, this.#at, length, 'latin1');
    this.#at += length;
  }

  #utf16(text: string): void {
    const length = text.length * 2;
    this.#head(TAG.utf16, length);
    if (this.#at + length <= this.#bytes.length) this.#bytes.write(text, this.#at, length, 'utf16le');
    this.#at += length;
  }

  #byteArray(tag: number, array: Uint8Array): void {
    this.#head(tag, array.length);
    if (this.#at + array.length <= this.#bytes.length) this.#bytes.set(array, this.#at);
    this.#at += array.length;
  }

  #pid(pid: Pid): void {
    const { node, worker, slot, creation } = pid;
    if (worker > 0xff || (node !== this.#nodeName && node !== this.#peerName)) return this.#foreign(pid);
    this.#byte(node === this.#nodeName ? TAG.pid : TAG.peerPid);
    this.#byte(worker);
    this.#uint32(slot);
    this.#uint32(creation);
  }

  #ref(ref: Ref): void {
    const { node, worker, creation, id } = ref;
    if (worker > 0xff || (node !== this.#nodeName && node !== this.#peerName)) return this.#foreign(ref);
    this.#byte(node === this.#nodeName ? TAG.ref : TAG.peerRef);
    this.#byte(worker);
    this.#uint32(creation);
    this.#floatBytes(id);
  }

  #foreign(value: unknown): void {
    this.#byteArray(TAG.foreign, encode(value));
  }

  #head(tag: number, count: number): void {
    this.#byte(tag);
    this.#uint32(count);
  }

  #byte(value: number): void {
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  #uint32(value: number): void {
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.#at = at + 4;
  }

  #floatBytes(value: number): void {
    FLOAT[0] = value;
    for (let index = 0; index < 8; index += 1) this.#bytes[this.#at + index] = FLOAT_BYTES[index]!;
    this.#at += 8;
  }
}
