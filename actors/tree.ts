/**
 * The supervision tree of one worker thread. Start reading the server here.
 *
 *   worker (one_for_one)
 *   ├─ inbox.0        accepts, keeps and pushes the messages of shard 0         inbox.ts
 *   ├─ groups.0       the groups of shard 0: changes, order, who gets what      groups.ts
 *   ├─ outbox.0       what its people have written to shards out of reach       outbox.ts
 *   ├─ accounts.0     numbers, devices and pre-keys of shard 0                  accounts.ts
 *   ├─ presence.0     who is there, and typing, of shard 0                      presence.ts
 *   ├─ relations.0    whom an account accepts and blocks, reports; of shard 0   relations.ts
 *   ├─ wakeups.0      wakes the silent devices of shard 0                       wakeups.ts
 *   ├─ inbox.1 …      the same of each shard that this worker owns; in a cluster under a supervisor shard.1, which comes and goes
 *   ├─ links          devices that wait to be linked                            links.ts
 *   ├─ media          upload tickets, and the sweep of what has expired         media/keeper.ts
 *   ├─ admin          what operators ask of this worker                         admin/agent.ts
 *   ├─ quotas         what an account may do in a day                           quotas.ts
 *   └─ connections (dynamic)
 *      └─ one temporary actor for each socket of this worker                   connection.ts
 *
 * A file on the right is a behaviour; where it has parts, they are in a folder of its name, and its first page lists them.
 *
 * An inbox that crashes comes back from its store; connections that it pushed to notice and ask their clients to come
 * again. A connection that crashes closes its socket and touches nobody else. A shard that keeps crashing ends the
 * worker, and that the process: its disk or its code is broken, and a restart by the init system is the honest answer.
 */

import type { RuntimeNode } from '../runtime/index.ts';
import {
  childSpec,
  deleteChild,
  dynamicSupervisorSpec,
  startChild,
  supervisorSpec,
  terminateChild,
  type ChildSpec,
  type SupervisorOptions,
} from '../supervisors/index.ts';
import type { Admission } from './admission.ts';
import { agent, AGENT_NAME, type AgentArgs } from './admin/agent.ts';
import { accounts } from './accounts.ts';
import type { AccountsArgs } from './accounts/state.ts';
import { connection } from './connection.ts';
import { groups } from './groups.ts';
import type { GroupsArgs } from './groups/state.ts';
import { inbox } from './inbox.ts';
import type { InboxArgs } from './inbox/state.ts';
import { outbox } from './outbox.ts';
import type { OutboxArgs } from './outbox/state.ts';
import { LIMITS } from './limits.ts';
import { links } from './links.ts';
import { keeper, type KeeperArgs } from './media/keeper.ts';
import { presence } from './presence.ts';
import { type PresenceArgs } from './presence/state.ts';
import { quotas } from './quotas.ts';
import { relations, type RelationsArgs } from './relations.ts';
import type { ResumeTickets } from './resume-ticket.ts';
import {
  accountsName,
  groupsName,
  inboxName,
  LINKS_NAME,
  MEDIA_NAME,
  outboxName,
  presenceName,
  QUOTAS_NAME,
  relationsName,
  wakeupsName,
  type Routes,
} from './routes.ts';
import { wakeups, type WakeupsArgs } from './wakeups.ts';

/** The dynamic supervisor of a worker's connections, by registered name. */
export const CONNECTIONS = 'connections';

export interface ShardParts {
  readonly shard: number;
  readonly inbox: InboxArgs;
  readonly accounts: AccountsArgs;
  readonly relations: RelationsArgs;
  readonly wakeups: WakeupsArgs;
  readonly presence: PresenceArgs;
  readonly groups: GroupsArgs;
  readonly outbox: OutboxArgs;
}

/** What every connection of a worker has in common. */
export interface ConnectionParts {
  readonly routes: Routes;
  readonly tickets: ResumeTickets;
  readonly admission: Admission;
}

/** The tree as options for `startSupervisor`. */
export function workerTree(
  shards: readonly ShardParts[],
  media: KeeperArgs,
  connections: ConnectionParts,
  admin: AgentArgs,
): SupervisorOptions {
  return {
    name: WORKER,
    strategy: 'one_for_one',
    intensity: 5,
    periodMs: 10_000,
    children: [
      ...shards.flatMap(shardChildren),
      linksSpec(connections.routes),
      mediaSpec(media),
      quotasSpec(),
      childSpec(AGENT_NAME, agent, admin, { options: { name: AGENT_NAME } }),
      connectionsSpec(connections),
    ],
  };
}

/** The name of the supervisor of all of a worker. */
const WORKER = 'worker';

/**
 * Starts the actors of a shard that this worker was given while it runs, under a supervisor of their own.
 *
 * @throws {Error} (as rejection) when one of them does not start.
 */
export async function startShard(node: RuntimeNode, parts: ShardParts): Promise<{ stop(): Promise<void> }> {
  const name = `shard.${parts.shard}`;
  const options = { name, strategy: 'one_for_one', intensity: 5, periodMs: 10_000 } as const;
  const started = await startChild(node, WORKER, supervisorSpec({ ...options, children: shardChildren(parts) }));
  if ('error' in started) throw new Error(`${name} did not start: ${JSON.stringify(started.error)}`);
  return {
    async stop() {
      // When the whole node stops its actors have ended already.
      if (node.whereis(WORKER) === undefined) return;
      await terminateChild(node, WORKER, name);
      await deleteChild(node, WORKER, name);
    },
  };
}

function shardChildren({
  shard,
  inbox: inboxArgs,
  accounts: accountsArgs,
  presence: presenceArgs,
  relations: relationsArgs,
  groups: groupsArgs,
  wakeups: wakeupsArgs,
  outbox: outboxArgs,
}: ShardParts): ChildSpec[] {
  const options = (name: string): object => ({ name, mailboxMax: LIMITS.shardMailboxMax });
  return [
    // Before the inbox, which tells who logs in what waits there.
    childSpec(outboxName(shard), outbox, outboxArgs, { options: options(outboxName(shard)) }),
    childSpec(inboxName(shard), inbox, inboxArgs, { options: options(inboxName(shard)) }),
    childSpec(groupsName(shard), groups, groupsArgs, { options: options(groupsName(shard)) }),
    childSpec(accountsName(shard), accounts, accountsArgs, { options: options(accountsName(shard)) }),
    childSpec(presenceName(shard), presence, presenceArgs, {
      options: { name: presenceName(shard), mailboxMax: LIMITS.presenceMailboxMax },
    }),
    childSpec(relationsName(shard), relations, relationsArgs, { options: options(relationsName(shard)) }),
    childSpec(wakeupsName(shard), wakeups, wakeupsArgs, { options: options(wakeupsName(shard)) }),
  ];
}

function linksSpec({ accountsOf }: Routes): ChildSpec {
  const options = { name: LINKS_NAME, mailboxMax: LIMITS.connectionMailboxMax };
  return childSpec(LINKS_NAME, links, { accountsOf }, { options });
}

function mediaSpec(args: KeeperArgs): ChildSpec {
  return childSpec(MEDIA_NAME, keeper, args, {
    options: { name: MEDIA_NAME, mailboxMax: LIMITS.connectionMailboxMax },
  });
}

function quotasSpec(): ChildSpec {
  return childSpec(QUOTAS_NAME, quotas, undefined, {
    options: { name: QUOTAS_NAME, mailboxMax: LIMITS.shardMailboxMax },
  });
}

function connectionsSpec(args: ConnectionParts): ChildSpec {
  return dynamicSupervisorSpec({
    name: CONNECTIONS,
    child: {
      start: { behavior: connection, args, options: { mailboxMax: LIMITS.connectionMailboxMax } },
      restart: 'temporary',
      shutdown: 1_000,
    },
    childrenMax: LIMITS.connectionCountMax,
    mailboxMax: LIMITS.openingMailboxMax,
  });
}
