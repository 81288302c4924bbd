/**
 * What a worker is asked about its connections, inboxes, pre-keys and groups. Everything here is metadata: counts, sizes, ages,
 * opaque ids. It has a store to read and never a ciphertext, a key or a number in an answer.
 */

import { decodeRoster } from '../../protocol/wire/index.ts';
import { formatPid, type Pid, type ProcessView, type RuntimeNode } from '../../runtime/index.ts';
import { terminateDynamicChild } from '../../supervisors/index.ts';
import type { ConnectionState } from '../connection/state.ts';
import type { InboxStatistics } from '../inbox.ts';
import { LIMITS as SERVER_LIMITS } from '../limits.ts';
import { refuseLimit, setLimit, viewLimits, type LimitView } from '../live-limits.ts';
import { inboxName, type Routes } from '../routes.ts';
import type { InboxEntry, InboxStore } from '../store/inbox-store.ts';
import { CONNECTIONS } from '../tree.ts';
import type { Questions } from './agent.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

/** What the questions are answered from. */
export interface StoreParts {
  readonly node: RuntimeNode;
  readonly routes: Pick<Routes, 'inboxOf' | 'groupsOf'>;
  /** Shards of this worker with their stores, in the same order. */
  readonly shards: readonly number[];
  readonly stores: readonly InboxStore[];
}

/** A connection. `user` and `device` are there once it has logged in. */
export interface SessionRow {
  readonly pid: string;
  readonly phase: string;
  readonly user?: string;
  readonly device?: number;
  readonly queue: number;
  /** Messages that its actor has handled. */
  readonly handled: number;
}

export interface SessionsQuestion {
  readonly user?: string | undefined;
  readonly fromSlot: number;
  readonly rows: number;
}

export interface SessionsAnswer {
  readonly rows: readonly SessionRow[];
  /** Where to go on; absent at the end. */
  readonly nextSlot?: number;
}

/** A shard of the worker. */
export interface ShardRow {
  readonly shard: number;
  readonly commits: number;
  readonly committedMessages: number;
  readonly queuedBytes: number;
  readonly online: number;
  /** Messages in its outbox, for shards that are out of reach. */
  readonly outbox: number;
}

/** One device of an account. */
export interface InboxRow {
  readonly device: number;
  readonly isPrimary: boolean;
  /** Position up to which everything is gone, and the last one given out, as on the disk. */
  readonly acknowledged: number;
  readonly lastSeq: number;
  /** What waits for a device that is away. */
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly conversations: number;
  readonly oldestAgeMs: number | undefined;
}

/** An entry without what it holds. */
export interface PeekRow {
  readonly seq: number;
  readonly from: string;
  readonly fromDevice: number;
  readonly id: number;
  readonly ageMs: number;
  readonly type: InboxEntry['type'];
  readonly bytes: number;
}

export interface PreKeysRow {
  readonly device: number;
  readonly oneTime: number;
  readonly kem: number;
  readonly hasLastResort: boolean;
  readonly signedPreKeyId: number;
}

export interface GroupStat {
  readonly group: string;
  readonly epoch: number;
  readonly members: number;
  readonly admins: number;
  /** Place of its last message or change. */
  readonly order: number;
  /** What inboxes of the owner's shard still refer to, up to a thousand. */
  readonly bodies: number;
}

/** Answers are `{ here: false }` where another worker has what is asked for. */
export type Found<T> = { readonly here: false } | ({ readonly here: true } & T);

export function storeQuestions(parts: StoreParts): Questions {
  return {
    sessions: (question: SessionsQuestion) => sessions(parts.node, question),
    kick: (question: { readonly user: string; readonly device?: number | undefined }) => kick(parts.node, question),
    shards: () => shardRows(parts),
    inboxes: ({ user }: { readonly user: string }) => inboxes(parts, user),
    peek: (question: { readonly user: string; readonly device: number; readonly rows: number }) =>
      peek(parts, question),
    preKeys: ({ user }: { readonly user: string }) => preKeys(parts, user),
    group: ({ group }: { readonly group: string }) => groupStat(parts, group),
    limits: (): { readonly limits: LimitView[] } => ({ limits: viewLimits() }),
    setLimit: ({ name, value }: { readonly name: string; readonly value: number }) => {
      const refusal = refuseLimit(name, value);
      if (refusal !== undefined) throw new AdminError('ADM_BAD_PARAMETER', refusal);
      setLimit(name, value);
      return {};
    },
  };
}

// --- connections ------------------------------------------------------------------------------------------------

const CONNECTION = 'actors/connection';

async function sessions(node: RuntimeNode, { user, fromSlot, rows }: SessionsQuestion): Promise<SessionsAnswer> {
  const found: SessionRow[] = [];
  const walk = node.walk(Math.max(1, fromSlot));
  const take = (process: ProcessView): boolean => {
    if (process.behavior.name === CONNECTION && isOf(process, user)) found.push(sessionRow(node, process));
    return found.length < rows;
  };
  while (!walk.step(LIMITS.sliceMs, take)) {
    if (found.length >= rows) return { rows: found, nextSlot: walk.slot };
    await pause(node.clock, 0);
  }
  return { rows: found };
}

function selfOf({ state }: ProcessView): { readonly user: string; readonly device: number } | undefined {
  const { phase } = (state ?? {}) as Partial<ConnectionState>;
  return phase?.name === 'live' ? phase.self : undefined;
}

function isOf(process: ProcessView, user: string | undefined): boolean {
  return user === undefined || selfOf(process)?.user === user;
}

function sessionRow(node: RuntimeNode, process: ProcessView): SessionRow {
  const info = node.processInfo(process);
  const { phase } = (process.state ?? {}) as Partial<ConnectionState>;
  const row = {
    pid: formatPid(process),
    phase: phase?.name ?? 'starting',
    queue: info?.messageQueueLen ?? 0,
    handled: info?.reductions ?? 0,
  };
  const self = selfOf(process);
  return self === undefined ? row : Object.assign(row, { user: self.user, device: self.device });
}

/** Ends the connections of a user in order: each client is told to come back. */
async function kick(
  node: RuntimeNode,
  { user, device }: { readonly user: string; readonly device?: number | undefined },
): Promise<{ readonly kicked: number }> {
  const found: Pid[] = [];
  const walk = node.walk();
  const take = (process: ProcessView): void => {
    const self = process.behavior.name === CONNECTION ? selfOf(process) : undefined;
    if (self?.user === user && (device === undefined || self.device === device)) found.push(process);
  };
  while (!walk.step(LIMITS.sliceMs, take)) await pause(node.clock, 0);
  const ended = await Promise.all(found.map((pid) => terminateDynamicChild(node, CONNECTIONS, pid)));
  return { kicked: ended.filter((each) => 'ok' in each).length };
}

// --- what waits -------------------------------------------------------------------------------------------------

async function shardRows({ node, shards }: StoreParts): Promise<{ readonly shards: ShardRow[] }> {
  const rows = shards.map(async (shard): Promise<ShardRow> => {
    const statistics = await node.call<InboxStatistics>(inboxName(shard), 'statistics', SERVER_LIMITS.callTimeoutMs);
    const { commits, committedMessages, queuedBytes, online, outboxCount: outbox } = statistics;
    return { shard, commits, committedMessages, queuedBytes, online, outbox };
  });
  return { shards: await Promise.all(rows) };
}

/** The store of the shard that a route names; `undefined` if that is another worker's. */
function storeAt(
  { node, shards, stores }: StoreParts,
  target: { readonly name: string; readonly worker: number },
  nameOf: (shard: number) => string,
): InboxStore | undefined {
  if (target.worker !== node.worker) return undefined;
  return stores[shards.findIndex((shard) => nameOf(shard) === target.name)];
}

function storeOfUser(parts: StoreParts, user: string): InboxStore | undefined {
  return storeAt(parts, parts.routes.inboxOf(user), inboxName);
}

function inboxes(parts: StoreParts, user: string): Found<{ readonly user: string; readonly devices: InboxRow[] }> {
  const store = storeOfUser(parts, user);
  if (store === undefined) return { here: false };
  const account = store.account(user);
  if (account === undefined) throw new AdminError('ADM_NOT_FOUND', 'no such user is registered');
  const runs = store.waitingConversations(user).flatMap(({ record }) => record.waiting ?? []);
  const primary = account.primary ?? account.devices[0];
  const devices = account.devices.map((device): InboxRow => {
    const own = runs.filter((run) => run.device === device);
    const [oldest] = store.entries(user, device, 0, POSITION_MAX, 1, 1);
    return {
      device,
      isPrimary: device === primary,
      acknowledged: store.acknowledged(user, device),
      lastSeq: store.lastSeq(user, device),
      waiting: own.reduce((sum, { count }) => sum + count, 0),
      waitingBytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
      conversations: own.length,
      oldestAgeMs: oldest === undefined ? undefined : parts.node.clock.nowMs() - oldest.ts,
    };
  });
  return { here: true, user, devices };
}

/** Positions are stored in six bytes, and the end of a range is one above. */
const POSITION_MAX = 2 ** 48 - 2;

/** Bytes of ciphertext that are read, and dropped, for the rows of one answer. */
const PEEK_BYTES_MAX = 4_194_304;

function peek(
  parts: StoreParts,
  { user, device, rows }: { readonly user: string; readonly device: number; readonly rows: number },
): Found<{ readonly entries: PeekRow[] }> {
  const store = storeOfUser(parts, user);
  if (store === undefined) return { here: false };
  if (store.device(user, device) === undefined) throw new AdminError('ADM_NOT_FOUND', 'no such device is registered');
  const nowMs = parts.node.clock.nowMs();
  const entries = store.entries(user, device, 0, POSITION_MAX, rows, PEEK_BYTES_MAX);
  return { here: true, entries: entries.map((entry) => peekRow(entry, nowMs)) };
}

function peekRow({ seq, sender, senderDevice, id, ts, type, ciphertext }: InboxEntry, nowMs: number): PeekRow {
  return { seq, from: sender, fromDevice: senderDevice, id, ageMs: nowMs - ts, type, bytes: ciphertext.length };
}

function preKeys(parts: StoreParts, user: string): Found<{ readonly user: string; readonly devices: PreKeysRow[] }> {
  const store = storeOfUser(parts, user);
  if (store === undefined) return { here: false };
  const account = store.account(user);
  if (account === undefined) throw new AdminError('ADM_NOT_FOUND', 'no such user is registered');
  const { preKeyCountMax, kemPreKeyCountMax } = SERVER_LIMITS;
  const devices = account.devices.flatMap((device): PreKeysRow[] => {
    const record = store.device(user, device);
    if (record === undefined) return [];
    return [
      {
        device,
        oneTime: store.preKeys(user, device, preKeyCountMax).length,
        kem: store.countKemPreKeys(user, device, kemPreKeyCountMax),
        hasLastResort: record.lastResort !== undefined,
        signedPreKeyId: record.signedPreKey.id,
      },
    ];
  });
  return { here: true, user, devices };
}

/** Bodies are counted up to here. */
const BODIES_MAX = 1_000;

function groupStat(parts: StoreParts, group: string): Found<GroupStat> {
  const target = parts.routes.groupsOf(group);
  if (target.worker !== parts.node.worker) return { here: false };
  const shard = parts.shards.findIndex((each) => target.name.endsWith(`.${each}`));
  const record = parts.stores[shard]?.groups.group(group);
  if (record === undefined) throw new AdminError('ADM_NOT_FOUND', 'no such group is here');
  const { groups } = parts.stores[shard]!;
  const roster = decodeRoster(record.roster);
  if (!('members' in roster)) throw new AdminError('ADM_FAILED', 'the roster cannot be read');
  const roles = [...roster.members.values()];
  return {
    here: true,
    group,
    epoch: roster.epoch,
    members: roles.length,
    admins: roles.filter((role) => role === 'admin').length,
    order: groups.order(group),
    bodies: groups.countBodies(group, BODIES_MAX),
  };
}
