/** For tests of what operators see: a desk with verbs of the test, an audit log in a directory of its own. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { systemClock } from '../../runtime/index.ts';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { Audit } from './audit.ts';
import { Desk } from './desk.ts';
import { VerbTable, type Verb } from './verb.ts';

export interface DeskFixture {
  readonly desk: Desk;
  readonly audit: Audit;
  readonly directory: string;
  readonly logged: LogEntry[];
}

export function createDesk(t: Test, verbs: readonly Verb[]): DeskFixture {
  const directory = temporaryDirectory(t);
  const logged: LogEntry[] = [];
  const log = createMemoryLog(logged);
  const audit = new Audit({ directory, clock: systemClock, log });
  return { desk: new Desk({ table: new VerbTable(verbs), audit, log }), audit, directory, logged };
}

/** A directory that goes with the test. */
export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-admin-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
