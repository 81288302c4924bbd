/**
 * What ownership and replication ask of the world: a log for each shard, a registry with compare-and-set, and a way to ask another node
 * for a page of a copy. Interfaces only.
 *
 * JetStream is behind them in production (`jetstream-net.ts`), arrays and maps in the simulation
 * (`sim.test-kit.ts`). Nothing here throws for a network that is away: every answer may be `unknown`, and then anything may have happened.
 */

import type { Seat } from './placement.ts';

export interface LogEntry {
  /** Grows by one within a shard: who is told the number of an append knows whether anything came between. */
  readonly sequence: number;
  /** Owned by the receiver. */
  readonly data: Buffer;
}

/** Where a log ends. */
export interface LogEnd {
  /** Of its last entry; 0 for a log that never had any. */
  readonly sequence: number;
  /** Owned by the receiver. `undefined` when no entry is left, because somebody emptied the log: it ends where it did all the same. */
  readonly data: Buffer | undefined;
}

export type AppendOutcome =
  | { readonly kind: 'ok'; readonly sequence: number }
  /** The last entry of the log is another than expected. */
  | { readonly kind: 'stale' }
  /** Nobody answered: it may be in the log, or get there yet. */
  | { readonly kind: 'unknown' };

/** The log of one shard. */
export interface ShardLog {
  /**
   * Appends if the last entry is the one with sequence `expected`; 0 for a log without any. Nothing hangs on the refusal: it keeps the log short, but who
   * appends believes only a sequence of `expected + 1` (`commit-log.ts`), and who reads passes over what names another predecessor (`log-record.ts`).
   */
  append(data: Buffer, expected: number): Promise<AppendOutcome>;
  /** The first entry with at least this sequence. May answer from what the log was a while ago, and so may `last`. */
  read(from: number): Promise<LogEntry | 'end' | 'unknown'>;
  last(): Promise<LogEnd | 'unknown'>;
  /** Hands over entries from `from` on, in order, until it is stopped. It may fall silent when the network fails. */
  follow(from: number, onEntry: (entry: LogEntry) => void): { stop(): void };
  /** Removes entries before `before`, never the last. Failures do not matter: it is called again. */
  trim(before: number): Promise<void>;
}

export interface RegistryEntry {
  readonly value: string;
  /** Of this key; 0 for none. All keys of a registry count together: a later change of any of them has a higher one. */
  readonly revision: number;
}

export interface RegistryChange {
  readonly key: string;
  /** `undefined`: it went. */
  readonly value: string | undefined;
  readonly revision: number;
}

/** Keys with values that every node sees. */
export interface Registry {
  read(key: string): Promise<RegistryEntry | 'missing' | 'unknown'>;
  /** Sets the value if the key is at `revision`; 0 for a key that must not be there. */
  swap(key: string, value: string, revision: number): Promise<'ok' | 'stale' | 'unknown'>;
  /** Sets the value whatever was there. */
  write(key: string, value: string): Promise<'ok' | 'unknown'>;
  /** What changed behind `after`, as far as it still stands, in the order of revisions; the first LIMITS.changesCountMax of it. */
  changes(after: number): Promise<readonly RegistryChange[] | 'unknown'>;
  /**
   * Tells of every key as it is and of each change, in the order of revisions; `undefined` for a key that went. May fall silent when the network fails, or fall behind and
   * never say so: see `table-watch.ts`.
   */
  watch(onChange: (key: string, value: string | undefined, revision: number) => void): { stop(): void };
}

/** Asks other nodes for pages, and answers them. */
export interface PageExchange {
  /** Resolves to the answer's bytes. */
  ask(seat: Seat, request: Buffer): Promise<Buffer | 'unknown'>;
  /** From now on requests to this seat are answered by `handler`; an empty answer means: not here. */
  answer(seat: Seat, handler: (request: Buffer) => Buffer): { stop(): void };
}

/** What data centres tell each other. Best effort: it is said again all the time. */
export interface Announcements {
  say(text: string): void;
  /** Hears what the other centres say, not its own. `centre`: as which it is said. */
  hear(onText: (text: string, centre: string) => void): { stop(): void };
}

/** Everything that a worker has of its cluster. */
export interface ClusterNet {
  log(shard: number): ShardLog;
  /** Who owns what, in this data centre if there are several; and so the others. */
  readonly table: Registry;
  /** Who lives. */
  readonly liveness: Registry;
  readonly pages: PageExchange;
  /** `undefined` where the cluster is in one place. */
  readonly announcements: Announcements | undefined;
  /**
   * Whether the servers say that a seat has no connection to them, neither itself nor its network, which would leave them in doubt. False where nothing can be said. A
   * seat that is connected and loses that connection hears of it too: see `Member.disconnected`.
   */
  isDeserted(seat: Seat): Promise<boolean>;
  close(): Promise<void>;
}
