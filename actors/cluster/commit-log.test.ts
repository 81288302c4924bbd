import t from 'tap';
import { createSeededRandom, VirtualClock } from '../../runtime/testing/index.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import { memoryTail } from '../store/memory-tail.test-kit.ts';
import { applyWrites, WriteSet } from '../store/write-set.ts';
import { ShardCommitLog } from './commit-log.ts';
import type { AppendOutcome, LogEnd, LogEntry, ShardLog } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { bodyOf, encodeRecord, headerOf, startReading, takeEntry, type Reading } from './log-record.ts';

const MARK = { epoch: 1, sequence: 0 };

/** A log in memory that may lose the answer to an append, or the append. */
class FlakyLog implements ShardLog {
  readonly entries: LogEntry[] = [];
  fate: () => 'ok' | 'answer-lost' | 'append-lost' = () => 'ok';
  attempts: number = 0;
  /** Takes every append, where it comes. */
  isLax: boolean = false;

  async append(data: Buffer, expected: number): Promise<AppendOutcome> {
    this.attempts++;
    const fate = this.fate();
    if (fate === 'append-lost') return { kind: 'unknown' };
    const last = this.entries.at(-1)?.sequence ?? 0;
    if (last !== expected && !this.isLax) return { kind: 'stale' };
    const sequence = last + 1;
    this.entries.push({ sequence, data: Buffer.from(data) });
    return fate === 'answer-lost' ? { kind: 'unknown' } : { kind: 'ok', sequence };
  }
  read = async (from: number): Promise<LogEntry | 'end'> => this.entries.find((each) => each.sequence >= from) ?? 'end';
  last = async (): Promise<LogEnd> => this.entries.at(-1) ?? { sequence: 0, data: undefined };
  follow = (): { stop(): void } => ({ stop: () => undefined });
  trim = async (): Promise<void> => undefined;
}

interface Fixture {
  readonly log: FlakyLog;
  readonly commits: ShardCommitLog;
  readonly clock: VirtualClock;
  readonly applied: string[];
  readonly fenced: string[];
  lease: boolean;
  /** On the disk and not in the log. */
  readonly tail: Map<number, Buffer>;
  /** Starts a commit of one key; its outcome goes into `done`. */
  commit(key: string): void;
  readonly done: string[];
  settle(ms?: number): Promise<void>;
}

function start(isLocal: boolean = false, tail: Map<number, Buffer> = new Map()): Fixture {
  const log = new FlakyLog();
  const clock = new VirtualClock();
  const applied: string[] = [];
  const fenced: string[] = [];
  const done: string[] = [];
  const fixture = { lease: true };
  const apply = (writes: Buffer): void =>
    applyWrites(writes, { put: (_table, key) => applied.push(key.toString()), remove: () => undefined });
  const commits = new ShardCommitLog(
    {
      log,
      clock,
      apply: async (writes) => {
        for (const each of writes) apply(each);
        return 'ok';
      },
      tail: memoryTail({ entries: tail, commit: async (write) => (write(), 'ok'), apply, setMark: () => undefined }),
      isLocal,
      isLeased: () => fixture.lease,
      onFenced: (why) => void fenced.push(why),
    },
    { id: 7, number: 0 },
    MARK,
  );
  return Object.assign(fixture, {
    log,
    commits,
    clock,
    applied,
    fenced,
    done,
    tail,
    commit(key: string) {
      void commits
        .commit((writes) => writes.put(0, Buffer.from(key), Buffer.from('v')))
        .then((result) => done.push(`${key} ${result}`));
    },
    async settle(ms = 0) {
      for (let waited = 0; waited <= ms; waited += 50) {
        await promisesSettled();
        clock.advance(50);
      }
      await promisesSettled();
    },
  });
}

/** What a copy of the log has written, in its order. */
function keysIn(entries: readonly LogEntry[]): string[] {
  const keys: string[] = [];
  let reading = startReading(MARK);
  for (const entry of entries) {
    const step = takeEntry(reading, entry);
    if (step.kind !== 'taken') continue;
    reading = step.reading;
    if (step.writes === undefined) continue;
    applyWrites(step.writes, { put: (_table, key) => keys.push(key.toString()), remove: () => undefined });
  }
  return keys;
}

t.test('commits of one turn share a record, later ones the next; each is told after log and disk', async (t) => {
  const { log, commit, settle, done, applied, commits } = start();
  for (const key of ['a', 'b', 'c']) commit(key);
  await Promise.resolve();
  await settle();
  commit('d');
  await settle();
  t.equal(log.entries.length, 2);
  t.strictSame(done, ['a ok', 'b ok', 'c ok', 'd ok']);
  t.strictSame(applied, ['a', 'b', 'c', 'd']);
  t.strictSame(commits.mark, { epoch: 1, sequence: 2 });
});

t.test('lost appends are repeated, lost answers found out: every record once, whatever is lost', async (t) => {
  const random = createSeededRandom(11);
  const { log, commit, settle, done, applied } = start();
  log.fate = () => (['ok', 'answer-lost', 'append-lost'] as const)[random.integer(3)]!;
  for (let index = 0; index < 40; index++) {
    commit(`k${index}`);
    await settle(200);
  }
  await settle(30_000);
  const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
  t.strictSame(applied, keys);
  t.strictSame(
    done,
    keys.map((key) => `${key} ok`),
  );
  const numbers = log.entries.map(({ data }) => headerOf(data).number);
  t.equal(new Set(numbers).size, numbers.length, 'no record stands in the log twice');
});

t.test('when another epoch has begun nothing is told any more, and the owner is told once', async (t) => {
  const { log, commit, settle, done, applied, fenced, commits } = start();
  commit('before');
  await settle();
  const other = encodeRecord({ kind: 'epoch', epoch: 2, previous: 1, writer: 9, number: 1 });
  log.entries.push({ sequence: 2, data: other });
  commit('after');
  commit('later');
  await settle(5_000);
  commit('much later');
  await settle(5_000);
  t.strictSame(done, ['before ok']);
  t.strictSame(applied, ['before'], 'and the disk is what the log was');
  t.strictSame(fenced, ['stale']);
  await commits.end();
});

t.test('without a lease nothing goes out', async (t) => {
  const fixture = start();
  fixture.lease = false;
  fixture.commit('a');
  await fixture.settle(3_000);
  t.equal(fixture.log.entries.length, 0);
  t.ok(fixture.commits.silentMs >= 3_000, 'and who asks is told for how long');
  fixture.lease = true;
  await fixture.settle(500);
  t.strictSame(fixture.done, ['a ok']);
});

t.test('an append that was not answered is not repeated without a lease', async (t) => {
  const fixture = start();
  const { log, commit, settle } = fixture;
  log.fate = () => 'append-lost';
  commit('a');
  await settle(1_000);
  t.ok(log.attempts > 2, `${log.attempts} attempts`);
  fixture.lease = false;
  const { attempts } = log;
  await settle(5_000);
  t.equal(log.attempts, attempts);
  log.fate = () => 'ok';
  fixture.lease = true;
  await settle(500);
  t.strictSame(fixture.done, ['a ok']);
});

t.test('a write set larger than a record goes out in parts, and is one when it is read', async (t) => {
  const { log, commits, settle } = start();
  const value = Buffer.alloc(400_000, 1);
  const result = commits.commit((writes) => {
    for (let index = 0; index < 6; index++) writes.put(0, Buffer.from(`large ${index}`), value);
  });
  await settle();
  t.equal(await result, 'ok');
  t.equal(log.entries.length, 3);
  t.ok(log.entries.every(({ data }) => data.length <= LIMITS.recordBytesMax + 100));
  let reading: Reading = startReading(MARK);
  const writes: (Buffer | undefined)[] = [];
  for (const entry of log.entries) {
    const step = takeEntry(reading, entry);
    if (step.kind !== 'taken') throw new Error(step.kind);
    reading = step.reading;
    writes.push(step.writes);
  }
  t.strictSame([writes[0], writes[1]], [undefined, undefined], 'nothing before the last part');
  t.ok(writes[2]!.equals(Buffer.concat(log.entries.map(({ data }) => bodyOf(data)))));
  t.strictSame(reading.mark, commits.mark);
});

t.test('a copy takes what continues it, and nothing else', async (t) => {
  const record = (epoch: number, previous: number, kind: 'writes' | 'epoch' | 'part' = 'writes'): Buffer =>
    encodeRecord({ kind, epoch, previous, writer: 1, number: 1 });
  const reading = startReading({ epoch: 4, sequence: 100 });
  const kindOf = (sequence: number, data: Buffer): string => takeEntry(reading, { sequence, data }).kind;
  t.equal(kindOf(100, record(4, 90)), 'known');
  t.equal(kindOf(101, record(4, 100)), 'taken');
  t.equal(kindOf(102, record(4, 100)), 'foreign', 'an entry is missing in between');
  t.equal(kindOf(101, record(4, 101)), 'foreign', 'its writer knew more than there is');
  t.equal(kindOf(101, record(3, 100)), 'foreign', 'an older epoch');
  t.equal(kindOf(101, record(5, 100)), 'foreign', 'a newer epoch that did not begin');
  t.equal(kindOf(101, record(5, 100, 'epoch')), 'taken');
  t.equal(kindOf(101, record(4, 100, 'epoch')), 'foreign', 'an epoch begins once');
  const part = takeEntry(reading, { sequence: 101, data: record(4, 100, 'part') });
  if (part.kind !== 'taken') throw new Error(part.kind);
  const begun = takeEntry(part.reading, { sequence: 102, data: record(5, 101, 'epoch') });
  t.match(begun, { kind: 'taken', writes: undefined, reading: { parts: [] } }, 'half a write set ends with its epoch');
  const newer = record(4, 100);
  newer[0] = 2;
  t.throws(() => kindOf(103, newer), RangeError, 'a record of a newer release');
});

t.test(
  'a record whose writer had not read what came before it is void to everybody, whatever the servers let in',
  async (t) => {
    const record = (epoch: number, previous: number, kind: 'writes' | 'epoch', text: string): Buffer =>
      encodeRecord({ kind, epoch, previous, writer: 1, number: 1 }, Buffer.from(text));
    const log: LogEntry[] = [
      { sequence: 11, data: record(4, 10, 'writes', 'acknowledged') },
      // Passed the check of its servers, since the one before was not stored yet.
      { sequence: 12, data: record(5, 10, 'epoch', '') },
      { sequence: 13, data: record(5, 11, 'epoch', '') },
      { sequence: 14, data: record(4, 11, 'writes', 'of the former owner') },
      { sequence: 15, data: record(5, 13, 'writes', 'acknowledged too') },
    ];
    let reading = startReading({ epoch: 4, sequence: 10 });
    const taken: string[] = [];
    for (const entry of log) {
      const step = takeEntry(reading, entry);
      if (step.kind !== 'taken') throw new Error(step.kind);
      reading = step.reading;
      if (step.writes !== undefined) taken.push(step.writes.toString());
    }
    t.strictSame(taken, ['acknowledged', 'acknowledged too']);
    t.match(reading, { mark: { epoch: 5, sequence: 15 }, seen: 15 });
  },
);

t.test(
  'an append that stands in another place than behind its predecessor is not told, whatever the servers say',
  async (t) => {
    const { log, commit, settle, done, applied, fenced } = start();
    const other = encodeRecord({ kind: 'epoch', epoch: 2, previous: 0, writer: 9, number: 1 });
    log.isLax = true;
    log.entries.push({ sequence: 1, data: other });
    commit('too late');
    await settle(3_000);
    t.equal(log.entries.length, 2, 'the servers took it');
    t.strictSame([done, applied], [[], []]);
    t.strictSame(fenced, ['stale']);
  },
);

t.test('local: what was under way when the log fell silent is told, and in the log once', async (t) => {
  for (const fate of ['append-lost', 'answer-lost'] as const) {
    const f = start(true);
    f.log.fate = () => fate;
    f.commit('a');
    await f.settle(LIMITS.leaseMs + LIMITS.appendRetryMs + 100);
    t.strictSame(f.done, ['a ok'], fate);
    f.commit('b');
    await f.settle(200);
    t.strictSame(f.done, ['a ok', 'b ok'], 'the next one does not wait');
    // Where only answers are lost the log has told by now that it has them.
    t.equal(f.tail.size, fate === 'append-lost' ? 2 : 0);
    f.log.fate = () => 'ok';
    await f.settle(1_000);
    t.equal(f.tail.size, 0);
    t.strictSame(keysIn(f.log.entries), ['a', 'b']);
    t.strictSame(f.applied, ['a', 'b'], 'each was applied once');
    t.strictSame(f.commits.mark, { epoch: 1, sequence: 2 });
    f.commit('c');
    await f.settle(100);
    t.strictSame([keysIn(f.log.entries), f.tail.size, f.fenced], [['a', 'b', 'c'], 0, []], 'and the log comes first');
  }
});

t.test('local: without a lease commits go on, and nothing goes to the log', async (t) => {
  const f = start(true);
  f.lease = false;
  f.commit('a');
  f.commit('b');
  await f.settle(100);
  t.strictSame(f.done, ['a ok', 'b ok']);
  t.equal(f.log.attempts, 0);
  f.lease = true;
  await f.settle(500);
  t.strictSame([keysIn(f.log.entries), f.tail.size], [['a', 'b'], 0]);
});

t.test('local: a write set of several records goes on at the one that was under way', async (t) => {
  const f = start(true);
  let appends = 0;
  f.log.fate = () => (++appends === 2 ? 'answer-lost' : appends > 2 ? 'append-lost' : 'ok');
  void f.commits
    .commit((writes) => writes.put(0, Buffer.from('large'), Buffer.alloc(2 * LIMITS.recordBytesMax)))
    .then((result) => f.done.push(result));
  await f.settle(LIMITS.leaseMs + 500);
  t.strictSame([f.done, f.log.entries.length], [['ok'], 2]);
  f.log.fate = () => 'ok';
  await f.settle(1_000);
  t.strictSame([keysIn(f.log.entries), f.log.entries.length, f.tail.size], [['large'], 3, 0]);
});

t.test('local: a tail under load ends, and nothing waits long for it', async (t) => {
  const f = start(true);
  f.log.fate = () => 'append-lost';
  const keys: string[] = [];
  const commitFor = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 50) {
      keys.push(`k${keys.length}`);
      f.commit(keys.at(-1)!);
      await f.settle();
    }
  };
  await commitFor(5_000);
  t.ok(f.tail.size > 50, `${f.tail.size} in the tail`);
  f.log.fate = () => 'ok';
  await commitFor(5_000);
  t.equal(f.tail.size, 0);
  t.equal(f.done.length, keys.length);
  t.strictSame(keysIn(f.log.entries), keys, 'everything once and in order');
});

t.test('what a former life left in the tail goes to the log first, with either durability', async (t) => {
  for (const isLocal of [true, false]) {
    const writes = new WriteSet();
    writes.put(0, Buffer.from('old'), Buffer.from('v'));
    const f = start(isLocal, new Map([[7, Buffer.from(writes.bytes())]]));
    f.commit('new');
    await f.settle(100);
    t.strictSame([f.done, keysIn(f.log.entries), f.tail.size], [['new ok'], ['old', 'new'], 0]);
  }
});

t.test('local: a tail that meets another epoch is told of, and nothing more is acknowledged', async (t) => {
  const f = start(true);
  f.lease = false;
  f.commit('a');
  await f.settle(100);
  f.log.entries.push({
    sequence: 1,
    data: encodeRecord({ kind: 'epoch', epoch: 2, previous: 0, writer: 8, number: 1 }),
  });
  f.lease = true;
  await f.settle(500);
  f.commit('b');
  await f.settle(500);
  t.strictSame([f.fenced, f.done, f.tail.size], [['stale'], ['a ok'], 1]);
});
