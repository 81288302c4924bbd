/** A checkout of its own for a node of a test, to save files in: the sources that are bundled, and the build. */

import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './server-process.ts';

/** @returns The launcher in it, for `ServerProcess.launch`. */
export function checkout(directory: string): string {
  for (const folder of ['actors', 'dist']) {
    mkdirSync(join(directory, folder), { recursive: true });
    const isWanted = (path: string): boolean => !/\.(test|map)\b|dist\/(test|bench)/.test(path);
    cpSync(join(ROOT, folder), join(directory, folder), { recursive: true, filter: isWanted });
  }
  for (const name of ['node_modules', 'runtime', 'protocol', 'supervisors', 'package.json', 'tsconfig.json']) {
    symlinkSync(join(ROOT, name), join(directory, name));
  }
  const launcher = join(directory, 'launch.mjs');
  writeFileSync(
    launcher,
    `const { main } = await import('./dist/bin/cli.js'); process.exitCode = await main(process.argv.slice(2));`,
  );
  return launcher;
}
