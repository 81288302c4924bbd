/**
 * The way of a shard's commits while this node owns it: into the log first, then to the disk.
 *
 *   commit, commit ──▶ write set ──▶ append, expecting the record before ──▶ apply and flush ──▶ both resolve
 *                      ▲                    └─ stale: another epoch has begun; nothing resolves any more, and the owner steps down
 *                      └─ what comes meanwhile waits in the next write set
 *
 * The log comes first, so the disk of an owner is a beginning of the log as well as that of every copy: an owner that was paused, cut off or
 * killed has nothing that it would have to take back, and goes on as a copy. The price is that the two waits add up. One append is
 * under way at a time, because the next one must name it; commits of all actors of the shard share it.
 *
 * An append without an answer may be in the log, or get there yet. It is repeated until the log says what became of it, and counts once, however
 * often and late it comes: what names a predecessor that has a successor already is void. Until then nothing of it is acknowledged. Read next: `shard-host.ts`.
 */

import assert from 'node:assert/strict';
import type { Clock } from '../../runtime/index.ts';
import type { CommitResult } from '../store/inbox-store.ts';
import type { CommitLog } from '../store/lmdb.ts';
import type { LogMark } from '../store/raw-tables.ts';
import { WriteSet } from '../store/write-set.ts';
import type { ShardLog } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord, headerOf, isSameRecord, type RecordHeader, type RecordKind } from './log-record.ts';
import { pause } from './pause.ts';

export interface CommitLogParts {
  readonly log: ShardLog;
  /** Applies write sets to the disk and sets the mark, in one transaction. */
  readonly apply: (writes: readonly Buffer[], mark: LogMark) => Promise<CommitResult>;
  readonly clock: Clock;
  /** Whether this node may still believe that it is the owner. Asked before every append. */
  readonly isLeased: () => boolean;
  /** Another epoch has begun, or the disk did not take what the log has: this node must step down. Called once. */
  readonly onFenced: (why: 'stale' | 'disk') => void;
}

/** Who writes: `number` counts its records and is moved on here. */
export interface Writer {
  readonly id: number;
  number: number;
}

/**
 * Appends one record, and asks until it is known what became of it.
 *
 * @param goesOn - Asked before every attempt, and while `isLeased` says no; when it says no, the outcome stays unknown.
 * @param isLeased - Asked before every attempt: without a lease nothing goes out, also not what went out before.
 * @returns Its sequence, which is the one after `expected`; `stale` when something else is there; `unknown`.
 */
export async function appendSurely(
  log: ShardLog,
  record: Buffer,
  expected: number,
  clock: Clock,
  goesOn: () => boolean,
  isLeased: () => boolean,
): Promise<number | 'stale' | 'unknown'> {
  const header = headerOf(record);
  while (goesOn()) {
    if (!isLeased()) {
      await pause(clock, LIMITS.renewalMs / 4);
      continue;
    }
    const outcome = await log.append(record, expected);
    // Whatever the servers have checked: in any other place it is void.
    if (outcome.kind === 'ok') return outcome.sequence === expected + 1 ? outcome.sequence : 'stale';
    if (outcome.kind === 'stale') {
      const found = await findLast(log, header, expected);
      if (found !== 'unknown') return found;
    }
    await pause(clock, LIMITS.appendRetryMs);
  }
  return 'unknown';
}

/** The record may be in the log from an attempt that was not answered; then it is the last, since nobody could follow it but us. */
async function findLast(log: ShardLog, header: RecordHeader, expected: number): Promise<number | 'stale' | 'unknown'> {
  const last = await log.last();
  if (last === 'unknown') return 'unknown';
  if (last.data === undefined || last.sequence !== expected + 1) return 'stale';
  return isSameRecord(headerOf(last.data), header) ? last.sequence : 'stale';
}

export class ShardCommitLog implements CommitLog {
  readonly #parts: CommitLogParts;
  readonly #writer: Writer;
  #mark: LogMark;
  /** Sequence of the last record in the log, a part perhaps. */
  #at: number;
  #open: WriteSet = new WriteSet();
  #spare: WriteSet = new WriteSet();
  #waiting: ((result: CommitResult) => void)[] = [];
  #running: Promise<void> | undefined = undefined;
  #ended = false;
  /** Since when the append under way has no answer; monotonic milliseconds. */
  #since: number | undefined = undefined;

  /** @param mark - The beginning of this owner's epoch, as applied. */
  constructor(parts: CommitLogParts, writer: Writer, mark: LogMark) {
    this.#parts = parts;
    this.#writer = writer;
    this.#mark = mark;
    this.#at = mark.sequence;
  }

  get mark(): LogMark {
    return this.#mark;
  }

  /** Whether it takes nothing any more: another epoch has begun, or this ownership ends. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** How long the log has not answered, milliseconds; 0 while it does. */
  get silentMs(): number {
    return this.#since === undefined ? 0 : this.#parts.clock.monotonicMs() - this.#since;
  }

  commit(collect: (writes: WriteSet) => void): Promise<CommitResult> {
    return new Promise((resolve) => {
      collect(this.#open);
      this.#waiting.push(resolve);
      if (!this.#ended) this.#running ??= this.#run();
    });
  }

  /** Takes no further commits to the log; resolves when the one under way is settled or can be no more. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whatever else this turn commits goes out with it.
    await Promise.resolve();
    while (this.#waiting.length > 0 && !this.#ended) await this.#commitOpen();
    this.#running = undefined;
  }

  async #commitOpen(): Promise<void> {
    const waiting = this.#waiting;
    const writes = this.#open;
    this.#waiting = [];
    this.#open = this.#spare;
    const result = writes.length === 0 ? 'ok' : await this.#carryOut(writes.bytes());
    writes.truncate(0);
    this.#spare = writes;
    if (result === 'ok') for (const resolve of waiting) resolve('ok');
  }

  /** Nobody is told of a commit that did not get into the log: its actors end with this ownership. */
  async #carryOut(bytes: Buffer): Promise<'ok' | 'fenced'> {
    const applied: Buffer[] = [];
    this.#since = this.#parts.clock.monotonicMs();
    for (let start = 0; start < bytes.length; start += LIMITS.recordBytesMax) {
      const end = Math.min(bytes.length, start + LIMITS.recordBytesMax);
      const kind = end < bytes.length ? 'part' : 'writes';
      const body = await this.#append(kind, bytes.subarray(start, end));
      if (body === undefined) return 'fenced';
      applied.push(body);
    }
    this.#since = undefined;
    const mark = { epoch: this.#mark.epoch, sequence: this.#at };
    const whole = applied.length === 1 ? applied[0]! : Buffer.concat(applied);
    if ((await this.#parts.apply([whole], mark)) !== 'ok') return this.#fence('disk');
    this.#mark = mark;
    return 'ok';
  }

  /** The body as it stands in the record, which nobody changes any more. */
  async #append(kind: RecordKind, body: Buffer): Promise<Buffer | undefined> {
    const { log, clock, isLeased } = this.#parts;
    const { epoch } = this.#mark;
    const header = { kind, epoch, previous: this.#at, writer: this.#writer.id, number: ++this.#writer.number };
    const record = encodeRecord(header, body);
    const sequence = await appendSurely(log, record, this.#at, clock, () => !this.#ended, isLeased);
    if (typeof sequence !== 'number') {
      if (sequence === 'stale') this.#fence('stale');
      return undefined;
    }
    assert.ok(sequence > this.#at, 'a log grows');
    this.#at = sequence;
    return record.subarray(record.length - body.length);
  }

  #fence(why: 'stale' | 'disk'): 'fenced' {
    this.#ended = true;
    this.#parts.onFenced(why);
    return 'fenced';
  }
}
