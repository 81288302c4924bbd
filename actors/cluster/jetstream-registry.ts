/**
 * A registry of a cluster in a key-value bucket of JetStream.
 *
 * Values are read from the leader of the bucket's stream, and followed by a consumer of its own in place of the library's, which learns of its end after
 * ten to fifteen seconds: until then a node would know owners of before. To make a consumer takes the leader of the servers' own group, and its election up to twenty seconds; so while there is
 * none that speaks, changes are read as values are, for which the bucket's own leader is enough. A bucket in memory is gone with a server that is alone; whoever finds that its
 * value is not taken makes it anew. Read next: `jetstream-follow.ts`.
 */

import { RefusedMessages, type NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { Registry, RegistryChange, RegistryEntry } from './contracts.ts';
import { followStream } from './jetstream-follow.ts';
import { JETSTREAM, jetStreamCodeOf } from './jetstream-codes.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

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
  /** The longest silence of a subscription that is well, milliseconds; behind it what changes is read. */
  readonly quietMs: number;
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
      // What was read until then is in order, and the rest comes with the next question.
      return jetStreamCodeOf(error) === JETSTREAM.noMessage || changes.length > 0 ? changes : 'unknown';
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
    const { bus, manager, clock, logger, quietMs } = this.#plan;
    const reader = new ChangeReader(onChange);
    const following = followStream({
      bus,
      manager,
      clock,
      logger,
      stream: this.#stream,
      subject: `${this.#prefix}>`,
      start: () => ({ deliver_policy: 'last_per_subject' }),
      onMessage: ({ subject, seq, data, headers }) =>
        reader.take(changeOf({ subject, seq, data, header: headers }, this.#prefix)),
    });
    const stopped = new AbortController();
    void this.#readWhile(() => following.silentMs() > quietMs, reader, stopped.signal);
    const stop = (): void => {
      stopped.abort();
      following.stop();
    };
    return { stop };
  }

  /** While there is no consumer, what changes is read from the leader, a request for each change. */
  async #readWhile(isSilent: () => boolean, reader: ChangeReader, stopped: AbortSignal): Promise<void> {
    const { clock, logger } = this.#plan;
    const refused = new RefusedMessages(logger);
    while (!stopped.aborted) {
      await pause(clock, LIMITS.readMs, stopped);
      if (!isSilent()) continue;
      const changes = await this.changes(reader.last);
      if (changes === 'unknown' || stopped.aborted) continue;
      for (const change of changes) {
        try {
          reader.take(change);
        } catch (error) {
          refused.note(this.#prefix + change.key, error);
        }
      }
    }
  }
}

/** Hands each change on once: a consumer that is made anew begins with all that there is, and who lived once would be taken to live again. */
class ChangeReader {
  readonly #onChange: Parameters<Registry['watch']>[0];
  readonly #told = new Map<string, number>();
  /** The revision of the one that was taken last; a bucket that was made anew begins again. */
  last = 0;

  constructor(onChange: Parameters<Registry['watch']>[0]) {
    this.#onChange = onChange;
  }

  /** @throws what `onChange` throws. */
  take({ key, value, revision }: RegistryChange): void {
    if (this.#told.get(key) === revision) return;
    this.#told.set(key, revision);
    this.last = revision;
    this.#onChange(key, value, revision);
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
