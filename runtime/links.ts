/**
 * The set of links of one actor, in as little memory as its size needs.
 *
 * Nearly every actor has exactly one link, to its supervisor, and one supervisor may have a million: nothing, one key,
 * or a Set. A link to an actor of this worker is keyed by that actor's own pid object, a link to another worker by the
 * pid's text, because pids that arrive from elsewhere are fresh objects.
 */

import type { Pid } from './pid.ts';

export type LinkKey = Pid | string;
export type Links = null | LinkKey | Set<LinkKey>;

/** The links with `key` in them. May change and return the same Set: assign the result. */
export function withLink(links: Links, key: LinkKey): Links {
  if (links === null || links === key) return key;
  if (links instanceof Set) return links.add(key);
  return new Set<LinkKey>([links, key]);
}

/** The links without `key`. May change and return the same Set: assign the result. */
export function withoutLink(links: Links, key: LinkKey): Links {
  if (links instanceof Set) {
    links.delete(key);
    return links;
  }
  return links === key ? null : links;
}

export function hasLink(links: Links, key: LinkKey): boolean {
  return links instanceof Set ? links.has(key) : links !== null && links === key;
}

export function linkCount(links: Links): number {
  if (links === null) return 0;
  return links instanceof Set ? links.size : 1;
}

/** The keys in the order in which they were linked. */
export function linkKeys(links: Links): Iterable<LinkKey> {
  if (links === null) return [];
  return links instanceof Set ? links : [links];
}
