/**
 * The address of one life of one actor.
 *
 * A pid names the node, the worker thread, the slot in that worker's process table, and the creation: which life of
 * the slot. Having one says nothing about whether the actor lives or where. Sends work the same near and far.
 *
 * On the actor's own worker its pid is its `Process`, as the ref of a monitor is the monitor's record: a send needs no
 * table. A pid that came from elsewhere, or out of a text, is a copy with these four fields; the process table finds
 * its actor. To an author both are the same opaque value.
 */

import { inspect } from 'node:util';

/**
 * @typeParam M - What the actor accepts by `cast`. It exists for the compiler only; a `Pid` without it accepts anything.
 * @typeParam Q - What it accepts by `call`, and
 * @typeParam R - what it replies. As `spawn` returns it, a pid has all three from its behaviour.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export class Pid<M = any, Q = any, R = any> {
  // Declared and not defined: a defined field is first written `undefined`, also in every actor.
  /** Name of the runtime instance. */
  declare readonly node: string;
  /** Thread of the node: 0 is the main thread, workers count from 1. */
  declare readonly worker: number;
  /** Index in that thread's process table; 0 is the node itself. */
  declare readonly slot: number;
  /** Which life of the slot. Starts anew at random with each node, so a pid of an earlier run names nobody. */
  declare readonly creation: number;
  /** Never present: makes a `Pid<A>` unusable where a `Pid<B>` is expected. */
  declare readonly accepts?: (message: M) => void;
  declare readonly answers?: (request: Q) => R;

  constructor(node: string, worker: number, slot: number, creation: number) {
    this.node = node;
    this.worker = worker;
    this.slot = slot;
    this.creation = creation;
  }

  toString(): string {
    return formatPid(this);
  }

  /** The same text: the pid of an actor here is the actor's own record, which is nobody's business. */
  toJSON(): string {
    return formatPid(this);
  }
}

Object.defineProperty(Pid.prototype, inspect.custom, {
  value(this: Pid): string {
    return `Pid${formatPid(this)}`;
  },
});

/** Whether both name the same life of the same actor. Two equal pids need not be one object. */
export function samePid(a: Pid, b: Pid): boolean {
  return a === b || (a.slot === b.slot && a.creation === b.creation && a.worker === b.worker && a.node === b.node);
}

/** A total order for sorting: node, worker, slot, creation. Negative, zero or positive. */
export function comparePids(a: Pid, b: Pid): number {
  if (a.node !== b.node) return a.node < b.node ? -1 : 1;
  return a.worker - b.worker || a.slot - b.slot || a.creation - b.creation;
}

/** `<node.worker.slot.creation>`, for logs, for keys of a Map, and for `parsePid`. */
export function formatPid(pid: Pid): string {
  return `<${pid.node}.${pid.worker}.${pid.slot}.${pid.creation}>`;
}

// The node's name may hold dots, so the three numbers are taken from the right.
const PID_TEXT = /^<(.+)\.(\d{1,10})\.(\d{1,10})\.(\d{1,10})>$/;

/** Reads what `formatPid` wrote. `undefined` if `text` is anything else. */
export function parsePid(text: string): Pid | undefined {
  const match = PID_TEXT.exec(text);
  return match === null ? undefined : new Pid(match[1]!, Number(match[2]), Number(match[3]), Number(match[4]));
}
