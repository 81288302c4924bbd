/**
 * Unique tokens: for calls, monitors and timers.
 *
 * A ref is unique among all that its worker ever made in this life of the node, and tells refs of different workers
 * apart. The runtime's own records of a monitor and of a timer extend it, so that the ref an author holds is the record
 * itself and needs no table to be found again; to an author it is an opaque token to compare and to give back.
 */

import { inspect } from 'node:util';

export class Ref {
  readonly node: string;
  readonly worker: number;
  /** Which life of the node, as in the pids of that life. */
  readonly creation: number;
  /** 1, 2, 3 … on its worker. */
  readonly id: number;

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
  #last: number = 0;

  constructor(node: string, worker: number, creation: number) {
    this.node = node;
    this.worker = worker;
    this.creation = creation;
  }

  /** The id of the next ref, for records that extend `Ref`. */
  nextId(): number {
    this.#last += 1;
    return this.#last;
  }

  next(): Ref {
    return new Ref(this.node, this.worker, this.creation, this.nextId());
  }
}
