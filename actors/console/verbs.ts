/** What the page may ask: some of it anybody on this machine, the rest only who has signed in. */

import { askEach, type Askable, type EachAnswer } from '../admin/ask.ts';
import type { Audit, AuditLine } from '../admin/audit.ts';
import { AdminError } from '../admin/errors.ts';
import { defineVerb, type Verb } from '../admin/verb.ts';
import type { Crash } from './crash-book.ts';

export const CRASH_LIST = {
  name: 'crash.list',
  summary: 'the last crashes of actors, with the reports of their supervisors',
  changes: false,
  parameters: { rows: { kind: 'integer', min: 1, max: 100, default: 20, help: 'crashes shown' } },
} as const;

export const AUDIT_LIST = {
  name: 'audit.list',
  summary: 'what operators have changed lately',
  changes: false,
  parameters: { rows: { kind: 'integer', min: 1, max: 500, default: 50, help: 'lines shown, the newest first' } },
} as const;

export const CONSOLE = {
  name: 'console',
  summary: 'the address of the operators’ page, with the token that signs in',
  changes: false,
  parameters: {},
} as const;

/** Open to who can reach the page. Nothing in their answers names a user. */
const OPEN: ReadonlySet<string> = new Set([
  'status',
  'node.list',
  'node.map',
  'top',
  'actor.tree',
  'actor.inspect',
  'limits.show',
  'reload.list',
  'reload.history',
]);

/** What a browser asks for after signing in. The rest (states, traces, sessions, inboxes) is for the command line. */
const SIGNED_IN: ReadonlySet<string> = new Set([
  'audit.list',
  // Reports quote errors, whose texts nobody has looked through for what they name.
  'crash.list',
  'actor.suspend',
  'actor.resume',
  'actor.kill',
  'reload',
  'reload.rollback',
  'drain',
  'resume',
  // Orders to any node of the cluster, which has them in its own audit log; one that ends a process is for the command line.
  'node.drain',
  'node.join',
  'limits.set',
]);

/** Whether the page may ask for `verb`: `'sign-in'` says that it may after signing in. */
export function judgeVerb(verb: string, isSignedIn: boolean): 'ok' | 'sign-in' | 'never' {
  if (OPEN.has(verb)) return 'ok';
  if (!SIGNED_IN.has(verb)) return 'never';
  return isSignedIn ? 'ok' : 'sign-in';
}

/** Worker 0 is the main thread. */
export interface CrashRow extends Crash {
  readonly worker: number;
}

export interface ConsoleAddress {
  readonly url: string;
  readonly token: string;
}

export function crashVerb(workers: Askable, ownCrashes: () => readonly Crash[]): Verb {
  return defineVerb(CRASH_LIST, async ({ rows }) => {
    const each = await askEach<{ readonly crashes: readonly Crash[] }>(workers, 'crashes');
    const told = each.flatMap((answer) => ('ok' in answer ? withWorker(answer) : []));
    const own = ownCrashes().map((crash): CrashRow => Object.assign({ worker: 0 }, crash));
    const all = [...own, ...told].sort((one, other) => other.atMs - one.atMs);
    return { crashes: all.slice(0, rows) };
  });
}

function withWorker({
  worker,
  ok,
}: Extract<EachAnswer<{ readonly crashes: readonly Crash[] }>, { readonly ok: unknown }>): CrashRow[] {
  return ok.crashes.map((crash) => Object.assign({ worker }, crash));
}

export function auditVerb(audit: Audit): Verb {
  return defineVerb(AUDIT_LIST, ({ rows }): { readonly lines: AuditLine[] } => ({ lines: audit.last(rows) }));
}

/** @param address - Undefined where there is no console. */
export function consoleVerb(address: () => ConsoleAddress | undefined): Verb {
  return defineVerb(CONSOLE, (_values, { via }) => {
    const found = address();
    if (found === undefined)
      throw new AdminError('ADM_REFUSED', 'this node has no console: start it with --console yes');
    if (via !== 'socket') throw new AdminError('ADM_REFUSED', 'the token is told on the admin socket only');
    return found;
  });
}
