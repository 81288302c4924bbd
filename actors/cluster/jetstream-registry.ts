/**
 * A registry of a cluster in a key-value bucket of JetStream.
 *
 * Values are read from the leader of the bucket's stream, and followed by a consumer of its own in place of the library's, which learns of its end after
 * ten to fifteen seconds: until then a node would know owners of before. A bucket in memory is gone with a server that is alone; whoever finds that its
 * value is not taken makes it anew. Read next: `jetstream-follow.ts`.
 */

import type { NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { Registry, RegistryChange, RegistryEntry } from './contracts.ts';
import { followStream, type StreamMessage } from './jetstream-follow.ts';
import { JETSTREAM, jetStreamCodeOf } from './jetstream-codes.ts';
import { LIMITS } from './limits.ts';

type Connection = NatsBus['connection'];
type JetStream = ReturnType<Connection['jetstream']>;
type Manager = Awaited<ReturnType<Connection['jetstreamManager']>>;
type Bucket = Awaited<ReturnType<JetStream['views']['kv']>>;

/** The header of a key that was removed. */
const OPERATION = 'KV-Operation';

export interface BucketPlan {
  readonly bus: NatsBus;
  readonly jetstream: JetStream;
  readonly manager: Manager;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly name: string;
  readonly storage: 'file' | 'memory';
  /** Copies that the servers keep of it. */
  readonly replicas: number;
}

/**
 * Opens a bucket, and makes it if there is none.
 *
 * @throws {Error} (as rejection) what JetStream says, also while its servers elect a leader.
 */
export async function openBucketRegistry(plan: BucketPlan): Promise<Registry> {
  return new BucketRegistry(plan, await openBucket(plan));
}

function openBucket({ jetstream, name, storage, replicas }: BucketPlan): Promise<Bucket> {
  return jetstream.views.kv(name, { replicas, history: 1, storage, timeout: LIMITS.requestMs } as object);
}

class BucketRegistry implements Registry {
  readonly #plan: BucketPlan;
  readonly #bucket: Bucket;
  readonly #stream: string;
  readonly #prefix: string;
  #isLookedFor = false;

  constructor(plan: BucketPlan, bucket: Bucket) {
    this.#plan = plan;
    this.#bucket = bucket;
    this.#stream = `KV_${plan.name}`;
    this.#prefix = `$KV.${plan.name}.`;
  }

  /** Not the bucket's own get, which any replica answers, also one that lags: a lease is confirmed by this. */
  async read(key: string): Promise<RegistryEntry | 'missing' | 'unknown'> {
    try {
      const query = { last_by_subj: this.#prefix + key };
      const { seq, data, header } = await this.#plan.manager.streams.getMessage(this.#stream, query);
      if (header.get(OPERATION) !== '') return 'missing';
      return { value: Buffer.from(data).toString(), revision: seq };
    } catch (error) {
      return jetStreamCodeOf(error) === JETSTREAM.noMessage ? 'missing' : 'unknown';
    }
  }

  /** From the leader, as `read`. */
  async changes(after: number): Promise<readonly RegistryChange[] | 'unknown'> {
    const changes: RegistryChange[] = [];
    try {
      for (let from = after + 1; changes.length < LIMITS.changesCountMax;) {
        const query = { seq: from, next_by_subj: `${this.#prefix}>` };
        const change = changeOf(await this.#plan.manager.streams.getMessage(this.#stream, query), this.#prefix);
        changes.push(change);
        from = change.revision + 1;
      }
      return changes;
    } catch (error) {
      return jetStreamCodeOf(error) === JETSTREAM.noMessage ? changes : 'unknown';
    }
  }

  async swap(key: string, value: string, revision: number): Promise<'ok' | 'stale' | 'unknown'> {
    try {
      await (revision === 0 ? this.#bucket.create(key, value) : this.#bucket.update(key, value, revision));
      return 'ok';
    } catch (error) {
      return jetStreamCodeOf(error) === JETSTREAM.wrongLastSequence ? 'stale' : 'unknown';
    }
  }

  async write(key: string, value: string): Promise<'ok' | 'unknown'> {
    try {
      await this.#bucket.put(key, value);
      return 'ok';
    } catch {
      if (this.#plan.storage === 'memory') void this.#lookForBucket();
      return 'unknown';
    }
  }

  /** What was in it is written anew by who lives; a bucket on disk would have been lost with what it had, and stays so. */
  async #lookForBucket(): Promise<void> {
    if (this.#isLookedFor) return;
    this.#isLookedFor = true;
    const { manager, logger, name } = this.#plan;
    try {
      await manager.streams.info(this.#stream);
    } catch (error) {
      if (jetStreamCodeOf(error) === JETSTREAM.streamNotFound) {
        await openBucket(this.#plan).then(
          () => logger.warn('bucket_made_anew', { name }),
          () => undefined,
        );
      }
    }
    this.#isLookedFor = false;
  }

  watch(onChange: Parameters<Registry['watch']>[0]): { stop(): void } {
    const { bus, manager, clock, logger } = this.#plan;
    const onMessage = ({ subject, seq, data, headers }: StreamMessage): void => {
      const { key, value, revision } = changeOf({ subject, seq, data, header: headers }, this.#prefix);
      onChange(key, value, revision);
    };
    const start = (): { deliver_policy: 'last_per_subject' } => ({ deliver_policy: 'last_per_subject' });
    const stream = this.#stream;
    return followStream({ bus, manager, clock, logger, stream, subject: `${this.#prefix}>`, start, onMessage });
  }
}

interface Stored {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  readonly header?: { get(name: string): string } | undefined;
}

function changeOf({ subject, seq, data, header }: Stored, prefix: string): RegistryChange {
  const isRemoved = (header?.get(OPERATION) ?? '') !== '';
  const value = isRemoved ? undefined : Buffer.from(data).toString();
  return { key: subject.slice(prefix.length), value, revision: seq };
}
