/**
 * A worker as a member of its cluster: renews its lease, watches the registry, proposes, and gives its shards their roles.
 *
 *   liveness ──▶ Liveness ─┐
 *   table    ──▶ records ──┼──▶ decide ──▶ swap ──▶ table          every 100 ms, for each shard that this seat may have
 *   hosts    ──▶ status  ──┘
 *   table    ──▶ role ──▶ ShardHost
 *   hosts    ──▶ announcements ──▶ members in other data centres, who own none of these shards
 *
 * All of it is one worker's affair: two workers of a node know each other through the registry, like two nodes.
 */

import type { Clock, Logger } from '../../runtime/index.ts';
import type { Abroad } from './abroad.ts';
import type { ShardRange } from './centres.ts';
import type { ClusterNet, Registry } from './contracts.ts';
import { decide, type Proposal } from './decision.ts';
import { type Lag, LagMeter } from './lag.ts';
import type { Writer } from './commit-log.ts';
import { LIMITS } from './limits.ts';
import { Lease, Liveness } from './liveness.ts';
import { decodePageRequest } from './page-format.ts';
import { pause } from '../pause.ts';
import { assignShards, type Assignment, type Placement, type Seat } from './placement.ts';
import { ShardHost, type HostedStore, type HostStatus, type Role, type ServedShard } from './shard-host.ts';
import {
  formatAnnouncement,
  formatSeat,
  formatShard,
  parseShard,
  sameSeat,
  seatedHere,
  seatKey,
  seatOf,
  shardKey,
  shardOfKey,
  type CopyState,
  type SeatLife,
  type ShardRecord,
} from './shard-record.ts';
import { Suspicion } from './suspicion.ts';
import { TableWatch } from './table-watch.ts';

export interface MemberParts<Store extends HostedStore = HostedStore> {
  readonly net: ClusterNet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: SeatLife;
  /** Drawn for this life; 48 bits: it marks the records that this worker writes. */
  readonly writer: number;
  /** Workers of this node. */
  readonly workers: number;
  /** Of the whole cluster. */
  readonly shardCount: number;
  /** Those of this data centre; all of them where the cluster is in one place. */
  readonly home: ShardRange;
  /** The nodes that the cluster begins with. */
  readonly founders: readonly string[];
  /** Durability `local`: owners go on while the log does not answer, and nobody takes over from one that is silent. */
  readonly isLocal: boolean;
  readonly openStore: (shard: number) => Store;
  /** Starts the actors of a shard. @param isSilent - Whether commits wait for a log that does not answer. */
  readonly serve: (shard: number, store: Store, isSilent: () => boolean) => Promise<ServedShard>;
  /** What is believed of other data centres; hears of their nodes from elsewhere. `undefined` where there are none. */
  readonly abroad?: Abroad | undefined;
  /** The owner of a shard has changed, as far as is known here. */
  readonly onOwner?: (shard: number, owner: Seat | undefined) => void;
  /** Called with each look, and when somebody has said what it serves. */
  readonly onLook?: (nowMs: number) => void;
}

interface Known {
  readonly record: ShardRecord;
  readonly revision: number;
}

/** A shard that this seat may have. */
interface Local<Store extends HostedStore> {
  readonly shard: number;
  readonly host: ShardHost<Store>;
  phaseSinceMs: number;
  lastPhase: HostStatus['phase'];
  isSwapping: boolean;
  /** What the owner had a moment ago, and before: see `settledSequence`. */
  samples: { readonly atMs: number; readonly sequence: number }[];
  /** From where copies that are under way need the log, by seat. */
  readonly pins: Map<string, { readonly sequence: number; readonly atMs: number }>;
  /** Since when copies have not said from where they need the log, by seat. */
  readonly silentSinceMs: Map<string, number>;
  /** Its `number` counts the records that were written here. */
  readonly writer: Writer;
  /** How far copies are behind, while the shard is served here. */
  lag: LagMeter;
  /** How far this copy is, as the last renewal says. */
  toldSequence: number;
}

/** One shard as an operator sees it. */
export interface ShardReport {
  readonly shard: number;
  readonly record: ShardRecord | undefined;
  /** Of this seat's copy; `undefined` for a shard that it cannot have. */
  readonly status: HostStatus | undefined;
  /** The standby and the next one, as they say; of a shard that is served here. */
  readonly copies: readonly CopyReport[];
}

export interface CopyReport {
  readonly seat: Seat;
  readonly isAlive: boolean;
  readonly isWhole: boolean;
  /** `undefined` while it has not said where it is. */
  readonly lag: Lag | undefined;
}

export class Member<Store extends HostedStore = HostedStore> implements Placement {
  readonly #parts: MemberParts<Store>;
  readonly #liveness: Liveness;
  readonly #lease = new Lease();
  readonly #records: (Known | undefined)[];
  readonly #locals: Local<Store>[];
  readonly #table: TableWatch;
  #seats: { stop(): void } | undefined = undefined;
  #watchedSinceMs = 0;
  #pages: { stop(): void } | undefined = undefined;
  #abroad: { stop(): void } | undefined = undefined;
  readonly #timers = new Map<string, unknown>();
  #nodes = '';
  #nodesSinceMs = 0;
  #assignments: readonly Assignment[] | undefined = undefined;
  #isComplete = false;
  #isConfirming = false;
  readonly #suspicion: Suspicion;
  #wakeRenewal: () => void = () => undefined;
  #isRenewalDue = false;
  #wasLeased = false;
  #isLeaving = false;
  /** Until when others have to take what is owned here. */
  #leaveUntilMs = 0;
  #isStopped = false;

  constructor(parts: MemberParts<Store>) {
    this.#parts = parts;
    this.#liveness = new Liveness(parts.self);
    this.#suspicion = new Suspicion(parts.net, this.#liveness, parts.clock);
    this.#table = new TableWatch({
      table: parts.net.table,
      clock: parts.clock,
      logger: parts.logger,
      onChange: ({ key, value, revision }) => this.#noteRecord(key, value, revision),
    });
    this.#records = Array.from({ length: parts.shardCount }, () => undefined);
    const { self, workers } = parts;
    const shards = Array.from({ length: parts.home.count }, (_, index) => parts.home.first + index);
    const mine = shards.filter((shard) => sameSeat(seatOf(shard, self.node, workers), self));
    this.#locals = mine.map((shard) => this.#makeLocal(shard));
  }

  #makeLocal(shard: number): Local<Store> {
    const { net, clock, logger, self, isLocal, openStore, serve } = this.#parts;
    const writer: Writer = { id: this.#parts.writer, number: 0 };
    const host = new ShardHost<Store>({
      shard,
      seat: { node: self.node, worker: self.worker },
      log: net.log(shard),
      pages: net.pages,
      clock,
      logger,
      writer,
      isLeased: () => this.isLeased(),
      isLocal,
      openStore: () => openStore(shard),
      serve: (store, isSilent) => serve(shard, store, isSilent),
      onChange: () => {
        this.#renewNow();
        this.#announce();
      },
    });
    const phaseSinceMs = clock.monotonicMs();
    // prettier-ignore
    return {
      shard, host, phaseSinceMs, lastPhase: 'absent', isSwapping: false, samples: [], pins: new Map(), silentSinceMs: new Map(), writer, lag: new LagMeter(),
      toldSequence: -1,
    };
  }

  /** Joins the cluster. */
  start(): void {
    const { net } = this.#parts;
    this.#watch();
    this.#pages = net.pages.answer(this.#parts.self, (request) => this.#answerPage(request));
    this.#abroad = net.announcements?.hear((text, centre) => this.#noteAbroad(text, centre));
    void this.#renew();
    this.#every('look', LIMITS.lookMs, () => this.#look());
    this.#every('trim', LIMITS.trimMs, () => this.#trim());
    if (net.announcements !== undefined) this.#every('announce', LIMITS.announceMs, () => this.#announce());
  }

  /** Again when renewals are acknowledged and do not come back: then the subscription has died in silence. */
  #watch(): void {
    const { net, clock } = this.#parts;
    this.#watchedSinceMs = clock.monotonicMs();
    this.#seats?.stop();
    this.#seats = net.liveness.watch((key, value) => {
      const nowMs = clock.monotonicMs();
      const said = this.#liveness.note(key, value, nowMs);
      if (said !== undefined) this.#table.heard(said.revision);
      this.#answerSealed();
      this.#parts.onLook?.(nowMs);
    });
    this.#table.begin();
  }

  ownerOf(shard: number): Seat | undefined {
    return this.#records[shard]?.record.owner;
  }

  /** Who owns a shard and says that it serves it. */
  servedBy(shard: number): Seat | undefined {
    const owner = this.ownerOf(shard);
    // Of another data centre nothing is heard but who serves.
    if (!this.#isOfHome(shard)) return owner;
    const copy = owner && this.#liveness.copyOf(owner, shard);
    // Earlier releases do not say it: then it is believed, and a login waits for what is not there yet.
    return copy !== undefined && copy.isServed !== false ? owner : undefined;
  }

  #isOfHome(shard: number): boolean {
    const { first, count } = this.#parts.home;
    return shard >= first && shard < first + count;
  }

  /** Whether this worker may act as an owner now. */
  isLeased(): boolean {
    return this.#lease.isValid(this.#parts.clock.monotonicMs());
  }

  /** What is known of every shard. */
  report(): ShardReport[] {
    const locals = new Map(this.#locals.map((local) => [local.shard, local]));
    return this.#records.map((known, shard) => {
      const local = locals.get(shard);
      const copies = local === undefined || known === undefined ? [] : this.#copiesOf(local, known.record);
      return { shard, record: known?.record, status: local?.host.status, copies };
    });
  }

  #copiesOf({ shard, host, lag, writer }: Local<Store>, { standby, next }: ShardRecord): CopyReport[] {
    const { phase, sequence = 0 } = host.status;
    if (phase !== 'serving') return [];
    const nowMs = this.#parts.clock.monotonicMs();
    return [standby, next].flatMap((seat): CopyReport[] => {
      if (seat === undefined) return [];
      const copy = this.#liveness.copyOf(seat, shard);
      const now = { atMs: nowMs, sequence, records: writer.number };
      const isAlive = this.#liveness.isAlive(seat, nowMs);
      return [{ seat, isAlive, isWhole: copy?.isWhole === true, lag: copy && lag.of(copy.sequence, now) }];
    });
  }

  /**
   * Hands over every shard to a node that has a copy. Resolves to the number that still belongs here when the time is over, or `comeBack` ends it.
   */
  async leave(timeoutMs: number): Promise<number> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    // Who would not take them the first time is not waited for again (a node that was drained before it stops); while the first time lasts, both wait.
    if (!this.#isLeaving) this.#leaveUntilMs = nowMs + timeoutMs;
    const untilMs = Math.min(this.#leaveUntilMs, nowMs + timeoutMs);
    this.#isLeaving = true;
    this.#renewNow();
    while (this.#isLeaving && this.#countKept() > 0 && clock.monotonicMs() < untilMs) await pause(clock, LIMITS.lookMs);
    return this.#countKept();
  }

  /** Shards that the registry gives to this seat, served or not, and those of which it is being asked. */
  #countKept(): number {
    return this.#locals.filter(({ shard, isSwapping }) => isSwapping || this.#isMine(shard)).length;
  }

  /** Takes shards again after `leave`, as far as the others give it some. */
  comeBack(): void {
    this.#isLeaving = false;
  }

  /** The connection to the servers is gone: this seat owns nothing that it could prove before it has renewed its lease. */
  disconnected(): void {
    this.#lease.forfeit();
    this.#placeOwn();
  }

  /** Whether every shard of this data centre has an owner, and those of this seat are served. Another centre need not be there. */
  isPlaced(): boolean {
    const { first, count } = this.#parts.home;
    const isOwned = this.#records.slice(first, first + count).every((known) => known !== undefined);
    return isOwned && this.#locals.every(({ shard, host }) => !this.#isMine(shard) || host.status.phase === 'serving');
  }

  #isMine(shard: number): boolean {
    return sameSeat(this.ownerOf(shard), this.#parts.self);
  }

  /** Stops serving and following. The registry keeps what it says of this seat until others find it silent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const { clock } = this.#parts;
    for (const timer of this.#timers.values()) clock.clearTimer(timer);
    this.#seats?.stop();
    this.#table.stop();
    this.#pages?.stop();
    this.#abroad?.stop();
    await Promise.all(this.#locals.map(({ host }) => host.stop()));
  }

  #every(name: string, ms: number, run: () => void): void {
    const { clock } = this.#parts;
    const next = (): void => {
      if (this.#isStopped) return;
      this.#timers.set(name, clock.setTimer(ms, next));
      run();
    };
    this.#timers.set(name, clock.setTimer(ms, next));
  }

  // --- lease ----------------------------------------------------------------------------------------------------

  /** Not on a timer of its own: an answer that is late must not make renewals pile up. */
  async #renew(): Promise<void> {
    const { net, clock, self } = this.#parts;
    while (!this.#isStopped) {
      const beganMs = clock.monotonicMs();
      this.#isRenewalDue = false;
      const outcome = await net.liveness.write(seatKey(self), this.#formatSelf());
      if (outcome === 'ok') {
        this.#lease.renewed(beganMs, clock.monotonicMs());
        if (!this.#lease.isConfirmed) void this.#confirm();
      }
      await this.#untilRenewal(Math.max(0, beganMs + LIMITS.renewalMs - clock.monotonicMs()));
    }
  }

  /** There is something that the others wait to hear. While a renewal is on its way another one follows it at once. */
  #renewNow(): void {
    this.#isRenewalDue = true;
    this.#wakeRenewal();
  }

  async #untilRenewal(ms: number): Promise<void> {
    const { clock } = this.#parts;
    if (this.#isRenewalDue) return;
    let timer: unknown;
    await new Promise<void>((resolve) => {
      timer = clock.setTimer(ms, resolve);
      this.#wakeRenewal = resolve;
    });
    clock.clearTimer(timer);
  }

  #formatSelf(): string {
    const { self, workers } = this.#parts;
    const isLocal = this.#parts.isLocal || this.#mayHaveTail();
    const copies: CopyState[] = [];
    const empty: number[] = [];
    for (const local of this.#locals) {
      const { shard, host } = local;
      const { phase, sequence, isWhole, isEmpty } = host.status;
      local.toldSequence = sequence ?? -1;
      if (isEmpty) empty.push(shard);
      if (sequence !== undefined) copies.push({ shard, sequence, isWhole, isServed: phase === 'serving' });
    }
    const { node, worker, life } = self;
    const revision = this.#table.known;
    return formatSeat({ node, worker, life, workers, leaving: this.#isLeaving, isLocal, copies, empty, revision });
  }

  /**
   * Whether something may be on this disk alone: a former life may have been set to `local`. Until it has looked, nobody shall take over what that one owned.
   */
  #mayHaveTail(): boolean {
    return this.#locals.some(({ shard, host }) => {
      const record = this.#records[shard]?.record;
      const { tailCount, isLooked } = host.status;
      if (record === undefined || tailCount > 0) return true;
      return !isLooked && sameSeat(record.owner, this.#parts.self) && record.owner.life !== this.#parts.self.life;
    });
  }

  /** Reads the records of the shards of this seat: whether it still owns what it thinks it owns. */
  async #confirm(): Promise<void> {
    if (this.#isConfirming) return;
    this.#isConfirming = true;
    const { lapses } = this.#lease;
    const { table } = this.#parts.net;
    const entries = await Promise.all(this.#locals.map(({ shard }) => table.read(shardKey(shard))));
    const areRead = entries.map(
      (entry, index) => entry === 'missing' || this.#noteEntry(this.#locals[index]!.shard, entry),
    );
    if (!areRead.includes(false)) this.#lease.confirm(lapses);
    this.#isConfirming = false;
    this.#placeOwn();
  }

  /** What this seat owns is found nowhere while it has no lease: its own clients must not be answered from what may be old. */
  #placeOwn(): void {
    const isLeased = this.isLeased();
    if (isLeased === this.#wasLeased || this.#parts.isLocal) return;
    this.#wasLeased = isLeased;
    for (const { shard } of this.#locals) {
      if (this.#isMine(shard)) this.#parts.onOwner?.(shard, isLeased ? this.#parts.self : undefined);
    }
  }

  // --- roles ----------------------------------------------------------------------------------------------------

  /** @returns Whether the registry's answer could be read: what a later release wrote cannot. */
  #noteEntry(shard: number, entry: Awaited<ReturnType<Registry['read']>>): boolean {
    if (typeof entry !== 'object') return false;
    this.#table.noteRead(entry.revision);
    try {
      this.#noteRecord(shardKey(shard), entry.value, entry.revision);
      return true;
    } catch (error) {
      this.#parts.logger.error('record_refused', { shard, reason: String(error) });
      return false;
    }
  }

  /** @throws {RangeError} what `parseShard` throws. */
  #noteRecord(key: string, value: string | undefined, revision: number): void {
    const shard = shardOfKey(key);
    if (shard === undefined || value === undefined || shard >= this.#records.length) return;
    const known = this.#records[shard];
    if (known !== undefined && known.revision >= revision) return;
    const local = this.#locals.find((each) => each.shard === shard);
    const told = parseShard(value);
    const record = local === undefined ? told : seatedHere(told, this.#parts.self);
    this.#records[shard] = { record, revision };
    local?.host.setRole(this.#roleOf(record));
    this.#tellOwner(shard, record.owner);
  }

  #tellOwner(shard: number, owner: Seat): void {
    const isAway = sameSeat(owner, this.#parts.self) && !this.isLeased() && !this.#parts.isLocal;
    this.#parts.onOwner?.(shard, isAway ? undefined : owner);
  }

  #roleOf({ epoch, owner, standby, next, isDoubted }: ShardRecord): Role {
    const { self } = this.#parts;
    if (sameSeat(owner, self) && owner.life === self.life) return { kind: 'own', epoch, isDoubted };
    // As one who owned it in a former life it follows itself: it looks at what it has, and reclaims the shard.
    const isMine = sameSeat(owner, self) || sameSeat(standby, self) || sameSeat(next, self);
    return isMine ? { kind: 'follow', source: { node: owner.node, worker: owner.worker } } : { kind: 'none' };
  }

  // --- other data centres ---------------------------------------------------------------------------------------

  /** Says what is served here, when that changes and all the time. */
  #announce(): void {
    const { announcements } = this.#parts.net;
    if (announcements === undefined || !this.isLeased()) return;
    const served = this.#locals.flatMap(({ shard, host }) => {
      const record = this.#records[shard]?.record;
      return record !== undefined && host.status.servingEpoch === record.epoch ? [[shard, record] as const] : [];
    });
    if (served.length > 0) announcements.say(formatAnnouncement(served));
  }

  /** Shards of another centre, as their owner says. */
  #noteAbroad(text: string, centre: string): void {
    const { abroad, clock } = this.#parts;
    for (const [shard, record] of abroad?.note(text, centre, clock.monotonicMs()) ?? []) {
      const known = this.#records[shard];
      this.#records[shard] = { record, revision: 0 };
      if (!sameSeat(known?.record.owner, record.owner)) this.#parts.onOwner?.(shard, record.owner);
    }
  }

  // --- proposals ------------------------------------------------------------------------------------------------

  #look(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#noteNodes(nowMs);
    this.#table.look(nowMs);
    this.#placeOwn();
    this.#answerSealed();
    this.#parts.onLook?.(nowMs);
    for (const { shard } of this.#locals) {
      const owner = this.ownerOf(shard);
      if (owner !== undefined) this.#suspicion.look(owner, nowMs);
    }
    if (!this.isLeased()) return;
    if (nowMs - this.#watchedSinceMs > LIMITS.deafMs && this.#liveness.hearingMs(nowMs) === 0) this.#watch();
    let copying = this.#locals.filter((local) => this.#isBeingCopied(local)).length;
    for (const local of this.#locals) {
      this.#sample(local, nowMs);
      if (local.isSwapping) continue;
      const proposal = this.#propose(local, nowMs);
      if (proposal === undefined) continue;
      if (proposal.why === 'appoint' && copying++ >= LIMITS.copyCountMax) continue;
      void this.#swap(local, proposal);
    }
  }

  /** Whether a seat that lives is at copying a shard from here. */
  #isBeingCopied({ shard, host }: Local<Store>): boolean {
    const record = this.#records[shard]?.record;
    if (host.status.phase !== 'serving' || record === undefined) return false;
    return [record.standby, record.next].some((seat) => {
      if (seat === undefined || !this.#liveness.isAlive(seat, this.#parts.clock.monotonicMs())) return false;
      return this.#liveness.copyOf(seat, shard)?.isWhole !== true;
    });
  }

  /** Who may have shards, and since when it is they. */
  #noteNodes(nowMs: number): void {
    const names = this.#liveness.nodes(nowMs).map(({ node }) => node);
    const text = names.join(' ');
    if (text === this.#nodes) return;
    const { home } = this.#parts;
    this.#nodes = text;
    this.#nodesSinceMs = nowMs;
    this.#isComplete = this.#parts.founders.every((name) => names.includes(name));
    this.#assignments = names.length === 0 ? undefined : assignShards(home.count, names, home.first);
  }

  #sample(local: Local<Store>, nowMs: number): void {
    const { phase, sequence } = local.host.status;
    if (phase !== local.lastPhase) {
      local.lastPhase = phase;
      local.phaseSinceMs = nowMs;
      local.samples = [];
      local.lag = new LagMeter();
    }
    if (phase !== 'serving' || sequence === undefined) return;
    local.lag.note({ atMs: nowMs, sequence, records: local.writer.number });
    local.samples.push({ atMs: nowMs, sequence });
    while (local.samples.length > 1 && local.samples[1]!.atMs <= nowMs - LIMITS.settledMs) local.samples.shift();
  }

  #propose(local: Local<Store>, nowMs: number): Proposal | undefined {
    const { shard, host, phaseSinceMs, samples } = local;
    return decide({
      shard,
      nowMs,
      self: this.#parts.self,
      record: this.#records[shard]?.record,
      assignment: this.#assignments?.[shard - this.#parts.home.first],
      liveness: this.#liveness,
      status: host.status,
      phaseSinceMs,
      settledSequence: samples[0]?.sequence ?? Infinity,
      stableMs: nowMs - this.#nodesSinceMs,
      isComplete: this.#isComplete,
      isLocal: this.#parts.isLocal,
      isLeaving: this.#isLeaving,
    });
  }

  async #swap(local: Local<Store>, { why, record }: Proposal): Promise<void> {
    const { net, logger, clock } = this.#parts;
    const { shard } = local;
    local.isSwapping = true;
    const revision = this.#records[shard]?.revision ?? 0;
    // If the registry does not take it, this seat finds that it owns what it does not serve, and reclaims it.
    if (why === 'hand-over') {
      await local.host.seal();
      if (!(await this.#heirHasAll(local, record.owner))) return void (local.isSwapping = false);
    }
    const outcome = await net.table.swap(shardKey(shard), formatShard(record), revision);
    logger.info('shard_proposed', { shard, why, outcome, epoch: record.epoch, owner: record.owner.node });
    this.#noteEntry(shard, await net.table.read(shardKey(shard)));
    if (outcome !== 'ok') await pause(clock, LIMITS.retryMs);
    local.isSwapping = false;
  }

  /** An owner that has sealed a shard waits to hear that its heir has all of it, and so do the shard's users: the next renewal is not waited for. */
  #answerSealed(): void {
    for (const local of this.#locals) {
      const { shard, host } = local;
      const owner = this.ownerOf(shard);
      if (owner === undefined || sameSeat(owner, this.#parts.self)) continue;
      const sealed = this.#liveness.copyOf(owner, shard);
      if (sealed === undefined || sealed.isServed !== false) continue;
      const { sequence = -1 } = host.status;
      if (sequence < sealed.sequence) host.hasten();
      else if (local.toldSequence < sealed.sequence) this.#renewNow();
    }
  }

  /** Waits until the heir has flushed all that was sealed here; without an end to it the shard is reclaimed. */
  async #heirHasAll({ shard, host }: Local<Store>, heir: Seat): Promise<boolean> {
    // The log may have fallen silent beside the proposal: what was committed here since is nowhere else.
    if (host.status.tailCount > 0) return false;
    const { clock } = this.#parts;
    const sealed = host.status.sequence;
    const untilMs = clock.monotonicMs() + LIMITS.leaseMs;
    while (clock.monotonicMs() < untilMs) {
      const copy = this.#liveness.copyOf(heir, shard);
      if (sealed !== undefined && copy?.isWhole === true && copy.sequence >= sealed) return true;
      await pause(clock, LIMITS.heirLookMs);
    }
    return false;
  }

  // --- copies ---------------------------------------------------------------------------------------------------

  #answerPage(bytes: Buffer): Buffer {
    const request = decodePageRequest(bytes);
    const local = this.#locals.find(({ shard }) => shard === request.shard);
    if (local === undefined) return Buffer.alloc(0);
    const sequence = request.from ?? local.host.status.sequence;
    const atMs = this.#parts.clock.monotonicMs();
    if (sequence !== undefined) local.pins.set(seatKey(request.seat), { sequence, atMs });
    return local.host.page(request);
  }

  /** Cuts the logs of what is owned here, before what every copy has flushed. */
  #trim(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const local of this.#locals) {
      const before = this.#trimPoint(local, nowMs);
      if (before !== undefined && before > 0) void this.#parts.net.log(local.shard).trim(before);
    }
  }

  /** `undefined` while somebody who needs the log, and is still waited for, has not said from where. */
  #trimPoint(local: Local<Store>, nowMs: number): number | undefined {
    const { shard, host, pins, silentSinceMs } = local;
    const record = this.#records[shard]?.record;
    const { phase, sequence } = host.status;
    if (phase !== 'serving' || record === undefined || sequence === undefined) return undefined;
    let before = sequence;
    for (const [key, pin] of pins) {
      if (nowMs - pin.atMs > LIMITS.pinMs) pins.delete(key);
      else before = Math.min(before, pin.sequence);
    }
    const seats = [record.standby, record.next].filter((seat) => seat !== undefined);
    for (const key of silentSinceMs.keys()) if (!seats.some((seat) => seatKey(seat) === key)) silentSinceMs.delete(key);
    for (const seat of seats) {
      const copy = this.#liveness.copyOf(seat, shard);
      if (this.#noteSilence(local, seat, copy !== undefined, nowMs) > LIMITS.holdMs) continue;
      if (copy === undefined) return undefined;
      before = Math.min(before, copy.sequence);
    }
    return before;
  }

  /** For how long a copy has not said from where it needs the log: it is away, or it has no room. */
  #noteSilence({ silentSinceMs }: Local<Store>, seat: Seat, hasSaid: boolean, nowMs: number): number {
    const key = seatKey(seat);
    if (hasSaid && this.#liveness.isAlive(seat, nowMs)) return (silentSinceMs.delete(key), 0);
    const sinceMs = silentSinceMs.get(key) ?? nowMs;
    silentSinceMs.set(key, sinceMs);
    return nowMs - sinceMs;
  }
}
