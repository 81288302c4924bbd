import t from 'tap';
import { LagMeter, type LagNote } from './lag.ts';

/** An owner that writes ten records a tenth of a second, with sequences that grow by thirty. */
function noteAt(step: number): LagNote {
  return { atMs: step * 100, sequence: step * 30, records: step * 10 };
}

t.test('a copy that has everything lacks nothing, whatever was noted', async (t) => {
  const meter = new LagMeter();
  t.strictSame(meter.of(0, { atMs: 5, sequence: 0, records: 0 }), { records: 0, ms: 0 });
  for (let step = 0; step < 10; step++) meter.note(noteAt(step));
  t.strictSame(meter.of(270, noteAt(9)), { records: 0, ms: 0 });
});

t.test('the lag of a copy is in records and since when it lacks the first of them', async (t) => {
  const meter = new LagMeter();
  for (let step = 0; step < 10; step++) meter.note(noteAt(step));
  t.strictSame(meter.of(150, noteAt(9)), { records: 40, ms: 300 });
  t.strictSame(
    meter.of(155, noteAt(9)),
    { records: 40, ms: 300 },
    'between two notes it counts as no further than the first',
  );
});

t.test('an owner that is at rest leaves the time of its last record as it is', async (t) => {
  const meter = new LagMeter();
  meter.note(noteAt(1));
  meter.note(noteAt(2));
  for (let step = 3; step < 50; step++) meter.note({ atMs: step * 100, sequence: 60, records: 20 });
  t.strictSame(meter.of(30, { atMs: 5_000, sequence: 60, records: 20 }), { records: 10, ms: 4_800 });
});

t.test('a copy that has been away for an hour costs no more memory, and its lag is still about right', async (t) => {
  const meter = new LagMeter();
  const steps = 36_000;
  for (let step = 0; step <= steps; step++) meter.note(noteAt(step));
  const { records, ms } = meter.of(noteAt(steps / 2).sequence, noteAt(steps));
  t.ok(records >= (steps / 2) * 10 && records < steps * 10 * 0.9, `${records} records`);
  t.ok(ms > 0 && ms <= (steps / 2) * 100, `${ms} ms`);
});
