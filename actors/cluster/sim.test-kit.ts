/**
 * A cluster in memory under virtual time and one seed: servers that answer late or never, processes that are killed, paused and cut off,
 * stores that keep what they have flushed.
 *
 * The members and hosts are the ones of production; what stands in is the world: log, registry, pages, disk and actors. The servers of the log are
 * `strict`; or `lax`, as those of release 2.9 are now and then: they take every append, at the place where it comes, and answer questions about the log from
 * what it was a while ago; or `lying`, the planted fault: they also say that it stands where it was expected.
 */

import { Pid, type Clock, type Logger } from '../../runtime/index.ts';
import { createSeededRandom, VirtualClock } from '../../runtime/testing/index.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import type { CommitResult } from '../store/inbox-store.ts';
import type { CommitLog } from '../store/lmdb.ts';
import { memoryTail } from '../store/memory-tail.test-kit.ts';
import type { LogMark, Page, PageCursor } from '../store/raw-tables.ts';
import { applyWrites, WriteSet } from '../store/write-set.ts';
import type { Abroad } from './abroad.ts';
import type { ShardRange } from './centres.ts';
import type {
  Announcements,
  AppendOutcome,
  ClusterNet,
  LogEnd,
  LogEntry,
  PageExchange,
  Registry,
  RegistryChange,
  ShardLog,
} from './contracts.ts';
import { Member } from './member.ts';
import { Orphans, type Found } from './orphans.ts';
import type { Seat } from './placement.ts';
import type { HostedStore } from './shard-host.ts';
import { seatKey, type SeatLife } from './shard-record.ts';

const SHARDS = 4;
/** How long a request waits that nobody answers. */
const TIMEOUT_MS = 1_000;

export interface SimOptions {
  readonly seed: number;
  readonly nodes: readonly string[];
  readonly servers?: ServerKind;
  /** Durability `local`. */
  readonly isLocal?: boolean;
  /** Whether one answer of two hundred is lost, and known to be after a second. Default: it is. */
  readonly losesAnswers?: boolean;
  /** The shards of this data centre. Default: all. */
  readonly home?: ShardRange;
  /** What it has of the others. Default: there are none. */
  readonly announcements?: Announcements;
  /** For each of its members: what it believes of them. */
  readonly abroad?: () => Abroad;
}

export type ServerKind = 'strict' | 'lax' | 'lying';

/** Of how long ago the end of a log is that lax servers tell. */
const STALE_MS_MAX = 1_500;

const NO_ENTRY: LogEnd = { sequence: 0, data: undefined };

/** What a store has that its owner put in doubt. */
export const DOUBT: Buffer = Buffer.from('doubt');

interface StoredEntry extends LogEntry {
  readonly atMs: number;
}

type Change = (key: string, value: string | undefined, revision: number) => void;

/** What the servers hold; it outlives every process. */
class Servers {
  readonly logs: Map<number, StoredEntry[]> = new Map();
  readonly tables: { readonly table: SimTable; readonly liveness: SimTable } = {
    table: new SimTable(),
    liveness: new SimTable(),
  };
  readonly answers: Map<string, (request: Buffer) => Buffer> = new Map();
  readonly followers: Set<(shard: number) => void> = new Set();
  isDown: boolean = false;
  /** Logs that answer nobody, as between two leaders; the registry does. */
  readonly silentLogs: Set<number> = new Set();
  readonly #kind: ServerKind;
  readonly #clock: VirtualClock;

  constructor(kind: ServerKind, clock: VirtualClock) {
    this.#kind = kind;
    this.#clock = clock;
  }

  log(shard: number): StoredEntry[] {
    const log = this.logs.get(shard) ?? [];
    this.logs.set(shard, log);
    return log;
  }

  append(shard: number, data: Buffer, expected: number): AppendOutcome {
    const log = this.log(shard);
    const last = log.at(-1)?.sequence ?? 0;
    if (this.#kind === 'strict' && last !== expected) return { kind: 'stale' };
    log.push({ sequence: last + 1, data: Buffer.from(data), atMs: this.#clock.monotonicMs() });
    for (const follower of this.followers) follower(shard);
    return { kind: 'ok', sequence: this.#kind === 'lying' ? expected + 1 : last + 1 };
  }

  /** A log as who asks is told of it. */
  toldLog(shard: number, random: { integer(bound: number): number }): readonly StoredEntry[] {
    const log = this.log(shard);
    if (this.#kind === 'strict' || random.integer(4) > 0) return log;
    const toldMs = this.#clock.monotonicMs() - random.integer(STALE_MS_MAX);
    return log.filter(({ atMs }) => atMs <= toldMs);
  }
}

class SimTable {
  readonly entries: Map<string, { readonly value: string; readonly revision: number }> = new Map();
  readonly watchers: Set<Change> = new Set();
  #revision = 0;

  changes(after: number): RegistryChange[] {
    const all = [...this.entries].map(([key, { value, revision }]) => ({ key, value, revision }));
    return all.filter(({ revision }) => revision > after).sort((left, right) => left.revision - right.revision);
  }

  set(key: string, value: string): void {
    const revision = ++this.#revision;
    this.entries.set(key, { value, revision });
    for (const watcher of this.watchers) watcher(key, value, revision);
  }
}

/** A disk: what a commit has flushed is there after a kill. */
export class SimDisk {
  content: Map<string, string> = new Map();
  mark: LogMark | undefined = undefined;
  /** By number, as they were added. */
  readonly tail: Map<number, Buffer> = new Map();
}

class SimStore implements HostedStore {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  #log: CommitLog | undefined = undefined;

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
    this.raw = this.#makeRaw();
  }

  readonly raw: HostedStore['raw'];

  readonly #makeRaw = (): HostedStore['raw'] => ({
    mark: () => this.#disk.mark,
    apply: async (writes, mark) => {
      const copies = writes.map((each) => Buffer.from(each));
      await this.#process.work(this.#process.sim.diskMs);
      for (const each of copies) this.#apply(each);
      if (mark !== undefined) this.#disk.mark = mark;
      return 'ok' as CommitResult;
    },
    page: (cursor, bytesMax) => this.#page(cursor, bytesMax),
    tail: memoryTail({
      entries: this.#disk.tail,
      commit: async (write) => {
        await this.#process.work(this.#process.sim.diskMs);
        write();
        return 'ok';
      },
      apply: (writes) => this.#apply(writes),
      setMark: (mark) => void (this.#disk.mark = mark),
    }),
    isShort: false,
    clear: async () => {
      this.#disk.mark = undefined;
      this.#disk.tail.clear();
      await this.#process.work(this.#process.sim.diskMs);
      this.#disk.content.clear();
    },
  });

  #apply(writes: Buffer): void {
    applyWrites(writes, {
      put: (_table, key, value) => void this.#disk.content.set(key.toString(), value.toString()),
      remove: (_table, key) => void this.#disk.content.delete(key.toString()),
    });
  }

  /** Three records: copies shall take several pages. */
  #page(cursor: PageCursor | undefined, _bytesMax: number): Page {
    const keys = [...this.#disk.content.keys()].sort();
    const start = cursor === undefined ? 0 : keys.findIndex((key) => key > cursor.key.toString());
    const page = start < 0 ? [] : keys.slice(start, start + 3);
    const writes = new WriteSet();
    for (const key of page) writes.put(0, Buffer.from(key), Buffer.from(this.#disk.content.get(key)!));
    const last = page.at(-1);
    const isEnd = last === undefined || last === keys.at(-1);
    return { writes: Buffer.from(writes.bytes()), next: isEnd ? undefined : { table: 0, key: Buffer.from(last) } };
  }

  renewInto(writes: WriteSet, _nowMs: number): void {
    writes.put(0, DOUBT, Buffer.from('x'));
  }

  logCommits(log: CommitLog | undefined): void {
    this.#log = log;
  }

  write(key: string, value: string): Promise<CommitResult> {
    return this.#log!.commit((writes) => writes.put(0, Buffer.from(key), Buffer.from(value)));
  }

  async close(): Promise<void> {}
}

/** One life of a node: its clock stands while it is paused, and nothing happens in it after its end. */
class SimProcess {
  readonly sim: ClusterSim;
  readonly seat: SeatLife;
  isDead: boolean = false;
  isPaused: boolean = false;
  isCut: boolean = false;
  /** Cut off, and its connection is closed: both sides know. */
  isUnplugged: boolean = false;
  readonly #waiting: (() => void)[] = [];
  readonly serving: Map<number, SimStore> = new Map();
  /** Whether the actors of a shard would refuse. */
  readonly silent: Map<number, () => boolean> = new Map();
  readonly member: Member<SimStore>;
  /** What connections of this node are told of shards that they lost. */
  readonly orphans: Orphans;
  /** Subscriptions to registries so far, and how many of the first of them are stale. */
  #watchCount = 0;
  #staleCount = 0;
  readonly #connection: Pid;

  constructor(sim: ClusterSim, node: string, life: number) {
    this.sim = sim;
    this.seat = { node, worker: 1, life };
    this.#connection = new Pid(node, 1, 1, life);
    const prospect = {
      isLeased: (): boolean => this.member.isLeased(),
      servedBy: (shard: number) => this.member.servedBy(shard),
    };
    this.orphans = new Orphans(prospect, sim.logger(node), (_pid, found, shard) => sim.noteFound(node, found, shard));
    this.member = new Member<SimStore>({
      net: this.#net(),
      clock: this.clock,
      logger: sim.logger(node),
      self: { node, worker: 1, life },
      writer: life,
      workers: 1,
      shardCount: SHARDS,
      home: sim.home,
      abroad: sim.makeAbroad?.(),
      founders: sim.nodes,
      isLocal: sim.isLocal,
      onLook: (nowMs) => this.orphans.look(nowMs),
      openStore: (shard) => new SimStore(sim.disk(node, shard), this),
      serve: async (shard, store, isSilent) => {
        this.serving.set(shard, store);
        this.silent.set(shard, isSilent);
        return {
          stop: async () => {
            if (this.serving.get(shard) === store) this.serving.delete(shard);
            sim.noteLost(shard, this.seat);
          },
        };
      },
    });
  }

  readonly clock: Clock = {
    nowMs: () => this.sim.clock.nowMs(),
    monotonicMs: () => this.sim.clock.monotonicMs(),
    setTimer: (delayMs, callback) => this.sim.clock.setTimer(delayMs, () => this.enter(callback)),
    clearTimer: (handle) => this.sim.clock.clearTimer(handle),
  };

  /** Runs something of this process now, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.isDead) return;
    if (this.isPaused) this.#waiting.push(run);
    else run();
  }

  resume(): void {
    this.isPaused = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  /** Its connection breaks, and the servers know that; it is made again after the heal. */
  unplug(): void {
    this.isCut = true;
    this.isUnplugged = true;
    this.enter(() => this.member.disconnected());
  }

  /** The subscription to the table that there is goes on and tells nothing more: its server lacks what the others have. A new one is well. */
  goStale(): void {
    this.#staleCount = this.#watchCount;
  }

  heal(): void {
    this.isCut = false;
    this.isUnplugged = false;
  }

  /** A connection of this node hears that the actors of a shard have ended. */
  loseOwner(shard: number, seat: Seat): void {
    const atMs = this.clock.monotonicMs();
    this.orphans.wait(shard, seat, this.#connection, atMs);
    this.sim.losses.push({ node: this.seat.node, shard, atMs, found: [] });
  }

  /** Takes so long of this process's time. */
  work(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(ms, resolve));
  }

  /** To the servers and back. What arrives there happens, whether or not the answer comes. */
  #request<T>(carryOut: () => T): Promise<T | 'unknown'> {
    const { clock, random, servers } = this.sim;
    return new Promise((resolve) => {
      clock.setTimer(random.integer(6), () => {
        const arrives = !this.isCut && !servers.isDown;
        const answer = arrives ? carryOut() : 'unknown';
        const isLost = random.integer(200) === 0 && this.sim.losesAnswers;
        clock.setTimer(arrives && !isLost ? random.integer(6) : TIMEOUT_MS, () => {
          const heard = arrives && !isLost && !this.isCut ? answer : 'unknown';
          this.enter(() => resolve(heard));
        });
      });
    });
  }

  #net(): ClusterNet {
    const { servers } = this.sim;
    return {
      log: (shard) => this.#log(shard),
      table: this.#registry(servers.tables.table),
      liveness: this.#registry(servers.tables.liveness),
      pages: this.#pages(),
      announcements: this.sim.announcements,
      isDeserted: async (seat) => (await this.#request(() => this.sim.isDeserted(seat))) === true,
      close: async () => undefined,
    };
  }

  #log(shard: number): ShardLog {
    const { servers, random } = this.sim;
    return {
      append: async (data, expected) => {
        const outcome = await this.#ask(shard, () => servers.append(shard, data, expected));
        return outcome === 'unknown' ? { kind: 'unknown' } : outcome;
      },
      read: (from) =>
        this.#ask(shard, () => servers.toldLog(shard, random).find(({ sequence }) => sequence >= from) ?? 'end'),
      last: () => this.#ask(shard, () => servers.toldLog(shard, random).at(-1) ?? NO_ENTRY),
      follow: (from, onEntry) => this.#follow(shard, from, onEntry),
      trim: async (before) => {
        await this.#request(() => {
          const log = servers.log(shard);
          while (log.length > 1 && log[0]!.sequence < before) log.shift();
        });
      },
    };
  }

  /** Asks a log. */
  async #ask<T>(shard: number, carryOut: () => T): Promise<T | 'unknown'> {
    if (!this.sim.servers.silentLogs.has(shard)) return this.#request(carryOut);
    await this.work(TIMEOUT_MS);
    return 'unknown';
  }

  #follow(shard: number, from: number, onEntry: (entry: LogEntry) => void): { stop(): void } {
    const { servers, clock, random } = this.sim;
    let next = from;
    let isStopped = false;
    const hand = (): void => {
      if (isStopped || this.isCut || this.isDead || servers.isDown || servers.silentLogs.has(shard)) return;
      for (const entry of servers.log(shard)) {
        if (entry.sequence < next) continue;
        next = entry.sequence + 1;
        this.enter(() => void (isStopped || onEntry(entry)));
      }
    };
    const onAppend = (appended: number): void => {
      if (appended === shard) clock.setTimer(random.integer(8), hand);
    };
    servers.followers.add(onAppend);
    clock.setTimer(random.integer(8), hand);
    const stop = (): void => {
      isStopped = true;
      servers.followers.delete(onAppend);
    };
    return { stop };
  }

  #registry(table: SimTable): Registry {
    return {
      read: (key) => this.#request(() => table.entries.get(key) ?? 'missing'),
      swap: (key, value, revision) =>
        this.#request(() => {
          if ((table.entries.get(key)?.revision ?? 0) !== revision) return 'stale';
          table.set(key, value);
          return 'ok';
        }),
      write: (key, value) => this.#request(() => (table.set(key, value), 'ok' as const)),
      changes: (after) => this.#request(() => table.changes(after)),
      watch: (onChange) => this.#watch(table, onChange),
    };
  }

  /** What is missed while the process is cut off is told again at the next change: only last values matter. */
  #watch(table: SimTable, onChange: Change): { stop(): void } {
    const { clock, random, servers } = this.sim;
    const told = new Map<string, number>();
    const number = ++this.#watchCount;
    const tell = (): void => {
      if (this.isCut || this.isDead || servers.isDown) return;
      // One of lives is noticed by the renewals that do not come back.
      if (number <= this.#staleCount && table === servers.tables.table) return;
      for (const [key, { value, revision }] of table.entries) {
        if ((told.get(key) ?? 0) >= revision) continue;
        told.set(key, revision);
        this.enter(() => onChange(key, value, revision));
      }
    };
    const watcher: Change = () => void clock.setTimer(1 + random.integer(8), tell);
    table.watchers.add(watcher);
    watcher('', undefined, 0);
    return { stop: () => void table.watchers.delete(watcher) };
  }

  #pages(): PageExchange {
    const { servers } = this.sim;
    return {
      ask: async (seat, request) => {
        const target = this.sim.processes.get(seat.node);
        const answer = await this.#request(() => {
          if (target === undefined || target.isDead || target.isCut || target.isPaused) return undefined;
          return servers.answers.get(seatKey(seat))?.(request);
        });
        return answer ?? 'unknown';
      },
      answer: (seat, handler) => {
        servers.answers.set(seatKey(seat), handler);
        return { stop: () => undefined };
      },
    };
  }
}

/** A connection of a node lost the owner of a shard. */
export interface SimLoss {
  readonly node: string;
  readonly shard: number;
  readonly atMs: number;
  /** What it was told then, when, and who served the shard at that moment. */
  readonly found: { readonly found: Found; readonly atMs: number; readonly servers: readonly string[] }[];
}

export class ClusterSim {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: ReturnType<typeof createSeededRandom>;
  readonly servers: Servers;
  readonly processes: Map<string, SimProcess> = new Map();
  readonly nodes: readonly string[];
  readonly home: ShardRange;
  readonly announcements: Announcements | undefined;
  readonly makeAbroad: SimOptions['abroad'];
  /** Of the processes that start from now on. */
  isLocal: boolean;
  /** What a transaction takes. */
  diskMs: number = 1;
  readonly trace: string[] = [];
  /** By node and shard. */
  readonly disks: Map<string, SimDisk> = new Map();
  /** What connections lost: one on each node that uses every shard. */
  readonly losses: SimLoss[] = [];
  /** Writes that were acknowledged, by shard. */
  readonly acknowledged: Map<number, Set<string>> = new Map();
  readonly losesAnswers: boolean;
  readonly #faults: Set<string> = new Set();
  #life = 0;
  #written = 0;

  constructor(options: SimOptions) {
    const { seed, nodes, servers = 'strict', isLocal = false, home, announcements, abroad } = options;
    this.losesAnswers = options.losesAnswers ?? true;
    this.home = home ?? { first: 0, count: SHARDS };
    this.announcements = announcements;
    this.makeAbroad = abroad;
    this.isLocal = isLocal;
    this.random = createSeededRandom(seed);
    this.servers = new Servers(servers, this.clock);
    this.nodes = nodes;
    for (const node of nodes) this.start(node);
  }

  get shardCount(): number {
    return SHARDS;
  }

  disk(node: string, shard: number): SimDisk {
    const name = `${node}/${shard}`;
    const disk = this.disks.get(name) ?? new SimDisk();
    this.disks.set(name, disk);
    return disk;
  }

  start(node: string): void {
    const process = new SimProcess(this, node, ++this.#life);
    this.processes.set(node, process);
    process.member.start();
  }

  /** As SIGKILL; with `disk` its directory is gone too. */
  kill(node: string, disk: 'kept' | 'lost' = 'kept'): void {
    this.processes.get(node)!.isDead = true;
    this.processes.delete(node);
    if (disk === 'lost') for (let shard = 0; shard < SHARDS; shard++) this.disks.delete(`${node}/${shard}`);
  }

  /** Whether a seat has no connection, as the servers know. */
  isDeserted({ node }: Seat): boolean {
    const process = this.processes.get(node);
    return process === undefined || process.isUnplugged;
  }

  logger(node: string): Logger {
    const note = (event: string, fields: object = {}): void => {
      const at = (this.clock.monotonicMs() / 1_000).toFixed(3);
      this.trace.push(`${at} ${node} ${event} ${JSON.stringify(fields)}`);
    };
    return { debug: note, info: note, warn: note, error: note };
  }

  /** Lets virtual time pass, with a write to a random shard now and then. */
  async run(ms: number, writesPerSecond: number = 0): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) {
      await promisesSettled();
      this.#checkAnswers();
      const nextMs = Math.min(endMs, this.clock.nextDueMs ?? endMs);
      const stepMs = nextMs - this.clock.monotonicMs();
      this.clock.advance(stepMs);
      // A long step holds several: one at most would make the writes fewer where less happens beside them.
      for (let due = stepMs * writesPerSecond * 1_000; due > 0; due -= 1_000_000)
        if (this.random.integer(1_000_000) < due) this.#write();
    }
    await promisesSettled();
  }

  /** Two that both answer for a shard, one of them from what is old, are a fault, even if only one of them can commit. */
  #checkAnswers(): void {
    for (let shard = 0; shard < SHARDS; shard++) {
      const answering = [...this.processes.values()].filter(
        ({ serving, silent, isPaused }) => !isPaused && serving.has(shard) && silent.get(shard)?.() === false,
      );
      if (answering.length < 2) continue;
      const names = answering.map(({ seat }) => seat.node).join(' and ');
      this.#faults.add(`shard ${shard} was answered for by ${names} at once`);
    }
  }

  /** A client's write to whoever serves the shard; there may be two for a moment, of whom one cannot commit. */
  #write(): void {
    const shard = this.random.integer(SHARDS);
    const servers = [...this.processes.values()].filter(({ serving, isPaused }) => !isPaused && serving.has(shard));
    const process = servers[this.random.integer(Math.max(1, servers.length))];
    if (process === undefined) return;
    const key = `w${++this.#written}`;
    void process.serving
      .get(shard)!
      .write(key, 'x')
      .then((result) => {
        if (result !== 'ok' || process.isDead) return;
        const acknowledged = this.acknowledged.get(shard) ?? new Set();
        this.acknowledged.set(shard, acknowledged.add(key));
        this.trace.push(`${(this.clock.monotonicMs() / 1_000).toFixed(3)} ${process.seat.node} ack ${shard} ${key}`);
      });
  }

  /** The actors of a shard have ended, as their monitors say on all nodes. */
  noteLost(shard: number, seat: Seat): void {
    for (const process of this.processes.values()) process.enter(() => process.loseOwner(shard, seat));
  }

  noteFound(node: string, found: Found, shard: number): void {
    const loss = this.losses.findLast((each) => each.node === node && each.shard === shard);
    loss?.found.push({ found, atMs: this.clock.monotonicMs(), servers: this.serversOf(shard) });
  }

  /** Who serves a shard. */
  serversOf(shard: number): string[] {
    return [...this.processes].filter(([, { serving }]) => serving.has(shard)).map(([node]) => node);
  }

  /** What is wrong once everything is healed and quiet, in sentences. */
  findFaults(): string[] {
    const faults: string[] = [...this.#faults];
    for (let shard = this.home.first; shard < this.home.first + this.home.count; shard++) {
      const [owner, ...others] = this.serversOf(shard);
      if (owner === undefined) faults.push(`shard ${shard} is served by nobody`);
      if (others.length > 0) faults.push(`shard ${shard} is served by ${owner} and ${others.join(', ')}`);
      if (owner === undefined) continue;
      const { content } = this.disk(owner, shard);
      const lost = [...(this.acknowledged.get(shard) ?? [])].filter((key) => !content.has(key));
      if (lost.length > 0) faults.push(`shard ${shard}: ${lost.length} acknowledged writes are lost, ${lost[0]} first`);
      faults.push(...this.#differences(shard, owner));
    }
    return faults;
  }

  #differences(shard: number, owner: string): string[] {
    const faults: string[] = [];
    const text = (disk: SimDisk): string => JSON.stringify([...disk.content].sort());
    let copies = 0;
    for (const [node, { member }] of this.processes) {
      if (node === owner || member.report()[shard]!.status?.isWhole !== true) continue;
      copies++;
      if (text(this.disk(node, shard)) !== text(this.disk(owner, shard)))
        faults.push(`shard ${shard}: the copy of ${node} differs from ${owner}`);
    }
    if (copies === 0 && this.processes.size > 1) faults.push(`shard ${shard} has no copy`);
    return faults;
  }
}
