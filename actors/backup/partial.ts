/**
 * A directory that appears when it is whole: it is filled beside its place, as `<place>.partial`, and renamed.
 *
 * Whoever fills it has made it. One that is there is somebody else's, or was left by a process that was killed; from here the two look alike,
 * and removing what another one fills would be the worse mistake.
 */

import { makeNewDirectory } from '../../runtime/private-directory.ts';

/**
 * Makes `<directory>.partial`, and what is missing above it, for the caller alone.
 *
 * @returns Its path; `undefined` where it is there already: `tellTaken` says what to do.
 * @throws {NodeJS.ErrnoException} what the system says.
 */
export function beginPartial(directory: string): string | undefined {
  const partial = partialOf(directory);
  try {
    makeNewDirectory(partial);
    return partial;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** @param what - That fills it: "backup", "restore". */
export function tellTaken(directory: string, what: string): string {
  const partial = partialOf(directory);
  return `${partial} is there: another ${what} is filling it, or one was killed; if none is at work, remove it and try again`;
}

function partialOf(directory: string): string {
  return `${directory}.partial`;
}
