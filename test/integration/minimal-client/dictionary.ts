/**
 * The dictionary of the wire format, read from the tables of its document: what a stranger has who implements the page.
 *
 * Nothing in this folder imports a file of the product; the tidy test holds that. Each file names the document that it was
 * written from. This one: protocol/wire/FORMAT.md, "Dictionary 1". Read next: `stanza-codec.ts`.
 */

import { readFileSync } from 'node:fs';

/** Words by their number, and numbers by their word. */
export interface Dictionary {
  readonly words: ReadonlyMap<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

/** Reads the rows `| first | words |` behind the heading. @throws {Error} a page without them. */
export function readDictionary(page: string): Dictionary {
  const [, tables] = page.split(/^## Dictionary 1$/m);
  if (tables === undefined) throw new Error('the page has no heading "Dictionary 1"');
  const words = new Map<number, string>();
  for (const [, first, cells] of tables.matchAll(/^\| (\d+) \| (.*) \|$/gm)) {
    let number = Number(first);
    for (const [, word] of cells!.matchAll(/`([^`]+)`/g)) words.set(number++, word!);
  }
  if (words.size === 0) throw new Error('the dictionary has no rows');
  return { words, numbers: new Map([...words].map(([number, word]) => [word, number])) };
}

/** The dictionary of this checkout. */
export const DICTIONARY: Dictionary = readDictionary(
  readFileSync(new URL('../../../../protocol/wire/FORMAT.md', import.meta.url), 'utf8'),
);
