import fc from 'fast-check';
import t from 'tap';

import { Pid } from '../pid.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { type Observation, observe, type StuckReport, unchangedMs, Watchdog } from './watchdog.ts';

const STUCK_MS = 500;
const INTERVAL_MS = STUCK_MS / 5;
const PID = new Pid('n', 1, 5, 6);

interface Setup {
  clock: VirtualClock;
  watchdog: Watchdog;
  /** The turn of each worker; those not in it are not watched. */
  turns: Map<number, number>;
  woken: number[];
  reports: StuckReport[];
  debugged: boolean;
  /** How long the process as a whole has been stopped. */
  stoppedMs: number;
  /** What each thread has had of the processors; where it is not known, none. */
  times: { ranMs: number; waitedMs: number } | undefined;
}

function setUp(): Setup {
  const clock = new VirtualClock();
  const setup: Omit<Setup, 'watchdog'> = {
    clock,
    turns: new Map(),
    woken: [],
    reports: [],
    debugged: false,
    stoppedMs: 0,
    times: undefined,
  };
  const watchdog = new Watchdog({
    clock: {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs() + setup.stoppedMs,
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
      clearTimer: (handle) => clock.clearTimer(handle),
    },
    stuckMs: STUCK_MS,
    workers: () => setup.turns.keys(),
    sample(worker) {
      const turn = setup.turns.get(worker)!;
      return { turn, inTurn: turn % 2 === 1, behavior: 'slow', pid: PID };
    },
    times: () => setup.times && { ...setup.times },
    wake: (worker) => void setup.woken.push(worker),
    onStuck: (report) => void setup.reports.push(report),
    debugged: () => setup.debugged,
  });
  return Object.assign(setup, { watchdog });
}

/** Moves time on, as a main thread that is free does. */
function pass(clock: VirtualClock, ms: number): void {
  for (let left = ms; left > 0; left -= INTERVAL_MS) clock.advance(Math.min(left, INTERVAL_MS));
}

t.test('a thread whose turn does not change is stuck after the time set, and told once', async (t) => {
  const { clock, turns, reports } = setUp();
  turns.set(1, 7);
  pass(clock, STUCK_MS);
  t.equal(reports.length, 0, 'it was first seen one interval after the start');
  pass(clock, INTERVAL_MS);
  t.strictSame(reports, [{ worker: 1, stuckMs: STUCK_MS, inTurn: true, behavior: 'slow', pid: PID }]);
  pass(clock, STUCK_MS * 3);
  t.equal(reports.length, 1);
});

t.test('a thread that takes its turns is left alone, however long', async (t) => {
  const { clock, turns, reports } = setUp();
  for (let turn = 0; turn < 100; turn += 2) {
    turns.set(1, turn);
    pass(clock, STUCK_MS - INTERVAL_MS);
  }
  t.strictSame(reports, []);
});

t.test('a thread that was stuck and moved on may be stuck again', async (t) => {
  const { clock, turns, reports } = setUp();
  turns.set(1, 7);
  pass(clock, STUCK_MS * 2);
  turns.set(1, 9);
  pass(clock, STUCK_MS * 2);
  t.equal(reports.length, 2);
});

t.test('a look rings the threads that have not moved, so that an idle one takes a turn', async (t) => {
  const { clock, turns, woken } = setUp();
  turns.set(1, 0);
  turns.set(2, 0);
  clock.advance(INTERVAL_MS);
  t.strictSame(woken, [1, 2]);
  turns.set(2, 2);
  clock.advance(INTERVAL_MS);
  t.strictSame(woken, [1, 2, 1], 'the second one has moved by itself');
  clock.advance(INTERVAL_MS);
  t.strictSame(woken, [1, 2, 1, 1, 2]);
});

t.test('a thread that ended and came back begins anew', async (t) => {
  const { clock, turns, reports } = setUp();
  turns.set(1, 7);
  pass(clock, STUCK_MS - INTERVAL_MS);
  turns.delete(1);
  pass(clock, INTERVAL_MS);
  turns.set(1, 7);
  pass(clock, STUCK_MS);
  t.strictSame(reports, []);
});

t.test(
  'one that came back between two looks, in the turn in which the one before was stuck, is told as well',
  async (t) => {
    const { clock, watchdog, turns, reports } = setUp();
    turns.set(1, 7);
    pass(clock, STUCK_MS * 2);
    t.equal(reports.length, 1);
    watchdog.forget(1);
    pass(clock, STUCK_MS);
    t.equal(reports.length, 1, 'the time of the one before does not count');
    pass(clock, INTERVAL_MS);
    t.equal(reports.length, 2);
  },
);

t.test('nobody is stuck under a debugger, nor for the time it took', async (t) => {
  const setup = setUp();
  const { clock, turns, reports } = setup;
  turns.set(1, 7);
  setup.debugged = true;
  pass(clock, STUCK_MS * 10);
  t.strictSame(reports, []);
  setup.debugged = false;
  pass(clock, STUCK_MS);
  t.strictSame(reports, []);
  pass(clock, INTERVAL_MS);
  t.equal(reports.length, 1);
});

t.test('a process that was stopped as a whole finds nobody stuck', async (t) => {
  const setup = setUp();
  const { clock, turns, reports } = setup;
  turns.set(1, 7);
  pass(clock, INTERVAL_MS * 3);
  setup.stoppedMs = 3_600_000;
  pass(clock, INTERVAL_MS);
  t.strictSame(reports, [], 'the hour counts for two looks');
  turns.set(1, 9);
  pass(clock, STUCK_MS);
  t.strictSame(reports, []);
});

t.test('who waits for a processor is not stuck; who does not move though it had one is', async (t) => {
  const setup = setUp();
  const { clock, turns, reports } = setup;
  const times = (setup.times = { ranMs: 0, waitedMs: 0 });
  turns.set(1, 7);
  for (let look = 0; look < 100; look += 1) {
    times.waitedMs += INTERVAL_MS * 0.95;
    times.ranMs += INTERVAL_MS * 0.05;
    pass(clock, INTERVAL_MS);
  }
  t.strictSame(reports, [], 'of ten seconds it has had half of one');
  for (let look = 0; look < 10; look += 1) {
    times.waitedMs += INTERVAL_MS * 0.5;
    times.ranMs += INTERVAL_MS * 0.5;
    pass(clock, INTERVAL_MS);
  }
  t.equal(reports.length, 1);
});

/** A look: milliseconds since the one before, and what the thread ran and waited meanwhile as the system tells it; `none` where it tells nothing. */
type Look = readonly [passedMs: number, ranMs: number, waitedMs: number] | 'none';

/** What counts after these looks at one turn of a thread that has lived for an hour. */
function counted(looks: readonly Look[]): number {
  let times = { ranMs: 1_000_000, waitedMs: 2_600_000 };
  let nowMs = 3_600_000;
  let seen = observe(undefined, 1, nowMs, 1_000, times);
  for (const look of looks) {
    const [passedMs, ranMs, waitedMs] = look === 'none' ? [1_000, 0, 0] : look;
    nowMs += passedMs;
    times = { ranMs: times.ranMs + ranMs, waitedMs: times.waitedMs + waitedMs };
    seen = observe(seen, 1, nowMs, 1_000, look === 'none' ? undefined : times);
  }
  return unchangedMs(seen);
}

const repeated = (count: number, look: Look): Look[] => Array.from({ length: count }, () => look);

const COUNTED: readonly (readonly [claim: string, looks: readonly Look[], expected: number])[] = [
  ['who runs, counts', repeated(5, [1_000, 1_000, 0]), 5_000],
  ['who waits and runs, counts for what it ran', repeated(5, [1_000, 50, 950]), 250],
  ['one look that could not be read adds nothing once it is made up for', ['none', [1_000, 100, 1_900]], 100],
  ['many that could not be read do not make who waits stuck', repeated(5, 'none'), 5_000 / 6],
  [
    'a wait that is told when it is over is taken off the looks before',
    [...repeated(5, [1_000, 0, 0]), [1_000, 100, 5_900]],
    100,
  ],
  [
    'nor is that forgiven which was run before',
    [[1_000, 900, 0], ...repeated(3, [1_000, 0, 0]), [1_000, 100, 4_000]],
    1_000,
  ],
  ['who neither runs nor waits counts for a sixth', repeated(12, [1_000, 0, 0]), 2_000],
  ['a late look counts for two intervals after its waits, not before', [[9_000, 3_000, 6_000]], 2_000],
  ['a machine that was suspended, whichever clock went on', [[3_600_000, 3_600_000, 0]], 2_000],
  ['a count that jumps back says nothing', [[1_000, -999_000, -2_000_000]], 1_000 / 6],
];

for (const [claim, looks, expected] of COUNTED) {
  t.test(claim, async (t) => t.equal(Math.round(counted(looks)), Math.round(expected)));
}

t.test('after stop nothing is looked at', async (t) => {
  const { clock, watchdog, turns, woken } = setUp();
  turns.set(1, 7);
  watchdog.stop();
  pass(clock, STUCK_MS * 2);
  t.strictSame(woken, []);
});

t.test('what counts as unchanged is never more than has passed, nor than two intervals a look', async (t) => {
  const looks = fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 0, max: 1_000 })), { maxLength: 30 });
  const isBounded = fc.property(looks, (steps) => {
    let seen: Observation | undefined;
    let nowMs = 0;
    let sinceMs = 0;
    let looked = 0;
    for (const [turn, passedMs] of steps) {
      nowMs += passedMs;
      if (seen?.turn !== turn) {
        sinceMs = nowMs;
        looked = 0;
      } else {
        looked += 1;
      }
      seen = observe(seen, turn, nowMs, INTERVAL_MS);
      if (unchangedMs(seen) > nowMs - sinceMs || unchangedMs(seen) > looked * INTERVAL_MS * 2) return false;
    }
    return true;
  });
  fc.assert(isBounded);
  t.pass();
});
