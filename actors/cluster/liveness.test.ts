import t from 'tap';
import { LIMITS } from './limits.ts';
import { Lease, Liveness } from './liveness.ts';
import { formatSeat, seatKey, type SeatRecord } from './shard-record.ts';

const SELF = { node: 'a', worker: 1 };
const OTHER = { node: 'b', worker: 1 };

function seat(node: string, change: Partial<SeatRecord> = {}): SeatRecord {
  const said = { leaving: false, isLocal: false, copies: [], empty: [], revision: 0 };
  return { node, worker: 1, workers: 1, life: 1, ...said, ...change };
}

/** Renewals of some seats, every 300 ms, as `a` hears them. */
function hear(liveness: Liveness, names: readonly string[], fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += LIMITS.renewalMs) {
    for (const node of names) liveness.note(seatKey({ node, worker: 1 }), formatSeat(seat(node)), nowMs);
  }
}

t.test('a seat that has been silent for long enough is dead, and not before', async (t) => {
  const liveness = new Liveness(SELF);
  hear(liveness, ['a', 'b'], 0, 3_000);
  hear(liveness, ['a'], 3_300, 10_000);
  t.ok(liveness.isAlive(OTHER, 3_000 + LIMITS.deadMs));
  t.notOk(liveness.isAlive(OTHER, 3_000 + LIMITS.deadMs + 1));
  t.ok(liveness.isAlive(SELF, 10_000));
});

t.test('a seat without a connection is dead before its silence has lasted, until it is heard again', async (t) => {
  const liveness = new Liveness(SELF);
  hear(liveness, ['a', 'b'], 0, 3_000);
  hear(liveness, ['a'], 3_300, 3_600);
  t.notOk(liveness.isSuspect(OTHER, 3_000 + LIMITS.suspectMs));
  t.ok(liveness.isSuspect(OTHER, 3_001 + LIMITS.suspectMs));
  const heardMs = liveness.heardMs(OTHER)!;
  liveness.noteDeserted(OTHER, heardMs - 300);
  t.ok(liveness.isAlive(OTHER, 3_700), 'it was heard after the question');
  liveness.noteDeserted(OTHER, heardMs);
  t.notOk(liveness.isAlive(OTHER, 3_700));
  t.notOk(liveness.isSuspect(OTHER, 3_700), 'nothing more to ask');
  t.ok(liveness.isOver({ ...OTHER, life: 1 }, 3_700));
  hear(liveness, ['a', 'b'], 3_900, 3_900);
  t.ok(liveness.isAlive(OTHER, 3_900));
});

t.test('who does not hear itself judges nobody, and afterwards begins to count anew', async (t) => {
  const liveness = new Liveness(SELF);
  hear(liveness, ['a', 'b'], 0, 3_000);
  t.ok(liveness.isAlive(OTHER, 23_000), 'paused for 20 s: deaf');
  hear(liveness, ['a'], 23_000, 23_000 + LIMITS.deadMs);
  t.ok(liveness.isAlive(OTHER, 23_000 + LIMITS.deadMs - 300), 'its silence counts from when it hears again');
  hear(liveness, ['a'], 23_000 + LIMITS.deadMs, 26_000);
  t.notOk(liveness.isAlive(OTHER, 26_000));
});

t.test('another life of a seat ends the former at once; a key that goes is a seat that left', async (t) => {
  const liveness = new Liveness(SELF);
  hear(liveness, ['a', 'b'], 0, 3_000);
  const owner = { ...OTHER, life: 1 };
  t.notOk(liveness.isOver(owner, 3_000));
  liveness.note(seatKey(OTHER), formatSeat(seat('b', { life: 2 })), 3_000);
  t.ok(liveness.isOver(owner, 3_000));
  liveness.note(seatKey(OTHER), undefined, 3_000);
  t.equal(liveness.silenceMs(OTHER, 3_000), Infinity);
});

t.test('a node takes shards when all its workers live and it is not leaving', async (t) => {
  const liveness = new Liveness(SELF);
  hear(liveness, ['a', 'c'], 0, 3_000);
  const note = (record: SeatRecord): unknown => liveness.note(seatKey(record), formatSeat(record), 3_000);
  note(seat('b', { workers: 2 }));
  note(seat('c', { leaving: true }));
  const names = (): string[] => liveness.nodes(3_000).map(({ node }) => node);
  t.strictSame(names(), ['a'], 'one of two workers is missing, and c leaves');
  note(seat('b', { worker: 2, workers: 2 }));
  t.strictSame(names(), ['a', 'b']);
});

t.test('a lease lives from the beginning of the renewal, not from its answer', async (t) => {
  const lease = new Lease();
  t.notOk(lease.isValid(0), 'not before the first');
  lease.renewed(1_000, 1_100);
  lease.confirm(lease.lapses);
  t.ok(lease.isValid(1_000 + LIMITS.leaseMs - 1));
  t.notOk(lease.isValid(1_000 + LIMITS.leaseMs));
  lease.renewed(500, 1_200);
  t.ok(lease.isValid(1_500), 'an answer that comes late takes nothing away');
});

t.test('a lease whose connection is gone has lapsed', async (t) => {
  const lease = new Lease();
  lease.renewed(0, 10);
  lease.confirm(lease.lapses);
  t.ok(lease.isValid(20));
  lease.forfeit();
  t.notOk(lease.isValid(20), 'another may own what this one owned');
  lease.renewed(30, 40);
  t.notOk(lease.isValid(50), 'it has to be confirmed like any other that lapsed');
  lease.confirm(lease.lapses);
  t.ok(lease.isValid(50));
});

t.test('a lease that lapsed is valid again when the registry was read after that', async (t) => {
  const lease = new Lease();
  lease.renewed(0, 10);
  t.notOk(lease.isValid(20), 'not even the first');
  lease.confirm(lease.lapses);
  t.ok(lease.isValid(20));
  const before = lease.lapses;
  lease.renewed(21_000, 21_010);
  t.notOk(lease.isValid(21_020));
  lease.confirm(before);
  t.notOk(lease.isValid(21_020), 'what was read before the lapse confirms nothing');
  lease.confirm(lease.lapses);
  t.ok(lease.isValid(21_020));
  lease.renewed(21_300, 22_500);
  t.notOk(lease.isValid(22_501), 'an answer so late that it had lapsed in between');
});
