/** The files of the page, in memory, as the build has made them. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ConsoleFile {
  readonly type: string;
  readonly body: Buffer;
}

export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

/** Where the build puts the pages, from the compiled form of this file. */
const FOLDER = join(import.meta.dirname, '..', '..', 'web');

const FILES = [
  ['/', 'console.html', 'text/html; charset=utf-8'],
  ['/console.js', 'console.js', 'text/javascript; charset=utf-8'],
  ['/console.css', 'console.css', 'text/css; charset=utf-8'],
] as const;

/** @returns Undefined if the build has not made them. */
export function loadFiles(folder: string = FOLDER): ConsoleFiles | undefined {
  if (!FILES.every(([, name]) => existsSync(join(folder, name)))) return undefined;
  return new Map(FILES.map(([path, name, type]) => [path, { type, body: readFileSync(join(folder, name)) }]));
}
