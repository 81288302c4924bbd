/**
 * Unique tokens: for calls, monitors and timers.
 *
 * A ref is unique among all that its worker ever made in this life of the node, and tells refs of different workers
 * apart. The runtime's own records of a monitor and of a timer extend it, so that the ref an author holds is the record
 * itself and needs no table to be found again; to an author it is an opaque token to compare and to give back.
 */

import { inspect } from 'node:util';

export class Ref {
  declare readonly node: string;
  declare readonly worker: number;
  /** Which life of the node, as in the pids of that life. */
  declare readonly creation: number;
  /** 1, 2, 3 … on its worker, with gaps. */
  declare readonly id: number;

  constructor(node: string, worker: number, creation: number, id: number) {
    this.node = node;
    this.worker = worker;
    this.creation = creation;
    this.id = id;
  }

  toString(): string {
    return formatRef(this);
  }
}

Object.defineProperty(Ref.prototype, inspect.custom, {
  value(this: Ref): string {
    return `Ref${formatRef(this)}`;
  },
});

/** Whether both are the same token. Two equal refs need not be one object: one may have crossed a thread. */
export function sameRef(a: Ref, b: Ref): boolean {
  return a === b || (a.id === b.id && a.creation === b.creation && a.worker === b.worker && a.node === b.node);
}

/** `#<node.worker.creation.id>`, for logs and for keys of a Map. */
export function formatRef(ref: Ref): string {
  return `#<${ref.node}.${ref.worker}.${ref.creation}.${ref.id}>`;
}

/** Hands out the refs of one worker. */
export class RefSource {
  readonly node: string;
  readonly worker: number;
  readonly creation: number;
  readonly #table: RefTable<Ref> | null;
  #last: number = 0;

  /** @param table - Whose places the ids must find free; see `RefTable`. */
  constructor(node: string, worker: number, creation: number, table: RefTable<Ref> | null = null) {
    this.node = node;
    this.worker = worker;
    this.creation = creation;
    this.#table = table;
  }

  /** The id of the next ref, for records that extend `Ref`. */
  nextId(): number {
    do this.#last += 1;
    while (this.#table !== null && this.#table.isTaken(this.#last));
    return this.#last;
  }

  next(): Ref {
    return new Ref(this.node, this.worker, this.creation, this.nextId());
  }
}

/**
 * Refs by id, in one array: the place is the lower bits of the id.
 *
 * Ids count up and most refs are gone soon, so an id nearly always finds its place free; `RefSource` skips an id whose
 * place is taken, and no two ever meet. When half the places are taken their number doubles. Against a Map, whose
 * tables an ever new key makes it rebuild again and again: an entry and its removal are one store each.
 */
export class RefTable<R extends Ref> {
  #places: (R | null)[] = new Array<R | null>(FIRST_PLACES).fill(null);
  #mask: number = FIRST_PLACES - 1;
  #size: number = 0;

  get size(): number {
    return this.#size;
  }

  isTaken(id: number): boolean {
    return this.#places[id & this.#mask] !== null;
  }

  get(id: number): R | undefined {
    const found = this.#places[id & this.#mask]!;
    return found !== null && found.id === id ? found : undefined;
  }

  /** Enters a ref whose place was free when its id was drawn; no other ref was entered since. */
  add(ref: R): void {
    this.#size += 1;
    if (this.#size * 2 > this.#mask) this.#grow();
    this.#places[ref.id & this.#mask] = ref;
  }

  delete(id: number): boolean {
    if (this.get(id) === undefined) return false;
    this.#places[id & this.#mask] = null;
    this.#size -= 1;
    return true;
  }

  /** All refs that are in it now, in no order. */
  all(): R[] {
    return this.#places.filter((ref) => ref !== null);
  }

  /** Two that differ in the lower bits differ in more bits too, so nobody's place is taken twice. */
  #grow(): void {
    const capacity = this.#places.length * 2;
    const larger = new Array<R | null>(capacity).fill(null);
    for (const ref of this.#places) if (ref !== null) larger[ref.id & (capacity - 1)] = ref;
    this.#places = larger;
    this.#mask = capacity - 1;
  }
}

const FIRST_PLACES = 64;
