/**
 * The supervision tree of a worker as it is, from who started whom: no supervisor is asked, so one that is stuck or has a
 * million children is shown as well. Children beyond a bound are counted and not shown.
 */

import type { Pid } from './pid.ts';
import type { ProcessView, ProcessWalk } from './walk.ts';

/** An actor and those it started that are still its children. */
export interface LineageNode<T> {
  readonly shown: T;
  /** All of them; `children` has the first. */
  readonly childCount: number;
  readonly children: readonly LineageNode<T>[];
}

export interface LineageOptions<T> {
  /** What to tell of each actor that is shown. */
  readonly show: (process: ProcessView) => T;
  /** Children shown of one actor, and generations. */
  readonly childrenMax: number;
  readonly depthMax: number;
  /** The tree below this actor; otherwise all roots. */
  readonly root?: Pid | undefined;
}

interface Family {
  count: number;
  readonly first: ProcessView[];
}

/** Actors with children that are remembered; a tree of supervisors has few, and what is beyond is counted as childless. */
const FAMILIES_MAX = 100_000;

/** Gathers one pass of a walk; then tells the tree. */
export class Lineage<T> {
  readonly #options: LineageOptions<T>;
  readonly #families: Map<Pid, Family> = new Map();
  readonly #roots: ProcessView[] = [];
  #orphanCount: number = 0;

  constructor(options: LineageOptions<T>) {
    this.#options = options;
  }

  /** Actors that nobody started with a link: the node's own are roots, the rest is counted. */
  get orphanCount(): number {
    return this.#orphanCount;
  }

  /** Goes on for about `sliceMs`. Returns whether all were seen. */
  step(walk: ProcessWalk, sliceMs: number): boolean {
    return walk.step(sliceMs, (process) => this.#visit(process));
  }

  tree(): LineageNode<T>[] {
    return this.#roots.map((root) => this.#nodeOf(root, 1));
  }

  #visit(process: ProcessView): void {
    const { parent } = process;
    const { root } = this.#options;
    if (root === undefined ? parent?.slot === 0 : isSame(process, root)) this.#roots.push(process);
    else if (parent === null) this.#orphanCount += 1;
    if (parent !== null && parent.slot !== 0) this.#add(parent, process);
  }

  #add(parent: Pid, process: ProcessView): void {
    let family = this.#families.get(parent);
    if (family === undefined) {
      if (this.#families.size >= FAMILIES_MAX) return;
      family = { count: 0, first: [] };
      this.#families.set(parent, family);
    }
    family.count += 1;
    if (family.first.length < this.#options.childrenMax) family.first.push(process);
  }

  #nodeOf(process: ProcessView, depth: number): LineageNode<T> {
    const { show, depthMax } = this.#options;
    const family = this.#families.get(process);
    const children = family === undefined || depth >= depthMax ? [] : family.first;
    return {
      shown: show(process),
      childCount: family?.count ?? 0,
      children: children.map((child) => this.#nodeOf(child, depth + 1)),
    };
  }
}

function isSame(process: Pid, { slot, creation }: Pid): boolean {
  return process.slot === slot && process.creation === creation;
}

export function lineageOf<T>(options: LineageOptions<T>): Lineage<T> {
  return new Lineage(options);
}
