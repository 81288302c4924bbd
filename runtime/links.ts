/**
 * The links of one actor, in as little memory as their number needs.
 *
 * Nearly every actor has exactly one link, to its supervisor, and one supervisor may have a million: nothing, one key, or
 * a `LinkSet`. A link to an actor of this worker is keyed by that actor, a link to another worker by the pid's text,
 * because pids that arrive from elsewhere are fresh objects.
 *
 * A set is an array, and a linked actor remembers its place in it (`linkAt`): adding is a store, removing is two, and
 * nothing is hashed. The place is a hint, because an actor may stand in several sets and remembers one: it is checked,
 * and where it fails the set searches, with an index once it is large. A Set took 150 ns of each linked spawn of a
 * million, this some 30 (2 cores, AMD EPYC, virtual, 2026-11).
 */

import type { Process } from './process.ts';

export type LinkKey = Process | string;
export type Links = null | LinkKey | LinkSet;

/** What has links. */
export type Linked = Pick<Process, 'links'>;

export function hasLink({ links }: Linked, key: LinkKey): boolean {
  return links instanceof LinkSet ? links.has(key) : links !== null && links === key;
}

/** Whether two actors of this worker are linked: asks the one with fewer links. */
export function areLinked(a: Process, b: Process): boolean {
  return linkCount(a) <= linkCount(b) ? hasLink(a, b) : hasLink(b, a);
}

/** Adds a link that is not there yet: ask `hasLink` or `areLinked` before. */
export function addLink(process: Linked, key: LinkKey): void {
  const { links } = process;
  if (links === null) process.links = key;
  else if (links instanceof LinkSet) links.add(key);
  else process.links = new LinkSet(links, key);
}

/** Removes a link. Returns whether there was one. */
export function removeLink(process: Linked, key: LinkKey): boolean {
  const { links } = process;
  if (links instanceof LinkSet) return links.delete(key);
  if (links === null || links !== key) return false;
  process.links = null;
  return true;
}

export function linkCount({ links }: Linked): number {
  if (links === null) return 0;
  return links instanceof LinkSet ? links.size : 1;
}

/** The keys, in no particular order. Links may be removed while it is used, not added. */
export function linkKeys(links: Links): readonly LinkKey[] {
  if (links === null) return [];
  return links instanceof LinkSet ? links.keys() : [links];
}

// Up to here a search is faster than an index and its upkeep.
const SEARCHED_MAX = 16;

class LinkSet {
  readonly #keys: LinkKey[] = [];
  // Places by key; made when a hint has failed and the set is large.
  #index: Map<LinkKey, number> | null = null;

  constructor(first: LinkKey, second: LinkKey) {
    this.add(first);
    this.add(second);
  }

  get size(): number {
    return this.#keys.length;
  }

  keys(): readonly LinkKey[] {
    return [...this.#keys];
  }

  has(key: LinkKey): boolean {
    return this.#placeOf(key) !== -1;
  }

  add(key: LinkKey): void {
    this.#put(key, this.#keys.length);
  }

  /** The last one takes the place of the one that goes. */
  delete(key: LinkKey): boolean {
    const place = this.#placeOf(key);
    if (place === -1) return false;
    const last = this.#keys.pop()!;
    this.#index?.delete(key);
    if (last !== key) this.#put(last, place);
    return true;
  }

  #put(key: LinkKey, place: number): void {
    this.#keys[place] = key;
    if (typeof key === 'object') key.linkAt = place;
    if (this.#index !== null) this.#index.set(key, place);
  }

  #placeOf(key: LinkKey): number {
    if (typeof key === 'object' && this.#keys[key.linkAt] === key) return key.linkAt;
    if (this.#keys.length <= SEARCHED_MAX) return this.#keys.indexOf(key);
    this.#index ??= new Map(this.#keys.map((each, place) => [each, place]));
    return this.#index.get(key) ?? -1;
  }
}
