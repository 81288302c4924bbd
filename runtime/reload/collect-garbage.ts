/**
 * A full garbage collection of this thread, when somebody asks for it: to count the versions that are still held, and to
 * measure. Nothing that serves calls it.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

export function collectGarbage(): void {
  if (collect === undefined) {
    // A context that is made after the flag has the function.
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
