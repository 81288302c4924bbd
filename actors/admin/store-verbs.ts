/**
 * The verbs about what the messenger holds: `session`, `inbox`, `prekeys`, `group`, `limits`. Users and groups are named by
 * their opaque ids; a phone number is neither taken nor told.
 */

import type { LimitView } from '../live-limits.ts';
import { askEach, askWorker, type Askable, type EachAnswer } from './ask.ts';
import { AdminError } from './errors.ts';
import { checkId } from './parameters.ts';
import type {
  Found,
  GroupStat,
  InboxRow,
  PeekRow,
  PreKeysRow,
  SessionRow,
  SessionsAnswer,
  ShardRow,
} from './store-questions.ts';
import { defineVerb, type Verb } from './verb.ts';

export const SESSION_LIST = {
  name: 'session.list',
  summary: 'who is connected, a page at a time',
  changes: false,
  parameters: {
    user: { kind: 'text', help: 'only of this user, by id', position: 1 },
    rows: { kind: 'integer', min: 1, max: 200, default: 50, help: 'connections shown' },
    after: { kind: 'text', help: 'go on where the page before ended, as it said' },
  },
} as const;

export const SESSION_KICK = {
  name: 'session.kick',
  summary: 'ends the connections of a user; the clients are told to come back',
  changes: true,
  parameters: {
    user: { kind: 'text', help: 'the user, by id', required: true, position: 1 },
    device: { kind: 'integer', min: 1, max: 65_535, help: 'only of this device' },
  },
} as const;

export const INBOX_STAT = {
  name: 'inbox.stat',
  summary: 'what waits: of each shard, or of the devices of a user',
  changes: false,
  parameters: { user: { kind: 'text', help: 'the user, by id; without it, all shards', position: 1 } },
} as const;

export const INBOX_PEEK = {
  name: 'inbox.peek',
  summary: 'what waits for a device: from whom, since when, how large; never what it says',
  changes: false,
  parameters: {
    user: { kind: 'text', help: 'the user, by id', required: true, position: 1 },
    device: { kind: 'integer', min: 1, max: 65_535, default: 1, help: 'the device', position: 2 },
    rows: { kind: 'integer', min: 1, max: 200, default: 20, help: 'entries shown, the oldest first' },
  },
} as const;

export const PREKEYS_STAT = {
  name: 'prekeys.stat',
  summary: 'how many pre-keys the devices of a user have left',
  changes: false,
  parameters: { user: { kind: 'text', help: 'the user, by id', required: true, position: 1 } },
} as const;

export const GROUP_STAT = {
  name: 'group.stat',
  summary: 'a group: members, epoch, place of its last message',
  changes: false,
  parameters: { group: { kind: 'text', help: 'the group, by id', required: true, position: 1 } },
} as const;

export const LIMITS_SHOW = {
  name: 'limits.show',
  summary: 'the limits that may be changed while the node runs',
  changes: false,
  parameters: {},
} as const;

export const LIMITS_SET = {
  name: 'limits.set',
  summary: 'changes a limit until the node stops',
  changes: true,
  parameters: {
    name: { kind: 'text', help: 'the limit, as "limits show" names it', required: true, position: 1 },
    value: { kind: 'integer', min: 0, max: 9_007_199_254_740_991, help: 'its new value', required: true, position: 2 },
  },
} as const;

export interface SessionPage {
  readonly rows: readonly SessionRow[];
  /** For `after`; absent at the end. */
  readonly next?: string;
}

export interface LimitSet {
  readonly name: string;
  readonly value: number;
  readonly before: number;
  /** A change of a limit does not outlive the process. */
  readonly stored: false;
}

export function storeVerbs(workers: Askable): Verb[] {
  return [
    defineVerb(SESSION_LIST, ({ user, rows, after }) => listSessions(workers, user, rows, after)),
    defineVerb(SESSION_KICK, async ({ user, device }) => {
      checkId('user', user);
      const each = await askEach<{ readonly kicked: number }>(workers, 'kick', { user, device }, KICK_MS);
      return {
        kicked: each.reduce((sum, answer) => sum + ('ok' in answer ? answer.ok.kicked : 0), 0),
        ...missing(each),
      };
    }),
    defineVerb(INBOX_STAT, async ({ user }) =>
      user === undefined
        ? { workers: await askEach<{ readonly shards: ShardRow[] }>(workers, 'shards') }
        : findFor<{ readonly user: string; readonly devices: InboxRow[] }>(workers, 'inboxes', 'user', { user }),
    ),
    defineVerb(INBOX_PEEK, ({ user, device, rows }) =>
      findFor<{ readonly entries: PeekRow[] }>(workers, 'peek', 'user', { user, device, rows }),
    ),
    defineVerb(PREKEYS_STAT, ({ user }) =>
      findFor<{ readonly user: string; readonly devices: PreKeysRow[] }>(workers, 'preKeys', 'user', { user }),
    ),
    defineVerb(GROUP_STAT, ({ group }) => findFor<GroupStat>(workers, 'group', 'group', { group })),
    defineVerb(LIMITS_SHOW, () => askWorker<{ readonly limits: LimitView[] }>(workers, 1, 'limits')),
    defineVerb(LIMITS_SET, ({ name, value }) => changeLimit(workers, name, value)),
  ];
}

/** Connections are ended one after the other, and each may take a second. */
const KICK_MS = 10_000;

function absent(name: string): string {
  return `no such ${name} on this node; of a cluster "node map --user" tells who has whom`;
}

/** Asks all, since one of them owns what is asked for. */
async function findFor<T extends object>(
  workers: Askable,
  question: string,
  name: 'user' | 'group',
  parameters: { readonly [key: string]: unknown },
): Promise<T> {
  // The SDK writes ids of groups with a letter before them.
  const id = (parameters[name] as string).replace(name === 'group' ? /^g/ : '', '');
  checkId(name, id);
  const each = await askEach<Found<T>>(workers, question, Object.assign({}, parameters, { [name]: id }));
  for (const answer of each) if ('ok' in answer && answer.ok.here) return withoutHere(answer.ok);
  const [failed] = each.flatMap((answer) => ('error' in answer ? [answer] : []));
  const isAbsent = failed === undefined || failed.error.startsWith('no such');
  throw new AdminError(isAbsent ? 'ADM_NOT_FOUND' : 'ADM_NO_ANSWER', failed?.error ?? absent(name));
}

function withoutHere<T extends object>(found: { readonly here: true } & T): T {
  return Object.fromEntries(Object.entries(found).filter(([name]) => name !== 'here')) as T;
}

/** Which workers did not say. */
function missing(each: readonly EachAnswer<unknown>[]): { readonly errors?: readonly string[] } {
  const errors = each.flatMap((answer) => ('error' in answer ? [answer.error] : []));
  return errors.length === 0 ? {} : { errors };
}

/** Worker after worker, and on each by slot, so that a page begins where the last one ended. */
async function listSessions(
  workers: Askable,
  user: string | undefined,
  rows: number,
  after: string | undefined,
): Promise<SessionPage> {
  if (user !== undefined) checkId('user', user);
  let { worker, slot } = readCursor(after);
  const found: SessionRow[] = [];
  for (; worker <= workers.workerCount; worker += 1, slot = 1) {
    const question = { user, fromSlot: slot, rows: rows - found.length };
    const page = await askWorker<SessionsAnswer>(workers, worker, 'sessions', question, KICK_MS);
    found.push(...page.rows);
    if (page.nextSlot !== undefined) return { rows: found, next: `${worker}:${page.nextSlot}` };
    if (found.length >= rows && worker < workers.workerCount) return { rows: found, next: `${worker + 1}:1` };
  }
  return { rows: found };
}

function readCursor(after: string | undefined): { worker: number; slot: number } {
  if (after === undefined) return { worker: 1, slot: 1 };
  const [, worker, slot] = /^(\d{1,3}):(\d{1,10})$/.exec(after) ?? [];
  if (slot === undefined) throw new AdminError('ADM_BAD_PARAMETER', '"after" expected what a page before has told');
  return { worker: Number(worker), slot: Number(slot) };
}

/** The first worker checks; the others then take what it took. */
async function changeLimit(workers: Askable, name: string, value: number): Promise<LimitSet> {
  const { limits } = await askWorker<{ readonly limits: LimitView[] }>(workers, 1, 'limits');
  const before = limits.find((limit) => limit.name === name)?.value ?? 0;
  for (let worker = 1; worker <= workers.workerCount; worker += 1) {
    await askWorker(workers, worker, 'setLimit', { name, value });
  }
  return { name, value, before, stored: false };
}
