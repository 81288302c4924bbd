/** Where temporary files go for the rest of a test: a directory that no other test writes to, so that what is left can be seen. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Makes it, and takes it away at the end of the test, when the one before is used again. */
export function ownTemporaryDirectory(t: Test): string {
  const { TMPDIR: before } = process.env;
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-test-'));
  process.env['TMPDIR'] = directory;
  t.teardown(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}
