/**
 * One shard on one worker: absent, copied, followed, or served. Carries out the role that the registry gives it.
 *
 *   absent ──▶ copying ──▶ following ──▶ taking-over ──▶ serving
 *     ▲          │  ▲          │  ▲            │             │
 *     └──────────┴──┴──────────┘  └────────────┴─────────────┘  another epoch has begun
 *
 * Following and serving differ in who writes the log, not in what is on the disk: a beginning of the log, with its mark. A take-over is: read
 * the log to its end, append the beginning of an epoch behind it (from then on no older owner can append), start the actors.
 *
 * It decides nothing about who should own what (`decision.ts`), and knows neither JetStream nor actors.
 */

import type { Clock, Logger } from '../../runtime/index.ts';
import type { CommitResult } from '../store/inbox-store.ts';
import type { CommitLog } from '../store/lmdb.ts';
import type { LogMark, Page, PageCursor } from '../store/raw-tables.ts';
import type { WriteSet } from '../store/write-set.ts';
import type { ShardTail } from '../store/tail.ts';
import { Arrivals } from './arrivals.ts';
import { appendSurely, ShardCommitLog, type Writer } from './commit-log.ts';
import type { LogEntry, PageExchange, ShardLog } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord, headerOf, startReading, takeEntry, type Reading } from './log-record.ts';
import { Overdue } from './overdue.ts';
import { pause } from '../pause.ts';
import { decodePage, encodePage, encodePageRequest, type PageRequest } from './page-format.ts';
import type { Seat } from './placement.ts';

/** What is used of a shard's store. */
export interface HostedStore {
  readonly raw: {
    mark(): LogMark | undefined;
    apply(writes: readonly Buffer[], mark: LogMark | undefined): Promise<CommitResult>;
    page(cursor: PageCursor | undefined, bytesMax: number): Page;
    clear(): Promise<void>;
    readonly tail: ShardTail;
    /** Whether little of the disk is free. */
    readonly isShort: boolean;
  };
  /**
   * Adds to a write set what makes the store one of which the newest may be missing: conversations in doubt, positions and places that are skipped.
   *
   * @param nowMs - Wall time.
   */
  renewInto(writes: WriteSet, nowMs: number): void;
  logCommits(log: CommitLog | undefined): void;
  close(): Promise<void>;
}

/** Actors that serve a shard. */
export interface ServedShard {
  /** Ends them; what they have under way is not told to anybody. */
  stop(): Promise<void>;
}

export interface HostParts<Store extends HostedStore = HostedStore> {
  readonly shard: number;
  readonly seat: Seat;
  readonly log: ShardLog;
  readonly pages: PageExchange;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly writer: Writer;
  readonly isLeased: () => boolean;
  /** Whether an owner goes on while the log does not answer. */
  readonly isLocal: boolean;
  readonly openStore: () => Store;
  /** Starts the actors. `isSilent` says that commits wait for a log that does not answer. */
  readonly serve: (store: Store, isSilent: () => boolean) => Promise<ServedShard>;
  /** Something changed that may call for a decision. */
  readonly onChange: () => void;
}

/** What the registry wants of this seat. */
export type Role =
  /** `isDoubted`: before it serves, it tells those concerned that what was acknowledged may be lost. */
  | { readonly kind: 'own'; readonly epoch: number; readonly isDoubted: boolean }
  | { readonly kind: 'follow'; readonly source: Seat }
  | { readonly kind: 'none' };

type OwnRole = Extract<Role, { kind: 'own' }>;

export type Phase = 'absent' | 'copying' | 'following' | 'taking-over' | 'serving';

export interface HostStatus {
  readonly phase: Phase;
  /** How far the copy is on the disk; `undefined` where there is none, or the disk has no room to go on. While it is being copied: from where the log is needed. */
  readonly sequence: number | undefined;
  /** Whether the copy is whole, and the disk had room for what came last. */
  readonly isWhole: boolean;
  /** Of the epoch that is served. */
  readonly servingEpoch: number | undefined;
  /** Its store was opened, and has no copy. */
  readonly isEmpty: boolean;
  /** Its store was opened, or cannot be: whether there is a tail is known as well as it can be. */
  readonly isLooked: boolean;
  /** Commits that are on this disk alone: the log does not have them yet. */
  readonly tailCount: number;
  readonly tailBytes: number;
  /** It should be owned, and what is here cannot be brought to the end of the log, for now if the disk is full. */
  readonly isLost: boolean;
}

export class ShardHost<Store extends HostedStore = HostedStore> {
  readonly #parts: HostParts<Store>;
  #role: Role = { kind: 'none' };
  #roleNumber = 0;
  #phase: Phase = 'absent';
  #store: Store | undefined = undefined;
  #reading: Reading | undefined = undefined;
  #copyFrom: number | undefined = undefined;
  #commits: ShardCommitLog | undefined = undefined;
  #wake: (() => void) | undefined = undefined;
  #seal: () => void = () => undefined;
  readonly #sealing: (() => void)[] = [];
  #isAwaited = false;
  #endRest: () => void = () => undefined;
  #isLost = false;
  #hasRoom = true;
  #isLooked = false;
  #stopped = false;
  /** From the role of an owner to actors that serve. */
  readonly #overdue: Overdue;
  readonly #done: Promise<void>;

  constructor(parts: HostParts<Store>) {
    this.#parts = parts;
    this.#overdue = new Overdue(parts.clock, LIMITS.slowMs, (forMs, reason) => this.#warnSlow(forMs, reason));
    this.#done = this.#run();
  }

  get status(): HostStatus {
    const mark = this.#commits?.mark ?? this.#reading?.mark;
    const servingEpoch = this.#phase === 'serving' ? mark?.epoch : undefined;
    const sequence = this.#hasRoom ? (this.#copyFrom ?? mark?.sequence) : undefined;
    const isWhole = this.#hasRoom && mark !== undefined;
    const { count: tailCount = 0, bytes: tailBytes = 0 } = this.#store?.raw.tail ?? {};
    const isEmpty = this.#phase === 'copying';
    const [isLost, isLooked] = [this.#isLost, this.#isLooked];
    return { phase: this.#phase, sequence, isWhole, servingEpoch, isEmpty, isLooked, tailCount, tailBytes, isLost };
  }

  /** Gives the host another role; it ends what it does and goes on with that. */
  setRole(role: Role): void {
    if (sameRole(role, this.#role) || this.#stopped) return;
    this.#role = role;
    if (role.kind === 'own') this.#overdue.begin('its former role to end');
    else this.#overdue.end();
    this.#turn();
  }

  #warnSlow(forMs: number, waitsFor: string): void {
    const { shard, logger } = this.#parts;
    const epoch = this.#role.kind === 'own' ? this.#role.epoch : undefined;
    logger.warn('shard_overdue', { shard, epoch, forMs: Math.round(forMs), waitsFor, sequence: this.status.sequence });
  }

  /** Ends whatever goes on, so that the loop looks at the role again. */
  #turn(): void {
    this.#roleNumber++;
    this.#isLost = false;
    this.#wake?.();
  }

  /**
   * Ends serving before a hand-over; resolves when the last append is settled and the actors have ended: what the heir has to have is known then.
   */
  seal(): Promise<void> {
    if (this.#phase !== 'serving') return Promise.resolve();
    const sealed = new Promise<void>((resolve) => this.#sealing.push(resolve));
    this.#seal();
    return sealed;
  }

  /** The owner has sealed the shard, and waits for this copy: what comes next is flushed without waiting for more. */
  hasten(): void {
    this.#isAwaited = true;
    this.#endRest();
  }

  /** A page of the shard for another node; empty where it is not served here. */
  page({ cursor }: PageRequest): Buffer {
    const mark = this.#commits?.mark;
    // What is in a tail goes with the log, and nowhere if this disk is lost: no copy must have it before.
    const isShown = this.#phase === 'serving' && this.#store?.raw.tail.count === 0;
    if (!isShown || this.#store === undefined || mark === undefined) return Buffer.alloc(0);
    return encodePage(mark, this.#store.raw.page(cursor, LIMITS.pageBytes));
  }

  /** Ends serving or following and closes the store. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#overdue.end();
    this.#turn();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#roleNumber;
      const role = this.#role;
      try {
        if (role.kind === 'own') await this.#own(role, number);
        else if (role.kind === 'follow') await this.#follow(role.source, number);
        else await this.#leave();
      } catch (error) {
        this.#parts.logger.error('shard_failed', { shard: this.#parts.shard, reason: String(error) });
        this.#phase = this.#reading === undefined ? 'absent' : 'following';
        // A copy may have room. Without one, or with what no copy has, it is tried here until there is some.
        const isFull = !this.#hasRoom && this.status.tailCount === 0;
        if (isFull && role.kind === 'own' && this.#isCurrent(number)) this.#isLost = true;
        await pause(this.#parts.clock, LIMITS.retryMs);
        continue;
      }
      if (number === this.#roleNumber) await this.#change();
    }
    await this.#leave();
  }

  /** Until the next change of role. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #isCurrent(number: number): boolean {
    return number === this.#roleNumber;
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#parts.onChange();
  }

  #opened(): Store {
    this.#isLooked = true;
    this.#store ??= this.#parts.openStore();
    return this.#store;
  }

  async #leave(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    this.#reading = undefined;
    this.#copyFrom = undefined;
    if (this.#phase !== 'absent') this.#enter('absent');
    await store?.close();
  }

  // --- owning ---------------------------------------------------------------------------------------------------

  async #own({ epoch, isDoubted }: OwnRole, number: number): Promise<void> {
    this.#enter('taking-over');
    const store = this.#opened();
    const mark = await this.#beginEpoch(epoch, number, store);
    if (mark === undefined) return;
    this.#isLost = false;
    await this.#replayTail(store);
    let fenced = (): void => undefined;
    const untilFenced = new Promise<void>((resolve) => (fenced = resolve));
    this.#seal = fenced;
    const commits = this.#makeCommits(store, mark, fenced);
    this.#commits = commits;
    store.logCommits(commits);
    let served: ServedShard | undefined;
    try {
      const isSilent = (): boolean => commits.isEnded || (this.#parts.isLocal ? isTailFull(store) : commits.isAway);
      if (isDoubted) await this.#tellDoubt(store, commits, untilFenced);
      if (this.#isCurrent(number) && !commits.isEnded) {
        this.#overdue.waitsFor('its actors to start');
        served = await this.#parts.serve(store, isSilent);
        this.#overdue.end();
        this.#enter('serving');
        this.#log('shard_served', { epoch, sequence: mark.sequence });
        if (this.#isCurrent(number)) await Promise.race([untilFenced, this.#change()]);
      }
    } finally {
      await commits.end();
      await served?.stop();
      store.logCommits(undefined);
      this.#commits = undefined;
      this.#reading = startReading(commits.mark);
      for (const sealed of this.#sealing.splice(0)) sealed();
    }
    this.#enter('following');
    this.#log('shard_released', { epoch, sequence: commits.mark.sequence });
  }

  /**
   * Commits that conversations are in doubt and positions are skipped, before an actor reads any of it. Comes back without having done so when the role changes, or another
   * epoch has begun; the registry has the doubt until an owner serves, and to have it twice is to have it once.
   */
  async #tellDoubt(store: Store, commits: ShardCommitLog, untilFenced: Promise<void>): Promise<void> {
    this.#overdue.waitsFor('its conversations to be in doubt');
    const told = commits.commit((writes) => store.renewInto(writes, this.#parts.clock.nowMs()));
    const outcome = await Promise.race([told, untilFenced, this.#change()]);
    if (outcome === 'full') throw new Error('no room on the disk');
    if (outcome === 'ok') this.#log('shard_doubted', { sequence: commits.mark.sequence });
  }

  #makeCommits(store: Store, mark: LogMark, fenced: () => void): ShardCommitLog {
    const { log, clock, isLeased, isLocal, writer } = this.#parts;
    const { tail } = store.raw;
    const apply = (writes: readonly Buffer[], to: LogMark): Promise<CommitResult> => store.raw.apply(writes, to);
    const onFenced = (why: string): void => {
      this.#log('shard_fenced', { why });
      fenced();
    };
    return new ShardCommitLog({ log, apply, clock, isLeased, tail, isLocal, onFenced }, writer, mark);
  }

  /** What was read from the log since it was opened may be the beginning of its tail. */
  async #replayTail(store: Store): Promise<void> {
    const { tail } = store.raw;
    if (tail.count === 0) return;
    this.#log('tail_goes_on', { count: tail.count, bytes: tail.bytes });
    this.#hasRoom = (await tail.replay()) === 'ok';
    if (!this.#hasRoom) throw new Error('no room on the disk');
  }

  /** Reads the log to its end and begins an epoch behind it. `undefined` when the role has changed, or it cannot be done. */
  async #beginEpoch(epoch: number, number: number, store: Store): Promise<LogMark | undefined> {
    const { clock, writer } = this.#parts;
    if (store.raw.mark() === undefined) {
      // Nothing, or a part of a copy: only a log that was never cut makes a shard of that.
      await store.raw.clear();
      this.#reading = undefined;
    }
    this.#reading ??= startReading(store.raw.mark() ?? { epoch: 0, sequence: 0 });
    const before = writer.number;
    while (this.#isCurrent(number)) {
      const mark = await this.#tryEpoch(epoch, before, number, store);
      if (mark !== 'again') return mark;
      if (this.#isCurrent(number)) await pause(clock, LIMITS.retryMs);
    }
    return undefined;
  }

  /** @param before - Number of the last record that was written here before this epoch was tried. */
  async #tryEpoch(epoch: number, before: number, number: number, store: Store): Promise<LogMark | 'again' | undefined> {
    const { log, clock, writer, isLeased } = this.#parts;
    this.#overdue.waitsFor('the log to be read');
    const end = await this.#catchUp(number, store);
    if (!isLeased()) this.#overdue.waitsFor('a lease of this node');
    if (end === 'unknown' || !isLeased()) return 'again';
    const reading = this.#reading!;
    if (end === 'foreign' || epoch < reading.mark.epoch) return this.#lose(end);
    if (epoch === reading.mark.epoch) {
      const isOurs = await this.#isBegunHere(before);
      if (isOurs === 'unknown') return 'again';
      return isOurs ? reading.mark : this.#followUntilNext();
    }
    this.#overdue.waitsFor('the log to take the beginning of its epoch');
    const header = { kind: 'epoch', epoch, previous: reading.at, writer: writer.id, number: ++writer.number } as const;
    const goesOn = (): boolean => this.#isCurrent(number);
    const sequence = await appendSurely(log, encodeRecord(header), end, clock, goesOn, isLeased);
    // Something else is at that place. What was appended may count all the same, behind something void: the log tells.
    if (typeof sequence !== 'number') return 'again';
    const mark = { epoch, sequence };
    await this.#apply(store, [], mark);
    this.#reading = startReading(mark);
    return mark;
  }

  /** The epoch began, and what came behind it failed, as the start of the actors: with the next one it may succeed. */
  #followUntilNext(): undefined {
    this.#isLost = false;
    this.#enter('following');
  }

  /** Whether the epoch that was read last is one that was appended here after record number `before`, and still the end of the log. */
  async #isBegunHere(before: number): Promise<boolean | 'unknown'> {
    const { log, writer } = this.#parts;
    const { mark, seen } = this.#reading!;
    if (writer.number === before || seen !== mark.sequence) return false;
    const entry = await log.read(mark.sequence);
    if (entry === 'unknown') return 'unknown';
    if (entry === 'end' || entry.sequence !== mark.sequence) return false;
    const header = headerOf(entry.data);
    return header.writer === writer.id && header.number > before;
  }

  /** @throws {Error} (as rejection) when the disk is full; the status says so until something fits again. */
  async #apply(store: Store, writes: readonly Buffer[], mark: LogMark | undefined): Promise<void> {
    this.#hasRoom = (await store.raw.apply(writes, mark)) === 'ok';
    if (!this.#hasRoom) throw new Error('no room on the disk');
  }

  #lose(why: number | 'foreign'): undefined {
    this.#isLost = true;
    this.#log('shard_lost', { why: why === 'foreign' ? 'the log does not continue what is here' : 'a newer epoch' });
    this.#parts.onChange();
  }

  /** Applies what the log has. Resolves to the sequence of its last entry, 0 if it has none. */
  async #catchUp(number: number, store: Store): Promise<number | 'foreign' | 'unknown'> {
    for (let below = 0, above = 0; this.#isCurrent(number);) {
      const entry = await this.#parts.log.read(this.#reading!.seen + 1);
      if (entry === 'unknown') return 'unknown';
      if (entry === 'end') {
        const last = await this.#lastOfLog();
        if (last === 'unknown' || last === 'foreign' || last === this.#reading!.seen) return last;
        // Below what was read: the servers lost the end of the log, if they keep saying so. Above: appended between the two questions.
        const isBelow = last < this.#reading!.seen;
        if (isBelow && ++below >= LIMITS.lostTriesMax) return last;
        if (isBelow || ++above > 1) await pause(this.#parts.clock, LIMITS.retryMs);
      } else if (!(await this.#take([entry], store))) return 'foreign';
    }
    return 'unknown';
  }

  /**
   * Sequence of the last entry; 0 if the log never had any. `foreign`: where this copy has read everything, another epoch has begun. The servers
   * lost the end of the log, and its owner has begun anew behind what was left: this copy lacks what was acknowledged since. Or the log was
   * emptied, and this copy lacks what is gone.
   */
  async #lastOfLog(): Promise<number | 'foreign' | 'unknown'> {
    const last = await this.#parts.log.last();
    if (last === 'unknown') return 'unknown';
    const { mark, at, seen } = this.#reading!;
    if (last.data === undefined) return last.sequence > seen ? 'foreign' : last.sequence;
    return last.sequence <= at && headerOf(last.data).epoch > mark.epoch ? 'foreign' : last.sequence;
  }

  /** Applies entries in one transaction. False when one of them does not continue what is here. */
  async #take(entries: readonly LogEntry[], store: Store): Promise<boolean> {
    let reading = this.#reading!;
    const writes: Buffer[] = [];
    let fits = true;
    for (const entry of entries) {
      const step = takeEntry(reading, entry);
      if (step.kind === 'known') continue;
      fits = step.kind === 'taken';
      if (step.kind === 'foreign') break;
      reading = step.reading;
      if (step.writes !== undefined) writes.push(step.writes);
    }
    if (reading.mark !== this.#reading!.mark) await this.#apply(store, writes, reading.mark);
    this.#reading = reading;
    return fits;
  }

  // --- following ------------------------------------------------------------------------------------------------

  async #follow(source: Seat, number: number): Promise<void> {
    const store = this.#opened();
    await this.#dropTail(source, store);
    const mark = store.raw.mark();
    if (mark === undefined && !(await this.#copy(source, number, store))) return;
    this.#reading ??= startReading(store.raw.mark()!);
    this.#enter('following');
    while (this.#isCurrent(number)) {
      if (await this.#followOn(number, store)) continue;
      if (!this.#isCurrent(number)) return;
      // Not a continuation: the log was cut while this node was away, or lost its end.
      this.#log('copy_discarded', { at: this.#reading.at });
      await store.raw.clear();
      this.#reading = undefined;
      return this.#again();
    }
  }

  /**
   * What is only here cannot be joined to what somebody else has written since: positions have been given twice. Nobody takes a shard over from one that
   * may have a tail, so this takes an operator who gave the disk up, or two of one name.
   */
  async #dropTail({ node, worker }: Seat, store: Store): Promise<void> {
    const { seat, shard, logger } = this.#parts;
    const { count, bytes } = store.raw.tail;
    if (count === 0 || (node === seat.node && worker === seat.worker)) return;
    logger.error('shard_tail_lost', { shard, count, bytes });
    await store.raw.clear();
    this.#reading = undefined;
  }

  /** From the beginning, with the same role. */
  #again(): void {
    this.#roleNumber++;
  }

  /** Takes what comes until the subscription has to be made anew (true), the role changes, or something does not fit (false). */
  async #followOn(number: number, store: Store): Promise<boolean> {
    const { log, clock } = this.#parts;
    const arrivals = new Arrivals();
    let appliedMs = -Infinity;
    const subscription = log.follow(this.#reading!.seen + 1, (entry) => arrivals.push(entry));
    try {
      while (this.#isCurrent(number)) {
        if (arrivals.isEmpty) await this.#rest(LIMITS.idleLookMs, arrivals.next());
        if (arrivals.isEmpty) {
          const outcome = this.#isCurrent(number) ? await this.#lookBeyond(arrivals, store) : false;
          if (outcome !== undefined) return outcome;
          continue;
        }
        const waits = arrivals.mayGrow && this.#isCurrent(number) && !this.#isAwaited;
        if (waits) await this.#rest(appliedMs + LIMITS.copyGatherMs - clock.monotonicMs(), this.#hastened());
        appliedMs = clock.monotonicMs();
        if (!(await this.#take(arrivals.take(), store))) return false;
        if (this.#isAwaited) this.#parts.onChange();
        this.#isAwaited = false;
      }
      return false;
    } finally {
      subscription.stop();
    }
  }

  /** Nothing has come for a while: is there something? As `#followOn`; `undefined` if not, as far as can be told. */
  async #lookBeyond(arrivals: Arrivals, store: Store): Promise<boolean | undefined> {
    const missed = await this.#parts.log.read(this.#reading!.seen + 1);
    if (missed === 'unknown' || !arrivals.isEmpty) return undefined;
    if (missed !== 'end') return this.#take([missed], store);
    return (await this.#lastOfLog()) === 'foreign' ? false : undefined;
  }

  /** Resolves when somebody waits for this copy. */
  #hastened(): Promise<void> {
    return new Promise((resolve) => (this.#endRest = resolve));
  }

  /** Until so much time has passed, the role changes, or `earlier` resolves. */
  async #rest(forMs: number, earlier: Promise<void>): Promise<void> {
    if (forMs <= 0) return;
    const { clock } = this.#parts;
    let timer: unknown;
    const passed = new Promise<void>((resolve) => (timer = clock.setTimer(forMs, resolve)));
    await Promise.race([passed, this.#change(), earlier]);
    clock.clearTimer(timer);
  }

  /** Copies the shard from its owner, page by page. False when the role changed on the way. */
  async #copy(source: Seat, number: number, store: Store): Promise<boolean> {
    const { clock, shard, seat, pages } = this.#parts;
    this.#enter('copying');
    await store.raw.clear();
    let cursor: PageCursor | undefined;
    let from: LogMark | undefined;
    while (this.#isCurrent(number)) {
      const answer = await pages.ask(source, encodePageRequest({ shard, cursor, seat, from: from?.sequence }));
      const page = answer === 'unknown' ? undefined : decodePage(answer);
      if (page === undefined) {
        await pause(clock, LIMITS.retryMs);
        continue;
      }
      from ??= page.mark;
      // Another epoch began meanwhile: the pages may hold what its log does not.
      if (page.mark.epoch !== from.epoch) return (this.#again(), false);
      this.#copyFrom = from.sequence;
      const isLast = page.next === undefined;
      await this.#apply(store, [page.writes], isLast ? from : undefined);
      cursor = page.next;
      if (isLast) break;
    }
    this.#copyFrom = undefined;
    if (store.raw.mark() === undefined) return false;
    this.#log('shard_copied', { from: source.node });
    return true;
  }

  #log(event: string, fields: object): void {
    this.#parts.logger.info(event, { shard: this.#parts.shard, ...fields });
  }
}

/** A tail takes no more than its bound, nor the last of the disk: it needs room to be forgotten. */
function isTailFull({ raw }: HostedStore): boolean {
  return raw.tail.bytes > LIMITS.tailBytesMax || (raw.tail.count > 0 && raw.isShort);
}

function sameRole(left: Role, right: Role): boolean {
  if (left.kind === 'own') return right.kind === 'own' && left.epoch === right.epoch;
  if (left.kind === 'none') return right.kind === 'none';
  const { source } = left;
  return right.kind === 'follow' && right.source.node === source.node && right.source.worker === source.worker;
}
