import t from 'tap';
import { VirtualClock } from '../../runtime/testing/index.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import type { CommitResult } from '../store/inbox-store.ts';
import { memoryTail } from '../store/memory-tail.test-kit.ts';
import type { LogMark } from '../store/raw-tables.ts';
import type { AppendOutcome, LogEnd, LogEntry, ShardLog } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord, headerOf, type RecordKind } from './log-record.ts';
import { ShardHost, type HostedStore } from './shard-host.ts';

const OWNER = { node: 'a', worker: 1 };

function ignore(): void {}

function entry(sequence: number, kind: RecordKind, epoch: number, previous: number): LogEntry {
  const header = { kind, epoch, previous, writer: 7, number: sequence };
  return { sequence, data: encodeRecord(header, Buffer.from(`write ${sequence}`)) };
}

/** A log in memory that hands nothing over by itself: a copy sees it when it looks, or when a test hands it over. */
class QuietLog implements ShardLog {
  entries: LogEntry[];
  /** Where it ends while it has no entry: 0, or what it had was removed. */
  emptiedAt = 0;
  /** Comes in just before the next append, which servers that check nothing take all the same. */
  intruder: LogEntry | undefined = undefined;
  isSilent = false;

  constructor(entries: LogEntry[]) {
    this.entries = entries;
  }

  async append(data: Buffer, expected: number): Promise<AppendOutcome> {
    if (this.intruder !== undefined) this.entries.push(this.intruder);
    else if (this.#end !== expected) return { kind: 'stale' };
    this.intruder = undefined;
    const sequence = this.#end + 1;
    this.entries.push({ sequence, data });
    return { kind: 'ok', sequence };
  }
  get #end(): number {
    return this.entries.at(-1)?.sequence ?? this.emptiedAt;
  }
  read = async (from: number): Promise<LogEntry | 'end' | 'unknown'> =>
    this.isSilent ? 'unknown' : (this.entries.find((each) => each.sequence >= from) ?? 'end');
  last = async (): Promise<LogEnd> => ({ sequence: this.#end, data: this.entries.at(-1)?.data });
  #follower: (entry: LogEntry) => void = ignore;
  follow = (_from: number, onEntry: (entry: LogEntry) => void): { stop(): void } => {
    this.#follower = onEntry;
    return { stop: () => void (this.#follower = ignore) };
  };
  /** Another one's append, of which who follows hears at once. */
  hand(...entries: LogEntry[]): void {
    for (const each of entries) {
      this.entries.push(each);
      this.#follower(each);
    }
  }
  trim = async (): Promise<void> => undefined;
}

interface Fixture {
  readonly host: ShardHost;
  readonly log: QuietLog;
  /** How often it has said that something changed. */
  readonly changes: () => number;
  /** What it warned of. */
  readonly warnings: object[];
  readonly disk: {
    mark: LogMark | undefined;
    room: boolean;
    applied: string[];
    /** Write sets in each transaction. */
    transactions: number[];
    failingStarts: number;
    readonly tail: Map<number, Buffer>;
    /** Whether little is free. */
    isShort: boolean;
  };
  /** Whether its actors would refuse; once it serves. */
  isSilent: () => boolean;
  settle(ms: number): Promise<void>;
}

/** A host with a copy up to `mark` of a log. Nobody answers requests for pages. */
function start(t: Tap, mark: LogMark | undefined, entries: LogEntry[], isLocal: boolean = false): Fixture {
  const clock = new VirtualClock();
  const log = new QuietLog(entries);
  let changeCount = 0;
  const warnings: object[] = [];
  const warn = (event: string, fields?: object): void => void warnings.push({ event, ...fields });
  const disk: Fixture['disk'] = {
    mark,
    room: true,
    applied: [],
    transactions: [],
    failingStarts: 0,
    tail: new Map(),
    isShort: false,
  };
  const store: HostedStore = {
    raw: {
      mark: () => disk.mark,
      apply: async (writes, to): Promise<CommitResult> => {
        if (!disk.room) return 'full';
        disk.applied.push(...writes.map((each) => each.toString()));
        disk.transactions.push(writes.length);
        disk.mark = to ?? disk.mark;
        return 'ok';
      },
      get isShort() {
        return disk.isShort;
      },
      page: () => ({ writes: Buffer.alloc(0), next: undefined }),
      clear: async () => {
        disk.mark = undefined;
        disk.tail.clear();
      },
      tail: memoryTail({
        entries: disk.tail,
        commit: async (write) => (write(), 'ok'),
        apply: (writes) => void disk.applied.push(writes.toString()),
        setMark: (to) => void (disk.mark = to),
      }),
    },
    renewInto: (writes) => writes.put(0, Buffer.from('doubt'), Buffer.alloc(0)),
    logCommits: ignore,
    close: async () => undefined,
  };
  const host = new ShardHost({
    shard: 0,
    seat: { node: 'b', worker: 1 },
    log,
    pages: { ask: async () => 'unknown', answer: () => ({ stop: ignore }) },
    clock,
    logger: { debug: ignore, info: ignore, warn, error: ignore },
    writer: { id: 9, number: 0 },
    isLeased: () => true,
    isLocal,
    openStore: () => store,
    serve: async (_store, isSilent) => {
      fixture.isSilent = isSilent;
      if (disk.failingStarts-- > 0) throw new Error('an actor did not start');
      return { stop: async () => undefined };
    },
    onChange: () => void changeCount++,
  });
  const settle = async (ms: number): Promise<void> => {
    for (let waited = 0; waited <= ms; waited += 50) {
      await promisesSettled();
      clock.advance(50);
    }
    await promisesSettled();
  };
  t.teardown(async () => {
    const stopped = host.stop();
    await settle(5_000);
    await stopped;
  });
  const changes = (): number => changeCount;
  const fixture: Fixture = { host, log, changes, disk, warnings, settle, isSilent: () => false };
  return fixture;
}

type Tap = { teardown(run: () => Promise<void>): unknown };

t.test('a copy takes at once what comes alone, and together what comes within a moment', async (t) => {
  const { host, log, disk, settle } = start(t, { epoch: 1, sequence: 1 }, [entry(1, 'epoch', 1, 0)]);
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(LIMITS.copyGatherMs);
  log.hand(entry(2, 'writes', 1, 1));
  await promisesSettled();
  t.strictSame(disk.transactions, [1]);
  log.hand(entry(3, 'writes', 1, 2), entry(4, 'writes', 1, 3));
  await promisesSettled();
  t.strictSame(disk.transactions, [1], 'they wait for more');
  await settle(LIMITS.copyGatherMs);
  t.strictSame(disk.transactions, [1, 2]);
  t.strictSame(disk.mark, { epoch: 1, sequence: 4 });
});

t.test('a copy that somebody waits for waits for nothing more, and says how far it is', async (t) => {
  for (const isFirst of [true, false]) {
    const { host, log, disk, settle, changes } = start(t, { epoch: 1, sequence: 1 }, [entry(1, 'epoch', 1, 0)]);
    host.setRole({ kind: 'follow', source: OWNER });
    await settle(LIMITS.copyGatherMs);
    log.hand(entry(2, 'writes', 1, 1));
    await promisesSettled();
    const before = changes();
    if (isFirst) host.hasten();
    log.hand(entry(3, 'writes', 1, 2));
    if (!isFirst) host.hasten();
    await promisesSettled();
    t.strictSame([disk.transactions, changes() - before], [[1, 1], 1]);
    log.hand(entry(4, 'writes', 1, 3));
    await promisesSettled();
    t.strictSame(disk.transactions, [1, 1], 'once');
  }
});

t.test('a copy that lacks more than a transaction holds does not wait between two', async (t) => {
  const { host, log, disk, settle } = start(t, { epoch: 1, sequence: 1 }, [entry(1, 'epoch', 1, 0)]);
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(LIMITS.copyGatherMs);
  const count = 2 * LIMITS.applyCountMax;
  log.hand(...Array.from({ length: count }, (_, index) => entry(index + 2, 'writes', 1, index + 1)));
  await promisesSettled();
  t.strictSame(disk.transactions, [LIMITS.applyCountMax], 'the rest fits into one, and may grow');
  await settle(LIMITS.copyGatherMs);
  t.strictSame(disk.transactions, [LIMITS.applyCountMax, LIMITS.applyCountMax]);
});

t.test(
  'a copy that becomes the owner before or while it waits for more waits no longer, and applies it once',
  async (t) => {
    for (const waits of [false, true]) {
      const { host, log, disk, settle } = start(t, { epoch: 1, sequence: 1 }, [entry(1, 'epoch', 1, 0)]);
      host.setRole({ kind: 'follow', source: OWNER });
      await settle(LIMITS.copyGatherMs);
      log.hand(entry(2, 'writes', 1, 1));
      await promisesSettled();
      log.hand(entry(3, 'writes', 1, 2));
      if (waits) await promisesSettled();
      host.setRole({ kind: 'own', epoch: 2, isDoubted: false });
      await promisesSettled();
      t.equal(host.status.phase, 'serving');
      t.strictSame(disk.applied, ['write 2', 'write 3']);
    }
  },
);

/** The servers lost everything up to 1,000; the owner began epoch 8 behind nothing, and has acknowledged two writes since. */
const BEGUN_ANEW = [entry(1, 'epoch', 8, 1_000), entry(2, 'writes', 8, 1), entry(3, 'writes', 8, 2)];

t.test('a copy that is ahead of a log which began anew is discarded, and does not count as caught up', async (t) => {
  const { host, settle } = start(t, { epoch: 7, sequence: 1_000 }, [...BEGUN_ANEW]);
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(100);
  t.match(host.status, { phase: 'following', sequence: 1_000 });
  await settle(3_000);
  t.match(host.status, { phase: 'copying', isWhole: false, sequence: undefined });
});

t.test('nor does it take over: it would lack what was acknowledged since', async (t) => {
  const { host, settle, log, disk } = start(t, { epoch: 7, sequence: 1_000 }, [...BEGUN_ANEW]);
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(100);
  host.setRole({ kind: 'own', epoch: 9, isDoubted: false });
  await settle(5_000);
  t.match(host.status, { isLost: true, servingEpoch: undefined });
  t.equal(log.entries.length, 3, 'it appends nothing');
  t.strictSame(disk.applied, []);
});

t.test('with the new beginning at the very place of its mark it is the same', async (t) => {
  const { host, settle, log } = start(t, { epoch: 7, sequence: 3 }, [...BEGUN_ANEW]);
  host.setRole({ kind: 'own', epoch: 9, isDoubted: false });
  await settle(5_000);
  t.match(host.status, { isLost: true });
  t.equal(log.entries.length, 3);
});

t.test('the owner whose servers lost the end of the log begins behind what is left', async (t) => {
  const { host, settle, log } = start(t, { epoch: 7, sequence: 9 }, [entry(5, 'writes', 7, 4)]);
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(5_000);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, sequence: 6 });
  t.equal(log.entries.length, 2);
});

t.test('a log that somebody emptied ends where it did: who has all of it takes over', async (t) => {
  const { host, settle, log } = start(t, { epoch: 1, sequence: 1 }, []);
  log.emptiedAt = 1;
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(3_000);
  t.match(host.status, { phase: 'following', sequence: 1, isWhole: true });
  host.setRole({ kind: 'own', epoch: 2, isDoubted: false });
  await settle(500);
  t.match(host.status, { phase: 'serving', servingEpoch: 2, sequence: 2 });
  t.match(headerOf(log.entries[0]!.data), { kind: 'epoch', epoch: 2, previous: 1 });
});

t.test('and who lacks something of it does not, and is made anew', async (t) => {
  const { host, settle, log } = start(t, { epoch: 1, sequence: 1 }, []);
  log.emptiedAt = 2;
  host.setRole({ kind: 'own', epoch: 2, isDoubted: false });
  await settle(500);
  t.match(host.status, { isLost: true });
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(3_000);
  t.match(host.status, { phase: 'copying', isWhole: false });
  t.strictSame(log.entries, []);
});

t.test('a beginning that counts at another place than expected, behind a void one, is served at once', async (t) => {
  const { host, settle, log, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  log.intruder = entry(5, 'writes', 7, 3);
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(500);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, sequence: 6 });
  t.strictSame([disk.mark, log.entries.length], [{ epoch: 8, sequence: 6 }, 3], 'and is not appended again');
});

t.test('behind one that counts it is void, and is appended again', async (t) => {
  const { host, settle, log, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  log.intruder = entry(5, 'writes', 7, 4);
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(500);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, sequence: 7 });
  t.strictSame(disk.applied, ['write 5'], 'with what came before it');
});

t.test('a take-over that lasts says what it waits for, ever more rarely', async (t) => {
  const { host, settle, log, warnings } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(5_000);
  t.strictSame(warnings, [], 'one that does not says nothing');
  log.isSilent = true;
  host.setRole({ kind: 'own', epoch: 9, isDoubted: false });
  await settle(10_000);
  const event = 'shard_overdue';
  t.match(
    warnings,
    [2_000, 4_000, 8_000].map((forMs) => ({ event, epoch: 9, forMs, waitsFor: 'the log to be read', sequence: 5 })),
  );
  t.equal(warnings.length, 3);
  log.isSilent = false;
  await settle(20_000);
  t.match(host.status, { phase: 'serving', servingEpoch: 9 });
  t.equal(warnings.length, 3, 'nor does one that is over');
});

t.test('a shard whose actors did not start is not lost: it follows, and starts with the next epoch', async (t) => {
  const { host, settle, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  disk.failingStarts = 1;
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(2_000);
  t.match(host.status, { phase: 'following', isLost: false, isWhole: true, sequence: 5 }, 'which its owner reclaims');
  host.setRole({ kind: 'own', epoch: 9, isDoubted: false });
  await settle(500);
  t.match(host.status, { phase: 'serving', servingEpoch: 9 });
});

t.test('an owner without room is lost to whoever has a copy, and serves again once there is room', async (t) => {
  const { host, settle, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(5, 'writes', 7, 4)]);
  disk.room = false;
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(1_000);
  t.match(host.status, { isLost: true, isWhole: false, sequence: undefined });
  disk.room = true;
  await settle(1_000);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, isLost: false, isWhole: true, sequence: 6 });
});

t.test('with what no copy has it is lost to nobody: it waits for room', async (t) => {
  const { host, settle, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(5, 'writes', 7, 4)], true);
  disk.tail.set(1, Buffer.from('tail'));
  disk.room = false;
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(1_000);
  t.match(host.status, { isLost: false, tailCount: 1 });
  disk.room = true;
  await settle(1_000);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, isLost: false, tailCount: 0 });
  t.ok(disk.applied.includes('tail'));
});

t.test('without the log it takes nothing more when little of the disk is free', async (t) => {
  const fixture = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)], true);
  const { host, settle, disk } = fixture;
  host.setRole({ kind: 'own', epoch: 8, isDoubted: false });
  await settle(500);
  disk.isShort = true;
  t.equal(fixture.isSilent(), false, 'with the log it has bounds of its own');
  disk.tail.set(1, Buffer.from('tail'));
  t.equal(fixture.isSilent(), true);
  disk.isShort = false;
  t.equal(fixture.isSilent(), false);
});

t.test('an owner of what is in doubt writes that to the log before its actors start', async (t) => {
  const { host, settle, log, disk } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  disk.failingStarts = 1;
  host.setRole({ kind: 'own', epoch: 8, isDoubted: true });
  await settle(500);
  t.match(host.status, { phase: 'following', sequence: 6 }, 'which have not');
  t.match(headerOf(log.entries.at(-1)!.data), { kind: 'writes', epoch: 8 });
  t.ok(log.entries.at(-1)!.data.includes('doubt'));
  host.setRole({ kind: 'own', epoch: 9, isDoubted: true });
  await settle(500);
  t.match(host.status, { phase: 'serving', servingEpoch: 9, sequence: 8 });
});

t.test('and serves only when the log has it', async (t) => {
  const { host, settle, log } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  const { append } = log;
  let isAnswered = false;
  log.append = async (data, expected) => {
    if (headerOf(data).kind === 'epoch') return append.call(log, data, expected);
    return isAnswered ? append.call(log, data, expected) : { kind: 'unknown' };
  };
  host.setRole({ kind: 'own', epoch: 8, isDoubted: true });
  await settle(5_000);
  t.match(host.status, { phase: 'taking-over' });
  isAnswered = true;
  await settle(1_000);
  t.match(host.status, { phase: 'serving', servingEpoch: 8, sequence: 6 });
});

t.test('a copy without room says that it is none, until there is room', async (t) => {
  const { host, settle, disk, log } = start(t, { epoch: 7, sequence: 4 }, [entry(4, 'writes', 7, 3)]);
  host.setRole({ kind: 'follow', source: OWNER });
  await settle(100);
  t.match(host.status, { isWhole: true, sequence: 4 });
  disk.room = false;
  log.entries.push(entry(5, 'writes', 7, 4));
  await settle(4_000);
  t.match(host.status, { isWhole: false, sequence: undefined, isLost: false });
  disk.room = true;
  await settle(4_000);
  t.match(host.status, { isWhole: true, sequence: 5 });
});
