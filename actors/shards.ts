/**
 * The shards that a worker has open, each with its store and its actors; in a cluster they come and go.
 *
 * Knows neither sockets nor media. Which actors a shard has: `tree.ts`; who gives shards and takes them: `cluster/`.
 */

import type { Pid, RuntimeNode } from '../runtime/index.ts';
import type { ShardDuties } from './cluster/link.ts';
import { Committer } from './committer.ts';
import { StartupError } from './errors.ts';
import { watchCrowding } from './host/crowding.ts';
import { LIMITS } from './limits.ts';
import type { WakeupsMessage } from './messages.ts';
import { timedCommits } from './metrics/commits.ts';
import { add, gauge } from './metrics/meter.ts';
import type { Push } from './push/settings.ts';
import { noOutboxLoad } from './outbox/load.ts';
import { outboxName, type Routes, wakeupsName } from './routes.ts';
import { partitionOfPhone, shardDirectory, type StoreInfo } from './store-directory.ts';
import type { InboxStore } from './store/inbox-store.ts';
import { openLmdbStore, type ReplicaStore } from './store/lmdb.ts';
import { startShard, type ShardParts } from './tree.ts';
import type { Verifier } from './verifier.ts';
import type { WakeupsArgs } from './wakeups.ts';
import type { StoreBounds } from './worker-bounds.ts';

/** What the shards of a worker have in common. */
export interface ShardContext {
  readonly node: RuntimeNode;
  readonly info: StoreInfo;
  readonly routes: Routes;
  readonly verifier: Verifier;
  readonly push: Push;
  readonly bounds: StoreBounds;
  /** The disk failed a commit: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** Those of one worker. */
export class WorkerShards {
  readonly #context: ShardContext;
  /** Their numbers and their stores, in one order. */
  readonly numbers: number[] = [];
  readonly stores: ReplicaStore[] = [];

  constructor(context: ShardContext) {
    this.#context = context;
  }

  /** Opens shards that stay, and says what the tree is to run for them. @throws {StartupError} APP_STORE_UNREADABLE. */
  openAll(shards: readonly number[]): ShardParts[] {
    for (const shard of shards) this.#keep(shard, openShard(shard, this.#context));
    return this.stores.map((store, index) => shardParts(this.numbers[index]!, store, this.#context));
  }

  /** How shards are opened and served that a cluster gives to this worker. */
  duties(): ShardDuties {
    return {
      open: (shard) => openShard(shard, this.#context),
      serve: async (shard, store, isCutOff) => {
        const served = await startShard(this.#context.node, shardParts(shard, store, this.#context, isCutOff));
        this.#keep(shard, store);
        return {
          stop: () => {
            this.#drop(shard, store);
            return served.stop();
          },
        };
      },
    };
  }

  #keep(shard: number, store: ReplicaStore): void {
    this.numbers.push(shard);
    this.stores.push(store);
  }

  #drop(shard: number, store: ReplicaStore): void {
    this.numbers.splice(this.numbers.indexOf(shard), 1);
    this.stores.splice(this.stores.indexOf(store), 1);
  }
}

function openShard(shard: number, { info, onFatal }: ShardContext): ReplicaStore {
  const directory = shardDirectory(info, shard);
  try {
    return openLmdbStore({ directory, onFatal });
  } catch (error) {
    throw new StartupError('APP_STORE_UNREADABLE', `cannot open ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Binds the actors of a shard to its store: the promises of the world become messages here. */
function shardParts(shard: number, store: InboxStore, context: ShardContext, isCutOff?: () => boolean): ShardParts {
  const { node, info, routes, verifier, push, bounds } = context;
  const { inboxOf, presenceOf, linksOf } = routes;
  const load = { queuedCount: 0, outbox: noOutboxLoad() };
  const crowding = watchCrowding(node.clock);
  // One for each actor: what its former life has under way is of no concern to the others.
  const timed = timedCommits(store, node.clock);
  const tell: ConstructorParameters<typeof Committer>[1] = (self, message) => void node.cast(self, message);
  const committer = (): Committer => new Committer(timed, tell, isCutOff);
  return {
    shard,
    inbox: {
      store,
      load,
      inboxOf,
      groupsOf: routes.groupsOf,
      outbox: { name: outboxName(shard), worker: node.worker },
      wakeups: push.providers.size > 0 ? { name: wakeupsName(shard), worker: node.worker } : undefined,
      get queuedBytesMax() {
        return bounds.queuedBytesMax;
      },
      isCrowded: () => crowding() > LIMITS.crowdedLoad,
      committer: committer(),
    },
    wakeups: wakeupsArgs(store, committer(), node, push),
    relations: {
      store,
      inboxOf,
      presenceOf,
      committer: committer(),
    },
    accounts: {
      store,
      inboxOf,
      linksOf,
      partitionOfPhone: (phone) => partitionOfPhone(info, phone),
      committer: committer(),
      sendCode: (self, ticket, phone, code) => {
        const done = (ok: boolean) => (): void => void node.cast(self, { kind: 'code-sent', ticket, ok });
        verifier.send(phone, code).then(done(true), done(false));
      },
    },
    outbox: {
      store,
      load: load.outbox,
      inboxOf,
      get queuedBytesMax() {
        return bounds.queuedBytesMax;
      },
      committer: committer(),
    },
    groups: {
      store,
      inboxOf,
      presenceOf,
      get queuedBytesMax() {
        return bounds.queuedBytesMax;
      },
      committer: committer(),
    },
    presence: {
      store,
      presenceOf,
      committer: committer(),
      isBusy: () => load.queuedCount > LIMITS.presenceShedQueueCount,
    },
  };
}

function wakeupsArgs(
  store: InboxStore,
  committer: Committer,
  node: RuntimeNode,
  { providers, vapidPublicKey }: Push,
): WakeupsArgs {
  const tell = (self: Pid, message: WakeupsMessage): void => void node.cast(self, message);
  return {
    store,
    vapidPublicKey,
    accepts: (registration) => providers.get(registration.platform)?.accepts(registration) ?? false,
    wake: (self, address, registration) => {
      const sent = providers.get(registration.platform)?.wake(registration);
      const refused = { kind: 'failed', reason: 'no provider' } as const;
      void (sent ?? Promise.resolve(refused)).then((outcome) => {
        add(gauge('blindbeam_wake_ups_total', { platform: registration.platform, outcome: outcome.kind }));
        tell(self, { kind: 'woken', ...address, outcome, registration });
      });
    },
    committer,
  };
}
