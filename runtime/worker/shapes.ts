/**
 * Shapes: the keys of a plain object in their order, told to the other thread once and then named by a number.
 *
 * Most messages of a program have one of few shapes, so a message carries values and hardly ever keys. The writing
 * side finds a shape by walking a tree along the keys; the reading side makes an object of it with a literal of its own,
 * which V8 allocates in one step. Neither forgets a shape while its ring lives, hence the bounds: what exceeds them
 * travels with its keys (`TAG.object`) and costs time, not correctness.
 */

import { LIMITS } from '../limits.ts';

// Kind, number and head of the list; and what stands before each key.
const DEFINITION_BYTES = 11;
const KEY_BYTES = 5;

/** A place in the tree of the writing side: the keys on the way to it, from the root. */
export class ShapeNode {
  readonly parent: ShapeNode | null;
  readonly key: string;
  /** Keys on the way; 0 for the root. */
  readonly depth: number;
  /** Bytes of a packet that tells these keys, at most. */
  readonly bytes: number;
  /** The number of the shape that ends here; 0 if none was defined. */
  id: number = 0;
  // Most nodes are left by one and the same key, and the keys of literals are one object in memory: a comparison of
  // two pointers in place of a look-up.
  #lastKey: string | null = null;
  #lastNode: ShapeNode | null = null;
  #others: Map<string, ShapeNode> | null = null;

  constructor(parent: ShapeNode | null, key: string) {
    this.parent = parent;
    this.key = key;
    this.depth = parent === null ? 0 : parent.depth + 1;
    this.bytes = parent === null ? DEFINITION_BYTES : parent.bytes + KEY_BYTES + key.length * 2;
  }

  /** The node one key further; `UNSHAPED` beyond a bound. */
  next(key: string, tree: ShapeTree): ShapeNode {
    return key === this.#lastKey ? this.#lastNode! : this.#find(key, tree);
  }

  /** The keys on the way here. */
  keys(): string[] {
    const keys: string[] = [];
    for (let node: ShapeNode = this; node.parent !== null; node = node.parent) keys.unshift(node.key);
    return keys;
  }

  #find(key: string, tree: ShapeTree): ShapeNode {
    const found = this.#others?.get(key) ?? tree.extend(this, key);
    if (found === UNSHAPED) return found;
    this.#others ??= new Map();
    this.#others.set(key, found);
    this.#lastKey = key;
    this.#lastNode = found;
    return found;
  }
}

/** Stands for every sequence of keys that gets no shape; it leads only to itself. */
export const UNSHAPED: ShapeNode = new ShapeNode(null, '');

/** The shapes that one thread tells another. */
export class ShapeTree {
  readonly root: ShapeNode = new ShapeNode(null, '');
  readonly #bytesMax: number;
  #nodeCount: number = 0;
  #shapeCount: number = 0;

  /** @param bytesMax - Bytes of the largest packet: a shape must be told in one. */
  constructor(bytesMax: number) {
    this.#bytesMax = Math.min(bytesMax, LIMITS.shapeBytesMax);
  }

  extend(from: ShapeNode, key: string): ShapeNode {
    // Assigned to a literal, the key would set the prototype; msgpackr renames it.
    if (from === UNSHAPED || key === '__proto__') return UNSHAPED;
    if (from.depth >= LIMITS.shapeKeyCountMax || this.#nodeCount >= LIMITS.shapeNodeCountMax) return UNSHAPED;
    const node = new ShapeNode(from, key);
    if (node.bytes > this.#bytesMax) return UNSHAPED;
    this.#nodeCount += 1;
    return node;
  }

  /** Gives `node` the next number, from 1. Returns 0 if there are LIMITS.shapeCountMax. */
  define(node: ShapeNode): number {
    if (this.#shapeCount >= LIMITS.shapeCountMax) return 0;
    this.#shapeCount += 1;
    node.id = this.#shapeCount;
    return node.id;
  }
}

/** Where a shape on the reading side takes its values from, one after the other. */
export interface ValueSource {
  value(): unknown;
}

// Objects of a shape that are built key by key before a literal is compiled for it.
const READS_BEFORE_LITERAL = 16;

/** A shape on the reading side. */
export class Shape {
  readonly #keys: readonly string[];
  #reads: number = 0;
  #literal: ((source: ValueSource) => unknown) | null = null;

  constructor(keys: readonly string[]) {
    this.#keys = keys.map(internalize);
  }

  /** Makes an object of as many values as there are keys. */
  read(source: ValueSource): unknown {
    if (this.#literal !== null) return this.#literal(source);
    this.#reads += 1;
    if (this.#reads === READS_BEFORE_LITERAL) this.#literal = compileLiteral(this.#keys);
    const object: Record<string, unknown> = {};
    for (const key of this.#keys) object[key] = source.value();
    return object;
  }
}

/**
 * The same text as the one object that V8 keeps for it as a key. With a string fresh from bytes every store would look
 * that object up again, which makes an object of four keys cost a microsecond.
 */
function internalize(key: string): string {
  return Object.keys({ [key]: null })[0]!;
}

// Functions made so far on this thread.
let literalCount = 0;

/**
 * A function that holds one literal `{ [key0]: source.value(), … }`.
 *
 * Each shape needs code of its own, since V8 learns the layout of a literal by the place it stands at: built key by key
 * by shared code an object of four keys takes 77 ns here, by its own literal 8 to 16 ns. V8 takes equal text for the same
 * code, with all that it has learnt (six shapes in one literal: 460 ns an object), so the text carries a number. Beside
 * that it depends on the number of keys alone: the keys are arguments and never become code, whoever chose them.
 *
 * @returns null where the process forbids code from strings; the shape then goes on key by key.
 */
function compileLiteral(keys: readonly string[]): ((source: ValueSource) => unknown) | null {
  literalCount += 1;
  const names = keys.map((_, index) => `key${literalCount}_${index}`);
  const properties = names.map((name) => `[${name}]: source.value()`).join(', ');
  try {
    const make = new Function(...names, `return (source) => ({ ${properties} });`);
    return make(...keys) as (source: ValueSource) => unknown;
  } catch {
    return null;
  }
}
