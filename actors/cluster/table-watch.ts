/**
 * The table of the registry as this seat follows it, and how it finds out that it has fallen behind.
 *
 * A subscription may be there and tell nothing: its server ended, and the next one is not made while the servers elect a leader; or it stands on a server whose copy of the
 * table lacks what the others have, which says all the same each second that it is there. Changes are rare, so nothing else would show it, and an owner of before would go on
 * serving those who are connected to it, to whom nobody writes there any more. So each seat says with its renewals how far it knows the table. Who
 * knows less than another for longer than a change takes to arrive reads what it has missed from the leader of the table's servers, and
 * subscribes anew. Read next: `member.ts`, `jetstream-follow.ts`.
 */

import type { Clock, Logger } from '../../runtime/index.ts';
import type { Registry, RegistryChange } from './contracts.ts';
import { LIMITS } from './limits.ts';

export interface TableWatchParts {
  readonly table: Pick<Registry, 'watch' | 'changes'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A change that is older than what was told of its key may come as well. */
  readonly onChange: (change: RegistryChange) => void;
}

export class TableWatch {
  readonly #parts: TableWatchParts;
  #subscription: { stop(): void } | undefined = undefined;
  #subscribedMs = 0;
  /** Everything up to here was told, and what single keys were found at since. */
  #told = 0;
  #read = 0;
  /** The furthest that another seat knows, and up to where there was nothing to be read. */
  #heard = 0;
  #dismissed = 0;
  #behindSinceMs: number | undefined = undefined;
  #isReading = false;

  constructor(parts: TableWatchParts) {
    this.#parts = parts;
  }

  /** The revision of the newest change that is known here. */
  get known(): number {
    return Math.max(this.#told, this.#read);
  }

  /** Subscribes, or does so anew. */
  begin(): void {
    const { table, clock, onChange } = this.#parts;
    this.#subscription?.stop();
    this.#subscribedMs = clock.monotonicMs();
    this.#subscription = table.watch((key, value, revision) => {
      this.#told = Math.max(this.#told, revision);
      onChange({ key, value, revision });
    });
  }

  stop(): void {
    this.#subscription?.stop();
    this.#subscription = undefined;
  }

  /** A key was read and is at `revision`. */
  noteRead(revision: number): void {
    this.#read = Math.max(this.#read, revision);
  }

  /** Another seat knows the table up to `revision`. */
  heard(revision: number): void {
    this.#heard = Math.max(this.#heard, revision);
  }

  /** To be called all the time: reads what this seat has missed, once it has been behind another for LIMITS.behindMs. */
  look(nowMs: number): void {
    if (this.#newest <= Math.max(this.#told, this.#dismissed)) {
      this.#behindSinceMs = undefined;
      return;
    }
    this.#behindSinceMs ??= nowMs;
    if (nowMs - this.#behindSinceMs < LIMITS.behindMs || this.#isReading) return;
    this.#behindSinceMs = undefined;
    void this.#catchUp();
  }

  /** As anybody says, this seat's own reads among them: they say nothing of what else has changed. */
  get #newest(): number {
    return Math.max(this.#heard, this.#read);
  }

  async #catchUp(): Promise<void> {
    const { table, clock, logger } = this.#parts;
    const [after, newest] = [this.#told, this.#newest];
    this.#isReading = true;
    const changes = await table.changes(after);
    this.#isReading = false;
    // Stopped meanwhile, or what was missed came by itself.
    if (changes === 'unknown' || this.#subscription === undefined || this.#told >= newest) return;
    // A table that was made anew counts from one again, and who remembers the old one says what is not there.
    if (changes.length === 0) return void (this.#dismissed = newest);
    logger.warn('table_watch_behind', { revision: after, newest: changes.at(-1)!.revision });
    for (const change of changes) this.#tell(change);
    this.#told = Math.max(this.#told, changes.at(-1)!.revision);
    // One that has just been made is on its way.
    if (clock.monotonicMs() - this.#subscribedMs > LIMITS.deafMs) this.begin();
  }
  /** What a later release wrote is passed over, as the subscription does. */
  #tell(change: RegistryChange): void {
    const { logger, onChange } = this.#parts;
    try {
      onChange(change);
    } catch (error) {
      logger.error('record_refused', { key: change.key, reason: String(error) });
    }
  }
}
