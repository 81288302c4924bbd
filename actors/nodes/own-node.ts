/**
 * What this node tells of itself, on its main thread: to its own operators, and to other nodes whose operators ask. No figure names a user.
 */

import { askEach, askWorker, type Askable } from '../admin/ask.ts';
import type { NodeFacts } from '../admin/status.ts';
import type { BusReport } from '../cluster/link.ts';
import type { NodeState } from './card.ts';
import type { CopyRow, ShardRow, ShardsPage } from './shard-questions.ts';

export interface NodeFigures {
  readonly node: string;
  readonly state: NodeState;
  readonly release: string;
  readonly url: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly memoryBytes: number;
  readonly workers: number;
  /** Connections of clients. */
  readonly sessions: number;
  /** Messages in the outboxes of its shards; missing from an older release. */
  readonly outbox?: number;
  /** Connections to NATS: whether all of its workers have theirs, and to which servers. */
  /** Absent for a node without a cluster. */
  readonly nats?: { readonly isUp: boolean; readonly servers: readonly string[] } | undefined;
}

export interface OwnNodeParts {
  readonly workers: Askable;
  readonly isClustered: boolean;
  readonly facts: NodeFacts;
  readonly state: () => NodeState;
  readonly sessions: () => number;
  readonly outbox: () => number;
}

export class OwnNode {
  readonly #parts: OwnNodeParts;

  constructor(parts: OwnNodeParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.workers.node.name;
  }

  async figures(): Promise<NodeFigures> {
    const { workers, isClustered, facts, state, sessions, outbox } = this.#parts;
    const nats = isClustered ? await this.#busReport() : undefined;
    return {
      node: this.name,
      state: state(),
      release: facts.version,
      url: facts.url,
      pid: process.pid,
      uptimeMs: workers.node.clock.nowMs() - facts.startedAtMs,
      memoryBytes: process.memoryUsage.rss(),
      workers: workers.workerCount,
      sessions: sessions(),
      outbox: outbox(),
      nats,
    };
  }

  /** Up where all workers are. */
  async #busReport(): Promise<NonNullable<NodeFigures['nats']>> {
    const buses = (await askEach<BusReport>(this.#parts.workers, 'bus')).map((each) =>
      'ok' in each ? each.ok : undefined,
    );
    const servers = buses.flatMap((bus) => (bus?.isUp === true ? [bus.server] : []));
    return { isUp: buses.every((bus) => bus?.isUp === true), servers: [...new Set(servers)].sort() };
  }

  /** What its workers have of shards; a worker that does not answer is left out. */
  async copies(): Promise<CopyRow[]> {
    const { workers } = this.#parts;
    const numbers = Array.from({ length: workers.workerCount }, (_, index) => index + 1);
    const each = await Promise.all(
      numbers.map((worker) => allPages<CopyRow>(workers, worker, 'shard-copies').catch(() => [])),
    );
    return each.flat().sort((one, other) => one.shard - other.shard);
  }

  /** Who has which shard, as its first worker knows it. */
  records(): Promise<ShardRow[]> {
    return allPages<ShardRow>(this.#parts.workers, 1, 'shard-records');
  }
}

async function allPages<Row>(workers: Askable, worker: number, question: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    const page: ShardsPage<Row> = await askWorker(workers, worker, question, { from });
    rows.push(...page.rows);
    from = page.next;
  }
  return rows;
}
