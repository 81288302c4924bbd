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
 * often and late it comes: what names a predecessor that has a successor already is void. Until then nothing of it is acknowledged.
 *
 * With durability `local` an owner whose log does not answer goes on without it, and the order is turned round:
 *
 *   commit, commit ──▶ write set ──▶ apply and flush, noted in the tail ──▶ both resolve
 *                                      tail ──▶ append, one after the other, as soon as the log answers ──▶ forgotten
 *
 * What was being appended when the log fell silent is the first in the tail, as the very record that may be there. While there is a tail new commits go behind it; when
 * the log has nearly all of it they wait for the rest, and go to the log first again. This is right only because nobody else takes the shard meanwhile
 * (`decision.ts`). Read next: `shard-host.ts`, `../store/tail.ts`.
 */

import assert from 'node:assert/strict';
import type { Clock } from '../../runtime/index.ts';
import type { CommitResult } from '../store/inbox-store.ts';
import type { CommitLog } from '../store/lmdb.ts';
import type { LogMark } from '../store/raw-tables.ts';
import type { ShardTail } from '../store/tail.ts';
import { WriteSet } from '../store/write-set.ts';
import type { ShardLog } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord, headerOf, isSameRecord, type RecordHeader, type RecordKind } from './log-record.ts';
import { pause } from '../pause.ts';

export interface CommitLogParts {
  readonly log: ShardLog;
  /** Applies write sets to the disk and sets the mark, in one transaction. */
  readonly apply: (writes: readonly Buffer[], mark: LogMark) => Promise<CommitResult>;
  readonly clock: Clock;
  /** Whether this node may still believe that it is the owner. Asked before every append. */
  readonly isLeased: () => boolean;
  /** What is on the disk and not in the log yet; it may have something from a former life. */
  readonly tail: ShardTail;
  /** Whether commits go on while the log does not answer. */
  readonly isLocal: boolean;
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

/** A write set on its way into the log, in one record or several. */
interface Sending {
  readonly bytes: Buffer;
  /** Where the next record begins. */
  start: number;
  /** The one that is under way: if nobody answers it may be in the log, so it goes out again as it is. */
  record: Buffer | undefined;
  /** Bodies of the records that are in the log, which nobody changes any more. */
  readonly bodies: Buffer[];
  /** Last entry of the tail that it has; 0 for one that is not on the disk yet. */
  readonly through: number;
}

function startSending(bytes: Buffer, through: number): Sending {
  return { bytes, start: 0, record: undefined, bodies: [], through };
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
  /** What was under way when the log fell silent: the beginning of the tail. */
  #begun: Sending | undefined = undefined;
  /** While the tail goes into the log. */
  #draining: Promise<void> | undefined = undefined;

  /** @param mark - The beginning of this owner's epoch, as applied. */
  constructor(parts: CommitLogParts, writer: Writer, mark: LogMark) {
    this.#parts = parts;
    this.#writer = writer;
    this.#mark = mark;
    this.#at = mark.sequence;
    this.#startDraining();
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

  /** Whether the log does not answer, or this node has no right to it for now. */
  get isAway(): boolean {
    return !this.#parts.isLeased() || this.silentMs > LIMITS.leaseMs;
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
    await this.#draining;
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
    if (result !== 'fenced') for (const resolve of waiting) resolve(result);
  }

  /** Nobody is told of a commit that did not get into the log, nor here into the tail: its actors end with this ownership. */
  async #carryOut(bytes: Buffer): Promise<CommitResult | 'fenced'> {
    if (this.#draining !== undefined && (await this.#goesBehindTail())) return this.#commitHere(bytes);
    if (this.#ended) return 'fenced';
    const sending = startSending(bytes, 0);
    const sent = await this.#send(sending, () => !this.#ended && !(this.#parts.isLocal && this.isAway));
    if (sent === 'unknown') return this.#ended ? 'fenced' : this.#goOnAlone(sending);
    if (sent === 'fenced') return 'fenced';
    const { bodies } = sending;
    const mark = { epoch: this.#mark.epoch, sequence: this.#at };
    const whole = bodies.length === 1 ? bodies[0]! : Buffer.concat(bodies);
    if ((await this.#parts.apply([whole], mark)) !== 'ok') return this.#fence('disk');
    this.#mark = mark;
    return 'ok';
  }

  /** Appends what is left of a write set. `unknown`: not all of it, and perhaps the record that is under way. */
  async #send(sending: Sending, goesOn: () => boolean): Promise<'ok' | 'fenced' | 'unknown'> {
    const { log, clock, isLeased } = this.#parts;
    const { bytes } = sending;
    this.#since ??= clock.monotonicMs();
    while (sending.start < bytes.length) {
      const end = Math.min(bytes.length, sending.start + LIMITS.recordBytesMax);
      const kind = end < bytes.length ? 'part' : 'writes';
      const record = (sending.record ??= this.#encode(kind, bytes.subarray(sending.start, end)));
      const sequence = await appendSurely(log, record, this.#at, clock, goesOn, isLeased);
      if (sequence === 'unknown') return 'unknown';
      if (sequence === 'stale') return this.#fence('stale');
      assert.ok(sequence > this.#at, 'a log grows');
      this.#at = sequence;
      sending.bodies.push(record.subarray(record.length - (end - sending.start)));
      sending.record = undefined;
      sending.start = end;
    }
    this.#since = undefined;
    return 'ok';
  }

  #encode(kind: RecordKind, body: Buffer): Buffer {
    const { epoch } = this.#mark;
    const header = { kind, epoch, previous: this.#at, writer: this.#writer.id, number: ++this.#writer.number };
    return encodeRecord(header, body);
  }

  // --- without the log ------------------------------------------------------------------------------------------

  /** The log has fallen silent with this under way. */
  async #goOnAlone({ bytes, start, record, bodies }: Sending): Promise<CommitResult | 'fenced'> {
    const { tail } = this.#parts;
    const copy = Buffer.from(bytes);
    // Told as full it would be refused, and it may be in the log.
    if ((await tail.add(copy)) !== 'ok') return this.#fence('disk');
    this.#begun = { bytes: copy, start, record, bodies, through: tail.first(1)!.through };
    this.#startDraining();
    return 'ok';
  }

  async #commitHere(bytes: Buffer): Promise<CommitResult> {
    const result = await this.#parts.tail.add(bytes);
    this.#startDraining();
    return result;
  }

  /** Waits for the tail to be in the log when that has nearly all of it. False: it is, and the log comes first again. */
  async #goesBehindTail(): Promise<boolean> {
    const { isLocal, tail, clock } = this.#parts;
    while (this.#draining !== undefined && !this.#ended) {
      if (isLocal && (this.isAway || tail.count > LIMITS.tailWaitCountMax)) return true;
      await pause(clock, LIMITS.tailLookMs);
    }
    return false;
  }

  #startDraining(): void {
    if (this.#parts.tail.count > 0) this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    const { tail } = this.#parts;
    while (tail.count > 0 && !this.#ended) {
      const sending = this.#begun ?? this.#nextOfTail();
      if ((await this.#send(sending, () => !this.#ended)) !== 'ok') break;
      const mark = { epoch: this.#mark.epoch, sequence: this.#at };
      if ((await tail.settle(sending.through, mark)) !== 'ok') {
        this.#fence('disk');
        break;
      }
      this.#mark = mark;
      this.#begun = undefined;
    }
    this.#draining = undefined;
  }

  #nextOfTail(): Sending {
    const { writes, through } = this.#parts.tail.first(LIMITS.recordBytesMax)!;
    return startSending(writes, through);
  }

  #fence(why: 'stale' | 'disk'): 'fenced' {
    this.#ended = true;
    this.#parts.onFenced(why);
    return 'fenced';
  }
}
