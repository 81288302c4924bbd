/**
 * Whether anybody uses what a file offers: functions and constants that are exported and imported by nobody are either dead or private.
 *
 * Types are not looked at: one that stands in an exported signature may be exported for those who want to name it.
 */

import { dirname, posix } from 'node:path';
import type { Source } from './imports.ts';

const EXPORTED = /^export (?:async )?(?:function\*?|const) (\w+)/gm;
const NAMED_IMPORT = /(?:^|\n)(?:import|export)\s+(?:type\s+)?\{([^}]*)\}\s*from\s*'(\.[^']+)'/g;
/** What takes a file as a whole: all of its names, or the file itself. */
const WHOLE_IMPORT = /\*(?:\s+as\s+\w+)?\s+from\s+'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'|new URL\(\s*'(\.[^']+)'/g;

/** The functions and constants that no other source imports, as `path: name`. */
export function findUnusedExports(sources: readonly Source[]): string[] {
  const taken = new Set(sources.flatMap(namesTakenBy));
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(EXPORTED)]
      .map((match) => match[1]!)
      .filter((name) => !taken.has(path) && !taken.has(`${path}: ${name}`))
      .map((name) => `${path}: ${name}`),
  );
}

function namesTakenBy({ path, text }: Source): string[] {
  const targetOf = (specifier: string): string =>
    posix.normalize(posix.join(dirname(path), specifier)).replace(/\.js$/, '.ts');
  const whole = [...text.matchAll(WHOLE_IMPORT)].map((match) => targetOf((match[1] ?? match[2] ?? match[3])!));
  const named = [...text.matchAll(NAMED_IMPORT)].flatMap(([, list, specifier]) =>
    list!.split(',').map((each) => `${targetOf(specifier!)}: ${nameIn(each)}`),
  );
  return [...whole, ...named];
}

/** `type Name as other` → `Name`. */
function nameIn(specifier: string): string {
  return specifier
    .trim()
    .replace(/^type\s+/, '')
    .split(/\s/)[0]!;
}
