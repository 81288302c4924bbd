/**
 * Makes directories where somebody has said that they shall be. Knows nothing of what is put into them.
 *
 * A layer of its own in `test/imports.ts`, below the runtime: servers and clients make directories by the same rules.
 */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes `path`, and what is missing above it, readable for the owner only. One that is there stays as it is.
 *
 * Level by level: `mkdir` with `recursive` does not come back, on Node 20, where an existing directory answers ENOENT to whoever wants to make
 * one in it, as those of /proc do.
 *
 * @throws {NodeJS.ErrnoException} what the system says; what was made before stays.
 */
export function makePrivateDirectory(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing.length === 0 ? [at] : missing) makeUnlessThere(each);
}

/**
 * As `makePrivateDirectory`, for one maker: of two who make the same path, one is refused.
 *
 * @throws {NodeJS.ErrnoException} EEXIST where something is there.
 */
export function makeNewDirectory(path: string): void {
  const whole = resolve(path);
  makePrivateDirectory(dirname(whole));
  make(whole);
}

function makeUnlessThere(path: string): void {
  try {
    make(path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw reworded(error, 'ENOTDIR', path, 'not a directory');
  }
}

function make(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const parent = dirname(path);
    if (!isCode(error, 'ENOENT') || !existsSync(parent)) throw error;
    throw reworded(error, 'ENOENT', path, `${parent} takes no directories`);
  }
}

function reworded(error: unknown, code: string, path: string, what: string): Error {
  return Object.assign(error as Error, { code, message: `${code}: ${what}, mkdir '${path}'` });
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}
