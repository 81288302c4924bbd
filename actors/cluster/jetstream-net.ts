/**
 * A cluster's logs, registries and pages on NATS: the adapter between `contracts.ts` and JetStream.
 *
 *   stream   bb-<cluster>-log-<shard>   subject bb.<cluster>.log.<shard>: a stream for each shard, so that its sequences have no gaps
 *   bucket   bb-<cluster>-table     on disk: who owns what
 *   bucket   bb-<cluster>-live      in memory: gone with all servers at once, and written anew within a second
 *   subject  bb.<cluster>.page.<node>.<worker>   requests for pages of a copy
 *
 * It decides nothing and retries nothing: what is not answered in time is `unknown`. What the server refuses for its sequence is told
 * apart by the code of the refusal. An append expects the last sequence of its stream, which servers check where they apply it, in the order of the
 * raft group. The last sequence of a subject, which shards that share a stream would have to expect, is checked by a leader before it proposes: releases
 * before 2.10.23 let two appends pass that are under way at once, and a new leader has not applied everything (nats-server, `processClusteredInboundMsg`).
 */

import type { NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type {
  AppendOutcome,
  ClusterNet,
  LogEnd,
  LogEntry,
  PageExchange,
  Registry,
  RegistryEntry,
  ShardLog,
} from './contracts.ts';
import { LIMITS } from './limits.ts';
import { pause } from './pause.ts';
import type { Seat } from './placement.ts';

type Connection = NatsBus['connection'];
type JetStream = ReturnType<Connection['jetstream']>;
type Manager = Awaited<ReturnType<Connection['jetstreamManager']>>;
type Bucket = Awaited<ReturnType<JetStream['views']['kv']>>;
type ConsumerOptions = Parameters<JetStream['subscribe']>[1];

/** Codes of JetStream's refusals that are answers to us. */
const WRONG_LAST_SEQUENCE = 10_071;
const NO_MESSAGE = 10_037;
const STREAM_NOT_FOUND = 10_059;
const NANOS_PER_MS = 1_000_000;

export interface JetStreamParts {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the cluster. */
  readonly cluster: string;
  /** Copies that the servers keep of each stream: 1, 3 or 5, no more than there are servers. */
  readonly replicas: number;
  readonly shardCount: number;
}

/** Opens the streams and buckets of a cluster, and makes those that are missing. Tries until the servers let it, as at the start of all. */
export async function openJetStreamNet(parts: JetStreamParts): Promise<ClusterNet> {
  const { connection, clock, cluster, replicas, shardCount } = parts;
  const manager = await untilServed(clock, () => connection.jetstreamManager({ timeout: LIMITS.requestMs }));
  for (let shard = 0; shard < shardCount; shard++) {
    await untilServed(clock, () => ensureLogStream(manager, cluster, shard, replicas));
  }
  const jetstream = connection.jetstream({ timeout: LIMITS.requestMs });
  const registry = async (suffix: string, storage: 'file' | 'memory'): Promise<Registry> => {
    const name = `bb-${cluster}-${suffix}`;
    const options = { replicas, history: 1, storage, timeout: LIMITS.requestMs } as object;
    return registryOf(await untilServed(clock, () => jetstream.views.kv(name, options)), name, manager, parts);
  };
  return {
    log: (shard) => new JetStreamLog(parts, jetstream, manager, shard),
    table: await registry('table', 'file'),
    liveness: await registry('live', 'memory'),
    pages: pagesOf(connection, cluster),
    close: async () => undefined,
  };
}

/** A server that has just come has no leader for anything yet, and two nodes that make the same stream at once see each other's half. */
async function untilServed<T>(clock: Clock, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= LIMITS.openTriesMax) throw error;
      await pause(clock, LIMITS.retryMs);
    }
  }
}

async function ensureLogStream(manager: Manager, cluster: string, shard: number, replicas: number): Promise<void> {
  const name = logStream(cluster, shard);
  try {
    await manager.streams.info(name);
  } catch (error) {
    if (codeOf(error) !== STREAM_NOT_FOUND) throw error;
    const options = { name, subjects: [logSubject(cluster, shard)], num_replicas: replicas };
    // Nothing is given up but by `trim`: a log that is full refuses appends.
    await manager.streams.add({ ...options, storage: 'file', retention: 'limits', discard: 'new' } as object);
  }
}

function logStream(cluster: string, shard: number): string {
  return `bb-${cluster}-log-${shard}`;
}

function logSubject(cluster: string, shard: number): string {
  return `bb.${cluster}.log.${shard}`;
}

function codeOf(error: unknown): number | undefined {
  return (error as { api_error?: { err_code?: number } }).api_error?.err_code;
}

class JetStreamLog implements ShardLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #jetstream: JetStream;
  readonly #manager: Manager;
  readonly #stream: string;
  readonly #subject: string;

  constructor(parts: JetStreamParts, jetstream: JetStream, manager: Manager, shard: number) {
    this.#logger = parts.logger;
    this.#clock = parts.clock;
    this.#jetstream = jetstream;
    this.#manager = manager;
    this.#stream = logStream(parts.cluster, shard);
    this.#subject = logSubject(parts.cluster, shard);
  }

  async append(data: Buffer, expected: number): Promise<AppendOutcome> {
    try {
      const options = { expect: { lastSequence: expected }, timeout: LIMITS.requestMs };
      const { seq } = await this.#jetstream.publish(this.#subject, data, options);
      return { kind: 'ok', sequence: seq };
    } catch (error) {
      return { kind: codeOf(error) === WRONG_LAST_SEQUENCE ? 'stale' : 'unknown' };
    }
  }

  read(from: number): Promise<LogEntry | 'end' | 'unknown'> {
    return this.#get({ seq: from, next_by_subj: this.#subject }, 'end');
  }

  async last(): Promise<LogEnd | 'unknown'> {
    const last = await this.#get({ last_by_subj: this.#subject }, 'empty');
    return last === 'empty' ? this.#endOfEmpty() : last;
  }

  /** A stream without messages remembers the sequence of its last one, and holds appends against it. */
  async #endOfEmpty(): Promise<LogEnd | 'unknown'> {
    try {
      const { state } = await this.#manager.streams.info(this.#stream);
      return state.messages === 0 ? { sequence: state.last_seq, data: undefined } : 'unknown';
    } catch {
      return 'unknown';
    }
  }

  async #get<None extends string>(query: object, none: None): Promise<LogEntry | None | 'unknown'> {
    try {
      // Asked of the leader of the stream, not of any replica, which may lag.
      const { seq, data } = await this.#manager.streams.getMessage(this.#stream, query as { seq: number });
      return { sequence: seq, data: Buffer.from(data) };
    } catch (error) {
      return codeOf(error) === NO_MESSAGE ? none : 'unknown';
    }
  }

  follow(from: number, onEntry: (entry: LogEntry) => void): { stop(): void } {
    let next = from;
    let stopped = false;
    let unsubscribe = (): void => undefined;
    const follow = async (): Promise<void> => {
      while (!stopped) {
        await this.#consume(
          next,
          (entry) => {
            if (stopped || entry.sequence < next) return;
            next = entry.sequence + 1;
            onEntry(entry);
          },
          (end) => {
            unsubscribe = end;
            // The role changed while the server was being asked for a subscription.
            if (stopped) end();
          },
        );
        if (!stopped) await pause(this.#clock, LIMITS.retryMs);
      }
    };
    void follow();
    const stop = (): void => {
      stopped = true;
      unsubscribe();
    };
    return { stop };
  }

  /** One subscription, until it breaks. */
  async #consume(from: number, onEntry: (entry: LogEntry) => void, began: (end: () => void) => void): Promise<void> {
    try {
      const start = { deliver_policy: 'by_start_sequence', opt_start_seq: from, filter_subject: this.#subject };
      const config = { ...start, ack_policy: 'none', idle_heartbeat: LIMITS.heartbeatMs * NANOS_PER_MS };
      const options = { stream: this.#stream, ordered: true, config, mack: false, max: 0 };
      await new Promise<void>((resolve, reject) => {
        const callbackFn = (error: unknown, message: { seq: number; data: Uint8Array } | null): void => {
          if (error !== null) resolve();
          else if (message !== null) onEntry({ sequence: message.seq, data: Buffer.from(message.data) });
        };
        const subscribed = this.#jetstream.subscribe(this.#subject, { ...options, callbackFn } as ConsumerOptions);
        subscribed.then((subscription) => {
          began(() => {
            subscription.unsubscribe();
            resolve();
          });
          void subscription.closed.then(() => resolve());
        }, reject);
      });
    } catch (error) {
      this.#logger.debug('log_subscription_failed', { subject: this.#subject, reason: String(error) });
    }
  }

  async trim(before: number): Promise<void> {
    // Before, not up to: the last entry stays, since appends name it. Nothing stands before the first one, and servers up to 2.10.3 take a purge before
    // 1 for one of everything (`PurgeEx`).
    if (before <= 1) return;
    await this.#manager.streams.purge(this.#stream, { seq: before }).catch(() => undefined);
  }
}

function registryOf(bucket: Bucket, name: string, manager: Manager, parts: JetStreamParts): Registry {
  return {
    async read(key): Promise<RegistryEntry | 'missing' | 'unknown'> {
      try {
        // Not the bucket's own get, which any replica answers, also one that lags: a lease is confirmed by this.
        const query = { last_by_subj: `$KV.${name}.${key}` };
        const { seq, data, header } = await manager.streams.getMessage(`KV_${name}`, query);
        if (header.get('KV-Operation') !== '') return 'missing';
        return { value: Buffer.from(data).toString(), revision: seq };
      } catch (error) {
        return codeOf(error) === NO_MESSAGE ? 'missing' : 'unknown';
      }
    },
    async swap(key, value, revision) {
      try {
        await (revision === 0 ? bucket.create(key, value) : bucket.update(key, value, revision));
        return 'ok';
      } catch (error) {
        return codeOf(error) === WRONG_LAST_SEQUENCE ? 'stale' : 'unknown';
      }
    },
    async write(key, value) {
      return bucket.put(key, value).then(
        () => 'ok' as const,
        () => 'unknown' as const,
      );
    },
    watch: (onChange) => watchBucket(bucket, onChange, parts),
  };
}

type OnChange = Parameters<Registry['watch']>[0];

function watchBucket(bucket: Bucket, onChange: OnChange, { clock, logger }: JetStreamParts): { stop(): void } {
  let stopped = false;
  let end = (): void => undefined;
  const watch = async (): Promise<void> => {
    while (!stopped) {
      try {
        const entries = await bucket.watch();
        end = () => entries.stop();
        if (stopped) end();
        for await (const { key, operation, revision, value } of entries) {
          if (stopped) return;
          onChange(key, operation === 'PUT' ? Buffer.from(value).toString() : undefined, revision);
        }
      } catch (error) {
        logger.debug('registry_watch_failed', { reason: String(error) });
      }
      if (!stopped) await pause(clock, LIMITS.retryMs);
    }
  };
  void watch();
  const stop = (): void => {
    stopped = true;
    end();
  };
  return { stop };
}

function pagesOf(connection: Connection, cluster: string): PageExchange {
  const subjectOf = ({ node, worker }: Seat): string => `bb.${cluster}.page.${node}.${worker}`;
  return {
    async ask(seat, request) {
      const subject = subjectOf(seat);
      return connection.request(subject, request, { timeout: LIMITS.pageMs }).then(
        ({ data }) => Buffer.from(data),
        () => 'unknown' as const,
      );
    },
    answer(seat, handler) {
      const subscription = connection.subscribe(subjectOf(seat), {
        callback: (error, message) => {
          if (error === null) message.respond(handler(Buffer.from(message.data)));
        },
      });
      return { stop: () => void (connection.isClosed() || subscription.unsubscribe()) };
    },
  };
}
