/** The command line in a process of its own, as an operator runs it. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './server-process.ts';

const LAUNCHER = join(ROOT, 'bin', 'blindbeam.js');

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs `blindbeam` with `args`, and waits for its end. */
export function blindbeam(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [LAUNCHER, ...args], (error, out, errors) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, errors });
    });
  });
}
