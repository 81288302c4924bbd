import t from 'tap';
import { describeGaveOut } from '../harness/report.ts';
import { MachineWatch, parseRunnable, parseStallMs } from './machine-pressure.ts';
import { PressureLog, type PressureSample } from './pressure.ts';

const EASY: Omit<PressureSample, 'atS' | 'connected'> = {
  processors: 2,
  busyShare: 0.3,
  ownCores: 0.5,
  runnable: 1,
  diskStallShare: 0.01,
  memoryStallShare: 0,
  availableBytes: 8e9,
  memoryFloorBytes: 1e9,
  fullestNode: 10_000,
  connectionsOfNodeMax: 19_600,
  waiting: 0,
  lateMs: 0.5,
  p99Ms: 20,
};

/** A phase, second by second from second 10 on, a thousand connections more in each. */
function phase(...changes: readonly Partial<PressureSample>[]): PressureLog {
  const log = new PressureLog('holding');
  changes.forEach((change, index) => {
    log.note(Object.assign({}, EASY, { atS: 10 + index, connected: (1 + index) * 1_000 }, change));
  });
  return log;
}

const times = (count: number, change: Partial<PressureSample>): Partial<PressureSample>[] =>
  Array.from({ length: count }, () => change);

t.test(
  'each resource that is at its limit for some seconds is found, with when that began and what shows it',
  async (t) => {
    const whats: readonly (readonly [string, Partial<PressureSample>, RegExp])[] = [
      ['processor', { busyShare: 0.97 }, /97 % of 2 processors busy, 0.50 of them with servers/],
      ['processor', { busyShare: 0.82, runnable: 40 }, /40 threads ran or waited/],
      ['memory', { availableBytes: 1.5e9 }, /1431 MiB available/],
      ['memory', { memoryStallShare: 0.2 }, /20 % of the time lost/],
      ['disk', { diskStallShare: 0.5 }, /disk for 50 % of the time/],
      ['descriptors', { fullestNode: 19_600, waiting: 12 }, /19600 of 19600 connections, 12 clients waited/],
      ['generator', { lateMs: 30, p99Ms: 40 }, /30 ms late at p99, messages 40 ms/],
    ];
    for (const [what, change, figures] of whats) {
      const [found, ...more] = phase({}, ...times(5, change), {}).findings();
      t.match(found, {
        phase: 'holding',
        what,
        isAtLimit: true,
        sinceS: 11,
        connections: 2_000,
        seconds: 5,
        ofSeconds: 7,
      });
      t.match(found!.figures, figures);
      t.strictSame(more, []);
      t.match(
        describeGaveOut(found!),
        new RegExp(`^holding: ${what}, since second 11, with 2,000 connections, for 5 of 7 s`),
      );
    }
  },
);

t.test('what gave out first stands first', async (t) => {
  const late = { diskStallShare: 0.6 };
  const both = { busyShare: 1, diskStallShare: 0.6 };
  const found = phase(...times(3, late), ...times(5, both)).findings();
  t.strictSame(
    found.map(({ what, sinceS }) => [what, sinceS]),
    [
      ['disk', 10],
      ['processor', 13],
    ],
  );
});

t.test('a moment at the limit is none; the nearest to its limit is named where nothing reached it', async (t) => {
  const [found, ...more] = phase(...times(4, { busyShare: 1 }), {}, ...times(4, { busyShare: 0.9 })).findings();
  t.match(found, { what: 'processor', isAtLimit: false });
  t.strictSame(more, []);
  t.match(
    describeGaveOut(found!),
    /^holding: nothing was at its limit for long; nearest to it was the processor: 100 %/,
  );
  t.strictSame(phase().findings(), [], 'who did not look has found nothing');
});

t.test(
  'a late generator that hardly counts is not what gave out, nor is a full node that nobody waits for',
  async (t) => {
    const found = phase(...times(9, { lateMs: 30, p99Ms: 400, fullestNode: 19_600 })).findings();
    t.match(found, [{ isAtLimit: false }]);
  },
);

t.test('what cannot be read is not judged', async (t) => {
  const unknown = { busyShare: undefined, runnable: undefined, diskStallShare: undefined, memoryStallShare: undefined };
  const found = phase(...times(9, Object.assign({ availableBytes: undefined }, unknown))).findings();
  t.match(found, [{ isAtLimit: false }]);
});

t.test('the machine is read: threads, and the time in which nobody could run', async (t) => {
  t.equal(parseRunnable('4.82 3.78 5.50 92/1234 4711'), 92);
  t.equal(parseRunnable(undefined), undefined);
  const io =
    'some avg10=0.01 avg60=1.31 avg300=3.28 total=943762916\nfull avg10=0.01 avg60=0.46 avg300=1.20 total=277576084\n';
  t.equal(parseStallMs(io), 277_576.084);
  t.equal(parseStallMs(undefined), undefined);
  let [nowMs, stalledUs] = [1_000, 5_000_000];
  const read = (path: string): string | undefined => {
    if (path === '/proc/loadavg') return '1.00 1.00 1.00 3/99 1';
    return path === '/proc/pressure/io' ? `full avg10=0 total=${stalledUs}` : undefined;
  };
  const watch = new MachineWatch(() => nowMs, read, 2);
  nowMs += 2_000;
  stalledUs += 500_000;
  t.match(watch.look(), { processors: 2, runnable: 3, diskStallShare: 0.25, memoryStallShare: undefined });
});
