/**
 * A cluster's logs, registries and pages on NATS: the adapter between `contracts.ts` and JetStream.
 *
 *   stream   bb-<cluster>-log-<shard>   subject bb.<cluster>.log.<shard>: a stream for each shard, so that its sequences have no gaps
 *   bucket   bb-<cluster>-table     on disk: who owns what
 *   bucket   bb-<cluster>-live      in memory: gone with all servers at once, made anew and written within a second
 *   subject  bb.<cluster>.page.<node>.<worker>   requests for pages of a copy
 *   subject  bb.<cluster>.served.<centre>        what a data centre tells the others of its shards
 *
 * In a cluster of several data centres each has its own JetStream, the domain of its servers, with the logs of its shards and buckets that bear its name. Nothing here
 * asks the JetStream of another one. What the cluster is made of stands in the table without a centre's name also there, or a node that was started
 * without centres, or as the first one with them, would look for it where nobody wrote it.
 *
 * It decides nothing and retries nothing: what is not answered in time is `unknown`. What the server refuses for its sequence is told
 * apart by the code of the refusal. An append expects the last sequence of its stream, which servers check where they apply it, in the order of the
 * raft group. The last sequence of a subject, which shards that share a stream would have to expect, is checked by a leader before it proposes: releases
 * before 2.10.23 let two appends pass that are under way at once, and a new leader has not applied everything (nats-server, `processClusteredInboundMsg`).
 */

import { RefusedMessages, subjects, type NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type {
  Announcements,
  AppendOutcome,
  ClusterNet,
  LogEnd,
  LogEntry,
  PageExchange,
  Registry,
  ShardLog,
} from './contracts.ts';
import { StartupError } from '../errors.ts';
import type { Centre, ShardRange } from './centres.ts';
import { JETSTREAM, jetStreamCodeOf } from './jetstream-codes.ts';
import { followStream, type StreamMessage } from './jetstream-follow.ts';
import { openBucketRegistry } from './jetstream-registry.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';
import type { Seat } from './placement.ts';

type Connection = NatsBus['connection'];
type JetStream = ReturnType<Connection['jetstream']>;
type Manager = Awaited<ReturnType<Connection['jetstreamManager']>>;

export interface JetStreamParts {
  readonly bus: NatsBus;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of the cluster. */
  readonly cluster: string;
  /** Copies that the servers keep of each stream: 1, 3 or 5, no more than there are servers. */
  readonly replicas: number;
  /** Whose logs are on these servers. */
  readonly shards: ShardRange;
  /** The data centres of the cluster, none if it is in one place, and which of them this one is. */
  readonly centres: readonly Centre[];
  readonly centre: number;
}

/**
 * Opens the streams and buckets of a cluster, and makes those that are missing. Tries until the servers let it, as at the start of all.
 *
 * @throws {StartupError} (as rejection) APP_CLUSTER_CENTRES: the servers are of another data centre.
 */
export async function openJetStreamNet(parts: JetStreamParts): Promise<ClusterNet> {
  const { bus, clock, logger, cluster, replicas, shards } = parts;
  const { connection } = bus;
  const centre = parts.centres[parts.centre]?.name;
  const manager = await untilServed(clock, () => connection.jetstreamManager({ timeout: LIMITS.requestMs }));
  if (centre !== undefined) await checkDomain(bus, clock, centre);
  for (let shard = shards.first; shard < shards.first + shards.count; shard++) {
    await untilServed(clock, () => ensureLogStream(manager, cluster, shard, replicas));
  }
  const jetstream = connection.jetstream({ timeout: LIMITS.requestMs });
  const registry = (suffix: string, storage: 'file' | 'memory'): Promise<Registry> => {
    const name = bucketName(cluster, centre, suffix);
    const quietMs = storage === 'memory' ? LIMITS.livesQuietMs : LIMITS.tableQuietMs;
    const plan = { bus, jetstream, manager, clock, logger, name, storage, replicas, quietMs };
    return untilServed(clock, () => openBucketRegistry(plan));
  };
  return {
    log: (shard) => new JetStreamLog(parts, jetstream, manager, shard),
    table: await registry('table', 'file'),
    liveness: await registry('live', 'memory'),
    pages: pagesOf(connection, cluster, logger),
    announcements: centre === undefined ? undefined : announcementsOf(parts, centre),
    isDeserted: ({ node, worker }) => bus.isDeserted(subjects.worker(cluster, node, worker)),
    close: async () => undefined,
  };
}

/**
 * Opens the registry of what the cluster is made of: on these servers one, with and without centres.
 *
 * @throws {Error} (as rejection) what JetStream says after LIMITS.openTriesMax attempts.
 */
export async function openAgreement(
  parts: Pick<JetStreamParts, 'bus' | 'clock' | 'logger' | 'cluster' | 'replicas'>,
): Promise<Registry> {
  const { bus, clock, logger, cluster, replicas } = parts;
  const manager = await untilServed(clock, () => bus.connection.jetstreamManager({ timeout: LIMITS.requestMs }));
  const jetstream = bus.connection.jetstream({ timeout: LIMITS.requestMs });
  const name = bucketName(cluster, undefined, 'table');
  const quietMs = LIMITS.tableQuietMs;
  const plan = { bus, jetstream, manager, clock, logger, name, storage: 'file', replicas, quietMs } as const;
  return untilServed(clock, () => openBucketRegistry(plan));
}

/** Of the JetStream of these servers, if it has one. */
export async function domainOf({ connection }: NatsBus, clock: Clock): Promise<string | undefined> {
  const manager = await untilServed(clock, () => connection.jetstreamManager({ timeout: LIMITS.requestMs }));
  const { domain } = await untilServed(clock, () => manager.getAccountInfo());
  return domain;
}

function bucketName(cluster: string, centre: string | undefined, suffix: string): string {
  return ['bb', cluster, centre, suffix].filter((part) => part !== undefined).join('-');
}

/** A node that took part in another centre's JetStream would have to ask across the line for all it does. */
async function checkDomain(bus: NatsBus, clock: Clock, centre: string): Promise<void> {
  const domain = await domainOf(bus, clock);
  if (domain === centre) return;
  const found = domain === undefined ? 'no JetStream domain' : `the JetStream domain ${domain}`;
  const message = `cluster-centre is ${centre}, and the NATS servers have ${found}: "jetstream { domain: ${centre} }"`;
  throw new StartupError('APP_CLUSTER_CENTRES', `${message} in their configuration.`);
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
    if (jetStreamCodeOf(error) !== JETSTREAM.streamNotFound) throw error;
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

class JetStreamLog implements ShardLog {
  readonly #bus: NatsBus;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #jetstream: JetStream;
  readonly #manager: Manager;
  readonly #stream: string;
  readonly #subject: string;

  constructor(parts: JetStreamParts, jetstream: JetStream, manager: Manager, shard: number) {
    this.#bus = parts.bus;
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
      return { kind: jetStreamCodeOf(error) === JETSTREAM.wrongLastSequence ? 'stale' : 'unknown' };
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
      return jetStreamCodeOf(error) === JETSTREAM.noMessage ? none : 'unknown';
    }
  }

  follow(from: number, onEntry: (entry: LogEntry) => void): { stop(): void } {
    let next = from;
    const start = () => ({ deliver_policy: 'by_start_sequence', opt_start_seq: next }) as const;
    const onMessage = ({ seq, data }: StreamMessage): void => {
      if (seq < next) return;
      next = seq + 1;
      onEntry({ sequence: seq, data: Buffer.from(data) });
    };
    const [bus, manager, clock, logger] = [this.#bus, this.#manager, this.#clock, this.#logger];
    const [stream, subject] = [this.#stream, this.#subject];
    return followStream({ bus, manager, clock, logger, stream, subject, start, onMessage });
  }

  async trim(before: number): Promise<void> {
    // Before, not up to: the last entry stays, since appends name it. Nothing stands before the first one, and servers up to 2.10.3 take a purge before
    // 1 for one of everything (`PurgeEx`).
    if (before <= 1) return;
    await this.#manager.streams.purge(this.#stream, { seq: before }).catch(() => undefined);
  }
}

function pagesOf(connection: Connection, cluster: string, logger: Logger): PageExchange {
  const refused = new RefusedMessages(logger);
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
          if (error !== null) return;
          try {
            message.respond(handler(Buffer.from(message.data)));
          } catch (reason) {
            refused.note(message.subject, reason);
          }
        },
      });
      return { stop: () => void (connection.isClosed() || subscription.unsubscribe()) };
    },
  };
}

function announcementsOf({ bus, cluster, centres }: JetStreamParts, own: string): Announcements {
  const subjectOf = (centre: string): string => `bb.${cluster}.served.${centre}`;
  return {
    say: (text) => bus.publish(subjectOf(own), Buffer.from(text)),
    hear(onText) {
      const others = centres.map(({ name }) => name).filter((name) => name !== own);
      const ends = others.map((name) =>
        bus.subscribe(subjectOf(name), (bytes) => onText(Buffer.from(bytes).toString(), name)),
      );
      return { stop: () => ends.forEach((end) => end()) };
    },
  };
}
