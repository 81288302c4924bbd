/** The log of a program's process: warnings and errors to stderr, where a failure shows the last of them. */

import { formatWithOptions } from 'node:util';
import type { Logger } from '../../runtime/index.ts';

function write(event: string, fields?: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${event} ${formatWithOptions({ breakLength: Infinity }, '%o', fields ?? {})}\n`);
}

export const stderrLog: Logger = { debug: () => undefined, info: () => undefined, warn: write, error: write };
